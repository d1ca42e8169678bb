"""The parts of conf.py: the prerequisites of a run, the runs, and their results. Standard library only."""

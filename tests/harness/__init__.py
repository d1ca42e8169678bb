"""What conf.py is made of: what a run needs, the runs themselves, their results. Standard library only."""

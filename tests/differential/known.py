"""Where the two may differ, and why."""

def reason(case, apart, ours, reference):
    return None

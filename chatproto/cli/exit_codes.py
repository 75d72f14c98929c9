"""Exit codes of both programs, besides 0 and those of `ui/oneshot.py`."""

WRONG_OPTIONS = 1
COULD_NOT_START = 2
INTERRUPTED = 130
"""After a second Ctrl-C, or one before the program runs, as a shell counts SIGINT: 128 + 2."""

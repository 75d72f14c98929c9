"""Report an unexpected exception: the traceback in the log, one sentence for the user."""

from __future__ import annotations

import sys

from twisted.logger import Logger

log = Logger()


def unexpected(doing: str) -> str:
    """Log the exception that is being handled, and return one sentence about it.

    Every place that carries out what a person or a script gives ends with it, so that a mistake of
    ours never ends the input, the program or another conversation. `doing`: the command, or the like.
    """
    log.failure("{doing} failed unexpectedly", doing=doing)
    error = sys.exc_info()[1]
    return f"{doing} failed: {type(error).__name__}, a mistake of this program; its log says more"

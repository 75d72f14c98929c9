"""Report an unexpected exception: the traceback in the log, one sentence for the user."""

from __future__ import annotations

import sys

from twisted.logger import Logger

log = Logger()


def unexpected(doing: str) -> str:
    """Log the exception that is being handled, and return one sentence about it.

    Called wherever commands of a user or a script run, so that a bug does not end the input, the
    program or another conversation. `doing`: the failed action.
    """
    log.failure("{doing} failed unexpectedly", doing=doing)
    error = sys.exc_info()[1]
    return f"{doing} failed: {type(error).__name__}, a mistake of this program; its log says more"

"""Choose the interface, and create the event loop and the reactor for the full one.

The choice is made from the options, before any reactor is imported.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

REACTOR = "twisted.internet.reactor"


def why_not_full(parent: Any, environ: Mapping[str, str]) -> str:
    """Return what is missing for the full interface, in a few words; empty if nothing is.

    Args: parent: the options of twistd or twist; None without either.
    """
    for stream, called in ((sys.__stdin__, "standard input"), (sys.__stdout__, "standard output")):
        if stream is None or not stream.isatty():
            return f"{called} is not a terminal"
    if environ.get("TERM", "dumb") in ("", "dumb"):
        return "TERM=dumb names a terminal that can only print lines"
    if not _in_foreground():
        return "the program was started in the background"
    if find_spec("prompt_toolkit") is None:
        return "the package prompt_toolkit is not installed"
    if REACTOR in sys.modules:
        if not _is_asyncio(sys.modules[REACTOR]):
            return "another reactor than asyncio is installed (leave out -r, or give -r asyncio)"
    elif parent is not None and "logFile" in parent:
        return "twist installs another reactor (twistd -n chatclient, or twist --reactor=asyncio)"
    return ""


def any_terminal() -> bool:
    """Return True if the output or the input of the program is a terminal."""
    return any(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stdout__))


def event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of the asyncio reactor, or without one a loop for it."""
    if REACTOR not in sys.modules:
        asyncio.set_event_loop(asyncio.new_event_loop())
    return asyncio.get_event_loop_policy().get_event_loop()


def install_reactor(loop: asyncio.AbstractEventLoop) -> None:
    """Install the asyncio reactor on `loop` unless it is there already."""
    if REACTOR not in sys.modules:
        from twisted.internet import asyncioreactor

        asyncioreactor.install(loop)


def _is_asyncio(reactor: Any) -> bool:
    from twisted.internet.asyncioreactor import AsyncioSelectorReactor

    return isinstance(reactor, AsyncioSelectorReactor)


def _in_foreground() -> bool:
    assert sys.__stdin__ is not None
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno()) == os.getpgrp()
    except OSError:
        return True  # it is not our controlling terminal, and job control does not stop us

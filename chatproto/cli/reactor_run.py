"""Prepare the reactor for a program, or run it for one piece of work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from chatproto.cli.signals import handle_signals_later
from chatproto.net.clock import use_monotonic_time
from chatproto.net.resolver import use_system_resolver

T = TypeVar("T")


def prepare_reactor(reactor: Any) -> None:
    """Give `reactor` a clock that never jumps, delayed signal handling, and the system's resolver."""
    use_monotonic_time(reactor)
    handle_signals_later(reactor)
    use_system_resolver(reactor)


def run_reactor(work: Callable[[Any], Coroutine[Deferred[Any], Any, T]]) -> T:
    """Run the reactor until `work(reactor)` is done; return its result, or raise its exception.

    The reactor runs once in a process.
    """
    from twisted.internet import reactor

    running: Any = reactor
    use_system_resolver(running)
    results: list[Any] = []

    def done(result: Any) -> None:
        results.append(result)
        running.stop()

    running.callWhenRunning(lambda: Deferred.fromCoroutine(work(running)).addBoth(done))
    running.run()
    if not results:  # a signal has stopped it
        sys.exit(130)
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()
    found: T = result
    return found

"""Bound the time in which a program stops: what has not stopped by then is given up."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

STOP_WAIT = 10.0
"""Seconds that a program which was told to end waits for each of its parts."""

log = Logger()


def stopped_soon(stopping: Deferred[Any], clock: IReactorTime, name: str) -> Deferred[None]:
    """Return a Deferred that fires with `stopping`, or after STOP_WAIT seconds; it never fails.

    `name` is logged if it was given up or failed.
    """
    ended: Deferred[None] = Deferred()

    def late() -> None:
        log.error("{name} has not stopped within {wait:g} s", name=name, wait=STOP_WAIT)
        ended.callback(None)

    timer = clock.callLater(STOP_WAIT, late)

    def stopped(result: Any) -> None:
        if isinstance(result, Failure):
            log.failure("{name} could not be stopped", result, name=name)
        if timer.active():
            timer.cancel()
            ended.callback(None)

    stopping.addBoth(stopped)
    return ended


class BoundedServices(MultiService):
    """Services that stop together, the last one first, each within STOP_WAIT seconds."""

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self._clock = clock

    def stopService(self) -> Deferred[Any]:
        """Stop all; fires when each has stopped or was given up."""
        Service.stopService(self)
        children: list[IService] = list(self)
        waits = [
            stopped_soon(maybeDeferred(one.stopService), self._clock, type(one).__name__)
            for one in reversed(children)
        ]
        return DeferredList(waits)

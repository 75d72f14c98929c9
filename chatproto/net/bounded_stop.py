"""Bound the time in which a program stops: parts that have not stopped by then are abandoned."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

STOP_WAIT = 10.0
"""Seconds that a stopping program waits for each of its parts."""

log = Logger()


def stopped_soon(stopping: Deferred[Any], clock: IReactorTime, name: str) -> Deferred[None]:
    """Return a Deferred that fires with `stopping`, or after STOP_WAIT seconds; it never fails.

    A timeout or a failure is logged with `name`.
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
        """Stop all services; fires when each has stopped or was abandoned."""
        Service.stopService(self)
        children: list[IService] = list(self)
        waits = [
            stopped_soon(maybeDeferred(one.stopService), self._clock, type(one).__name__)
            for one in reversed(children)
        ]
        return DeferredList(waits)

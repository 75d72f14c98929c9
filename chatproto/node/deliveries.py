"""Takes what waits in the outbox to people as soon as they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from chatproto.node.finder import TROUBLES
from chatproto.node.introducers import Introducer
from chatproto.node.people import People
from chatproto.node.posts import Posts

SOONEST, LATEST = 2.0, 600.0
"""Seconds between two tries to reach somebody, doubled each time, while nothing of it arrives."""


@dataclass(slots=True)
class _Wait:
    """Somebody for whom messages wait: how often it was tried in vain, and when again."""

    name: str
    count: int
    failures: int = 0
    timer: IDelayedCall | None = None


class DeliveriesOwner(Protocol):
    """What deliveries need of the node."""

    server: Introducer | None
    people: People

    @property
    def posts(self) -> Posts | None: ...
    def talks_with(self, key: str) -> bool:
        """Whether there is a conversation with `key`."""

    def deliver(self, key: str, name: str) -> None:
        """Call them, without showing it."""


class Deliveries:
    """Watches everybody for whom something waits, and calls them when they have come."""

    def __init__(self, node: DeliveriesOwner, clock: IReactorTime) -> None:
        self._node = node
        self._clock = clock
        self._waits: dict[str, _Wait] = {}
        self._stopped = False

    def look(self) -> None:
        """We are registered: look after everything that waits."""
        if self._node.posts is None:
            return
        for key, name, count in self._node.posts.waiting():
            self.wait_for(key, name, count)

    def wait_for(self, key: str, name: str, count: int) -> None:
        """Something waits for `key` and nobody is talking to them."""
        wait = self._waits.get(key)
        if wait is None:
            wait = self._waits[key] = _Wait(name, count)
        elif count < wait.count:
            wait.failures = 0
        wait.name, wait.count = name, count
        if wait.timer is None and not self._stopped:
            self._set(key, wait)

    def came(self, name: str) -> None:
        """They are there; or were a moment ago, so that one who was just tried is not tried at once."""
        for key, wait in tuple(self._waits.items()):
            if wait.name != name or self._node.talks_with(key) or self._stopped:
                continue
            if self._node.posts is None or not self._node.posts.of(key, name).unsettled:
                self._cancel(self._waits.pop(key))  # it has arrived since, or was taken back
            elif wait.timer is None:
                self._node.deliver(key, name)
            elif wait.timer.getTime() > self._clock.seconds() + SOONEST:
                wait.timer.reset(SOONEST)

    def stop(self) -> None:
        """The program ends."""
        self._stopped = True
        for wait in self._waits.values():
            self._cancel(wait)

    def _set(self, key: str, wait: _Wait) -> None:
        seconds = 0.0 if not wait.failures else min(LATEST, SOONEST * 2 ** (wait.failures - 1))
        wait.failures += 1
        wait.timer = self._clock.callLater(seconds, self._try, key, wait)

    def _cancel(self, wait: _Wait) -> None:
        timer, wait.timer = wait.timer, None
        if timer is not None:
            timer.cancel()

    def _try(self, key: str, wait: _Wait) -> None:
        wait.timer = None
        server = self._node.server
        if self._node.talks_with(key):
            return
        if server is None:
            if self._node.people.named(wait.name) is not None:
                self._node.deliver(key, wait.name)
            return
        watching = ensureDeferred(server.watch(wait.name))

        def failed(failure: object) -> None:
            failure.trap(*TROUBLES)  # type: ignore[attr-defined]
            if not self._stopped and wait.timer is None:
                self._set(key, wait)

        watching.addErrback(failed)

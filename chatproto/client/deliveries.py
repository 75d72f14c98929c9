"""Takes what waits in the outbox to people as soon as they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from chatproto.client.address_book import AddressBook
from chatproto.client.introducers import Introducer
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.wire.reasons import CodedError

SOONEST, LATEST, MOST_FAILURES = 2.0, 600.0, 10
"""Seconds between two tries to reach somebody, doubled each time, while nothing of it arrives."""


@dataclass(slots=True)
class _Wait:
    """Somebody for whom messages wait: how often it was tried in vain, and when again."""

    count: int
    failures: int = 0
    elsewhere: bool = False  # somebody else has their id at this server
    timer: IDelayedCall | None = None


class DeliveriesOwner(Protocol):
    """What deliveries need of the node."""

    server: Introducer | None
    people: AddressBook

    @property
    def posts(self) -> OutboundStreams | None: ...
    def talks_with(self, key: str) -> bool:
        """Whether there is a conversation with `key`."""

    def ids_of(self, key: str) -> list[str]:
        """The ids under which `key` is known, the one at our server first."""

    def deliver(self, key: str) -> None:
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
        for wait in self._waits.values():
            wait.elsewhere = False
        for key, _, count in self._node.posts.waiting():
            self.wait_for(key, count)

    def wait_for(self, key: str, count: int) -> None:
        """Something waits for `key` and nobody is talking to them."""
        wait = self._waits.get(key)
        if wait is None:
            wait = self._waits[key] = _Wait(count)
        elif count < wait.count:
            wait.failures = 0
        wait.count = count
        if wait.timer is None and not self._stopped:
            self._set(key, wait)

    def came(self, name: str) -> None:
        """They are there; or were a moment ago, so that one who was just tried is not tried at once."""
        for key, wait in tuple(self._waits.items()):
            if wait.elsewhere or self._node.talks_with(key) or self._stopped:
                continue
            if name not in self._node.ids_of(key):
                continue
            if self._node.posts is None or not self._node.posts.unsettled(key):
                self._cancel(self._waits.pop(key))  # it has arrived since, or was taken back
            elif wait.timer is None:
                self._node.deliver(key)
            elif wait.timer.getTime() > self._clock.seconds() + SOONEST:
                wait.timer.reset(SOONEST)

    def is_elsewhere(self, key: str) -> None:
        """The server knows somebody else under the id of `key`: look again after the longest wait."""
        wait = self._waits.get(key)
        if wait is not None:
            wait.elsewhere = True
            wait.failures = MOST_FAILURES

    def stop(self) -> None:
        """The program ends."""
        self._stopped = True
        for wait in self._waits.values():
            self._cancel(wait)

    def _set(self, key: str, wait: _Wait) -> None:
        seconds = 0.0 if not wait.failures else min(LATEST, SOONEST * 2 ** (wait.failures - 1))
        wait.failures = min(wait.failures + 1, MOST_FAILURES)
        wait.timer = self._clock.callLater(seconds, self._try, key, wait)

    def _cancel(self, wait: _Wait) -> None:
        timer, wait.timer = wait.timer, None
        if timer is not None:
            timer.cancel()

    def _try(self, key: str, wait: _Wait) -> None:
        wait.timer, wait.elsewhere = None, False
        server, ids = self._node.server, self._node.ids_of(key)
        if self._node.talks_with(key) or not ids:
            return
        if server is None:
            if any(self._node.people.named(one) is not None for one in ids):
                self._node.deliver(key)
            return
        watching = ensureDeferred(server.watch(ids[0]))

        def failed(failure: object) -> None:
            failure.trap(CodedError)  # type: ignore[attr-defined]
            if not self._stopped and wait.timer is None:
                self._set(key, wait)

        watching.addErrback(failed)

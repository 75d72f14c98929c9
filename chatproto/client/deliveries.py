"""Deliver queued messages to contacts as soon as they can be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import ensureDeferred
from twisted.python.failure import Failure

from chatproto.client.context import Context
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.server.introducers import Introducer
from chatproto.net.timers import Timers
from chatproto.wire.reasons import CodedError

SOONEST, LATEST, MOST_FAILURES = 2.0, 600.0, 10
"""Seconds between attempts to reach a contact: doubled from `SOONEST` to `LATEST` without progress."""


@dataclass(slots=True)
class _Wait:
    """Contact with queued messages: their number, and failed attempts."""

    count: int
    failures: int = 0
    elsewhere: bool = False  # another client has the contact's id at this server


class Deliveries:
    """Watch every contact with queued messages, and call it when it is online.

    Args: server: watches contacts; None if there is none. has_conversation_with: returns True if there is a
    conversation with a key. deliver: calls the owner of a key; nothing is shown before it answers.
    """

    def __init__(
        self,
        context: Context,
        streams: OutboundStreams | None,
        server: Introducer | None,
        has_conversation_with: Callable[[str], bool],
        deliver: Callable[[str], None],
    ) -> None:
        self._trust = context.trust
        self._address_book = context.address_book
        self._streams = streams
        self._server = server
        self._has_conversation_with = has_conversation_with
        self._deliver = deliver
        self._waits: dict[str, _Wait] = {}
        self._timers = Timers(context.clock)  # next attempt, by key
        self._stopped = False

    def look(self) -> None:
        """Watch the contacts of all queued messages, now that we are registered."""
        if self._streams is None:
            return
        for wait in self._waits.values():
            wait.elsewhere = False
        for key, _, count in self._streams.ledger.waiting():
            self.wait_for(key, count)

    def wait_for(self, key: str, count: int) -> None:
        """Watch the owner of `key`, for whom `count` messages are queued without a conversation."""
        wait = self._waits.get(key)
        if wait is None:
            wait = self._waits[key] = _Wait(count)
        elif count < wait.count:
            wait.failures = 0
        wait.count = count
        if key not in self._timers and not self._stopped:
            self._set(key, wait)

    def contact_online(self, name: str) -> None:
        """Call a contact that is online now, but not at once if an attempt was made a moment ago."""
        for key, wait in tuple(self._waits.items()):
            if wait.elsewhere or self._has_conversation_with(key) or self._stopped:
                continue
            if name not in self._trust.ids_of(key):
                continue
            if self._streams is None or not self._streams.unsettled(key):
                del self._waits[key]  # delivered since, or cancelled
                self._timers.cancel(key)
            elif key not in self._timers:
                self._deliver(key)
            elif self._timers.left(key) > SOONEST:
                self._timers.again(key, SOONEST)

    def is_elsewhere(self, key: str) -> None:
        """Retry after the longest wait: at the server another client has the id of `key`."""
        wait = self._waits.get(key)
        if wait is not None:
            wait.elsewhere = True
            wait.failures = MOST_FAILURES

    def stop(self) -> None:
        """Stop all attempts: the program ends."""
        self._stopped = True
        self._timers.stop()

    def _set(self, key: str, wait: _Wait) -> None:
        seconds = 0.0 if not wait.failures else min(LATEST, SOONEST * 2 ** (wait.failures - 1))
        wait.failures = min(wait.failures + 1, MOST_FAILURES)
        self._timers.after(key, seconds, partial(self._try, key, wait))

    def _try(self, key: str, wait: _Wait) -> None:
        wait.elsewhere = False
        server, ids = self._server, self._trust.ids_of(key)
        if self._has_conversation_with(key) or not ids:
            return
        if server is None:
            if any(self._address_book.named(one) is not None for one in ids):
                self._deliver(key)
            return
        watching = ensureDeferred(server.watch(ids[0]))

        def failed(failure: Failure) -> None:
            failure.trap(CodedError)
            if not self._stopped and key not in self._timers:
                self._set(key, wait)

        watching.addErrback(failed)

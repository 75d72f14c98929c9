"""Say lines in shared rooms: those of one turn of the reactor are sent to the store together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from chatproto.rooms.history import RoomLine
from chatproto.rooms.shared import SpokenBy
from chatproto.rooms.shared_store import UNSEATED, Conflict
from chatproto.server.shared_rooms.events import RoomEvents
from chatproto.server.shared_rooms.presence import TRIES, RoomPresence
from chatproto.server.shared_rooms.views import Asker, RoomsContext
from chatproto.wire import bcp2_rooms
from chatproto.wire.actions import marked
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError, StoreTrouble

AT_ONCE = 100
"""Lines of a room that are sent with one call."""
SEATING = 0.25
"""Seconds between two tries to say a line of a client that was removed by mistake and is rejoining.

All tries together take longer than a beat, with which a server learns that its lease has expired.
"""


@dataclass(eq=False, slots=True)
class SayRequest:
    """Line to say. `answered` fires when it is answered; `at`: time at which it was received."""

    asker: Asker
    message: bcp2_rooms.Say
    at: float
    answered: Deferred[None]

    def line(self, node: str) -> tuple[str, float, str, SpokenBy]:
        """Return the line in the form of `SharedRoomStore.say`."""
        asker, message = self.asker, self.message
        by = SpokenBy(node, asker.client.number, message.cseq)
        return asker.client_id or "", self.at, marked(message.text, message.kind), by


class Speaking:
    """Answers SAY. `refuse` answers a request with an error."""

    def __init__(
        self,
        context: RoomsContext,
        presence: RoomPresence,
        events: RoomEvents,
        refuse: Callable[[Bcp2Message, Asker, RemoteError], None],
    ) -> None:
        self._context = context
        self._views = context.views
        self._presence = presence
        self._events = events
        self._refuse = refuse
        self._lines: dict[str, deque[SayRequest]] = {}

    def say(self, message: bcp2_rooms.Say, asker: Asker, answered: Deferred[None]) -> None:
        """Queue a line. Raises RemoteError if its sender may not say it."""
        self._check(message, asker)
        asker.says += 1
        request = SayRequest(asker, message, self._context.now(), answered)
        lines = self._lines.get(message.room)
        if lines is None:
            lines = self._lines[message.room] = deque()
            # Lines of this turn of the reactor are sent together.
            self._context.clock.callLater(0, self._begin, message.room, lines)
        lines.append(request)

    def _check(self, message: bcp2_rooms.Say, asker: Asker) -> None:
        policy = self._views.inside(message.room, asker).policy
        policy.check_say(asker.client.key, message.text, self._context.now())

    def _begin(self, name: str, lines: deque[SayRequest]) -> None:
        self._presence.start(self._say_all(name, lines))

    async def _say_all(self, name: str, lines: deque[SayRequest]) -> None:
        """Say the queued lines, `AT_ONCE` with each call, and those that arrive meanwhile."""
        try:
            async with self._presence.using(name):
                while lines:
                    count = min(AT_ONCE, len(lines))
                    await self._say_some(name, [lines.popleft() for _ in range(count)])
        finally:
            del self._lines[name]

    async def _say_some(self, name: str, batch: list[SayRequest]) -> None:
        for _ in range(TRIES):
            if not batch:
                return
            try:
                batch = await self._try(name, batch)
            except RemoteError as error:
                self._refuse_all(batch, error)
                return
            batch = self._allowed(batch)
        self._refuse_all(batch, RemoteError(503, "the room changes all the time"))

    async def _try(self, name: str, batch: list[SayRequest]) -> list[SayRequest]:
        """Say `batch`; return the lines that were not said, after the copy of the room was updated."""
        copy = self._views.copies.get(name)
        if copy is None:
            raise RemoteError(404, "not in that room")
        places = [(one, self._views.place(copy, one.asker)) for one in batch]
        ready = [(one, seat) for one, seat in places if seat is not None]
        if not ready:
            batch = self._allowed(batch)
            if batch:
                await deferLater(self._context.clock, SEATING)
            return batch
        for one, _ in ready:
            one.asker.unacknowledged.add(one.message.cseq)
        lines = [one.line(self._views.node) for one, _ in ready]
        seats, policy = [seat for _, seat in ready], copy.policy
        try:
            numbers = await self._context.store.say(
                name, policy.version, policy.history, lines, copy.last, seats
            )
        except Conflict:
            await self._context.watch.refresh(name)
            return batch
        tried = [(one, number) for (one, _), number in zip(ready, numbers, strict=True)]
        said = [(one, number) for one, number in tried if number != UNSEATED]
        if said:
            self._presence.start(self._acknowledge(name, said))
        if len(said) < len(ready):
            await self._context.watch.refresh(name)
        done = {one for one, _ in said}
        return [one for one in batch if one not in done]

    async def _acknowledge(self, name: str, said: list[tuple[SayRequest, int]]) -> None:
        """Wait for the events of lines, and acknowledge those whose event is missing.

        In a room without history a lost event is not repeated.
        """
        copy = self._views.copies.get(name)
        try:
            await self._context.watch.shows(name, said[-1][1])
        except StoreTrouble:
            pass  # the room is no longer watched, but the lines were said
        for one, number in said:
            if one.message.cseq in one.asker.unacknowledged and copy is not None:
                sender, at, text, _ = one.line("")
                self._events.acknowledge(
                    one.asker, copy, RoomLine(number, sender, at, text), one.message.cseq
                )
            self._settle(one)

    def _allowed(self, batch: list[SayRequest]) -> list[SayRequest]:
        """Return the lines that may still be said now that the room has changed; refuse the others."""
        left = []
        for one in batch:
            try:
                self._check_place(one)
                self._check(one.message, one.asker)
                left.append(one)
            except RemoteError as error:
                self._refuse_all([one], error)
        return left

    def _check_place(self, one: SayRequest) -> None:
        """Raise RemoteError if the client of a line is in the room with another connection.

        The client has connected to another server, and repeats there its unacknowledged lines.
        """
        asker, copy = one.asker, self._views.copies.get(one.message.room)
        if asker.gone:
            raise RemoteError(404, "not in that room")
        seat = self._views.seat(asker.client)
        if copy is not None and self._views.is_elsewhere(copy, asker.client_id or "", seat):
            raise RemoteError(503, "in the room with another connection")

    def _refuse_all(self, batch: list[SayRequest], error: RemoteError) -> None:
        for one in batch:
            one.asker.unacknowledged.discard(one.message.cseq)
            self._refuse(one.message, one.asker, error)
            self._settle(one)

    def _settle(self, one: SayRequest) -> None:
        one.asker.settle()
        one.answered.callback(None)

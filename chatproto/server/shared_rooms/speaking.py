"""Have lines said in shared rooms: those of one turn of the reactor go to the store together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from chatproto.rooms.history import RoomLine
from chatproto.rooms.shared import SpokenBy
from chatproto.rooms.shared_store import Conflict, SharedRoomStore, SharedRoomWatch
from chatproto.server.shared_rooms.events import RoomEvents
from chatproto.server.shared_rooms.presence import TRIES, RoomPresence
from chatproto.server.shared_rooms.views import Asker, RoomViews
from chatproto.wire import bcp2_rooms
from chatproto.wire.actions import marked
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError, StoreTrouble

AT_ONCE = 100
"""Lines of a room that are said with one call."""


@dataclass(eq=False, slots=True)
class SayRequest:
    """A line that is to be said. `answered` fires when it is; `at`: when it came."""

    asker: Asker
    message: bcp2_rooms.Say
    at: float
    answered: Deferred[None]

    def line(self, node: str) -> tuple[str, float, str, SpokenBy]:
        """Return it as the store takes it."""
        asker, message = self.asker, self.message
        by = SpokenBy(node, asker.visitor.number, message.cseq)
        return asker.client_id or "", self.at, marked(message.text, message.kind), by


class Speaking:
    """Answers SAY. `refuse` answers a request with an error; `now`: time of the rooms."""

    def __init__(
        self,
        clock: IReactorTime,
        store: SharedRoomStore,
        watch: SharedRoomWatch,
        presence: RoomPresence,
        views: RoomViews,
        events: RoomEvents,
        now: Callable[[], float],
        refuse: Callable[[Bcp2Message, Asker, RemoteError], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._watch = watch
        self._presence = presence
        self._views = views
        self._events = events
        self._now = now
        self._refuse = refuse
        self._lines: dict[str, deque[SayRequest]] = {}

    def say(self, message: bcp2_rooms.Say, asker: Asker, answered: Deferred[None]) -> None:
        """Have a line said soon. Raises RemoteError if it may not be."""
        self._check(message, asker)
        asker.says += 1
        request = SayRequest(asker, message, self._now(), answered)
        lines = self._lines.get(message.room)
        if lines is None:
            lines = self._lines[message.room] = deque()
            # What is said in this turn of the reactor goes together.
            self._clock.callLater(0, self._begin, message.room, lines)
        lines.append(request)

    def _check(self, message: bcp2_rooms.Say, asker: Asker) -> None:
        policy = self._views.inside(message.room, asker).policy
        policy.check_say(asker.visitor.key, message.text, self._now())

    def _begin(self, name: str, lines: deque[SayRequest]) -> None:
        self._presence.start(self._say_all(name, lines))

    async def _say_all(self, name: str, lines: deque[SayRequest]) -> None:
        """Say the lines that wait, some at once; those that come meanwhile follow."""
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
                numbers = await self._try(name, batch)
            except RemoteError as error:
                self._refuse_all(batch, error)
                return
            if numbers:
                self._presence.start(self._acknowledge(name, batch, numbers))
                return
            batch = self._allowed(batch)
        self._refuse_all(batch, RemoteError(503, "the room changes all the time"))

    async def _try(self, name: str, batch: list[SayRequest]) -> list[int]:
        """Say `batch`; return no numbers if the room has changed. Then its copy is as it is now."""
        copy = self._views.copies.get(name)
        if copy is None:
            raise RemoteError(404, "not in that room")
        for one in batch:
            one.asker.unacknowledged.add(one.message.cseq)
        lines = [one.line(self._views.node) for one in batch]
        try:
            policy = copy.policy
            return await self._store.say(name, policy.version, policy.history, lines, copy.last)
        except Conflict:
            await self._watch.refresh(name)
            return []

    async def _acknowledge(self, name: str, batch: list[SayRequest], numbers: list[int]) -> None:
        """Wait until the lines have come back, and see that each is acknowledged.

        In a room without history a line whose event is lost does not come back.
        """
        copy = self._views.copies.get(name)
        try:
            await self._watch.shows(name, numbers[-1])
        except StoreTrouble:
            pass  # the room is watched no more, but the lines are said
        for one, number in zip(batch, numbers, strict=True):
            if one.message.cseq in one.asker.unacknowledged and copy is not None:
                sender, at, text, _ = one.line("")
                line = RoomLine(number, sender, at, text)
                self._events.acknowledge(one.asker, copy, line, one.message.cseq)
            self._settle(one)

    def _allowed(self, batch: list[SayRequest]) -> list[SayRequest]:
        """Return the lines that may still be said now that the room has changed; refuse the others."""
        left = []
        for one in batch:
            try:
                self._check(one.message, one.asker)
                left.append(one)
            except RemoteError as error:
                self._refuse_all([one], error)
        return left

    def _refuse_all(self, batch: list[SayRequest], error: RemoteError) -> None:
        for one in batch:
            one.asker.unacknowledged.discard(one.message.cseq)
            self._refuse(one.message, one.asker, error)
            self._settle(one)

    def _settle(self, one: SayRequest) -> None:
        one.asker.settle()
        one.answered.callback(None)

"""Watch the rooms in which this server has members: subscribe, read, and apply published events.

Published events may get lost, with the connection or without a sign. A room is read again after a gap
between the numbers of events, on a new connection, and on `look_again` (a beat has found that Redis is
ahead).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from chatproto.rooms.shared import EventsMissed, RoomCopy
from chatproto.rooms.shared_store import RoomListener
from chatproto.stores.redis.client import (
    LATEST,
    LOST,
    SOONEST,
    RedisService,
    RedisSubscriber,
    subscribed,
)
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.room_text import POISON, read_event
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import RemoteError, StoreTrouble

MOST_EARLY = 10_000
"""Events of a room that are stored while it is read; if there are more, it is read once more."""


@dataclass(eq=False, slots=True)
class _Watched:
    """Room that is watched.

    `early`: events that arrived while it is read; `again`: it must be read once more then. `reached`:
    callers that wait until the copy shows an event or a line.
    """

    name: str
    listener: RoomListener
    copy: RoomCopy | None = None
    reading: bool = False
    again: bool = False
    early: list[str] = field(default_factory=list)
    waiting: list[Deferred[None]] = field(default_factory=list)
    reached: list[tuple[Callable[[RoomCopy], bool], Deferred[None]]] = field(default_factory=list)


class RoomWatch(RedisService[RedisSubscriber]):
    """Copies of the watched rooms."""

    failed = "a room is watched no more"
    away = "no subscription"

    def __init__(self, reactor: Any, url: RedisUrl, rooms: RedisRooms) -> None:
        super().__init__(reactor, url)
        self._rooms = rooms
        self._watched: dict[str, _Watched] = {}
        self._channels: dict[str, _Watched] = {}
        self._readings: set[Deferred[None]] = set()

    def stopService(self) -> Deferred[None] | None:
        self._reactor.callLater(0, self._cancel_readings)  # one may be the code that runs just now
        return super().stopService()

    def _cancel_readings(self) -> None:
        for reading in tuple(self._readings):
            reading.cancel()

    def find(self, name: str) -> RoomCopy | None:
        """Return the copy of a watched room, or None."""
        watched = self._watched.get(name)
        return watched.copy if watched is not None else None

    def copies(self) -> list[RoomCopy]:
        """Return all copies."""
        return [one.copy for one in self._watched.values() if one.copy is not None]

    async def watch(self, name: str, listener: RoomListener) -> RoomCopy:
        """Watch a room, and return its copy. Raises RemoteError 404 and 409 as `RedisRooms.read` does.

        `listener` receives its events in order, once the copy shows them.

        Raises: StoreTrouble: Redis is unreachable.
        """
        watched = self._watched.get(name)
        if watched is not None:
            while watched.copy is None:
                waiting: Deferred[None] = Deferred()
                watched.waiting.append(waiting)
                await waiting
            return watched.copy
        if self._connection is None:
            raise StoreTrouble("no subscription to Redis")
        channel = self._rooms.channel(name)
        if channel in self._channels:
            raise RemoteError(409, "a room looks like that")
        watched = self._watched[name] = self._channels[channel] = _Watched(
            name, listener, reading=True
        )
        try:
            await self._connection.subscribe([channel])
            state, _ = await self._rooms.read(name)
        except (*LOST, RemoteError) as error:
            trouble = error if isinstance(error, RemoteError) else StoreTrouble(str(error))
            self._forget(name, trouble)
            raise trouble from None
        copy = watched.copy = RoomCopy(state)
        self._apply_pending(watched)
        return copy

    async def reached(self, name: str, event: int) -> None:
        """Wait until the copy of a room shows the event of that number, and no later one if possible.

        Raises: StoreTrouble: the room is no longer watched.
        """
        await self._until(name, lambda copy: copy.event >= event)

    async def shows(self, name: str, line: int) -> None:
        """Wait until the copy of a room shows the line of that number. Raises the errors of `reached`."""
        await self._until(name, lambda copy: copy.last >= line)

    async def _until(self, name: str, fact: Callable[[RoomCopy], bool]) -> None:
        watched = self._watched.get(name)
        if watched is None or watched.copy is None:
            raise StoreTrouble("the room is watched no more")
        if not fact(watched.copy):
            waiting: Deferred[None] = Deferred()
            watched.reached.append((fact, waiting))
            await waiting

    async def refresh(self, name: str) -> None:
        """Wait until a room was read again, after a conflict. Raises StoreTrouble as `reached` does."""
        self.look_again([name])
        watched = self._watched.get(name)
        while watched is not None and watched.reading:
            waiting: Deferred[None] = Deferred()
            watched.waiting.append(waiting)
            await waiting

    def forget(self, name: str) -> None:
        """Stop watching a room."""
        self._forget(name, StoreTrouble("the room is watched no more"))

    def _forget(self, name: str, trouble: RemoteError) -> None:
        watched = self._watched.pop(name, None)
        if watched is None:
            return
        for waiting in [*watched.waiting, *(one for _, one in watched.reached)]:
            waiting.errback(trouble)
        watched.waiting, watched.reached = [], []
        channel = self._rooms.channel(name)
        if self._channels.get(channel) is watched:
            del self._channels[channel]
            if self._connection is not None:
                left = Deferred.fromCoroutine(self._connection.unsubscribe(channel))
                left.addErrback(lambda failure: failure.trap(*LOST))

    def look_again(self, names: Iterable[str]) -> None:
        """Read rooms again: Redis has other events than the copies."""
        for name in names:
            watched = self._watched.get(name)
            if watched is None:
                continue
            if watched.reading:
                watched.again = True
            else:
                self._read(watched)

    # Published events.

    def _published(self, channel: str, text: str) -> None:
        watched = self._channels.get(channel)
        if watched is None:
            return
        if watched.reading or watched.copy is None:
            if len(watched.early) < MOST_EARLY:
                watched.early.append(text)
            return
        self._apply_text(watched, watched.copy, text)

    def _apply_text(self, watched: _Watched, copy: RoomCopy, text: str) -> None:
        try:
            number, event = read_event(text, watched.name)
            new = copy.apply(number, event)
        except EventsMissed:
            self.log.info("events of {room} are missing: it is read anew", room=watched.name)
            self._read(watched)
            return
        except POISON:
            self.log.error("an event of {room} is not one: it is read anew", room=watched.name)
            self._read(watched)
            return
        if new:
            watched.listener.happened(copy, event)
            self._reach(watched, copy)

    def _reach(self, watched: _Watched, copy: RoomCopy) -> None:
        """Resume the callers that wait for an event that the copy shows now."""
        if not watched.reached:
            return
        reached, watched.reached = watched.reached, []
        watched.reached = [each for each in reached if not each[0](copy)]
        for one in [one for fact, one in reached if fact(copy)]:
            one.callback(None)

    def _read(self, watched: _Watched) -> None:
        watched.reading = True
        reading = Deferred.fromCoroutine(self._read_anew(watched))
        self._readings.add(reading)
        reading.addErrback(self.note_failure).addCallback(lambda _: self._readings.discard(reading))

    async def _read_anew(self, watched: _Watched) -> None:
        """Read a room until it can be read, and report what has happened meanwhile."""
        copy, wait = watched.copy, SOONEST
        assert copy is not None
        while self._watched.get(watched.name) is watched:
            try:
                state, lines = await self._rooms.read(watched.name, copy.last)
                break
            except (*LOST, RemoteError) as error:
                if isinstance(error, RemoteError) and error.status in (404, 409):
                    self.forget(watched.name)
                    watched.listener.lost(copy)
                    return
                if not self.running:  # the cancellation ended the request with one of `LOST`
                    return
            await deferLater(self._reactor, wait, lambda: None)
            wait = min(LATEST, wait * 2)
        else:
            return
        for event in copy.catch_up(state, lines):
            watched.listener.happened(copy, event)
        self._reach(watched, copy)
        self._apply_pending(watched)

    def _apply_pending(self, watched: _Watched) -> None:
        """Apply the events that arrived while the room was read. If one is missing, read it once more."""
        watched.reading = False
        early, watched.early = watched.early, []
        for text in early:
            self._published(self._rooms.channel(watched.name), text)
        if watched.again and not watched.reading:
            watched.again = False
            self._read(watched)
        if not watched.reading:
            waiting, watched.waiting = watched.waiting, []
            for one in waiting:
                one.callback(None)

    # Connection.

    async def _use(self) -> None:
        async with subscribed(self._reactor, self._url, self._published) as connection:
            await connection.subscribe([*self._channels])
            self._connection = connection
            self._wait = SOONEST
            self.look_again([*self._watched])
            await connection.ended

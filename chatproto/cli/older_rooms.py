"""Take over the rooms of a log of protocol 2, in which requests about rooms were commands like others.

Redis key: `chatproto:converted`, set when that is done. The log itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

from twisted.logger import Logger

from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.rooms.answers import RoomAnswers
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared_store import Conflict, SharedRoomStore
from chatproto.server import commands as told
from chatproto.server import replica_snapshot
from chatproto.server.client_pushes import ClientPushes
from chatproto.server.replica import Missed, Replica
from chatproto.server.replicas import ServerReplica
from chatproto.server.room_side import REQUESTS
from chatproto.server.secure_side import SecureSide
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.stores.policies import read_policy
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.log import LOG, PICTURE, entry_line, entry_time
from chatproto.stores.shared import SharedMemory
from chatproto.wire import bcp2_server
from chatproto.wire.classic import Message
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits

DONE = "chatproto:converted"
AT_ONCE = 100
"""Entries that are read at once."""


class _NoMembers:
    """Rooms that hear nothing of the clients of a server, since none is replayed as this one."""

    def answered(self, visitor: ClientConnection) -> None: ...

    def follow(self, visitor: ClientConnection) -> None: ...


class RoomReplay(Replica):
    """Applies the commands of an older log, those about rooms too. `found` are its rooms."""

    def __init__(self, limits: ServerLimits) -> None:
        shared = SharedMemory(limits)
        first = KeyedDirectory(shared.names, shared.registry, str, limits)
        secure = SecureSide(cast(Any, None), first)  # without connections it needs no TLS
        self._memory = MemoryRooms(limits)
        self._room_limits = limits
        super().__init__(shared, secure, _NoMembers(), ClientPushes(secure), limits)
        self.found = self._rules()

    def _rules(self) -> RoomAnswers:
        return RoomAnswers(
            self._memory,
            self._room_limits,
            lambda client_id: self._shared.names.owner(client_id),
            lambda client_id: self.directory.find(client_id),
            counted=False,
            sees=lambda key, client_id: self.directory.sees(key, client_id),
        )

    def load(self, lines: Iterable[str]) -> None:
        """Begin with a snapshot. Raises ValueError for what is none."""
        try:
            picture = replica_snapshot.read(lines)
            if not picture:
                return
            replica_snapshot.load(self, picture)
            for fields in picture.get("rooms", []):
                kept = dict(fields)
                self._memory.keep(read_policy(kept.pop("name"), kept))
            self._memory.load(picture.get("logs", []), picture.get("lines", []))
            self.found = self._rules()
            for room, node, number in picture.get("guests", []):
                self.found.seat(room, self.members[node].visitors[number], self.now)
        except Exception as error:  # whoever can write to Redis may have written anything
            raise ValueError(f"no snapshot ({type(error).__name__})") from None

    def read(self, at: float, line: str) -> None:
        """Apply an entry that came at `at`; one that no server has written is left out."""
        try:
            self.apply(told.read(line), at)
        except (Missed, ValueError):
            pass  # all servers of that log have left it out too

    def history(self, name: str) -> tuple[int, list[Any]]:
        """Return the last number of a room, and its lines."""
        log = self._memory.log(name)
        return log.last, [*log.lines]

    def _do(self, command: told.Command, node: str, member: ServerReplica) -> Message | None:
        now = self.now
        match command:
            case told.KeyedRequest(number, text):
                visitor, message = member.visitors.get(number), self._read(text)
                if visitor is not None and message.__class__ in REQUESTS:
                    self.directory.uses(visitor, now)
                    self.found.answer(message, visitor, now)
                    return None
                answer = super()._do(command, node, member)
                if visitor is not None and isinstance(message, bcp2_server.Register):
                    self.found.follow(visitor, now)
                return answer
            case told.ConnectionClosed(number, reason):
                visitor = member.visitors.get(number)
                if visitor is not None:
                    self.found.left(visitor, now, reason)
            case told.Order(text):
                try:
                    self.found.operate(self._read(text), now)
                except RemoteError:
                    pass  # it was refused then, too
                return None
            case told.LobbyAction("said", name, text):
                self.found.heard(name, text, now)
                return None
        return super()._do(command, node, member)

    def _end(self, node: str) -> None:
        member = self.members.get(node)
        for visitor in member.visitors.values() if member is not None else ():
            self.found.left(visitor, self.now, "")
        super()._end(node)


class OlderRooms:
    """Rooms of the log in Redis, until they are where `store` has them. `now`: seconds since 1970."""

    log = Logger()

    def __init__(
        self,
        client: RedisClient,
        store: SharedRoomStore,
        limits: ServerLimits,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._store = store
        self._limits = limits
        self._now = now

    async def take_over(self) -> None:
        """Take them over, unless that is done. Raises StoreTrouble; then it may be tried again."""
        if await self._client.ask("EXISTS", DONE):
            return
        replay = await self._replayed()
        taken = [room for room in replay.found.all() if await self._take(room.policy, replay)]
        await self._client.ask("SET", DONE, "1")
        if taken:
            self.log.info("{count} rooms of an older version are taken over", count=len(taken))

    async def _replayed(self) -> RoomReplay:
        replay, ask = RoomReplay(self._limits), self._client.ask
        position = await ask("GET", PICTURE)
        begin = "-"
        if isinstance(position, str):
            try:
                replay.load(map(str, await ask("LRANGE", f"{PICTURE}:{position}", "0", "-1")))
            except ValueError as error:
                self.log.error("the snapshot cannot be read: {why}", why=error)
            begin = f"({position}"
        while True:
            entries = await ask("XRANGE", LOG, begin, "+", "COUNT", str(AT_ONCE))
            for position, fields in entries:
                replay.read(entry_time(position), entry_line(fields))
            if len(entries) < AT_ONCE:
                return replay
            begin = f"({entries[-1][0]}"

    async def _take(self, policy: RoomPolicy, replay: RoomReplay) -> bool:
        """Take one room over; return True if there was anything to be taken."""
        name = policy.name
        last, lines = replay.history(name)
        if not policy.owner and not lines and not policy.version:
            return False  # the lobby, as it is made anyway
        now = self._now()
        if policy.owner:
            await self._store.reserve(policy.owner, name, self._limits.rooms, now)
        try:
            await self._store.create(replace(policy, used=now, version=1), now, last)
        except Conflict:
            pass  # another server takes them over too, or somebody has tried this before
        await self._store.fill(name, lines)
        return True

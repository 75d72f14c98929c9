"""Copy the directory and the rooms from an older version's log in Redis, when the first new server
starts.

Redis keys: `:log` (a stream of requests), `chatproto:picture` (position of the last snapshot in it),
`:picture:ID` (its lines), which all stay unchanged; `chatproto:converted`, set after the copy: 1 for
the rooms alone, 2 for everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater
from twisted.logger import Logger

from chatproto.cli.older_replay import OlderReplay
from chatproto.cli.take_over import SavedState, TakenOver, take_over
from chatproto.directory.shared_store import SharedDirectoryStore
from chatproto.rooms.shared_store import SharedRoomStore
from chatproto.stores.redis.client import RedisClient
from chatproto.wire.limits import ServerLimits

LOG, PICTURE, DONE = "chatproto:log", "chatproto:picture", "chatproto:converted"
ROOMS, ALL = "1", "2"
"""Values of DONE."""
AT_ONCE = 100
"""Entries that are read at once."""
LAST_MOMENT = 253_370_764_800.0
"""The year 9999: a later time of an entry is replaced by it."""
OLDER_SERVERS = "servers of an older version use this Redis: end them all first"
POSITION = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)


class OlderLog:
    """Log in Redis, to be copied to the present format.

    Args: now: seconds since 1970. waits: called when servers of the older version must end first.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        client: RedisClient,
        directory: SharedDirectoryStore,
        rooms: SharedRoomStore,
        limits: ServerLimits,
        now: Callable[[], float],
        waits: Callable[[], None] = lambda: None,
    ) -> None:
        self.trouble = ""
        """Why it is not copied yet, in one sentence; empty if nothing prevents it."""
        self._waits = waits
        self._reactor = reactor
        self._client = client
        self._directory = directory
        self._rooms = rooms
        self._limits = limits
        self._now = now

    async def take_over(self) -> None:
        """Copy the log, unless that is done; servers of the older version must end first.

        Raises: StoreTrouble; then it may be tried again.
        """
        done = await self._client.ask("GET", DONE)
        if done == ALL:
            return
        if await self._client.ask("EXISTS", LOG):
            await self._until_silent()
        saved = await self.saved()
        if done == ROOMS:
            saved = SavedState(saved.ids, saved.registrations, saved.leases)
        taken = await self.put(saved)
        if taken.groups or taken.rooms:
            self.log.info(
                "ids of an older version are taken over: {groups}, and rooms: {rooms}",
                groups=taken.groups,
                rooms=taken.rooms,
            )

    async def put(self, saved: SavedState) -> TakenOver:
        """Write the contents of the log, or of another store, to Redis, and record that this is done."""
        taken = await take_over(saved, self._directory, self._rooms, self._limits, self._now())
        await self._client.ask("SET", DONE, ALL)
        await self._client.confirmed()
        return taken

    async def saved(self) -> SavedState:
        """Return the state of the log's servers at its end. Raises StoreTrouble."""
        replay, ask = OlderReplay(self._limits), self._client.ask
        position = await ask("GET", PICTURE)
        begin = "-"
        if isinstance(position, str):
            try:
                replay.load(map(str, await ask("LRANGE", f"{PICTURE}:{position}", "0", "-1")))
            except ValueError as error:
                self.log.error("the snapshot cannot be read: {why}", why=error)
            if POSITION.fullmatch(position):
                begin = f"({position}"
        while True:
            entries = await ask("XRANGE", LOG, begin, "+", "COUNT", str(AT_ONCE))
            for position, fields in entries:
                replay.read(_time(position), _line(fields))
            if len(entries) < AT_ONCE:
                return replay.saved()
            begin = f"({entries[-1][0]}"

    async def _until_silent(self) -> None:
        """Wait while a server of the older version writes to the log: it would not see new changes."""
        last = await self._last()
        while True:
            await deferLater(self._reactor, 3 * self._limits.server_beat, lambda: None)
            former, last = last, await self._last()
            if former == last:
                self.trouble = ""
                return
            if not self.trouble:
                self.trouble = OLDER_SERVERS
                self.log.warn("{why}", why=self.trouble)
                self._waits()

    async def _last(self) -> Any:
        """Return the id of the last entry."""
        return [
            entry[0]
            for entry in await self._client.ask(*("XREVRANGE", LOG, "+", "-", "COUNT", "1"))
        ]


def _line(fields: list[Any]) -> str:
    """Return the line in an entry, or "" if another program wrote the entry."""
    return fields[1] if len(fields) == 2 and isinstance(fields[1], str) else ""


def _time(position: str) -> float:
    """Return the time of an entry, in seconds since 1970."""
    return min(int(position.split("-")[0]) / 1000, LAST_MOMENT)

"""Read the notices that other servers send to this one.

Redis key of the server NODE: `:inbox:NODE`, a bounded stream whose entries are numbered. It exists
while the server runs: the server that removes another one deletes it (`stores.redis.beats`).
"""

from __future__ import annotations

from typing import Any

from chatproto.directory.shared_store import InboxListener
from chatproto.rooms.shared import OwnNode
from chatproto.stores.redis.client import SOONEST, RedisConnection, RedisService, connected
from chatproto.stores.redis.group_text import POISON, read_notice
from chatproto.stores.redis.node_table import inbox_key
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import StoreTrouble

BLOCK = 2.0
"""Seconds that one read waits for a notice; less than the time in which Redis must answer."""
AT_ONCE = 100
"""Notices that are read at once."""
MOST_NUMBER = 2**53
"""Highest number of a notice: the scripts that count them have no higher ones."""


class Inbox(RedisService[RedisConnection]):
    """Inbox of the server `node`, read on its own connection. The inbox of a former name is no longer
    read.
    """

    failed = "the inbox is read no more"
    away = "the inbox cannot be read"

    def __init__(self, reactor: Any, url: RedisUrl, node: OwnNode, listener: InboxListener) -> None:
        super().__init__(reactor, url)
        self._node = node
        self._listener = listener
        self._name = ""
        self._last = 0  # number of the last notice read

    async def _use(self) -> None:
        async with connected(self._reactor, self._url) as connection:
            self._connection = connection
            while True:
                await self._read(connection)
                self._wait = SOONEST

    async def _read(self, connection: RedisConnection) -> None:
        """Wait for notices for a while, and pass them on."""
        name = self._node.name
        if name != self._name:
            self._name, self._last = name, 0
        key = inbox_key(name)
        block, count = str(int(BLOCK * 1000)), str(AT_ONCE)
        try:
            found = await connection.ask(
                *("XREAD", "BLOCK", block, "COUNT", count, "STREAMS", key, f"{self._last}-0")
            )
        except StoreTrouble as error:
            if await connection.ask("TYPE", key) in ("stream", "none"):
                raise
            await self._begin_again(connection, key, error.detail)
            return
        if self._node.name != name:
            return
        if found is None:
            newest = await connection.ask("XREVRANGE", key, "+", "-", "COUNT", "1")
            if (_number(newest[0]) if newest else 0) < self._last:
                self._last = 0  # Redis has lost its entries
                self._miss()
            return
        for entry in found[0][1]:
            number, former = _number(entry), self._last
            if number > MOST_NUMBER or not entry[0].endswith("-0"):
                await self._begin_again(connection, key, f"{entry[0]} in it is no notice")
                return
            self._last = number
            if number != former + 1:
                self._miss()
            self._hand_on(entry, name)

    async def _begin_again(self, connection: RedisConnection, key: str, why: str) -> None:
        """Remove an inbox in which other programs have written: no notice could follow, or be read."""
        self.log.error("{key} in Redis begins anew: {why}", key=key, why=why)
        await connection.ask("DEL", key)
        self._last = 0
        self._miss()

    def _hand_on(self, entry: Any, name: str) -> None:
        try:
            notice = read_notice(entry[1][1])
        except (IndexError, *POISON):
            self.log.error(
                "{entry} in {key} is no notice: skipped", entry=entry[0], key=inbox_key(name)
            )
            return
        try:
            self._listener.noticed(notice)
        except Exception:  # the next notices are for other clients
            self.log.failure(
                "{entry} in {key} could not be handled", entry=entry[0], key=inbox_key(name)
            )

    def _miss(self) -> None:
        self.log.warn("notices of other servers were lost before they were read")
        self._listener.missed()


def _number(entry: Any) -> int:
    return int(entry[0].partition("-")[0])

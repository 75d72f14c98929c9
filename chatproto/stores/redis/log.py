"""Log shared by several servers in Redis: a stream of lines, and a snapshot of all before it.

Redis keys: `chatproto:key` (of the servers), `chatproto:log` (the stream), `chatproto:picture`
(position of the last snapshot), `chatproto:picture:ID` (its lines).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from chatproto.stores.redis.client import LOST, RedisConnection, connected
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.bcp2_common import KEY as KEY_NAME
from chatproto.wire.errors import StoreTrouble

KEY, LOG, PICTURE = "chatproto:key", "chatproto:log", "chatproto:picture"
POSITION = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
LAST_MOMENT = 253_370_764_800.0
"""The year 9999: an entry that claims to be later counts as of then."""
AT_ONCE = 100
"""Entries that are read at once."""
BLOCK = 1000
"""Milliseconds that a read waits for something."""
LOOK_BACK = 1.0
"""Seconds after which it is looked whether what was read then is still there."""
SOONEST, LATEST = 0.1, 1.0
"""Seconds between two tries to connect."""
KEPT_ON = 600
"""Seconds that the last picture but one is kept, for those who are reading it; and twice that, one
that is being written."""
PUT = """
local function number(id)
  local at, count = string.match(id, '(%d+)-(%d+)')
  return tonumber(at), tonumber(count)
end
local former = redis.call('GET', KEYS[1])
if former then
  local at, count = number(former)
  local new, newer = number(ARGV[1])
  if at > new or (at == new and count >= newer) then return 0 end
  redis.call('EXPIRE', KEYS[1] .. ':' .. former, ARGV[2])
  redis.call('XTRIM', KEYS[3], 'MINID', former)
end
redis.call('PERSIST', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
"""Put a picture that is whole in the place of an older one, and forget what was before that one."""


def _number(position: str) -> tuple[int, ...]:
    """The id of an entry, to compare it with others."""
    return tuple(map(int, position.split("-")))


def entry_line(told: list[Any]) -> str:
    """Return the line in a stream entry, or "" if another program wrote the entry."""
    return told[1] if len(told) == 2 and isinstance(told[1], str) else ""


def entry_time(position: str) -> float:
    """Return the time of a stream entry, in seconds since 1970."""
    return min(_number(position)[0] / 1000, LAST_MOMENT)


def is_position(text: object) -> bool:
    """Return True if `text` is the id of an entry."""
    return isinstance(text, str) and POSITION.fullmatch(text) is not None


class Listener(Protocol):
    """Reader of the log. `missed` is the exception that `read` raises to start over."""

    @property
    def missed(self) -> type[Exception]: ...

    def begin(self, lines: list[str]) -> None:
        """Begin with a picture, or with nothing. Raises ValueError for one that cannot be read."""

    def read(self, entries: list[tuple[float, str]]) -> None:
        """The next lines, with their times; none for a sign of life."""

    def came_up(self) -> None:
        """Note that everything written before the connection was made has been read."""


class RedisLog(Service):
    """Reads the log while it runs, and connects again whenever it must.

    `key`: the name of the servers' key. `unfit` is told, in a sentence, why this server may not use
    this Redis; `missing`, again and again, that it is not there.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        place: RedisUrl,
        key: str,
        unfit: Callable[[str], None],
        missing: Callable[[], None] = lambda: None,
    ) -> None:
        self.listener: Listener | None = None
        self.why = ""
        """Why it is away; empty: it is there, or nothing is known of it yet."""
        self._reactor = reactor
        self._place = place
        self._key = key
        self._unfit = unfit
        self._missing = missing
        self._last = ""
        self._writer: RedisConnection | None = None
        self._running: Deferred[None] | None = None
        self._told = False
        self._seen = ""  # what was read some time ago, and is there still
        self._seen_at = 0.0

    def startService(self) -> None:
        super().startService()
        self._running = ensureDeferred(self._run())
        self._running.addErrback(self._failed)

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        running, self._running = self._running, None
        if running is not None:
            self._reactor.callLater(0, running.cancel)  # it may be what is running just now
        return running

    # What its owner asks.

    def append(self, line: str) -> Deferred[Any]:
        """Put `line` at the end; fails with StoreTrouble if that was not done, with anything else if it
        may have been."""
        return ensureDeferred(self._append(line))

    async def _append(self, line: str) -> Any:
        return await self._connected().ask("XADD", LOG, "*", "b", line)

    def keep(self, lines: Iterator[str]) -> Deferred[int]:
        """Keep the picture `lines` of what has been read up to now; fires with its size in bytes."""
        return ensureDeferred(self._keep(lines, self._last))

    async def _keep(self, lines: Iterator[str], last: str) -> int:
        writer, name, size = self._connected(), f"{PICTURE}:{last}", 0
        await writer.ask("DEL", name)  # of a try that was not finished
        for line in lines:
            size += len(line)
            if await writer.ask("RPUSH", name, line) == 1:
                await writer.ask("EXPIRE", name, str(2 * KEPT_ON))
        await writer.ask("EVAL", PUT, "3", PICTURE, name, LOG, last, str(KEPT_ON))
        return size

    def _connected(self) -> RedisConnection:
        """Return the connection to write to. Raises StoreTrouble if there is none."""
        if self._writer is None:
            raise StoreTrouble("no connection to Redis")
        return self._writer

    # How it runs.

    async def _run(self) -> None:
        wait = SOONEST
        while self.running:
            try:
                async with (
                    connected(self._reactor, self._place) as reader,
                    connected(self._reactor, self._place) as writer,
                ):
                    await self._check(writer)
                    self._writer = writer
                    await self._find(reader)
                    wait = SOONEST
                    await self._read_on(reader)
            except LOST as error:
                self._tell(error)
            finally:
                self._writer = None
            self._missing()
            await deferLater(self._reactor, wait, lambda: None)
            wait = min(LATEST, wait * 2)

    def _failed(self, failure: Any) -> None:
        if self.running:
            self.log.failure("the log can no longer be read", failure)
            self._unfit(f"{self._place} cannot be read: {failure.getErrorMessage()}")

    def _tell(self, error: BaseException) -> None:
        """Log the reason, once for each time that Redis is away."""
        self.why = str(error)
        if not self._told:
            self._told = True
            self.log.error("{place} is not reachable: {why}", place=self._place, why=error)

    async def _check(self, connection: RedisConnection) -> None:
        """People know their server by its key, and these are the names that they know."""
        await connection.ask("SETNX", KEY, self._key)
        known = await connection.ask("GET", KEY)
        if known != self._key:
            shown = (
                known
                if isinstance(known, str) and KEY_NAME.fullmatch(known)
                else "of other servers"
            )
            self._unfit(
                f"{self._place} belongs to servers with the key {shown}, this server has"
                f" {self._key}: copy their key.pem here, or use another database"
            )

    async def _find(self, reader: RedisConnection) -> None:
        """Find where to read on: after the last entry read if it still exists, else at a snapshot."""
        assert self.listener is not None
        if self._last and await self._is_there(reader, self._last):
            return
        position = await reader.ask("GET", PICTURE)
        if position is not None and not is_position(position):
            raise StoreTrouble(f"{PICTURE} names no entry of the log: restore a backup")
        if position is None and await self._is_cut(reader):
            raise StoreTrouble(
                f"the beginning of {LOG} is missing and there is no snapshot of it: restore a backup"
            )
        lines: list[str] = []
        while position is not None:
            name = f"{PICTURE}:{position}"
            more = await reader.ask("LRANGE", name, str(len(lines)), str(len(lines) + AT_ONCE - 1))
            lines += more
            if len(more) < AT_ONCE:
                break
        if position is not None and not (lines and await self._is_there(reader, position)):
            raise StoreTrouble("the snapshot changed while it was read")
        self._last = ""
        try:
            self.listener.begin(lines)
        except ValueError as error:
            raise StoreTrouble(f"the snapshot cannot be read: {error}") from None
        self._last = position or "0-0"

    async def _is_there(self, reader: RedisConnection, position: str) -> bool:
        if position == "0-0":
            return False
        return bool(await reader.ask("XRANGE", LOG, position, position))

    async def _is_cut(self, reader: RedisConnection) -> bool:
        """Return True if the beginning of the stream was deleted."""
        if not await reader.ask("EXISTS", LOG):
            return False
        told = await reader.ask("XINFO", "STREAM", LOG)
        facts = dict(zip(told[::2], told[1::2], strict=False))
        return bool(facts.get("entries-added", 0) > facts["length"])

    async def _look_back(self, reader: RedisConnection) -> None:
        """Check now and then that entries already read still exist.

        Emptying Redis breaks no connection, so nothing else would notice it.
        """
        now = self._reactor.seconds()
        if now - self._seen_at < LOOK_BACK and (self._seen or self._last == "0-0"):
            return
        if self._seen and not await self._is_there(reader, self._seen):
            picture = await reader.ask("GET", PICTURE)
            explained = is_position(picture) and _number(picture) >= _number(self._seen)
            # Where somebody has cut off its beginning, what follows is all there still.
            if not explained and not await self._is_cut(reader):
                self._last = ""
                raise StoreTrouble(f"the entries of {LOG} are missing")
        self._seen_at, self._seen = now, "" if self._last == "0-0" else self._last

    async def _read_on(self, reader: RedisConnection) -> None:
        assert self.listener is not None
        up, self._seen, self._seen_at = False, "", 0.0
        while True:
            await self._look_back(reader)
            how = () if not up else ("BLOCK", str(BLOCK))
            found = await reader.ask(
                "XREAD", "COUNT", str(AT_ONCE), *how, "STREAMS", LOG, self._last
            )
            entries = found[0][1] if found else []
            if entries:
                last = entries[-1][0]
                lines = [(entry_time(id), entry_line(told)) for id, told in entries]
                self._last, before = last, self._last
                try:
                    self.listener.read(lines)
                except self.listener.missed:
                    self._last = ""
                    raise StoreTrouble(f"entries are missing after {before}") from None
            else:
                self.listener.read([])
            if not up and len(entries) < AT_ONCE:
                up, self.why = True, ""
                if self._told:
                    self._told = False
                    self.log.info("{place} is reachable again", place=self._place)
                self.listener.came_up()

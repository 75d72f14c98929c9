"""Store rooms in memory: they end with the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

from chatproto.rooms.history import (
    HistoryPage,
    RoomLine,
    check_range,
    first_page,
    last_page,
    next_number,
)
from chatproto.rooms.policy import RoomPolicy
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

LINE_BYTES = 200
"""Approximate number of bytes of memory that a line takes besides its text."""


class MemoryRoomLog:
    """History of one room; every number from `since` to `last` belongs to a stored line."""

    def __init__(self) -> None:
        self.lines: deque[RoomLine] = deque()
        self.size = 0
        self.last = 0
        self.since = 0

    def add(self, line: RoomLine) -> int:
        self.lines.append(line)
        size = weight(line)
        self.size += size
        return size

    def drop(self) -> int:
        """Remove the oldest line; return the number of bytes freed."""
        line = self.lines.popleft()
        self.since = line.number + 1
        size = weight(line)
        self.size -= size
        return size


def weight(line: RoomLine) -> int:
    """Estimate the memory that a line takes, in bytes."""
    return LINE_BYTES + len(line.text.encode())


class MemoryRooms:
    """A `rooms.history.RoomStore` in dictionaries."""

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._limits = limits
        self._logs: dict[str, MemoryRoomLog] = {}
        self._kept: dict[str, RoomPolicy] = {}
        self._size = 0

    def append(self, room: str, sender: str, at: float, text: str, keep: bool = True) -> int:
        log = self.log(room)
        number = next_number(log.last, at)
        if not log.last:
            log.since = number
        log.last = number
        if not keep:
            self._empty(log)
            return number
        self._size += log.add(RoomLine(number, sender, at, text))
        if len(log.lines) > self._limits.room_history:
            self._size -= log.drop()
        if self._size > self._limits.history_bytes:
            self._make_room()
        return number

    def settle(self) -> None: ...

    def image(self) -> tuple[list[Any], list[Any]]:
        """Return `[room, since, last]` of each log, and every line with its room before it."""
        logs = list(self._logs.items())
        heads = [[room, log.since, log.last] for room, log in logs]
        return heads, [(room, line) for room, log in logs for line in log.lines]

    def load(self, heads: list[Any], lines: list[Any]) -> None:
        """Fill an empty store from the two parts of `image`."""
        for room, since, last in heads:
            log = self.log(room)
            log.since, log.last = since, last
        for room, line in lines:
            self._size += self.log(room).add(RoomLine(*line))

    def log(self, room: str) -> MemoryRoomLog:
        """Return the history of `room`, empty if it has none."""
        log = self._logs.get(room)
        if log is None:
            log = self._logs[room] = MemoryRoomLog()
        return log

    def page(
        self, room: str, after: int | None, before: int | None, limit: int, size: int
    ) -> HistoryPage:
        log = self._logs.get(room) or MemoryRoomLog()
        check_range(after, before, log.since, log.last)
        if after is not None:
            wanted = islice(log.lines, max(0, after + 1 - log.since), None)
            return first_page(wanted, limit, size)
        end = len(log.lines) if before is None else min(len(log.lines), before - log.since)
        return last_page(islice(reversed(log.lines), len(log.lines) - end, None), limit, size)

    def last(self, room: str) -> int:
        log = self._logs.get(room)
        return log.last if log is not None else 0

    def expire(self, before: float, most: int = 1_000_000) -> int:
        gone = 0
        for log in self._logs.values():
            while gone < most and log.lines and log.lines[0].at < before:
                self._size -= log.drop()
                gone += 1
        return gone

    def rooms(self) -> Iterable[RoomPolicy]:
        return tuple(self._kept.values())

    def keep(self, room: RoomPolicy) -> None:
        self._kept[room.name] = room

    def forget(self, room: str) -> None:
        self._kept.pop(room, None)
        log = self._logs.pop(room, None)
        if log is not None:
            self._size -= log.size

    def _empty(self, log: MemoryRoomLog) -> None:
        """Remove the whole history: a message that is not stored would leave a gap."""
        self._size -= log.size
        log.lines.clear()
        log.size = 0
        log.since = log.last + 1

    def _make_room(self) -> None:
        """Remove half of the largest history, so that this is seldom needed."""
        log = max(self._logs.values(), key=lambda one: one.size)
        for _ in range((len(log.lines) + 1) // 2):
            self._size -= log.drop()

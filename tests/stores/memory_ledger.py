"""Keep one user's conversations in memory; lost when the process ends."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace

from chatproto.session.ledger import (
    HEARD,
    LINE_BYTES,
    MSG,
    OVERHEARD,
    ROOM_AT_ONCE,
    UNCERTAIN,
    WAITING,
    LogLine,
    StreamEntry,
    StreamState,
)
from chatproto.stores.sqlite_ledger import clamp, out_of_order
from chatproto.wire.limits import CLIENT_DEFAULTS

WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class QueuedEntry:
    """An entry in the outbox: what they were called then, and its line in the log, 0 if it has none."""

    entry: StreamEntry
    name: str
    line: int


@dataclass(slots=True)
class Side:
    """State of the stream with one key, without its history."""

    state: StreamState
    outbox: dict[int, QueuedEntry] = field(default_factory=dict)  # by ID, which only rises


class MemoryLedger:
    """A `peer.ledger.Ledger` in dictionaries; without `log` no line of the log is ever written."""

    def __init__(self, *, log: bool = True, most: int = CLIENT_DEFAULTS.person_log) -> None:
        self._log = log
        self._most = most  # bytes of the lines of one person
        self._logged: dict[str, int] = {}
        self._full: set[str] = set()
        self._thinned: dict[str, bool] = {}  # whether that is still to be told
        self._sides: dict[str, Side] = {}
        self._lines: dict[int, LogLine] = {}  # by number, which only rises
        self._last = 0
        self._shown = 0

    def state(self, key: str) -> StreamState | None:
        side = self._sides.get(key)
        return side.state if side else None

    def begin(self, key: str, stream: str) -> None:
        side = self._sides.get(key)
        if side is None:
            self._sides[key] = Side(StreamState(stream))
            return
        side.state = replace(side.state, stream=stream, written=0)
        side.outbox = {id: kept for id, kept in side.outbox.items() if not kept.entry.withdrawn}

    def add(self, key: str, name: str, entry: StreamEntry) -> float:
        side = self._sides.get(key)
        if side is None or entry.id <= side.state.last:
            raise out_of_order(key, entry)
        line = self._write(key, name, entry, WAITING)
        side.state = replace(side.state, last=entry.id)
        side.outbox[entry.id] = QueuedEntry(entry, name, line)
        return 0.0

    def entries(self, key: str) -> tuple[StreamEntry, ...]:
        side = self._sides.get(key)
        return tuple(kept.entry for kept in side.outbox.values()) if side else ()

    def wrote(self, key: str, id: int) -> None:
        side = self._sides.get(key)
        if side is not None and id > side.state.written:
            side.state = replace(side.state, written=id)

    def settle(self, key: str, ids: tuple[int, ...], state: str) -> None:
        outbox = self._sides[key].outbox if key in self._sides else {}
        for id in ids:
            kept = outbox.pop(id, None)
            if kept is not None:
                self._mark(kept.line, state)

    def withdraw(self, key: str, id: int) -> None:
        side = self._sides.get(key)
        kept = side.outbox.get(id) if side else None
        if kept is not None:
            kept.entry = replace(kept.entry, text="", withdrawn=True)
            self._mark(kept.line, UNCERTAIN)

    def meet(self, key: str, stream: str) -> None:
        side = self._sides.get(key)
        if side is not None and side.state.their_stream != stream:
            side.state = replace(side.state, their_stream=stream, have=0)

    def store_incoming(self, key: str, name: str, entry: StreamEntry) -> int:
        side = self._sides.get(key)
        if side is None or entry.id <= side.state.have:
            raise out_of_order(key, entry)
        side.state = replace(side.state, have=entry.id)
        number = self._write(key, name, entry, HEARD)
        if number:
            size = LINE_BYTES + len(entry.text.encode())
            self._logged[key] = self._logged.get(key, 0) + size
            if self._logged[key] > self._most:
                self._make_room(key)
        return number

    def is_full(self, key: str) -> bool:
        return key in self._full

    def was_thinned(self, key: str) -> bool:
        untold = self._thinned.get(key, False)
        if untold:
            self._thinned[key] = False
        return untold

    def _make_room(self, key: str) -> None:
        read = [
            line
            for line in self._lines.values()
            if line.key == key and line.state == HEARD and line.number <= self._shown
        ]
        for line in read[:ROOM_AT_ONCE]:
            if self._logged[key] <= self._most:
                break
            del self._lines[line.number]
            self._logged[key] -= LINE_BYTES + len(line.text.encode())
            self._thinned.setdefault(key, True)
        if self._logged[key] > self._most:
            self._full.add(key)

    def overheard(self, room: str, name: str, entry: StreamEntry, most: int) -> None:
        self._write(room, name, entry, OVERHEARD)
        lines = [number for number, line in self._lines.items() if line.key == room]
        if len(lines) > most + most // 10:
            for number in lines[: len(lines) - most]:
                del self._lines[number]

    def set_turn(self, key: str, turn: str) -> None:
        side = self._sides.get(key)
        if side is not None:
            side.state = replace(side.state, turn=turn)

    def waiting(self) -> tuple[tuple[str, str, int], ...]:
        found = []
        for key, side in sorted(self._sides.items()):
            names = [kept.name for kept in side.outbox.values() if _waits(kept.entry)]
            if names:
                found.append((key, names[-1], len(names)))
        return tuple(found)

    def history(self, key: str, most: int, before: int = 0) -> tuple[LogLine, ...]:
        found = [line for line in self._lines.values() if line.key == key]
        return latest([line for line in found if not before or line.number < before], most)

    def search(self, words: str, most: int) -> tuple[LogLine, ...]:
        wanted = [one for one in (_tokens(word) for word in words.split()) if one]
        if not wanted:
            return ()
        return latest([line for line in self._lines.values() if _contains(line.text, wanted)], most)

    def unshown(self) -> tuple[LogLine, ...]:
        lines = self._lines.values()
        return tuple(line for line in lines if line.state == HEARD and line.number > self._shown)

    def shown(self, number: int) -> None:
        self._full.clear()
        self._shown = max(self._shown, number)

    def close(self) -> None:
        pass

    def _write(self, key: str, name: str, entry: StreamEntry, state: str) -> int:
        """Put a message into the log; the number of its line, 0 for what gets none."""
        if not self._log or entry.kind != MSG:
            return 0
        self._last = number = self._last + 1
        self._lines[number] = LogLine(number, key, name, entry.id, entry.at, entry.text, state)
        return number

    def _mark(self, number: int, state: str) -> None:
        if number:
            self._lines[number] = replace(self._lines[number], state=state)


def latest(lines: list[LogLine], most: int) -> tuple[LogLine, ...]:
    """The last `most` of `lines`."""
    return tuple(lines[max(0, len(lines) - clamp(most)) :])


def _waits(entry: StreamEntry) -> bool:
    return entry.kind == MSG and not entry.withdrawn


def _tokens(text: str) -> list[str]:
    """The words of `text` without case, accents and punctuation: what search compares."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    plain = "".join(one for one in decomposed if not unicodedata.combining(one))
    return WORD.findall(plain)


def _contains(text: str, wanted: list[list[str]]) -> bool:
    """Return True if `text` contains each of the phrases in `wanted`, word by word."""
    have = f" {' '.join(_tokens(text))} "
    return all(f" {' '.join(one)} " in have for one in wanted)

"""Store rooms and their messages in an SQLite file."""

from __future__ import annotations

import json
from collections.abc import Iterable

from chatproto.net.rebase import Shift
from chatproto.rooms.history import (
    HistoryPage,
    RoomLine,
    check_range,
    first_page,
    last_page,
    next_number,
)
from chatproto.rooms.policy import RoomPolicy
from chatproto.stores.checks import check_room, is_line, policy_fields, read_policy
from chatproto.stores.sqlite_file import SqliteFile
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits
from chatproto.wire.values import value_class

INSERT = "INSERT INTO lines VALUES (?, ?, ?, ?, ?)"
SET_NUMBERS = "REPLACE INTO room_numbers (room, since, last) VALUES (?, ?, ?)"
FORGET_BEFORE = "DELETE FROM lines WHERE room = ? AND number < ?"
THIN_OUT_EVERY = 64
"""Lines that are removed at a time because newer ones replace them; until then they are not shown."""


@value_class
class Numbers:
    """Every number of a room from `since` to `last` belongs to a stored line.

    `oldest`: date of the first of them, or of an earlier line.
    """

    since: int = 0
    last: int = 0
    oldest: float = 0.0


UNKNOWN = Numbers()


class SqliteRooms:
    """A `rooms.history.RoomStore` in the tables `rooms`, `room_numbers` and `lines`.

    The numbers are in memory too, and only there up to date: the file has the last line of a room, or
    in `room_numbers` the number of the last message without history. Messages are stored as long as
    `limits.room_history` allows, however much that is in all: `limits.history_bytes` is for memory.
    """

    def __init__(self, file: SqliteFile, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._file = file
        self._most = max(1, limits.room_history)
        self._numbers: dict[str, Numbers] = {}
        self._said: list[tuple[str, int, str, float, str]] = []
        """Lines that are not in the file yet."""
        self._before: dict[str, Numbers | None] = {}
        """State of the rooms before these lines, for a write that fails."""
        self._outgrown: set[str] = set()
        """Rooms of which the file needs more than the new lines."""
        for room, since, last, kept, oldest in file.read(
            "SELECT room, since, last,"
            " (SELECT max(number) FROM lines WHERE lines.room = numbers.room),"
            " (SELECT min(at) FROM lines WHERE lines.room = numbers.room AND number >= since)"
            " FROM room_numbers AS numbers"
        ):
            last = max(last, kept or 0)
            self._numbers[room] = Numbers(max(since, last - self._most + 1), last, oldest or 0.0)

    def append(self, room: str, sender: str, at: float, text: str, keep: bool = True) -> int:
        known = self._numbers.get(room)
        number = next_number(known.last if known else 0, at)
        oldest = known.oldest if known and known.since <= known.last else at
        since = max(known.since if known else number, number - self._most + 1)
        if not keep:
            since = number + 1  # this line is not stored, so all earlier ones must be removed
        else:
            self._said.append((room, number, sender, at, text))
        if not (keep and known and (since == known.since or number % THIN_OUT_EVERY)):
            self._outgrown.add(room)
        self._before.setdefault(room, known)
        self._numbers[room] = Numbers(since, number, oldest)
        return number

    def settle(self) -> None:
        if not self._before:
            return
        said, before, outgrown = self._said, self._before, self._outgrown
        self._said, self._before, self._outgrown = [], {}, set()
        try:
            if len(said) == 1 and not outgrown:
                self._file.write(INSERT, *said[0])
            else:
                self._write(said, outgrown)
        except StoreTrouble:
            for room, known in before.items():
                if known is None:
                    del self._numbers[room]
                else:
                    self._numbers[room] = known
            raise

    def _write(self, said: list[tuple[str, int, str, float, str]], outgrown: set[str]) -> None:
        with self._file.transaction() as db:
            db.executemany(INSERT, said)
            for room in outgrown:
                numbers = self._numbers[room]
                db.execute(FORGET_BEFORE, (room, numbers.since))
                db.execute(SET_NUMBERS, (room, numbers.since, numbers.last))

    def page(
        self, room: str, after: int | None, before: int | None, limit: int, size: int
    ) -> HistoryPage:
        self.settle()
        numbers = self._numbers.get(room, UNKNOWN)
        since, last = numbers.since, numbers.last
        check_range(after, before, since, last)
        if after is not None:
            return first_page(self._lines(room, since, after, "> ? ORDER BY number"), limit, size)
        end = last + 1 if before is None else before
        return last_page(self._lines(room, since, end, "< ? ORDER BY number DESC"), limit, size)

    def last(self, room: str) -> int:
        return self._numbers.get(room, UNKNOWN).last

    def expire(self, before: float, most: int = 1_000_000) -> int:
        self.settle()
        gone = 0
        for room, numbers in tuple(self._numbers.items()):
            if gone >= most:
                break
            if numbers.oldest >= before or numbers.since > numbers.last:
                continue
            further = self._file.read(
                "SELECT number, at FROM lines WHERE room = ? AND number >= ?"
                " ORDER BY number LIMIT 1 OFFSET ?",
                *(room, numbers.since, most - gone),
            )
            if further and further[0][1] < before:  # the rest the next time
                since, oldest = further[0]
                with self._file.transaction() as db:
                    db.execute(FORGET_BEFORE, (room, since))
                    db.execute(SET_NUMBERS, (room, since, numbers.last))
                self._numbers[room] = Numbers(since, numbers.last, oldest)
                return most
            first = self._file.read(
                "SELECT number, at FROM lines WHERE room = ? AND number >= ? AND at >= ?"
                " ORDER BY number LIMIT 1",
                *(room, numbers.since, before),
            )
            since, oldest = first[0] if first else (numbers.last + 1, 0.0)
            if since > numbers.since:
                with self._file.transaction() as db:
                    db.execute(FORGET_BEFORE, (room, since))
                    db.execute(SET_NUMBERS, (room, since, numbers.last))
                gone += since - numbers.since
            self._numbers[room] = Numbers(since, numbers.last, oldest)
        return gone

    def rooms(self) -> Iterable[RoomPolicy]:
        rows = self._file.read("SELECT name, kept FROM rooms")
        return tuple(read_policy(name, json.loads(kept)) for name, kept in rows)

    def check(self) -> None:
        """Raise the error of reading if a row is not a valid room."""
        for kept in self.rooms():
            check_room(kept)

    def keep(self, room: RoomPolicy) -> None:
        kept = json.dumps(policy_fields(room))
        self._file.write("REPLACE INTO rooms VALUES (?, ?)", room.name, kept)

    def forget(self, room: str) -> None:
        self.settle()
        with self._file.transaction() as db:
            db.execute("DELETE FROM rooms WHERE name = ?", (room,))
            db.execute("DELETE FROM room_numbers WHERE room = ?", (room,))
            db.execute("DELETE FROM lines WHERE room = ?", (room,))
        self._numbers.pop(room, None)

    def _lines(self, room: str, since: int, number: int, where: str) -> Iterable[RoomLine]:
        """Yield the lines from `since` one by one, because they may be large."""
        query = (
            "SELECT number, sender, at, text FROM lines"
            f" WHERE room = ? AND number >= ? AND number {where}"
        )
        for row in self._file.each(query, room, since, number):
            line = RoomLine._make(row)
            if not is_line(*line):
                raise self._file.damaged()
            yield line


def moved_room(text: str, shift: Shift) -> str:
    """Return the row `text` of a room with its times shifted; one that cannot be read is unchanged."""
    try:
        fields = json.loads(text)
        fields["used"] += shift.ages
        for pairs in ("ops", "mutes", "invited"):
            fields[pairs] = [[key, until + shift.dates] for key, until in fields[pairs]]
        for ban in fields["bans"]:
            ban[2] += shift.dates
    except (ValueError, TypeError, KeyError, IndexError):
        return text
    return json.dumps(fields)

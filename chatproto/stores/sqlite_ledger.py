"""Store one user's conversations in an SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from sqlite3 import Connection

from chatproto.net.clock import Monotonic
from chatproto.net.rebase import LEAST, Seen, rebase
from chatproto.session.ledger import (
    HEARD,
    LINE_BYTES,
    MSG,
    OVERHEARD,
    ROOM_AT_ONCE,
    UNCERTAIN,
    WAITING,
    LedgerTrouble,
    LogLine,
    StreamEntry,
    StreamState,
)
from chatproto.stores.checks import is_line, is_text
from chatproto.stores.sqlite_file import Kind, Row, SqliteFile
from chatproto.wire.limits import CLIENT_DEFAULTS

LEDGER = Kind(
    application=0x63686174,  # `chat`
    program="chatclient",
    steps=(files("chatproto.stores").joinpath("ledger.sql").read_text(encoding="utf-8"),),
    trouble=LedgerTrouble,
    no_database="it is not an SQLite file; move it away",
    alone=False,  # its folder has a lock (`client/home.py`)
    opening_wait=1.0,
    lock_wait=1.0,
)

AGES = (
    "CREATE TABLE IF NOT EXISTS moved (key TEXT NOT NULL, id INTEGER NOT NULL,"
    " seconds REAL NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS seen (one INTEGER PRIMARY KEY, text TEXT NOT NULL)",
)
"""Beside the tables of version 1, so that older programs can open the file too: the difference between
the time and the date of each outbox entry, and when the file was written last (`net.rebase`).
"""
MOVE = (
    "INSERT INTO moved SELECT key, id, ? FROM outbox WHERE true"
    " ON CONFLICT (key, id) DO UPDATE SET seconds = seconds + excluded.seconds"
)
NOT_IN_THE_FUTURE = (
    "REPLACE INTO moved SELECT key, id, ? - at FROM outbox LEFT JOIN moved USING (key, id)"
    " WHERE at + coalesce(seconds, 0) > ?"
)
GONE = "DELETE FROM moved WHERE (key, id) NOT IN (SELECT key, id FROM outbox)"

LATER = 2**63 - 1
"""Number above those of all lines."""
MOST_LINES = 10_000
"""Largest number of log lines that one query returns."""


class SqliteLedger:
    """A `session.ledger.Ledger` in the file `path`, mode 0600, used by the calling thread.

    The result of a call survives the end of the process; a power failure may lose the last few calls.
    Without `log` no log line is written, and no text of the outbox: those are in memory, and their
    entries are removed when the file is opened again. `now`: clock by which outbox entries age, even if
    the system's clock is set; without it they age by their dates. Raises LedgerTrouble also in the
    constructor.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        log: bool = True,
        most: int = CLIENT_DEFAULTS.person_log,
        now: Callable[[], Monotonic] | None = None,
    ) -> None:
        self._log = log
        self._now = now
        self._most = most  # bytes of the lines of one peer
        self._full: set[str] = set()
        self._thinned: dict[str, bool] = {}  # True until that is reported
        self._texts: dict[tuple[str, int], str] = {}  # texts of the outbox, if there is no log
        self._rooms: dict[str, int] = {}  # number of log lines of each room
        self._file = SqliteFile(Path(path), LEDGER)
        try:
            with self._file.transaction() as db:
                for table in AGES:
                    db.execute(table)
            self._file.check_types("peers", "outbox", "meta", "moved", "seen")
            self._file.write("DELETE FROM outbox WHERE text IS NULL")
            self._size_up()
            self._rebase()
        except BaseException:
            self._file.close()
            raise

    def state(self, key: str) -> StreamState | None:
        rows = self._file.read(
            "SELECT stream, last, written, their_stream, have, turn FROM peers WHERE key = ?", key
        )
        return StreamState(*rows[0]) if rows else None

    def begin(self, key: str, stream: str) -> None:
        with self._file.transaction() as db:
            known = db.execute(
                "UPDATE peers SET stream = ?, written = 0 WHERE key = ?", (stream, key)
            )
            if known.rowcount:
                db.execute("DELETE FROM outbox WHERE key = ? AND withdrawn", (key,))
            else:
                db.execute("INSERT INTO peers (key, stream) VALUES (?, ?)", (key, stream))

    def add(self, key: str, name: str, entry: StreamEntry) -> float:
        in_memory = not self._log and entry.kind == MSG
        with self._file.transaction() as db:
            self._advance(db, "last", key, entry)
            line = self._write(db, key, name, entry, WAITING)
            text = None if in_memory else entry.text
            db.execute(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key, entry.id, entry.kind, entry.at, text, entry.withdrawn, name, line),
            )
            moved = 0.0
            if self._now is not None:
                moved = self._note_time(db, key, entry, self._now())
        if in_memory:
            self._texts[key, entry.id] = entry.text
        return moved

    def entries(self, key: str) -> tuple[StreamEntry, ...]:
        rows = self._file.read(
            "SELECT id, kind, at, text, withdrawn, coalesce(seconds, 0.0)"
            " FROM outbox LEFT JOIN moved USING (key, id) WHERE key = ? ORDER BY id",
            key,
        )
        return tuple(
            StreamEntry(
                id, kind, at, self._texts[key, id] if text is None else text, bool(gone), moved
            )
            for id, kind, at, text, gone, moved in rows
        )

    def wrote(self, key: str, id: int) -> None:
        self._file.write(
            "UPDATE peers SET written = ? WHERE key = ? AND written < ?", *(id, key, id)
        )

    def settle(self, key: str, ids: tuple[int, ...], state: str) -> None:
        with self._file.transaction() as db:
            self._mark(db, key, ids, state)
            db.executemany("DELETE FROM outbox WHERE key = ? AND id = ?", [(key, id) for id in ids])
        for id in ids:
            self._texts.pop((key, id), None)

    def withdraw(self, key: str, id: int) -> None:
        with self._file.transaction() as db:
            self._mark(db, key, (id,), UNCERTAIN)
            db.execute(
                "UPDATE outbox SET text = '', withdrawn = 1 WHERE key = ? AND id = ?", (key, id)
            )
        self._texts.pop((key, id), None)

    def meet(self, key: str, stream: str) -> None:
        self._file.write(
            "UPDATE peers SET their_stream = ?, have = 0 WHERE key = ? AND their_stream != ?",
            *(stream, key, stream),
        )

    def store_incoming(self, key: str, name: str, entry: StreamEntry) -> int:
        with self._file.transaction() as db:
            self._advance(db, "have", key, entry)
            number = self._write(db, key, name, entry, HEARD)
            if number:
                self._count(db, key, LINE_BYTES + len(entry.text.encode()))
            return number

    def is_full(self, key: str) -> bool:
        return key in self._full

    def was_thinned(self, key: str) -> bool:
        untold = self._thinned.get(key, False)
        if untold:
            self._thinned[key] = False
        return untold

    def overheard(self, room: str, name: str, entry: StreamEntry, most: int) -> None:
        if not self._log:
            return
        if room not in self._rooms:
            [(self._rooms[room],)] = self._file.read("SELECT count(*) FROM log WHERE key = ?", room)
        count = self._rooms[room] + 1
        with self._file.transaction() as db:
            self._write(db, room, name, entry, OVERHEARD)
            if count > most + most // 10:
                self._thin_out(db, room, most)
                count = most
        self._rooms[room] = count

    def set_turn(self, key: str, turn: str) -> None:
        self._file.write("UPDATE peers SET turn = ? WHERE key = ?", turn, key)

    def waiting(self) -> tuple[tuple[str, str, int], ...]:
        # With max() the other columns are those of its row.
        rows = self._file.read(
            "SELECT key, name, count(*), max(id) FROM outbox WHERE kind = ? AND NOT withdrawn"
            " GROUP BY key ORDER BY key",
            MSG,
        )
        return tuple((key, name, count) for key, name, count, _ in rows)

    def history(self, key: str, most: int, before: int = 0) -> tuple[LogLine, ...]:
        rows = self._file.read(
            "SELECT * FROM log WHERE key = ? AND number < ? ORDER BY number DESC LIMIT ?",
            *(key, min(before or LATER, LATER), clamp(most)),
        )
        return self._lines(reversed(rows))

    def search(self, words: str, most: int) -> tuple[LogLine, ...]:
        # Quoted, nothing in a word is an operator; a NUL would end the query.
        legible = words.encode("utf-8", "replace").decode().replace("\0", "?")
        wanted = ['"' + word.replace('"', '""') + '"' for word in legible.split()]
        if not wanted:
            return ()
        with self._file.transaction() as db:
            self._index(db)
        rows = self._file.read(
            "SELECT log.* FROM log WHERE number IN"
            " (SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?)"
            " ORDER BY number",
            *(" ".join(wanted), clamp(most)),
        )
        return self._lines(rows)

    def unshown(self) -> tuple[LogLine, ...]:
        rows = self._file.read(
            "SELECT * FROM log WHERE number > (SELECT value FROM meta WHERE name = 'shown')"
            " AND state = ? ORDER BY number",
            HEARD,
        )
        return self._lines(rows)

    def shown(self, number: int) -> None:
        self._full.clear()
        self._file.write(
            "UPDATE meta SET value = ? WHERE name = 'shown' AND value < ?", number, number
        )

    def close(self) -> None:
        if self._now is not None:
            try:
                with self._file.transaction() as db:
                    self._see(db, self._now())
            except LedgerTrouble:
                pass  # the next start assumes that it was written at the last message
        self._file.close()

    def _advance(self, db: Connection, number: str, key: str, entry: StreamEntry) -> None:
        """Advance a stream's `number`, `last` or `have`. Raises `out_of_order`."""
        query = f"UPDATE peers SET {number} = ? WHERE key = ? AND {number} < ?"
        if not db.execute(query, (entry.id, key, entry.id)).rowcount:
            raise out_of_order(key, entry)

    def _write(self, db: Connection, key: str, name: str, entry: StreamEntry, state: str) -> int:
        """Write a message into the log; return the number of its line, 0 if it gets none."""
        if not self._log or entry.kind != MSG:
            return 0
        written = db.execute(
            "INSERT INTO log (key, name, id, at, text, state) VALUES (?, ?, ?, ?, ?, ?)",
            (key, name, entry.id, entry.at, entry.text, state),
        )
        return written.lastrowid or 0

    def _rebase(self) -> None:
        """Translate the times of queued entries into this program's time; none is in the future."""
        if self._now is None:
            return
        with self._file.transaction() as db:
            now = self._now()
            db.execute(GONE)
            rows = db.execute("SELECT text FROM seen").fetchall()
            last = Seen.read(str(rows[0][0])) if rows else None
            shift = rebase(last, now, Seen.now(now)).ages
            if shift:
                db.execute(MOVE, (shift,))
            db.execute(NOT_IN_THE_FUTURE, (now, now))
            self._see(db, now)

    def _see(self, db: Connection, now: Monotonic) -> None:
        """Record that the file is written at `now`."""
        db.execute("REPLACE INTO seen VALUES (1, ?)", (Seen.now(now).text(),))

    def _note_time(self, db: Connection, key: str, entry: StreamEntry, now: Monotonic) -> float:
        """Store the difference between the date of a new entry and the time by which it ages; return
        that time.
        """
        self._see(db, now)
        moved = now - float(entry.at)
        if abs(moved) < LEAST:
            return 0.0
        db.execute("REPLACE INTO moved VALUES (?, ?, ?)", (key, entry.id, moved))
        return moved

    def _size_up(self) -> None:
        """Count once the contents of a log of an earlier version; `meta` stores the count from then on."""
        with self._file.transaction() as db:
            known = db.execute("SELECT 1 FROM meta WHERE name = 'sized'").fetchone()
            if known is None:
                db.execute(
                    "INSERT INTO meta SELECT 'logged ' || key,"
                    " sum(length(CAST(text AS BLOB)) + ?) FROM log WHERE state = ? GROUP BY key",
                    (LINE_BYTES, HEARD),
                )
                db.execute("INSERT INTO meta VALUES ('sized', 1)")

    def _count(self, db: Connection, key: str, size: int) -> None:
        """Count a written line of `key` with `size` bytes: make room if that is too much."""
        [(logged,)] = db.execute(
            "INSERT INTO meta VALUES ('logged ' || ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value",
            (key, size),
        ).fetchall()
        if logged <= self._most:
            return
        oldest = db.execute(
            "SELECT number, length(CAST(text AS BLOB)) FROM log WHERE key = ? AND state = ?"
            " AND number <= (SELECT value FROM meta WHERE name = 'shown') ORDER BY number LIMIT ?",
            (key, HEARD, ROOM_AT_ONCE),
        ).fetchall()
        freed, last = 0, 0
        for number, length in oldest:
            if logged - freed <= self._most:
                break
            freed, last = freed + length + LINE_BYTES, number
        if logged - freed > self._most:
            self._full.add(key)
        if freed:
            self._drop(db, key, last)
            db.execute(
                "UPDATE meta SET value = value - ? WHERE name = 'logged ' || ?", (freed, key)
            )
            self._thinned.setdefault(key, True)

    def _drop(self, db: Connection, key: str, last: int) -> None:
        """Remove the lines of `key` up to line `last`; the index needs their old contents."""
        of_them = "FROM log WHERE key = ? AND state = ? AND number <= ?"
        db.execute(
            f"INSERT INTO words (words, rowid, text) SELECT 'delete', number, text {of_them}"
            " AND number <= (SELECT value FROM meta WHERE name = 'indexed')",
            (key, HEARD, last),
        )
        db.execute(f"DELETE {of_them}", (key, HEARD, last))

    def _mark(self, db: Connection, key: str, ids: tuple[int, ...], state: str) -> None:
        """Set the lines of the entries `ids` to `state`."""
        db.executemany(
            "UPDATE log SET state = ?"
            " WHERE number = (SELECT line FROM outbox WHERE key = ? AND id = ?)",
            [(state, key, id) for id in ids],
        )

    def _lines(self, rows: Iterable[Row]) -> tuple[LogLine, ...]:
        """Check rows and return them as lines. Raises LedgerTrouble.

        The history is too long to be checked at the start.
        """
        found = []
        for number, key, name, id, at, text, state in rows:
            if not (is_line(number, text, at, name) and type(id) is int and is_text(key, state)):
                raise self._file.damaged()
            found.append(LogLine(number, key, name, id, at, text, state))
        return tuple(found)

    def _index(self, db: Connection) -> None:
        """Add new log lines to `words`: all at once costs a fiftieth of line by line."""
        db.execute(
            "INSERT INTO words (rowid, text) SELECT number, text FROM log"
            " WHERE number > (SELECT value FROM meta WHERE name = 'indexed')"
        )
        db.execute(
            "UPDATE meta SET value = (SELECT coalesce(max(number), 0) FROM log)"
            " WHERE name = 'indexed'"
        )

    def _thin_out(self, db: Connection, room: str, most: int) -> None:
        """Keep only the last `most` lines of `room`. The index needs the old contents of the others."""
        self._index(db)
        old = (
            "FROM log WHERE key = ? AND number <="
            " (SELECT number FROM log WHERE key = ? ORDER BY number DESC LIMIT 1 OFFSET ?)"
        )
        told = f"INSERT INTO words (words, rowid, text) SELECT 'delete', number, text {old}"
        db.execute(told, (room, room, most))
        db.execute(f"DELETE {old}", (room, room, most))


def out_of_order(key: str, entry: StreamEntry) -> LedgerTrouble:
    """Return the error for a message number out of order, or for a stream that was never begun."""
    return LedgerTrouble(f"message {entry.id} is out of order in the log of {key}")


def clamp(most: int) -> int:
    """Limit a requested number of history lines to `MOST_LINES`."""
    return max(0, min(most, MOST_LINES))

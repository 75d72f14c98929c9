"""What one person's program remembers of its conversations, in a file of SQLite."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from chatproto.peer.ledger import (
    HEARD,
    MSG,
    OVERHEARD,
    UNCERTAIN,
    WAITING,
    Entry,
    LedgerTrouble,
    Line,
    Standing,
)
from chatproto.stores.memory_ledger import clamp, out_of_order

APPLICATION = 0x63686174
"""`chat`, in the header of the file: what is another program's is left alone."""

STEPS = (files("chatproto.stores").joinpath("ledger.sql").read_text(encoding="utf-8"),)
"""What leads from each version to the next; the first makes version 1 of an empty file."""

LOCK_WAIT = 1.0
"""Seconds for which another program that reads the file may hold up ours."""

LATER = 2**63 - 1
"""A number that no line reaches."""

REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; put it aside, or a copy of it back",
    sqlite3.SQLITE_NOTADB: "it is no ledger; put it aside",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_CANTOPEN: "it, or its folder, may not be opened and written",
    sqlite3.SQLITE_BUSY: "another program is writing it",
    sqlite3.SQLITE_IOERR: "the disk could not be read or written",
}
"""By SQLite's code; any other is told in SQLite's own words."""


class SqliteLedger:
    """A `peer.ledger.Ledger` in the file `path`, mode 0600, on the thread that calls.

    What a call has done survives the end of the process, however it ends; a failing power supply may
    cost the last few calls. Without `log` no line of the log is written, and no text of the outbox:
    those are kept in memory, and what is left of them is removed when the file is opened again.
    Raises LedgerTrouble also when it is made.
    """

    def __init__(self, path: Path | str, *, log: bool = True) -> None:
        self._path = Path(path)
        self._log = log
        self._texts: dict[tuple[str, int], str] = {}  # of the outbox, if there is no log
        self._rooms: dict[str, int] = {}  # how many lines each has in the log
        with self._troubles():
            _make_private(self._path)
            self._db = sqlite3.connect(
                self._path, timeout=LOCK_WAIT, isolation_level=None, cached_statements=64
            )
            try:
                upgrade(self._db, self._path, STEPS)
                with self._transaction():
                    self._db.execute("DELETE FROM outbox WHERE text IS NULL")
            except BaseException:
                self._db.close()
                raise

    def standing(self, key: str) -> Standing | None:
        rows = self._read(
            "SELECT stream, last, written, their_stream, have, turn FROM peers WHERE key = ?", key
        )
        return Standing(*rows[0]) if rows else None

    def begin(self, key: str, stream: str) -> None:
        with self._transaction() as db:
            known = db.execute(
                "UPDATE peers SET stream = ?, written = 0 WHERE key = ?", (stream, key)
            )
            if known.rowcount:
                db.execute("DELETE FROM outbox WHERE key = ? AND withdrawn", (key,))
            else:
                db.execute("INSERT INTO peers (key, stream) VALUES (?, ?)", (key, stream))

    def add(self, key: str, name: str, entry: Entry) -> None:
        in_memory = not self._log and entry.kind == MSG
        with self._transaction() as db:
            begun = db.execute(
                "UPDATE peers SET last = ?1 WHERE key = ?2 AND last < ?1", (entry.id, key)
            )
            if not begun.rowcount:
                raise out_of_order(key, entry)
            line = self._write(key, name, entry, WAITING)
            text = None if in_memory else entry.text
            db.execute(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key, entry.id, entry.kind, entry.at, text, entry.withdrawn, name, line),
            )
        if in_memory:
            self._texts[key, entry.id] = entry.text

    def entries(self, key: str) -> tuple[Entry, ...]:
        rows = self._read(
            "SELECT id, kind, at, text, withdrawn FROM outbox WHERE key = ? ORDER BY id", key
        )
        return tuple(
            Entry(id, kind, at, self._texts[key, id] if text is None else text, bool(withdrawn))
            for id, kind, at, text, withdrawn in rows
        )

    def wrote(self, key: str, id: int) -> None:
        with self._troubles():
            self._db.execute(
                "UPDATE peers SET written = ?1 WHERE key = ?2 AND written < ?1", (id, key)
            )

    def settle(self, key: str, ids: tuple[int, ...], state: str) -> None:
        with self._transaction() as db:
            self._mark(key, ids, state)
            db.executemany("DELETE FROM outbox WHERE key = ? AND id = ?", [(key, id) for id in ids])
        for id in ids:
            self._texts.pop((key, id), None)

    def withdraw(self, key: str, id: int) -> None:
        with self._transaction() as db:
            self._mark(key, (id,), UNCERTAIN)
            db.execute(
                "UPDATE outbox SET text = '', withdrawn = 1 WHERE key = ? AND id = ?", (key, id)
            )
        self._texts.pop((key, id), None)

    def meet(self, key: str, stream: str) -> None:
        with self._troubles():
            self._db.execute(
                "UPDATE peers SET their_stream = ?1, have = 0 WHERE key = ?2 AND their_stream != ?1",
                (stream, key),
            )

    def heard(self, key: str, name: str, entry: Entry) -> int:
        with self._transaction() as db:
            begun = db.execute(
                "UPDATE peers SET have = ?1 WHERE key = ?2 AND have < ?1", (entry.id, key)
            )
            if not begun.rowcount:
                raise out_of_order(key, entry)
            return self._write(key, name, entry, HEARD)

    def overheard(self, room: str, name: str, entry: Entry, most: int) -> None:
        if not self._log:
            return
        if room not in self._rooms:
            [(self._rooms[room],)] = self._read("SELECT count(*) FROM log WHERE key = ?", room)
        count = self._rooms[room] + 1
        with self._transaction():
            self._write(room, name, entry, OVERHEARD)
            if count > most + most // 10:
                self._thin_out(room, most)
                count = most
        self._rooms[room] = count

    def set_turn(self, key: str, turn: str) -> None:
        with self._troubles():
            self._db.execute("UPDATE peers SET turn = ? WHERE key = ?", (turn, key))

    def waiting(self) -> tuple[tuple[str, str, int], ...]:
        # With max() the other columns are those of its row.
        rows = self._read(
            "SELECT key, name, count(*), max(id) FROM outbox WHERE kind = ? AND NOT withdrawn"
            " GROUP BY key ORDER BY key",
            MSG,
        )
        return tuple((key, name, count) for key, name, count, _ in rows)

    def history(self, key: str, most: int, before: int = 0) -> tuple[Line, ...]:
        rows = self._read(
            "SELECT * FROM log WHERE key = ? AND number < ? ORDER BY number DESC LIMIT ?",
            *(key, min(before or LATER, LATER), clamp(most)),
        )
        return _lines(reversed(rows))

    def search(self, words: str, most: int) -> tuple[Line, ...]:
        # Quoted, nothing in a word is an operator; a NUL would end the query.
        legible = words.encode("utf-8", "replace").decode().replace("\0", "?")
        wanted = ['"' + word.replace('"', '""') + '"' for word in legible.split()]
        if not wanted:
            return ()
        with self._transaction():
            self._index()
        rows = self._read(
            "SELECT log.* FROM log WHERE number IN"
            " (SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?)"
            " ORDER BY number",
            *(" ".join(wanted), clamp(most)),
        )
        return _lines(rows)

    def unshown(self) -> tuple[Line, ...]:
        rows = self._read(
            "SELECT * FROM log WHERE number > (SELECT value FROM meta WHERE name = 'shown')"
            " AND state = ? ORDER BY number",
            HEARD,
        )
        return _lines(rows)

    def shown(self, number: int) -> None:
        with self._troubles():
            self._db.execute(
                "UPDATE meta SET value = ?1 WHERE name = 'shown' AND value < ?1", (number,)
            )

    def close(self) -> None:
        with self._troubles():
            self._db.close()

    def _write(self, key: str, name: str, entry: Entry, state: str) -> int:
        """Put a message into the log; the number of its line, 0 for what gets none."""
        if not self._log or entry.kind != MSG:
            return 0
        written = self._db.execute(
            "INSERT INTO log (key, name, id, at, text, state) VALUES (?, ?, ?, ?, ?, ?)",
            (key, name, entry.id, entry.at, entry.text, state),
        )
        return written.lastrowid or 0

    def _mark(self, key: str, ids: tuple[int, ...], state: str) -> None:
        """The lines of the entries `ids` become `state`."""
        self._db.executemany(
            "UPDATE log SET state = ?"
            " WHERE number = (SELECT line FROM outbox WHERE key = ? AND id = ?)",
            [(state, key, id) for id in ids],
        )

    def _index(self) -> None:
        """Put into `words` what is new in the log: all at once costs a fiftieth of line by line."""
        self._db.execute(
            "INSERT INTO words (rowid, text) SELECT number, text FROM log"
            " WHERE number > (SELECT value FROM meta WHERE name = 'indexed')"
        )
        self._db.execute(
            "UPDATE meta SET value = (SELECT coalesce(max(number), 0) FROM log)"
            " WHERE name = 'indexed'"
        )

    def _thin_out(self, room: str, most: int) -> None:
        """Leave the last `most` lines of `room`. The index wants to be told what was in the others."""
        self._index()
        old = (
            "FROM log WHERE key = ?1 AND number <="
            " (SELECT number FROM log WHERE key = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)"
        )
        told = f"INSERT INTO words (words, rowid, text) SELECT 'delete', number, text {old}"
        self._db.execute(told, (room, most))
        self._db.execute(f"DELETE {old}", (room, most))

    def _read(self, query: str, *values: str | int) -> list[tuple]:  # type: ignore[type-arg]
        with self._troubles():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is done inside, or nothing."""
        with self._troubles():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite has ended it itself if the disk is full
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        """Whatever SQLite or the system has to say becomes one sentence."""
        try:
            yield
        except sqlite3.Error as error:
            # The lowest byte is the kind; what is above it says where it was noticed.
            code = getattr(error, "sqlite_errorcode", None)
            reason = REASONS.get(code & 0xFF, str(error)) if code is not None else str(error)
            raise LedgerTrouble(f"cannot use {self._path}: {reason}") from None
        except OSError as error:
            raise LedgerTrouble(f"cannot use {self._path}: {error.strerror}") from None
        except (OverflowError, UnicodeEncodeError) as error:
            raise LedgerTrouble(f"{self._path} cannot hold this: {error}") from None


def upgrade(db: sqlite3.Connection, path: Path, steps: tuple[str, ...]) -> None:
    """Bring the file `path` to the version that is the number of `steps`, each wholly or not at all.

    Raises LedgerTrouble, and changes nothing, if it is of a newer version or another program's.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (application or version or tables):
        raise LedgerTrouble(f"cannot use {path}: it belongs to another program; put it aside")
    if version > len(steps):
        raise LedgerTrouble(
            f"cannot use {path}: a newer chatclient has written it (as version {version}; this one"
            f" knows {len(steps)}), use that one"
        )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    for number, step in enumerate(steps[version:], version + 1):
        try:
            db.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION};"
                f" PRAGMA user_version = {number};\n{step}\nCOMMIT;"
            )
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _make_private(path: Path) -> None:
    """Make the file, or take from others what they may do with it; SQLite's own beside it follow it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    for one in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        if one.exists() and one.stat().st_mode & 0o077:
            one.chmod(0o600)


def _lines(rows: Iterable[tuple]) -> tuple[Line, ...]:  # type: ignore[type-arg]
    return tuple(Line(*row) for row in rows)

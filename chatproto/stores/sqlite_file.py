"""Open, upgrade and write one SQLite file, and turn each of its errors into one sentence."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from chatproto.net.private_files import check_file, check_owner, make_private
from chatproto.wire.values import value_class

Value = str | int | float | bytes | None
Row = tuple[Any, ...]

REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; move it away, or restore a copy",
    sqlite3.SQLITE_READONLY: "no permission to write it",
    sqlite3.SQLITE_PERM: "no permission to write it",
    sqlite3.SQLITE_CANTOPEN: "no permission to open it or write in its folder",
    sqlite3.SQLITE_BUSY: "another program is writing it",
    sqlite3.SQLITE_LOCKED: "another program is writing it",
    sqlite3.SQLITE_IOERR: "the disk is full, or could not be read or written",
}
"""Sentences by SQLite's code, for every kind of file; other errors have SQLite's own message."""


LOST = "it was removed or replaced; put it back, or restart with what is there now"
TYPES = {"TEXT": "'text'", "INTEGER": "'integer'", "REAL": "'real', 'integer'"}
"""Results of SQL `typeof` that a column may have, by its declared type."""
NULLABLE = " AND %s IS NOT NULL"
FAILURES = (sqlite3.Error, OSError, OverflowError, UnicodeEncodeError)
"""Errors of SQLite, of the system, and of values that a file cannot hold."""


@value_class
class Kind:
    """Kind of SQLite file: everything in which a server's file differs from a client's.

    `application`: id in the file's header. `program`: name for messages. `steps`: SQL from version to
    version; the first creates version 1 in an empty file. `trouble`: exception to raise. `no_database`:
    sentence for a file of another format. `alone`: one process only. `opening_wait`, `lock_wait`:
    seconds that another process may delay the start, and each write.
    """

    application: int
    program: str
    steps: tuple[str, ...]
    trouble: type[Exception]
    no_database: str
    alone: bool
    opening_wait: float
    lock_wait: float


def ignored(sentence: str) -> None:
    """Ignore a notice: the default receiver."""


class SqliteFile:
    """The file `path` of the given kind, mode 0600, used by the calling thread and no other program.

    Results of `write` and `transaction` survive the end of the process, and with `durable` a power
    failure; the last `touch` may be lost in a power failure. `tell`: called with one sentence when an
    error begins, and when it is over.
    Raises its kind's trouble, also in the constructor.
    """

    def __init__(
        self,
        path: Path,
        kind: Kind,
        *,
        durable: bool = False,
        tell: Callable[[str], None] = ignored,
    ) -> None:
        self.path = path
        self._kind = kind
        self._durable = durable
        self._tell: Callable[[str], None] = (
            ignored  # an error at the start is reported in another way
        )
        self._lost = False  # another file, or none, is at `path`
        self.trouble = ""
        """Error that was reported last and is not over yet."""
        self._lock = _locked(path, kind) if kind.alone else None
        try:
            with self._troubles():
                for suffix in ("", "-wal", "-shm", "-journal"):
                    check_file(Path(f"{path}{suffix}"))
                _make(path)
                self._db = sqlite3.connect(
                    path, timeout=kind.opening_wait, isolation_level=None, cached_statements=64
                )
        except BaseException:
            self._unlock()
            raise
        try:
            with self._troubles():
                upgrade(self._db, path, kind)
                self._sync(durable)
                self._db.execute(f"PRAGMA busy_timeout = {round(kind.lock_wait * 1000)}")
                self._inode = path.stat().st_ino
        except BaseException:
            self.close()
            raise
        self._tell = tell

    def look(self) -> None:
        """Refuse to write while another file, or none, is at `path`: the data would be lost at the end.

        Call this every few seconds. The error is reported; it is over when the file is back.
        """
        try:
            lost = self.path.stat().st_ino != self._inode
        except FileNotFoundError:
            lost = True
        except OSError:
            return  # a path that cannot be examined is not known to be lost
        if lost != self._lost:
            self._lost = lost
            self._db.execute(f"PRAGMA query_only = {lost:d}")
            if lost:
                self._trouble_of(FileNotFoundError())
            else:
                self._is_over()

    def check(self, *tables: str) -> None:
        """Check `tables` for damage, and for values of other types than declared."""
        for table in tables:
            if self.read(f"PRAGMA quick_check({table})") != [("ok",)]:
                raise self.damaged()
        self.check_types(*tables)

    def check_types(self, *tables: str) -> None:
        """Raise the kind's trouble if a value in `tables` has another type than its column declares.

        SQLite itself accepts text in a number column.
        """
        for table in tables:
            columns = self.read(f"PRAGMA table_info({table})")
            wrong = [
                f"(typeof({name}) NOT IN ({TYPES[kind]}){'' if needed or key else NULLABLE % name})"
                for _, name, kind, needed, _, key in columns
            ]
            if self.read(f"SELECT 1 FROM {table} WHERE {' OR '.join(wrong)} LIMIT 1"):
                raise self.damaged()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn any error with invalid rows into the kind's trouble."""
        try:
            yield
        except self._kind.trouble:
            raise
        except Exception:
            raise self.damaged() from None

    def damaged(self) -> Exception:
        """Return the kind's trouble for a file with damaged content."""
        return self._kind.trouble(f"cannot use {self.path}: {REASONS[sqlite3.SQLITE_CORRUPT]}")

    def read(self, query: str, *values: Value) -> list[Row]:
        with self._troubles():
            return self._db.execute(query, values).fetchall()

    def each(self, query: str, *values: Value) -> Generator[Row, None, None]:
        """Yield the rows of a query one by one; close it if not all are consumed."""
        with self._troubles(), closing(self._db.execute(query, values)) as cursor:
            yield from cursor

    def write(self, query: str, *values: Value) -> int:
        """Run one statement; return the number of changed rows."""
        try:  # `_troubles` costs as much as all other Python code here
            rows = self._db.execute(query, values).rowcount
        except FAILURES as error:
            raise self._trouble_of(error) from None
        if self.trouble:
            self._is_over()
        return rows

    def touch(self, query: str, rows: Iterable[tuple[Value, ...]], *, told: bool = True) -> int:
        """Run one statement with each of `rows`, all or none, without waiting for the disk.

        told: False for an internal record, whose errors are not reported.
        """
        with self._troubles(writes=True, told=told):
            if self._durable:
                self._sync(False)
            try:
                with self._atomic() as db:
                    return db.executemany(query, rows).rowcount
            finally:
                if self._durable:
                    self._sync(True)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction: all of its changes, or none."""
        with self._troubles(writes=True), self._atomic() as db:
            yield db

    def close(self) -> None:
        """Close and unlock it; a failure now concerns nothing new."""
        try:
            self._db.close()
        except sqlite3.Error:
            pass
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def _sync(self, durable: bool) -> None:
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")

    @contextmanager
    def _atomic(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has ended it itself if the disk is full
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _troubles(self, writes: bool = False, told: bool = True) -> Iterator[None]:
        """Turn an error of SQLite or the system into one sentence, reported once."""
        try:
            yield
        except FAILURES as error:
            raise self._trouble_of(error, told) from None
        if told and writes and self.trouble:
            self._is_over()

    def _trouble_of(self, error: Exception, told: bool = True) -> Exception:
        """Return the kind's trouble for `error`, one of `FAILURES`, after reporting it."""
        if isinstance(
            error, OverflowError | UnicodeEncodeError
        ):  # the value is wrong, not the file
            return self._kind.trouble(f"{self.path} cannot hold this: {error}")
        why = LOST if self._lost else reason(error, self._kind)
        sentence = f"cannot use {self.path}: {why}"
        if told and self.trouble != sentence:
            self.trouble = sentence
            self._tell(sentence)
        return self._kind.trouble(sentence)

    def _is_over(self) -> None:
        """Report that the file can be written again."""
        self.trouble = ""
        self._tell(f"{self.path} can be written again")


def reason(error: Exception, kind: Kind) -> str:
    """Explain in a few words why a file of this kind cannot be used."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # The lowest byte is the kind; the others say where it was detected.
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error)
    if code & 0xFF == sqlite3.SQLITE_NOTADB:
        return kind.no_database
    return REASONS.get(code & 0xFF, str(error))


def upgrade(db: sqlite3.Connection, path: Path, kind: Kind) -> None:
    """Upgrade the file `path` to the version that is the number of steps, each step completely or not
    at all.

    From then on no other user can read it. Raises the kind's trouble, and changes nothing, if it is of
    a newer version or another program's.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != kind.application and (application or version or tables):
        raise kind.trouble(f"cannot use {path}: it belongs to another program; move it away")
    if version > len(kind.steps):
        raise kind.trouble(
            f"cannot use {path}: a newer {kind.program} wrote it (format {version}, this one reads"
            f" up to {len(kind.steps)}); use that one"
        )
    _make_private(path)
    db.execute("PRAGMA journal_mode = WAL")
    for number, step in enumerate(kind.steps[version:], version + 1):
        try:
            db.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {kind.application};"
                f" PRAGMA user_version = {number};\n{step}\nCOMMIT;"
            )
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _locked(path: Path, kind: Kind) -> int:
    """Return the descriptor of a lock that lasts as long as the process; SQLite releases its own
    between two writes. Raises the kind's trouble.
    """
    try:
        check_owner(Path(f"{path}-lock"))
        lock = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise kind.trouble(f"cannot use {path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise kind.trouble(
            f"another {kind.program} uses {path}: stop it, or choose another --home or --store"
        ) from None
    return lock


def _make(path: Path) -> None:
    """Create the file, readable by its owner only, if it does not exist."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass


def _make_private(path: Path) -> None:
    """Remove the permissions of other users for our file; SQLite's files beside it get the same ones."""
    for one in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        if one.exists():
            make_private(one)

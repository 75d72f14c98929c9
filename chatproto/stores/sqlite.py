"""Store everything of a server in one SQLite file, the default store, and copy it while it is in use."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from chatproto.net.clock import Monotonic
from chatproto.net.rebase import Seen, Shift, rebase
from chatproto.stores.sqlite_file import Kind, SqliteFile, ignored, reason
from chatproto.stores.sqlite_names import SqliteNames
from chatproto.stores.sqlite_presences import SqlitePresences
from chatproto.stores.sqlite_registry import SqliteRegistry
from chatproto.stores.sqlite_rooms import SqliteRooms, moved_room
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

STEPS = ("server.sql", "server_rooms.sql", "server_names.sql", "server_hidden.sql")
"""Files that upgrade each version to the next; a new version adds one and changes none."""

SERVER = Kind(
    application=0x63687372,  # `chsr`
    program="chatserver",
    steps=tuple(
        files("chatproto.stores").joinpath(step).read_text(encoding="utf-8") for step in STEPS
    ),
    trouble=StoreTrouble,
    no_database="it is not an SQLite file; move it away, or restore a copy",
    alone=True,
    opening_wait=2.0,
    lock_wait=0.05,  # no other client is served meanwhile
)

SEEN_EVERY = 10.0
"""Seconds between two records of the time of writing."""
NEWEST = (
    "SELECT max(used) FROM names UNION ALL SELECT max(heard) FROM leases"
    " UNION ALL SELECT max(at) FROM lines"
)
"""Latest stored time, for a file without such a record."""


class SqliteStore:
    """Server's store in the SQLite file `path`; `key` is the name of the server's key.

    A write takes some 20 us of the calling thread, and with `durable` the time of a disk flush. Call
    `write_behind` every few seconds. `now`: the program's clock; stored times are translated to it when
    the file is opened (`rebase`).

    Raises: StoreTrouble: the file cannot be used, or belongs to another key.
    """

    def __init__(
        self,
        path: Path,
        key: str,
        limits: ServerLimits = SERVER_DEFAULTS,
        *,
        durable: bool = False,
        tell: Callable[[str], None] = ignored,
        now: Callable[[], Monotonic] | None = None,
    ) -> None:
        self._now = now
        self._seen_next = 0.0
        self._file = SqliteFile(path, SERVER, durable=durable, tell=tell)
        try:
            self._file.check("meta", "names", "leases", "presences", "rooms", "room_numbers")
            self._belong_to(key)
            self._rebase()
            with self._file.reading():
                self.names = SqliteNames(self._file)
                self.registry = SqliteRegistry(self._file, limits)
                self.presences = SqlitePresences(self._file, self.names)
                self.rooms = SqliteRooms(self._file, limits)
                self.rooms.check()
        except BaseException:
            self._file.close()
            raise

    @property
    def trouble(self) -> str:
        """Why the last write failed; empty: it succeeded."""
        return self._file.trouble

    def write_behind(self) -> bool:
        """Write some of the data that may be written late; return True if there is more.

        A failed write is repeated the next time.
        """
        self._file.look()
        more = self.registry.write_behind()
        more = self.presences.write_behind() or more
        if self._now is not None and self._now() >= self._seen_next:
            self._seen(self._now())
        return more

    def close(self) -> None:
        """Write the rest, and release the file for another server.

        A server with many clients calls `write_behind` before, until there is no more.
        """
        while self.write_behind():
            pass
        try:
            self.rooms.settle()
        except StoreTrouble:
            pass  # reported already; no client was told that it is stored
        if self._now is not None:
            self._seen(self._now())
        self._file.close()

    def _belong_to(self, key: str) -> None:
        """Check that the file belongs to the server's key, because clients know a server by its key."""
        known = self._file.read("SELECT value FROM meta WHERE name = 'key'")
        if not known:
            self._file.write("INSERT INTO meta VALUES ('key', ?)", key)
        elif known[0][0] != key:
            raise StoreTrouble(
                f"{self._file.path} belongs to the server with the key {known[0][0]}, this server has"
                f" {key}: restore that key, or move the store away"
            )

    def _rebase(self) -> None:
        """Translate the stored times into this program's time."""
        if self._now is None:
            return
        now, file = self._now(), self._file
        rows = file.read("SELECT value FROM meta WHERE name = 'seen'")
        last = Seen.read(str(rows[0][0])) if rows else None
        newest = max(
            (value for (value,) in file.read(NEWEST) if isinstance(value, float | int)), default=now
        )
        shift = rebase(last, newest, Seen.now(now))
        if shift != Shift():
            with file.transaction() as db:
                db.execute("UPDATE names SET used = used + ?", (shift.ages,))
                db.execute("UPDATE leases SET heard = heard + ?", (shift.ages,))
                db.execute("UPDATE presences SET until = until + ?", (shift.ages,))
                db.execute("UPDATE lines SET at = at + ?", (shift.dates,))
                for name, kept in db.execute("SELECT name, kept FROM rooms").fetchall():
                    moved = moved_room(kept, shift)
                    db.execute("UPDATE rooms SET kept = ? WHERE name = ?", (moved, name))
        self._seen(now)

    def _seen(self, now: Monotonic) -> None:
        """Record that the file is written at `now`."""
        self._seen_next = now + SEEN_EVERY
        try:
            note = [(Seen.now(now).text(),)]
            self._file.touch("REPLACE INTO meta VALUES ('seen', ?)", note, told=False)
        except StoreTrouble:
            pass  # it is repeated


# Backups.


def back_up(source: Path, target: Path) -> None:
    """Create the file `target`, mode 0600, as a complete copy of the store `source` at this moment.

    `source` can be written meanwhile. Raises StoreTrouble, and `target` does not exist then.
    """
    if not source.is_file():
        raise StoreTrouble(f"no store at {source}: name it with --home or --store")
    if os.path.lexists(target):
        raise StoreTrouble(f"{target} exists already: name another file for the backup")
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            _copy(source, part)
            _sync(part)
            part.rename(target)
            _sync(target.parent)
        finally:
            part.unlink(missing_ok=True)
    except (sqlite3.Error, OSError) as error:
        raise StoreTrouble(
            f"cannot back up {source} to {target}: {reason(error, SERVER)}"
        ) from None


def _copy(source: Path, part: Path) -> None:
    """Copy all pages at once, as of this moment; in WAL mode, readers do not block the server."""
    place = f"{source.absolute().as_uri()}?mode=rw"  # SQLite records its readers in a file
    with (
        closing(sqlite3.connect(place, uri=True, timeout=SERVER.opening_wait)) as live,
        closing(sqlite3.connect(part, isolation_level=None)) as copy,
    ):
        live.execute("PRAGMA query_only = 1")
        if live.execute("PRAGMA application_id").fetchone() != (SERVER.application,):
            raise StoreTrouble(f"{source} is not a store of a {SERVER.program}: name another file")
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # a single file
        if copy.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise StoreTrouble(f"{source} is damaged: keep the backups that you have")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Store in an SQLite file which key owns which id, for up to a million ids."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from chatproto.stores.checks import check_key
from chatproto.stores.sqlite_file import SqliteFile
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.fields import fold

TOUCH = "UPDATE names SET used = ?, trial = trial AND ? WHERE client_id = ? AND key = ?"
REMEMBERED = 50_000
"""Number of answers cached in memory: a query to SQLite costs several system calls."""


class SqliteNames:
    """A `directory.id_owners.IdOwners` in the table `names`, which no other code writes.

    The owner of an id is stored permanently when a call returns; the time of its last use, if only that
    is new, may be lost in a power failure.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._count: int = file.read("SELECT count(*) FROM names")[0][0]
        self._owners: dict[str, str | None] = {}  # by folded id: recent queries

    def __len__(self) -> int:
        return self._count

    def all(self) -> Iterator[tuple[str, str, float, bool]]:
        """Yield each owned id with its key, its last use, and whether it was only registered."""
        query = "SELECT client_id, key, used, trial FROM names ORDER BY client_id"
        for client_id, key, used, trial in self._file.each(query):
            check_key(key)
            yield client_id, key, used, bool(trial)

    def has_from(self, host: str) -> bool:
        return bool(host and self._file.read("SELECT 1 FROM names WHERE host = ? LIMIT 1", host))

    def owner(self, client_id: str) -> str | None:
        alike = fold(client_id)
        try:
            return self._owners[alike]
        except KeyError:
            rows = self._file.read("SELECT key FROM names WHERE fold = ? LIMIT 1", alike)
            if len(self._owners) >= REMEMBERED:
                self._owners.clear()
            self._owners[alike] = owner = rows[0][0] if rows else None
            return owner

    def owned(self, key: str) -> tuple[str, ...]:
        rows = self._file.read("SELECT client_id FROM names WHERE key = ? ORDER BY client_id", key)
        return tuple(client_id for (client_id,) in rows)

    def keep(
        self, client_id: str, key: str, now: float, host: str = "", trial: bool = False
    ) -> None:
        if self._file.touch(TOUCH, [(now, trial, client_id, key)]):
            return
        with self._file.transaction() as db:
            more = self.keep_in(db, client_id, key, now, host, trial)
        self.kept(client_id, more)

    def keep_in(
        self, db: sqlite3.Connection, client_id: str, key: str, now: float, host: str, trial: bool
    ) -> int:
        """Do the same as `keep` within a transaction; call `kept` after it.

        Returns: how many more ids are owned.
        """
        if db.execute(TOUCH, (now, trial, client_id, key)).rowcount:
            return 0
        alike = fold(client_id)
        gone = db.execute("DELETE FROM names WHERE fold = ? AND key != ?", (alike, key)).rowcount
        db.execute(
            "INSERT INTO names (client_id, fold, key, used, host, trial) VALUES (?, ?, ?, ?, ?, ?)",
            (client_id, alike, key, now, host, trial),
        )
        return 1 - gone

    def kept(self, client_id: str, more: int) -> None:
        """Note that a transaction with `keep_in`, which returned `more`, is committed."""
        self._owners.pop(fold(client_id), None)
        self._count += more

    def hide(self, client_id: str, allow: tuple[str, ...] | None) -> None:
        with self._file.transaction() as db:
            self.hide_in(db, client_id, allow)

    def hide_in(
        self, db: sqlite3.Connection, client_id: str, allow: tuple[str, ...] | None
    ) -> None:
        """Do the same as `hide` within a transaction."""
        if allow is None:
            db.execute("DELETE FROM hidden WHERE client_id = ?", (client_id,))
        else:
            db.execute("REPLACE INTO hidden VALUES (?, ?)", (client_id, json.dumps(allow)))

    def hidden(self, client_id: str) -> tuple[str, ...] | None:
        rows = self._file.read("SELECT allow FROM hidden WHERE client_id = ?", client_id)
        if not rows:
            return None
        with self._file.reading():
            keys = json.loads(rows[0][0])
            for key in keys:
                check_key(key)
            return tuple(keys)

    def free(self, client_id: str) -> bool:
        with self._file.transaction() as db:
            self.hide_in(db, client_id, None)
            gone = db.execute("DELETE FROM names WHERE client_id = ?", (client_id,)).rowcount
        self._owners.pop(fold(client_id), None)
        self._count -= gone
        return bool(gone)

    def expire(self, before: float, trials_before: float | None = None, most: int = 1_000) -> int:
        gone = 0
        for trial, end in ((False, before), (True, trials_before)):
            if end is not None and gone < most:
                gone += self._expire(trial, end, most - gone)
        return gone

    def _expire(self, trial: bool, before: float, most: int) -> int:
        try:
            rows = self._file.read(
                "SELECT client_id FROM names WHERE trial = ? AND used < ? ORDER BY used LIMIT ?",
                *(trial, before, most),
            )
            if not rows:
                return 0
            with self._file.transaction() as db:
                db.executemany("DELETE FROM names WHERE client_id = ?", rows)
                db.executemany("DELETE FROM hidden WHERE client_id = ?", rows)
        except StoreTrouble:
            return 0
        for (client_id,) in rows:
            self._owners.pop(fold(client_id), None)
        self._count -= len(rows)
        return len(rows)

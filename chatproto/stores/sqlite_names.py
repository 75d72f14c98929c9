"""Whose id is whose, in a file of SQLite and not in memory: there may be a million."""

from __future__ import annotations

from chatproto.directory.names import fold
from chatproto.stores.sqlite_file import SqliteFile
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import DEFAULTS, Limits

REMEMBERED = 50_000
"""Answers, in memory: a statement to SQLite costs several system calls."""


class SqliteNames:
    """A `directory.names.Names` in the table `names`, which nobody else writes.

    Whom an id belongs to is there for good when a call returns; when it was last used, if only that
    is new, may be lost in a power failure.
    """

    def __init__(self, file: SqliteFile, limits: Limits = DEFAULTS) -> None:
        self._file = file
        self._most = max(1, limits.names)
        self._count: int = file.read("SELECT count(*) FROM names")[0][0]
        self._owners: dict[str, str | None] = {}  # by fold: of those asked for lately
        self._make_room()

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

    def keep(self, client_id: str, key: str, now: float) -> None:
        if self._file.touch(
            "UPDATE names SET used = ? WHERE client_id = ? AND key = ?", [(now, client_id, key)]
        ):
            return
        alike = fold(client_id)
        with self._file.transaction() as db:
            gone = db.execute(
                "DELETE FROM names WHERE fold = ? AND key != ?", (alike, key)
            ).rowcount
            db.execute("INSERT INTO names VALUES (?, ?, ?, ?)", (client_id, alike, key, now))
        self._owners.pop(alike, None)
        self._count += 1 - gone
        self._make_room()

    def free(self, client_id: str) -> bool:
        gone = self._file.write("DELETE FROM names WHERE client_id = ?", client_id)
        self._owners.pop(fold(client_id), None)
        self._count -= gone
        return bool(gone)

    def expire(self, before: float) -> int:
        try:
            if not self._file.read("SELECT 1 FROM names WHERE used < ? LIMIT 1", before):
                return 0
            gone = self._file.touch("DELETE FROM names WHERE used < ?", [(before,)])
        except StoreTrouble:
            return 0
        self._owners.clear()
        self._count -= gone
        return gone

    def _make_room(self) -> None:
        if self._count > self._most:
            self._owners.clear()
            self._count -= self._file.touch(
                "DELETE FROM names WHERE client_id IN"
                " (SELECT client_id FROM names ORDER BY used LIMIT ?)",
                [(self._count - self._most,)],
            )

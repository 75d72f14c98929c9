"""The registrations of clients with keys, in a file of SQLite."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing

from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.stores.checks import check_key, check_lease
from chatproto.stores.sqlite_file import Row, SqliteFile
from chatproto.wire.errors import StoreTrouble

EXPIRE = (
    "DELETE FROM presences WHERE client_id IN"
    " (SELECT client_id FROM presences WHERE until <= ? LIMIT ?)"
)


NONE = "[]"
"""An empty list, as it is written: most allow nobody in particular."""


class SqlitePresences:
    """A `directory.presences.Presences` in the table `presences`."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def all(self) -> Generator[Registration, None, None]:
        """Read them. Raises StoreTrouble for a row that is no registration."""
        rows = self._file.each("SELECT * FROM presences ORDER BY client_id")
        with self._file.reading(), closing(rows):
            for row in rows:
                presence = _presence(row)
                check_lease(presence.client_id, presence.port, presence.visitor.host)
                check_key(presence.key)
                for host, port in presence.addresses:
                    check_lease(presence.client_id, port, host)
                for key in presence.allow:
                    check_key(key)
                yield presence

    def keep(self, presence: Registration) -> None:
        visitor = presence.visitor
        self._file.write(
            "REPLACE INTO presences VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            presence.client_id,
            presence.key,
            presence.port,
            json.dumps(presence.addresses),
            presence.expires,
            presence.listed,
            json.dumps(presence.allow),
            visitor.host,
            visitor.port,
            visitor.local,
        )

    def left(self, presence: Registration) -> None:
        self._later(
            "UPDATE presences SET until = ? WHERE client_id = ?",
            presence.until,
            presence.client_id,
        )

    def all_left(self, now: float) -> None:
        self._later(
            "UPDATE presences SET until = ? + expires WHERE until IS NULL OR until > ? + expires",
            now,
            now,
        )

    def forget(self, client_id: str) -> None:
        self._file.write("DELETE FROM presences WHERE client_id = ?", client_id)

    def expire(self, now: float, most: int = 1_000_000) -> None:
        self._later(EXPIRE, now, most)

    def _later(self, query: str, *values: str | float | None) -> None:
        try:
            self._file.touch(query, [values])
        except StoreTrouble:
            pass  # the file has told it; the next server finds them connected, and lets them lapse


def _presence(row: Row) -> Registration:
    client_id, key, port, addresses, expires, listed, allow, host, number, local, until = row
    return Registration(
        client_id,
        key,
        port,
        tuple((host, number) for host, number in json.loads(addresses))
        if addresses != NONE
        else (),
        expires,
        bool(listed),
        tuple(json.loads(allow)) if allow != NONE else (),
        ClientConnection(key, host, number, bool(local), client_id, listens=port),
        until,
    )

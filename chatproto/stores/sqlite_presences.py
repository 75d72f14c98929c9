"""Store the registrations of clients with keys in an SQLite file, and read each on demand."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import closing
from itertools import islice

from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.stores.checks import check_key, check_lease
from chatproto.stores.sqlite_file import Row, SqliteFile
from chatproto.stores.sqlite_names import SqliteNames
from chatproto.wire.errors import StoreTrouble

COLUMNS = "client_id, key, port, addresses, expires, listed, allow, host, host_port, local, until"
UPDATE = (
    "UPDATE presences SET key = ?, port = ?, addresses = ?, expires = ?, listed = ?, allow = ?,"
    " host = ?, host_port = ?, local = ?, until = NULL WHERE client_id = ?"
)
INSERT = f"INSERT INTO presences ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
DELETE = "DELETE FROM presences WHERE client_id = ?"
LEFT = "UPDATE presences SET until = ? WHERE client_id = ?"
ENDED = "SELECT client_id FROM presences WHERE until <= ? LIMIT ?"
UNENDED = (
    "SELECT client_id, expires FROM presences WHERE until IS NULL AND client_id > ?"
    " ORDER BY client_id LIMIT ?"
)
BATCH = 2000
"""Number of ends that are written late at once: some 10 ms."""
NONE = "[]"
"""An empty list in written form: most registrations allow no keys."""


class SqlitePresences:
    """A `directory.registration_store.RegistrationStore` in the table `presences`.

    A registration without an end belongs to a client that is connected, or was when the last server
    ended. The ends of the latter are computed from `all_left` when one is read, and written late, as
    are those of clients that leave.
    """

    def __init__(self, file: SqliteFile, names: SqliteNames) -> None:
        self._file = file
        self._names = names
        self._count: int = file.read("SELECT count(*) FROM presences")[0][0]
        self._here: set[str] = set()  # connected to this server
        self._left: dict[str, float] = {}  # ends that are not in the file yet
        self._began: float | None = (
            None  # when all clients without a connection had left at the latest
        )
        self._looked: str | None = (
            None  # the ends since then are in the file up to this id; None: all
        )
        self._now = float("-inf")  # registrations that expired before are not found

    def __len__(self) -> int:
        return self._count

    def find(self, client_id: str) -> Registration | None:
        rows = self._file.read(f"SELECT {COLUMNS} FROM presences WHERE client_id = ?", client_id)
        with self._file.reading():
            return self._as_of_now(rows[0]) if rows else None

    def all(self) -> Generator[Registration, None, None]:
        rows = self._file.each(f"SELECT {COLUMNS} FROM presences ORDER BY client_id")
        with self._file.reading(), closing(rows):
            for row in rows:
                presence = self._as_of_now(row)
                if presence is not None:
                    yield presence

    def commit(
        self, presence: Registration, now: float, host: str = "", gone: Iterable[str] = ()
    ) -> None:
        client_id, client, names = presence.client_id, presence.client, self._names
        values = (
            presence.key,
            presence.port,
            json.dumps(presence.addresses),
            presence.expires,
            presence.listed,
            json.dumps(presence.allow),
            client.host,
            client.port,
            client.local,
        )
        allow = None if presence.listed else presence.allow
        more, gone = 0, tuple(gone)
        with self._file.transaction() as db:
            owned = names.keep_in(db, client_id, presence.key, now, host, not presence.proven)
            names.hide_in(db, client_id, allow)
            for one in gone:
                more -= db.execute(DELETE, (one,)).rowcount
            if not db.execute(UPDATE, (*values, client_id)).rowcount:
                more += db.execute(INSERT, (client_id, *values)).rowcount
        names.kept(client_id, owned)
        self._count += more
        for one in gone:
            self._know_nothing(one)
        self._left.pop(client_id, None)
        self._here.add(client_id)

    def left(self, presence: Registration) -> None:
        if presence.until is not None:
            self._here.discard(presence.client_id)
            self._left[presence.client_id] = presence.until

    def all_left(self, now: float) -> None:
        self._began, self._looked = now, ""
        self._here.clear()
        # The clock was ahead when it was written; those without an end follow.
        ahead = "UPDATE presences SET until = ? + expires WHERE until > ? + expires"
        try:
            while self._left:
                self._write_left()
            self._file.touch(ahead, [(now, now)])
        except StoreTrouble:
            pass  # reported by the file; they stay longer

    def forget(self, client_id: str) -> None:
        self._count -= self._file.write(DELETE, client_id)
        self._know_nothing(client_id)

    def expire(self, now: float, most: int = 1_000_000) -> bool:
        self._now = max(self._now, now)
        try:
            self._write_left()
            rows = self._file.read(ENDED, now, most)
            if rows:
                self._count -= self._file.touch(DELETE, rows)
        except StoreTrouble:
            return False  # reported by the file; they are not found, and are removed when it can be written
        return len(rows) >= most

    def write_behind(self) -> bool:
        """Write some ends that are not in the file yet; return True if there are more.

        A failed write is repeated the next time.
        """
        try:
            self._write_left()
            if self._looked is not None and not self._left:
                self._write_unended(self._looked)
        except StoreTrouble:
            return False
        return bool(self._left) or self._looked is not None

    def _write_left(self) -> None:
        batch = list(islice(self._left.items(), BATCH))
        if batch:
            self._file.touch(LEFT, [(until, client_id) for client_id, until in batch])
        for client_id, _ in batch:
            del self._left[client_id]

    def _write_unended(self, after: str) -> None:
        """Write the ends of clients that were connected when the last server ended, from `after` on."""
        began = self._began or 0.0
        rows = self._file.read(UNENDED, after, BATCH)
        ends = [(began + expires, one) for one, expires in rows if one not in self._here]
        if ends:
            self._file.touch(LEFT, ends)
        self._looked = rows[-1][0] if len(rows) >= BATCH else None

    def _know_nothing(self, client_id: str) -> None:
        self._here.discard(client_id)
        self._left.pop(client_id, None)

    def _as_of_now(self, row: Row) -> Registration | None:
        """Return the registration in `row`; None if it has expired. Raises ValueError for an invalid
        row.
        """
        client_id, key, port, addresses, expires, listed, allow, host, number, local, until = row
        until = self._left.get(client_id, until)
        if until is None and self._began is not None and client_id not in self._here:
            until = self._began + expires
        if until is not None and until <= self._now:
            return None
        claimed = (
            tuple((ip, port) for ip, port in json.loads(addresses)) if addresses != NONE else ()
        )
        allowed = tuple(json.loads(allow)) if allow != NONE else ()
        check_lease(client_id, port, host)
        for ip, claimed_port in claimed:
            check_lease(client_id, claimed_port, ip)
        for one in (key, *allowed):
            check_key(one)
        client = ClientConnection(key, host, number, bool(local), client_id, listens=port)
        return Registration(
            client_id, key, port, claimed, expires, bool(listed), allowed, client, until
        )

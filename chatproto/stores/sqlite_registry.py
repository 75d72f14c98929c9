"""Store registrations in memory, for thousands of reads per second, and in an SQLite file."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from itertools import islice

from chatproto.directory.classic_registration import ClassicRegistration
from chatproto.stores.checks import LAST_PORT, check_lease
from chatproto.stores.memory import LeaseEntry, MemoryRegistry
from chatproto.stores.sqlite_file import SqliteFile
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

BATCH = 2000
"""Number of leases that are written late at once: some 5 ms."""
STRANGE = (
    "SELECT client_id, port FROM leases"
    f" WHERE port NOT BETWEEN 0 AND {LAST_PORT} OR client_id GLOB '*[^A-Za-z0-9._-]*'"
    " OR client_id NOT GLOB '[A-Za-z0-9]*' OR length(client_id) > 64"
    " OR length(client_id) != length(CAST(client_id AS BLOB))"  # contains a NUL, at which GLOB ends
)
"""Rows that are not valid registrations: SQLite finds them in a tenth of the time that Python takes."""


class SqliteRegistry(MemoryRegistry):
    """A `directory.registry.Registry` whose leases are also in the table `leases`.

    A lease that differs from the former one is in the file when `keep` returns; times of last requests
    are written with `write_behind`. Waiting clients and partners end with the process.
    """

    def __init__(self, file: SqliteFile, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        super().__init__(limits)
        self._file = file
        self._heard: dict[str, None] = {}  # clients with a request since the last write
        self._load()

    def forget(self, client_id: str) -> bool:
        if client_id in self._entries:
            self._file.write("DELETE FROM leases WHERE client_id = ?", client_id)
            self._heard.pop(client_id, None)
        return super().forget(client_id)

    def _forget_all(self, ended: Sequence[str]) -> bool:
        try:
            self._file.touch("DELETE FROM leases WHERE client_id = ?", [(one,) for one in ended])
        except StoreTrouble:
            return False
        for client_id in ended:
            self._heard.pop(client_id, None)
        return super()._forget_all(ended)

    def write_behind(self) -> bool:
        """Write `BATCH` times of last requests; return True if there are more.

        A failed write is repeated the next time.
        """
        batch = list(islice(self._heard, BATCH))
        if not batch:
            return False
        for client_id in batch:
            del self._heard[client_id]
        known = [self._entries[one] for one in batch]
        try:
            self._file.touch(
                "UPDATE leases SET heard = ? WHERE client_id = ?",
                [(entry.heard, entry.lease.client_id) for entry in known],
            )
        except StoreTrouble:
            self._heard.update(dict.fromkeys(batch))
            return False
        return bool(self._heard)

    def _seen(self, entry: LeaseEntry, now: float) -> None:
        super()._seen(entry, now)
        self._heard[entry.lease.client_id] = None

    def _changes(
        self, former: ClassicRegistration | None, lease: ClassicRegistration, now: float
    ) -> None:
        if former is not None and _is_same(former, lease):
            return
        self._file.write(
            "INSERT INTO leases (ip, port, host, local, key, client_id, host_port, heard)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (client_id) DO UPDATE SET ip = excluded.ip, port = excluded.port,"
            " host = excluded.host, host_port = excluded.host_port, local = excluded.local,"
            " key = excluded.key, heard = excluded.heard",
            *(lease.ip, lease.port, lease.host, lease.source.local, lease.key),
            *(lease.client_id, lease.source.port, now),
        )

    def _load(self) -> None:
        """Read the stored leases; they are too many only after a limit was lowered.

        Raises ValueError for an invalid row.
        """
        for client_id, port in self._file.read(STRANGE):
            check_lease(client_id, port, "")
        rows = self._file.read(
            "SELECT client_id, ip, port, key, host, host_port, local, heard FROM leases"
            " ORDER BY number"
        )
        collects = gc.isenabled()
        gc.disable()  # it would examine all of them several times, and none of them is garbage
        try:
            self.restore(rows)
        finally:
            if collects:
                gc.enable()


def _is_same(former: ClassicRegistration, lease: ClassicRegistration) -> bool:
    """Return True if the file need not change for `lease`.

    The number of the connection, new each time, is no reason to write; neither is which of this
    machine's own addresses a client has.
    """
    old, new = former.source, lease.source
    return (
        former.port == lease.port
        and former.ip == lease.ip
        and old.is_same_host(new)
        and old.local == new.local
        and former.key == lease.key
    )

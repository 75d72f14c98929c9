"""Keep registrations in memory: bounded, and lost when the process ends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from socket import inet_aton, inet_ntoa
from typing import Any

from chatproto.directory.classic_registration import (
    ClassicRegistration,
    Origin,
    is_loopback,
    network,
)
from chatproto.directory.sorted_ids import SortedIds
from chatproto.stores.lease_entries import (
    EXAMINED,
    FreeClients,
    LeaseEntry,
    SilentClients,
    StoredLease,
)
from chatproto.wire.classic import ClassicRegister
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

LOOPBACK = 127
"""First byte of IPv4 addresses of the machine itself."""
CROWD = 100
"""An address with more leases than this makes room among its own."""


def counted_network(host: str) -> str | None:
    """Return the address that the limit of registrations counts for `host`; None for loopback.

    An IPv4 address as sockets write it is found in a tenth of the time: a start with many asks for each.
    """
    try:
        address = inet_aton(host)
    except OSError:
        address = b""
    if address and inet_ntoa(address) == host:
        return None if address[0] == LOOPBACK else host
    return None if is_loopback(host) else network(host)


class MemoryRegistry:
    """A `directory.registry.Registry` in dictionaries."""

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._most = max(1, limits.registrations)
        self._most_per_network = max(1, limits.registrations_per_address)
        self._entries: dict[str, LeaseEntry] = {}  # in the order in which they registered
        self._silent = SilentClients(self._entries)
        self._free = FreeClients(self._entries)
        self._waiting: OrderedDict[str, LeaseEntry] = OrderedDict()  # the first who came first
        self._networks: dict[str, SilentClients] = {}
        self._partners: OrderedDict[str, str] = OrderedDict()  # the oldest pair first
        self._sorted = SortedIds()

    def load(self, image: dict[str, list[Any]], find: Callable[[Any], Origin]) -> None:
        """Fill an empty registry from what an older server wrote of one, in JSON.

        Args: find: makes an origin of its JSON.
        """
        free, entries = set(image.get("free", ())), self._entries
        for client_id, ip, port, key, source, heard in image.get("leases", ()):
            lease = ClassicRegistration(client_id, ip, port, find(source), key)
            entries[client_id] = _entry(lease, heard, client_id in free)
        self._sorted, self._free = SortedIds(entries), FreeClients(entries)
        for client_id in image.get("silent", ()):
            self._enter_network(entries[client_id])
        waiting = image.get("waiting", ())
        self._waiting.update((client_id, entries[client_id]) for client_id in waiting)
        self._partners.update((one, other) for one, other in image.get("partners", ()))

    def restore(self, rows: Sequence[StoredLease]) -> None:
        """Fill an empty registry, all of whose clients are free.

        Args: rows: leases in the order in which they registered. If they are too many, the longest silent
        are forgotten.
        """
        entries, counted = self._entries, dict[str, str | None]()
        for row in rows:
            host = row[4]
            if host not in counted:
                counted[host] = counted_network(host)
            where = counted[host]
            entries[row[0]] = entry = LeaseEntry(row[7], where, row, row[3] is None)
            if where is not None:
                self._there(where)[row[0]] = entry
        self._sorted, self._free = SortedIds(entries), FreeClients(entries)
        for there in tuple(self._networks.values()):
            while len(there.entries) > self._most_per_network:
                self._forget_one(there)
        while len(entries) > self._most:
            self._forget_one(self._silent)

    def find(self, client_id: str) -> ClassicRegistration | None:
        entry = self._entries.get(client_id)
        return entry.lease if entry else None

    def heard_at(self, client_id: str) -> float:
        entry = self._entries.get(client_id)
        return entry.heard if entry else float("-inf")

    def confirm(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        client_id = message.client_id
        entry = self._entries.get(client_id)
        if entry is None or not entry.lease.confirmed_by(message, source):
            return False
        if not entry.free:
            self._free.set_free(entry, True)
        self._hear(entry, now)
        return True

    def renew(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        client_id = message.client_id
        entry = self._entries.get(client_id)
        if entry is None or not entry.lease.renewed_by(message, source):
            return False
        held = entry.lease
        entry.lease = ClassicRegistration(held.client_id, held.ip, held.port, source)
        if not entry.free:
            self._free.set_free(entry, True)
        self._hear(entry, now)
        return True

    def keep(self, lease: ClassicRegistration, now: float) -> None:
        client_id = lease.client_id
        entry = self._entries.get(client_id)
        if entry is None:
            self._make_room(lease)
        if entry is None or entry.lease is not lease:
            self._changes(entry.lease if entry else None, lease, now)
        if entry is None:
            self._entries[client_id] = entry = _entry(lease, now)
            self._sorted.add(client_id)
            self._enter_network(entry)
        elif entry.lease is not lease:
            moved = entry.lease.host != lease.host
            if moved:
                self._leave_network(entry)
                entry.network = counted_network(lease.host)
            entry.lease = lease
            if moved:
                self._enter_network(entry)
        self._free.set_free(entry, lease.key is None)
        if lease.key is not None:
            self._waiting.pop(client_id, None)
        self._hear(entry, now)

    def touch(self, client_id: str, now: float) -> None:
        entry = self._entries.get(client_id)
        if entry is not None:
            self._hear(entry, now)

    def forget(self, client_id: str) -> bool:
        entry = self._entries.pop(client_id, None)
        if entry is None:
            return False
        self._sorted.remove(client_id)
        self._waiting.pop(client_id, None)
        self._free.set_free(entry, False)
        self._leave_network(entry)
        return True

    def expire(self, before: float, most: int = 1_000_000) -> int:
        count = 0
        while count < most and (ended := [*islice(self._silent.silent(before), most - count)]):
            if not self._forget_all(ended):
                break
            count += len(ended)
        return count

    def _forget_all(self, ended: Sequence[str]) -> bool:
        """Forget clients that are here; False if the store is in trouble, and they still are."""
        for client_id in ended:
            MemoryRegistry.forget(self, client_id)
        return True

    def listed(self, most: int) -> Iterator[ClassicRegistration]:
        entries = tuple(islice(self._entries.values(), most))
        return map(attrgetter("lease"), entries)

    def ids(self, prefix: str = "", after: str = "") -> Iterator[str]:
        return self._sorted.page(prefix, after)

    def __len__(self) -> int:
        return len(self._entries)

    def partner_of(self, client_id: str) -> str | None:
        return self._partners.get(client_id)

    def first_waiting(self, asker: str) -> ClassicRegistration | None:
        first = (one.lease for one in self._waiting.values() if one.lease.client_id != asker)
        return next(first, None)

    def last_free(self, asker: str) -> ClassicRegistration | None:
        found = self._free.last(self._entries.get(asker))
        return found.lease if found is not None else None

    def pair(self, asker: str, peer: str) -> None:
        for one, other in ((asker, peer), (peer, asker)):
            entry = self._entries.get(one)
            if entry is not None:
                self._free.set_free(entry, False)
            self._waiting.pop(one, None)
            self._partners[one] = other
            self._partners.move_to_end(one)
        while len(self._partners) > 2 * self._most:
            self._partners.popitem(last=False)

    def wait(self, asker: str) -> None:
        entry = self._entries.get(asker)
        if entry is not None and entry.lease.key is None:
            self._waiting.setdefault(asker, entry)

    def _make_room(self, lease: ClassicRegistration) -> None:
        """Forget the longest silent of the address of `lease`, or of all, if there is no room for it.

        Nobody is forgotten whose connection lives. Raises RemoteError 503 if nobody else is there.
        """
        where, full = counted_network(lease.host), len(self._entries) >= self._most
        there = self._networks.get(where or "")
        count = len(there.entries) if there is not None else 0
        # Whoever takes many places makes room for itself.
        if there is not None and (count >= self._most_per_network or (full and count > CROWD)):
            self._forget_one(there)
        elif full:
            self._forget_one(self._silent)

    def _forget_one(self, clients: SilentClients) -> None:
        """Forget the longest silent of `clients` whose connection has ended."""
        for client_id in islice(clients.silent(), EXAMINED):
            if not self._entries[client_id].lease.source.alive:
                self.forget(client_id)
                return
        raise RemoteError(503, "no space for another registration")

    def _changes(
        self, former: ClassicRegistration | None, lease: ClassicRegistration, now: float
    ) -> None:
        """Hook for subclasses: `lease` is about to replace `former`; an exception prevents it."""

    def _hear(self, entry: LeaseEntry, now: float) -> None:
        """Note a request from the client of `entry`."""
        entry.heard = now
        if entry.free:
            self._free.hear(entry)

    def _there(self, where: str) -> dict[str, LeaseEntry]:
        """Return the entries of a network."""
        there = self._networks.get(where)
        if there is None:
            there = self._networks[where] = SilentClients({})
        return there.entries

    def _enter_network(self, entry: LeaseEntry) -> None:
        """Count `entry` where it came from; the longest silent there goes if it is one too many."""
        if entry.network is None:
            return
        there, client_id = self._there(entry.network), entry.lease.client_id
        there[client_id] = entry
        if len(there) > self._most_per_network:  # it moved here
            silent = self._networks[entry.network].silent()
            self.forget(next(one for one in silent if one != client_id))

    def _leave_network(self, entry: LeaseEntry) -> None:
        if entry.network is not None:
            there = self._networks[entry.network].entries
            del there[entry.lease.client_id]
            if not there:
                del self._networks[entry.network]


def _entry(lease: ClassicRegistration, heard: float, free: bool = False) -> LeaseEntry:
    """Make the entry of a new lease."""
    entry = LeaseEntry(heard, counted_network(lease.host), None, free)
    entry.lease = lease
    return entry

"""Keep registrations in memory: bounded, and lost when the process ends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile
from operator import attrgetter, itemgetter
from socket import inet_aton, inet_ntoa
from typing import Any

from chatproto.directory.classic_registration import (
    ClassicRegistration,
    Origin,
    is_loopback,
    network,
)
from chatproto.directory.sorted_ids import SortedIds
from chatproto.stores.lease_entries import LeaseEntry, StoredLease, UnheardLeases
from chatproto.wire.classic import ClassicRegister
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

EXAMINED = 10_000
"""Leases that are looked at for one that can be forgotten: a few milliseconds."""
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
    """A `directory.registry.Registry` in dictionaries that keep an order; no operation scans."""

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._most = max(1, limits.registrations)
        self._most_per_network = max(1, limits.registrations_per_address)
        self._entries: dict[str, LeaseEntry] = {}  # in the order in which they registered
        self._silent: OrderedDict[str, LeaseEntry] = OrderedDict()  # the longest silent first
        self._free: OrderedDict[str, LeaseEntry] = OrderedDict()  # likewise
        self._waiting: OrderedDict[str, LeaseEntry] = OrderedDict()  # the first who came first
        self._networks: dict[str, OrderedDict[str, LeaseEntry]] = {}  # the longest silent first
        self._partners: OrderedDict[str, str] = OrderedDict()  # the oldest pair first
        self._unheard = UnheardLeases({})  # silent for longer than all others
        self._sorted = SortedIds()

    def load(self, image: dict[str, list[Any]], find: Callable[[Any], Origin]) -> None:
        """Fill an empty registry from what an older server wrote of one, in JSON.

        Args: find: makes an origin of its JSON.
        """
        entries = self._entries
        for client_id, ip, port, key, source, heard in image.get("leases", ()):
            lease = ClassicRegistration(client_id, ip, port, find(source), key)
            entries[client_id] = _entry(lease, heard)
        self._sorted = SortedIds(entries)
        for client_id in image.get("silent", ()):
            self._silent[client_id] = entries[client_id]
            self._enter_network(entries[client_id])
        for name, order in (("free", self._free), ("waiting", self._waiting)):
            order.update((client_id, entries[client_id]) for client_id in image.get(name, ()))
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
            entries[row[0]] = LeaseEntry(row[7], counted[host], row)
        self._sorted = SortedIds(entries)
        by_silence = sorted(rows, key=itemgetter(7))
        self._unheard = UnheardLeases({row[0]: entries[row[0]] for row in by_silence})
        for row in rows:
            if row[3] is not None:  # it has a key
                self._unheard.take(row[0])
        for where in {one for one in counted.values() if one is not None}:
            while self._unheard.count(where) > self._most_per_network:
                self._forget_unheard(where)
        while len(entries) > self._most:
            self._forget_unheard()

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
        self._free[client_id] = entry
        self._hear(entry, now)
        return True

    def renew(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        client_id = message.client_id
        entry = self._entries.get(client_id)
        if entry is None or not entry.lease.renewed_by(message, source):
            return False
        entry.lease = ClassicRegistration(client_id, message.ip, message.port, source)
        self._free[client_id] = entry
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
            entry = _entry(lease, now)
            self._entries[client_id] = self._silent[client_id] = entry
            self._sorted.add(client_id)
            self._enter_network(entry)
        elif entry.lease is not lease:
            if entry.row is not None:
                self._wake(entry)
            moved = entry.lease.host != lease.host
            if moved:
                self._leave_network(entry)
                entry.network = counted_network(lease.host)
            entry.lease = lease
            if moved:
                self._enter_network(entry)
        if lease.key is None:
            self._free[client_id] = entry
        else:
            self._free.pop(client_id, None)
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
        if entry.row is not None:
            self._unheard.remove(client_id)
            return True
        del self._silent[client_id]
        self._free.pop(client_id, None)
        self._leave_network(entry)
        return True

    def expire(self, before: float, most: int = 1_000_000) -> int:
        ended = self._ended(before, most)
        for client_id in ended:
            self.forget(client_id)
        return len(ended)

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
        return _first_but(asker, self._waiting.values())

    def last_free(self, asker: str) -> ClassicRegistration | None:
        found = _first_but(asker, reversed(self._free.values()))
        if found is None and (entry := self._unheard.last_free(asker)) is not None:
            return entry.lease
        return found

    def pair(self, asker: str, peer: str) -> None:
        for one, other in ((asker, peer), (peer, asker)):
            self._free.pop(one, None)
            self._waiting.pop(one, None)
            self._unheard.take(one)
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
        there: dict[str, LeaseEntry] = self._networks.get(where or "") or {}
        count = len(there) + self._unheard.count(where)
        # Whoever takes many places makes room for itself.
        if where is not None and (count >= self._most_per_network or (full and count > CROWD)):
            if not self._forget_unheard(where):
                self._forget_one(there.values())
        elif full and not self._forget_unheard():
            self._forget_one(self._silent.values())

    def _forget_unheard(self, where: str | None = None) -> bool:
        """Forget the longest silent that was read at the start, of all or of the network `where`.

        Returns: False if there is none.
        """
        entry = self._unheard.oldest(where)
        return entry is not None and self.forget(entry.lease.client_id)

    def _ended(self, before: float, most: int) -> list[str]:
        """Return at most `most` ids of clients that were not heard from since `before`."""
        entries, order = self._entries, chain(self._unheard, self._silent)
        return list(islice(takewhile(lambda one: entries[one].heard < before, order), most))

    def _forget_one(self, entries: Iterable[LeaseEntry]) -> None:
        for entry in islice(entries, EXAMINED):
            if not entry.lease.source.alive:
                self.forget(entry.lease.client_id)
                return
        raise RemoteError(503, "no space for another registration")

    def _changes(
        self, former: ClassicRegistration | None, lease: ClassicRegistration, now: float
    ) -> None:
        """Hook for subclasses: `lease` is about to replace `former`; an exception prevents it."""

    def _hear(self, entry: LeaseEntry, now: float) -> None:
        """Put `entry` last wherever the order is that of silence."""
        client_id = entry.lease.client_id
        entry.heard = now
        if entry.row is not None:
            self._wake(entry)
        self._silent.move_to_end(client_id)
        if client_id in self._free:
            self._free.move_to_end(client_id)
        if entry.network is not None:
            self._networks[entry.network].move_to_end(client_id)

    def _wake(self, entry: LeaseEntry) -> None:
        """Put an entry that was read at the start, and is heard of now, last in all orders."""
        client_id = entry.lease.client_id
        if self._unheard.is_free(client_id):
            self._free[client_id] = entry
        self._unheard.remove(client_id)
        entry.row = None
        self._silent[client_id] = entry
        if entry.network is not None:
            self._networks.setdefault(entry.network, OrderedDict())[client_id] = entry

    def _enter_network(self, entry: LeaseEntry) -> None:
        """Count `entry` where it came from; the longest silent there goes if it is one too many."""
        if entry.network is None:
            return
        there = self._networks.setdefault(entry.network, OrderedDict())
        there[entry.lease.client_id] = entry
        too_many = len(there) + self._unheard.count(entry.network) > self._most_per_network
        if too_many and not self._forget_unheard(entry.network):  # it moved here
            self.forget(next(one for one in there if one != entry.lease.client_id))

    def _leave_network(self, entry: LeaseEntry) -> None:
        if entry.network is not None:
            there = self._networks[entry.network]
            del there[entry.lease.client_id]
            if not there:
                del self._networks[entry.network]


def _entry(lease: ClassicRegistration, heard: float) -> LeaseEntry:
    """Make the entry of a new lease."""
    entry = LeaseEntry(heard, counted_network(lease.host), None)
    entry.lease = lease
    return entry


def _first_but(asker: str, entries: Iterable[LeaseEntry]) -> ClassicRegistration | None:
    """The first lease that is not `asker`'s; looks at two at most."""
    return next((e.lease for e in entries if e.lease.client_id != asker), None)

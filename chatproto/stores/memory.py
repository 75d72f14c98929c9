"""Store registrations in memory: bounded, and lost when the process ends.

A request only changes the time in its entry: keeping the entries in order would take longer than the
rest of a request if there are very many. One scan of all entries finds the longest silent, or those
with the latest requests, for the next thousands of queries.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from operator import attrgetter, itemgetter
from socket import inet_aton, inet_ntoa
from typing import Any

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.sorted_ids import SortedIds
from chatproto.net.addresses import is_loopback, network
from chatproto.wire.classic import ClassicRegister
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

LOOPBACK = 127
"""First byte of IPv4 loopback addresses."""
CROWD = 100
"""Number of leases of one address above which it makes room among its own."""
LOOKED = 20_000
"""Approximate number of entries found by one scan, which takes some 20 ms for 200,000."""
EXAMINED = 10_000
"""Number of the longest silent that are known after a scan."""
SAMPLE = 1000
"""Approximate number of entries that are sorted as a sample of very many."""
StoredLease = tuple[str, str, int, str | None, str, int, int, float]
"""A lease as a file stores it: id, claimed address and port, key, the address and port that it came
from, whether that was this machine, and the time of its last request.
"""


def counted_network(host: str) -> str | None:
    """Return the address that the limit of registrations counts for `host`; None for loopback.

    An IPv4 address in the form of sockets takes a tenth of the time: a start with many leases needs
    each.
    """
    try:
        address = inet_aton(host)
    except OSError:
        address = b""
    if address and inet_ntoa(address) == host:
        return None if address[0] == LOOPBACK else host
    return None if is_loopback(host) else network(host)


class LeaseEntry:
    """A lease and the time of its last request.

    Args: counted: see `counted_network`. row: the lease as it was read at the start; `lease` is created
    from it on demand, since most of very many are needed late or never. free: True if BRIDGE may return
    it. lease: a new one, which has no row.
    """

    __slots__ = ("free", "heard", "lease", "network", "row")
    lease: ClassicRegistration

    def __init__(
        self,
        heard: float,
        counted: str | None,
        row: StoredLease | None,
        free: bool = False,
        lease: ClassicRegistration | None = None,
    ) -> None:
        self.heard = heard
        self.network = counted
        self.free = free
        self.row = row
        if lease is not None:
            self.lease = lease

    def __getattr__(self, name: str) -> ClassicRegistration:
        """Create the lease. Python calls this only for a missing attribute."""
        if name != "lease" or self.row is None:
            raise AttributeError(name)
        client_id, ip, port, key, host, seen, local, _ = self.row
        self.lease = ClassicRegistration(
            client_id, ip, port, Origin(host, seen, bool(local), False), key
        )
        self.row = None
        return self.lease


class SilentClients:
    """Find the longest silent of `entries`, which change outside."""

    __slots__ = ("_known", "_until", "entries")

    def __init__(self, entries: dict[str, LeaseEntry]) -> None:
        self.entries = entries
        # The result of the last scan, the longest silent last. All others had a request at `_until` or
        # later.
        self._known: list[tuple[float, str]] = []
        self._until = -inf

    def silent(self, before: float = inf) -> Iterator[str]:
        """Iterate over the ids without a request since `before`, the longest silent first.

        All of them, or about `EXAMINED` at least.
        """
        found = set()
        for client_id in self._still_silent(before):
            found.add(client_id)
            yield client_id
        if len(found) < min(EXAMINED, len(self.entries)) and self._until < before:
            self._look()
            yield from (one for one in self._still_silent(before) if one not in found)

    def _still_silent(self, before: float) -> Iterator[str]:
        """Iterate over the ids of `silent` that the last scan found."""
        known = self._known
        while known and known[-1][0] < before and not self._is_silent(*known[-1]):
            known.pop()
        for heard, client_id in reversed(known):
            if heard >= before:
                break
            if self._is_silent(heard, client_id):
                yield client_id

    def _is_silent(self, heard: float, client_id: str) -> bool:
        """Return True if the client is registered and had no request since `heard`."""
        entry = self.entries.get(client_id)
        return entry is not None and entry.heard == heard

    def _look(self) -> None:
        """Find the longest silent now."""
        last = _heard_at_rank([*self.entries.values()], LOOKED)
        known = [(one.heard, name) for name, one in self.entries.items() if one.heard <= last]
        known.sort(key=itemgetter(0))
        self._until = known[-1][0]
        known.reverse()
        self._known = known


class FreeClients:
    """Find the free one of `entries` with the latest request.

    They change outside; `set_free` and `hear` note it.
    """

    def __init__(self, entries: Mapping[str, LeaseEntry]) -> None:
        self._entries = entries
        self._count = sum(one.free for one in entries.values())
        # Some of them several times, or no longer free.
        self._recent: deque[LeaseEntry] = deque(maxlen=LOOKED)
        self.hear = self._recent.append
        """Note a request of a free client."""

    def set_free(self, entry: LeaseEntry, free: bool) -> None:
        """Note that a client becomes free, before its request is noted, or is no longer free."""
        self._count += free - entry.free
        entry.free = free

    def last(self, but: LeaseEntry | None) -> LeaseEntry | None:
        """Return the free one other than `but` with the latest request."""
        found = self._recent_free(but)
        if found is None and self._count > (but is not None and but.free):
            free = [one for one in self._entries.values() if one.free]
            first = _heard_at_rank(free, len(free) - LOOKED)
            free = [one for one in free if one.heard >= first]
            self._recent.extend(sorted(free, key=attrgetter("heard")))
            found = self._recent_free(but)
        return found

    def _recent_free(self, but: LeaseEntry | None) -> LeaseEntry | None:
        """Return the result of `last` if it is one of the recent ones."""
        recent, passed = self._recent, False
        while recent and (recent[-1] is but or not recent[-1].free):
            passed |= recent.pop() is but
        found = recent[-1] if recent else None
        if passed and but is not None and but.free:
            recent.append(but)
        return found


def _heard_at_rank(entries: Sequence[LeaseEntry], rank: int) -> float:
    """Return approximately the request time that `rank` entries are later than.

    Plus or minus infinity beyond the ends.
    """
    if not 0 < rank < len(entries):
        return inf if rank > 0 else -inf
    sample = sorted(one.heard for one in entries[:: len(entries) // SAMPLE + 1])
    return sample[len(sample) * rank // len(entries)]


class MemoryRegistry:
    """A `directory.registry.Registry` in dictionaries."""

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._most = max(1, limits.registrations)
        self._most_per_network = max(1, limits.registrations_per_address)
        self._entries: dict[str, LeaseEntry] = {}  # in the order of their registration
        self._silent = SilentClients(self._entries)
        self._free = FreeClients(self._entries)
        self._waiting: OrderedDict[str, LeaseEntry] = OrderedDict()  # the longest waiting first
        self._networks: dict[str, SilentClients] = {}
        self._partners: OrderedDict[str, str] = OrderedDict()  # the oldest pair first
        self._sorted = SortedIds()

    def load(self, image: dict[str, list[Any]], find: Callable[[Any], Origin]) -> None:
        """Fill an empty registry from the JSON that an older server wrote.

        Args: find: creates an origin from its JSON.
        """
        free, entries = set(image.get("free", ())), self._entries
        for client_id, ip, port, key, source, heard in image.get("leases", ()):
            lease = ClassicRegistration(client_id, ip, port, find(source), key)
            counted = counted_network(lease.host)
            entries[client_id] = LeaseEntry(heard, counted, None, client_id in free, lease)
        self._sorted, self._free = SortedIds(entries), FreeClients(entries)
        for client_id in image.get("silent", ()):
            self._enter_network(entries[client_id])
        waiting = image.get("waiting", ())
        self._waiting.update((client_id, entries[client_id]) for client_id in waiting)
        self._partners.update((one, other) for one, other in image.get("partners", ()))

    def restore(self, rows: Sequence[StoredLease]) -> None:
        """Fill an empty registry, all of whose clients are free.

        Args: rows: leases in the order of their registration. If they are too many, the longest silent
        are removed.
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
        self._seen(entry, now)
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
        self._seen(entry, now)
        return True

    def keep(self, lease: ClassicRegistration, now: float) -> None:
        client_id = lease.client_id
        entry = self._entries.get(client_id)
        if entry is None:
            counted = counted_network(lease.source.host)
            self._make_room(counted)
            self._changes(None, lease, now)
            self._entries[client_id] = entry = LeaseEntry(now, counted, None, lease=lease)
            self._sorted.add(client_id)
            self._enter_network(entry)
        elif entry.lease is not lease:
            self._changes(entry.lease, lease, now)
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
        self._seen(entry, now)

    def touch(self, client_id: str, now: float) -> None:
        entry = self._entries.get(client_id)
        if entry is not None:
            self._seen(entry, now)

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
        """Remove registered clients; return False if the store fails, and they stay."""
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

    def _make_room(self, counted: str | None) -> None:
        """Remove the longest silent of an address, or of all, if there is no room for another one.

        No client with a live connection is removed. Raises RemoteError 503 if there is no other.
        """
        full = len(self._entries) >= self._most
        there = self._networks.get(counted or "")
        count = len(there.entries) if there is not None else 0
        # An address with many leases makes room among its own.
        if there is not None and (count >= self._most_per_network or (full and count > CROWD)):
            self._forget_one(there)
        elif full:
            self._forget_one(self._silent)

    def _forget_one(self, clients: SilentClients) -> None:
        """Remove the longest silent of `clients` whose connection has ended."""
        for client_id in islice(clients.silent(), EXAMINED):
            if not self._entries[client_id].lease.source.alive:
                self.forget(client_id)
                return
        raise RemoteError(503, "no space for another registration")

    def _changes(
        self, former: ClassicRegistration | None, lease: ClassicRegistration, now: float
    ) -> None:
        """Hook for subclasses: `lease` is about to replace `former`; an exception prevents it."""

    def _seen(self, entry: LeaseEntry, now: float) -> None:
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
        """Count `entry` for its address; the longest silent there is removed if it is one too many."""
        if entry.network is None:
            return
        there, client_id = self._there(entry.network), entry.lease.client_id
        there[client_id] = entry
        if len(there) > self._most_per_network:  # its address has changed
            silent = self._networks[entry.network].silent()
            self.forget(next(one for one in silent if one != client_id))

    def _leave_network(self, entry: LeaseEntry) -> None:
        if entry.network is not None:
            there = self._networks[entry.network].entries
            del there[entry.lease.client_id]
            if not there:
                del self._networks[entry.network]

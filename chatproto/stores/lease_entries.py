"""Entries of the registry in memory, and those that were read at a start and not heard of since."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from operator import attrgetter

from chatproto.directory.classic_registration import ClassicRegistration, Origin

StoredLease = tuple[str, str, int, str | None, str, int, int, float]
"""Lease as a file has it: id, claimed address and port, key, the address and port that it came from,
whether that was this machine, and the time of its last request."""


GONE_LEAST, GONE_SHARE = 1000, 8
"""Clients that are here no more, and stand in an order, at least and as a share of those that are here."""


class LeaseEntry:
    """A lease and when it was last heard of.

    Args: row: the lease as it was read at the start, until it is heard of; None for a new one. `lease` is
    made of it when somebody asks: most of very many are asked for late or never. counted: see
    `memory.counted_network`.
    """

    __slots__ = ("heard", "lease", "network", "row")
    lease: ClassicRegistration

    def __init__(self, heard: float, counted: str | None, row: StoredLease | None) -> None:
        self.heard = heard
        self.network = counted
        self.row = row

    def __getattr__(self, name: str) -> ClassicRegistration:
        """Make the lease. Python asks here only for what is not set."""
        if name != "lease" or self.row is None:
            raise AttributeError(name)
        client_id, ip, port, key, host, seen, local, _ = self.row
        self.lease = ClassicRegistration(
            client_id, ip, port, Origin(host, seen, bool(local), False), key
        )
        return self.lease


class UnheardLeases:
    """Leases read at a start of which nothing was heard since, the longest silent first.

    All others were heard of later, so these need no order that changes, which would take half of the
    start. Those without a key are free until they are paired.
    """

    def __init__(self, entries: dict[str, LeaseEntry]) -> None:
        self._entries = entries
        self._order = deque(entries)  # has also some that are here no more, as the next two
        self._free = list(entries)
        self._gone = 0  # at most so many are in these two
        self._networks: dict[str, deque[str]] = {}  # by network, of those that were asked for
        self._taken: set[str] = set()
        self._counts = Counter(map(attrgetter("network"), entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids, the longest silent first."""
        self._without_gone(self._order)
        return filter(self._entries.__contains__, self._order)

    def is_free(self, client_id: str) -> bool:
        """Return True if the client is here, and free."""
        return client_id in self._entries and client_id not in self._taken

    def take(self, client_id: str) -> None:
        """Note that the client, if it is here, is free no more."""
        if client_id in self._entries:
            self._taken.add(client_id)

    def remove(self, client_id: str) -> None:
        """Remove a client that is here."""
        self._counts[self._entries.pop(client_id).network] -= 1
        self._taken.discard(client_id)
        self._gone += 1
        if self._gone > max(GONE_LEAST, len(self._entries) // GONE_SHARE):
            # Otherwise somebody would pass very many of them at once.
            self._order, self._free, self._gone = deque(self._entries), list(self._entries), 0

    def count(self, network: str | None) -> int:
        """Return how many came from a network."""
        return self._counts[network]

    def oldest(self, network: str | None = None) -> LeaseEntry | None:
        """Return the longest silent of all, or of those from one network."""
        order = self._order
        if network is not None:
            if network not in self._networks:
                there = (one for one, entry in self._entries.items() if entry.network == network)
                self._networks[network] = deque(there)
            order = self._networks[network]
        self._without_gone(order)
        return self._entries[order[0]] if order else None

    def _without_gone(self, order: deque[str]) -> None:
        """Take off the front of `order` the clients that are here no more."""
        while order and order[0] not in self._entries:
            order.popleft()

    def last_free(self, asker: str) -> LeaseEntry | None:
        """Return the free one other than `asker` that was heard of last."""
        own = None
        while self._free and (not self.is_free(self._free[-1]) or self._free[-1] == asker):
            last = self._free.pop()
            if last == asker and self.is_free(last):
                own = last
        found = self._entries[self._free[-1]] if self._free else None
        if own is not None:
            self._free.append(own)
        return found

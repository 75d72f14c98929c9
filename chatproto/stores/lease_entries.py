"""Entries of the registry in memory, and who of them is silent for longest, or was heard of last.

A request changes the time in its entry, and moves nothing: to keep the entries in their order would take
longer than the rest of a request when there are very many. One look at all of them finds those at one
end of the order for the next thousands of questions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from operator import attrgetter, itemgetter

from chatproto.directory.classic_registration import ClassicRegistration, Origin

StoredLease = tuple[str, str, int, str | None, str, int, int, float]
"""Lease as a file has it: id, claimed address and port, key, the address and port that it came from,
whether that was this machine, and the time of its last request."""


LOOKED = 20_000
"""About so many are found by a look at all, which takes some 20 ms for 200,000."""
EXAMINED = 10_000
"""So many of the longest silent are known, if they are asked for."""
SAMPLE = 1000
"""Of very many entries about so many are sorted."""


class LeaseEntry:
    """A lease and when it was last heard of.

    Args: row: the lease as it was read at the start, until it is heard of; None for a new one. `lease` is
    made of it when somebody asks: most of very many are asked for late or never. counted: see
    `memory.counted_network`. free: whether BRIDGE may hand it out.
    """

    __slots__ = ("free", "heard", "lease", "network", "row")
    lease: ClassicRegistration

    def __init__(
        self, heard: float, counted: str | None, row: StoredLease | None, free: bool = False
    ) -> None:
        self.heard = heard
        self.network = counted
        self.free = free
        self.row = row

    def __getattr__(self, name: str) -> ClassicRegistration:
        """Make the lease. Python asks here only for what is not set."""
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
        # As it was at the last look, the longest silent last. All others were heard of at `_until` or later.
        self._known: list[tuple[float, str]] = []
        self._until = -inf

    def silent(self, before: float = inf) -> Iterator[str]:
        """Iterate over the ids of those not heard of since `before`, the longest silent first.

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
        """Iterate over those of `silent` that the last look found."""
        known = self._known
        while known and known[-1][0] < before and not self._is_silent(*known[-1]):
            known.pop()
        for heard, client_id in reversed(known):
            if heard >= before:
                break
            if self._is_silent(heard, client_id):
                yield client_id

    def _is_silent(self, heard: float, client_id: str) -> bool:
        """Return True if the client is here, and was not heard of since `heard`."""
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
    """Find the free one of `entries` that was heard of last.

    They change outside; `set_free` and `hear` are told of it.
    """

    def __init__(self, entries: Mapping[str, LeaseEntry]) -> None:
        self._entries = entries
        self._count = sum(one.free for one in entries.values())
        # Some of them several times, or not free any more.
        self._recent: deque[LeaseEntry] = deque(maxlen=LOOKED)
        self.hear = self._recent.append
        """Note that a free client was heard of."""

    def set_free(self, entry: LeaseEntry, free: bool) -> None:
        """Note that a client becomes free, before it is heard of, or is free no more."""
        self._count += free - entry.free
        entry.free = free

    def last(self, but: LeaseEntry | None) -> LeaseEntry | None:
        """Return the free one other than `but` that was heard of last."""
        found = self._recent_free(but)
        if found is None and self._count > (but is not None and but.free):
            free = [one for one in self._entries.values() if one.free]
            first = _heard_at_rank(free, len(free) - LOOKED)
            free = [one for one in free if one.heard >= first]
            self._recent.extend(sorted(free, key=attrgetter("heard")))
            found = self._recent_free(but)
        return found

    def _recent_free(self, but: LeaseEntry | None) -> LeaseEntry | None:
        """Return what `last` does if it is one of the recent ones."""
        recent, passed = self._recent, False
        while recent and (recent[-1] is but or not recent[-1].free):
            passed |= recent.pop() is but
        found = recent[-1] if recent else None
        if passed and but is not None and but.free:
            recent.append(but)
        return found


def _heard_at_rank(entries: Sequence[LeaseEntry], rank: int) -> float:
    """Return about when that entry was heard of before which `rank` others were.

    Plus or minus infinity if that is beyond the end.
    """
    if not 0 < rank < len(entries):
        return inf if rank > 0 else -inf
    sample = sorted(one.heard for one in entries[:: len(entries) // SAMPLE + 1])
    return sample[len(sample) * rank // len(entries)]

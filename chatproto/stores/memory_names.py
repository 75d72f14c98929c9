"""Whose id is whose, in memory: while the process lives."""

from __future__ import annotations

from collections import OrderedDict

from chatproto.directory.names import fold
from chatproto.wire.limits import DEFAULTS, Limits


class MemoryNames:
    """A `directory.names.Names` in dictionaries; the longest unused comes first."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self._most = max(1, limits.names)
        self._used: OrderedDict[str, float] = OrderedDict()
        self._owners: dict[str, tuple[str, set[str]]] = {}  # by fold: the key, and its ids
        self._ids: dict[str, dict[str, None]] = {}  # by key

    def owner(self, client_id: str) -> str | None:
        found = self._owners.get(fold(client_id))
        return found[0] if found else None

    def owned(self, key: str) -> tuple[str, ...]:
        return tuple(self._ids.get(key, ()))

    def keep(self, client_id: str, key: str, now: float) -> None:
        former = self._owners.get(fold(client_id))
        if former is not None and former[0] != key:
            for alike in tuple(former[1]):
                self.free(alike)
        self._used[client_id] = now
        self._used.move_to_end(client_id)
        self._owners.setdefault(fold(client_id), (key, set()))[1].add(client_id)
        self._ids.setdefault(key, {})[client_id] = None
        if len(self._used) > self._most:
            self.free(next(iter(self._used)))

    def free(self, client_id: str) -> bool:
        if self._used.pop(client_id, None) is None:
            return False
        key, alike = self._owners[fold(client_id)]
        alike.remove(client_id)
        if not alike:
            del self._owners[fold(client_id)]
        del self._ids[key][client_id]
        if not self._ids[key]:
            del self._ids[key]
        return True

    def expire(self, before: float) -> int:
        gone = 0
        while self._used:
            client_id, used = next(iter(self._used.items()))
            if used >= before:
                break
            self.free(client_id)
            gone += 1
        return gone

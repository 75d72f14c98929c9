"""Store in memory which key owns which id."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any

from chatproto.wire.fields import fold


@dataclass(slots=True)
class Owned:
    """Owned id; see `directory.id_owners.IdOwners.keep`."""

    key: str
    used: float
    host: str
    trial: bool


class MemoryNames:
    """A `directory.id_owners.IdOwners` in dictionaries; the longest unused comes first."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, Owned] = OrderedDict()
        self._trials: OrderedDict[str, Owned] = OrderedDict()
        self._owners: dict[str, tuple[str, set[str]]] = {}  # by folded id: the key, and its ids
        self._ids: dict[str, dict[str, None]] = {}  # by key
        self._hosts: Counter[str] = Counter()
        self._hidden: dict[str, tuple[str, ...]] = {}

    def image(self) -> list[Any]:
        """Return `[id, key, used, host, trial]` of each owned id, the longest unused first."""
        return [
            [client_id, one.key, one.used, one.host, one.trial]
            for order in (self._used, self._trials)
            for client_id, one in order.items()
        ]

    def hidden_image(self) -> list[Any]:
        """Return `[id, keys]` of each hidden id: the keys that may still see it."""
        return [[client_id, list(allow)] for client_id, allow in self._hidden.items()]

    def load(self, image: list[Any], hidden: list[Any]) -> None:
        """Fill an empty store from `image` and `hidden_image`; older servers write three values."""
        for client_id, key, used, *more in image:
            self.keep(client_id, key, used, *more)
        for client_id, allow in hidden:
            self.hide(client_id, tuple(allow))

    def __len__(self) -> int:
        return len(self._used) + len(self._trials)

    def owner(self, client_id: str) -> str | None:
        found = self._owners.get(fold(client_id))
        return found[0] if found else None

    def owned(self, key: str) -> tuple[str, ...]:
        return tuple(self._ids.get(key, ()))

    def has_from(self, host: str) -> bool:
        return host in self._hosts

    def keep(
        self, client_id: str, key: str, now: float, host: str = "", trial: bool = False
    ) -> None:
        former = self._owners.get(fold(client_id))
        if former is not None and former[0] != key:
            for alike in tuple(former[1]):
                self.free(alike)
        known = self._used.pop(client_id, None) or self._trials.pop(client_id, None)
        if known is None:
            known = Owned(key, now, host, trial)
            self._owners.setdefault(fold(client_id), (key, set()))[1].add(client_id)
            self._ids.setdefault(key, {})[client_id] = None
            if host:
                self._hosts[host] += 1
        known.used, known.trial = now, known.trial and trial
        (self._trials if known.trial else self._used)[client_id] = known

    def hide(self, client_id: str, allow: tuple[str, ...] | None) -> None:
        self._hidden.pop(client_id, None)
        if allow is not None:
            self._hidden[client_id] = allow

    def hidden(self, client_id: str) -> tuple[str, ...] | None:
        return self._hidden.get(client_id)

    def free(self, client_id: str) -> bool:
        known = self._used.pop(client_id, None) or self._trials.pop(client_id, None)
        if known is None:
            return False
        self._hidden.pop(client_id, None)
        key, alike = self._owners[fold(client_id)]
        alike.remove(client_id)
        if not alike:
            del self._owners[fold(client_id)]
        del self._ids[key][client_id]
        if not self._ids[key]:
            del self._ids[key]
        if known.host:
            self._hosts[known.host] -= 1
            if not self._hosts[known.host]:
                del self._hosts[known.host]
        return True

    def expire(self, before: float, trials_before: float | None = None, most: int = 1_000) -> int:
        gone = 0
        for order, end in ((self._used, before), (self._trials, trials_before)):
            while order and end is not None and gone < most:
                client_id, known = next(iter(order.items()))
                if known.used >= end:
                    break
                self.free(client_id)
                gone += 1
        return gone

"""Time every call of a store, for `--metrics`."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

from chatproto.directory.id_owners import IdOwners
from chatproto.directory.registration_store import RegistrationStore
from chatproto.directory.registry import Registry
from chatproto.rooms.history import RoomStore
from chatproto.stores.open import Store

Spend = Callable[[str, str, float, bool], None]
"""Function that gets the part of the store, the call, its seconds, and whether it failed."""


class TimedPart:
    """Part of a store that reports the time of each call to `spend`."""

    def __init__(self, part: Any, name: str, spend: Spend) -> None:
        self._part = part
        self._name = name
        self._spend = spend

    def __bool__(self) -> bool:
        return bool(self._part)

    def __len__(self) -> int:
        return len(self._part)

    def __getattr__(self, call: str) -> Any:
        found = getattr(self._part, call)
        if not callable(found):
            return found
        name, spend = self._name, self._spend

        def timed(*arguments: Any, **named: Any) -> Any:
            begun, failed = perf_counter(), True
            try:
                result = found(*arguments, **named)
                failed = False
                return result
            finally:
                spend(name, call, perf_counter() - begun, failed)

        setattr(self, call, timed)  # so that this is done once for each
        return timed


class TimedStore(TimedPart):
    """`store`, which reports the time of each call of it and of its parts to `spend`."""

    def __init__(self, store: Store, spend: Spend) -> None:
        super().__init__(store, "store", spend)
        self.registry = cast(Registry, TimedPart(store.registry, "registry", spend))
        self.names = cast(IdOwners, TimedPart(store.names, "names", spend))
        self.presences = cast(RegistrationStore, TimedPart(store.presences, "presences", spend))
        self.rooms = cast(RoomStore, TimedPart(store.rooms, "rooms", spend))


class TimedDirectory:
    """Directory shared by several servers, which reports the time of each call to `spend`."""

    def __init__(self, store: Any, spend: Spend) -> None:
        self._store = store
        self._spend = spend

    def __getattr__(self, call: str) -> Any:
        method = getattr(self._store, call)

        async def timed(*values: Any) -> Any:
            begun, failed = perf_counter(), True
            try:
                result = await method(*values)
                failed = False
                return result
            finally:
                self._spend("directory", call, perf_counter() - begun, failed)

        setattr(self, call, timed)  # so that this is done once for each
        return timed

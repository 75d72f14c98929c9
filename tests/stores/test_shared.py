"""Run the contracts while after each step another server takes over the snapshot."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import Origin
from chatproto.directory.id_owners import IdOwners
from chatproto.directory.registry import Registry
from chatproto.server.replica_snapshot import read, written
from chatproto.stores.shared import SharedMemory
from tests.contracts.names import NamesContract
from tests.contracts.registry import RegistryContract
from tests.limits import Limits


class Handed:
    """The part `part` of a store, which is another store after each call."""

    def __init__(self, limits: Limits, part: str) -> None:
        self._limits = limits
        self._part = part
        self._store = SharedMemory(limits)
        self._sources: list[Origin] = []

    def __len__(self) -> int:
        part: Sized = getattr(self._store, self._part)
        return len(part)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **how: Any) -> Any:
            try:
                return getattr(getattr(self._store, self._part), name)(*arguments, **how)
            finally:
                self._hand_on()

        return call

    def _hand_on(self) -> None:
        picture = self._store.picture(self._named)
        self._store = SharedMemory(self._limits)
        self._store.load(read(written(picture)), self._sources.__getitem__)

    def _named(self, source: Origin) -> int:
        if source not in self._sources:
            self._sources.append(source)
        return self._sources.index(source)


class ARegistryThatIsHandedOn(RegistryContract, SynchronousTestCase):
    many = 100  # each call hands on all of them

    def make(self, limits: Limits) -> Registry:
        return cast(Registry, Handed(limits, "registry"))


class NamesThatAreHandedOn(NamesContract, SynchronousTestCase):
    def make(self, limits: Limits) -> IdOwners:
        return cast(IdOwners, Handed(limits, "names"))

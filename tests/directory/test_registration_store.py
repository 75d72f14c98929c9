"""Test the registrations in memory: what a store of them keeps, and that no end is searched for."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.registration_store import MemoryRegistrations, RegistrationStore
from chatproto.stores.memory_names import MemoryNames
from tests.contracts.presences import PresencesContract, presence


class RegistrationsInMemory(PresencesContract, SynchronousTestCase):
    def make(self) -> RegistrationStore:
        return MemoryRegistrations(MemoryNames())

    def test_is_examined_only_at_its_expiry(self) -> None:
        looked: list[str] = []

        class Watched(dict[str, Any]):
            def get(self, name: str, default: Any = None) -> Any:
                looked.append(name)
                return super().get(name, default)

        presences = MemoryRegistrations(MemoryNames())
        for number in range(50):
            presences.commit(presence(f"x{number}"), 0.0)
            presences.left(presence(f"x{number}", until=60.0 if number == 0 else 7200.0))
        presences._all = Watched(presences._all)
        presences.expire(50.0)
        self.assertEqual(looked, [])
        presences.expire(60.0)
        self.assertEqual(looked, ["x0"])

    def test_are_in_the_order_in_which_they_were_made(self) -> None:
        presences = MemoryRegistrations(MemoryNames())
        for name in ("bob", "alice", "carol", "bob"):
            presences.commit(presence(name), 0.0)
        presences.left(presence("alice", until=9.0))
        found = [one.client_id for one in presences.all()]
        self.assertEqual(found, ["alice", "carol", "bob"])

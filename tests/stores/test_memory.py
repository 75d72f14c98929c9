"""The registry in memory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.registry import Registry
from chatproto.stores.memory import MemoryRegistry
from tests.contracts.registry import RegistryContract, lease
from tests.limits import Limits


class AMemoryRegistry(RegistryContract, SynchronousTestCase):
    def make(self, limits: Limits) -> Registry:
        return MemoryRegistry(limits)

    def test_keeps_nothing_of_who_has_gone_but_a_bounded_number_of_partners(self) -> None:
        registry = MemoryRegistry(Limits(registrations=3))
        for number in range(50):
            name = f"c{number}"
            registry.keep(lease(name, f"192.0.2.{number}"), float(number))
            registry.wait(name)
            registry.pair(f"asker{number}", name)
        registry.expire(1000.0)
        kept = (
            registry._entries,
            registry._silent,
            registry._free,
            registry._waiting,
            registry._networks,
        )
        self.assertEqual([len(one) for one in kept], [0] * 5)
        self.assertLessEqual(len(registry._partners), 6)

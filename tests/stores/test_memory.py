"""The registry in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import (
    ClassicRegistration,
    Origin,
    is_loopback,
    network,
)
from chatproto.directory.registry import Registry
from chatproto.stores.memory import MemoryRegistry, counted_network
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


class NetworkTests(SynchronousTestCase):
    @given(
        st.one_of(
            st.ip_addresses(v=4).map(str),
            st.ip_addresses(v=6).map(str),
            st.sampled_from(
                ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "127.1", "01.2.3.4"]
            ),
            st.text("0123456789.:ax", max_size=12),
        )
    )
    def test_the_quick_look_at_an_address_finds_what_the_thorough_one_does(self, host: str) -> None:
        thorough = None if is_loopback(host) else network(host)
        self.assertEqual(counted_network(host), thorough)

    def test_the_longest_silent_of_an_address_with_too_many_are_not_restored(self) -> None:
        registry = MemoryRegistry(Limits(registrations_per_address=2, registrations=4))
        hosts = ["192.0.2.1", "192.0.2.1", "127.0.0.1", "192.0.2.1", "192.0.2.2", "127.0.0.1"]
        registry.restore(
            (ClassicRegistration(f"c{number}", host, 3000, Origin(host, 1, False, False)), heard)
            for number, (host, heard) in enumerate(
                zip(hosts, (5.0, 1.0, 2.0, 6.0, 3.0, 4.0), strict=True)
            )
        )
        self.assertEqual([*registry.ids()], ["c0", "c3", "c4", "c5"])
        free = registry.last_free("nobody")
        assert free is not None
        self.assertEqual(free.client_id, "c3")

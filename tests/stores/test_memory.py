"""The registry in memory."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.registry import Registry
from chatproto.net.addresses import is_loopback, network
from chatproto.stores.memory import MemoryRegistry, StoredLease, counted_network
from chatproto.wire.classic import ClassicRegister
from tests.contracts.registry import RegistryContract, image, lease
from tests.limits import Limits


class AMemoryRegistry(RegistryContract, SynchronousTestCase):
    def make(self, limits: Limits) -> Registry:
        return MemoryRegistry(limits)

    def test_stores_only_partners_of_removed_clients(self) -> None:
        registry = MemoryRegistry(Limits(registrations=3))
        for number in range(50):
            name = f"c{number}"
            registry.keep(lease(name, f"192.0.2.{number}"), float(number))
            registry.wait(name)
            registry.pair(f"asker{number}", name)
        registry.expire(1000.0)
        kept = (registry._entries, registry._waiting, registry._networks)
        self.assertEqual([len(one) for one in kept], [0] * 3)
        self.assertLessEqual(len(registry._partners), 6)


def stored(client_id: str, host: str, heard: float) -> StoredLease:
    """Return a lease as a file has it."""
    return client_id, host, 3000, None, host, 1, int(is_loopback(host)), heard


ids = st.sampled_from("abcdefgh")
hosts = st.sampled_from(["192.0.2.1", "192.0.2.2", "127.0.0.1"])
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["keep", "renew"]), ids, hosts),
        st.tuples(st.sampled_from(["touch", "forget", "wait", "partner"]), ids),
        st.tuples(st.just("pair"), ids, ids),
        st.tuples(st.just("expire"), st.integers(0, 12), st.integers(0, 3)),
    ),
    max_size=12,
)


class RestoredTests(SynchronousTestCase):
    """A registry that was read in one go behaves as one in which all have registered."""

    @given(st.dictionaries(ids, st.tuples(hosts, st.integers(0, 9))), steps)
    def test_restored_registry_answers_alike(
        self, rows: dict[str, tuple[str, int]], asked: list[tuple[Any, ...]]
    ) -> None:
        limits = Limits(registrations=6, registrations_per_address=3)
        found = [stored(one, host, float(heard)) for one, (host, heard) in rows.items()]
        read, model = MemoryRegistry(limits), MemoryRegistry(Limits())
        read.restore(found)
        for client_id, host, *_ in found:
            if read.find(client_id) is not None:
                model.keep(self.lease(client_id, host), 0.0)
        for client_id, *_, heard in sorted(found, key=itemgetter(7)):
            model.touch(client_id, heard)
        model._most, model._most_per_network = read._most, read._most_per_network
        self.assertEqual(image(read), image(model))
        for now, (what, *how) in enumerate(asked, 10):
            results = [self.done(one, what, how, float(now)) for one in (read, model)]
            self.assertEqual(*results)
            self.assertEqual(image(read), image(model))

    def test_asker_stays_the_last_free_one_for_others(self) -> None:
        registry = MemoryRegistry()
        registry.restore([stored(one, "192.0.2.1", float(at)) for at, one in enumerate("abc")])
        found = [registry.last_free(asker) for asker in ("c", "a", "c")]
        self.assertEqual([one.client_id for one in found if one is not None], ["b", "c", "b"])

    def test_restored_client_counts_for_its_address(self) -> None:
        registry = MemoryRegistry(Limits(registrations_per_address=2))
        registry.restore([stored(one, "192.0.2.1", float(at)) for at, one in enumerate("ab")])
        registry.keep(self.lease("c", "192.0.2.1"), 9.0)
        self.assertEqual([*registry.ids()], ["b", "c"])

    def lease(self, client_id: str, host: str) -> ClassicRegistration:
        origin = Origin(host, 1, is_loopback(host), False)
        return ClassicRegistration(client_id, host, 3000, origin)

    def done(self, registry: MemoryRegistry, what: str, how: list[Any], now: float) -> object:
        match what:
            case "keep":
                how = [self.lease(*how), now]
            case "renew":
                client_id, host = how
                origin = Origin(host, 2, is_loopback(host), False)
                how = [ClassicRegister(client_id, host, 3000), origin, now]
            case "touch":
                how = [*how, now]
            case "partner":
                free, waiting = registry.last_free(how[0]), registry.first_waiting(how[0])
                return registry.partner_of(how[0]), free, waiting
        return getattr(registry, what)(*how)


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
    def test_quick_and_thorough_network_lookups_agree(self, host: str) -> None:
        thorough = None if is_loopback(host) else network(host)
        self.assertEqual(counted_network(host), thorough)

    def test_the_longest_silent_of_an_address_with_too_many_are_not_restored(self) -> None:
        registry = MemoryRegistry(Limits(registrations_per_address=2, registrations=4))
        hosts = ["192.0.2.1", "192.0.2.1", "127.0.0.1", "192.0.2.1", "192.0.2.2", "127.0.0.1"]
        heard = (5.0, 1.0, 2.0, 6.0, 3.0, 4.0)
        registry.restore(
            [
                stored(f"c{number}", host, at)
                for number, (host, at) in enumerate(zip(hosts, heard, strict=True))
            ]
        )
        self.assertEqual([*registry.ids()], ["c0", "c3", "c4", "c5"])
        free = registry.last_free("nobody")
        assert free is not None
        self.assertEqual(free.client_id, "c3")

"""Contract of every classic registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.registry import Registry
from chatproto.stores.memory import MemoryRegistry
from chatproto.wire.classic import ClassicRegister
from chatproto.wire.errors import RemoteError
from tests.limits import Limits

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    Case = object


def lease(
    client_id: str,
    host: str = "192.0.2.1",
    port: int = 3000,
    key: str | None = None,
    alive: bool = False,
) -> ClassicRegistration:
    """A lease of `client_id`, registered from `host` on a connection that is `alive` or has ended."""
    return ClassicRegistration(
        client_id, host, port, Origin(host, 40000, host.startswith("127."), alive), key
    )


class Compared(str):
    """Id that counts how often one is compared with another for the order."""

    times = 0

    def __lt__(self, other: str) -> bool:
        Compared.times += 1
        return str.__lt__(self, other)

    def __gt__(self, other: str) -> bool:
        Compared.times += 1
        return str.__gt__(self, other)


def image(registry: MemoryRegistry) -> dict[str, Any]:
    """Return all that a registry in memory holds, with its orders, as values that can be compared."""
    last = registry.last_free("")
    return {
        "leases": [
            (one.lease, one.lease.host, one.lease.source.alive, one.heard)
            for one in registry._entries.values()
        ],
        "ids": [*registry.ids()],
        "silent": [*registry._silent.silent()],
        "free": [client_id for client_id, one in registry._entries.items() if one.free],
        "last": last and last.client_id,
        "waiting": [*registry._waiting],
        "partners": [*registry._partners.items()],
        "networks": {where: [*one.silent()] for where, one in registry._networks.items()},
    }


class RegistryContract(Case):
    """Mix into a test case that has `make`; `after` runs behind each step that a store may defer."""

    make: Callable[[Limits], Registry]
    many = 3000
    """Ids of the test that counts comparisons."""

    def registry(self, **limits: float) -> Registry:
        return self.make(Limits(**limits))  # type: ignore[arg-type]

    def ids(self, registry: Registry) -> list[str]:
        return [one.client_id for one in registry.listed(1000)]

    def test_finds_what_it_keeps(self) -> None:
        registry = self.registry()
        self.assertIsNone(registry.find("alice"))
        registry.keep(lease("alice"), 5.0)
        found = registry.find("alice")
        assert found is not None
        self.assertEqual(found, lease("alice"))
        self.assertEqual((found.host, found.source.local), ("192.0.2.1", False))
        self.assertEqual(registry.heard_at("alice"), 5.0)
        self.assertEqual(registry.heard_at("bob"), float("-inf"))
        self.assertEqual(len(registry), 1)

    def test_confirms_what_says_nothing_new(self) -> None:
        registry = self.registry()
        here = Origin("192.0.2.1", 40000, False)
        message = ClassicRegister("alice", "192.0.2.1", 3000)
        self.assertFalse(registry.confirm(message, here, 1.0))
        registry.keep(ClassicRegistration("alice", "192.0.2.1", 3000, here), 1.0)
        registry.keep(lease("bob"), 2.0)
        registry.pair("alice", "bob")
        self.assertTrue(registry.confirm(message, here, 3.0))
        self.assertEqual(registry.heard_at("alice"), 3.0)
        free = registry.last_free("bob")
        self.assertEqual(free and free.client_id, "alice")
        self.assertFalse(registry.confirm(message._replace(port=3001), here, 4.0))
        for host in ("192.0.2.1", "192.0.2.2"):
            self.assertFalse(registry.confirm(message, Origin(host, 40001, False), 4.0))
        self.assertEqual(registry.heard_at("alice"), 3.0)

    def test_renews_an_unchanged_lease_on_another_connection_of_its_host(self) -> None:
        registry = self.registry()
        here, there = (Origin("192.0.2.1", port, False) for port in (40000, 40001))
        message = ClassicRegister("alice", "192.0.2.1", 3000)
        self.assertFalse(registry.renew(message, here, 1.0))
        registry.keep(ClassicRegistration("alice", "192.0.2.1", 3000, here), 1.0)
        registry.keep(lease("bob"), 2.0)
        registry.pair("alice", "bob")
        self.assertFalse(registry.renew(message._replace(port=3001), there, 3.0))
        self.assertFalse(registry.renew(message, Origin("192.0.2.2", 40000, False), 3.0))
        self.assertTrue(registry.renew(message, there, 4.0))
        found = registry.find("alice")
        self.assertIs(found and found.source, there)
        self.assertEqual(registry.heard_at("alice"), 4.0)
        free = registry.last_free("bob")
        self.assertEqual(free and free.client_id, "alice")

    def test_has_its_ids_in_order(self) -> None:
        registry = self.registry()
        for round, names in enumerate((["bob", "alice"], ["al", "carol"], ["bob", "b"])):
            for name in names:
                registry.keep(lease(name), float(round))
            ids = list(registry.ids())
            self.assertEqual(ids, sorted(self.ids(registry)))
        registry.forget("alice")
        registry.forget("bob")
        registry.keep(lease("bob"), 5.0)
        self.assertEqual(list(registry.ids()), ["al", "b", "bob", "carol"])
        self.assertEqual(list(registry.ids("b")), ["b", "bob"])
        self.assertEqual(list(registry.ids("", "b")), ["bob", "carol"])
        for number in range(3000):
            registry.keep(lease(f"x{number % 2}"), 6.0)
            registry.forget(f"x{number % 2}")
        self.assertEqual(list(registry.ids()), ["al", "b", "bob", "carol"])

    def test_of_many_ids_a_change_and_a_page_look_at_a_few(self) -> None:
        registry = self.registry()
        middle = f"c{self.many // 2:04}"
        for number in range(self.many):
            registry.keep(lease(Compared(f"c{number:04}"), "127.0.0.1"), 1.0)
        self.assertEqual(next(registry.ids()), "c0000")
        for step in (
            lambda: registry.keep(lease(Compared(f"{middle}x"), "127.0.0.1"), 2.0),
            lambda: self.assertEqual(next(registry.ids("c", middle)), f"{middle}x"),
            lambda: registry.forget(f"{middle}x"),
        ):
            Compared.times = 0
            step()
            self.assertLess(Compared.times, 50)

    def test_tells_ids_apart_byte_for_byte(self) -> None:
        registry = self.registry()
        registry.keep(lease("alice"), 0.0)
        self.assertIsNone(registry.find("Alice"))

    def test_puts_a_new_lease_in_the_old_one_s_place(self) -> None:
        registry = self.registry()
        for name in ("alice", "bob"):
            registry.keep(lease(name), 0.0)
        registry.keep(lease("alice", "192.0.2.9", 4000), 1.0)
        self.assertEqual(self.ids(registry), ["alice", "bob"])
        self.assertEqual([*registry.listed(1)], [lease("alice", "192.0.2.9", 4000)])
        self.assertEqual(registry.heard_at("alice"), 1.0)

    def test_forgets_wholly(self) -> None:
        registry = self.registry()
        registry.keep(lease("alice"), 0.0)
        registry.wait("alice")
        self.assertTrue(registry.forget("alice"))
        self.assertFalse(registry.forget("alice"))
        self.assertIsNone(registry.find("alice"))
        self.assertIsNone(registry.first_waiting("bob"))
        self.assertIsNone(registry.last_free("bob"))
        self.assertEqual((len(registry), [*registry.listed(9)]), (0, []))

    def test_expires_who_was_silent_and_nobody_else(self) -> None:
        registry = self.registry()
        for now, name in enumerate(("alice", "bob", "carol")):
            registry.keep(lease(name), float(now))
        registry.touch("alice", 3.0)
        registry.touch("nobody", 3.0)
        self.assertEqual(registry.expire(2.0), 1)
        self.assertEqual(self.ids(registry), ["alice", "carol"])
        self.assertEqual(registry.expire(2.0), 0)
        self.assertEqual(registry.expire(9.0), 2)

    def test_expires_a_few_at_a_time(self) -> None:
        registry = self.registry()
        for name in ("alice", "bob", "carol"):
            registry.keep(lease(name), 1.0)
        self.assertEqual([registry.expire(2.0, 2) for _ in range(3)], [2, 1, 0])

    def test_lets_the_longest_silent_go_for_a_newcomer(self) -> None:
        registry = self.registry(registrations=2)
        registry.keep(lease("alice"), 0.0)
        registry.keep(lease("bob"), 1.0)
        registry.touch("alice", 2.0)
        registry.keep(lease("carol"), 3.0)
        self.assertEqual(self.ids(registry), ["alice", "carol"])

    def test_lets_nobody_go_whose_connection_lives(self) -> None:
        for limits in ({"registrations": 2}, {"registrations_per_address": 2}):
            registry = self.registry(**limits)
            registry.keep(lease("alice", alive=True), 0.0)
            registry.keep(lease("bob"), 1.0)
            registry.keep(lease("carol", alive=True), 2.0)
            self.assertEqual(self.ids(registry), ["alice", "carol"])
            with self.assertRaises(RemoteError) as caught:
                registry.keep(lease("dave"), 3.0)
            self.assertEqual(caught.exception.status, 503)
            self.assertEqual(self.ids(registry), ["alice", "carol"])
            registry.keep(lease("alice", alive=True), 4.0)

    def test_lets_the_longest_silent_of_an_address_go_for_one_more_from_it(self) -> None:
        registry = self.registry(registrations_per_address=2)
        registry.keep(lease("other", "192.0.2.2"), 0.0)
        for now, name in enumerate(("alice", "bob", "carol")):
            registry.keep(lease(name), float(now))
        self.assertEqual(self.ids(registry), ["other", "bob", "carol"])
        registry.forget("bob")
        registry.keep(lease("dave"), 4.0)
        self.assertEqual(self.ids(registry), ["other", "carol", "dave"])

    def test_counts_who_moves_where_they_are_now(self) -> None:
        registry = self.registry(registrations_per_address=1)
        registry.keep(lease("alice", "192.0.2.1"), 0.0)
        registry.keep(lease("bob", "192.0.2.2"), 1.0)
        registry.keep(lease("alice", "192.0.2.2"), 2.0)
        self.assertEqual(self.ids(registry), ["alice"])
        registry.keep(lease("carol", "192.0.2.1"), 3.0)
        self.assertEqual(self.ids(registry), ["alice", "carol"])

    def test_counts_a_64_of_ipv6_as_one_address_and_loopback_not_at_all(self) -> None:
        registry = self.registry(registrations_per_address=1)
        registry.keep(lease("alice", "2001:db8::1"), 0.0)
        registry.keep(lease("bob", "2001:db8::2:1"), 1.0)
        for name in ("carol", "dave"):
            registry.keep(lease(name, "127.0.0.1"), 2.0)
        self.assertEqual(self.ids(registry), ["bob", "carol", "dave"])

    def test_knows_who_was_heard_of_last_of_the_free(self) -> None:
        registry = self.registry()
        for now, name in enumerate(("alice", "bob", "carol")):
            registry.keep(lease(name), float(now))
        registry.touch("alice", 5.0)
        self.assertEqual(registry.last_free("bob"), lease("alice"))
        self.assertEqual(registry.last_free("alice"), lease("carol"))

    def test_pairs_both_ways_and_frees_who_registers_again(self) -> None:
        registry = self.registry()
        registry.keep(lease("alice"), 0.0)
        registry.keep(lease("bob"), 0.0)
        registry.pair("alice", "bob")
        self.assertEqual([registry.partner_of(x) for x in ("alice", "bob")], ["bob", "alice"])
        self.assertIsNone(registry.last_free("carol"))
        registry.keep(lease("bob"), 1.0)
        self.assertEqual(registry.last_free("carol"), lease("bob"))
        self.assertEqual(registry.partner_of("bob"), "alice")

    def test_remembers_the_partner_of_who_is_not_registered(self) -> None:
        registry = self.registry()
        registry.keep(lease("bob"), 0.0)
        registry.pair("stranger", "bob")
        self.assertEqual(registry.partner_of("stranger"), "bob")

    def test_lets_wait_in_the_order_of_coming(self) -> None:
        registry = self.registry()
        for name in ("alice", "bob"):
            registry.keep(lease(name), 0.0)
        for name in ("bob", "alice", "bob", "stranger"):
            registry.wait(name)
        self.assertEqual(registry.first_waiting("carol"), lease("bob"))
        self.assertEqual(registry.first_waiting("bob"), lease("alice"))
        registry.pair("carol", "bob")
        self.assertEqual(registry.first_waiting("carol"), lease("alice"))

    def test_hands_out_nobody_who_has_a_key(self) -> None:
        registry = self.registry()
        registry.keep(lease("alice", key="sha256:a"), 0.0)
        registry.wait("alice")
        self.assertIsNone(registry.last_free("bob"))
        self.assertIsNone(registry.first_waiting("bob"))
        registry.keep(lease("carol"), 0.0)
        registry.wait("carol")
        registry.keep(lease("carol", key="sha256:c"), 1.0)
        self.assertIsNone(registry.last_free("bob"))
        self.assertIsNone(registry.first_waiting("bob"))

"""Test BRIDGE against the sentences of the protocol and a simple model of them."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.pairing import bridge
from chatproto.stores.memory import MemoryRegistry
from tests.contracts.registry import lease

WAIT = 600.0


class Bridging(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = MemoryRegistry()
        self.now = 0.0

    def register(self, *names: str) -> None:
        for name in names:
            self.now += 1
            self.registry.keep(lease(name), self.now)

    def ask(self, asker: str) -> str | None:
        self.now += 1
        self.registry.touch(asker, self.now)
        peer = bridge(self.registry, asker, self.now, WAIT)
        return peer.client_id if peer else None

    def test_returns_none_without_other_clients(self) -> None:
        self.register("alice")
        self.assertIsNone(self.ask("alice"))
        self.assertIsNone(self.ask("stranger") if self.registry.forget("alice") else "")

    def test_returns_the_same_partner_repeatedly(self) -> None:
        self.register("alice")
        self.assertIsNone(self.ask("alice"))
        self.register("bob")
        for _ in range(3):
            self.assertEqual(self.ask("bob"), "alice")
            self.assertEqual(self.ask("alice"), "bob")

    def test_gives_the_waiting_in_the_order_of_waiting_before_the_free(self) -> None:
        self.register("alice", "bob")
        self.registry.wait("alice")
        self.registry.wait("bob")
        self.register("carol", "dave", "erin")
        self.assertEqual(self.ask("carol"), "alice")
        self.assertEqual(self.ask("dave"), "bob")

    def test_returns_the_free_client_with_the_latest_request(self) -> None:
        self.register("alice", "bob", "carol")
        self.assertEqual(self.ask("alice"), "carol")
        self.assertIsNone(self.ask("bob"))

    def test_returns_a_client_that_registered_again(self) -> None:
        self.register("alice", "bob")
        self.assertEqual(self.ask("alice"), "bob")
        self.register("bob")
        self.assertEqual(self.ask("carol"), "bob")

    def test_returns_the_former_partner_only_if_recently_active(self) -> None:
        self.register("alice", "bob")
        self.assertEqual(self.ask("alice"), "bob")
        self.now += WAIT - 4
        self.assertEqual(self.ask("alice"), "bob")
        self.now += 10
        self.assertIsNone(self.ask("alice"))

    def test_returns_another_client_for_a_lost_partner(self) -> None:
        self.register("alice", "bob")
        self.assertEqual(self.ask("alice"), "bob")
        self.registry.forget("bob")
        self.register("carol")
        self.assertEqual(self.ask("alice"), "carol")

    def test_serves_an_unregistered_asker(self) -> None:
        self.register("alice", "bob")
        self.assertEqual(self.ask("stranger"), "bob")
        self.assertEqual(self.ask("stranger"), "bob")
        self.assertEqual(self.ask("bob"), "alice")

    def test_returns_no_client_with_a_key(self) -> None:
        self.register("alice", "bob")
        self.assertEqual(self.ask("alice"), "bob")
        self.registry.keep(lease("bob", key="sha256:b"), self.now)
        self.assertIsNone(self.ask("alice"))


names = st.sampled_from(["a", "b", "c", "d", "e"])


class Model(RuleBasedStateMachine):
    """Dictionaries and scans against the registry's queues."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = MemoryRegistry()
        self.now = 0.0
        self.heard: dict[str, float] = {}
        self.free: set[str] = set()
        self.waiting: list[str] = []
        self.partner: dict[str, str] = {}

    @rule(name=names)
    def register(self, name: str) -> None:
        self.now += 1
        self.registry.keep(lease(name), self.now)
        self.heard[name] = self.now
        self.free.add(name)

    @rule(name=names)
    def leave(self, name: str) -> None:
        assert self.registry.forget(name) is (name in self.heard)
        self.gone(name)

    def gone(self, name: str) -> None:
        self.heard.pop(name, None)
        self.free.discard(name)
        if name in self.waiting:
            self.waiting.remove(name)

    @rule(seconds=st.sampled_from([1.0, 300.0, 700.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(silence=st.sampled_from([0.0, 400.0]))
    def expire(self, silence: float) -> None:
        before = self.now - silence
        old = [name for name, heard in self.heard.items() if heard < before]
        assert self.registry.expire(before) == len(old)
        for name in old:
            self.gone(name)

    @rule(asker=names, registered=st.booleans())
    def ask(self, asker: str, registered: bool) -> None:
        if not registered:
            asker += "-stranger"
        self.now += 1
        self.registry.touch(asker, self.now)
        if asker in self.heard:
            self.heard[asker] = self.now
        expected = self.expected(asker)
        peer = bridge(self.registry, asker, self.now, WAIT)
        assert (peer.client_id if peer else None) == expected
        assert expected != asker
        if expected is None:
            if asker in self.heard and asker not in self.waiting:
                self.waiting.append(asker)
            return
        for one, other in ((asker, expected), (expected, asker)):
            self.partner[one] = other
            self.free.discard(one)
            if one in self.waiting:
                self.waiting.remove(one)

    def expected(self, asker: str) -> str | None:
        partner = self.partner.get(asker)
        if partner in self.heard and self.heard[partner] >= self.now - WAIT:
            return partner
        waiting = [name for name in self.waiting if name != asker]
        if waiting:
            return waiting[0]
        free = self.free - {asker}
        return max(free, key=lambda name: self.heard[name]) if free else None

    @invariant()
    def registry_is_consistent(self) -> None:
        assert {one.client_id for one in self.registry.listed(99)} == set(self.heard)
        assert list(self.registry._waiting) == self.waiting
        last = self.registry.last_free("nobody")
        free = sorted(self.free, key=lambda name: self.heard[name])
        assert (last.client_id if last else None) == (free[-1] if free else None)


class TheModel(SynchronousTestCase):
    def test_agrees(self) -> None:
        run_state_machine_as_test(
            Model, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
        )

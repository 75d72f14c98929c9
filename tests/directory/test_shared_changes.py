"""Groups that several servers share: what is seen of them, and what a server makes of them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.group import KeyIds
from chatproto.directory.registrations import ClientConnection
from chatproto.directory.shared import GroupState
from chatproto.directory.shared_changes import (
    OwnLease,
    OwnPresence,
    ended,
    freed,
    leased,
    registered,
    settled,
)
from chatproto.directory.shared_view import current, group_of
from chatproto.wire import bcp2_server
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.contracts.names import key

NOW = 1e9
HERE, THERE = "here", "there"
LIMITS = SERVER_DEFAULTS


def client(owner: int, number: int) -> ClientConnection:
    return ClientConnection(key(owner), "192.0.2.1", 4000, number=number)


def register(
    state: GroupState, who: ClientConnection, node: str = HERE, now: float = NOW, name: str = "bob"
) -> GroupState:
    group = group_of(state, lambda _: False, lambda *_: None, lambda *_: None, now)
    message = bcp2_server.Register(1, name, 5000)
    owned = tuple(state.owned) if state.owner == who.key else ()
    decision = group.decide_register(message, who, KeyIds(owned), LIMITS)
    return registered(state, decision, node, now, LIMITS)


def settle(
    state: GroupState,
    own: dict[str, OwnPresence] | None = None,
    leases: dict[str, OwnLease] | None = None,
    now: float = NOW,
) -> tuple[GroupState, tuple[str, ...], int]:
    is_own = {HERE, "before"}.__contains__
    found = settled(state, own or {}, leases or {}, HERE, is_own, now, LIMITS)
    return found.state, found.lost, len(found.dismissed)


def own(state: GroupState, who: ClientConnection, name: str = "bob") -> dict[str, OwnPresence]:
    there = state.presences[name]
    mine = replace(there.registration, client=who)
    return {name: OwnPresence(mine, there.made, state.owned[name].since, NOW)}


class SharedViewTests(SynchronousTestCase):
    def test_clients_of_a_stopped_server_are_away_since_its_end(self) -> None:
        state = register(GroupState("bob"), client(1, 1), THERE)
        seen = current(state, NOW + 10, {THERE: NOW + 5}, LIMITS.classic_lease)
        self.assertEqual(seen.presences["bob"].registration.until, NOW + 5 + 3600)
        seen = current(state, NOW + 3700, {THERE: NOW + 5}, LIMITS.classic_lease)
        self.assertEqual((seen.presences, seen.owner), ({}, key(1)))

    def test_id_is_free_after_its_expiry_unless_registered(self) -> None:
        state = register(GroupState("bob"), client(1, 1), THERE)
        late = NOW + LIMITS.keep_unused + 1
        self.assertEqual(current(state, late, {}, 1.0).owner, key(1))
        self.assertEqual(current(state, late, {THERE: NOW}, 1.0).owner, None)

    def test_a_connection_of_this_server_that_has_ended_has_left(self) -> None:
        state = register(GroupState("bob"), client(1, 1))
        group = group_of(state, lambda node: node == HERE, lambda *_: None, lambda *_: None, NOW)
        self.assertFalse(group.presences["bob"].connected)


class SettledTests(SynchronousTestCase):
    def test_connected_clients_are_unchanged(self) -> None:
        who = client(1, 1)
        state = register(GroupState("bob"), who)
        self.assertEqual(settle(state, own(state, who)), (state, (), 0))

    def test_an_ended_connection_is_away(self) -> None:
        state, lost, _ = settle(register(GroupState("bob"), client(1, 1)))
        self.assertEqual(state.presences["bob"].registration.until, NOW + 3600)
        self.assertEqual(lost, ())

    def test_one_that_was_emptied_gets_all_again(self) -> None:
        who = client(1, 1)
        before = register(GroupState("bob"), who)
        state, _, _ = settle(GroupState("bob"), own(before, who))
        self.assertEqual(state.owner, key(1))
        self.assertTrue(state.presences["bob"].registration.connected)
        self.assertEqual(state.owned["bob"].since, NOW)

    def test_a_new_name_of_the_server_takes_the_place_of_the_former(self) -> None:
        who = client(1, 1)
        before = register(GroupState("bob"), who, "before")
        state, lost, _ = settle(before, own(before, who))
        self.assertEqual(state.presences["bob"].registration.client.node, HERE)
        self.assertEqual(lost, ())

    def test_the_older_reservation_counts(self) -> None:
        who = client(1, 1)
        mine = own(register(GroupState("bob"), who), who)
        younger = register(GroupState("bob"), client(2, 7), THERE, NOW + 1, "b0b")
        state, lost, dismissed = settle(younger, mine)
        self.assertEqual((state.owner, [*state.presences], lost), (key(1), ["bob"], ()))
        self.assertEqual(dismissed, 1)
        older = register(GroupState("bob"), client(2, 7), THERE, NOW - 1, "b0b")
        self.assertEqual(settle(older, mine), (older, ("bob",), 0))

    def test_the_same_key_at_another_server_since_then_keeps_the_id(self) -> None:
        who = client(1, 1)
        state = register(GroupState("bob"), who)
        mine = own(state, who)
        moved = register(state, client(1, 9), THERE, NOW + 1)
        self.assertEqual(settle(moved, mine), (moved, ("bob",), 0))

    def test_lease_of_a_lasting_connection_is_alive(self) -> None:
        lease = ClassicRegistration("bob", "192.0.2.1", 3000, Origin("192.0.2.1", 9, False))
        state = leased(GroupState("bob"), lease, HERE, 4, NOW)
        self.assertFalse(state.classic["bob"].lease.source.alive)
        mine = OwnLease(lease, 4, NOW, NOW)
        self.assertIs(settle(state, None, {"bob": mine})[0].classic["bob"], state.classic["bob"])
        mine.lasts = True
        state, _, _ = settle(state, None, {"bob": mine})
        self.assertTrue(state.classic["bob"].lease.source.alive)
        state, _, _ = settle(state)
        self.assertFalse(state.classic["bob"].lease.source.alive)

    @given(st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.sampled_from(["bob", "b0b"]))))
    def test_a_group_has_one_owner_and_settles_once(
        self, steps: list[tuple[int, bool, str]]
    ) -> None:
        state, mine = GroupState("bob"), dict[str, OwnPresence]()
        for number, (owner, here, name) in enumerate(steps):
            if state.owner not in (None, key(owner)):
                state = freed(freed(ended(state, name), "bob"), "b0b")
                mine.clear()
            who = client(owner, number)
            state = register(state, who, HERE if here else THERE, NOW + number, name)
            mine.pop(name, None)
            if here:
                mine.update(own(state, who, name))
        after, lost, dismissed = settle(state, mine, None, NOW + len(steps))
        self.assertEqual((lost, dismissed), ((), 0))
        self.assertEqual(
            {one.registration.key for one in after.presences.values()} - {after.owner}, set()
        )
        self.assertEqual(settle(after, mine, None, NOW + len(steps)), (after, (), 0))

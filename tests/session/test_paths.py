"""The race of the ways to somebody."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.paths import (
    AskAgain,
    CancelDials,
    CloseConnection,
    Dial,
    GiveUp,
    JoinRelay,
    PathMode,
    Pick,
    Race,
    RaceRole,
    is_tls_server,
)
from tests.limits import DEFAULTS
from tests.session.network import Network

A, B, C = ("198.41.0.4", 4000), ("198.41.0.4", 5000), ("2606:4700::1", 4000)


def race(role: RaceRole = RaceRole.CALLER, *addresses: Any, **how: Any) -> Race[str]:
    """One that begins at 0."""
    return Race(role, addresses, 0.0, DEFAULTS, **how)


def until(one: Race[str], end: float) -> list[tuple[float, Any]]:
    """Collect the effects that time brings."""
    found = []
    now = 0.0
    while now <= end:
        found += [(round(now, 2), effect) for effect in one.due(now)]
        deadline = one.deadline
        if deadline is None:
            break
        now = max(now, deadline)
    return found


class Dialling(SynchronousTestCase):
    def test_a_quarter_of_a_second_apart_and_the_relay_after_two(self) -> None:
        for role in RaceRole:
            found = until(race(role, A, B, C), 5.0)
            dials = [(0.0, Dial(A)), (0.25, Dial(B)), (0.5, Dial(C))]
            self.assertEqual(found, [*dials, (2.0, JoinRelay())])

    def test_relay_at_once_without_addresses_or_if_required(self) -> None:
        self.assertEqual(until(race(), 5.0), [(0.0, JoinRelay())])
        self.assertEqual(
            until(race(RaceRole.CALLEE, A, mode=PathMode.RELAY), 5.0), [(0.0, JoinRelay())]
        )

    def test_no_relay_if_refused_or_missing(self) -> None:
        for how in ({"mode": PathMode.DIRECT}, {"relay": False}):
            self.assertNotIn(
                JoinRelay(), [what for _, what in until(race(RaceRole.CALLER, A, **how), 40)]
            )

    def test_required_but_missing_relay_fails_at_once(self) -> None:
        one = race(RaceRole.CALLER, A, mode=PathMode.RELAY, relay=False)
        reasons = ((None, "the server relays nothing for this call"),)
        self.assertEqual(one.due(0.0), [GiveUp(reasons)])
        self.assertIsNone(one.deadline)

    def test_next_address_at_once_after_a_failure(self) -> None:
        one = race(RaceRole.CALLER, A, B, punching=False)
        self.assertEqual(one.due(0.0), [Dial(A)])
        self.assertEqual(one.failed(A, "refused", 0.05), [])
        self.assertEqual(one.deadline, 0.05 + 0.01)
        self.assertEqual(one.due(0.07), [Dial(B)])

    def test_failed_addresses_are_retried_every_second_while_punching(self) -> None:
        one = race(RaceRole.CALLER, A, mode=PathMode.DIRECT)
        times = []
        now = 0.0
        while True:
            effects = one.due(now)
            if Dial(A) in effects:
                times.append(round(now, 2))
                effects = one.failed(A, "refused", now + 0.1)
            if effects:
                break
            assert one.deadline is not None
            now = max(now, one.deadline)
        self.assertEqual(times, [float(second) for second in range(10)])
        self.assertEqual(effects, [GiveUp(((None, "not tried (--path direct)"), (A, "refused")))])

    def test_addresses_are_dialled_once_if_the_peer_does_not_dial(self) -> None:
        one = race(RaceRole.CALLER, A, mode=PathMode.DIRECT, punching=False)
        one.due(0.0)
        self.assertIsInstance(one.failed(A, "refused", 0.1)[0], GiveUp)

    def test_not_for_longer_than_a_dial_may_take(self) -> None:
        one = race(RaceRole.CALLER, A, B)
        found = until(one, 100.0)
        reasons = ((A, "no answer"), (B, "no answer"), (None, "no answer"))
        given_up = [what for at, what in found if at == 30.0]
        self.assertEqual(given_up[0], CancelDials())
        self.assertEqual(set(given_up[1].reasons), set(reasons))

    def test_past_deadlines_are_never_returned(self) -> None:
        for patience in (1.0, 8.0, 30.0):
            one: Race[str] = Race(RaceRole.CALLEE, (A,), 0.0, replace(DEFAULTS, dial_wait=patience))
            one.due(0.0)
            one.good("x", None, patience - 0.5)
            now, steps = 0.0, 0
            while one.deadline is not None and steps < 50:
                now, steps = max(now, one.deadline), steps + 1
                one.due(now)
                self.assertGreater(one.deadline or 100.0, now)
            self.assertTrue(one.over)


class Picking(SynchronousTestCase):
    def test_the_caller_picks_the_first_that_is_good_and_dials_no_more(self) -> None:
        one = race(RaceRole.CALLER, A, B, C)
        one.due(0.0)
        one.due(0.25)
        self.assertEqual(one.good("x", A, 0.3), [Pick("x"), CancelDials()])
        self.assertEqual((one.picked, one.is_relayed, one.deadline), ("x", False, None))
        self.assertEqual(one.good("y", B, 0.4), [])
        self.assertEqual(one.failed(C, "late", 0.5), [])

    def test_connection_dialled_by_the_peer_can_be_picked(self) -> None:
        one = race(RaceRole.CALLER, A)
        one.due(0.0)
        self.assertEqual(one.good("in", None, 0.1), [Pick("in"), CancelDials()])

    def test_callee_waits_for_chat(self) -> None:
        one = race(RaceRole.CALLEE, A, B)
        one.due(0.0)
        self.assertEqual(one.good("x", A, 0.1), [])
        self.assertEqual(one.due(0.25), [Dial(B)])
        self.assertEqual(one.chosen("x", 0.3), [CancelDials()])
        self.assertEqual((one.picked, one.deadline), ("x", None))

    def test_unpicked_connection_is_closed_after_10_seconds(self) -> None:
        for role in RaceRole:
            one = race(role, A, B)
            one.due(0.0)
            one.good("x", A, 0.1)
            one.good("y", None, 0.2)
            one.chosen("x", 0.3)
            self.assertEqual(one.deadline, 10.2)
            self.assertEqual(one.due(10.1), [])
            self.assertEqual(one.due(10.2), [CloseConnection("y")])
            self.assertIsNone(one.deadline)

    def test_direct_path_replaces_the_relay_only(self) -> None:
        one = race(RaceRole.CALLER, A)
        one.due(0.0)
        one.due(2.0)
        self.assertEqual(one.good("r", None, 2.1, relayed=True), [Pick("r")])
        self.assertTrue(one.is_relayed)
        self.assertEqual(one.good("d", A, 3.0), [Pick("d")])
        self.assertEqual((one.picked, one.is_relayed), ("d", False))
        self.assertEqual(one.good("r2", None, 3.1, relayed=True), [])
        self.assertEqual(one.due(13.0), [CloseConnection("r")])
        self.assertEqual(one.due(13.1), [CloseConnection("r2")])

    def test_caller_retries_direct_paths_every_minute(self) -> None:
        for role, mode, looks in (
            (RaceRole.CALLER, PathMode.AUTO, True),
            (RaceRole.CALLEE, PathMode.AUTO, False),
            (RaceRole.CALLER, PathMode.RELAY, False),
        ):
            one = race(role, mode=mode)
            one.due(0.0)
            one.good("r", None, 1.0, relayed=True)
            one.chosen("r", 1.0)
            found = [at for at, what in until(one, 200.0) if what == AskAgain()]
            self.assertEqual(found, [61.0, 121.0, 181.0] if looks else [])

    def test_race_ends_with_the_picked_or_last_connection(self) -> None:
        one = race()
        one.due(0.0)
        one.good("r", None, 1.0, relayed=True)
        self.assertEqual(one.lost("r", 5.0), [])
        self.assertTrue(one.over)
        self.assertIsNone(one.deadline)
        one = race(RaceRole.CALLEE, A, mode=PathMode.DIRECT, punching=False)
        one.due(0.0)
        one.good("x", A, 0.1)
        self.assertIsInstance(one.lost("x", 0.2)[0], GiveUp)


class Roles(SynchronousTestCase):
    def test_roles_of_tls_follow_the_keys(self) -> None:
        for ours, theirs, role, how, expected in (
            (b"a", b"b", RaceRole.CALLER, "punch", True),
            (b"b", b"a", RaceRole.CALLER, "punch", False),
            (b"a", b"b", RaceRole.CALLEE, "punch", True),
            (b"a", b"b", RaceRole.CALLER, "relayed", False),
            (b"b", b"a", RaceRole.CALLEE, "relayed", True),
            (b"a", b"b", RaceRole.CALLER, "", False),
            (b"a", b"b", RaceRole.CALLEE, "", True),
        ):
            found = is_tls_server(
                ours,
                theirs,
                role,
                punch=how == "punch",
                relayed=how == "relayed",
                dialled=role is RaceRole.CALLER,
            )
            self.assertEqual(found, expected, (ours, theirs, role, how))

    @given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.data())
    def test_one_of_the_two_and_one_only(self, one: bytes, other: bytes, data: Any) -> None:
        if one == other:
            return
        punch, relayed, first = (data.draw(st.booleans()) for _ in range(3))
        both = punch and data.draw(st.booleans())  # a simultaneous open: both dialled
        here = is_tls_server(
            one, other, RaceRole.CALLER, punch=punch, relayed=relayed, dialled=first or both
        )
        there = is_tls_server(
            other, one, RaceRole.CALLEE, punch=punch, relayed=relayed, dialled=not first or both
        )
        self.assertNotEqual(here, there)


LATENCY = st.floats(0.001, 3.0)
WAY = st.one_of(st.none(), LATENCY)


class TwoOfThem(SynchronousTestCase):
    """Caller and callee in a network of the test's making: whoever can meet does, on one connection."""

    @example([None], [None], 0.1, 0.0, PathMode.AUTO)
    @example([0.9, 0.001], [0.001, None], 0.001, 0.2, PathMode.AUTO)
    @given(
        st.lists(WAY, max_size=4),
        st.lists(WAY, max_size=4),
        WAY,
        st.floats(0.0, 1.0),
        st.sampled_from(PathMode),
    )
    def test_connect_on_one_path_if_there_is_any(
        self,
        towards_callee: list[float | None],
        towards_caller: list[float | None],
        relay: float | None,
        late: float,
        mode: PathMode,
    ) -> None:
        network = Network(towards_callee, towards_caller, relay, late, mode)
        network.run(40.0)
        caller, callee = network.caller, network.callee
        ways = [way for way in (*towards_callee, *towards_caller) if way is not None]
        if mode is PathMode.RELAY:
            ways = []
        possible = bool(ways) or (relay is not None and mode is not PathMode.DIRECT)
        self.assertEqual(caller.picked is not None, possible)
        self.assertEqual(caller.picked, callee.picked)
        self.assertEqual(network.given_up[RaceRole.CALLER], not possible)
        if possible:
            self.assertFalse({caller.picked} & network.closed)
            self.assertLess(network.met_at, 4.0 + 3.0 + 1.0)
            self.assertEqual(caller.is_relayed, callee.is_relayed)
        if ways:
            self.assertFalse(caller.is_relayed)
        self.assertEqual(network.open - {caller.picked}, set())
        for side in network.dialled.values():
            for (before, _), (after, _) in pairwise(side):
                self.assertGreaterEqual(after - before, 0.01 - 1e-9)

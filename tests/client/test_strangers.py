"""Test how much strangers may hold of a client, and the places reserved for contacts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import Event, Notice
from chatproto.client.strangers import (
    INTRODUCED_BURST,
    INTRODUCED_RATE,
    KNOWN,
    RING_BURST,
    TALK_BURST,
    TALK_RATE,
    TOLD_AFTER,
    Strangers,
)
from tests.limits import DEFAULTS, Limits

SMALL = Limits(callers=6, callers_per_address=3, callers_known=2)


@dataclass(eq=False)
class End:
    """A connection that somebody made."""

    ended: bool = False
    was: list[str] = field(default_factory=list)

    def abort(self) -> None:
        self.ended = True


class Case(SynchronousTestCase):
    """Strangers with small limits, a clock, and what was told."""

    def setUp(self) -> None:
        self.begin(SMALL)

    def begin(self, limits: Limits) -> None:
        self.clock = Clock()
        self.told = list[Event]()
        self.strangers = Strangers(self.clock, limits, self.told.append)

    def came(self, host: str, idle: bool = True) -> End:
        end = End()
        if not self.strangers.admit(end, host, lambda: idle):
            end.was.append("refused")
        return end


class ConnectionTests(Case):
    def test_the_oldest_idle_one_of_an_address_with_too_many_makes_room(self) -> None:
        ends = [self.came("10.0.0.1") for _ in range(4)]
        self.assertEqual([one.ended for one in ends], [True, False, False, False])

    def test_one_address_cannot_take_all_places(self) -> None:
        friend = self.came("10.0.0.2")
        for _ in range(100):
            self.came("10.0.0.1")
        self.assertFalse(friend.ended)
        self.assertEqual(self.strangers.connections, 4)

    def test_an_ipv6_network_is_one_address(self) -> None:
        for number in range(100):
            self.came(f"2606:4700::{number:x}")
        self.assertEqual(self.strangers.connections, 3)

    def test_the_address_with_the_most_makes_room_when_all_is_full(self) -> None:
        friend = self.came("10.0.0.9")
        for host in ("10.0.0.1", "10.0.0.2"):
            for _ in range(3):
                self.came(host)
        new = self.came("10.0.0.3")
        self.assertEqual((friend.ended, new.ended, new.was), (False, False, []))
        self.assertEqual(self.strangers.connections, 6)

    def test_connection_with_a_proven_key_is_not_aborted(self) -> None:
        ends = [self.came("10.0.0.1") for _ in range(3)]
        for one in ends:
            self.strangers.proved(one, known=False)
        new = self.came("10.0.0.1")
        self.assertEqual((new.was, [one.ended for one in ends]), (["refused"], [False] * 3))
        self.strangers.left(ends[0])
        self.assertEqual(self.came("10.0.0.1").was, [])

    def test_pinned_peers_have_places_of_their_own(self) -> None:
        known = [self.came("10.0.0.1") for _ in range(2)]
        for one in known:
            self.strangers.proved(one, known=True)
        self.assertEqual(self.strangers.connections, 0)
        third = self.came("10.0.0.1")
        self.strangers.proved(third, known=True)
        self.assertEqual(self.strangers.connections, 1)
        self.assertEqual(self.strangers.counters()["known_connections"], 2)

    def test_connection_can_be_replaced_by_its_protocol_s_successor(self) -> None:
        first, second = self.came("10.0.0.1"), End()
        self.strangers.moved(first, second)
        self.strangers.left(first)
        self.assertEqual(self.strangers.connections, 1)
        self.strangers.left(second)
        self.assertEqual(self.strangers.connections, 0)

    @given(st.data())
    def test_limits_hold_and_pinned_peers_stay_for_any_input(self, data: st.DataObject) -> None:
        self.begin(SMALL)
        held, known = list[End](), set[End]()
        steps = st.tuples(
            st.sampled_from(["came", "proved", "known", "moved", "left"]), st.integers(0, 9)
        )
        for step, number in data.draw(st.lists(steps, max_size=80)):
            held = [one for one in held if not one.ended]
            one = held[number % len(held)] if held else None
            if step == "came":
                new = self.came(f"10.0.0.{number}", idle=bool(number % 3))
                held += [] if new.was else [new]
            elif one is not None:
                self._step(step, one, held, known)
            counters = self.strangers.counters()
            self.assertLessEqual(counters["connections"], SMALL.callers + SMALL.callers_known)
            self.assertLessEqual(counters["known_connections"], SMALL.callers_known)
            self.assertFalse(any(one.ended for one in known))

    def _step(self, step: str, one: End, held: list[End], known: set[End]) -> None:
        match step:
            case "proved" if one not in known:
                self.strangers.proved(one, known=False)
            case "known":
                self.strangers.proved(one, known=True)
                known.add(one)
            case "moved" if one not in known:
                other = End()
                self.strangers.moved(one, other)
                held.remove(one)
                held.append(other)
            case "left":
                self.strangers.left(one)
                held.remove(one)
                known.discard(one)


class RingingTests(Case):
    def setUp(self) -> None:
        self.begin(DEFAULTS)

    def ring(self, who: str, known: bool = False, ringing: int = 0, host: str = "10.0.0.1") -> bool:
        return self.strangers.may_ring(who, host, known, ringing)

    def test_strangers_that_ring_do_not_keep_out_a_known_one(self) -> None:
        self.assertFalse(self.ring("s", ringing=DEFAULTS.ringing))
        self.assertTrue(self.ring("friend", known=True, ringing=0))
        self.assertFalse(self.ring("friend", known=True, ringing=DEFAULTS.ringing))

    def test_an_address_that_calls_and_calls_gets_a_few_lines_and_one_that_says_how_many(
        self,
    ) -> None:
        rang = sum(self.ring(f"key {number}") for number in range(5700))
        self.assertEqual((rang, self.told), (RING_BURST, []))
        self.clock.advance(TOLD_AFTER)
        [notice] = self.told
        assert isinstance(notice, Notice)
        refused = 5700 - RING_BURST
        self.assertIn(f"{refused} calls or invitations were not shown", notice.text)
        self.clock.advance(1000)
        self.assertEqual(len(self.told), 1)

    def test_ringing_calls_are_limited_over_all_addresses(self) -> None:
        rang = sum(self.ring("", host=f"10.{n // 250}.{n % 250}.1") for n in range(5000))
        self.assertEqual(rang, 4 * RING_BURST)
        self.assertTrue(self.ring("friend", known=True))

    def test_pinned_caller_is_limited_by_key_only(self) -> None:
        rang = sum(self.ring("bob", known=True) for _ in range(1000))
        self.assertEqual(rang, KNOWN * RING_BURST)
        self.assertTrue(self.ring("carol", known=True))

    def test_introductions_of_pinned_peers_have_their_own_limit(self) -> None:
        def dialled(known: bool, times: int) -> int:
            return sum(self.strangers.may_introduce(known) for _ in range(times))

        self.assertEqual(dialled(False, 1000), INTRODUCED_BURST)
        self.assertEqual(dialled(True, 1000), KNOWN * INTRODUCED_BURST)
        self.clock.advance(10)
        self.assertEqual(dialled(False, 1000), 10 * INTRODUCED_RATE)

    def test_invitations_are_limited(self) -> None:
        self.assertEqual(sum(self.strangers.may_invite() for _ in range(1000)), RING_BURST)
        self.clock.advance(TOLD_AFTER)
        self.assertEqual(len(self.told), 1)

    def test_fast_caller_is_delayed_alone(self) -> None:
        self.assertEqual(self.strangers.talks.take("bob", 0.0, TALK_BURST), 0.0)
        self.assertEqual(self.strangers.talks.take("bob", 0.0, 400), 400 / TALK_RATE)
        self.assertEqual(self.strangers.talks.take("carol", 0.0, 1), 0.0)

    def test_stored_state_is_bounded_and_leaves_no_timer(self) -> None:
        counts = list[Any]()
        for number in range(10_000):
            self.ring(f"key {number}", known=True)
            self.strangers.talks.take(f"key {number}", 0.0, 1)
        counts = [self.strangers.counters()[name] for name in ("addresses", "talkers")]
        self.assertLessEqual(max(counts), 4096)
        self.ring("", ringing=0)
        self.strangers.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

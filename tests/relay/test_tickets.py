"""Tickets for the relay, and the rate of what goes through it."""

from __future__ import annotations

from collections import Counter
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.relay.tickets import Met, Pairing, Slot, Tickets, Waiting, new_ticket
from chatproto.wire.errors import RemoteError
from tests.limits import Limits


def tickets(**limits: float) -> Tickets:
    """Tickets T1, T2 and so on."""
    numbers = count(1)
    values = Limits(**limits)  # type: ignore[arg-type]
    return Tickets(values, lambda: f"T{next(numbers)}")


class TicketTests(SynchronousTestCase):
    def test_a_ticket_is_128_random_bits_in_base32(self) -> None:
        asked: list[int] = []

        def random_bytes(number: int) -> bytes:
            asked.append(number)
            return b"\xff" * number

        self.assertEqual(new_ticket(random_bytes), "7" * 25 + "4")
        self.assertEqual(asked, [16])

    def test_each_of_the_two_is_good_once(self) -> None:
        some = tickets()
        pair = some.issue("alice", "call", 100.0)
        assert pair is not None
        self.assertEqual(len(set(pair)), 2)
        for ticket in pair:
            self.assertEqual(some.use(ticket, 101.0), Slot("call", "alice", 160.0))
            self.assertIsNone(some.use(ticket, 101.0))
        self.assertIsNone(some.use("T99", 101.0))

    def test_a_ticket_is_good_for_60_seconds(self) -> None:
        some = tickets()
        for at, good in ((59.9, True), (60.0, False)):
            pair = some.issue("alice", "call", 100.0)
            assert pair is not None
            self.assertEqual(some.use(pair[0], 100.0 + at) is not None, good)

    def test_one_key_has_at_most_16_unused_tickets(self) -> None:
        some = tickets()
        found = [some.issue("alice", "call", 100.0) for _ in range(9)]
        self.assertIsNone(found[8])
        self.assertNotIn(None, found[:8])
        self.assertIsNotNone(some.issue("bob", "call", 100.0))
        for ticket in found[0] or ():
            some.use(ticket, 101.0)
        self.assertIsNotNone(some.issue("alice", "call", 102.0))
        self.assertIsNone(some.issue("alice", "call", 102.0))
        self.assertIsNotNone(some.issue("alice", "call", 160.0))

    @given(
        st.lists(
            st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0, 40), st.integers(0, 9)),
            max_size=60,
        )
    )
    def test_ticket_is_valid_once_and_in_time(
        self, steps: list[tuple[str, bool, float, int]]
    ) -> None:
        some = tickets(tickets=6)
        now = 0.0
        good: dict[str, tuple[str, float]] = {}  # the model
        known: list[str] = ["T0"]
        for who, asks, passes, which in steps:
            now += passes
            good = {one: was for one, was in good.items() if now < was[1]}
            if asks:
                held = Counter(owner for owner, _ in good.values())[who]
                pair = some.issue(who, "call", now)
                self.assertEqual(pair is not None, held + 2 <= 6)
                for ticket in pair or ():
                    good[ticket] = who, now + 60.0
                    known.append(ticket)
            else:
                ticket = known[-1 - which % len(known)]
                self.assertEqual(
                    some.use(ticket, now) is not None, good.pop(ticket, None) is not None
                )
            self.assertEqual(len(some), len(good))


class PairingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tickets = tickets()
        self.pairing: Pairing[str] = Pairing(self.tickets)

    def issue(self, call: str) -> tuple[str, str]:
        pair = self.tickets.issue("alice", call, 100.0)
        assert pair is not None
        return pair

    def test_only_the_two_holders_of_a_call_are_joined(self) -> None:
        one, other = self.issue("call")
        third, fourth = self.issue("another")
        self.assertEqual(self.pairing.join("A", one, 110.0), Waiting(160.0))
        self.assertEqual(self.pairing.join("C", third, 110.0), Waiting(160.0))
        self.assertEqual(self.pairing.join("B", other, 120.0), Met("A"))
        self.assertEqual(self.pairing.join("D", fourth, 120.0), Met("C"))
        self.assertEqual(len(self.pairing), 0)

    def test_a_ticket_that_is_not_good_is_refused(self) -> None:
        one, other = self.issue("call")
        self.pairing.join("A", one, 110.0)
        for ticket, at in ((one, 111.0), ("T77", 111.0), (other, 160.0)):
            error = self.assertRaises(RemoteError, self.pairing.join, "B", ticket, at)
            self.assertEqual(error.status, 403)

    def test_client_that_left_is_not_paired(self) -> None:
        one, other = self.issue("call")
        self.pairing.join("A", one, 110.0)
        self.pairing.leave("A")
        self.pairing.leave("nobody")
        self.assertEqual(self.pairing.join("B", other, 111.0), Waiting(160.0))

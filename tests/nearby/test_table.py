"""Test which beacons are remembered, for how long, and how often we send and read."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.nearby import table
from chatproto.nearby.messages import Beacon
from chatproto.nearby.table import BEACON_GAP, BEACON_KEEP, Rhythm, Table

KEYS = ["sha256:" + letter * 52 for letter in "ABCDEFG"]


def beacon(name: str, key: int = 0, port: int = 5556) -> Beacon:
    return Beacon(name, KEYS[key], port)


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        for name, most in {"NEARBY": 3, "NEARBY_PER_HOST": 2, "NEARBY_ADDRESSES": 2}.items():
            self.patch(table, name, most)
        self.table = Table()

    def names(self, now: float = 0.0) -> list[str]:
        return [one.client_id for one in self.table.neighbours(now)]

    def test_peer_is_new_once(self) -> None:
        self.assertTrue(self.table.store(beacon("bob"), "10.0.0.2", 0))
        self.assertFalse(self.table.store(beacon("bob"), "10.0.0.2", 30))
        (bob,) = self.table.neighbours(31)
        self.assertEqual((bob.addresses, bob.seen), ((("10.0.0.2", 5556),), 30))

    def test_silent_peer_is_forgotten_and_then_new_again(self) -> None:
        self.table.store(beacon("bob"), "10.0.0.2", 0)
        self.table.store(beacon("bob"), "10.0.0.2", 50)
        self.assertEqual(self.names(144.9), ["bob"])
        self.assertEqual(self.names(145), [])
        self.assertTrue(self.table.store(beacon("bob"), "10.0.0.2", 146))

    def test_two_claims_of_one_id_are_separate(self) -> None:
        self.table.store(beacon("bob", 1), "10.0.0.2", 0)
        self.table.store(beacon("bob", 0), "10.0.0.3", 0)
        self.assertEqual([one.key for one in self.table.neighbours(0, "bob")], KEYS[:2])
        self.assertEqual(self.table.neighbours(0, "bo"), ())

    def test_link_local_address_comes_last(self) -> None:
        self.table.store(beacon("bob"), "fe80::1%eth0", 0)
        self.table.store(beacon("bob"), "10.0.0.2", 0)
        (bob,) = self.table.neighbours(0)
        self.assertEqual(bob.addresses, (("10.0.0.2", 5556), ("fe80::1%eth0", 5556)))

    def test_more_addresses_are_not_taken_until_one_is_forgotten(self) -> None:
        for number, now in ((1, 0), (2, 50), (3, 60)):
            self.table.store(beacon("bob"), f"10.0.0.{number}", now)
        self.assertEqual(self.addresses(60), ["10.0.0.1", "10.0.0.2"])
        self.table.store(beacon("bob"), "10.0.0.3", 96)
        self.assertEqual(self.addresses(96), ["10.0.0.2", "10.0.0.3"])

    def addresses(self, now: float) -> list[str]:
        return [host for host, _ in self.table.neighbours(now)[0].addresses]

    def test_claims_of_one_host_are_limited(self) -> None:
        for number in range(5):
            self.table.store(beacon(f"bob{number}"), "10.0.0.2", 0)
        self.assertEqual(self.names(), ["bob0", "bob1"])
        self.assertTrue(self.table.store(beacon("carol"), "10.0.0.3", 0))

    def test_full_table_keeps_its_entries(self) -> None:
        for number in range(6):
            self.table.store(beacon(f"bob{number}"), f"10.0.0.{number}", number)
        self.assertEqual(self.names(5), ["bob0", "bob1", "bob2"])
        self.table.store(beacon("bob0"), "10.0.0.0", 90)
        self.assertEqual(self.names(97.5), ["bob0"])

    claims = st.tuples(
        st.builds(Beacon, st.sampled_from("abcdef"), st.sampled_from(KEYS), st.just(5556)),
        st.sampled_from(["10.0.0.1", "10.0.0.2", "fe80::1%eth0", "fd00::2"]),
        st.floats(0, 60),
    )

    @given(st.lists(claims, max_size=60))
    def test_limits_hold_for_any_beacons(self, heard: list[tuple[Beacon, str, float]]) -> None:
        table, now = Table(), 0.0
        for one, host, later in heard:
            now += later
            table.store(one, host, now)
            neighbours = table.neighbours(now)
            self.assertLessEqual(len(neighbours), 3)
            for neighbour in neighbours:
                self.assertLessEqual(1, len(neighbour.addresses))
                self.assertLessEqual(len(neighbour.addresses), 2)
                self.assertLessEqual(now - neighbour.seen, BEACON_KEEP)
        self.assertEqual(table.neighbours(now + BEACON_KEEP + 1), ())
        self.assertEqual(table._claims, {})


class RhythmTests(SynchronousTestCase):
    def test_we_speak_at_once_and_then_every_thirty_seconds_or_so(self) -> None:
        rhythm = Rhythm(5.0)
        self.assertEqual(rhythm.due, 5.0)
        rhythm.sent(5.0, 0.5)
        self.assertEqual(rhythm.due, 35.0)
        rhythm.sent(35.0, 1.0)
        self.assertEqual(rhythm.due, 68.0)

    def test_new_peer_is_answered_soon(self) -> None:
        rhythm = Rhythm(0.0)
        rhythm.sent(0.0, 0.5)
        rhythm.hasten(10.0, 0.5)
        self.assertEqual(rhythm.due, 10.5)
        rhythm.hasten(10.1, 1.0)
        self.assertEqual(rhythm.due, 10.5)

    @given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), max_size=50))
    def test_beacons_keep_the_least_gap(self, asked: list[tuple[float, float]]) -> None:
        rhythm, now = Rhythm(0.0), 0.0
        rhythm.sent(0.0, 0.5)
        spoken = [0.0]
        for later, jitter in asked:
            now += later
            while rhythm.due <= now:
                spoken.append(rhythm.due)
                rhythm.sent(rhythm.due, jitter)
            rhythm.hasten(now, jitter)
        for one, other in itertools.pairwise(spoken):
            self.assertGreaterEqual(other - one, BEACON_GAP - 1e-6)

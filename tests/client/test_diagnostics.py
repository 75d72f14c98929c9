"""Test the doctor's findings about addresses, keys, clocks and beacons."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client import diagnostics
from chatproto.client.diagnostics import FAIL, NOTE, OK, SKIP, Finding
from chatproto.identity.pins import Pin
from chatproto.net.clock import Wall

KEY = "sha256:" + "A" * 52
SERVER = "chat.example.org:5555"
addresses = st.ip_addresses().map(str)
ends = st.tuples(addresses, st.integers(1, 65535))


class KeyTests(SynchronousTestCase):
    def test_a_key_that_is_named_or_known_is_right(self) -> None:
        pin = Pin("server", SERVER, KEY)
        self.assertEqual(diagnostics.key_found(SERVER, KEY, True, None).state, OK)
        self.assertEqual(diagnostics.key_found(SERVER, KEY, False, pin).state, OK)

    def test_a_new_one_is_shown_with_how_to_be_sure(self) -> None:
        found = diagnostics.key_found(SERVER, KEY, False, None)
        self.assertEqual(found.state, NOTE)
        self.assertIn(KEY, found.text)
        self.assertIn(f"--server {SERVER}/KEY", found.advice)


class CallTests(SynchronousTestCase):
    def assert_found(self, state: str, words: str, observed: str, local: str, **how: str) -> None:
        found = diagnostics.calls_in((observed, 40000), (local, 40000), **how)
        self.assertEqual(found.state, state)
        self.assertIn(words, found.text)

    def test_addresses_are_judged_for_calls(self) -> None:
        self.assert_found(NOTE, "on this machine", "127.0.0.1", "127.0.0.1")
        self.assert_found(NOTE, "on this machine", "::1", "::1")
        self.assert_found(OK, "the server's network", "10.0.0.5", "10.0.0.5")
        self.assert_found(OK, "public address", "9.9.9.9", "9.9.9.9")
        self.assert_found(OK, "public address", "2606:4700::1", "2606:4700::1")
        self.assert_found(NOTE, "behind a router", "9.9.9.9", "10.0.0.5")
        self.assert_found(NOTE, "provider or company", "100.64.0.9", "10.0.0.5")
        self.assert_found(NOTE, "provider or company", "172.16.0.9", "10.0.0.5")

    def test_announced_addresses_are_not_judged(self) -> None:
        self.assert_found(
            NOTE, "example.org:5000, which was not tested from outside", "9.9.9.9", "10.0.0.5",
            announced="example.org:5000",
        )  # fmt: skip

    def test_router_port_mapping_is_reported(self) -> None:
        kept = diagnostics.calls_in(("9.9.9.9", 40000), ("10.0.0.5", 40000))
        changed = diagnostics.calls_in(("9.9.9.9", 1031), ("10.0.0.5", 40000))
        self.assertIn("kept the port", kept.text)
        self.assertIn("changed the port", changed.text)
        self.assertEqual((kept.data["keeps_port"], changed.data["keeps_port"]), (True, False))

    @given(ends, ends)
    def test_every_address_has_a_finding(
        self, observed: tuple[str, int], local: tuple[str, int]
    ) -> None:
        for found in (
            diagnostics.calls_in(observed, local),
            diagnostics.address_seen(observed, local),
        ):
            self.assertIn(found.state, (OK, NOTE))
            self.assertTrue(found.text)


class ClockTests(SynchronousTestCase):
    def test_small_clock_difference_is_accepted(self) -> None:
        self.assertEqual(diagnostics.clock(Wall(1000.0), Wall(1004.0), Wall(1005.0)).state, OK)
        self.assertEqual(diagnostics.clock(Wall(1000.0), Wall(1000.0), Wall(1014.0)).state, OK)
        self.assertEqual(diagnostics.clock(Wall(1000.0), Wall(1006.0), Wall(1006.0)).state, NOTE)

    def test_clock_difference_is_given_in_readable_units(self) -> None:
        for offset, words in {
            59: "59 seconds ahead of",
            -60: "1 minute behind",
            -7200: "2 hours behind",
            90_000: "1 day ahead of",
        }.items():
            self.assertIn(
                words, diagnostics.clock(Wall(1e9), Wall(1e9 + offset), Wall(1e9 + offset)).text
            )


class BeaconTests(SynchronousTestCase):
    def test_neighbours_that_answer_are_named(self) -> None:
        found = diagnostics.beacons(["eth0"], True, ["alice", "bob"], "", False)
        self.assertEqual((found.state, found.text), (OK, "2 peers are nearby: alice, bob"))

    def test_silence_is_no_fault_of_ours_but_a_firewall_is(self) -> None:
        self.assertEqual(diagnostics.beacons(["eth0"], True, [], "", True).state, OK)
        found = diagnostics.beacons(["eth0"], False, [], "", False)
        self.assertEqual(found.state, NOTE)
        self.assertIn("UDP port 5555", found.advice)

    def test_beacon_problem_fails_only_with_beacon(self) -> None:
        for networks in (["eth0"], []):
            self.assertEqual(diagnostics.beacons(networks, False, [], "", True).state, FAIL)
            self.assertEqual(diagnostics.beacons(networks, False, [], "", False).state, NOTE)


class CodeTests(SynchronousTestCase):
    def test_the_exit_code_is_that_of_the_worst(self) -> None:
        fine = [Finding("a", OK, "x"), Finding("b", NOTE, "x"), Finding("c", SKIP, "x")]
        fail, refused = Finding("d", FAIL, "x"), diagnostics.key_refused(SERVER, KEY, "another key")
        self.assertEqual(diagnostics.exit_code(fine), 0)
        self.assertEqual(diagnostics.exit_code([*fine, fail]), 5)
        self.assertEqual(diagnostics.exit_code([fail, refused, *fine]), 3)


class DiskTests(SynchronousTestCase):
    def test_unwritable_home_is_a_failure(self) -> None:
        for free, trouble, words in (
            (0, "Read-only file system", "cannot write to /srv: Read-only file system"),
            (4096, "", "the disk of /srv is full: 4 KiB are free"),
        ):
            found = diagnostics.disk("home", "/srv", free, trouble)
            assert found is not None
            self.assertEqual((found.state, found.text), (FAIL, words))
            self.assertIn("--home", found.advice)
            found = diagnostics.disk("downloads", "/srv", free, trouble)
            assert found is not None
            self.assertEqual((found.state, found.text), (NOTE, words))
        self.assertIsNone(diagnostics.disk("home", "/srv", 10**9, ""))

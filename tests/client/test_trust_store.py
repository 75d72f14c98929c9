"""Test pins in a file, and introductions of the last minute."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.trust_store import MOST, TrustStore
from chatproto.identity.keys import new_identity
from chatproto.identity.pins import NO_SERVER, PinFile
from chatproto.identity.tls import Tls
from chatproto.identity.trust import Worth
from chatproto.session.punches import INTRODUCED_WAIT

ALICE = new_identity()
BOB, EVE, SERVER, OTHER = (new_identity().name for _ in range(4))
FRESH = INTRODUCED_WAIT


class Case(SynchronousTestCase):
    """Alice, who knows nobody yet."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir()
        self.clock = Clock()
        self.known = self.opened()

    def opened(self) -> TrustStore:
        """As after a start."""
        file = PinFile(self.path / "known_peers")
        return TrustStore(Tls(ALICE), file, self.clock.seconds)

    def worth(self, client_id: str, key: str) -> Worth:
        return self.known.believe(client_id, key).worth


class BeliefTests(Case):
    """Confirmation of claimed ids."""

    def test_unknown_key_is_not_confirmed(self) -> None:
        self.assertIs(self.worth("bob", BOB), Worth.CLAIMED)

    def test_introduction_confirms_a_key_for_a_minute(self) -> None:
        self.known.introduce("bob", BOB)
        self.assertIs(self.worth("bob", BOB), Worth.CONFIRMED)
        self.assertIs(self.worth("bob", EVE), Worth.CLAIMED)
        self.assertIs(self.worth("eve", BOB), Worth.CLAIMED)
        self.clock.advance(FRESH)
        self.assertIs(self.worth("bob", BOB), Worth.CONFIRMED)
        self.clock.advance(0.1)
        self.assertIs(self.worth("bob", BOB), Worth.CLAIMED)

    def test_second_introduction_restarts_the_minute(self) -> None:
        self.known.introduce("bob", BOB)
        self.clock.advance(FRESH * 0.9)
        self.known.introduce("bob", BOB)
        self.clock.advance(FRESH * 0.9)
        self.assertIs(self.worth("bob", BOB), Worth.CONFIRMED)

    def test_pinned_key_is_accepted_and_others_refused(self) -> None:
        self.known.pin("bob", BOB)
        self.assertIs(self.worth("bob", BOB), Worth.KNOWN)
        self.known.introduce("bob", EVE)
        self.assertIs(self.worth("bob", EVE), Worth.REFUSED)

    def test_same_id_at_another_server_is_another_contact(self) -> None:
        self.known.server_key = SERVER
        self.known.pin("bob", BOB)
        self.known.server_key = OTHER
        self.assertIs(self.worth("bob", EVE), Worth.CLAIMED)
        self.assertIsNone(self.known.pinned("bob"))
        self.known.server_key = SERVER
        self.assertIs(self.worth("bob", EVE), Worth.REFUSED)

    def test_contact_pinned_without_a_server_counts_at_each(self) -> None:
        self.known.pin("bob", BOB)
        self.known.server_key = SERVER
        self.assertIs(self.worth("bob", BOB), Worth.KNOWN)
        self.assertIs(self.worth("bob", EVE), Worth.REFUSED)

    def test_repeated_introduction_is_not_the_oldest(self) -> None:
        for number in [*range(MOST), 0, MOST]:
            self.known.introduce(f"p{number}", BOB)
        self.assertIs(self.worth("p0", BOB), Worth.CONFIRMED)
        self.assertIs(self.worth("p1", BOB), Worth.CLAIMED)

    @given(st.integers(0, 3 * MOST))
    def test_latest_introductions_are_stored(self, count: int) -> None:
        file = PinFile(self.path / "none")
        known = TrustStore(Tls(ALICE), file, self.clock.seconds)
        for number in range(count):
            known.introduce(f"p{number}", BOB)
        for number in {0, count - MOST - 1, count - MOST, count - 1} & set(range(count)):
            found = known.believe(f"p{number}", BOB).worth is Worth.CONFIRMED
            self.assertEqual(found, number >= count - MOST)


class PinTests(Case):
    """Stored pins."""

    def test_outlasts_the_program(self) -> None:
        self.known.pin("bob", BOB)
        again = self.opened().pinned("bob")
        assert again is not None
        self.assertEqual((again.key, again.server, again.verified), (BOB, NO_SERVER, False))
        self.assertEqual(self.known.path, str(self.path / "known_peers"))

    def test_belongs_to_the_server_of_the_first_contact(self) -> None:
        self.known.server_key = SERVER
        self.known.pin("bob", BOB)
        pin = self.known.pinned("bob")
        assert pin is not None
        self.assertEqual(pin.server, SERVER)

    def test_stays_verified_after_another_contact(self) -> None:
        self.known.pin("bob", BOB)
        self.assertEqual(self.known.security(BOB), "encrypted")
        self.known.verify("bob", BOB)
        self.known.pin("bob", BOB)
        self.assertEqual(self.known.security(BOB), "verified")
        self.assertEqual(self.known.security(EVE), "encrypted")
        self.assertEqual(self.known.security(EVE), "encrypted")

    def test_is_not_written_again_unchanged(self) -> None:
        self.known.pin("bob", BOB)
        before = (self.path / "known_peers").stat().st_mtime_ns
        self.known.pin("bob", BOB)
        self.assertEqual((self.path / "known_peers").stat().st_mtime_ns, before)

    def test_a_trusted_key_is_taken_everywhere_and_is_not_verified(self) -> None:
        self.known.verify("bob", BOB)
        self.known.server_key = SERVER
        self.known.trust("bob", EVE)
        self.assertIs(self.worth("bob", EVE), Worth.KNOWN)
        self.assertIs(self.worth("bob", BOB), Worth.REFUSED)
        self.assertEqual(self.known.security(EVE), "encrypted")

    def test_a_server_is_new_once(self) -> None:
        self.assertTrue(self.known.pin_server("localhost:5555", SERVER))
        self.assertFalse(self.known.pin_server("localhost:5555", SERVER))
        pin = self.opened().file.pins.server("localhost:5555")
        assert pin is not None
        self.assertEqual(pin.key, SERVER)

    def test_is_replaced_by_a_trusted_new_key(self) -> None:
        self.known.pin_server("localhost:5555", SERVER)
        self.assertFalse(self.known.pin_server("localhost:5555", OTHER))
        pin = self.known.file.pins.server("localhost:5555")
        assert pin is not None
        self.assertEqual(pin.key, OTHER)


class SelfTests(Case):
    """Our own identity."""

    def test_the_key_and_the_number_that_two_compare(self) -> None:
        self.assertEqual(self.known.own_key, ALICE.name)
        other = new_identity()
        file = PinFile(self.path / "theirs")
        theirs = TrustStore(Tls(other), file, self.clock.seconds)
        self.assertEqual(self.known.safety_number(other.name), theirs.safety_number(ALICE.name))
        self.assertNotEqual(self.known.safety_number(other.name), self.known.safety_number(BOB))

    def test_each_connection_has_its_own_judge(self) -> None:
        first = self.known.handshake(lambda key: None)
        self.assertIsNot(first, self.known.handshake(lambda key: None))
        self.assertIsNone(first.peer_key)

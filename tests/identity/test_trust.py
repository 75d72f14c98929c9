"""Test when a claimed id is confirmed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity.pins import NO_SERVER, Pin, Pins
from chatproto.identity.trust import Worth, believe, changed_key
from chatproto.wire.reasons import Reason


def key(letter: str) -> str:
    return "sha256:" + letter * 52


HOME, AWAY, ALICE, MALLORY = key("H"), key("W"), key("A"), key("M")


class BeliefTests(SynchronousTestCase):
    """Confirmation by servers and by pins."""

    def setUp(self) -> None:
        self.pins = Pins(f"{HOME} alice {ALICE}\n{NO_SERVER} carol {ALICE}\n")

    def worth(self, client_id: str, shown: str, *servers: str, confirmed: bool = False) -> Worth:
        return believe(self.pins, servers, client_id, shown, confirmed).worth

    def test_the_pinned_key_is_known_also_where_no_server_says_so(self) -> None:
        self.assertIs(self.worth("alice", ALICE, HOME), Worth.KNOWN)
        self.assertIs(self.worth("carol", ALICE), Worth.KNOWN)

    def test_other_key_is_refused_despite_confirmation(self) -> None:
        for confirmed in (False, True):
            belief = believe(self.pins, [HOME], "alice", MALLORY, confirmed)
            self.assertIs(belief.worth, Worth.REFUSED)
            self.assertEqual(belief.pin, Pin(HOME, "alice", ALICE, line=1))
            self.assertFalse(belief.confirmed)

    def test_a_stranger_is_believed_only_if_a_server_says_so(self) -> None:
        self.assertIs(self.worth("bob", MALLORY, HOME), Worth.CLAIMED)
        self.assertIs(self.worth("bob", MALLORY, HOME, confirmed=True), Worth.CONFIRMED)

    def test_an_impostor_with_a_fresh_key_is_not_confirmed(self) -> None:
        self.assertFalse(believe(Pins(), [HOME], "alice", MALLORY, False).confirmed)

    def test_pin_of_another_server_does_not_count(self) -> None:
        self.assertIs(self.worth("alice", MALLORY, AWAY), Worth.CLAIMED)

    def test_one_server_that_knows_another_key_is_enough_to_refuse(self) -> None:
        for servers in ((HOME, AWAY), (AWAY, HOME)):
            self.assertIs(self.worth("alice", MALLORY, *servers), Worth.REFUSED)

    def test_a_pinned_key_is_the_same_contact_under_every_id(self) -> None:
        for servers in ((HOME,), (AWAY,), ()):
            self.assertIs(self.worth("eve", ALICE, *servers), Worth.KNOWN)

    def test_changed_key_names_peer_server_and_advice(self) -> None:
        pin = self.pins.person(HOME, "alice")
        assert pin is not None
        said = changed_key(pin, "/home/a/known_peers", "alice", f"type /trust alice {MALLORY}")
        self.assertIs(said.reason, Reason.OTHER_KEY)
        for part in (
            "alice",
            ALICE,
            MALLORY,
            "/home/a/known_peers, line 1",
            f"/trust alice {MALLORY}",
        ):
            self.assertIn(part, said)
        self.assertNotIn("\n", said)

"""A log that cannot be written ends conversations, keeps none of them for ever, and works again later."""

from __future__ import annotations

from typing import NoReturn

from chatproto.client.events import Failed, MessageReceived, SessionChanged, Undelivered
from chatproto.session.ledger import LedgerTrouble
from chatproto.wire.bcp2_peer import MsgAck
from tests.client.keyed_program import BOB, Case
from tests.client.tls_net import FarPerson
from tests.limits import DEFAULTS

WRITES = (
    "add",
    "begin",
    "store_incoming",
    "meet",
    "set_turn",
    "settle",
    "shown",
    "withdraw",
    "wrote",
)
FULL = "cannot use the log: the disk is full"


def fail(*_: object) -> NoReturn:
    raise LedgerTrouble(FULL)


class FullDiskTests(Case):
    """The disk is full for a while."""

    def setUp(self) -> None:
        super().setUp()
        self.patches = [
            self.patch(self.ledger, name, getattr(self.ledger, name)) for name in WRITES
        ]

    def full(self) -> None:
        """Fill the disk."""
        for name in WRITES:
            setattr(self.ledger, name, fail)

    def room(self) -> None:
        """Make room again, and see that a conversation works."""
        for patch in self.patches:
            patch.restore()
        self.net.wait(1)
        self.assertEqual([one.name for one in self.node.calls.all], [])
        bob = self.called("bob")
        bob.says("can you hear me?")
        self.net.wait(1)
        self.node.switch("bob")
        self.node.say("yes")
        self.net.wait(1)
        self.assertEqual(self.told(MessageReceived)[-1].text, "can you hear me?")
        self.assertEqual(bob.texts[-1], "yes")
        self.node.stop()
        self.net.wait(1)
        self.assertEqual(self.codes, [0])

    def assert_told(self) -> None:
        reasons = [one.reason or "" for one in self.told(SessionChanged)]
        self.assertIn(FULL, [*self.texts(Failed), *reasons])

    def test_message_stays_with_its_sender(self) -> None:
        bob = self.talking()
        self.full()
        bob.says("is this kept?")
        self.net.wait(1)
        self.assert_told()
        self.assertEqual(bob.heard(MsgAck), [])
        self.assertTrue(bob.ended)
        self.room()

    def test_conversation_ends_by_quit(self) -> None:
        bob = self.talking()
        self.full()
        self.node.quit()
        self.net.wait(1)
        self.assertTrue(bob.left)
        self.room()

    def test_conversation_ends_by_the_peer(self) -> None:
        bob = self.talking()
        self.full()
        bob.leaves()
        self.net.wait(1)
        self.room()

    def test_program_ends(self) -> None:
        self.talking()
        self.full()
        self.node.stop()
        self.net.wait(1)
        self.assertEqual(self.codes, [0])

    def test_caller_who_is_let_in_at_once(self) -> None:
        self.full()
        bob = self.called("bob")
        self.net.wait(1)
        self.assert_told()
        self.assertTrue(bob.over)
        self.room()

    def test_caller_who_is_accepted(self) -> None:
        self.answer = "none"
        self.setUp()
        bob = self.called("bob")
        self.net.wait(1)
        self.full()
        self.node.accept("bob")
        self.net.wait(1)
        self.assert_told()
        self.assertTrue(bob.over)

    def test_call_to_a_contact(self) -> None:
        self.full()
        self.node.chat(BOB)
        self.net.wait(1)
        self.person("bob")
        self.net.wait(1)
        self.assert_told()
        self.room()

    def test_call_that_is_answered(self) -> None:
        self.node.chat(BOB)
        bob = self.person("bob", takes=False)
        self.full()
        bob.takes_call()
        self.net.wait(1)
        self.assert_told()
        self.room()

    def test_broken_conversation(self) -> None:
        self.talking().cut()
        self.full()
        self.net.wait(1)
        again: FarPerson = self.person()
        again.says("is this kept?")
        self.net.wait(1)
        self.assert_told()
        self.room()

    def test_text_that_is_held_is_reported(self) -> None:
        self.begin(DEFAULTS.with_values(["waiting-messages=1"]))
        bob = self.called("bob", acknowledges=False)
        for text in ("one", "two"):
            self.node.say(text)
        self.patch(self.ledger, "add", fail)
        bob.tell(MsgAck(1))
        self.assertEqual(self.held, [True, False])
        [lost] = self.told(Undelivered)
        self.assertEqual((lost.text, lost.reason, bob.texts), ("two", FULL, ["one"]))

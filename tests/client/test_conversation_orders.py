"""Test messages and commands in plain text; see `test_both_modes.py` too."""

from __future__ import annotations

from chatproto.client import contact_keys
from chatproto.client.events import (
    Failed,
    IncomingCallEvent,
    Notice,
    Sent,
    SessionChanged,
)
from tests.client.plain_program import BOB, Case


class MistakeTests(Case):
    """Impossible commands, each with one sentence."""

    def test_each_with_its_command(self) -> None:
        for ask, command, words in (
            (lambda: self.node.say("hello"), "say", "you are in no conversation"),
            (lambda: self.node.msg("hello", "bob"), "msg", 'no conversation with "bob"'),
            (lambda: self.node.switch("bob"), "switch", 'no conversation with "bob"'),
            (lambda: self.node.accept(), "accept", "nobody is calling"),
            (lambda: self.node.decline("bob"), "decline", '"bob" is not calling'),
            (lambda: self.node.mode("half"), "mode", "you are in no conversation"),
            (lambda: self.node.over(), "over", "you are in no conversation"),
            (lambda: self.node.verify("bob"), "verify", "nothing is encrypted with --plain"),
            (lambda: self.node.trust("bob", "x"), "trust", "nothing is encrypted with --plain"),
            (lambda: self.node.chat("", "latin"), "chat", 'no dialect "latin": choose one of'),
            (lambda: self.node.chat(), "chat", "no peer to call"),
            (lambda: self.node.chat("bob"), "chat", 'no address of "bob" is known'),
            (lambda: self.node.chat("127.0.0.1:5001"), "chat", "that is your own address"),
            (lambda: self.node.chat("localhost:5001"), "chat", "that is your own address"),
            (lambda: self.node.chat("[::1]:5001"), "chat", "that is your own address"),
            (lambda: self.node.chat("here:there"), "chat", "port"),
            (lambda: self.node.register(), "register", "no server is used"),
            (lambda: self.node.info(), "info", "no server is used"),
            (lambda: self.node.bridge(), "bridge", "no server is used"),
        ):
            self.begin()
            ask()
            [failed] = self.told(Failed)
            self.assertEqual(failed.command, command)
            self.assertIn(words, failed.text)
            self.assertNotIn("\n", failed.text)
            self.assertEqual((len(self.node.calls.all), self.net.dialled), (0, 0))

    def test_lone_command_word_gets_a_hint(self) -> None:
        for word, command in (
            ("help", "/help"),
            (" QUIT ", "/quit"),
            ("?", "/help"),
            ("exit", "/quit"),
        ):
            self.events.clear()
            self.node.say(word)
            [failed] = self.told(Failed)
            self.assertEqual(failed.text, f"you are in no conversation: did you mean {command}?")
        self.assertEqual(self.codes, [])

    def test_a_call_without_a_key(self) -> None:
        self.begin(plain=False)
        self.node.chat(BOB)
        [failed] = self.told(Failed)
        self.assertEqual(failed.text, "this client has no key to call with")

    def test_the_turn_cannot_be_passed_by_itself(self) -> None:
        self.talking()
        self.node.over()
        [failed] = self.told(Failed)
        self.assertIn("dialect lobby passes the turn only with a message", failed.text)


class OrdersTests(Case):
    """Commands for one of several conversations."""

    def two(self) -> None:
        """Bob and Carol have called and were taken; Carol is the current one."""
        self.begin(answer="none")
        for name, port in (("bob", 5003), ("carol", 5004)):
            self.called(name, port).says(b"hello\r\n")
            self.node.accept(name)
        self.events.clear()

    def test_text_goes_to_the_current_or_named_conversation(self) -> None:
        self.two()
        self.node.say("hello")
        self.node.msg("and you", "bob")
        self.net.wait(1)
        sent = {(one.text, one.to) for one in self.told(Sent)}
        self.assertEqual(sent, {("hello", "carol"), ("and you", "bob")})

    def test_another_one_becomes_the_current_one(self) -> None:
        self.two()
        self.node.switch("bob")
        [changed] = self.told(SessionChanged)
        self.assertEqual((changed.id, changed.current), ("bob", True))
        self.assertIs(
            self.node.calls.all.conversation_for(""), self.node.calls.all.conversation_for("bob")
        )

    def test_plain_text_message_cannot_be_unsent(self) -> None:
        self.two()
        self.node.unsend("1")
        self.assertEqual(self.told(Failed)[0].status, 405)

    def test_plain_text_conversation_has_no_files(self) -> None:
        self.two()
        self.node.send(["/etc/hostname"])
        [failed] = self.told(Failed)
        self.assertIn("cannot carry files", failed.text)

    def test_ignore_off_restores_the_peer(self) -> None:
        self.patch(contact_keys, "IGNORED", 1)
        for name in ("bob", "carol", "bob", "carol"):
            self.node.ignore(name)
        told = [one.text for one in self.told(Notice)]
        self.assertEqual(told, ["bob is ignored", "bob is no longer ignored", "carol is ignored"])
        self.assertEqual([one.status for one in self.told(Failed)], [413])
        self.assertEqual(self.node.calls.ignored, {"carol"})

    def test_leave_ends_the_current_conversation_or_reports_none(self) -> None:
        self.two()
        self.assertTrue(self.node.talk.quit_current())
        self.assertEqual([one.name for one in self.node.calls.all], ["bob"])
        self.assertFalse(self.node.talk.quit_current())


class CallerTests(Case):
    """Callers in plain text, whose ids are only claims."""

    def test_same_id_from_another_machine_is_another_peer(self) -> None:
        self.called("bob")
        self.called("bob", host="192.0.2.7", says="192.0.2.7")
        self.net.wait(1)
        names = [one.id for one in self.told(IncomingCallEvent)]
        self.assertEqual((len(names), len(set(names))), (2, 2))

    def test_second_connection_from_the_same_machine_is_the_same_peer(self) -> None:
        self.called("bob")
        self.called("bob")
        self.net.wait(1)
        self.assertEqual([one.id for one in self.told(IncomingCallEvent)], ["bob"])

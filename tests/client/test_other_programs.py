"""Tests of conversations with programs that have ways of their own."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.calls.plain_calls import PlainPeerFactory
from chatproto.client.events import Bye, Exited, Failed, MessageReceived, Notice, Sent, Undelivered
from chatproto.client.known_dialects import MOST, KnownDialects
from chatproto.wire.dialects import DIALECTS, Me
from tests.client.plain_program import BOB, Case
from tests.net import Wire, joined

BYE = b"QUIT\r\n\r\n"


class OtherProgramCase(Case):
    """Alice with --plain, calling as `canon`."""

    def setUp(self) -> None:
        self.begin(dialect="canon")

    def notices(self) -> list[str]:
        return [one.text for one in self.told(Notice)]

    def heard(self) -> list[tuple[str, str]]:
        return [(one.from_, one.text) for one in self.told(MessageReceived)]

    def bare(self) -> Wire:
        """A connection to our port, of a program at the address of BOB's."""
        factory = PlainPeerFactory(self.node.plain_calls, self.net, self.node.limits)
        return joined(factory.buildProtocol(None), Wire("127.0.0.1", 40001))

    def says(self, wire: Wire, data: bytes) -> None:
        wire.says(data)
        self.net.wait(1)


class HangUpTests(OtherProgramCase):
    def test_a_peer_that_hangs_up_at_our_opener_may_speak_another_dialect(self) -> None:
        wire = self.talking()
        self.net.wait(1)
        wire.ends()
        hint = self.notices()[-1]
        self.assertIn("speaks another dialect: try /chat --as ", hint)
        self.assertTrue(hint.endswith(f" {BOB}"), hint)
        names = hint.split("--as ")[1].split(" ")[0].split("|")
        self.assertEqual(set(names), set(DIALECTS) - {"canon", "lobby"})
        self.assertEqual(self.codes, [])

    def test_a_peer_that_has_answered_knows_the_dialect(self) -> None:
        wire = self.talking()
        self.says(wire, b"hi")
        wire.ends()
        self.assertEqual(len(self.told(Bye)), 1)
        self.assertEqual(self.notices(), [])

    def test_a_caller_that_hangs_up_gets_no_hint(self) -> None:
        self.called("bob").ends()
        self.assertEqual(self.notices(), [])


class MirrorTests(OtherProgramCase):
    def test_framed_answer_sets_the_dialect(self) -> None:
        wire = self.talking()
        self.node.say("hello")
        self.net.wait(1)
        self.says(wire, b"CHAT\r\nType: message\r\nMessage: hi\r\n\r\n")
        self.node.say("more")
        self.assertEqual(self.heard()[-1][1], "hi")
        self.assertEqual(self.spent(wire)[-1], b"CHAT\r\nType: message\r\nMessage: more\r\n\r\n")
        self.node.quit()
        self.assertEqual(self.spent(wire)[-1], b"CHAT\r\nType: quit\r\n\r\n")

    def test_a_prefix_is_taken_off_and_mirrored(self) -> None:
        wire = self.talking()
        self.says(wire, b"bob> hi\n\n")
        self.assertEqual(self.heard()[-1][1], "hi")
        self.node.say("more")
        self.assertEqual(self.spent(wire)[-1], b"alice> more\n\n")

    def test_the_dialect_that_worked_is_taken_for_the_next_call(self) -> None:
        wire = self.talking()
        self.node.say("hello")
        self.net.wait(1)
        self.says(wire, DIALECTS["idhdr"].frame(Me("bob", "127.0.0.1", 5002), "hi", b""))
        wire.ends()
        again = self.talking()
        self.assertEqual(self.spent(again)[0], b"ID: alice\r\nIP: 127.0.0.1\r\nPort: 5001\r\n\r\n")

    def test_the_dialect_of_a_caller_is_taken_to_call_back(self) -> None:
        wire = self.bare()
        self.says(wire, DIALECTS["typeinit"].opener(Me("bob", "127.0.0.1", 5002)))
        self.says(wire, DIALECTS["typeinit"].frame(Me("bob", "", 0), "hello", b""))
        self.node.say("hi")
        self.net.wait(1)
        wire.ends()
        self.node.chat("bob")
        opener = DIALECTS["typeinit"].opener(Me("alice", "127.0.0.1", 5001))
        self.assertEqual(self.spent(self.net.accept())[0], opener)


class OneWayTests(OtherProgramCase):
    """Programs that never answer on a connection that they accepted but make one of their own."""

    def test_incoming_opener_joins_our_call(self) -> None:
        ours = self.talking()
        for text in ("one", "two", "three"):
            self.node.say(text)
        self.net.wait(1)
        self.assertEqual([one.text for one in self.told(Sent)], ["one"])
        theirs = self.bare()
        self.says(theirs, b"hi\n")
        self.says(theirs, b"and more\n")
        self.assertEqual(self.heard(), [(BOB, "hi"), (BOB, "and more")])
        self.assertEqual([one.text for one in self.told(Sent)], ["one", "two", "three"])
        self.assertEqual(ours.writes[-2:], [b"two\r\n", b"three\r\n"])
        self.assertEqual(theirs.writes, [])

    def test_a_silent_connection_of_theirs_is_joined_too(self) -> None:
        self.talking()
        for text in ("one", "two"):
            self.node.say(text)
        theirs = self.bare()
        self.net.wait(3)
        self.assertEqual(len(self.node.calls.all), 1)
        self.assertEqual([one.text for one in self.told(Sent)], ["one", "two"])
        self.says(theirs, b"hi\n")
        self.assertEqual(self.heard(), [(BOB, "hi")])

    def test_raw_connection_after_an_answer_is_another_peer(self) -> None:
        ours = self.talking()
        self.says(ours, b"hi\n")
        self.says(self.bare(), b"hello\n")
        self.assertEqual(self.heard(), [(BOB, "hi"), ("127.0.0.1:40001", "hello")])


class EndTests(OtherProgramCase):
    """With --plain their farewell in the only conversation ends the program, as the assignment has it."""

    def test_a_farewell_ends_the_program(self) -> None:
        wire = self.called("bob")
        self.says(wire, b"hello")
        self.says(wire, BYE)
        self.closed(wire)
        self.assertEqual((self.codes, self.events[-1]), ([0], Exited(0)))

    def test_other_conversation_continues(self) -> None:
        self.called("eve", 5004)
        wire = self.called("bob")
        self.says(wire, b"hello")
        self.says(wire, BYE)
        self.assertEqual(self.codes, [])

    def test_queued_messages_are_reported_first(self) -> None:
        wire = self.talking()
        for text in ("one", "two"):
            self.node.say(text)
        self.net.wait(1)
        self.says(wire, b"so long\r\n")
        self.node.say("three")
        self.says(wire, BYE)
        self.assertEqual([one.text for one in self.told(Undelivered)], ["three"])
        self.assertEqual(self.codes, [])

    def test_farewell_of_an_unknown_caller_ends_nothing(self) -> None:
        for _ in range(3):
            self.says(self.called("bob"), BYE)
        self.assertEqual(self.codes, [])

    def test_the_end_of_a_connection_ends_nothing(self) -> None:
        wire = self.called("bob")
        self.says(wire, b"hello")
        wire.ends()
        self.assertEqual(self.codes, [])

    def test_without_plain_the_program_continues(self) -> None:
        self.begin(plain=False, open=True, answer="all")
        wire = self.called("bob")
        self.says(wire, b"hello")
        self.says(wire, BYE)
        self.assertEqual(self.codes, [])


class FarewellTests(OtherProgramCase):
    def test_configured_word_ends_a_raw_conversation(self) -> None:
        self.begin(dialect="raw", farewells=("hindi", "Over and out"))
        wire = self.talking()
        self.says(wire, b"hello")
        self.says(wire, b"HINDI\n")
        self.assertEqual(self.heard(), [(BOB, "hello")])
        self.assertEqual(len(self.told(Bye)), 1)

    def test_quit_sends_the_first_configured_word(self) -> None:
        self.begin(dialect="raw", farewells=("hindi", "out"))
        wire = self.talking()
        self.node.quit()
        self.assertEqual(self.spent(wire), [b"hindi"])

    def test_typed_farewell_ends_the_conversation(self) -> None:
        self.begin(dialect="raw", farewells=("hindi", "out"))
        wire = self.talking()
        self.node.say("out")
        self.assertEqual(self.spent(wire), [b"out"])
        self.closed(wire)
        self.assertEqual(len(self.node.calls.all), 0)

    def test_farewell_word_is_text_in_other_dialects(self) -> None:
        self.begin(dialect="canon", farewells=("hindi",))
        wire = self.talking()
        self.says(wire, b"hindi")
        self.assertEqual(self.heard(), [(BOB, "hindi")])


class LengthTests(OtherProgramCase):
    def test_too_long_line_for_a_course_program_causes_a_warning(self) -> None:
        self.begin(dialect="typelength")
        wire = self.talking()
        self.node.say("é" * 600)
        self.assertEqual(len(self.spent(wire)), 1)
        failed = self.told(Failed)[-1]
        self.assertEqual(failed.status, 413)
        self.assertIn("may take only 1024", failed.text)
        self.node.say("é" * 600)
        self.assertEqual(len(self.spent(wire)), 2)

    def test_other_dialects_have_no_length_warning(self) -> None:
        wire = self.talking()
        self.node.say("x" * 2000)
        self.assertEqual(len(self.spent(wire)), 2)


class KnownDialectsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(mkdtemp()) / "dialects"

    def test_known_dialects_are_stored(self) -> None:
        known = KnownDialects(self.path)
        known.worked("bob", "idonly")
        known.worked("10.0.0.2:5000", "raw")
        known.worked("bob", "typeinit")
        again = KnownDialects(self.path)
        found = [again.get(one) for one in ("bob", "10.0.0.2:5000", "eve")]
        self.assertEqual(found, ["typeinit", "raw", ""])

    def test_only_so_many(self) -> None:
        known = KnownDialects(None)
        for number in range(MOST + 1):
            known.worked(f"p{number}", "raw")
        self.assertEqual((known.get("p0"), known.get("p1")), ("", "raw"))

    def test_rubbish_and_a_path_that_is_none_cost_nothing(self) -> None:
        self.path.write_bytes(b"bob nonsense\n\xff\xfe\n\neve raw\n")
        self.assertEqual(KnownDialects(self.path).get("eve"), "raw")
        self.path.unlink()
        self.path.mkdir()
        known = KnownDialects(self.path)
        known.worked("bob", "raw")
        self.assertEqual(known.get("bob"), "raw")
        self.flushLoggedErrors()

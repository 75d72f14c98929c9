"""Our side towards a classic server: connections, waits, and what a person is told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import DNSLookupError, TimeoutError
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answer import Refused
from chatproto.directory.client import ClassicServer, Unreachable
from chatproto.wire.fields import Contact
from chatproto.wire.limits import DEFAULTS, Limits
from tests.net import Net, Wire

SILENCE, REPEAT, WAIT = DEFAULTS.answer_silence, DEFAULTS.answer_repeat, DEFAULTS.answer_wait
REGISTER = b"REGISTER\r\nclientID: Alice\r\nIP: 10.0.0.1\r\nPort: 5001\r\n\r\n"
REGACK = b"REGACK\r\nclientID: Alice\r\nIP: 10.0.0.1\r\nPort: 5001\r\nStatus: registered\r\n\r\n"
BOB = Contact("Bob", "10.0.0.2", 5002)


class Case(SynchronousTestCase):
    """A server at 127.0.0.1:5555."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, limits: Limits = DEFAULTS) -> None:
        self.net = Net()
        self.server = ClassicServer(self.net, "127.0.0.1", 5555, limits)

    def register(self) -> Deferred[None]:
        return self.server.register("Alice", "10.0.0.1", 5001)

    def unreachable(self, asked: Deferred[Any]) -> str:
        return str(self.failureResultOf(asked, Unreachable).value)

    def quiet(self) -> None:
        """Nothing of ours is left that would happen later; an endpoint's last look is Twisted's."""
        calls = [str(call) for call in self.net.getDelayedCalls()]
        self.assertEqual([call for call in calls if "HostnameEndpoint" not in call], [])


class RequestTests(Case):
    """A server that answers."""

    def test_one_connection_one_write_and_we_close_first(self) -> None:
        asked = self.register()
        self.assertEqual(self.net.wanted, [("127.0.0.1", 5555)])
        wire = self.net.accept()
        self.assertEqual(wire.writes, [REGISTER])
        wire.says(REGACK)
        self.assertIsNone(self.successResultOf(asked))
        self.assertTrue(wire.disconnecting)
        wire.ends()
        self.quiet()

    def test_in_pieces(self) -> None:
        asked = self.register()
        wire = self.net.accept()
        for byte in REGACK:
            self.assertNoResult(asked)
            wire.says(bytes([byte]))
        self.successResultOf(asked)

    def test_somebody_to_talk_to(self) -> None:
        asked = self.server.bridge("Alice")
        wire = self.net.accept()
        self.assertEqual(wire.writes, [b"BRIDGE\r\nclientID: Alice\r\n\r\n"])
        wire.says(b"BRIDGEACK\r\nclientID: Bob\r\nIP: 10.0.0.2\r\nPort: 5002\r\n\r\n")
        self.assertEqual(self.successResultOf(asked), BOB)

    def test_nobody_but_us(self) -> None:
        for name in (b"Alice", b"None", b""):
            asked = self.server.bridge("Alice")
            answer = b"BRIDGEACK\nclientID: %s\nIP: 10.0.0.1\nPort: 5001\n\n" % name
            self.net.accept().says(answer)
            self.assertIsNone(self.successResultOf(asked))

    def test_who_is_registered(self) -> None:
        asked = self.server.info()
        wire = self.net.accept()
        self.assertEqual(wire.writes, [b"INFO\r\n\r\n"])
        wire.says(b"INFOACK\r\nBob 10.0.0.2:5002\r\n\r\n")
        self.assertEqual(self.successResultOf(asked), (BOB,))

    def test_an_answer_without_a_blank_line_ends_with_its_connection(self) -> None:
        asked = self.register()
        wire = self.net.accept()
        wire.says(b"REGACK\nStatus: ok")
        self.assertNoResult(asked)
        wire.ends()
        self.successResultOf(asked)
        self.quiet()

    def test_or_after_a_silence(self) -> None:
        asked = self.register()
        wire = self.net.accept()
        wire.says(b"REGACK\n")
        self.net.advance(SILENCE * 0.9)
        wire.says(b"Status: ok")
        self.net.advance(SILENCE * 0.9)
        self.assertNoResult(asked)
        self.net.advance(SILENCE * 0.2)
        self.successResultOf(asked)
        self.assertTrue(wire.disconnecting)
        self.quiet()

    def test_a_no_is_told_with_its_code(self) -> None:
        asked = self.register()
        self.net.accept().says(b"REGNACK\r\nStatus: 409 whatever\r\n\r\n")
        refused = self.failureResultOf(asked, Refused).value
        self.assertTrue(str(refused).startswith("the server refused: 409 "))
        self.assertEqual(refused.status, 409)

    @given(st.lists(st.integers(1, len(REGACK)), max_size=6), st.booleans())
    def test_however_it_is_cut_it_is_one_answer(self, cuts: list[int], ends: bool) -> None:
        self.begin()
        asked = self.register()
        wire = self.net.accept()
        places = [0, *sorted(cuts), len(REGACK)]
        for start, end in pairwise(places):
            if start < end:
                wire.says(REGACK[start:end])
        if ends:
            wire.ends()
        self.successResultOf(asked)
        self.assertEqual((self.net.dialled, wire.writes), (0, [REGISTER]))
        self.quiet()


class PatienceTests(Case):
    """A server that does not answer at once."""

    def test_it_is_asked_again_on_the_same_connection(self) -> None:
        asked = self.register()
        wire = self.net.accept()
        self.net.advance(REPEAT * 0.99)
        self.assertEqual(wire.writes, [REGISTER])
        self.net.advance(REPEAT * 0.01)
        self.assertEqual(wire.writes, [REGISTER] * 2)
        self.net.advance(REPEAT)
        self.assertEqual((wire.writes, self.net.dialled), ([REGISTER] * 2, 0))
        wire.says(REGACK)
        self.successResultOf(asked)

    def test_once_it_has_begun_to_answer_it_is_not(self) -> None:
        self.register()
        wire = self.net.accept()
        self.net.advance(REPEAT * 0.9)
        wire.says(b"REGA")
        self.net.advance(REPEAT * 0.11)
        self.assertEqual(wire.writes, [REGISTER])

    def test_an_empty_answer_or_a_reset_is_worth_one_more_connection(self) -> None:
        for reset in (False, True):
            self.begin()
            asked = self.register()
            self.net.accept().ends(reset)
            self.net.advance(SILENCE * 0.99)
            self.assertEqual(self.net.dialled, 0)
            self.net.advance(SILENCE * 0.02)
            self.net.accept().says(REGACK)
            self.successResultOf(asked)
            self.quiet()

    def test_but_not_two(self) -> None:
        asked = self.register()
        self.net.accept().ends()
        self.net.advance(SILENCE)
        self.net.accept().ends(True)
        self.assertIn("closed the connection without an answer", self.unreachable(asked))
        self.assertEqual(len(self.net.wanted), 2)
        self.quiet()

    def test_it_is_given_up_after_five_seconds_in_all(self) -> None:
        asked = self.register()
        wire = self.net.accept()
        self.net.advance(1)
        wire.ends()
        self.net.advance(SILENCE)
        second = self.net.accept()
        self.net.wait(WAIT - 1 - SILENCE - 0.1)
        self.assertNoResult(asked)
        self.net.wait(0.2)
        words = self.unreachable(asked)
        self.assertEqual(
            words, "the server at 127.0.0.1:5555 does not answer: is it a chat server?"
        )
        self.assertTrue(second.disconnecting)
        second.ends()
        self.quiet()

    def test_also_where_no_connection_comes_about(self) -> None:
        asked = self.register()
        self.net.wait(WAIT + 0.1)
        self.unreachable(asked)
        self.quiet()

    def test_and_where_the_answer_comes_drop_by_drop(self) -> None:
        asked = self.register()
        wire = self.net.accept()
        for _ in range(30):
            if not wire.closing:
                wire.says(b"X")
            self.net.advance(SILENCE * 0.6)
        self.unreachable(asked)
        self.quiet()


class TroubleTests(Case):
    """What is no chat server, or nothing at all."""

    def test_each_has_its_sentence(self) -> None:
        for data, words in (
            (b"\x15\x03\x01\x00\x02", "speaks TLS only: leave --plain out"),
            (b"HTTP/1.1 400 Bad Request\r\n", "is a web server, no chat server"),
            (b"220 mail\r\n\r\n", "is no chat server"),
            (b"INFOACK\r\n\r\n", "answered INFOACK instead of REGACK"),
        ):
            self.begin()
            asked = self.register()
            wire = self.net.accept()
            wire.says(data)
            self.assertTrue(
                self.unreachable(asked).startswith(f"the server at 127.0.0.1:5555 {words}")
            )
            self.assertTrue(wire.disconnecting)
            self.quiet()

    def test_an_answer_without_end_is_not_kept(self) -> None:
        limits = DEFAULTS.with_values(["body-from-server=1000"])
        self.begin(limits)
        asked = self.server.info()
        wire = self.net.accept()
        wire.says(b"INFOACK\r\n" + b"Bob 10.0.0.2:5002\r\n" * 50)
        self.assertNoResult(asked)
        wire.says(b"Bob 10.0.0.2:5002\r\n" * 10)
        self.assertIn("answers without end", self.unreachable(asked))
        self.assertTrue(wire.disconnecting)
        wire.says(b"more")
        self.quiet()

    def test_nobody_there(self) -> None:
        for error, words in (
            (None, "there is no server at 127.0.0.1:5555 (connection refused)"),
            (TimeoutError(), "no answer from the server at 127.0.0.1:5555"),
            (DNSLookupError(), "there is no host 127.0.0.1"),
            (OSError("odd"), "the server at 127.0.0.1:5555 cannot be reached (odd)"),
        ):
            self.begin()
            asked = self.register()
            self.net.refuse(error)
            self.net.wait(1)
            self.assertEqual(self.unreachable(asked), words)
            self.quiet()


class CancelTests(Case):
    """The person does not want it any more."""

    def cancelled(self, asked: Deferred[None], wire: Wire | None) -> None:
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        if wire is not None:
            self.assertTrue(wire.disconnecting)
            wire.ends()
        self.quiet()

    def test_while_it_is_connecting(self) -> None:
        self.cancelled(self.register(), None)

    def test_while_it_is_answered(self) -> None:
        asked = self.register()
        wire = self.net.accept()
        wire.says(b"REGA")
        self.cancelled(asked, wire)
        wire.says(b"CK\r\n\r\n")

    def test_between_two_connections(self) -> None:
        asked = self.register()
        self.net.accept().ends()
        self.cancelled(asked, None)
        self.assertEqual(len(self.net.wanted), 1)

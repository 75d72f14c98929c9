"""Tests of asking a classic server: every wait has its end, and it is we who close."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    NoRouteError,
)
from twisted.internet.interfaces import IResolutionReceiver
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answer import ServerRefused
from chatproto.directory.client import ClassicServer, ServerUnreachable
from chatproto.wire.fields import Contact
from tests.limits import DEFAULTS, Limits
from tests.net.library_lines import cut_by_twisted

BRIDGE = b"BRIDGE\r\nclientID: alice\r\n\r\n"
ANSWER = b"BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n"
BOB = Contact("bob", "127.0.0.1", 3001)


class NoNames:
    """A name resolver that finds nothing."""

    def resolveHostName(
        self, receiver: IResolutionReceiver, *args: object, **named: object
    ) -> None:
        receiver.resolutionComplete()


class Course:
    """A server in the test's hands, and what the one who asks it got."""

    def __init__(self, limits: Limits = DEFAULTS, host: str = "10.1.1.1") -> None:
        self.reactor = MemoryReactorClock()
        self.server = ClassicServer(self.reactor, host, 5555, limits)
        self.got: list[Any] = []
        self.protocol: Any = None
        self.transport = StringTransport()

    def ask(self, asked: Deferred[Any]) -> Deferred[Any]:
        return asked.addBoth(self.got.append)

    def bridge(self) -> Deferred[Any]:
        return self.ask(self.server.bridge("alice"))

    @property
    def calls(self) -> int:
        return len(self.reactor.tcpClients)

    def accept(self) -> StringTransport:
        self.transport = StringTransport()
        self.protocol = self.reactor.tcpClients[-1][2].buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        return self.transport

    def refuse(self, why: Exception) -> None:
        connector = self.reactor.connectors[-1]
        self.reactor.tcpClients[-1][2].clientConnectionFailed(connector, Failure(why))
        self.reactor.advance(0.3)  # between a name's addresses, of which there is one

    def say(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def lose(self, why: Exception) -> None:
        self.protocol.connectionLost(Failure(why))

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.reactor.advance(0.1)

    @property
    def result(self) -> Any:
        (result,) = self.got
        return result.value if isinstance(result, Failure) else result

    @property
    def clean(self) -> bool:
        """True if no timer and no open connection of ours is left."""
        return not self.reactor.getDelayedCalls() and self.transport.disconnecting


class AskingTests(SynchronousTestCase):
    def asked(self) -> Course:
        course = Course()
        course.bridge()
        course.accept()
        return course

    def test_requests_are_sent_to_the_byte_and_answered(self) -> None:
        for ask, request, answer, result in (
            (
                lambda server: server.register("alice", "127.0.0.1", 3000),
                b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n",
                b"REGACK\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n"
                b"Status: registered\r\n\r\n",
                None,
            ),
            (lambda server: server.bridge("alice"), BRIDGE, ANSWER, BOB),
            (
                lambda server: server.bridge("alice"),
                BRIDGE,
                b"BRIDGEACK\r\nclientID: \r\nIP: \r\nPort: \r\n\r\n",
                None,
            ),
            (
                lambda server: server.info(),
                b"INFO\r\n\r\n",
                b"INFOACK\r\nbob 127.0.0.1:3001\r\n\r\n",
                (BOB,),
            ),
        ):
            course = Course()
            course.ask(ask(course.server))
            course.accept()
            self.assertEqual(course.transport.value(), request)
            course.say(answer)
            self.assertEqual(course.result, result)
            self.assertTrue(course.clean)
            self.assertEqual((course.calls, course.transport.value()), (1, request))

    def test_we_close_first_at_the_blank_line(self) -> None:
        course = self.asked()
        for byte in ANSWER:
            self.assertFalse(course.transport.disconnecting)
            course.say(bytes([byte]))
        self.assertEqual(course.result, BOB)
        self.assertTrue(course.clean)
        course.say(b"more")
        course.lose(ConnectionDone())
        self.assertEqual((len(course.got), course.clean), (1, True))

    def test_silence_ends_an_answer_without_its_blank_line(self) -> None:
        course = self.asked()
        course.say(ANSWER[:20])
        course.reactor.advance(0.29)
        course.say(ANSWER[20:-2])
        course.reactor.advance(0.29)
        self.assertEqual(course.got, [])
        course.reactor.advance(0.02)
        self.assertEqual(course.result, BOB)
        self.assertTrue(course.clean)

    def test_the_end_of_input_ends_an_answer_too(self) -> None:
        for why in (ConnectionDone(), ConnectionLost()):
            course = self.asked()
            course.say(ANSWER[:-4])
            course.lose(why)
            self.assertEqual(course.result, BOB)
            self.assertEqual((course.calls, course.reactor.getDelayedCalls()), (1, []))

    def test_request_is_repeated_after_two_seconds(self) -> None:
        course = self.asked()
        course.wait(1.9)
        self.assertEqual(course.transport.value(), BRIDGE)
        course.wait(0.2)
        self.assertEqual(course.transport.value(), BRIDGE * 2)
        course.wait(2)
        self.assertEqual((course.calls, course.transport.value()), (1, BRIDGE * 2))
        course.say(ANSWER + ANSWER)
        self.assertEqual(course.result, BOB)
        self.assertTrue(course.clean)

    def test_request_is_not_repeated_after_a_partial_answer(self) -> None:
        course = self.asked()
        for _ in range(12):
            course.say(b"\r\n")
            course.wait(0.2)
        self.assertEqual(course.transport.value(), BRIDGE)

    def test_a_reset_or_an_empty_answer_is_worth_one_new_connection(self) -> None:
        for why in (ConnectionDone(), ConnectionLost()):
            course = self.asked()
            course.say(b"\r\n")
            course.lose(why)
            course.reactor.advance(0.29)
            self.assertEqual((course.calls, course.got), (1, []))
            course.reactor.advance(0.02)
            self.assertEqual(course.calls, 2)
            self.assertEqual(course.accept().value(), BRIDGE)
            course.say(ANSWER)
            self.assertEqual(course.result, BOB)
            self.assertTrue(course.clean)

    def test_server_that_closes_on_info_is_not_asked_again(self) -> None:
        for end in (ConnectionDone(), ConnectionLost()):
            course = Course()
            course.ask(course.server.info())
            course.accept()
            course.lose(end)
            course.wait(1)
            self.assertEqual(course.calls, 1)
            why = "closed the connection at INFO, it has no list of clients"
            self.assertEqual(str(course.result), f"the server at 10.1.1.1:5555 {why}")

    def test_server_without_info_is_reported(self) -> None:
        course = Course()
        course.ask(course.server.info())
        course.accept()
        course.wait(6)
        self.assertIn("does not answer INFO, it has no list", str(course.result))

    def test_an_answer_of_a_whole_buffer_is_its_text(self) -> None:
        course = Course()
        course.bridge()
        course.accept()
        course.say((ANSWER + b"\0d: old\r\n").ljust(1024, b"\0"))
        self.assertEqual(course.result, BOB)

    def test_a_second_empty_answer_is_the_last(self) -> None:
        course = self.asked()
        course.lose(ConnectionDone())
        course.reactor.advance(0.3)
        course.accept()
        course.lose(ConnectionDone())
        self.assertIsInstance(course.result, ServerUnreachable)
        self.assertIn("without an answer", str(course.result))
        self.assertEqual((course.calls, course.reactor.getDelayedCalls()), (2, []))

    def test_refusal_has_its_code(self) -> None:
        course = self.asked()
        course.say(b"ERROR\r\nStatus: 401 first\r\n\r\n")
        self.assertIsInstance(course.result, ServerRefused)
        self.assertEqual(course.result.status, 401)
        self.assertEqual(
            str(course.result), "the server refused: you are not registered or not logged in"
        )
        self.assertTrue(course.clean)


class EndTests(SynchronousTestCase):
    def test_request_times_out_after_five_seconds(self) -> None:
        course = Course()
        course.bridge()
        course.accept()
        course.wait(2)
        course.lose(ConnectionLost())
        course.wait(0.4)
        course.accept()
        course.wait(2.5)
        self.assertEqual(course.got, [])
        course.wait(0.2)
        self.assertIsInstance(course.result, ServerUnreachable)
        self.assertIn("10.1.1.1:5555 does not answer", str(course.result))
        self.assertTrue(course.clean)

    def test_a_call_that_nothing_answers_is_ended_too(self) -> None:
        course = Course()
        course.bridge()
        course.wait(5.1)
        self.assertIsInstance(course.result, ServerUnreachable)
        self.assertIn("cannot be reached (no answer)", str(course.result))
        self.assertTrue(course.reactor.connectors[-1].stoppedConnecting)
        self.assertEqual(course.reactor.getDelayedCalls(), [])

    def test_an_answer_without_end_is_refused_at_its_limit(self) -> None:
        course = Course(replace(DEFAULTS, body_from_server=100))
        course.bridge()
        course.accept()
        course.say(b"BRIDGEACK\r\n" + b"x" * 89)
        self.assertEqual(course.got, [])
        course.say(b"x")
        self.assertIn("sends an answer without end", str(course.result))
        self.assertTrue(course.clean)

    def test_cancel_closes_the_connection(self) -> None:
        course = Course()
        asked = course.bridge()
        course.accept()
        course.say(b"BRIDGE")
        asked.cancel()
        self.assertIsInstance(course.result, CancelledError)
        self.assertTrue(course.clean)

    def test_cancel_ends_the_dial(self) -> None:
        course = Course()
        asked = course.bridge()
        asked.cancel()
        self.assertIsInstance(course.result, CancelledError)
        self.assertTrue(course.reactor.connectors[-1].stoppedConnecting)
        self.assertEqual(course.reactor.getDelayedCalls(), [])

    def test_cancel_between_connections_prevents_the_second(self) -> None:
        course = Course()
        asked = course.bridge()
        course.accept()
        course.lose(ConnectionLost())
        asked.cancel()
        course.wait(1)
        self.assertEqual((course.calls, course.reactor.getDelayedCalls()), (1, []))

    def test_unreachable_server_is_one_sentence(self) -> None:
        for why, words in (
            (ConnectionRefusedError(111, "x"), "no server at 10.1.1.1:5555"),
            (NoRouteError(113, "No route"), "the server at 10.1.1.1:5555 cannot be reached"),
        ):
            course = Course()
            course.bridge()
            course.refuse(why)
            self.assertIsInstance(course.result, ServerUnreachable)
            self.assertIn(words, str(course.result))
            self.assertNotIn("\n", str(course.result))
            self.assertEqual(course.reactor.getDelayedCalls(), [])

    def test_invalid_host_is_reported(self) -> None:
        for host in ("nowhere.example", "a" * 64 + ".example", "a..b", "my_host"):
            course = Course(host=host)
            reactor: Any = course.reactor
            reactor.nameResolver = NoNames()
            course.bridge()
            self.assertIsInstance(course.result, ServerUnreachable)
            self.assertEqual(str(course.result), f"no host named {host}")
            self.assertEqual(course.reactor.getDelayedCalls(), [])

    def test_other_kinds_of_servers_are_recognised(self) -> None:
        for data in (b"\x15\x03\x01\x00\x02\x02\x28", b"HTTP/1.1 400 Bad Request\r\n", b"hi\n\n"):
            course = Course()
            course.bridge()
            course.accept()
            course.say(data)
            self.assertIsInstance(course.result, ServerUnreachable)
            self.assertTrue(course.clean)

    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=30),
                st.sampled_from([ANSWER, ANSWER[:30], b"\r\n", b"BRIDGEACK", b"ERROR\r\n"]),
                st.sampled_from([0.1, 0.3, 1.0, 2.0]),
                st.sampled_from([ConnectionDone(), ConnectionLost()]),
            ),
            max_size=20,
        )
    )
    def test_whatever_a_server_does_every_request_ends_once(self, deeds: list[Any]) -> None:
        course = Course()
        course.bridge()
        course.accept()
        accepted, lost = 1, False
        for deed in deeds:
            if lost and course.calls > accepted and not course.got:
                course.accept()
                accepted += 1
                lost = False
            if isinstance(deed, float):
                course.wait(deed)
            elif lost:
                continue
            elif isinstance(deed, bytes):
                course.say(deed)
            else:
                course.lose(deed)
                lost = True
        course.wait(5.1)
        self.assertEqual(len(course.got), 1)
        self.assertEqual(course.reactor.getDelayedCalls(), [])
        self.assertTrue(
            course.result is None
            or isinstance(course.result, Contact | ServerRefused | ServerUnreachable)
        )
        self.assertLessEqual(course.calls, 2)


class ExchangeTestsCutByTwisted(EndTests):
    """The same with Twisted's own line receiver, fed byte by byte."""

    test_whatever_a_server_does_every_request_ends_once = None  # type: ignore[assignment]  # cuts itself

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self)

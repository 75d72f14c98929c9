"""The base of all BCP/2 connections, on a transport in memory with a clock that the test turns."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.handshake import Handshake
from chatproto.net.receivers import StrictReceiver
from chatproto.net.tls_connection import ENDED, MESSAGES_AT_ONCE, NO_BCP2, TimedTlsConnection
from chatproto.wire.bcp2_common import Bcp2Message, Ping, PingAck
from chatproto.wire.bcp2_peer import MsgAck
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.reasons import Cause, Reason
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS
from tests.net import Wire, joined

SILENCE = 15.0


class Judged(Handshake):
    """Handshake whose result the test chooses."""

    def __init__(self, refusal: str | None) -> None:
        self.peer_key = "sha256:" + "A" * 52
        self.refusal = refusal

    def accepted(self) -> bool:
        return self.refusal is None

    def trouble(self, reason: Failure) -> Cause:
        return Cause(Reason.BAD_KEY, self.refusal or "the handshake failed")


class Recorder(TimedTlsConnection):
    """Connection that keeps what happens on it."""

    def __init__(self, clock: Any, refusal: str | None = None) -> None:
        super().__init__(Sender.PEER, Judged(refusal), DEFAULTS, clock, SILENCE)
        self.happened: list[object] = []
        self.debt = 0.0

    def connectionMade(self) -> None:
        super().connectionMade()
        self._begin_tls()

    def established(self) -> None:
        self._timers.cancel("begin")
        self._listen()
        self.happened.append("established")

    def probe(self) -> None:
        self.happened.append("probe")

    def received(self, message: Bcp2Message | RemoteError) -> None:
        self.happened.append(message)
        if isinstance(message, Ping):
            self._answer_ping()

    def ended(self, why: str, reason: Failure) -> None:
        self.happened.append(why)

    def _pace(self, cost: int) -> float:
        return self.debt

    def close(self) -> None:
        self._close()


class TlsConnectionTests(SynchronousTestCase):
    def connect(self, refusal: str | None = None, done: bool = True) -> Wire:
        self.clock: Any = Clock()
        self.one = Recorder(self.clock, refusal)
        self.wire = joined(self.one, Wire())
        if done:
            self.one.handshakeCompleted()
        return self.wire

    def says(self, *messages: Bcp2Message) -> None:
        self.wire.says(b"".join(map(encode, messages)))

    def wrote(self) -> list[Any]:
        return list(StrictReceiver(Sender.PEER).read(self.wire.new()))

    @property
    def received(self) -> int:
        return sum(isinstance(one, MsgAck) for one in self.one.happened)

    def test_handshake_decides_about_the_start(self) -> None:
        wire = self.connect()
        self.assertEqual((self.one.happened, wire.aborted), (["established"], False))
        wire = self.connect("not their key")
        self.assertTrue(wire.aborted)
        wire.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.one.happened, ["not their key"])

    def test_slow_handshake_ends_the_connection(self) -> None:
        wire = self.connect(done=False)
        self.clock.advance(DEFAULTS.handshake_wait)
        self.assertTrue(wire.aborted)
        wire.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.one.happened, ["the TLS handshake timed out"])

    def test_a_few_messages_are_read_in_a_turn(self) -> None:
        self.connect()
        count = 2 * MESSAGES_AT_ONCE + 5
        self.says(*[MsgAck(1)] * count)
        self.assertEqual((self.received, self.wire.producerState), (MESSAGES_AT_ONCE, "paused"))
        self.clock.advance(0)
        self.assertEqual((self.received, self.wire.producerState), (count, "producing"))

    def test_all_that_arrived_is_read_before_the_end_is_reported(self) -> None:
        self.connect()
        count = 2 * MESSAGES_AT_ONCE + 5
        self.says(*[MsgAck(1)] * count)
        self.wire.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertNotIn(ENDED, self.one.happened)
        self.clock.pump([0, 0, 0])
        self.assertEqual((self.received, self.one.happened[-1]), (count, ENDED))

    def test_reading_stops_while_the_peer_is_over_its_rate(self) -> None:
        self.connect()
        self.one.debt = 3.0
        self.says(MsgAck(1))
        self.assertEqual((self.received, self.wire.producerState), (1, "paused"))
        self.clock.advance(2.9)
        self.assertTrue(self.one.held)
        self.clock.advance(0.1)
        self.assertEqual((self.one.held, self.wire.producerState), (False, "producing"))

    def test_reading_resumes_without_holds(self) -> None:
        self.connect()
        for who in ("screen", "disk"):
            self.one.hold(True, who)
        self.one.hold(False, "screen")
        self.assertEqual(self.wire.producerState, "paused")
        self.clock.advance(3 * SILENCE)
        self.assertNotIn("probe", self.one.happened)  # the silence is of our own making
        self.one.hold(False, "disk")
        self.assertEqual(self.wire.producerState, "producing")
        self.clock.advance(SILENCE)
        self.assertIn("probe", self.one.happened)

    def test_silent_peer_is_pinged_then_disconnected(self) -> None:
        self.connect()
        self.clock.advance(SILENCE)
        self.says(MsgAck(1))
        self.clock.advance(SILENCE)
        self.assertEqual(self.one.happened.count("probe"), 2)
        self.clock.advance(SILENCE)
        self.assertTrue(self.wire.aborted)
        self.wire.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.one.happened[-1], "nothing received for 30 s")

    def test_one_pingack_answers_all_pings_while_blocked(self) -> None:
        self.connect()
        self.says(Ping())
        self.assertEqual(self.wrote(), [PingAck()])
        self.wire.full = True
        self.says(Ping())
        self.assertEqual(self.wrote(), [PingAck()])
        self.says(Ping(), Ping(), Ping())
        self.assertEqual(self.wrote(), [])
        self.wire.drain()
        self.assertEqual(self.wrote(), [PingAck()])

    def test_invalid_input_closes_the_connection(self) -> None:
        self.connect()
        self.wire.says(b"GET / HTTP/1.1\n\n")
        self.assertTrue(self.wire.disconnecting)
        self.wire.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.one.happened[-1], NO_BCP2)

    def test_closing_takes_its_time_and_no_longer(self) -> None:
        self.connect()
        self.one.close()
        self.assertIs(self.wire.producer, None)  # TLS would wait for it
        self.assertEqual((self.wire.disconnecting, self.wire.aborted), (True, False))
        self.says(MsgAck(1))
        self.assertEqual(self.received, 0)
        self.clock.advance(DEFAULTS.farewell_wait)
        self.assertTrue(self.wire.aborted)

    def test_a_dial_that_is_given_up_closes_nothing(self) -> None:
        self.clock = Clock()
        one = Recorder(self.clock)
        one.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_timers_end_with_the_connection(self) -> None:
        self.connect()
        self.one.hold(True)
        self.wire.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((self.clock.getDelayedCalls(), self.one.happened[-1]), ([], ENDED))

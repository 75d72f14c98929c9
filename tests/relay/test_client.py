"""A client's side of the relay."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import AccumulatingProtocol, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from chatproto.relay.client import NoRelay, RelayEnd
from tests.limits import DEFAULTS
from tests.relay.ends import ACK


class End(StringTransport):
    """One that can be broken off."""

    protocol: Any = None


class RelayEndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.end = RelayEnd("T1", self.clock, DEFAULTS)
        self.transport = End()
        self.end.makeConnection(self.transport)

    def assertFails(self, words: str) -> None:
        error = self.failureResultOf(self.end.piped, NoRelay)
        self.assertIn(words, str(error.value))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_writes_nothing_to_this_machine_where_a_far_relay_was_named(self) -> None:
        end = RelayEnd("T1", self.clock, DEFAULTS, near=False)
        transport = End(peerAddress=IPv4Address("TCP", "127.0.0.1", 1000))
        end.makeConnection(transport)
        self.failureResultOf(end.piped, NoRelay)
        self.assertEqual((transport.value(), transport.disconnecting), (b"", True))

    def test_asks_and_waits(self) -> None:
        self.assertEqual(self.transport.value(), b"RELAY\r\nTicket: T1\r\n\r\n")
        self.end.dataReceived(ACK[:5])
        self.clock.advance(60.0)
        self.assertNoResult(self.end.piped)

    def test_passes_on_the_transport_with_received_data(self) -> None:
        for byte in ACK[:-1]:
            self.end.dataReceived(bytes([byte]))
        self.end.dataReceived(ACK[-1:] + b"hel")
        self.assertIs(self.successResultOf(self.end.piped), self.end)
        self.assertEqual(self.transport.producerState, "paused")
        self.end.dataReceived(b"lo")
        heir = AccumulatingProtocol()
        heir.factory = type("Factory", (), {"protocolConnectionMade": None})()
        self.end.hand_to(heir)
        self.assertIs(self.transport.protocol, heir)
        self.assertIs(heir.transport, self.transport)
        self.assertEqual(heir.data, b"hello")
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_early_bytes_go_to_the_protocol_that_took_over(self) -> None:
        """As startTLS does."""
        first = AccumulatingProtocol()

        class Heir(Protocol):
            def connectionMade(self) -> None:
                self.transport.protocol = first  # type: ignore[union-attr]

        self.end.dataReceived(ACK + b"hello")
        self.end.hand_to(Heir())
        self.assertEqual(first.data, b"hello")

    def test_each_refusal_has_its_sentence(self) -> None:
        for status, words in (
            (b"403 refused", "refused the ticket"),
            (b"405 method not allowed", "has no relay"),
            (b"480 known but away", "did not come"),
            (b"413 too large", "refused: too large"),
        ):
            self.setUp()
            self.end.dataReceived(b"ERROR\r\nStatus: " + status + b"\r\n\r\n")
            self.assertFails(words)
            self.end.connectionLost(connectionDone)

    def test_nonsense_is_no_answer(self) -> None:
        self.end.dataReceived(b"HTTP/1.1 400\r\n\r\n")
        self.assertFails("not understood")

    def test_a_break_and_a_silence(self) -> None:
        self.clock.advance(62.0)
        self.assertFails("does not answer")
        self.setUp()
        self.end.connectionLost(connectionDone)
        self.assertFails("was lost")

    def test_cancel_closes_the_connection(self) -> None:
        self.end.piped.cancel()
        self.failureResultOf(self.end.piped, CancelledError)
        self.assertTrue(self.transport.disconnecting)
        self.end.connectionLost(connectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

"""Test the bytes that precede TLS on a connection made by an introduction."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.secure_connection import BeforeTls
from chatproto.wire.plain_blocks import Punch
from chatproto.wire.strict import encode
from tests.net import Wire

PUNCH = encode(Punch("0123456789abcdef"))
TLS = b"\x16\x03\x01 and so on"


class Tls:
    """Protocol in the place where the transport's protocol was."""

    disconnecting = "anything of its own"

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        self.data += data


class BeforeTlsTests(SynchronousTestCase):
    def stand(self) -> tuple[Wire, Tls, list[str]]:
        """A transport with a connection's TLS on it, and whether the dials met."""
        wire, tls, met = Wire(), Tls(), []
        wire.protocol = tls
        wire.protocol = BeforeTls(wire, lambda: met.append("met"))
        return wire, tls, met

    def feed(self, wire: Wire, data: bytes, size: int) -> None:
        for at in range(0, len(data), size):
            wire.protocol.dataReceived(data[at : at + size])

    def test_punch_is_sent_before_tls(self) -> None:
        wire = Wire()
        wire.write(encode(Punch("0123456789abcdef")))
        self.assertEqual(wire.value(), PUNCH)

    @given(st.booleans(), st.integers(1, 80))
    def test_tls_gets_its_bytes_in_any_pieces(self, both: bool, size: int) -> None:
        wire, tls, met = self.stand()
        self.feed(wire, PUNCH * both + TLS, size)
        self.assertEqual((tls.data, len(met)), (TLS, both))
        self.assertIs(wire.protocol, tls)

    def test_other_input_is_not_taken_for_punch(self) -> None:
        wire, tls, met = self.stand()
        self.feed(wire, b"PUNCH\r\nCall: no call\r\n\r\n", 100)
        self.assertTrue(wire.aborted)
        self.assertEqual((tls.data, met), (b"", []))

    def test_wrapper_looks_like_the_tls_connection(self) -> None:
        wire, tls, _ = self.stand()
        self.assertEqual(wire.protocol.disconnecting, tls.disconnecting)

"""First bytes: the same decision, however they are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.sniff import FirstBytes, sniff
from chatproto.wire.plain_blocks import TO_PEER, TO_SERVER

FIRST = st.sampled_from(
    [b"RELAY\r\n", b"PUNCH\r\n", b"REGISTER\r\n", b"\x16\x03\x01", b"P", b"hello"]
)


class SniffTests(SynchronousTestCase):
    def test_protocols_are_told_by_their_first_bytes(self) -> None:
        for data, expected in (
            (b"\x16", FirstBytes.TLS),
            (b"R", FirstBytes.UNDECIDED),
            (b"RELAY\r", FirstBytes.UNDECIDED),
            (b"RELAY\r\n", FirstBytes.BLOCK),
            (b"RELAY\n", FirstBytes.TEXT),
            (b"RE-REGISTER", FirstBytes.TEXT),
            (b"REGISTER\r\n", FirstBytes.TEXT),
            (b"PUNCH\r\n", FirstBytes.TEXT),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", FirstBytes.TEXT),
        ):
            self.assertIs(sniff(data, TO_SERVER), expected, data)
        self.assertIs(sniff(b"PUNCH\r\nCall: x", TO_PEER), FirstBytes.BLOCK)
        self.assertIs(sniff(b"RELAY\r\n", ()), FirstBytes.TEXT)

    @given(st.lists(FIRST | st.binary(min_size=1, max_size=4), min_size=1).map(b"".join))
    def test_decision_is_final_but_for_undecided(self, data: bytes) -> None:
        whole = sniff(data, TO_PEER)
        for end in range(1, len(data)):
            self.assertIn(sniff(data[:end], TO_PEER), (FirstBytes.UNDECIDED, whole))

"""The two datagrams, and everything that is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.nearby.messages import Beacon, Seek, read_datagram
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS

KEY = "sha256:" + "A" * 52
WHOLE = f"BEACON\r\nclientID: alice\r\nKey: {KEY}\r\nPort: 5556\r\n\r\n".encode()
MOST = DEFAULTS.beacon

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
keys = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=52, max_size=52).map("sha256:{}".format)
beacons = st.builds(Beacon, ids, keys, st.integers(1024, 65535))
seeks = st.builds(Seek, st.from_regex(r"[0-9a-f]{16}", fullmatch=True))


class DatagramTests(SynchronousTestCase):
    def test_a_beacon_is_these_bytes(self) -> None:
        self.assertEqual(encode(Beacon("alice", KEY, 5556)), WHOLE)
        self.assertEqual(read_datagram(WHOLE, MOST), Beacon("alice", KEY, 5556))

    @given(beacons | seeks)
    def test_written_datagrams_are_read_and_fit(self, message: Beacon | Seek) -> None:
        data = encode(message)
        self.assertLessEqual(len(data), MOST)
        self.assertEqual(read_datagram(data, MOST), message)

    @given(st.binary(max_size=400))
    def test_bytes_are_read_or_refused(self, data: bytes) -> None:
        try:
            read_datagram(data, MOST)
        except RemoteError as error:
            self.assertIn(error.status, (400, 405, 413))

    @given(beacons, st.data())
    def test_a_damaged_beacon_is_read_or_refused(
        self, beacon: Beacon, drawn: st.DataObject
    ) -> None:
        data = bytearray(encode(beacon))
        for _ in range(drawn.draw(st.integers(1, 4))):
            data[drawn.draw(st.integers(0, len(data) - 1))] = drawn.draw(st.integers(0, 255))
        try:
            read_datagram(bytes(data), MOST)
        except RemoteError as error:
            self.assertIn(error.status, (400, 405, 413))

    @given(beacons, st.integers(0, 200))
    def test_a_part_of_a_beacon_is_none(self, beacon: Beacon, size: int) -> None:
        data = encode(beacon)
        with self.assertRaises(RemoteError):
            read_datagram(data[: min(size, len(data) - 1)], MOST)

    def test_an_unknown_header_is_nothing(self) -> None:
        more = WHOLE.replace(b"Port", b"Colour: red\r\nPort")
        self.assertEqual(read_datagram(more, MOST), Beacon("alice", KEY, 5556))

    def test_invalid_beacon_is_refused(self) -> None:
        for status, data in (
            (413, WHOLE + b"x" * MOST),
            (400, WHOLE + b"x"),
            (400, WHOLE + WHOLE),
            (405, WHOLE.replace(b"\r\n", b"\n")),
            (400, WHOLE.replace(b"alice", b"al ice")),
            (400, WHOLE.replace(b"alice", b"al\x1b[2J")),
            (400, WHOLE.replace(b"5556", b"22")),
            (400, WHOLE.replace(b"5556", b"65536")),
            (400, WHOLE.replace(b"sha256:A", b"sha256:1")),
            (400, WHOLE.replace(b"clientID", b"name")),
            (405, b"PUNCH\r\nCall: a\r\n\r\n"),
            (405, b"\x16\x03\x01"),
        ):
            with self.assertRaises(RemoteError, msg=repr(data)) as caught:
                read_datagram(data, MOST)
            self.assertEqual(caught.exception.status, status, data)

    def test_datagram_that_would_be_refused_is_not_sent(self) -> None:
        for beacon in (Beacon("alice", KEY, 80), Beacon("a b", KEY, 5556), Beacon("a", "k", 5556)):
            with self.assertRaises(LocalError):
                encode(beacon)

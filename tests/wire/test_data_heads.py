"""The quick way through the heads of DATA says what the slow one says, or nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.wire import fast
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_files import Data
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.fast import DataHead, fits_data, read_data_head, write_data_head
from chatproto.wire.strict import LARGE_PART, encode, encode_apart
from tests.limits import DEFAULTS

HEAD = b"DATA\r\nID: 17\r\nOffset: 65536\r\nContent-Length: 5\r\n\r\n"
SLOW = b"DATA\r\nX: y\r\n"
"""A header more: it makes no difference but that it is read the slow way."""
NUMBERS = st.integers(0, 2**53) | st.sampled_from([0, 1, 10**15 - 1, 10**15, 2**53])
WORDS = NUMBERS.map(str) | st.sampled_from(
    ["", "-1", "+1", "01", " 1", "1 ", "9" * 16, "1_0", "\u0661"]
)


def read(data: bytes) -> tuple[list[object], bool, str]:
    decoder = StrictReceiver(Sender.PEER)
    found: list[Bcp2Message | RemoteError] = decoder.read(data)
    outcome = [one.status if isinstance(one, RemoteError) else one for one in found]
    return [*outcome], decoder.unreadable, decoder.unfinished


class DataHeadTests(SynchronousTestCase):
    def test_usual_head_is_read_in_place(self) -> None:
        self.assertEqual(
            read_data_head(b"PING" + HEAD + b"12345", 4), DataHead(17, 65536, 5, 4 + len(HEAD))
        )
        for other in (
            HEAD[:-1],
            HEAD.lower(),
            HEAD[1:],
            HEAD.replace(b"ID", b"CSeq: 1\r\nID"),
            b"",
        ):
            self.assertIsNone(read_data_head(other, 0))

    @given(WORDS, WORDS, WORDS | st.sampled_from(["5", "65536", "65537"]), st.binary(max_size=9))
    def test_both_ways_read_the_same(self, id: str, offset: str, length: str, rest: bytes) -> None:
        lines = f"ID: {id}\r\nOffset: {offset}\r\nContent-Length: {length}\r\n\r\n".encode() + rest
        self.assertEqual(read(b"DATA\r\n" + lines), read(SLOW + lines))

    @given(st.integers(1, 2**53), NUMBERS, st.binary(max_size=40))
    def test_both_ways_write_the_same(self, id: int, offset: int, data: bytes) -> None:
        message = Data(id, offset, data)
        whole = encode(message)
        self.assertEqual(whole, encode(message, replace(DEFAULTS, headers=2)))
        self.assertEqual(read(whole), ([message], False, ""))
        head = write_data_head(message)
        self.assertIn(head, (None, whole.removesuffix(data)) if data else (None, whole))
        self.assertEqual(head is None, id >= 10**15 or offset >= 10**15)

    def test_impossible_number_is_left_to_the_parser(self) -> None:
        for id, offset in ((0, 0), (-1, 0), (1, -1)):
            self.assertIsNone(write_data_head(Data(id, offset, b"")))

    def test_small_limits_disable_the_short_cut(self) -> None:
        self.assertTrue(fits_data(DEFAULTS))
        longest = write_data_head(Data(10**15 - 1, 10**15 - 1, b""))
        assert longest is not None
        self.assertEqual(fast.DATA_BLOCK, len(longest) + 8)  # nine digits of length
        *_, length, _, _ = lines = longest.split(b"\r\n")
        self.assertEqual(fast.DATA_LINE, len(length) + 8)
        self.assertLessEqual(max(map(len, lines)), fast.DATA_LINE)
        for small in (
            replace(DEFAULTS, headers=2),
            replace(DEFAULTS, line=fast.DATA_LINE - 1),
            replace(DEFAULTS, header_block=fast.DATA_BLOCK - 1),
        ):
            self.assertFalse(fits_data(small))
        (error,) = StrictReceiver(Sender.PEER, replace(DEFAULTS, headers=2)).read(HEAD)
        assert isinstance(error, RemoteError)
        self.assertEqual(error.status, 413)


class ApartTests(SynchronousTestCase):
    def test_sent_body_is_not_copied(self) -> None:
        body = bytes(DEFAULTS.chunk)
        head, there = encode_apart(Data(1, 0, body))
        self.assertIs(there, body)
        self.assertEqual(head + body, encode(Data(1, 0, body)))

    def test_a_large_body_is_not_copied_on_its_way_in_and_a_small_one_holds_nothing_else(
        self,
    ) -> None:
        for size in (LARGE_PART - 1, LARGE_PART, DEFAULTS.chunk):
            data = encode(Data(1, 0, bytes(size)))
            for came in (data, SLOW + data[len(b"DATA\r\n") :]):
                (message,) = StrictReceiver(Sender.PEER).read(came)
                assert isinstance(message, Data)
                self.assertEqual(message, Data(1, 0, bytes(size)))
                if size < LARGE_PART:
                    self.assertIsInstance(message.data, bytes)
            self.assertEqual(
                isinstance(StrictReceiver(Sender.PEER).read(data)[0].data, memoryview),  # type: ignore[union-attr]
                size >= LARGE_PART,
            )

    @given(st.lists(st.integers(0, 200_300), max_size=6))
    def test_large_bodies_are_complete_in_any_pieces(self, cuts: list[int]) -> None:
        body = bytes(range(256)) * 256
        sent = [Data(1, 65536 * at, body[at:] + body[:at]) for at in range(3)]
        whole = b"".join(map(encode, sent))
        cuts = sorted(min(cut, len(whole)) for cut in cuts)
        decoder, found = StrictReceiver(Sender.PEER), list[object]()
        for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            found += decoder.read(whole[start:stop])
        self.assertTrue(found == sent)

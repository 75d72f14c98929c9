"""Tests of BCP/2's bytes: strict lines, bodies, any split, every limit."""

from __future__ import annotations

import sys
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_common, bcp2_peer, bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.strict import SMALL_PART, encode
from chatproto.wire.strict import decode as decode_one
from tests.limits import DEFAULTS, Limits
from tests.net.library_lines import cut_by_twisted
from tests.wire.bcp2_samples import AT, MESSAGES, decode

Outcome = Bcp2Message | tuple[int, int | None]
SMALL = replace(DEFAULTS, line=40, headers=4, header_block=100, message=10, body_to_server=10)
SOUP = st.lists(
    st.binary(max_size=60)
    | st.sampled_from(
        [b"PING\r\n", b"MSG\r\nID: 1\r\n", b"WATCH\r\n", b"DANCE\r\n", b"\r\n", b"\r", b"\n", b"\r\n\r\n",
         b"CSeq: 1\r\n", b"CSEQ:2\r\n", b"peerID: bob\r\n", b"Content-Length: 9\r\n", b"X: 1\r\n",
         b"Content-Length: 99\r\n", b"Date: 2026-11-21T05:00:00Z\r\n", b"123456789", b"\xff", b"\x85"]
    )
    | st.sampled_from([encode(one) for messages in MESSAGES.values() for one in messages]),
    max_size=14,
).map(b"".join)  # fmt: skip


def outcomes(found: list[Bcp2Message | RemoteError]) -> list[Outcome]:
    return [(one.status, one.cseq) if isinstance(one, RemoteError) else one for one in found]


class SplitTests(SynchronousTestCase):
    def fed(
        self, sender: Sender, whole: bytes, cuts: list[int], limits: Limits = DEFAULTS
    ) -> tuple[list[Outcome], str, bool]:
        decoder = StrictReceiver(sender, limits)
        found: list[Bcp2Message | RemoteError] = []
        for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            found += decoder.read(whole[start:stop])
        return outcomes(found), decoder.unfinished, decoder.unreadable

    @given(st.sampled_from(list(Sender)), st.data())
    def test_any_split_gives_the_same_messages(self, sender: Sender, data: st.DataObject) -> None:
        messages = data.draw(st.lists(st.sampled_from(MESSAGES[sender]), max_size=6))
        whole = b"".join(map(encode, messages))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
        self.assertEqual(self.fed(sender, whole, cuts), (messages, "", False))

    @given(st.sampled_from(list(Sender)), SOUP, st.sampled_from([DEFAULTS, SMALL]), st.data())
    def test_any_split_of_anything_gives_the_same(
        self, sender: Sender, whole: bytes, limits: Limits, data: st.DataObject
    ) -> None:
        at_once = self.fed(sender, whole, [], limits)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
        self.assertEqual(self.fed(sender, whole, cuts, limits), at_once)
        self.assertEqual(self.fed(sender, whole, list(range(len(whole))), limits), at_once)

    @given(st.sampled_from(list(Sender)), SOUP, st.sampled_from([DEFAULTS, SMALL]), st.data())
    def test_library_that_cuts_lines_byte_by_byte_gives_the_same(
        self, sender: Sender, whole: bytes, limits: Limits, data: st.DataObject
    ) -> None:
        at_once = self.fed(sender, whole, [], limits)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
        restore = cut_by_twisted(self)
        try:
            self.assertEqual(self.fed(sender, whole, [], limits), at_once)
            self.assertEqual(self.fed(sender, whole, cuts, limits), at_once)
        finally:
            restore()

    @given(st.sampled_from(list(Sender)), SOUP, st.integers(1, 3))
    def test_reading_a_few_at_a_time_gives_the_same(
        self, sender: Sender, whole: bytes, most: int
    ) -> None:
        receiver = StrictReceiver(sender)
        found = receiver.read(whole, most)
        self.assertLessEqual(len(found), most)
        while receiver.stopped:
            more = receiver.read(b"", most)
            self.assertLessEqual(len(more), most)
            found += more
        outcome = outcomes(found), receiver.unfinished, receiver.unreadable
        self.assertEqual(outcome, self.fed(sender, whole, []))


class ReadingTests(SynchronousTestCase):
    def ended(self, data: bytes, sender: Sender = Sender.CLIENT) -> Outcome:
        """The one outcome of `data`, after which nothing more is read."""
        decoder = StrictReceiver(sender)
        (outcome,) = outcomes(decoder.read(data))
        self.assertTrue(decoder.unreadable, data)
        self.assertEqual(decoder.read(encode(bcp2_common.Ping(1))), [])
        self.assertEqual(decoder.unfinished, "")
        return outcome

    def test_headers_are_read_without_regard_to_case_and_unknown_ones_ignored(self) -> None:
        data = b"WATCH\r\ncSEQ:7\r\nX-New: 1\r\nx-new: 2\r\nPEERID: \t bob \r\n\r\n"
        self.assertEqual(decode(Sender.CLIENT, data), [bcp2_server.Watch(7, "bob")])

    def test_only_ascii_names_a_header(self) -> None:
        """The Kelvin sign is a k in lower case."""
        data = "PING\r\nCSeq: 1\r\n\u212aey: x\r\n\r\n".encode()
        self.assertEqual(self.ended(data), (400, 1))

    def test_malformed_message_keeps_its_number_and_the_next_is_read(self) -> None:
        data = (
            b"WATCH\r\nCSeq: 7\r\n\r\n"
            b"DANCE\r\nCSeq: 8\r\nContent-Length: 3\r\n\r\nabc"
            b"BRIDGE\r\npeerID: a\r\npeerid: b\r\nCSeq: 9\r\n\r\n"
            b"INFO\r\nLimit: x\r\nContent-Length: 4\r\nCSEQ:\t10\r\n\r\n\r\n\r\n"
            b"WATCH\r\npeerID: bob\r\n\r\n"
        )
        found = outcomes(decode(Sender.CLIENT, data + encode(bcp2_common.Ping(11))))
        self.assertEqual(
            found, [(400, 7), (405, 8), (400, 9), (400, 10), (400, None), bcp2_common.Ping(11)]
        )

    def test_as_many_headers_as_may_be_are_read_in_any_pieces(self) -> None:
        for count, outcome in (
            (DEFAULTS.headers, bcp2_common.Ping(1)),
            (DEFAULTS.headers + 1, (413, 1)),
        ):
            more = b"".join(b"X%d: 1\r\n" % number for number in range(count - 1))
            data = b"PING\r\nCSeq: 1\r\n" + more + b"\r\n"
            for size in (len(data), 7, 1):
                decoder = StrictReceiver(Sender.CLIENT)
                found: list[Bcp2Message | RemoteError] = []
                for at in range(0, len(data), size):
                    found += decoder.read(data[at : at + size])
                self.assertEqual(outcomes(found), [outcome], (count, size))

    def test_a_number_that_could_not_be_repeated_is_none(self) -> None:
        for number in (b"9999999999999999", b"-1", b"", b"1 2", b"\xc2\xb2"):
            data = b"DANCE\r\nCSeq: " + number + b"\r\n\r\n"
            self.assertEqual(outcomes(decode(Sender.CLIENT, data)), [(405, None)])

    def test_each_sender_has_methods_of_its_own(self) -> None:
        self.assertEqual(outcomes(decode(Sender.CLIENT, encode(bcp2_peer.Quit()))), [(405, None)])
        self.assertEqual(
            outcomes(decode(Sender.PEER, encode(bcp2_server.Replaced()))), [(405, None)]
        )
        self.assertEqual(
            outcomes(decode(Sender.CLIENT, encode(bcp2_server.Bridge(1)))), [bcp2_server.Bridge(1)]
        )
        self.assertEqual(outcomes(decode(Sender.SERVER, encode(bcp2_server.Bridge(1)))), [(405, 1)])

    def test_framing_error_closes_the_parser(self) -> None:
        for data in (
            b"PING\nCSeq: 1\r\n\r\n", b"PI\rNG\r\n\r\n", b"\r\n\r\n", b"PING\r\nA: \0\r\n\r\n",
            b"PING\r\nCSeq 1\r\n\r\n", b"PING\r\nCSeq: 1\r\nCSeq: 1\r\n\r\n", b"PING\r\n: 1\r\n\r\n",
            b"PING\r\nCSeq : 1\r\n\r\n", b"PING\r\n CSeq: 1\r\n\r\n", b"PING\r\nA: \x7f\r\n\r\n",
            "PING\r\nA: \x85\r\n\r\n".encode(), b"PING\r\nA: \xff\r\n\r\n", b"ping\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PING\r\nContent-Length: -1\r\n\r\n",
            b"PING\r\nContent-Length: x\r\n\r\n", b"PING\r\nContent-Length: \r\n\r\n",
            b"PING\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            b"PING\r\nContent-Length: 0x1\r\n\r\n", b"PING\r\nContent-Length: 1 1\r\n\r\n",
        ):  # fmt: skip
            self.assertEqual(self.ended(data), (400, None), data)

    def test_a_line_end_that_is_not_crlf_is_not_waited_upon(self) -> None:
        self.assertEqual(self.ended(b"PING\n"), (400, None))
        self.assertEqual(self.ended(b"PING\r\r"), (400, None))
        self.assertEqual(self.ended(b"WATCH\r\nCSeq: 7\r\npeerID: bob\n"), (400, 7))

    def test_a_message_that_lacks_its_body_is_malformed(self) -> None:
        data = b"MSG\r\nID: 1\r\nDate: 2026-11-21T05:00:00Z\r\n\r\n"
        self.assertEqual(outcomes(decode(Sender.PEER, data)), [(400, None)])

    def test_unexpected_body_is_skipped(self) -> None:
        data = b"PING\r\nCSeq: 1\r\nContent-Length: 6\r\n\r\nPING\r\n"
        self.assertEqual(decode(Sender.CLIENT, data * 2), [bcp2_common.Ping(1)] * 2)

    def test_unfinished_part_is_reported(self) -> None:
        decoder = StrictReceiver(Sender.PEER)
        data = encode(bcp2_peer.Msg(1, AT, "hello"))
        head = data.index(b"hello")
        seen = [(decoder.read(data[at : at + 1]), decoder.unfinished)[1] for at in range(len(data))]
        self.assertEqual(seen, ["block"] * (head - 1) + ["body"] * 5 + [""])


class LimitTests(SynchronousTestCase):
    limits = SMALL

    def refused(self, data: bytes, sender: Sender = Sender.CLIENT) -> int | None:
        """The number with which `data` is refused as too large, the connection with it."""
        decoder = StrictReceiver(sender, self.limits)
        (error,) = decoder.read(data)
        assert isinstance(error, RemoteError)
        self.assertEqual(error.status, 413)
        self.assertTrue(decoder.unreadable)
        return error.cseq

    def taken(self, data: bytes, sender: Sender = Sender.CLIENT) -> None:
        (message,) = StrictReceiver(sender, self.limits).read(data)
        self.assertNotIsInstance(message, RemoteError)

    def test_a_line_too_long(self) -> None:
        self.taken(b"PING\r\nA: " + b"x" * 37 + b"\r\n\r\n")
        self.refused(b"PING\r\nA: " + b"x" * 38)
        self.refused(b"PING\r\nA: " + b"x" * 38 + b"\r\n\r\n")

    def test_input_after_a_too_long_line_is_ignored(self) -> None:
        self.refused(b"A" * 41 + b"\n")
        self.refused(b"A" * 41 + b"\0\r\n")

    def test_too_many_headers(self) -> None:
        headers = [b"A%d: 1\r\n" % n for n in range(5)]
        self.taken(b"PING\r\n" + b"".join(headers[:4]) + b"\r\n")
        self.refused(b"PING\r\n" + b"".join(headers) + b"\r\n")

    def test_a_block_too_large(self) -> None:
        most = b"PING\r\nA: " + b"x" * 30 + b"\r\nB: " + b"x" * 30 + b"\r\nC: "
        self.taken(most + b"x" * 19 + b"\r\n\r\n")
        self.refused(most + b"x" * 20 + b"\r\n\r\n")

    def test_a_block_too_large_is_not_written(self) -> None:
        limits = replace(DEFAULTS, header_block=64)
        least = len(encode(bcp2_server.Watch(7, "b"), limits)) - 2  # the empty line is no header
        longest = "b" * (1 + limits.header_block - least)
        encode(bcp2_server.Watch(7, longest), limits)
        with self.assertRaises(LocalError) as raised:
            encode(bcp2_server.Watch(7, f"{longest}b"), limits)
        self.assertEqual(raised.exception.status, 413)

    def test_too_large_body_is_refused_early_with_its_number(self) -> None:
        self.taken(b"PING\r\nContent-Length: 10\r\n\r\n0123456789")
        self.assertEqual(self.refused(b"PING\r\nCSeq: 7\r\nContent-Length: 11\r\n\r\n"), 7)
        self.refused(b"DANCE\r\nContent-Length: 11\r\n\r\n")
        self.refused(b"MSG\r\nContent-Length: 11\r\n\r\n", Sender.PEER)
        self.refused(b"MSG\r\nContent-Length: 99999999\r\n\r\n", Sender.PEER)

    @given(st.sampled_from(list(Sender)), st.lists(SOUP, max_size=6))
    def test_any_input_respects_the_limits(self, sender: Sender, chunks: list[bytes]) -> None:
        decoder = StrictReceiver(sender, self.limits)
        body = self.limits.body_from_server if sender is Sender.SERVER else 10
        for chunk in chunks:
            decoder.read(chunk)
            lines = len(decoder._buffer) + sum(map(len, decoder._parser._block.lines))
            self.assertLessEqual(lines, self.limits.header_block + 2)
            self.assertLessEqual(sum(map(len, decoder._parser._parts)), body)
            if decoder.unreadable:
                self.assertEqual(lines, 0)

    def test_unread_body_is_not_stored(self) -> None:
        decoder = StrictReceiver(Sender.SERVER)
        decoder.read(b"DANCE\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
        self.assertEqual((decoder._parser._parts, decoder.unfinished), ([], "body"))

    def test_a_body_in_drops_takes_little_more_than_its_size(self) -> None:
        decoder = StrictReceiver(Sender.PEER)
        decoder.read(b"MSG\r\nID: 1\r\nDate: 2026-11-21T05:00:00Z\r\nContent-Length: 65536\r\n\r\n")
        for _ in range(32_767):
            decoder.read(b"xy")
        self.assertLess(sum(map(sys.getsizeof, decoder._parser._parts)), 65536 + 2 * SMALL_PART)
        (message,) = decoder.read(b"xy")
        assert isinstance(message, bcp2_peer.Msg)
        self.assertEqual(message.text, "xy" * 32_768)

    def test_large_chunk_is_not_copied(self) -> None:
        """Keep large pieces as they came: nothing is copied until the body is complete."""
        decoder = StrictReceiver(Sender.PEER)
        decoder.read(b"MSG\r\nID: 1\r\nDate: 2026-11-21T05:00:00Z\r\nContent-Length: 65536\r\n\r\n")
        pieces = [bytes([letter]) * 16384 for letter in b"abc"]
        for piece in pieces:
            decoder.read(piece)
        self.assertTrue(
            all(kept is piece for kept, piece in zip(decoder._parser._parts, pieces, strict=True))
        )


class AloneTests(SynchronousTestCase):
    def test_one_message_is_read_and_nothing_else(self) -> None:
        ping = encode(bcp2_common.Ping(1))
        self.assertEqual(decode_one(Sender.CLIENT, ping), bcp2_common.Ping(1))
        for data in (b"", ping[:-1], ping + b"\r", ping + ping, b"DANCE\r\n\r\n"):
            self.assertRaises(ValueError, decode_one, Sender.CLIENT, data)

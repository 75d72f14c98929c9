"""Tests of BCP/2 on the wire: every message, any split, every limit."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire import bcp2, bcp2_common, bcp2_peer
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import Contact
from chatproto.wire.limits import DEFAULTS
from chatproto.wire.messages import Sender
from chatproto.wire.strict import SAYS, StrictDecoder, encode, shown

KEY = "sha256:" + "A2" * 26
V6 = ("2001:db8::1", 5556)
DATE = "2026-11-21T05:00:00.123Z"
MESSAGES: dict[Sender, list[Bcp2Message]] = {
    Sender.CLIENT: [
        bcp2.Register(1, "alice", 5556),
        bcp2.Register(2, "alice", 5556, (("10.0.0.1", 5556), V6), 0, False, (KEY, KEY)),
        bcp2.Bridge(3),
        bcp2.Bridge(4, "bob"),
        bcp2.Info(5),
        bcp2.Info(6, "a", "alice", 10),
        bcp2.Watch(7, "bob"),
        bcp2.Unwatch(8, "bob"),
        bcp2_common.Ping(9),
        bcp2_common.PingAck(),
    ],
    Sender.SERVER: [
        bcp2.RegAck(1, "alice", 3600, V6),
        bcp2.BridgeAck(2),
        bcp2.BridgeAck(
            3, "bob", KEY, (("10.0.0.1", 1),), "call7", "TICKET", ("relay.example", 5555)
        ),
        bcp2.InfoAck(4),
        bcp2.InfoAck(5, (Contact("bob", "10.0.0.1", 1, KEY), Contact("al", "::1", 2)), "bob"),
        bcp2.WatchAck(6, "bob"),
        bcp2.UnwatchAck(7, "bob"),
        bcp2_common.Ping(),
        bcp2_common.PingAck(8),
        bcp2_common.Error(404),
        bcp2_common.Error(429, 9, retry_after=5),
        bcp2.Introduce("alice", KEY, (("10.0.0.1", 1),), "call7"),
        bcp2.Presence("bob", "online"),
        bcp2.Closing(3),
        bcp2.Replaced(),
    ],
    Sender.PEER: [
        bcp2_peer.Chat("alice", "full", "0123456789abcdef"),
        bcp2_peer.ChatAck("bob", "half", "0123456789abcdef", ("fedcba9876543210", 77)),
        bcp2_peer.Msg(1, DATE, "grüße\r\n\r\nMSG\r\n"),
        bcp2_peer.Msg(2, DATE, ""),
        bcp2_peer.MsgAck(2),
        bcp2_peer.Turn(3),
        bcp2_peer.Mode(4, "half"),
        bcp2_peer.Quit(),
        bcp2_peer.Quit("späti"),
        bcp2_common.Ping(),
        bcp2_common.PingAck(),
        bcp2_common.Error(603, about="CHAT", id=5),
    ],
}


def decode(sender: Sender, data: bytes) -> list[Bcp2Message | RemoteError]:
    return StrictDecoder(sender).feed(data)


class MessageTests(SynchronousTestCase):
    def test_every_message_there_is_comes_back_as_it_was(self) -> None:
        for sender, messages in MESSAGES.items():
            self.assertEqual({type(message) for message in messages}, set(SAYS[sender]))
            for message in messages:
                self.assertEqual(decode(sender, encode(message)), [message])

    @given(st.sampled_from(list(Sender)), st.data())
    def test_any_split_gives_the_same_messages(self, sender: Sender, data: st.DataObject) -> None:
        messages = data.draw(st.lists(st.sampled_from(MESSAGES[sender]), max_size=6))
        whole = b"".join(map(encode, messages))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
        decoder = StrictDecoder(sender)
        found: list[Bcp2Message | RemoteError] = []
        for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            found += decoder.feed(whole[start:stop])
        self.assertEqual(found, messages)
        self.assertEqual(decoder.waiting, "")

    @given(st.text())
    def test_no_text_breaks_a_message(self, text: str) -> None:
        message = bcp2_peer.Msg(1, DATE, text)
        try:
            data = encode(message)
        except LocalError:
            self.assertRaises(UnicodeEncodeError, text.encode)
            return
        self.assertEqual(decode(Sender.PEER, data), [message])

    def test_encode_refuses_what_would_be_misread(self) -> None:
        for reason in ("a\r\nb", "a\nb", "\0", "\x85", " a", "a\t"):
            self.assertRaises(LocalError, encode, bcp2_peer.Quit(reason))

    def test_a_trace_shows_no_ticket_and_no_text(self) -> None:
        line = shown(bcp2.BridgeAck(3, "bob", KEY, (), "call7", "SECRET"))
        self.assertIn("Ticket: …", line)
        self.assertNotIn("SECRET", line)
        self.assertNotIn("hello", shown(bcp2_peer.Msg(1, DATE, "hello")))


class ReadingTests(SynchronousTestCase):
    def statuses(self, data: bytes, sender: Sender = Sender.CLIENT) -> list[int | str]:
        return [
            one.status if isinstance(one, RemoteError) else one.method
            for one in decode(sender, data)
        ]

    def test_headers_are_read_without_regard_to_case_and_unknown_ones_ignored(self) -> None:
        data = b"WATCH\r\ncSEQ:7\r\nX-New: 1\r\nPEERID: \t bob \r\n\r\n"
        self.assertEqual(decode(Sender.CLIENT, data), [bcp2.Watch(7, "bob")])

    def test_what_is_wrong_is_answered_by_its_number_and_the_next_is_read(self) -> None:
        data = b"WATCH\r\nCSeq: 7\r\n\r\nDANCE\r\nCSeq: 8\r\nContent-Length: 3\r\n\r\nabc"
        wrong = decode(Sender.CLIENT, data + encode(bcp2_common.Ping(9)))
        first, second, third = wrong
        assert isinstance(first, RemoteError) and isinstance(second, RemoteError)
        self.assertEqual((first.status, first.cseq), (400, 7))
        self.assertEqual((second.status, second.cseq), (405, 8))
        self.assertEqual(third, bcp2_common.Ping(9))

    def test_each_sender_has_methods_of_its_own(self) -> None:
        self.assertEqual(self.statuses(encode(bcp2_peer.Quit())), [405])
        self.assertEqual(self.statuses(encode(bcp2.Replaced()), Sender.PEER), [405])

    def test_line_ends_are_strict_and_end_it(self) -> None:
        for data in (b"PING\nCSeq: 1\r\n\r\n", b"PI\rNG\r\n\r\n", b"\r\n\r\n", b"PING\r\nA: \0\r\n\r\n",
                     b"PING\r\nCSeq 1\r\n\r\n", b"PING\r\nCSeq: 1\r\nCSeq: 1\r\n\r\n"):  # fmt: skip
            decoder = StrictDecoder(Sender.CLIENT)
            (error,) = decoder.feed(data)
            self.assertIsInstance(error, RemoteError)
            self.assertTrue(decoder.closed)
            self.assertEqual(decoder.feed(encode(bcp2_common.Ping(1))), [])

    def test_a_message_that_lacks_its_body_is_malformed(self) -> None:
        data = b"MSG\r\nID: 1\r\nDate: 2026-11-21T05:00:00Z\r\n\r\n"
        self.assertEqual(self.statuses(data, Sender.PEER), [400])

    def test_values_are_read_strictly(self) -> None:
        for data in (
            b"REGISTER\r\nCSeq: 1\r\nclientID: alice\r\nPort: 5556\r\nAddresses: example.com:1\r\n\r\n",
            b"REGISTER\r\nCSeq: 1\r\nclientID: alice\r\nPort: 5556\r\nAddresses: "
            + b", ".join([b"10.0.0.1:1"] * 9)
            + b"\r\n\r\n",
            b"REGISTER\r\nCSeq: 1\r\nclientID: alice\r\nPort: 5556\r\nListed: maybe\r\n\r\n",
            b"REGISTER\r\nCSeq: 1\r\nclientID: alice\r\nPort: 5556\r\nAllow: sha256:x\r\n\r\n",
            b"REGISTER\r\nCSeq: -1\r\nclientID: alice\r\nPort: 5556\r\n\r\n",
        ):
            self.assertEqual(self.statuses(data), [400])


class LimitTests(SynchronousTestCase):
    limits = replace(DEFAULTS, line=40, headers=4, header_block=100, message=10, body_to_server=10)

    def refused(self, data: bytes, sender: Sender = Sender.CLIENT) -> None:
        decoder = StrictDecoder(sender, self.limits)
        (error,) = decoder.feed(data)
        assert isinstance(error, RemoteError)
        self.assertEqual(error.status, 413)
        self.assertTrue(decoder.closed)

    def test_a_line_too_long(self) -> None:
        self.refused(b"PING\r\nA: " + b"x" * 38)
        self.refused(b"PING\r\nA: " + b"x" * 38 + b"\r\n\r\n")

    def test_too_many_headers(self) -> None:
        self.refused(b"PING\r\n" + b"".join(b"A%d: 1\r\n" % n for n in range(5)) + b"\r\n")

    def test_a_block_too_large(self) -> None:
        self.refused(
            b"PING\r\n" + b"A: " + b"x" * 30 + b"\r\nB: " + b"x" * 30 + b"\r\nC: " + b"x" * 28
        )

    def test_a_body_too_large_is_refused_before_it_comes(self) -> None:
        self.refused(b"PING\r\nContent-Length: 11\r\n\r\n")
        self.refused(b"MSG\r\nContent-Length: 99999999\r\n\r\n", Sender.PEER)

    @given(st.lists(st.binary(max_size=80) | st.sampled_from(
        [b"PING\r\n", b"\r\n", b"CSeq: 1\r\n", b"Content-Length: 9\r\n"]), max_size=20))  # fmt: skip
    def test_nothing_raises_or_is_kept_past_a_limit(self, parts: list[bytes]) -> None:
        decoder = StrictDecoder(Sender.CLIENT, self.limits)
        for part in parts:
            decoder.feed(part)
            kept = len(decoder._rest) + sum(map(len, decoder._parts))
            self.assertLessEqual(kept, self.limits.header_block)

"""Bytes to messages: in all freedom, within all limits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.classic import (
    ClassicBridge,
    ClassicBridgeAck,
    ClassicChat,
    ClassicError,
    ClassicInfo,
    ClassicInfoAck,
    ClassicProbe,
    ClassicQuit,
    ClassicRegAck,
    ClassicRegister,
    Message,
    ProbeAck,
    QuitAck,
    Sender,
    UnregAck,
    Unregister,
)
from chatproto.wire.codec import encode
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact
from chatproto.wire.statuses import STATUS_WORDS
from tests.limits import Limits
from tests.wire.classic_lines import classic_receiver

REGISTER = b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
ALICE = ClassicRegister("alice", "127.0.0.1", 3000)

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
ips = st.ip_addresses().map(str)
ports = st.integers(1, 65535)
requests = st.one_of(
    st.builds(ClassicRegister, ids, ips, ports),
    st.builds(ClassicBridge, ids),
    st.builds(Unregister, ids),
    st.builds(ClassicQuit, st.one_of(st.just(""), ids)),
    st.sampled_from([ClassicInfo(), ClassicProbe()]),
)
answers = st.one_of(
    st.builds(ClassicRegAck, ids, ips, ports, st.just("registered")),
    st.builds(ClassicBridgeAck, ids, ips, ports),
    st.builds(ClassicInfoAck, st.lists(st.builds(Contact, ids, ips, ports), max_size=9).map(tuple)),
    st.builds(ClassicError, st.sampled_from(sorted(STATUS_WORDS))),
    st.sampled_from([ClassicBridgeAck(), ProbeAck(), UnregAck(), QuitAck()]),
)
calls = st.one_of(st.builds(ClassicChat, ids, ips, ports), st.just(ClassicQuit()))
pieces = st.one_of(
    requests.map(encode),
    st.sampled_from(
        [
            b"",
            b"\r\n",
            b"\n",
            b"\r",
            b"REGISTER\n",
            b"BRIDGE\r\nclientID:a\r\n",
            b"IP: 1.2.3.4\n",
            b"Port:  70000\r\n",
            b"Port: 61000\r\n",
            b"clientid:   bob \t\r\n",
            b"no colon\n",
            b"x" * 50,
            b"GET / HTTP/1.1\r\n",
            b"LOG\r\n\r\n",
            "ä: ö\r\n".encode(),
            b"\xff\n",
            b"\0",
            b"  \r\n",
            b"\t",
            b"IP: 1.2.3.4\r\r\n",
        ]
    ),
    st.binary(max_size=20),
)
streams = st.lists(pieces, max_size=12).map(b"".join)
SMALL = Limits(line=100, headers=5, header_block=250)


def told(found: Sequence[Message | RemoteError | None]) -> list[object]:
    """Return the messages in a comparable form."""
    return [
        one.status if isinstance(one, RemoteError) else (type(one).__name__, one) for one in found
    ]


def read(data: bytes, limits: Limits = SMALL, sender: Sender = Sender.CLIENT) -> list[object]:
    return told(classic_receiver(limits, sender).read(data))


class AMessage(SynchronousTestCase):
    @given(requests)
    def test_of_a_client_survives_the_way(self, message: Message) -> None:
        self.assertEqual(read(encode(message)), told([message]))

    @given(answers)
    def test_of_a_server_survives_the_way(self, message: Message) -> None:
        self.assertEqual(read(encode(message), Limits(), Sender.SERVER), told([message]))

    @given(calls)
    def test_of_a_peer_survives_the_way(self, message: Message) -> None:
        self.assertEqual(read(encode(message), sender=Sender.PEER), told([message]))


class AStream(SynchronousTestCase):
    @given(streams, st.lists(st.integers(0, 400), max_size=8))
    def test_says_the_same_however_it_is_cut(self, data: bytes, cuts: list[int]) -> None:
        decoder = classic_receiver(SMALL)
        found: list[Message | RemoteError] = []
        places = [0, *sorted(cuts), len(data)]
        for start, end in pairwise(places):
            found += decoder.read(data[start:end])
        whole = classic_receiver(SMALL)
        self.assertEqual(told(found), told(whole.read(data)))
        self.assertEqual(told(decoder.finish()), told(whole.finish()))
        self.assertEqual(decoder.unreadable, whole.unreadable)

    @given(streams)
    def test_says_the_same_byte_by_byte(self, data: bytes) -> None:
        decoder = classic_receiver(SMALL)
        found = [one for byte in data for one in decoder.read(bytes([byte]))]
        self.assertEqual(told(found), read(data))

    @given(streams)
    def test_says_the_same_on_the_plain_way(self, data: bytes) -> None:
        decoder = classic_receiver(SMALL)
        decoder._quick = False
        self.assertEqual(told(decoder.read(data)), read(data))

    @given(streams, st.sampled_from(list(Sender)))
    def test_raises_nothing_and_keeps_nothing_past_a_limit(
        self, data: bytes, sender: Sender
    ) -> None:
        decoder = classic_receiver(SMALL, sender)
        for start in range(0, len(data), 7):
            decoder.read(data[start : start + 7])
            self.assertLessEqual(len(decoder._buffer), SMALL.line + 2)
            self.assertLessEqual(len(decoder._parser._block.lines), 1 + SMALL.headers)
            kept = sum(map(len, decoder._parser._block.lines)) + len(decoder._buffer)
            self.assertLessEqual(kept, SMALL.header_block + 2)
        decoder.finish()
        self.assertEqual(decoder.pending, 0)


class ARequest(SynchronousTestCase):
    def test_may_have_bare_line_feeds(self) -> None:
        self.assertEqual(read(REGISTER.replace(b"\r\n", b"\n")), told([ALICE]))

    def test_may_have_line_ends_that_windows_has_made_longer(self) -> None:
        self.assertEqual(read(REGISTER.replace(b"\r\n", b"\r\r\n")), told([ALICE]))

    def test_may_be_indented_like_a_text_in_a_program(self) -> None:
        indented = b"\r\n    " + REGISTER.replace(b"\r\n", b"\r\n    ")
        decoder = classic_receiver()
        self.assertEqual(told(decoder.read(indented)), told([ALICE]))
        self.assertEqual(decoder.pending, 0)
        self.assertEqual(decoder.finish(), [])

    def test_may_have_no_or_many_blanks_after_a_colon(self) -> None:
        for blanks in (b"", b"   ", b"\t "):
            self.assertEqual(read(REGISTER.replace(b": ", b":" + blanks)), told([ALICE]))

    def test_may_have_its_headers_in_any_order_and_case(self) -> None:
        data = b"REGISTER\r\nport: 3000\r\nIp: 127.0.0.1\r\nCLIENTID: alice\r\n\r\n"
        self.assertEqual(read(data), told([ALICE]))

    def test_may_have_unknown_headers(self) -> None:
        self.assertEqual(read(b"PROBE\r\nMood: fine\r\n\r\n"), told([ClassicProbe()]))

    def test_may_stand_behind_stray_line_ends(self) -> None:
        self.assertEqual(read(b"\r\n\n\r\n" + REGISTER), told([ALICE]))

    def test_may_stand_among_many_in_a_chunk(self) -> None:
        data = REGISTER * 3 + b"BRIDGE\nclientID: bob\n\n" + REGISTER
        self.assertEqual(read(data), told([ALICE] * 3 + [ClassicBridge("bob"), ALICE]))

    def test_for_information_may_have_a_line_without_a_colon(self) -> None:
        self.assertEqual(read(b"INFO\r\nRequesting clients\r\n\r\n"), told([ClassicInfo()]))

    def test_is_read_alike_the_second_time(self) -> None:
        for _ in range(20):
            self.assertEqual(read(REGISTER), told([ALICE]))


class WhatIsWrong(SynchronousTestCase):
    def test_in_a_block_is_400_and_the_next_is_read(self) -> None:
        for bad in (
            REGISTER.replace(b"3000", b"0"),
            REGISTER.replace(b"3000", b"65536"),
            REGISTER.replace(b"3000", b"three"),
            REGISTER.replace(b"alice", b"a b"),
            REGISTER.replace(b"alice", b"a" * 65),
            REGISTER.replace(b"alice", b"a\tb"),
            REGISTER.replace(b"alice", "älice".encode()),
            REGISTER.replace(b"alice", "a\x85".encode()),
            REGISTER.replace(b"alice", b"\xff"),
            REGISTER.replace(b"127.0.0.1", b"256.0.0.1"),
            REGISTER.replace(b"IP", b"clientID"),
            REGISTER.replace(b"IP: ", b""),
            b"REGISTER\r\nclientID: alice\r\n\r\n",
            b"BRIDGE\r\n\r\n",
        ):
            self.assertEqual(read(bad + REGISTER), [400, *told([ALICE])], bad)

    def test_with_a_method_is_405_and_the_next_is_read(self) -> None:
        for bad in (b"LOG\r\n\r\n", b"CHAT\r\nclientID: x\r\n\r\n", b"register\n\n", b"REGACK\n\n"):
            self.assertEqual(read(bad + REGISTER), [405, *told([ALICE])])

    def test_as_http_is_405_and_the_end(self) -> None:
        decoder = classic_receiver()
        self.assertEqual(
            told(decoder.read(REGISTER + b"GET / HTTP/1.1\r\n")), [*told([ALICE]), 405]
        )
        self.assertTrue(decoder.unreadable)
        self.assertEqual(decoder.read(REGISTER), [])

    def test_as_binary_is_400_and_the_end(self) -> None:
        for bad in (b"\0\n", b"a\rb\n", b"\x1b[2J\n", b"\x7f\n", b"REGISTER\r\nIP: \x01\r\n"):
            decoder = classic_receiver()
            self.assertEqual(told(decoder.read(bad + b"\r\n" + REGISTER)), [400])
            self.assertTrue(decoder.unreadable)

    def test_is_refused_before_its_line_ends(self) -> None:
        for bad in (REGISTER.replace(b"\r\n", b"\r"), REGISTER[:-6] + b"\x1b[A", b"\x80.\x01"):
            decoder = classic_receiver()
            self.assertEqual(told(decoder.read(bad)), [400])
            self.assertTrue(decoder.unreadable)


class Padding(SynchronousTestCase):
    """Programs in C send their whole buffer."""

    def test_behind_a_request_is_nothing(self) -> None:
        decoder = classic_receiver()
        for _ in range(2):
            self.assertEqual(told(decoder.read(REGISTER.ljust(4096, b"\0"))), told([ALICE]))
            self.assertEqual(decoder.pending, 0)

    def test_of_old_buffer_contents_is_ignored(self) -> None:
        for stale in (b"P: 127.0.0.1\r\nPort: 3000\r\n\r\n", b"ort: 3000"):
            decoder = classic_receiver()
            padded = (REGISTER + b"\0" + stale).ljust(1024, b"\0")
            for parts in ([padded], [padded[n : n + 1] for n in range(1024)]):
                found = [one for part in parts for one in decoder.read(part)]
                self.assertEqual(told(found), told([ALICE]))
            self.assertFalse(decoder.unreadable)

    def test_without_a_final_nul_hides_no_request(self) -> None:
        for rest in (b"Z" * 90, b"Z" * 4000, b"\xfe\x01\0x\ny", b"\n\0UN"):
            decoder = classic_receiver()
            for message, data in ((ALICE, REGISTER), (ClassicProbe(), b"PROBE\n\n")):
                self.assertEqual(told(decoder.read(data + b"\0" + rest)), told([message]), rest)
                self.assertEqual(decoder.pending, 0)
            self.assertFalse(decoder.unreadable)

    @given(
        st.lists(
            st.sampled_from(
                [REGISTER, b"INFO\r\n\r\n", b"\0", b"\0\0", b"\r", b"\n", b"a", b"INFO"]
            )
        ),
        st.data(),
    )
    def test_is_read_alike_however_it_is_cut(self, parts: list[bytes], data: st.DataObject) -> None:
        stream = b"".join(parts)
        whole = classic_receiver()
        once = told([*whole.read(stream), *whole.finish()])
        cut, found, at = classic_receiver(), list[Message | RemoteError | None](), 0
        while at < len(stream):
            step = data.draw(st.integers(1, 7))
            found += cut.read(stream[at : at + step])
            at += step
        self.assertEqual(told([*found, *cut.finish()]), once)

    def test_inside_a_line_is_refused(self) -> None:
        decoder = classic_receiver()
        self.assertEqual(told(decoder.read(b"REGISTER\r\nclientID: a\0b\r\n")), [400])


class ALimit(SynchronousTestCase):
    def end(self, data: bytes, limits: Limits) -> None:
        decoder = classic_receiver(limits)
        self.assertEqual(told(decoder.read(data)), [413])
        self.assertTrue(decoder.unreadable)
        self.assertEqual(decoder.pending, 0)
        self.assertEqual(decoder.read(REGISTER), [])

    def test_of_a_line_is_kept_to_the_byte(self) -> None:
        limits = Limits(line=20)
        self.assertEqual(
            read(b"PROBE\r\nX: " + b"x" * 17 + b"\r\n\r\n", limits), told([ClassicProbe()])
        )
        self.end(b"PROBE\r\nX: " + b"x" * 18 + b"\r\n\r\n", limits)

    def test_of_a_line_holds_for_one_that_does_not_end(self) -> None:
        self.end(b"x" * 1025, Limits())

    def test_of_headers_is_kept(self) -> None:
        self.assertEqual(read(b"PROBE\n" + b"a:b\n" * 32 + b"\n", Limits()), told([ClassicProbe()]))
        self.end(b"PROBE\n" + b"a:b\n" * 33, Limits())

    def test_of_a_block_is_kept(self) -> None:
        line = b"a:" + b"b" * 996 + b"\r\n"
        self.assertEqual(read(b"PROBE\r\n" + line * 8 + b"\r\n", Limits()), told([ClassicProbe()]))
        self.end(b"PROBE\r\n" + line * 9, Limits())

    def test_below_a_usual_request_holds_for_it_too(self) -> None:
        self.end(REGISTER, Limits(headers=2))
        self.end(REGISTER, Limits(line=10))
        self.end(REGISTER, Limits(header_block=20))


class ARequestWithoutItsBlankLine(SynchronousTestCase):
    def test_is_whole_with_all_its_headers(self) -> None:
        for data, message in (
            (REGISTER[:-2], ALICE),
            (b"BRIDGE\nclientID: alice\n", ClassicBridge("alice")),
        ):
            decoder = classic_receiver()
            self.assertEqual(decoder.read(data), [])
            self.assertTrue(decoder.unfinished)
            self.assertEqual(told(decoder.finish()), told([message]))
            self.assertEqual(decoder.pending, 0)
            self.assertEqual(told(decoder.read(b"\r\n" + REGISTER)), told([ALICE]))

    def test_is_whole_before_blanks_and_padding(self) -> None:
        for behind in (b"    ", b"\t", b"\r", b"\0" * 900, b"\0ort: 3000\0\0"):
            decoder = classic_receiver()
            self.assertEqual(decoder.read(REGISTER[:-2] + behind), [])
            self.assertTrue(decoder.unfinished, behind)
            self.assertEqual(told(decoder.finish()), told([ALICE]))
            self.assertEqual(decoder.pending, 0)

    def test_is_whole_behind_a_byte_order_mark(self) -> None:
        decoder = classic_receiver()
        self.assertEqual(decoder.read(b"\xef\xbb\xbf" + REGISTER[:-2]), [])
        self.assertTrue(decoder.unfinished)
        self.assertEqual(told(decoder.read(b"\r\n")), told([ALICE]))

    def test_is_not_whole_otherwise(self) -> None:
        for data in (
            REGISTER[:-4],  # the last line lacks its end
            b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\n",
            b"BRIDGE\r\n",
            b"PROBE\r\n",
            b"INFO\r\nRequesting clients\r\n",
            b"UNREGISTER\r\nclientID: alice\r\n",
        ):
            decoder = classic_receiver()
            self.assertEqual(decoder.read(data), [])
            self.assertFalse(decoder.unfinished)
            self.assertEqual(told(decoder.finish()), [400])

    def test_is_none_between_blocks(self) -> None:
        decoder = classic_receiver()
        decoder.read(REGISTER + b"\r\n")
        self.assertEqual(decoder.finish(), [])

"""Each short cut of `wire/fast.py` does what the general way does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.connection import ClassicReceiver
from chatproto.wire import fast
from chatproto.wire.classic import ClassicRegAck, ClassicRegister, Message, Sender
from chatproto.wire.codec import encode, encode_text
from chatproto.wire.errors import RemoteError
from tests.limits import DEFAULTS
from tests.net.library_lines import cut_by_twisted
from tests.wire.test_codec import ids, ips, ports, streams, told


def by_the_parser(data: bytes) -> list[object]:
    return told(ClassicReceiver(DEFAULTS, Sender.CLIENT, quick=False).read(data))


class RequestTests(SynchronousTestCase):
    @given(streams)
    def test_requests_are_those_that_the_parser_reads(self, data: bytes) -> None:
        found: list[Message | RemoteError] = []
        taken = fast.take_requests(data, found)
        self.assertEqual(told(found), by_the_parser(data[:taken]))
        receiver = ClassicReceiver(DEFAULTS, Sender.CLIENT, quick=True)
        self.assertEqual(told(receiver.read(data)), by_the_parser(data))

    def test_canonical_request_is_taken(self) -> None:
        for request in (
            b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n",
            b"BRIDGE\r\nclientID: alice\r\n\r\n",
        ):
            found: list[Message | RemoteError] = []
            self.assertEqual(fast.take_requests(request * 2, found), 2 * len(request))
            self.assertEqual(told(found), by_the_parser(request * 2))
            self.assertEqual(fast.take_requests(request[:-1], []), 0)

    @given(streams)
    def test_a_registration_is_the_one_that_the_parser_reads(self, data: bytes) -> None:
        taken = fast.take_registration(data)
        if taken is not None:
            self.assertEqual(told([taken]), by_the_parser(data))

    def test_only_a_whole_registration_is_taken(self) -> None:
        request = b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
        expected = ClassicRegister("alice", "127.0.0.1", 3000)
        self.assertEqual(fast.take_registration(request), expected)
        for other in (request[:-1], request * 2, b"\r\n" + request, request + b"\r\n"):
            self.assertIsNone(fast.take_registration(other))

    @given(st.builds(ClassicRegister, ids, ips, ports))
    def test_confirmation_is_the_answer_that_the_writer_writes(
        self, message: ClassicRegister
    ) -> None:
        answer = encode_text(ClassicRegAck(*message, "registered"))
        self.assertEqual(fast.write_confirmation(message), answer)
        request = encode(message)
        if fast.take_registration(request) is not None:
            self.assertEqual(fast.confirm_registration(request), answer.encode())


class LibraryTests(SynchronousTestCase):
    """The same messages where Twisted cuts the lines, byte by byte."""

    @given(streams)
    def test_messages_are_those_of_the_library(self, data: bytes) -> None:
        expected = by_the_parser(data)
        restore = cut_by_twisted(self)
        try:
            self.assertEqual(by_the_parser(data), expected)
        finally:
            restore()

"""The blocks in plain text that a connection of BCP/2 may begin with."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.bcp2_common import TOKEN
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.plain_blocks import (
    FROM_RELAY,
    MOST,
    TO_PEER,
    TO_SERVER,
    Punch,
    Relay,
    RelayAck,
    RelayError,
    may_begin,
    read_first,
)
from chatproto.wire.strict import encode

TOKENS = st.from_regex(TOKEN, fullmatch=True)
MESSAGES = st.one_of(
    TOKENS.map(Punch), TOKENS.map(Relay), st.just(RelayAck()), st.sampled_from((400, 403, 480))
).map(lambda one: RelayError(one) if isinstance(one, int) else one)
EACH: tuple[type[Any], ...] = (*TO_PEER, *TO_SERVER, *FROM_RELAY)


class PlainBlockTests(SynchronousTestCase):
    def test_are_written_so(self) -> None:
        for message, data in (
            (Punch("ab12"), b"PUNCH\r\nCall: ab12\r\n\r\n"),
            (Relay("AB23"), b"RELAY\r\nTicket: AB23\r\n\r\n"),
            (RelayAck(), b"RELAYACK\r\n\r\n"),
            (RelayError(403), b"ERROR\r\nStatus: 403 refused\r\n\r\n"),
        ):
            self.assertEqual(encode(message), data)

    def test_invalid_values_are_not_written(self) -> None:
        for value in ("", "a b", "a\r\nb", "é", "a" * 65):
            self.assertRaises(LocalError, encode, Punch(value))

    @given(MESSAGES, st.binary(max_size=2 * MOST), st.integers(0, 400))
    def test_are_read_as_they_were_written_however_they_were_cut(
        self, message: Any, rest: bytes, cut: int
    ) -> None:
        data = encode(message)
        self.assertEqual(read_first(data + rest, EACH), (message, rest))
        part = data[: min(cut, len(data) - 1)]
        self.assertTrue(may_begin(part, EACH))
        self.assertIsNone(read_first(part, EACH))

    @given(st.binary(max_size=40))
    def test_other_input_is_recognised_without_errors(self, data: bytes) -> None:
        for kind in (TO_PEER, TO_SERVER):
            start = kind[0].method.encode() + b"\r\n"
            expected = data[: len(start)] == start[: len(data)]
            self.assertEqual(may_begin(data, kind), expected)
            try:
                read_first(data, kind)
            except RemoteError as error:
                self.assertIn(error.status, (400, 405, 413))

    def test_nothing_else_is_taken(self) -> None:
        for data, status in (
            (b"REGISTER\r\n\r\n", 405),
            (b"RELAY\n\n", 405),
            (b"relay\r\nTicket: A\r\n\r\n", 405),
            (b"RELAYACK\r\n\r\n", 405),
            (b"RELAY\r\n\r\n", 400),
            (b"RELAY\r\nTicket A\r\n\r\n", 400),
            (b"RELAY\r\nTicket: A\r\nTICKET: B\r\n\r\n", 400),
            (b"RELAY\r\nTicket: A\nx: y\r\n\r\n", 400),
            (b"RELAY\r\nTicket: \xff\r\n\r\n", 400),
            (b"RELAY\r\nTicket: " + b"A" * 65 + b"\r\n\r\n", 400),
            (b"RELAY\r\nTicket: " + b"A" * MOST, 413),
        ):
            error = self.assertRaises(RemoteError, read_first, data, TO_SERVER)
            self.assertEqual(error.status, status, data)

    def test_unknown_headers_are_ignored(self) -> None:
        found = read_first(b"RELAY\r\nX: y\r\nticket:A\r\n\r\n", TO_SERVER)
        self.assertEqual(found, (Relay("A"), b""))

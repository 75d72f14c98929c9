"""`TextConnection` calls the same methods as Twisted's `LineReceiver`, however the input is cut."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import TextConnection

MAX_LENGTH = 8
BYTES = st.lists(st.sampled_from([b"a", b"b", b"raw3", b"pause", b"close", b"\r", b"\n", b"\r\n"]))


class Recorded(TextConnection):
    """Record the calls; some lines switch to raw data, pause reading or close the connection."""

    MAX_LENGTH = MAX_LENGTH

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.raw_left = 0

    def lineReceived(self, line: bytes) -> None:
        self.calls.append(("line", line))
        if line == b"raw3":
            self.raw_left = 3
            self.setRawMode()
        elif line == b"pause":
            self.pauseProducing()
        elif line == b"close":
            self.transport.loseConnection()

    def rawDataReceived(self, data: bytes) -> None:
        taken = data[: self.raw_left]
        end = len(taken)
        self.raw_left -= end
        if self.calls[-1][0] == "raw":
            taken = self.calls.pop()[1] + taken
        self.calls.append(("raw", taken))
        if not self.raw_left:
            self.leaveRawMode(data, end)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.calls.append(("exceeded", b""))
        self.transport.loseConnection()


class ByTheLibrary(Recorded):
    """The same protocol, with its lines cut by Twisted."""

    delimiter = b"\n"
    dataReceived = LineReceiver.dataReceived
    clearLineBuffer = LineReceiver.clearLineBuffer

    def leaveRawMode(self, data: bytes, at: int) -> None:
        self.setLineMode(data[at:])

    def lineReceived(self, line: bytes) -> None:
        super().lineReceived(line.removesuffix(b"\r"))


def fed(kind: type[Recorded], chunks: list[bytes]) -> Recorded:
    """A connection that received `chunks`; a paused one goes on before the next chunk."""
    connection = kind()
    transport: Any = StringTransport()
    connection.makeConnection(transport)
    for chunk in chunks:
        if transport.disconnecting:
            break
        connection.dataReceived(chunk)
        while connection.paused:
            connection.resumeProducing()
    return connection


class TextConnectionTests(SynchronousTestCase):
    @given(BYTES)
    def test_calls_are_those_of_the_library_fed_byte_by_byte(self, parts: list[bytes]) -> None:
        data = b"".join(parts)
        expected = fed(ByTheLibrary, [bytes([byte]) for byte in data])
        self.assertEqual(expected.calls, fed(Recorded, [data]).calls)
        self.assertEqual(expected.calls, fed(Recorded, parts).calls)
        bytewise = fed(Recorded, [bytes([byte]) for byte in data])
        self.assertEqual(expected.calls, bytewise.calls)
        self.assertEqual(expected.clearLineBuffer(), bytewise.clearLineBuffer())

    def test_rest_of_the_chunk_can_be_taken_within_a_line(self) -> None:
        class Upgraded(Recorded):
            def lineReceived(self, line: bytes) -> None:
                self.calls.append(("rest", self.clearLineBuffer()))

        self.assertEqual([("rest", b"b\nc")], fed(Upgraded, [b"a\nb\nc"]).calls)

    def test_unfinished_line_can_be_cut_by_the_subclass(self) -> None:
        class Trimmed(Recorded):
            def unfinishedLine(self, rest: bytes) -> bytes:
                return rest.lstrip(b"\x00")

        connection = fed(Trimmed, [b"a\n\x00\x00", bytes(100), b"b\n"])
        self.assertEqual([("line", b"a"), ("line", b"b")], connection.calls)

    def test_other_delimiter_keeps_the_carriage_return(self) -> None:
        class Strict(Recorded):
            delimiter = b"\r\n"

        self.assertEqual(
            [("line", b"a\r"), ("line", b"\nb")], fed(Strict, [b"a\r\r\n\nb\r\n"]).calls
        )

    def test_many_lines_in_one_chunk_are_not_copied_for_each(self) -> None:
        connection = fed(Recorded, [b"a\n" * 200_000])
        self.assertEqual(200_000, len(connection.calls))

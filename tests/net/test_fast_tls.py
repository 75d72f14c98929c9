"""TLS that moves many records at a time, and the plain library in its place: the same bytes in order."""

from __future__ import annotations

from unittest import skipIf

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
from chatproto.net import fast_tls
from chatproto.net.fast_tls import BLOCK, RECORD
from tests.fresh_python import fresh_python
from tests.identity.ends import End, Stranger, Talk, meet

OURS, THEIRS = Tls(new_identity()), Tls(new_identity())
STRANGER = new_identity()


class Counting(Talk):
    """Counts how often it is told of something."""

    times = 0

    def dataReceived(self, data: bytes) -> None:
        self.times += 1
        super().dataReceived(data)


def counting(end: End) -> Counting:
    """Count the reads of `end` from now on."""
    talk = end.tls.wrappedProtocol = Counting()
    talk.handshake = end.talk.handshake
    end.talk = talk
    return talk


class TlsCase(SynchronousTestCase):
    """Two ends that have met."""

    def exchange_in_pieces(self, sizes: list[int], cut) -> None:  # type: ignore[no-untyped-def]
        """Carry bytes between a stranger and our end, cut anywhere, and compare them."""
        stranger, end = Stranger.of(True, STRANGER), End(OURS, False)
        stranger.meet(end)
        said = b"".join(bytes([at % 251]) * size for at, size in enumerate(sizes))
        for at in range(0, len(said), 50_000):
            end.tls.write(said[at : at + 50_000])
        came = end.take()
        got = b""
        while came:
            size = cut.randint(1, len(came))
            stranger.connection.bio_write(came[:size])
            came = came[size:]
            try:
                while True:
                    got += stranger.read()
            except SSL.WantReadError:
                pass
        self.assertTrue(got == said)
        for at in range(0, len(said), RECORD):
            stranger.connection.send(said[at : at + RECORD])
        came = stranger.take()
        while came:
            size = cut.randint(1, len(came))
            end.give(came[:size])
            came = came[size:]
        self.assertTrue(end.talk.heard == said)

    def test_the_cheapest_cipher_is_used(self) -> None:
        one, _ = self.ends()
        self.assertEqual(one.tls._tlsConnection.get_cipher_name(), "TLS_AES_128_GCM_SHA256")

    def ends(self) -> tuple[End, End]:
        one, other = End(OURS, True), End(THEIRS, False)
        meet(one, other)
        self.assertTrue(one.talk.accepted and other.talk.accepted)
        return one, other


SIZES = st.lists(st.integers(1, 3 * RECORD), max_size=8)
CUTS = st.randoms(use_true_random=False)


class BothWaysTests(TlsCase):
    """Facts that hold for the fast TLS and, in `PlainTests`, for the plain library."""

    def test_data_written_before_the_handshake_waits_for_it(self) -> None:
        one, other = End(OURS, True), End(THEIRS, False)
        said = b"x" * (2 * BLOCK + 1)
        one.tls.write(said)
        meet(one, other)
        self.assertTrue(other.talk.heard == said)

    def test_a_sequence_written_before_the_handshake_waits_for_it(self) -> None:
        one, other = End(OURS, True), End(THEIRS, False)
        view = memoryview(bytearray(b"head, body"))
        one.tls.writeSequence([view[:5], view[5:]])
        view[:] = b"overwrites"
        meet(one, other)
        self.assertEqual(other.talk.heard, b"head, body")

    def test_a_sequence_is_dropped_after_the_end(self) -> None:
        one, other = self.ends()
        one.tls.loseConnection()
        one.tls.writeSequence([b"too ", b"late"])
        self.assertFalse(one.wire.disconnecting)  # their farewell is still to come
        other.give(one.take())
        self.assertEqual(other.talk.heard, b"")
        one.end()
        one.take()
        one.tls.writeSequence([b"too ", b"late"])
        self.assertEqual(one.take(), b"")

    def test_data_before_the_end_is_received_first(self) -> None:
        one, other = self.ends()
        one.tls.write(b"x" * 3 * RECORD)
        one.tls.loseConnection()
        other.give(one.take())
        self.assertEqual(len(other.talk.heard), 3 * RECORD)
        self.assertTrue(other.wire.disconnecting)

    def test_a_broken_record_is_reported_after_the_data_before_it(self) -> None:
        one, other = self.ends()
        one.tls.write(b"x" * 2 * RECORD)
        wrote = bytearray(one.take())
        wrote[-1] ^= 1
        other.give(bytes(wrote))
        self.assertEqual(len(other.talk.heard), RECORD)
        self.assertTrue(other.wire.disconnecting)
        other.end()
        assert other.talk.lost is not None
        self.assertIsInstance(other.talk.lost.value, SSL.Error)

    def test_data_is_dropped_after_the_end(self) -> None:
        one, _ = self.ends()
        one.end()
        one.take()
        one.tls._write(b"too late")
        self.assertEqual(one.take(), b"")

    def test_a_sequence_arrives_behind_earlier_writes(self) -> None:
        one, other = self.ends()
        body = bytes(range(256)) * 256
        one.tls.write(b"small, so that Twisted lets it wait. ")
        one.tls.writeSequence([b"head ", memoryview(body)])
        one.tls.write(b" end")
        other.give(one.take())
        said = b"small, so that Twisted lets it wait. head " + body + b" end"
        self.assertTrue(other.talk.heard == said)

    def test_write_at_once_keeps_the_order_whatever_the_size(self) -> None:
        one, other = self.ends()
        write = fast_tls.write_at_once(one.tls, one.tls)
        parts = [b"one ", b"", b"x" * RECORD, b"y" * (RECORD + 1), b"z" * 100_000, b" end"]
        for part in parts:
            write(part)
        other.give(one.take())
        self.assertTrue(other.talk.heard == b"".join(parts))


class FastCutsTests(TlsCase):
    @settings(max_examples=40)
    @given(SIZES, CUTS)
    def test_every_byte_arrives_in_order_however_it_is_cut(self, sizes, cut) -> None:  # type: ignore[no-untyped-def]
        self.exchange_in_pieces(sizes, cut)


class PlainCutsTests(TlsCase):
    def setUp(self) -> None:
        self.patch(fast_tls, "WHY_PLAIN", "a test wants it")

    @settings(max_examples=20)
    @given(SIZES, CUTS)
    def test_every_byte_arrives_in_order_with_the_plain_library(self, sizes, cut) -> None:  # type: ignore[no-untyped-def]
        self.exchange_in_pieces(sizes, cut)


class PlainTests(BothWaysTests):
    """The same with the plain library."""

    def setUp(self) -> None:
        self.patch(fast_tls, "WHY_PLAIN", "a test wants it")

    def test_plain_layer_is_unchanged(self) -> None:
        one, _ = self.ends()
        self.assertIs(type(one.tls._tlsConnection), fast_tls.TlsEnd)
        self.assertEqual(one.tls._write.__func__, TLSMemoryBIOProtocol._write)


@skipIf(fast_tls.WHY_PLAIN, fast_tls.WHY_PLAIN)
class BlockTests(TlsCase):
    """The fast TLS takes fewer steps."""

    def test_records_that_came_together_are_received_together(self) -> None:
        one, other = self.ends()
        heard = counting(other)
        said = bytes(range(256)) * (BLOCK // 256)
        one.tls.write(said)
        other.give(one.take())
        self.assertEqual((heard.times, heard.heard == said), (1, True))
        one.tls.write(said + said)
        other.give(one.take())
        self.assertEqual((heard.times, heard.heard == said * 3), (3, True))

    def test_a_block_is_written_at_once_in_full_records(self) -> None:
        one, _ = self.ends()
        writes: list[bytes] = []
        one.tls.transport.write = writes.append
        one.tls.write(bytes(4 * RECORD + 60))
        (wrote,) = writes
        sizes = []
        while wrote:
            length = int.from_bytes(wrote[3:5], "big")
            sizes.append(length - 17)  # one byte of type, and 16 that prove it
            wrote = wrote[5 + length :]
        self.assertEqual(sizes, [RECORD] * 4 + [60])

    def test_recv_and_bio_read_return_all_there_is(self) -> None:
        one, other = self.ends()
        there, here = one.tls._tlsConnection, other.tls._tlsConnection
        for said in (b"first" * RECORD, b"second" * RECORD):
            there.send(said[:50_000])
            there.send(said[50_000:])
            here.bio_write(there.bio_read(1))
            self.assertTrue(here.recv(1) == said)

    def test_a_sequence_is_one_write_behind_earlier_writes(self) -> None:
        one, other = self.ends()
        writes: list[bytes] = []
        one.tls.transport.write = writes.append
        one.tls.write(b"small, so that Twisted lets it wait. ")
        body = bytes(range(256)) * 256
        one.tls.writeSequence([b"head ", memoryview(body)])
        self.assertEqual(len(writes), 2)
        one.tls.write(b" end")
        one.clock.advance(0)
        for written in writes:
            other.give(written)
        said = b"small, so that Twisted lets it wait. head " + body + b" end"
        self.assertTrue(other.talk.heard == said)

    def test_buffers_of_the_handshake_are_given_up(self) -> None:
        one, other = End(OURS, True), End(THEIRS, False)
        connections = [end.tls._tlsConnection for end in (one, other)]
        before = [(each._into_ssl, each._from_ssl) for each in connections]
        meet(one, other)
        for each, (came, leaves) in zip(connections, before, strict=True):
            self.assertNotEqual(each._into_ssl, came)
            self.assertNotEqual(each._from_ssl, leaves)
        one.tls.write(b"hello")
        other.give(one.take())
        self.assertEqual(other.talk.heard, b"hello")

    def test_openssl_s_own_messages_are_sent_after_a_read(self) -> None:
        one, other = self.ends()
        other.tls._tlsConnection.send(b"as the answer to a new key")
        one.tls.write(b"hello")
        other.give(one.take())
        one.give(other.take())
        self.assertEqual(one.talk.heard, b"as the answer to a new key")

    def test_a_small_piece_is_written_at_once_as_one_record(self) -> None:
        one, _ = self.ends()
        writes: list[bytes] = []
        one.tls.transport.write = writes.append
        write = fast_tls.write_at_once(one.tls, one.tls)
        write(b"small")
        self.assertEqual([len(written) for written in writes], [5 + 5 + 17])


WATCHED = """
from twisted.logger import globalLogPublisher
events = []
globalLogPublisher.addObserver(events.append)
from chatproto.net import fast_tcp, fast_tls
print([bool(fast_tcp.WHY_PLAIN), fast_tls.WHY_PLAIN, len(events)])
"""


class CheckTests(SynchronousTestCase):
    """Private names are checked when the modules are imported, each time in a Python of its own."""

    def assertPlain(self, why: str, tcp: bool, before: str = "", **environment: str) -> None:
        said = fresh_python(before + WATCHED, CHATPROTO_PLAIN_IO="", **environment)
        self.assertEqual(said.strip(), repr([tcp, why, 1 if why else 0]))

    def test_the_installed_libraries_are_known(self) -> None:
        self.assertPlain("", False)

    def test_environment_variable_selects_the_plain_library(self) -> None:
        said = fresh_python(WATCHED, CHATPROTO_PLAIN_IO="1")
        self.assertEqual(said.strip(), repr([True, "CHATPROTO_PLAIN_IO is set", 1]))

    def test_missing_method_selects_the_plain_library(self) -> None:
        gone = "from twisted.protocols.tls import TLSMemoryBIOProtocol as P; del P._bufferedWrite\n"
        self.assertPlain("_bufferedWrite is not there", False, gone)

    def test_missing_pyopenssl_name_selects_the_plain_library(self) -> None:
        gone = (
            "import sys, types, twisted.internet.endpoints, twisted.protocols.tls\n"
            "sys.modules['OpenSSL._util'] = types.ModuleType('x')\n"
        )
        self.assertPlain("new_allocator is not there", False, gone)

    def test_missing_tcp_buffer_selects_plain_tcp_and_tls(self) -> None:
        gone = "from twisted.internet.tcp import _SocketCloser as C; del C._shouldShutdown\n"
        self.assertPlain("_shouldShutdown is not there", True, gone)

    def test_an_unknown_version_means_the_plain_library(self) -> None:
        self.assertPlain(
            "Twisted 99.1.0 is not known", True, "import twisted; twisted.__version__ = '99.1.0'\n"
        )
        self.assertPlain(
            "pyOpenSSL 99.1.0 is not known",
            False,
            "import OpenSSL; OpenSSL.__version__ = '99.1.0'\n",
        )

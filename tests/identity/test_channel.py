"""Many records at a time: every byte, in order, and what is wrong behind them is heard of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity.channel import BLOCK, RECORD
from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
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
    """What `end` hears from now on."""
    talk = end.tls.wrappedProtocol = Counting()
    talk.handshake = end.talk.handshake
    end.talk = talk
    return talk


class ChannelTests(SynchronousTestCase):
    def ends(self) -> tuple[End, End]:
        one, other = End(OURS, True), End(THEIRS, False)
        meet(one, other)
        self.assertTrue(one.talk.accepted and other.talk.accepted)
        return one, other

    def test_the_cipher_is_the_one_that_costs_least(self) -> None:
        one, _ = self.ends()
        self.assertEqual(one.tls._tlsConnection.get_cipher_name(), "TLS_AES_128_GCM_SHA256")

    def test_what_came_together_is_told_together(self) -> None:
        one, other = self.ends()
        heard = counting(other)
        said = bytes(range(256)) * (BLOCK // 256)
        one.tls.write(said)
        other.give(one.take())
        self.assertEqual((heard.times, heard.heard == said), (1, True))
        one.tls.write(said + said)
        other.give(one.take())
        self.assertEqual((heard.times, heard.heard == said * 3), (3, True))

    def test_it_is_written_in_full_records_and_at_once(self) -> None:
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

    def test_all_that_there_is_can_be_had_at_once_and_then_what_came_after(self) -> None:
        one, other = self.ends()
        there, here = one.tls._tlsConnection, other.tls._tlsConnection
        for said in (b"first" * RECORD, b"second" * RECORD):
            there.send(said[:50_000])
            there.send(said[50_000:])
            here.bio_write(there.bio_read(1))
            self.assertTrue(here.recv(1) == said)

    def test_what_is_said_before_the_handshake_is_done_waits_for_it(self) -> None:
        one, other = End(OURS, True), End(THEIRS, False)
        said = b"x" * (2 * BLOCK + 1)
        one.tls.write(said)
        meet(one, other)
        self.assertTrue(other.talk.heard == said)

    def test_parts_go_out_as_one_behind_what_was_said_before_them(self) -> None:
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

    def test_parts_that_are_said_before_the_handshake_is_done_wait_for_it(self) -> None:
        one, other = End(OURS, True), End(THEIRS, False)
        view = memoryview(bytearray(b"head, body"))
        one.tls.writeSequence([view[:5], view[5:]])
        view[:] = b"overwrites"
        meet(one, other)
        self.assertEqual(other.talk.heard, b"head, body")

    def test_parts_are_not_written_when_it_is_over(self) -> None:
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

    def test_what_came_before_the_end_is_told_first(self) -> None:
        one, other = self.ends()
        one.tls.write(b"x" * 3 * RECORD)
        one.tls.loseConnection()
        other.give(one.take())
        self.assertEqual(len(other.talk.heard), 3 * RECORD)
        self.assertTrue(other.wire.disconnecting)

    def test_what_came_before_a_broken_record_is_told_and_then_that_it_is_broken(self) -> None:
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

    def test_nothing_is_written_when_it_is_over(self) -> None:
        one, _ = self.ends()
        one.end()
        one.take()
        one.tls._write(b"too late")
        self.assertEqual(one.take(), b"")

    @given(st.lists(st.integers(1, 3 * RECORD), max_size=8), st.randoms(use_true_random=False))
    def test_however_it_is_cut_every_byte_comes_in_order(self, sizes: list[int], cut) -> None:  # type: ignore[no-untyped-def]
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

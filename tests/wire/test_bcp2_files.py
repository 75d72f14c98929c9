"""Files on the wire: what their values may be, and that a large body is handed on and not copied."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_files
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.strict import encode, shown
from tests.limits import DEFAULTS
from tests.wire.bcp2_samples import DATE, decode

OFFER = f"OFFER\r\nID: 1\r\nName: a\r\nSize: 5\r\nModified: {DATE}\r\nType: text/plain\r\n"
HASH = "ab" * 32
PATHS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


def read(text: str) -> Bcp2Message | RemoteError:
    (found,) = decode(Sender.PEER, text.encode())
    return found


class ValueTests(SynchronousTestCase):
    """Refused values, received and sent."""

    def test_values_are_read_strictly(self) -> None:
        for text in (
            OFFER.replace("ID: 1", "ID: 0"), OFFER.replace("Name: a", "Name: "),
            OFFER.replace("Size: 5", "Size: -5"), OFFER.replace("text/plain", "text"),
            OFFER.replace("text/plain", "folder/"), f"{OFFER}Hashes: a, b\r\n",
            OFFER.replace(DATE, "yesterday"),
        ):  # fmt: skip
            found = read(f"{text}Content-Length: 0\r\n\r\n")
            assert isinstance(found, RemoteError), text
            self.assertEqual(found.status, 400)
        for text in (
            f"OFFERACK\r\nID: 1\r\nOffset: 0\r\nBLAKE3: {HASH}0\r\n",
            f"OFFERACK\r\nID: 1\r\nSHA-256: {HASH}\r\n",
            f"DONE\r\nID: 1\r\nSHA-256: {HASH.upper()}\r\n", f"DONE\r\nID: 1\r\nSHA-256: {HASH}0\r\n",
            "DATA\r\nID: 1\r\nOffset: 0\r\n", "CANCEL\r\nID: 1\r\nFor: DATA\r\n", "DONEACK\r\n",
        ):  # fmt: skip
            self.assertIsInstance(read(f"{text}\r\n"), RemoteError, text)

    def test_a_list_has_one_file_a_line(self) -> None:
        for body in ("5 a", "5 a\n", "a\r\n", "5\r\n", "5 \r\n", "-5 a\r\n", "5 a\x1bb\r\n", "5 a\x85\r\n",
                     "\r\n", "5 a\r\n\r\n", "5 a\nb\r\n", "5\ta\r\n"):  # fmt: skip
            found = read(f"{OFFER}Content-Length: {len(body.encode())}\r\n\r\n{body}")
            self.assertIsInstance(found, RemoteError, body)

    def test_invalid_values_are_not_sent(self) -> None:
        for path in ("", "a\r\nb", "a\0", "\ud800", "\x85"):
            offer = bcp2_files.Offer(1, "a", 5, DATE, "folder", ((5, path),))
            self.assertEqual(self.assertRaises(LocalError, encode, offer).status, 400)
        self.assertRaises(LocalError, encode, bcp2_files.Offer(1, "", 5, DATE, "folder"))
        self.assertRaises(LocalError, encode, bcp2_files.Offer(0, "a", 5, DATE, "folder"))
        self.assertRaises(LocalError, encode, bcp2_files.Done(1, "ab"))

    def test_a_list_with_too_many_folders_is_refused_unread(self) -> None:
        for mark in (b"/", b"\\"):
            data = b"".join(b"1 " + mark * 1000 + b"x\r\n" for _ in range(101))
            with self.assertRaises(RemoteError) as caught:
                bcp2_files.read_files(data)
            self.assertEqual(caught.exception.status, 413)
            self.assertIn("folders", caught.exception.detail)

    def test_a_list_with_too_many_files_is_refused_unread(self) -> None:
        line = b"1 x\r\n"
        self.assertEqual(len(bcp2_files.read_files(line * bcp2_files.OFFER_FILES)), 10_000)
        error = self.assertRaises(
            RemoteError, bcp2_files.read_files, line * (bcp2_files.OFFER_FILES + 1)
        )
        self.assertEqual(error.status, 413)

    def test_a_chunk_and_a_list_have_their_limits(self) -> None:
        encode(bcp2_files.Data(1, 0, bytes(DEFAULTS.chunk)))
        large = bcp2_files.Data(1, 0, bytes(DEFAULTS.chunk + 1))
        self.assertEqual(self.assertRaises(LocalError, encode, large).status, 413)
        files = tuple((1, f"{n:0>100}") for n in range(10_000))
        folder = bcp2_files.Offer(1, "a", 10_000, DATE, "folder", files)
        self.assertEqual(decode(Sender.PEER, encode(folder)), [folder])
        self.assertRaises(
            LocalError, encode, bcp2_files.Offer(1, "a", 5, DATE, "folder", files * 2)
        )

    @given(st.lists(st.tuples(st.integers(0, 2**53), PATHS), max_size=6))
    def test_any_list_is_read_as_written(self, files: list[tuple[int, str]]) -> None:
        offer = bcp2_files.Offer(1, "a", 5, DATE, "folder", tuple(files))
        self.assertEqual(decode(Sender.PEER, encode(offer)), [offer])

    def test_a_trace_shows_no_contents(self) -> None:
        message = bcp2_files.Data(1, 0, b"secret")
        self.assertEqual(shown(message), "DATA | ID: 1 | Offset: 0 | Content-Length: 6")
        self.assertNotIn("secret", repr(message))


class BodyTests(SynchronousTestCase):
    """A large body is not copied more than once."""

    def test_complete_chunk_is_the_body(self) -> None:
        decoder = StrictReceiver(Sender.PEER)
        body = bytes(65536)
        decoder.read(encode(bcp2_files.Data(1, 0, body)).removesuffix(body))
        (message,) = decoder.read(body)
        assert isinstance(message, bcp2_files.Data)
        self.assertIs(message.data, body)

    def test_earlier_head_does_not_copy_the_body(self) -> None:
        """A read may end in the middle of a head; what follows is not put behind it."""
        whole = encode(bcp2_files.Data(1, 0, bytes(65536)))
        for cut in (1, 5, 20, len(whole) - 65536 - 1):
            decoder = StrictReceiver(Sender.PEER)
            decoder.read(whole[:cut])
            (message,) = decoder.read(whole[cut:])
            assert isinstance(message, bcp2_files.Data)
            self.assertEqual(len(message.data), 65536)
            self.assertEqual(sys.getsizeof(decoder._buffer), sys.getsizeof(b""))

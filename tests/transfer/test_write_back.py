"""Data that the disk has lost never pass for a whole file."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from pathlib import Path
from threading import Event

from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer import write_back
from chatproto.transfer.offer import FileOffer
from chatproto.transfer.sinks import DataLost, Sink
from chatproto.transfer.state import TransferState
from chatproto.transfer.write_back import WriteBack
from tests.transfer.ends import Pair

WAIT = 60.0
OFFER = FileOffer("a", 10, "2026-01-01T00:00:00Z")
WHOLE = sha256(b"abcdefghij").hexdigest()


def broken(file: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


class WriteBackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        self.patch(write_back, "EVERY", 4)

    def sink(self, local: str = "") -> Sink:
        sink = Sink(self.folder, local)
        self.addCleanup(sink.close)
        return sink

    def test_one_flush_at_a_time_of_a_descriptor_of_its_own(self) -> None:
        begun, go_on, flushed = Event(), Event(), list[int]()

        def slow(file: int) -> None:
            flushed.append(file)
            begun.set()
            self.assertTrue(go_on.wait(WAIT))

        self.patch(os, "fdatasync", slow)
        file = os.open(self.folder / "a", os.O_CREAT | os.O_WRONLY)
        behind = WriteBack()
        behind.wrote(file, 3)
        self.assertEqual(flushed, [])
        behind.wrote(file, 1)
        self.assertTrue(begun.wait(WAIT))
        behind.wrote(file, 40)
        os.close(file)
        go_on.set()
        behind.wait()
        self.assertEqual(len(flushed), 1)
        self.assertNotEqual(flushed, [file])

    def test_error_is_kept_although_linux_reports_it_once(self) -> None:
        self.patch(os, "fdatasync", broken)
        file = os.open(self.folder / "a", os.O_CREAT | os.O_WRONLY)
        self.addCleanup(os.close, file)
        behind = WriteBack()
        behind.wrote(file, 4)
        self.assertRaises(OSError, behind.wait)
        self.patch(os, "fdatasync", lambda file: None)
        self.assertRaises(OSError, behind.wrote, file, 4)
        self.assertRaises(OSError, behind.wait)

    def test_error_of_a_flush_fails_the_file_and_removes_the_part(self) -> None:
        self.patch(os, "fdatasync", broken)
        sink = self.sink()
        sink.begin(OFFER)
        sink.write((b"abcdefghij",))
        error = self.assertRaises(DataLost, sink.finish, WHOLE)
        self.assertIn("Input/output error", str(error))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_error_at_the_end_fails_the_file_and_removes_the_part(self) -> None:
        self.patch(os, "fsync", broken)
        sink = self.sink()
        there = sink.begin(OFFER)
        self.assertEqual(there.offset, 0)
        sink.write((b"abc", b"defghij"))
        self.assertRaises(DataLost, sink.finish, WHOLE)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_part_that_the_disk_lost_is_not_resumed(self) -> None:
        self.patch(os, "fdatasync", broken)
        sink = self.sink()
        sink.begin(OFFER)
        sink.write((b"abcdef",))
        sink.close()
        self.assertEqual(self.sink(sink.local).begin(OFFER).offset, 0)

    def test_transfer_fails_at_both_ends(self) -> None:
        self.patch(os, "fdatasync", broken)
        path = self.folder / "big"
        path.write_bytes(bytes(100_000))
        pair = Pair(self.folder)
        pair.connect()
        pair.a.offer(path)
        pair.run()
        for end in (pair.a, pair.b):
            self.assertIs(end.last.state, TransferState.FAILED)
        self.assertIn("Input/output error", pair.b.last.text)
        self.assertEqual(pair.b.landed, {})
        self.assertEqual(pair.b.records.load(), [])

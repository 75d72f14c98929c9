"""Files that somebody has replaced by a pipe, a folder or a device are read without waiting."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts.files import AccountTrouble, read
from chatproto.client.line_file import LineFile
from chatproto.net.file_reading import read_file
from chatproto.transfer.records import Records
from chatproto.ui.irc.nick_file import NickFile
from chatproto.ui.screen.history import TypedHistory

SHORT = 0.01


class ReadFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def pipe(self, name: str = "pipe") -> Path:
        path = self.folder / name
        os.mkfifo(path)
        return path

    def written(self, data: bytes) -> Path:
        """A pipe that has a writer, who has written `data` and nothing more."""
        path = self.pipe()
        end = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, end)
        os.write(end, data)
        return path

    def test_a_file_is_read_up_to_its_limit(self) -> None:
        path = self.folder / "file"
        path.write_bytes(b"one\ntwo\n")
        self.assertEqual(read_file(path, 100), b"one\ntwo\n")
        self.assertEqual(read_file(path, 5), b"one\nt")
        self.assertEqual(read_file(path, 100, until=b"\n").partition(b"\n")[0], b"one")

    def test_a_device_is_read_up_to_the_limit(self) -> None:
        self.assertEqual(read_file(Path("/dev/zero"), 9), bytes(9))
        self.assertEqual(read_file(Path("/dev/null"), 9), b"")

    def test_a_pipe_without_a_writer_is_not_waited_for(self) -> None:
        with self.assertRaisesRegex(OSError, "nothing was written to the pipe within 0 s"):
            read_file(self.pipe(), 9)

    def test_a_pipe_is_not_waited_for_for_ever(self) -> None:
        path = self.written(b"half")
        with self.assertRaisesRegex(OSError, "nothing was written to the pipe within"):
            read_file(path, 100, SHORT)
        os.write(os.open(path, os.O_RDWR), b"a line\n")
        self.assertEqual(read_file(path, 100, SHORT, until=b"\n"), b"a line\n")

    def test_more_files_may_be_open_than_select_knows(self) -> None:
        many = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
        try:
            self.assertEqual(read_file(Path("/dev/null"), 9), b"")
        finally:
            for one in many:
                os.close(one)

    def test_pipes_and_devices_in_the_home_block_nothing(self) -> None:
        pipe = self.pipe()
        lines = LineFile(pipe, "rooms", 100)
        self.assertEqual(lines.read(), [])
        nicks = NickFile(pipe)
        self.assertEqual(nicks.read(), [])
        nicks.add("bob", f"sha256:{'A' * 52}")
        self.assertEqual(len(self.flushLoggedErrors()), 0)
        history = TypedHistory(pipe)
        self.assertEqual(history.read(), [])
        history.add("hello")
        records = Records(self.folder)
        self.pipe("one.json")
        (self.folder / "two.json").mkdir()
        self.assertEqual(records.load(), [])

    def test_a_changed_file_of_keys_may_be_a_pipe(self) -> None:
        with self.assertRaisesRegex(AccountTrouble, "nothing was written"):
            read(self.written(b""), 100, stat.S_IWOTH)

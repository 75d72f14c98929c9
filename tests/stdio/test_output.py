from __future__ import annotations

import errno
import fcntl
import os
import pty
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.output import Output
from tests.stdio.turns import TurnByTurn


class PipeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = TurnByTurn()
        self.reader, self.writer = os.pipe()
        self.addCleanup(self.close_all)
        self.output = Output(self.reactor, self.writer, limit=400_000)

    def close_all(self) -> None:
        self.output.close()
        for fd in (self.reader, self.writer):
            if fd >= 0:
                os.close(fd)

    def turn(self) -> None:
        self.reactor.turn()

    def read(self) -> bytes:
        """All that is in the pipe now."""
        fcntl.fcntl(self.reader, fcntl.F_SETFL, os.O_NONBLOCK)
        read = b""
        try:
            while chunk := os.read(self.reader, 1 << 20):
                read += chunk
        except BlockingIOError:
            pass
        return read

    def read_all(self) -> bytes:
        read = b""
        while True:
            self.turn()
            chunk = self.read()
            if not chunk and not self.reactor.writers:
                return read
            read += chunk

    def test_lines_of_one_turn_are_written_together(self) -> None:
        self.output.write_line("one")
        self.output.write_line("zwölf")
        self.assertEqual(self.read(), b"")
        self.turn()
        self.assertEqual(self.read(), "one\nzwölf\n".encode())

    def test_unencodable_characters_are_question_marks(self) -> None:
        output = Output(self.reactor, self.writer, encoding="ascii")
        self.addCleanup(output.close)
        output.write_line("zwölf 漢\udc9b")
        self.turn()
        self.assertEqual(self.read(), b"zw?lf ??\n")

    def test_unread_pipe_blocks_nothing(self) -> None:
        for number in range(30_000):
            self.output.write_line(f"{number:099}")
            if number % 100 == 0:
                self.turn()
        self.assertEqual(len(self.reactor.writers), 1)
        self.assertGreater(self.output.dropped, 20_000)

    def test_the_descriptor_is_not_made_non_blocking(self) -> None:
        for _ in range(3000):
            self.output.write_line("x" * 99)
        self.turn()
        self.assertFalse(fcntl.fcntl(self.writer, fcntl.F_GETFL) & os.O_NONBLOCK)

    def test_dropped_lines_are_reported_in_their_place(self) -> None:
        for number in range(10_000):
            self.output.write_line(f"{number:099}")
        kept = 4000
        lines = self.read_all().decode().splitlines()
        self.assertEqual(lines[:kept], [f"{number:099}" for number in range(kept)])
        self.assertEqual(lines[kept:], ["* 6000 lines were not printed"])
        self.output.write_line("after")
        self.assertEqual(self.read_all(), b"after\n")

    def test_lines_are_dropped_until_half_of_the_room_is_free(self) -> None:
        for number in range(4001):
            self.output.write_line(f"{number:099}")
        self.turn()
        self.output.write_line("too soon")
        self.assertEqual(self.output.dropped, 2)
        lines = self.read_all().decode().splitlines()
        self.assertEqual(lines[-1], "* 2 lines were not printed")

    def test_back_pressure_is_reported(self) -> None:
        told: list[bool] = []
        output = Output(self.reactor, self.writer, limit=400_000, on_full=told.append)
        self.addCleanup(output.close)
        for number in range(2001):
            output.write_line(f"{number:099}")
        self.assertEqual(told, [True])
        self.read_all()
        self.assertEqual(told, [True, False])

    def test_the_line_about_dropped_lines_is_the_callers(self) -> None:
        output = Output(self.reactor, self.writer, 10, lambda count: f"lost {count}")
        self.addCleanup(output.close)
        output.write_line("far too long a line")
        output.write_line("b")
        self.assertEqual(self.read_all(), b"lost 1\nb\n")

    def test_a_line_longer_than_a_write_arrives_whole(self) -> None:
        self.output.write_line("a" * 10_000)
        self.output.write_line("b")
        self.assertEqual(self.read_all(), b"a" * 10_000 + b"\nb\n")

    def test_a_line_larger_than_the_limit_is_dropped_whole(self) -> None:
        self.output.write_line("a" * 400_001)
        self.output.write_line("b")
        self.assertEqual(self.read_all(), b"* 1 line was not printed\nb\n")

    def test_closed_reader_ends_the_output(self) -> None:
        os.close(self.reader)
        self.reader = -1
        self.output.write_line("nobody hears it")
        self.turn()
        self.output.write_line("nor this")
        self.turn()
        self.successResultOf(self.output.flush())
        self.assertEqual(self.output.dropped, 0)

    def test_reader_closed_while_waiting_ends_the_output(self) -> None:
        for _ in range(3000):
            self.output.write_line("x" * 99)
        self.turn()
        flushed = self.output.flush()
        os.close(self.reader)
        self.reader = -1
        self.turn()
        self.successResultOf(flushed)
        self.assertEqual(self.reactor.writers, set())

    def test_flush_fires_when_all_is_written(self) -> None:
        for _ in range(3000):
            self.output.write_line("x" * 99)
        flushed = self.output.flush()
        self.assertNoResult(flushed)
        self.assertEqual(len(self.read_all()), 300_000)
        self.successResultOf(flushed)

    def test_flush_writes_as_much_as_possible(self) -> None:
        self.output.write_line("now")
        self.successResultOf(self.output.flush())
        self.assertEqual(self.read(), b"now\n")

    def test_flush_may_be_given_up(self) -> None:
        for _ in range(3000):
            self.output.write_line("x" * 99)
        flushed = self.output.flush()
        flushed.cancel()
        self.failureResultOf(flushed, CancelledError)
        self.assertEqual(len(self.read_all()), 300_000)

    def test_close_writes_only_as_much_as_fits(self) -> None:
        self.output.write_line("last")
        self.output.close()
        self.output.write_line("too late")
        self.turn()
        self.assertEqual(self.read(), b"last\n")

    def test_close_does_not_wait_for_a_full_pipe(self) -> None:
        for _ in range(3000):
            self.output.write_line("x" * 99)
        self.turn()
        self.output.close()
        self.assertEqual(self.reactor.writers, set())
        self.assertLess(len(self.read()), 100_000)

    def test_a_lone_surrogate_can_be_written(self) -> None:
        self.output.write_line("\udc80")
        self.assertEqual(self.read_all(), b"\\udc80\n")


class OtherDescriptorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = TurnByTurn()

    def test_a_file_is_written_directly(self) -> None:
        with tempfile.TemporaryFile() as file:
            output = Output(self.reactor, file.fileno())
            for _ in range(9000):
                output.write_line("x" * 99)
            while not self.reactor.writers and os.fstat(file.fileno()).st_size < 900_000:
                self.reactor.turn()
            self.successResultOf(output.flush())
            output.close()
            self.assertEqual(self.reactor.writers, set())

    def test_one_turn_writes_a_bounded_number_of_pieces(self) -> None:
        with Path(os.devnull).open("wb") as null:
            output = Output(self.reactor, null.fileno())
            for _ in range(9000):
                output.write_line("x" * 99)
            self.reactor.turn()
            self.assertNoResult(output.flush())
            for _ in range(3):
                self.reactor.turn()
            self.successResultOf(output.flush())
            output.close()

    def test_a_full_disk_loses_lines_and_not_the_program(self) -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            output = Output(self.reactor, full.fileno())
            output.write_line("one")
            output.write_line("two")
            self.reactor.turn()
            self.assertEqual(output.dropped, 2)
            self.successResultOf(output.flush())
            output.close()

    def test_lines_lost_on_a_full_disk_are_reported(self) -> None:
        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with tempfile.TemporaryFile() as file:
            output = Output(self.reactor, file.fileno())
            output.write_line("one")
            output.write_line("two")
            with mock.patch("os.write", full):
                self.reactor.turn()
            output.write_line("three")
            self.successResultOf(output.flush())
            output.close()
            file.seek(0)
            self.assertEqual(file.read(), b"* 2 lines were not printed\nthree\n")

    def test_unread_terminal_does_not_block(self) -> None:
        master, slave = pty.openpty()
        output = Output(self.reactor, slave)
        for _ in range(9000):
            output.write_line("x" * 99)
        self.reactor.turn()
        self.assertNoResult(output.flush())
        self.assertFalse(fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK)
        output.close()
        os.close(master)
        os.close(slave)

    def test_a_descriptor_that_is_not_open_is_an_ended_output(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        os.close(writer)
        output = Output(self.reactor, writer)
        output.write_line("nowhere")
        self.successResultOf(output.flush())
        output.close()


class AnyLinesTests(SynchronousTestCase):
    @settings(max_examples=50)
    @given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8")), max_size=60))
    def test_every_line_arrives_once_and_in_order(self, lines: list[str]) -> None:
        reactor = TurnByTurn()
        with tempfile.TemporaryFile() as file:
            output = Output(reactor, file.fileno())
            for number, line in enumerate(lines):
                output.write_line(line)
                if number % 3 == 0:
                    reactor.turn()
            output.close()
            file.seek(0)
            self.assertEqual(file.read(), "".join(f"{line}\n" for line in lines).encode())

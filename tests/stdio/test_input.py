from __future__ import annotations

import errno
import os
import pty
import tempfile
import termios
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.input import TERMINAL_LINE, LineInput
from chatproto.stdio.typed import typed
from tests.stdio.turns import TurnByTurn


class Heard:
    """Reads lines of `fd` and keeps them; `turn` is one turn of a reactor."""

    def __init__(self, fd: int, limit: int = 65536) -> None:
        self.reactor = TurnByTurn()
        self.lines: list[str] = []
        self.refused: list[str] = []
        self.ends = 0
        self.input = LineInput(self.reactor, fd, self.hear, self.end, self.refused.append, limit)

    def hear(self, line: str) -> None:
        self.lines.append(line)

    def end(self) -> None:
        self.ends += 1

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.reactor.turn()


class PipeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader, self.writer = os.pipe()
        self.addCleanup(self.close_all)
        self.heard = Heard(self.reader)

    def close_all(self) -> None:
        self.heard.input.stop()
        os.close(self.reader)
        if self.writer >= 0:
            os.close(self.writer)

    def send(self, data: bytes) -> None:
        os.write(self.writer, data)
        self.heard.turn()

    def end_input(self) -> None:
        os.close(self.writer)
        self.writer = -1
        self.heard.turn()

    def start(self) -> None:
        self.heard.input.start()
        self.heard.turn()

    def test_lines_end_with_lf_or_crlf(self) -> None:
        self.start()
        self.send(b"one\ntwo\r\n\nthr")
        self.assertEqual(self.heard.lines, ["one", "two", ""])
        self.send(b"ee\n")
        self.assertEqual(self.heard.lines[3:], ["three"])

    def test_the_last_line_needs_no_end(self) -> None:
        self.start()
        self.send(b"one\nlast")
        self.end_input()
        self.heard.turn()
        self.assertEqual((self.heard.lines, self.heard.ends), (["one", "last"], 1))
        self.assertEqual(self.heard.reactor.readers, set())

    def test_a_hang_up_is_the_end(self) -> None:
        self.start()
        self.send(b"last")
        self.heard.input.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.heard.lines, self.heard.ends), (["last"], 1))

    def test_a_line_that_is_not_utf8_is_refused_and_the_next_is_read(self) -> None:
        self.start()
        self.send(b"a\xff\xc3\xa4\n\xc3\n\xed\xa0\x80\nok \xc3\xa4\n")
        self.assertEqual(self.heard.lines, ["ok ä"])
        self.assertEqual(self.heard.refused, ["that line was left out: it is not UTF-8 text"] * 3)

    def test_a_byte_order_mark_stray_returns_and_nuls_are_dropped(self) -> None:
        self.start()
        self.send(b"\xef\xbb\xbf/who\r\r\na\0\tb\n")
        self.assertEqual(self.heard.lines, ["/who", "a\tb"])

    def test_no_line_is_delivered_before_start(self) -> None:
        self.send(b"one\n")
        self.assertEqual(self.heard.lines, [])

    def test_a_line_past_the_limit_is_refused_and_the_next_is_read(self) -> None:
        self.heard = Heard(self.reader, limit=10)
        self.start()
        self.send(b"0123456789\r\n0123456789a\nok\n")
        self.assertEqual(self.heard.lines, ["0123456789", "ok"])
        self.assertEqual(self.heard.refused, ["that line was left out: it is longer than 10 bytes"])

    def test_too_long_line_is_not_stored(self) -> None:
        self.heard = Heard(self.reader, limit=10)
        self.start()
        for _ in range(100):
            self.send(b"0123456789")
        self.send(b"\nok\n")
        self.assertEqual((self.heard.lines, len(self.heard.refused)), (["ok"], 1))

    def test_a_pause_keeps_the_rest_for_later(self) -> None:
        def hear(line: str) -> None:
            self.heard.lines.append(line)
            self.heard.input.pause()

        self.heard.input = LineInput(self.heard.reactor, self.reader, hear, self.heard.end)
        self.start()
        self.send(b"one\ntwo\n")
        self.send(b"three\n")
        self.assertEqual((self.heard.lines, self.heard.reactor.readers), (["one"], set()))
        for expected in (["one", "two"], ["one", "two", "three"]):
            self.heard.input.resume()
            self.heard.turn(3)
            self.assertEqual(self.heard.lines, expected)

    def test_end_of_input_waits_for_a_pause(self) -> None:
        self.start()
        self.heard.input.pause()
        self.end_input()
        self.assertEqual(self.heard.ends, 0)
        self.heard.input.resume()
        self.heard.turn(3)
        self.assertEqual(self.heard.ends, 1)

    def test_many_lines_are_passed_on_over_several_turns(self) -> None:
        self.start()
        self.send(b"x\n" * 1000)
        self.assertLess(len(self.heard.lines), 1000)
        self.heard.turn(5)
        self.assertEqual(len(self.heard.lines), 1000)

    def test_nothing_is_passed_on_after_stop(self) -> None:
        self.start()
        self.heard.input.stop()
        self.send(b"one\n")
        self.heard.turn(3)
        self.assertEqual((self.heard.lines, self.heard.ends), ([], 0))

    def test_on_line_may_stop(self) -> None:
        def hear(line: str) -> None:
            self.heard.lines.append(line)
            stopping.stop()

        stopping = LineInput(self.heard.reactor, self.reader, hear, self.heard.end)
        stopping.start()
        self.heard.turn()
        self.send(b"one\ntwo\n")
        self.heard.turn(3)
        self.assertEqual((self.heard.lines, self.heard.ends), (["one"], 0))


class OtherDescriptorTests(SynchronousTestCase):
    def test_a_file_is_read_in_pieces_without_the_reactors_readers(self) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 99 + b"\n" + b"line\n" * 20_000 + b"last")
            file.seek(0)
            heard = Heard(file.fileno())
            heard.input.start()
            heard.turn()
            self.assertLess(len(heard.lines), 5000)
            heard.turn(200)
            self.assertEqual(len(heard.lines), 20_002)
            self.assertEqual((heard.lines[-1], heard.ends), ("last", 1))
            self.assertEqual(heard.reactor.readers, set())

    def test_dev_null_ends_at_once(self) -> None:
        with Path(os.devnull).open("rb") as null:
            heard = Heard(null.fileno())
            heard.input.start()
            heard.turn(3)
            self.assertEqual((heard.lines, heard.ends), ([], 1))

    def test_a_descriptor_that_is_not_open_ends_at_once(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        os.close(writer)
        heard = Heard(reader)
        heard.input.start()
        self.assertEqual(heard.ends, 0)
        heard.turn(3)
        self.assertEqual((heard.lines, heard.ends), ([], 1))

    def test_a_terminal_is_read_by_lines_until_it_is_gone(self) -> None:
        master, slave = pty.openpty()
        heard = Heard(slave)
        heard.input.start()
        heard.turn(2)
        os.write(master, b"one\n")
        heard.turn(2)
        self.assertEqual(heard.lines, ["one"])
        os.write(master, b"\x04")
        heard.turn(2)
        self.assertEqual(heard.ends, 1)
        os.close(master)
        os.close(slave)


class TerminalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ours, theirs = pty.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        self.heard = Heard(theirs)
        self.addCleanup(os.close, self.ours)
        self.addCleanup(os.close, theirs)
        self.addCleanup(self.heard.input.stop)
        self.heard.input.start()
        self.heard.turn()

    def test_background_terminal_is_polled_every_second(self) -> None:
        def background(fd: int, most: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        os.write(self.ours, b"hello\n")
        with (
            mock.patch("os.read", background),
            mock.patch("chatproto.stdio.input.terminal_is_there", return_value=True),
        ):
            self.heard.turn()
        self.heard.turn(5)
        self.assertEqual((self.heard.lines, self.heard.ends), ([], 0))
        self.heard.reactor.rightNow += 1.0
        self.heard.turn(2)
        self.assertEqual(self.heard.lines, ["hello"])

    def test_truncated_terminal_line_is_refused(self) -> None:
        for size in (TERMINAL_LINE - 1, TERMINAL_LINE, TERMINAL_LINE + 1, 3 * TERMINAL_LINE):
            os.write(self.ours, b"x" * size + b"\n")
            self.heard.turn()
            os.write(self.ours, b"next\n")
            self.heard.turn()
        self.assertEqual(self.heard.lines, ["x" * (TERMINAL_LINE - 1), *["next"] * 4])
        self.assertEqual(len(self.heard.refused), 3)
        self.assertIn("4,095 bytes", self.heard.refused[0])

    def test_control_characters_are_removed_on_terminals_only(self) -> None:
        os.write(self.ours, b"\x0chello\x1b[A\n")
        self.heard.turn()
        self.assertEqual(self.heard.lines, ["hello"])
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        piped = Heard(reader)
        self.addCleanup(piped.input.stop)
        piped.input.start()
        piped.turn()
        os.write(writer, b"\x0chello\x1b[A\n")
        os.close(writer)
        piped.turn(2)
        self.assertEqual(piped.lines, ["\x0chello\x1b[A"])

    def test_pending_lines_are_reported(self) -> None:
        self.assertFalse(self.heard.input.pending)
        os.write(self.ours, b"half a line")
        self.assertFalse(self.heard.input.pending)
        os.write(self.ours, b"\n")
        self.assertTrue(self.heard.input.pending)
        self.heard.turn()
        self.assertFalse(self.heard.input.pending)
        self.heard.input.pause()
        self.assertTrue(self.heard.input.pending)


class AnySplitTests(SynchronousTestCase):
    @settings(max_examples=60)
    @given(st.lists(st.text(st.sampled_from("aä\r\n€"), max_size=8), max_size=12))
    def test_pieces_make_the_same_lines(self, pieces: list[str]) -> None:
        reader, writer = os.pipe()
        heard = Heard(reader)
        heard.input.start()
        heard.turn()
        whole = "".join(pieces).encode()
        for piece in pieces:
            data = piece.encode()
            for part in (data[: len(data) // 2], data[len(data) // 2 :]):
                if part:
                    os.write(writer, part)
                    heard.turn(2)
        os.close(writer)
        heard.turn(2)
        os.close(reader)
        expected = [typed(line.decode()) for line in whole.split(b"\n")]
        self.assertEqual(heard.lines, expected if whole[-1:] not in (b"\n", b"") else expected[:-1])
        self.assertEqual(heard.ends, 1)

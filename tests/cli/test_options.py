from __future__ import annotations

import io
import os
import select
import subprocess
import sys
import termios
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.application.twist._options import TwistOptions
from twisted.python.usage import Options
from twisted.scripts._twistd_unix import ServerOptions as TwistdOptions
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli import options
from chatproto.cli.options import (
    LOG_BYTES,
    LOG_FILES,
    ProgramOptions,
    RotatedLog,
    WrongOption,
    descriptor,
    endpoint_text,
)
from chatproto.wire.errors import CannotStart

PATIENCE = 30.0
"""Seconds for a terminal to hand on what was written to it."""


class Small(ProgramOptions):
    """A program with one option, whose home is where the test wants it."""

    logs_to = "small.log"
    optParameters = [["number", None, "1", "A number"]]
    home = Path()

    def check(self) -> None:
        if self["number"] == "13":
            raise WrongOption("--number 13\nis unlucky")

    def prepare(self) -> Path:
        if self["number"] == "0":
            raise CannotStart("there is nothing")
        return self.home


class EndpointTextTests(SynchronousTestCase):
    def test_digits_are_a_tcp_port(self) -> None:
        self.assertEqual(endpoint_text("5555"), "tcp:5555")
        self.assertEqual(endpoint_text("0"), "tcp:0")
        self.assertEqual(endpoint_text("65535"), "tcp:65535")

    def test_missing_systemd_socket_is_reported(self) -> None:
        for which in ("index=0", "name=port"):
            with self.assertRaises(WrongOption) as caught:
                endpoint_text(f"systemd:domain=INET6:{which}")
            self.assertIn("passed no socket", str(caught.exception))

    def test_a_port_of_an_endpoint_is_checked_as_a_number_alone_is(self) -> None:
        for text in ("70000", "tcp:70000", "tcp6:70000:interface=\\:\\:1", "tcp:port=70000"):
            with self.assertRaises(WrongOption) as caught:
                endpoint_text(text)
            self.assertEqual(str(caught.exception), "port 70000 is out of range: use 0 to 65535")

    def test_endpoint_is_unchanged(self) -> None:
        for text in ("tcp:5555:interface=127.0.0.1", "unix:/tmp/x", "tcp:1"):
            self.assertEqual(endpoint_text(text), text)

    def test_anything_else_is_one_sentence(self) -> None:
        for text in (
            "65536",
            "",
            "-1",
            "5555x",
            "tcp:",
            "tcp:x",
            "nonsense:1",
            "\u0665",
            "tcp:1:a=b",
            "tcp:70000",
            "tcp:-1:interface=127.0.0.1",
            "tcp6:port=65536",
            "unix:",
        ):
            with self.assertRaises(WrongOption) as caught:
                endpoint_text(text)
            self.assertNotIn("\n", str(caught.exception))

    @given(st.text())
    def test_no_text_raises_anything_else(self, text: str) -> None:
        try:
            endpoint_text(text)
        except WrongOption:
            pass


class FollowedLogTests(SynchronousTestCase):
    def test_a_log_that_was_moved_or_removed_is_created_again(self) -> None:
        home = Path(self.mktemp())
        home.mkdir()
        path, moved = home / "small.log", home / "small.log-old"
        self.patch(RotatedLog, "path", path)
        log = RotatedLog.open()
        self.addCleanup(log.close)
        log.write("one\n")
        path.rename(moved)
        log.write("two\n")
        self.assertEqual((moved.read_text(), path.read_text()), ("one\n", "two\n"))
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        path.unlink()
        log.write("three\n")
        log.write("four\n")
        self.assertEqual(path.read_text(), "three\nfour\n")


class ProgramOptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.patch(RotatedLog, "path", None)
        Small.home = Path(self.mktemp())
        Small.home.mkdir()

    def ends_with(self, code: int, *arguments: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            Small().parseOptions(arguments)
        self.assertEqual(caught.exception.code, code)
        return self.errors.getvalue()

    def test_a_wrong_option_is_one_line_and_code_1(self) -> None:
        self.assertEqual(
            self.ends_with(1, "--nubmer", "2"),
            "small: option --nubmer not recognized (small --help lists the options)\n",
        )

    def test_a_wrong_value_is_one_line_and_code_1(self) -> None:
        said = self.ends_with(1, "--number", "13")
        self.assertEqual(said, "small: --number 13 is unlucky (small --help lists the options)\n")

    def test_unknown_option_is_named(self) -> None:
        self.assertIn("unknown argument 'more'", self.ends_with(1, "more"))

    def test_unavailable_resource_is_one_line_and_code_2(self) -> None:
        said = self.ends_with(2, "--number", "0")
        self.assertEqual(said, "small: cannot start: there is nothing\n")

    def test_on_a_terminal_the_line_is_wrapped_between_words(self) -> None:
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        terminal = os.fdopen(theirs, "w")
        self.addCleanup(terminal.close)
        self.patch(sys, "__stderr__", terminal)
        for columns, rows in ((40, 2), (10, 1), (0, 1)):
            termios.tcsetwinsize(ours, (24, columns))
            self.ends_with(1, "--nubmer", "2")
            written = b""  # a terminal may hand on a part of what was written
            while written.count(b"\n") < rows and select.select([ours], [], [], PATIENCE)[0]:
                written += os.read(ours, 1000)
            said = written.decode().splitlines()
            self.assertEqual(len(said), rows)
            whole = "small: option --nubmer not recognized (small --help lists the options)"
            self.assertEqual(" ".join(said), whole)

    def test_closed_standard_error_is_no_error(self) -> None:
        self.errors.close()
        with self.assertRaises(SystemExit):
            Small().parseOptions(["more"])

    def parsed_by(self, parent: Options, *arguments: str) -> Small:
        small = Small()
        small.parent = parent
        small.parseOptions(arguments)
        return small

    def test_twistd_writes_no_pid_file_and_logs_to_our_file(self) -> None:
        twistd = TwistdOptions()
        self.parsed_by(twistd)
        self.assertEqual(twistd["pidfile"], "")
        for words in (["--pidfile", "x.pid"], ["--pidfile=twistd.pid"]):
            self.patch(sys, "argv", ["twistd", *words, "small"])
            twistd = TwistdOptions()
            twistd["pidfile"] = words[-1].rpartition("=")[2]
            small = Small()
            small.parent = twistd
            small.parseOptions([])
            self.assertEqual(twistd["pidfile"], words[-1].rpartition("=")[2])
        self.assertEqual(twistd["logger"], "chatproto.cli.options.log_observer")
        options.log_observer()({"log_format": "hello", "log_time": 0.0})
        log = Small.home / "small.log"
        self.assertIn("hello", log.read_text())
        self.assertEqual(log.stat().st_mode & 0o777, 0o600)

    def test_named_log_file_is_used(self) -> None:
        twistd = TwistdOptions()
        twistd["logfile"] = "elsewhere"
        self.parsed_by(twistd)
        self.assertIsNone(twistd["logger"])
        self.assertEqual(list(Small.home.iterdir()), [])

    def test_twist_logs_to_our_file_too(self) -> None:
        twist = TwistOptions()
        twist["logFile"] = sys.stdout
        self.parsed_by(twist)
        twist["fileLogObserverFactory"](sys.stdout)({"log_format": "hello", "log_time": 0.0})
        self.assertIn("hello", (Small.home / "small.log").read_text())

    def test_a_log_that_cannot_be_written_is_code_2(self) -> None:
        (Small.home / "small.log").mkdir()
        with self.assertRaises(SystemExit) as caught:
            self.parsed_by(TwistdOptions())
        self.assertEqual(caught.exception.code, 2)

    def test_the_log_is_bounded(self) -> None:
        self.parsed_by(TwistdOptions())
        observer = options.log_observer()
        for _ in range(60):
            observer({"log_format": "x" * (LOG_BYTES // 8), "log_time": 0.0})
        files = list(Small.home.iterdir())
        self.assertEqual(len(files), LOG_FILES + 1)
        self.assertLess(max(file.stat().st_size for file in files), LOG_BYTES * 1.3)


class CannotStartTests(SynchronousTestCase):
    def test_process_ends_even_inside_a_deferred(self) -> None:
        program = (
            "from twisted.internet.defer import fail\n"
            "from chatproto.cli.options import cannot_start\n"
            "fail(ValueError('no room\\nhere')).addErrback(lambda f: cannot_start(f.value))\n"
            "print('still there')\n"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertEqual(
            (ended.returncode, ended.stdout, ended.stderr),
            (2, "", "cannot start: no room here\n"),
        )


class DescriptorTests(SynchronousTestCase):
    def test_a_missing_stream_is_the_null_device(self) -> None:
        fd = descriptor(None, os.O_RDONLY)
        self.assertEqual(os.read(fd, 1), b"")
        os.close(fd)

"""One real process for the end-to-end tests: talked to, waited for, and always ended.

Nothing sleeps: every wait is for something that happens, with a limit that is generous because
machines are slow.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import resource
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LIMIT = 30.0  # seconds that any one expected thing may take
WITHOUT_TERMINAL = ("setsid", "env", "--default-signal=HUP")
"""Command that runs its arguments as a service manager does, also where the tests run under `nohup`."""


def raise_file_limit(wanted: int = 8192) -> int:
    """Let this process and its children open `wanted` files, or as many as may be; the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return soft


def _own_terminal() -> None:
    """In the child: make standard input its controlling terminal, so that ^C is a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Stream:
    """Lines that one descriptor of a program writes, read by a thread."""

    def __init__(self, descriptor: int, changed: threading.Condition) -> None:
        self.lines: list[str] = []
        self.ended = False
        self.reading = threading.Event()
        self.reading.set()
        self._rest = b""
        self._changed = changed
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            self.reading.wait()
            try:
                chunk = os.read(self._descriptor, 65536)
            except OSError:  # a pty whose other side is gone
                chunk = b""
            with self._changed:
                *whole, self._rest = (self._rest + chunk).split(b"\n")
                if not chunk and self._rest:
                    whole, self._rest = [*whole, self._rest], b""
                self.lines += [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
                self.ended = not chunk
                self._changed.notify_all()
            if not chunk:
                return

    def join(self, timeout: float = LIMIT) -> None:
        """Wait until all that the program said is in `lines`."""
        self.reading.set()
        self._thread.join(timeout)


class Program:
    """A running program, its input and its output.

    `terminal`: it runs on a pty of its own, without echo; else on three pipes. `places` are folders
    whose files are searched for tracebacks when it is ended. `keep`: descriptors that it is handed.
    """

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        places: Sequence[Path] = (),
        terminal: bool = False,
        keep: Sequence[int] = (),
    ) -> None:
        self.command = list(command)
        self.places = [cwd, *places]
        self._changed = threading.Condition()
        self._position = 0
        # SIGABRT makes it say where it stands.
        environment = dict(os.environ, HOME=str(cwd), TERM="dumb", PYTHONFAULTHANDLER="1")
        if terminal:
            ours, theirs = pty.openpty()
            settings = termios.tcgetattr(theirs)
            settings[3] &= ~termios.ECHO
            termios.tcsetattr(theirs, termios.TCSANOW, settings)
            self._process = subprocess.Popen(
                self.command,
                cwd=cwd,
                env=environment,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
                preexec_fn=_own_terminal,
            )
            os.close(theirs)
            self._input = ours
            self._descriptors = [ours]
            self.output = self.errors = Stream(ours, self._changed)
        else:
            self._process = subprocess.Popen(
                self.command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=keep,
            )
            assert self._process.stdin and self._process.stdout and self._process.stderr
            self._input = self._process.stdin.fileno()
            self._descriptors = []
            self.output = Stream(self._process.stdout.fileno(), self._changed)
            self.errors = Stream(self._process.stderr.fileno(), self._changed)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lines(self) -> list[str]:
        """Every whole line of standard output so far (of the terminal, if it runs on one)."""
        return list(self.output.lines)

    def expect(self, wanted: str | re.Pattern[str], timeout: float = LIMIT) -> re.Match[str]:
        """Wait for a line after those already expected: equal to a string, or containing a pattern.

        Raises AssertionError with all that was said when it does not come, or cannot any more.
        """
        pattern = re.compile(rf"\A{re.escape(wanted)}\Z") if isinstance(wanted, str) else wanted
        found: list[re.Match[str]] = []

        def look() -> bool:
            while self._position < len(self.output.lines):
                match = pattern.search(self.output.lines[self._position])
                self._position += 1
                if match:
                    found.append(match)
                    return True
            return False

        self.wait_for(look, f"a line {pattern.pattern!r}", timeout)
        return found[0]

    def wait_for(self, fact: Callable[[], bool], name: str, timeout: float = LIMIT) -> None:
        """Wait until `fact()` holds; it is asked again whenever the program said something."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not fact():
                left = deadline - time.monotonic()
                if self.output.ended or left <= 0 or not self._changed.wait(left):
                    if fact():
                        return
                    why = "it ended" if self.output.ended else f"{timeout:g} s passed"
                    raise AssertionError(f"{name} did not come: {why}\n{self.transcript()}")

    def transcript(self) -> str:
        """All that was said, for the message of a failing test."""
        said = "\n".join(f"  | {line}" for line in self.output.lines[-60:])
        wrong = ""
        if self.errors is not self.output:
            wrong = "\n".join(f"  ! {line}" for line in self.errors.lines[-50:])
        return f"$ {' '.join(self.command)}\n{said}\n{wrong}"

    def logs(self, most: int) -> list[str]:
        """The last `most` characters of each log that it wrote into its folders."""
        found = [log for place in self.places for log in place.rglob("*.log")]
        return [log.read_text(errors="replace")[-most:] for log in found]

    def send_line(self, text: str) -> None:
        """Type a line."""
        self.send(text.encode() + b"\n")

    def send(self, data: bytes) -> None:
        """Type bytes; all are written or OSError is raised."""
        while data:
            data = data[os.write(self._input, data) :]

    def end_input(self) -> None:
        """Close its standard input (not on a terminal)."""
        assert self._process.stdin
        self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = LIMIT) -> int:
        """Wait for the end of the program; return its exit code."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"it has not ended after {timeout:g} s\n{self.transcript()}"
            ) from None
        self.output.join()
        self.errors.join()
        return code

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def resident(self) -> int:
        """Bytes of memory it holds now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match
        return int(match[1]) * 1024

    def end(self, timeout: float = LIMIT) -> int:
        """End it if it still runs, with SIGTERM and at last SIGABRT; its exit code.

        Raises AssertionError if it had to be killed or said or logged a traceback.
        """
        killed = False
        self.output.reading.set()
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                killed = True
                self._process.send_signal(signal.SIGABRT)
        code = self._process.wait()
        self.output.join()
        self.errors.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        while self._descriptors:
            os.close(self._descriptors.pop())
        if killed:
            logs = "\n".join(self.logs(2000))
            raise AssertionError(f"SIGTERM did not end it\n{self.transcript()}\n{logs}")
        self.assert_no_traceback()
        return code

    def assert_no_traceback(self) -> None:
        """Check that no output or file of the program has the traceback of an unhandled error."""
        for line in [*self.output.lines, *self.errors.lines]:
            assert "Traceback" not in line, self.transcript()
        for path in (path for place in self.places for path in place.rglob("*") if path.is_file()):
            text = path.read_bytes().decode("utf-8", "replace")
            found = text.find("Traceback")
            assert found < 0, f"{path.name}:\n{text[max(0, found - 500) : found + 3000]}"

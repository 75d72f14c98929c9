"""Options of both programs: one-line errors, and a log file."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TextIO, cast

import platformdirs
from twisted.logger import (
    FileLogObserver,
    LogPublisher,
    formatEventAsClassicLogText,
    globalLogPublisher,
)
from twisted.python.logfile import LogFile
from twisted.python.usage import Options, UsageError

from chatproto.cli.exit_codes import COULD_NOT_START, WRONG_OPTIONS
from chatproto.net.paths import local_path
from chatproto.net.private_files import check_file, make_private
from chatproto.server.blur import blur_event
from chatproto.wire.errors import CannotStart, RemoteError

LOG_BYTES = 1024 * 1024
LOG_FILES = 4  # old files beside the current one

DEFAULT_PIDFILE = "twistd.pid"
LEAST_COLUMNS = 20
"""Smallest number of terminal columns for which a sentence is wrapped between words."""

_USUAL_ENDPOINT = re.compile(r"tcp:[0-9]{1,5}(:interface=[0-9.]{1,15})?")
"""Endpoints that are known to be valid without the parser, which takes long to load."""


_TCP_PORT = re.compile(r"tcp6?:(?:port=)?(-?[0-9]+)(?::|$)")


class WrongOption(UsageError):
    """Invalid option; the text is one sentence for the user."""


def endpoint_text(text: str) -> str:
    """Return `text` as a Twisted server endpoint string; a port from 0 to 65535 becomes `tcp:PORT`.

    Raises WrongOption.
    """
    digits = text.isascii() and text.isdigit()
    named = None if digits else _TCP_PORT.match(text)
    number = named[1] if named else text
    if (digits or named) and (len(number) > 20 or not 0 <= int(number) <= 65535):
        raise WrongOption(f"port {number[:20]} is out of range: use 0 to 65535")
    if digits:
        return f"tcp:{int(text)}"
    if text == "unix:" or text.startswith("unix::"):
        raise WrongOption(f"{text!r} names no socket: use unix:PATH")
    if _USUAL_ENDPOINT.fullmatch(text):
        return text
    from twisted.internet.endpoints import serverFromString

    try:
        serverFromString(None, text)
    except Exception as error:
        # Plugins parse it too, and raise any exception.
        if text.startswith("systemd:") and isinstance(error, LookupError):
            raise WrongOption(f"systemd passed no socket for {text!r}") from None
        raise WrongOption(
            f"{text!r} is neither a port nor an endpoint such as tcp:5555:interface=127.0.0.1"
        ) from None
    return text


def descriptor(stream: TextIO | None, mode: int) -> int:
    """Return the descriptor of `stream`, or one of /dev/null if the program was started without it."""
    return os.open(os.devnull, mode) if stream is None else stream.fileno()


def cannot_start(error: Exception) -> NoReturn:
    """Print in one line why the program cannot start, and end it with exit code 2.

    The process ends at once: SystemExit would be lost in a Deferred.
    """
    say_wrong(f"cannot start: {error}")
    os._exit(COULD_NOT_START)


def say_wrong(line: str) -> None:
    """Print one line on the original standard error; `sys.stderr` may be the log by now.

    On a terminal the line is wrapped between words.
    """
    try:
        shown = " ".join(line.split()).encode("utf-8", "backslashreplace").decode()
        if sys.__stderr__ is not None and sys.__stderr__.isatty():
            shown = _wrapped(shown, os.get_terminal_size(sys.__stderr__.fileno()).columns)
        print(shown, file=sys.__stderr__, flush=True)
    except (OSError, ValueError, UnicodeError):
        pass  # there is no reader


def _wrapped(line: str, columns: int) -> str:
    """Break `line` between words; not on a terminal that is narrow or has an unknown width."""
    if columns < LEAST_COLUMNS:
        return line
    return textwrap.fill(line, columns, break_long_words=False, break_on_hyphens=False)


def carried_out(program: str, work: Callable[[], None]) -> int:
    """Carry out the `work` of a sub-command of chatserver; return its exit code, after one line for an
    error.
    """
    try:
        work()
    except UsageError as error:
        say_wrong(f"{program}: {error} ({program} --help lists the options)")
        return WRONG_OPTIONS
    except (CannotStart, RemoteError) as error:
        say_wrong(f"{program}: {error}")
        return COULD_NOT_START
    return 0


def local_option(name: str, text: str) -> Path:
    """Return `text`, the value of the option `name`, as a path. Raises WrongOption."""
    try:
        return local_path(text)
    except ValueError as wrong:
        raise WrongOption(f"--{name} {text!r}: {wrong}") from None


def default_folder(name: str, find: Callable[[], str]) -> Path:
    """Return the platform's folder for the option `name`, from `find`. Raises WrongOption."""
    try:
        folder = Path(find())
    except (RuntimeError, KeyError):
        folder = Path()
    if not folder.is_absolute():
        raise WrongOption(f"--{name} is missing: this user has no home folder")
    return folder


def server_home(text: str | None) -> Path:
    """Return the folder of `--home`; the platform's default if it is empty. Raises WrongOption."""
    if text is not None:
        return local_option("home", text)
    return default_folder("home", lambda: platformdirs.user_data_dir("chatproto")) / "server"


class FollowedLog(LogFile):
    """Log file that is created again after another program, such as logrotate, has moved or removed it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._opened = self._identity()

    def write(self, data: str | bytes) -> None:
        """Write `data` to the file that is at `path` now; create it if necessary."""
        if self._identity() != self._opened and os.access(self.directory, os.W_OK | os.X_OK):
            self.reopen()
        super().write(data)

    def reopen(self) -> None:
        """Open the file at `path` again."""
        super().reopen()
        self._opened = self._identity()

    def rotate(self) -> None:
        """Rename the full file and begin another."""
        super().rotate()
        self._opened = self._identity()

    def _identity(self) -> tuple[int, int] | None:
        """Return the device and inode of the file at `path`, or None if there is none."""
        try:
            found = Path(self.path).stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


class RotatedLog:
    """Log of the program being started, in a file of bounded size.

    `twistd` creates an observer by name, before any object of ours exists.
    """

    path: ClassVar[Path | None] = None

    @classmethod
    def open(cls) -> FollowedLog:
        """Open the log file, privately. Raises OSError."""
        assert cls.path is not None
        check_file(cls.path)
        if cls.path.exists():
            make_private(cls.path)
        return FollowedLog(
            cls.path.name,
            str(cls.path.parent),
            defaultMode=0o600,
            rotateLength=LOG_BYTES,
            maxRotatedFiles=LOG_FILES,
        )


def blur_log(publisher: LogPublisher = globalLogPublisher) -> None:
    """Blur addresses in all log entries from now on, of any source.

    Called before the log begins, so that this observer is the first.
    """
    publisher.addObserver(blur_event)


def log_observer() -> FileLogObserver:
    """Create the observer for `twistd --logger`; it writes to the log file. Raises OSError."""
    return FileLogObserver(cast(TextIO, RotatedLog.open()), formatEventAsClassicLogText)


class ProgramOptions(Options):
    """Options of one of our programs, run by `twistd`, by `twist` or by its console script.

    A wrong option is one line on standard error and exit code 1; a failure of `prepare` is one line and
    exit code 2. `logs_to` is the name of the log in the folder that `prepare` returns.
    """

    logs_to: ClassVar[str] = "chatproto.log"
    hidden: ClassVar[frozenset[str]] = frozenset()
    """Options that are accepted without effect, and that --help leaves out."""
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Values of an option, for completion in the shell."""

    def check(self) -> None:
        """Convert the options to values. Raises WrongOption."""

    def one_of(self, name: str) -> None:
        """Raise WrongOption if the option `name` is not one of its `choices`."""
        if self[name] not in self.choices[name]:
            known = ", ".join(self.choices[name])
            raise WrongOption(f"--{name} is one of {known}, not {self[name]!r}")

    def refuse_empty(self) -> None:
        """Raise WrongOption for an option with an empty value (`--home=$UNSET`)."""
        for name in (one.removesuffix("=") for one in self.longOpt if one.endswith("=")):
            value = self.get(name)
            if value == "" or (isinstance(value, list) and "" in value):
                raise WrongOption(f"--{name} is empty")

    def prepare(self) -> Path:
        """Prepare what the program needs before it starts, and return the folder of its log.

        Raises CannotStart.
        """
        raise NotImplementedError

    @property
    def program(self) -> str:
        return self.logs_to.removesuffix(".log")

    def configured(self, words: list[str]) -> list[str]:
        """Return the words of the command line, with those of a file of options before them.

        Raises: WrongOption, CannotStart.
        """
        return words

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            words = list(sys.argv[1:] if options is None else options)
            super().parseOptions(self.configured(words))
        except UsageError as error:
            say_wrong(f"{self.program}: {error} ({self.program} --help lists the options)")
            raise SystemExit(WRONG_OPTIONS) from None
        except CannotStart as error:
            say_wrong(f"{self.program}: cannot start: {error}")
            raise SystemExit(COULD_NOT_START) from None

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            raise WrongOption(f"unknown argument {arguments[0]!r}")

    def postOptions(self) -> None:
        self.check()
        self._log_to(self.prepare().absolute() / self.logs_to)

    def getUsage(self, width: int | None = None) -> str:
        every = self.longOpt
        self.longOpt = [one for one in every if one.removesuffix("=") not in self.hidden]
        try:
            usage: str = super().getUsage(width)
        finally:
            self.longOpt = every
        return usage

    def getSynopsis(self) -> str:
        return f"Usage: {self.program} [options]\n   or: twistd -n {self.program} [options]"

    def opt_version(self) -> NoReturn:
        """Print the version and exit."""
        try:
            ours = version("chatproto")
        except PackageNotFoundError:
            ours = "(not installed)"
        print(f"{self.program} {ours}, Twisted {version('twisted')}")
        raise SystemExit(0)

    def _log_to(self, path: Path) -> None:
        """Write the log to a file: standard output belongs to the program.

        A log destination given to twistd or twist takes precedence.
        """
        parent: Any = self.parent
        if parent is None:
            return
        RotatedLog.path = path
        if "logFile" in parent:  # twist
            if parent["logFile"] is sys.stdout:
                self._try_log()
                parent["fileLogObserverFactory"] = lambda _: log_observer()
            return
        if parent["pidfile"] == DEFAULT_PIDFILE and not _names_pidfile(sys.argv):
            parent["pidfile"] = ""  # a second program in this folder is allowed
        if not (parent["logfile"] or parent["logger"] or parent.get("syslog")):
            self._try_log()
            parent["logger"] = f"{log_observer.__module__}.{log_observer.__name__}"

    def _try_log(self) -> None:
        try:
            RotatedLog.open().close()
        except OSError as error:
            raise CannotStart(f"cannot write the log {RotatedLog.path}: {error.strerror}") from None


def _names_pidfile(words: Sequence[str]) -> bool:
    """Return True if `--pidfile`, which may be abbreviated, is among the options of twistd itself."""
    return any(word.startswith("--pid") for word in words)

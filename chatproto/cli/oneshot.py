"""`chatclient send`, `send-file`, `receive` and `info`: one piece of work for a script.

The client that runs in that home does it, through control.sock; if none runs, this process does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from getopt import GetoptError, gnu_getopt
from pathlib import Path
from typing import Any, ClassVar

from twisted.logger import globalLogBeginner

from chatproto.cli.client_options import CommandOptions
from chatproto.cli.collector import without_collector
from chatproto.cli.exit_codes import COULD_NOT_START
from chatproto.cli.options import RotatedLog, WrongOption, log_observer
from chatproto.cli.reactor_run import prepare_reactor
from chatproto.identity.pins import KEY
from chatproto.ui.oneshot import SendText, Work
from chatproto.ui.oneshot_files import ListRegistered, Receive, SendFiles
from chatproto.wire.errors import CannotStart
from chatproto.wire.fields import ID, read_number
from chatproto.wire.limits import DEFAULTS

NOT_TEXT = "the text is not valid UTF-8: chatclient send-file sends any bytes"
MISSING = "the peer is missing: give an id or a key"
COUNT = re.compile(r"[0-9]{1,9}")
TEXT_WAIT = 75.0
"""Seconds for a text, including the peer's answer to our call."""
SERVER_WAIT = 30.0
"""Seconds for a server's answer."""


class OneShotOptions(CommandOptions):
    """The client's options and those of a script; they may stand anywhere in the line.

    `work`: rules of the requested command; `--timeout` is None for none.
    """

    wait: ClassVar[float | None] = None

    optParameters = [["timeout", None, None, "End after this many seconds in any case"]]
    optFlags = [["json", None, "Print every event as one JSON object a line"]]

    work: Work

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        super().parseOptions(self._in_order(list(options or ())))

    def _in_order(self, arguments: list[str]) -> list[str]:
        """Return the arguments with options first, as Twisted requires; errors are left to Twisted."""
        try:
            found, words = gnu_getopt(arguments, self.shortOpt, self.longOpt)
        except GetoptError:
            return arguments
        flags: list[str] = []
        for name, value in found:
            takes = not name.startswith("--") or f"{name[2:]}=" in self.longOpt
            flags += [name, value] if takes else [name]
        return [*flags, "--", *words]

    def parseArgs(self, *arguments: str) -> None:
        self["arguments"] = arguments

    def postOptions(self) -> None:
        """Check the options; open no file yet, because a running client may have it open."""
        self.check()

    def check(self) -> None:
        super().check()
        if self["plain"]:
            raise WrongOption(
                "--plain confirms no delivery: start chatclient --plain and type there"
            )
        self["patient"] = self["timeout"] is not None
        if self["patient"]:
            self._seconds_of_work()
        else:
            self["timeout"] = self.wait
        self["unread"] = True
        self["ui"], self["autojoin"], self["rejoin"] = "json", {}, False  # it joins no rooms
        self.work = self.asked(*self["arguments"])

    def prepare(self) -> Path:
        """Open the home and its log. Raises CannotStart."""
        home = super().prepare()
        RotatedLog.path = home.absolute() / self.logs_to
        try:
            globalLogBeginner.beginLoggingTo([log_observer()], redirectStandardIO=False)
        except OSError as error:
            raise CannotStart(str(error)) from None
        return home

    def asked(self, *arguments: str) -> Work:
        """Return the work for the arguments. Raises WrongOption."""
        raise NotImplementedError

    def _seconds_of_work(self) -> None:
        try:
            seconds = read_number(self["timeout"])
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < 1e9:
            raise WrongOption(f"--timeout takes a number of seconds, not {self['timeout']!r}")
        self["timeout"] = seconds

    def _person(self, typed: str) -> str:
        """Return the name in `typed`, without an `@` before it."""
        name = typed.removeprefix("@")
        if ID.fullmatch(name) is not None or KEY.fullmatch(name) is not None:
            return name
        client_id, at, where = name.partition("@")
        if at and where and ID.fullmatch(client_id) is not None:
            return name  # a peer that is pinned at that server
        if name.startswith("#"):
            raise WrongOption(f"{typed!r} is a room: {self.program} takes the id or key of a peer")
        raise WrongOption(f"{typed!r} is not an id or a key" if typed else MISSING)


class SendOptions(OneShotOptions):
    """Send a text: `chatclient send`."""

    command, words, wait = "send", "PEER [TEXT]", TEXT_WAIT
    longdesc = (
        "Send TEXT to PEER. Without TEXT, or with -, read the text from standard input. The command "
        "ends when PEER has stored the text. With --timeout it waits for a peer that is away. Without, "
        "a text for a known peer is queued (exit code 4) and is sent when your client runs again."
    )

    def asked(self, *arguments: str) -> Work:
        if not 1 <= len(arguments) <= 2:
            raise WrongOption(
                "more than one text is given: quote the text" if arguments else MISSING
            )
        to = self._person(arguments[0])
        text = arguments[1] if arguments[1:] not in ((), ("-",)) else _standard_input()
        if not text.strip():
            raise WrongOption("the text is empty: give TEXT or write it to standard input")
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise WrongOption(NOT_TEXT) from None
        if size > DEFAULTS.message:
            raise WrongOption(
                f"a message has at most {DEFAULTS.message} bytes: send-file sends more"
            )
        return SendText(to, text, self["patient"])


class SendFileOptions(OneShotOptions):
    """Send files and folders: `chatclient send-file`."""

    command, words = "send-file", "PEER FILE..."
    longdesc = (
        "Send files and folders to PEER. The command ends when PEER has received or declined them all. "
        "Repeat an interrupted command to continue where it stopped."
    )

    def asked(self, *arguments: str) -> Work:
        to = self._person(arguments[0] if arguments else "")
        if not arguments[1:]:
            raise WrongOption("the file is missing: give a path after the peer")
        paths: dict[str, None] = {}
        for name in arguments[1:]:
            if not name:
                raise WrongOption("a path is empty: give the path of a file or folder")
            try:
                paths[str(Path(name).resolve(strict=True))] = None
            except OSError as error:
                raise WrongOption(f"{name}: {error.strerror}") from None
            except RuntimeError:  # from Python before 3.13
                raise WrongOption(f"{name}: too many levels of symbolic links") from None
        return SendFiles(to, tuple(paths), self["patient"])


class ReceiveOptions(OneShotOptions):
    """Receive files: `chatclient receive`."""

    command, words = "receive", ""
    longdesc = (
        "Accept calls and files, and print the path of each received file. With --from only one peer is "
        "accepted, otherwise every peer whose key the server confirms. The command ends after --count "
        "files, --timeout seconds or an interrupt."
    )
    optParameters = [
        ["from", None, None, "Accept only calls and files of this peer"],
        ["count", None, None, "End after this many files"],
    ]
    optFlags = [["once", None, "End after one file"]]

    def asked(self, *arguments: str) -> Work:
        if arguments:
            raise WrongOption(f"unknown argument {arguments[0]!r}: name the sender with --from")
        sender = self._person(self["from"]) if self["from"] else ""
        count = 1 if self["once"] else 0
        if self["count"] is not None:
            if not (COUNT.fullmatch(self["count"]) and int(self["count"])):
                raise WrongOption(f"--count takes a number of at least 1, not {self['count']!r}")
            count = int(self["count"])
        return Receive(sender, count)


class InfoOptions(OneShotOptions):
    """List registered clients: `chatclient info`."""

    command, words, wait = "info", "[PREFIX]", SERVER_WAIT
    longdesc = (
        "List registered clients, one id and address a line. With PREFIX: ids that begin with it."
    )

    def asked(self, *arguments: str) -> Work:
        self["only-asks"] = True
        if len(arguments) > 1:
            raise WrongOption("more than one prefix is given: one is possible")
        if arguments and ID.fullmatch(arguments[0]) is None:
            raise WrongOption(
                f"{arguments[0]!r} cannot begin an id: ids have letters, digits, '.', '_', '-'"
            )
        if self["server"] is None:
            raise WrongOption("a server is needed: name one with --server HOST:PORT")
        return ListRegistered(*arguments)


COMMANDS: dict[str, Callable[[], OneShotOptions]] = {
    one.command: one for one in (SendOptions, SendFileOptions, ReceiveOptions, InfoOptions)
}


def main(arguments: Sequence[str]) -> int:
    """Carry out `arguments`; return the exit code. Raises SystemExit for a wrong option."""
    options = COMMANDS[arguments[0]]()
    options.parseOptions(arguments[1:])
    from twisted.internet import reactor

    prepare_reactor(reactor)

    with without_collector():
        from chatproto.cli.oneshot_runner import OneShotRunner

    running: Any = reactor
    try:
        runner = OneShotRunner(running, options, options.work)
    except OSError as error:
        print(f"{options.program}: cannot start: {error.strerror}", file=sys.stderr)
        return COULD_NOT_START
    return runner.run()


def _standard_input() -> str:
    """Read standard input, without a final line end; invalid UTF-8 as in an argument.

    Raises: WrongOption: it is longer than a message may be.
    """
    if sys.stdin is None:
        raise WrongOption("standard input is closed: give the text as an argument")
    try:
        data = sys.stdin.buffer.read(DEFAULTS.message + 2)
    except OSError as error:
        raise WrongOption(f"standard input cannot be read: {error}") from None
    except KeyboardInterrupt:
        raise WrongOption("no text was typed") from None
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if len(data) > DEFAULTS.message:
        raise WrongOption(f"a message has at most {DEFAULTS.message} bytes: send-file sends more")
    return data.decode("utf-8", "surrogateescape")

"""`chatclient send`, `send-file`, `receive` and `info`: one piece of work for a script.

It is done by the client that runs in that home, through control.sock; where none runs, here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from getopt import GetoptError, gnu_getopt
from pathlib import Path
from typing import Any, ClassVar

from chatproto.cli.client_options import Options
from chatproto.cli.collector import without_collector
from chatproto.cli.exit_codes import COULD_NOT_START
from chatproto.cli.options import WrongOption
from chatproto.identity.pins import KEY
from chatproto.net.clock import use_monotonic_time
from chatproto.net.resolver import use_system_resolver
from chatproto.ui.oneshot import SendText, Work
from chatproto.ui.oneshot_files import ListRegistered, Receive, SendFiles
from chatproto.wire.fields import ID, read_number
from chatproto.wire.limits import DEFAULTS

NOT_TEXT = "the text has bytes that are not UTF-8: send-file sends any bytes"
COUNT = re.compile(r"[0-9]{1,9}")
TEXT_WAIT, ANSWER_WAIT = 75.0, 30.0
"""Seconds for a text, somebody's answer to our call included, and for a server's answer."""


class OneShotOptions(Options):
    """The client's options and what a script needs besides; they may stand anywhere in the line.

    `work` is what was asked for; `--timeout` is None for none.
    """

    command: ClassVar[str] = ""
    words: ClassVar[str] = ""
    wait: ClassVar[float | None] = None
    interactive = False

    optParameters = [["timeout", None, None, "Seconds after which it is over in any case"]]
    optFlags = [["json", None, "Tell every event on standard output, one JSON object a line"]]

    work: Work

    @property
    def program(self) -> str:
        return f"chatclient {self.command}"

    def getSynopsis(self) -> str:
        return f"Usage: {self.program} [options] {self.words}"

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        super().parseOptions(self._in_order(list(options or ())))

    def _in_order(self, arguments: list[str]) -> list[str]:
        """Options first, as Twisted wants them; what it cannot read is left for it to say."""
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
            raise WrongOption("what is sent with --plain is not confirmed: type it in the client")
        self["patient"] = self["timeout"] is not None
        if self["patient"]:
            self._seconds_of_work()
        else:
            self["timeout"] = self.wait
        self["unread"] = True
        self.work = self.asked(*self["arguments"])

    def asked(self, *arguments: str) -> Work:
        """The work that `arguments` name. Raises WrongOption."""
        raise NotImplementedError

    def _seconds_of_work(self) -> None:
        try:
            seconds = read_number(self["timeout"])
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < 1e9:
            raise WrongOption(f"--timeout wants a number of seconds, not {self['timeout']!r}")
        self["timeout"] = seconds

    def _person(self, typed: str) -> str:
        """Return the name that `typed` gives, without an `@` before it."""
        name = typed.removeprefix("@")
        if ID.fullmatch(name) is not None or KEY.fullmatch(name) is not None:
            return name
        client_id, at, where = name.partition("@")
        if at and where and ID.fullmatch(client_id) is not None:
            return name  # somebody who is pinned at that server
        raise WrongOption(f"{typed!r} is nobody's id" if typed else "to whom?")


class SendOptions(OneShotOptions):
    """Send a text: `chatclient send`."""

    command, words, wait = "send", "WHO [TEXT]", TEXT_WAIT
    longdesc = (
        "Sends TEXT, or without it (or with -) what comes on standard input, and ends when it is in "
        "WHO's log. With --timeout somebody who is away is waited for. For somebody whom you have "
        "talked with before it is kept in the outbox (exit code 4) and goes with your next start."
    )

    def asked(self, *arguments: str) -> Work:
        if not 1 <= len(arguments) <= 2:
            raise WrongOption(
                "send wants one id, and one text: quote it" if arguments else "to whom?"
            )
        to = self._person(arguments[0])
        text = arguments[1] if arguments[1:] not in ((), ("-",)) else _standard_input()
        if not text.strip():
            raise WrongOption("there is nothing to send")
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

    command, words = "send-file", "WHO FILE..."
    longdesc = (
        "Sends files and folders, and ends when WHO has them whole under their names, or does not want "
        "them. Broken off, it goes on where it was when the same is sent again."
    )

    def asked(self, *arguments: str) -> Work:
        to = self._person(arguments[0] if arguments else "")
        if not arguments[1:]:
            raise WrongOption("send-file wants a file")
        paths: dict[str, None] = {}
        for name in arguments[1:]:
            if not name:
                raise WrongOption("send-file wants a file, not an empty name")
            try:
                paths[str(Path(name).resolve(strict=True))] = None
            except OSError as error:
                raise WrongOption(f"{name}: {error.strerror}") from None
            except RuntimeError:  # of Python before 3.13
                raise WrongOption(f"{name}: links that lead to themselves") from None
        return SendFiles(to, tuple(paths), self["patient"])


class ReceiveOptions(OneShotOptions):
    """Take files."""

    command, words = "receive", ""
    longdesc = (
        "Takes calls and files, of --from or of anybody whom the server confirms, and prints the path of "
        "each that is there whole. Goes on until --count, --timeout or an interrupt."
    )
    optParameters = [
        ["from", None, None, "Whose calls and files are taken; others are not answered"],
        ["count", None, None, "End after so many files"],
    ]
    optFlags = [["once", None, "End after one file"]]

    def asked(self, *arguments: str) -> Work:
        if arguments:
            raise WrongOption(f"receive wants no {arguments[0]!r}: --from names somebody")
        sender = self._person(self["from"]) if self["from"] else ""
        count = 1 if self["once"] else 0
        if self["count"] is not None:
            if not (COUNT.fullmatch(self["count"]) and int(self["count"])):
                raise WrongOption(f"--count wants a number, not {self['count']!r}")
            count = int(self["count"])
        return Receive(sender, count)


class InfoOptions(OneShotOptions):
    """List registered clients: `chatclient info`."""

    command, words, wait = "info", "[PREFIX]", ANSWER_WAIT
    longdesc = (
        "Prints who is registered, an id and an address a line, those that begin with PREFIX."
    )

    def asked(self, *arguments: str) -> Work:
        self["only-asks"] = True
        if len(arguments) > 1:
            raise WrongOption("info wants one prefix")
        if arguments and ID.fullmatch(arguments[0]) is None:
            raise WrongOption(f"no id begins with {arguments[0]!r}")
        if self["server"] is None:
            raise WrongOption("info asks a server, and there is none (--server none)")
        return ListRegistered(*arguments)


COMMANDS: dict[str, Callable[[], OneShotOptions]] = {
    one.command: one for one in (SendOptions, SendFileOptions, ReceiveOptions, InfoOptions)
}


def main(arguments: Sequence[str]) -> int:
    """Do what `arguments` say; the exit code. Raises SystemExit for a wrong option."""
    options = COMMANDS[arguments[0]]()
    options.parseOptions(arguments[1:])
    from twisted.internet import reactor

    use_monotonic_time(reactor)
    use_system_resolver(reactor)

    with without_collector():
        from chatproto.cli.oneshot_runner import OneShotRunner

    running: Any = reactor
    try:
        errand = OneShotRunner(running, options, options.work)
    except OSError as error:
        print(f"{options.program}: cannot start: {error.strerror}", file=sys.stderr)
        return COULD_NOT_START
    return errand.run()


def _standard_input() -> str:
    """Read standard input, without a last line end; invalid UTF-8 as in an argument.

    Raises: WrongOption: it is longer than a message may be.
    """
    if sys.stdin is None:
        raise WrongOption("standard input is closed: there is nothing to send")
    try:
        data = sys.stdin.buffer.read(DEFAULTS.message + 2)
    except OSError as error:
        raise WrongOption(f"standard input cannot be read: {error}") from None
    except KeyboardInterrupt:
        raise WrongOption("nothing was typed") from None
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if len(data) > DEFAULTS.message:
        raise WrongOption(f"a message has at most {DEFAULTS.message} bytes: send-file sends more")
    return data.decode("utf-8", "surrogateescape")

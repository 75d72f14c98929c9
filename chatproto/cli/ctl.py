"""Send commands to a running server: `chatserver ctl COMMAND`."""

from __future__ import annotations

import contextlib
import importlib
import json
import socket
import sys
from argparse import REMAINDER
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chatproto.cli.argument_parser import Parser
from chatproto.cli.options import WrongOption, server_home
from chatproto.server.ctl import DONE, NAME
from chatproto.wire.reasons import Reason

ABOUT = (
    "Give a command to the server that runs in the home folder, as on its terminal. "
    "Without COMMAND, read a command from each line of input."
)
PROMPT = "ctl> "
WELCOME = "* /help lists the commands, Ctrl-D ends this prompt, /quit ends the server"
WAIT = 60.0
"""Seconds without a byte after which the connection is closed."""
WRONG_USAGE = 1
NO_SERVER = 2
REFUSED = 3
_USAGE_CODES = (Reason.MALFORMED.code, Reason.TOO_LARGE.code)


class ServerGone(Exception):
    """No server listens, or it has closed the connection; the text is one sentence."""


class CtlClient:
    """Connection to the server of `home`. Raises ServerGone if there is none."""

    def __init__(self, home: Path) -> None:
        path = home / NAME
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(WAIT)
        try:
            self._socket.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            self._socket.close()
            raise ServerGone(f"no server runs in {home}: --home names its folder") from None
        except OSError as error:
            self._socket.close()
            raise ServerGone(f"cannot connect to {path}: {error.strerror or error}") from None
        self._answers = self._socket.makefile("rb")

    def ask(self, command: str) -> Iterator[dict[str, Any]]:
        """Yield the answers to `command`; the last has `done` and `code`. Raises ServerGone."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # A server that has closed the connection has sent the reason before.
            self._socket.sendall(command.encode("utf-8", "replace") + b"\n")
        while True:
            try:
                line = self._answers.readline()
                answer: dict[str, Any] = json.loads(line) if line else {}
            except TimeoutError:
                raise ServerGone("the server does not answer") from None
            except (OSError, ValueError):
                answer = {}
            if not answer:
                raise ServerGone("the server has closed the connection")
            yield answer
            if "done" in answer:
                return

    def close(self) -> None:
        """End the connection."""
        self._answers.close()
        self._socket.close()


def make_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        "chatserver ctl",
        usage="%(prog)s [--home HOME] [--json] [COMMAND ...]",
        description=ABOUT,
        allow_abbrev=False,
    )
    parser.add_argument("--home", help="home folder of the server, as its --home")
    parser.add_argument("--json", action="store_true", help="print a JSON object per line")
    parser.add_argument("command", metavar="COMMAND", nargs=REMAINDER, help="such as: kick bob")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: that of the last command that failed, or 0.

    Raises SystemExit for a wrong option.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    command = " ".join(options.command)
    if "\n" in command:
        parser.error("a command is one line")
    try:
        home = server_home(options.home)
    except (ValueError, WrongOption) as error:
        parser.error(str(error))
    code = 0
    try:
        with contextlib.closing(CtlClient(home)) as client:
            for line in [command] if options.command else _typed(options.json):
                code = _run_line(client, line, options.json) or code
    except ServerGone as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        if options.json:
            print(json.dumps({"done": True, "code": Reason.NO_SERVER.code}))
        return NO_SERVER
    return code


def _typed(quiet: bool) -> Iterator[str]:
    """Yield the lines of standard input, after a prompt on a terminal unless `quiet`."""
    if not sys.stdin.isatty():
        for line in sys.stdin.buffer:
            yield line.decode("utf-8", "replace")
        return
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")  # lets `input` edit and repeat lines
    if not quiet:
        print(WELCOME)
    while True:
        try:
            yield input("" if quiet else PROMPT)
        except EOFError:
            if not quiet:
                print()
            return


def _run_line(client: CtlClient, line: str, as_json: bool) -> int:
    """Send one command, print its answers, and return its exit code; a blank line is ignored.

    The `/` before a command is optional.
    """
    command = line.strip()
    if not command:
        return 0
    code = ""
    for answer in client.ask(command if command.startswith("/") else f"/{command}"):
        if as_json:
            print(json.dumps(answer))
        elif "line" in answer:
            encoding = sys.stdout.encoding or "utf-8"
            print(str(answer["line"]).encode(encoding, "replace").decode(encoding))
        code = answer.get("code", "")
    sys.stdout.flush()
    if code in _USAGE_CODES:
        return WRONG_USAGE
    return 0 if code == DONE else REFUSED

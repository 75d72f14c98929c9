"""The chatclient program: its options, and how its parts are put together."""

from __future__ import annotations

import getpass
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import platformdirs
from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString

from chatproto.directory.client import ClassicServer
from chatproto.node.events import Failed
from chatproto.node.home import Home, HomeTrouble
from chatproto.node.node import Node
from chatproto.node.service import CannotStart, ChatClient
from chatproto.node.settings import Settings
from chatproto.stdio.input import Lines
from chatproto.stdio.output import Output
from chatproto.taps.options import (
    ProgramOptions,
    WrongOption,
    cannot_start,
    descriptor,
    endpoint_text,
)
from chatproto.ui.jsonlines import JsonLines
from chatproto.ui.plain import Plain
from chatproto.wire.dialects import DIALECTS
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import ID, read_client_id, read_host_port
from chatproto.wire.limits import DEFAULTS

ANSWERS = ("all", "known", "none")
INTERFACES = ("auto", "plain", "json")


def login_id() -> str:
    """The login name as an id: what an id cannot have is left out; none left: `user`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    kept = re.sub(r"[^A-Za-z0-9._-]", "", name).lstrip("._-")[:64]
    return kept if ID.fullmatch(kept) else "user"


class Options(ProgramOptions):
    """The options of `twistd chatclient`."""

    synopsis = "chatclient [options]"
    longdesc = "Chat from one terminal to another. Type /help once it runs."
    logs_to = "chatclient.log"

    optParameters = [
        [
            "id",
            None,
            None,
            "Who you are: letters, digits, '.', '_', '-' (default: your login name)",
        ],
        ["port", "p", "0", "Where others reach you: a port or a Twisted server endpoint (0: any)"],
        ["server", None, "127.0.0.1:5555", "host:port of the server, or 'none'"],
        ["dialect", None, "canon", f"How others are called: {', '.join(DIALECTS)}"],
        ["ui", None, "auto", "plain, json, or auto (plain)"],
        ["home", None, None, "Folder for your log and lock (default: one for each id)"],
        ["announce", None, None, "host:port to tell others instead of what is found out"],
        [
            "answer",
            None,
            "known",
            "Calls taken at once: all, known, none; the others are asked about",
        ],
    ]
    optFlags = [
        ["plain", None, "Speak the classic dialect to the server, with --open"],
        ["open", None, "Let unencrypted peers in, and call people who have no key"],
        ["half-duplex", None, "Take turns"],
    ]

    def check(self) -> None:
        """Turn the words into values. Raises WrongOption with one sentence."""
        try:
            self["id"] = read_client_id(self["id"]) if self["id"] is not None else login_id()
        except RemoteError:
            raise WrongOption(
                f"--id {self['id']!r} is no id: it begins with a letter or digit and has at most 64 "
                "letters, digits, '.', '_', '-'"
            ) from None
        self["port"] = endpoint_text(self["port"])
        self["server"] = None if self["server"] == "none" else self._address("server")
        if self["announce"] is not None:
            self["announce"] = self._address("announce")
        self._one_of("dialect", tuple(DIALECTS))
        self._one_of("ui", INTERFACES)
        self._one_of("answer", ANSWERS)
        default = Path(platformdirs.user_data_dir("chatproto")) / self["id"]
        self["home"] = Path(self["home"]).expanduser() if self["home"] else default

    def prepare(self) -> Path:
        """Open the home, where the log goes. Raises CannotStart."""
        self["opened"] = Home(self["home"])
        try:
            self["opened"].open()
        except HomeTrouble as error:
            raise CannotStart(str(error)) from None
        return Path(self["home"])

    def _address(self, name: str) -> tuple[str, int]:
        try:
            return read_host_port(self[name])
        except RemoteError:
            raise WrongOption(f"--{name} wants host:port, not {self[name]!r}") from None

    def _one_of(self, name: str, known: tuple[str, ...]) -> None:
        if self[name] not in known:
            raise WrongOption(f"--{name} is one of {', '.join(known)}, not {self[name]!r}")


def makeService(options: Options) -> IService:
    """The client as `options` want it."""
    from twisted.internet import reactor

    settings = Settings(
        options["id"],
        dialect=options["dialect"],
        half_duplex=bool(options["half-duplex"]),
        answer=options["answer"],
        announce=options["announce"],
    )
    server: ClassicServer | None = None
    if options["server"] is not None:
        host, port = options["server"]
        server = ClassicServer(reactor, host, port)
    if not settings.client_id.isalnum():
        print(f"chatclient: some programs refuse the id {settings.client_id}", file=sys.stderr)
    parts: dict[str, Any] = {}

    def finished(code: int) -> None:
        parts["client"].finished(code)

    node = Node(reactor, settings, server, DEFAULTS, finished)
    screen = Output(
        reactor,
        descriptor(sys.__stdout__, os.O_WRONLY),
        dropped_line=lambda count: parts["ui"].dropped_line(count),
        on_full=node.calls.links.hold,
    )
    ui: Plain | JsonLines
    if options["ui"] == "json":
        ui = JsonLines(node, screen.write_line, time.time)
    else:
        ui = Plain(node, screen.write_line)
    parts["ui"] = ui
    node.tell = ui.tell

    def refused(sentence: str) -> None:
        ui.tell(Failed(sentence, status=413))

    keyboard = Lines(
        reactor, descriptor(sys.__stdin__, os.O_RDONLY), ui.on_line, ui.on_end, refused
    )
    client = parts["client"] = ChatClient(
        reactor,
        node,
        serverFromString(reactor, options["port"]),
        options["opened"],
        keyboard,
        screen,
        options["server"],
        options["announce"],
        cannot_start,
    )
    return client

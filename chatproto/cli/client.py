"""The chatclient program: how its parts are put together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from chatproto.cli.client_options import Options
from chatproto.cli.interrupt import Interrupt
from chatproto.cli.options import (
    cannot_start,
    descriptor,
)
from chatproto.cli.secret_line import SecretLine
from chatproto.cli.servers import introducer
from chatproto.client.active_target import ActiveTarget
from chatproto.client.app import App
from chatproto.client.events import Event, Failed, Notice
from chatproto.client.files import Files
from chatproto.client.known_dialects import KnownDialects
from chatproto.client.nearby import Neighbours
from chatproto.client.service import ChatClient
from chatproto.client.settings import ClientSettings
from chatproto.client.shared_port import shared_port
from chatproto.client.trust_store import TrustStore
from chatproto.identity.tls import Tls
from chatproto.nearby.ports import Ports
from chatproto.net.clock import use_monotonic_time, wall
from chatproto.net.resolver import use_system_resolver
from chatproto.stdio.input import LineInput
from chatproto.stdio.output import Output
from chatproto.transfer.threads import Threads
from chatproto.ui.control import Control, ControlSocket
from chatproto.ui.jsonlines import JsonLines, carry_out_json
from chatproto.ui.plain import PlainInterface
from chatproto.wire.limits import DEFAULTS
from chatproto.wire.reasons import Reason

__all__ = ["Options", "makeService"]


def make_node(reactor: Any, options: Options, finished: Callable[[int], None]) -> App:
    """Build the client from its options. `finished` gets the exit code."""
    plain = bool(options["plain"])
    settings = ClientSettings(
        options["id"],
        plain=plain,
        open=plain or bool(options["open"]),
        dialect=options["dialect"],
        dialect_chosen=bool(options["dialect-chosen"]),
        farewells=tuple(options["farewell"]),
        half_duplex=bool(options["half-duplex"]),
        answer=options["answer"],
        announce=tuple(options["announce"]),
        path=options["path"],
        accept=options["accept"],
        rate=options["rate"],
        unread=bool(options.get("unread")),
    )
    known: TrustStore | None = None
    limits = replace(DEFAULTS, peer_ping=options["ping"])
    if not plain:
        known = TrustStore(Tls(options["identity"]), options["pins"], reactor.seconds, limits)
    node = App(reactor, settings, limits, known, finished, options.get("ledger"), now=wall)
    node.dialects = KnownDialects(options["home"] / "dialects")
    if options["server"] is not None:
        node.place.server = options["server"]
        node.server = introducer(reactor, options, node, known)
    if not plain:
        threads = Threads(reactor, reactor.getThreadPool())
        node.files = Files(node, threads, options["home"], options["downloads"])
        if options["beacon"]:
            assert known is not None
            node.neighbours = Neighbours(node, options["id"], known, partial(Ports, reactor))
    return node


def own_port(reactor: Any, options: Options) -> IStreamServerEndpoint:
    """Return the endpoint that peers connect to.

    Without `--plain`, a TCP port is also the source of our own connections.
    """
    shared = None if options["plain"] else shared_port(reactor, options["port"])
    return shared or serverFromString(reactor, options["port"])


def control(node: App, screen: Callable[[Event], None]) -> Control:
    """Build the control socket's commands; each script has an active conversation of its own."""

    def new_speaker() -> Callable[[str], Event | None]:
        standing = ActiveTarget(node.calls.all)
        return lambda line: standing.run(lambda: carry_out_json(line, node))

    return Control(screen, new_speaker, wall, node.limits)


def _password_again(
    node: App, options: Options, terminal: int, ui: PlainInterface, tell: Callable[[Event], None]
) -> SecretLine:
    """Ask at the terminal for the password again after the server has refused it."""

    def got(password: str) -> None:
        options["password"], options["typed-password"] = password, True
        node.register()

    secret = SecretLine(terminal, ui.on_line, got)

    def told(event: Event) -> None:
        tell(event)
        if isinstance(event, Failed) and (event.command, event.status) == ("register", 403):
            user = options["user"]
            tell(Notice(f"Password of {user}: type it again, it is not shown; Enter asks no more"))
            secret.ask()

    node.tell = told
    return secret


def makeService(options: Options) -> IService:
    """The client as `options` want it."""
    from twisted.internet import reactor

    use_monotonic_time(reactor)
    use_system_resolver(reactor)

    if options["plain"] and not options["id"].isalnum():
        print(f"chatclient: some programs refuse the id {options['id']}", file=sys.stderr)
    parts: dict[str, Any] = {}

    def finished(code: int) -> None:
        if "secret" in parts:
            parts["secret"].stop()
        parts["client"].finished(code)

    node = make_node(reactor, options, finished)
    screen = Output(
        reactor,
        descriptor(sys.__stdout__, os.O_WRONLY),
        dropped_line=lambda count: parts["ui"].dropped_line(count),
        on_full=node.calls.hold,
    )
    ui: PlainInterface | JsonLines
    if options["ui"] == "json":
        ui = JsonLines(node, screen.write_line, wall)
    else:
        typed = os.isatty(descriptor(sys.__stdin__, os.O_RDONLY))
        clock = reactor if typed and not options["plain"] else None
        node.calls.all.typed = clock is not None
        times = bool(options["time"])
        ui = PlainInterface(
            node, screen.write_line, wall, clock, lambda: parts["keyboard"].pending, times
        )
    parts["ui"] = ui
    scripts = control(node, ui.tell)
    unix: Any = reactor  # as every reactor is where there are such sockets
    node.tell = scripts.tell
    node.flushed = screen.flush

    def failed(sentence: str) -> None:
        ui.tell(Failed(sentence, status=500, code=Reason.INTERNAL))

    typed_in = descriptor(sys.__stdin__, os.O_RDONLY)
    if isinstance(ui, JsonLines):  # a text escaped in JSON is longer, and a path may be any bytes
        most, errors = node.limits.control_line, "surrogateescape"
    else:
        most, errors = node.limits.message, "strict"
    on_line = ui.on_line
    if isinstance(ui, PlainInterface) and options["user"] is not None and os.isatty(typed_in):
        secret = parts["secret"] = _password_again(node, options, typed_in, ui, scripts.tell)
        on_line = secret.on_line
    keyboard = parts["keyboard"] = LineInput(
        reactor, typed_in, on_line, ui.on_end, ui.on_refused, most, errors, failed
    )

    def hold(held: bool) -> None:
        keyboard.pause() if held else keyboard.resume()
        scripts.hold(held)

    node.hold_input = hold
    client = parts["client"] = ChatClient(
        reactor,
        node,
        own_port(reactor, options),
        options["opened"],
        keyboard,
        screen,
        cannot_start,
        ControlSocket(unix, options["home"], scripts),
    )
    program = MultiService()
    client.setServiceParent(program)
    Interrupt(reactor, ui.on_interrupt).setServiceParent(program)
    return program

"""The chatclient program: put its parts together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from chatproto.cli.client_options import Options
from chatproto.cli.options import (
    cannot_start,
    descriptor,
)
from chatproto.cli.reactor_run import prepare_reactor
from chatproto.cli.secret_line import SecretLine
from chatproto.cli.servers import connect
from chatproto.cli.signals import Interrupt
from chatproto.client.app import Client, Storage, build_client, no_server
from chatproto.client.context import Context, Signal
from chatproto.client.conversations import ActiveTarget
from chatproto.client.events import Event, Failed, Notice
from chatproto.client.known_dialects import KnownDialects
from chatproto.client.nearby import Neighbours
from chatproto.client.own_addresses import OwnAddresses
from chatproto.client.rooms.remembered_rooms import RememberedRooms
from chatproto.client.service import ChatClient, LineSink, LineSource
from chatproto.client.settings import ClientSettings
from chatproto.client.shared_port import shared_port
from chatproto.client.trust_store import TrustStore
from chatproto.identity.tls import Tls
from chatproto.net.clock import wall
from chatproto.stdio.input import LineInput
from chatproto.stdio.output import Output
from chatproto.transfer.threads import Threads
from chatproto.ui.control import Control, ControlSocket
from chatproto.ui.jsonlines import JsonLines, run_json
from chatproto.ui.plain import PlainInterface
from chatproto.ui.quiet import QuietInterface
from chatproto.ui.references import References
from chatproto.ui.screen.glyphs import encoding_for
from chatproto.wire.errors import CannotStart
from chatproto.wire.limits import CLIENT_DEFAULTS
from chatproto.wire.reasons import Reason


def make_client(
    reactor: Any,
    options: Options,
    *,
    typed: bool = False,
    flushed: Callable[[], Deferred[None]] = lambda: succeed(None),
    remembered: RememberedRooms | None = None,
) -> Client:
    """Build the client for `options`.

    Args: typed: lines are typed by a user at a terminal. flushed: fires when everything published is
    written to the screen. remembered: rooms to join again.
    """
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
        typed=typed,
        config=str(options["config-file"].path) if options["config-file"] is not None else "",
        configured=tuple(options["from-file"].items()),
        time_format=options["time-format"],
    )
    limits = replace(CLIENT_DEFAULTS, peer_ping=options["ping"])
    own_addresses = OwnAddresses(settings.announce, server=options["server"])
    context = Context(settings, limits, reactor, wall, flushed=flushed, own_addresses=own_addresses)
    storage: Storage | None = None
    if not plain:
        trust = TrustStore(Tls(options["identity"]), options["pins"], reactor.seconds)
        context = replace(context, trust=trust)
        worker = Threads(reactor, reactor.getThreadPool())
        storage = Storage(worker, options["home"], options["downloads"])

    def beacons(context: Context, came: Signal[str]) -> Neighbours:
        from chatproto.nearby.ports import Ports  # only with --beacon: for a quick start

        return Neighbours(context, came, partial(Ports, reactor))

    return build_client(
        context,
        connect=partial(connect, reactor, options) if options["server"] else no_server,
        ledger=options.get("ledger"),
        storage=storage,
        beacons=beacons if options["beacon"] else None,
        dialects=KnownDialects(options["home"] / "dialects"),
        remembered=remembered,
    )


def remembered_rooms(options: Options) -> RememberedRooms:
    """Return the rooms to join again: those of the last run, and those of --autojoin.

    A program that uses `--ui json` names its rooms itself, unless --rejoin is given.
    """
    keeps = not options["plain"] and (options["ui"] != "json" or options["rejoin"])
    return RememberedRooms(options["home"] / "rooms" if keeps else None, options["autojoin"])


def own_port(reactor: Any, options: Options) -> IStreamServerEndpoint:
    """Return the endpoint that peers connect to.

    Without `--plain`, a TCP port is also the source of our own connections.
    """
    shared = None if options["plain"] else shared_port(reactor, options["port"])
    return shared or serverFromString(reactor, options["port"])


def control(client: Client, screen: Callable[[Event], None]) -> Control:
    """Create the interface for scripts to `client`, with a target for each of them.

    `screen` is called with every event as well.
    """

    def new_speaker() -> Callable[[str, References], Event | None]:
        target = ActiveTarget(client.conversations)
        return lambda line, references: target.run(lambda: run_json(line, client, references))

    return Control(screen, new_speaker, wall, client.context.limits, client.context.clock)


def _password_again(client: Client, options: Options, secret: SecretLine, got: Signal[str]) -> None:
    """Ask for the password again at the terminal after the server has refused it.

    Call this after `joined_parts`, so that the refusal is shown before the question.
    """

    def ask(sentence: str, typed: Callable[[str], None]) -> None:
        client.context.publish(Notice(f"{sentence} (it is not shown, and an empty line gives up)"))
        secret.ask()

    got.listen(ask_password_again(client, options, ask))
    client.finished.listen(lambda code: secret.stop())


def ask_password_again(
    client: Client, options: Options, ask: Callable[[str, Callable[[str], None]], None]
) -> Callable[[str], None]:
    """Call `ask` when the server refuses the password; the returned function takes the typed one.

    A server that delays logins after that (429) needs no other password, and the user is notified.
    """
    asked = False

    def got(password: str) -> None:
        options["password"], options["typed-password"] = password, True
        client.directory.register()

    def told(event: Event) -> None:
        nonlocal asked
        if isinstance(event, Failed) and (event.command, event.status) == ("register", 403):
            asked = True
            ask(f"type the password of {options['user']} again", got)
        elif asked and isinstance(event, Notice) and event.code is Reason.RATE_LIMITED:
            asked = False
            client.context.publish(Notice("no password is asked for now, what you type is shown"))

    client.context.publish.listen(told)
    return got


def client_program(options: Options) -> IService:
    """Return the client for `options`, without the full interface (`chatproto.cli.screen_program`)."""
    from twisted.internet import reactor

    prepare_reactor(reactor)

    if options["ui"] == "none":
        return _with_nothing(reactor, options)
    return _with_lines(reactor, options)


def _with_nothing(reactor: Any, options: Options) -> IService:
    """Create the client without an interface, for scripts and IRC clients."""
    printed = Output(reactor, descriptor(sys.__stdout__, os.O_WRONLY))
    ui = QuietInterface(printed.write_line, wall)
    client = make_client(
        reactor, options, flushed=printed.flush, remembered=remembered_rooms(options)
    )
    program = joined_parts(reactor, options, client, ui.tell, ui, printed, cannot_start)
    Interrupt(reactor, client.interrupted).setServiceParent(program)
    return program


def _with_lines(reactor: Any, options: Options) -> IService:
    """Create the client with the plain or the JSON interface."""
    typed_in = descriptor(sys.__stdin__, os.O_RDONLY)
    typed, is_json = os.isatty(typed_in), options["ui"] == "json"
    full: Signal[bool] = Signal()
    shown_on = descriptor(sys.__stdout__, os.O_WRONLY)
    screen = Output(
        reactor,
        shown_on,
        dropped_line=lambda count: ui.dropped_line(count),
        on_full=full,
        encoding=encoding_for(os.environ) if os.isatty(shown_on) else "utf-8",
    )
    client = make_client(
        reactor,
        options,
        typed=typed and not is_json and not options["plain"],
        flushed=screen.flush,
        remembered=remembered_rooms(options),
    )
    context = client.context
    full.listen(client.connections.hold)
    ui: PlainInterface | JsonLines
    if is_json:
        ui = JsonLines(client, screen.write_line, wall)
    else:
        clock = reactor if context.settings.typed else None
        times = bool(options["time"])
        form = options["time-format"]
        ui = PlainInterface(
            client, screen.write_line, wall, clock, lambda: keyboard.pending, times, form
        )

    def failed(sentence: str) -> None:
        ui.tell(Failed(sentence, status=500, code=Reason.INTERNAL))

    if is_json:  # a text escaped in JSON is longer, and a path may contain any bytes
        most, errors = context.limits.control_line, "surrogateescape"
    else:
        most, errors = context.limits.message, "strict"
    password: Signal[str] = Signal()
    secret = SecretLine(typed_in, ui.on_line, password)
    asks = isinstance(ui, PlainInterface) and options["user"] is not None and typed
    on_line = secret.on_line if asks else ui.on_line
    keyboard = LineInput(reactor, typed_in, on_line, ui.on_end, ui.on_refused, most, errors, failed)
    context.hold_input.listen(lambda held: keyboard.pause() if held else keyboard.resume())
    program = joined_parts(reactor, options, client, ui.tell, keyboard, screen, cannot_start)
    if asks:
        _password_again(client, options, secret, password)
    Interrupt(reactor, ui.on_interrupt).setServiceParent(program)
    return program


def shown(client: Client, tell: Callable[[Event], None]) -> Control:
    """Pass every event to `tell` and to scripts, before later listeners act on it."""
    scripts = control(client, tell)
    client.context.publish.listen(scripts.tell)
    client.context.hold_input.listen(scripts.hold)
    return scripts


def joined_parts(
    reactor: Any,
    options: Options,
    client: Client,
    tell: Callable[[Event], None],
    keyboard: LineSource,
    screen: LineSink,
    cannot_start: Callable[[CannotStart], None],
) -> MultiService:
    """Join the parts of the program, for any interface.

    Args: tell: shows events. cannot_start: ends the program because a port or socket cannot be opened.
    """
    program = MultiService()
    if options["irc"] is not None or options["irc-socket"] is not None:
        from chatproto.cli.irc import serve_irc  # only here: most programs have none

        face = serve_irc(reactor, options, client, program, cannot_start)
        scripts = shown(client, face.beside(tell, spoken=options["ui"] == "plain"))
        face.listen()
    else:
        scripts = shown(client, tell)
    service = chat_service(
        reactor, options, client, scripts, keyboard, screen, cannot_start, reactor.stop
    )
    service.setServiceParent(program)
    return program


def chat_service(
    reactor: Any,
    options: Options,
    client: Client,
    scripts: Control | None,
    keyboard: LineSource,
    screen: LineSink,
    cannot_start: Callable[[CannotStart], None],
    over: Callable[[], None],
) -> ChatClient:
    """Return the service that runs `client`, with the arguments of `ChatClient`.

    Args: scripts: connections by control.sock; None: not allowed.
    """
    return ChatClient(
        reactor,
        client,
        own_port(reactor, options),
        options["opened"],
        keyboard,
        screen,
        cannot_start,
        over,
        None if scripts is None else ControlSocket(reactor, options["home"], scripts),
        bool(options["beacon"]),
    )

"""The chatserver program: its options, and how its parts are put together."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import platformdirs
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from chatproto.directory.keyed import KeyedDirectory, no_tickets
from chatproto.directory.lease import is_loopback
from chatproto.directory.names import Names
from chatproto.identity.keys import KeyTrouble, open_identity
from chatproto.identity.tls import Tls
from chatproto.node.service import CannotStart, host_towards
from chatproto.rooms.lobby import Lobby
from chatproto.rooms.lobby_port import LobbyPort
from chatproto.server.blur import blurred
from chatproto.server.keeper import Keeper
from chatproto.server.lobby_service import LobbyService
from chatproto.server.relay_side import RelaySide, with_relay
from chatproto.server.room_orders import read_order
from chatproto.server.room_side import RoomSide
from chatproto.server.secure import SecureSide
from chatproto.server.service import ChatServer
from chatproto.server.terminal import Terminal
from chatproto.stdio.input import Lines
from chatproto.stdio.output import Output
from chatproto.stores.open import Store, open_store, sqlite_path
from chatproto.taps.auth import AuthOptions, keys_looked_after
from chatproto.taps.options import (
    RotatedLog,
    WrongOption,
    cannot_start,
    descriptor,
    endpoint_text,
)
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.fields import host_port
from chatproto.wire.limits import DEFAULTS, Limits

_STARTING_FAILS = (StoreTrouble, CannotListenError, OSError, ValueError, OverflowError)


def seconds(text: str) -> float:
    """`text` as seconds: a number, with s, m, h or d behind it if it is not seconds.

    Raises ValueError.
    """
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
    value = float(text[:-1] if unit else text) * (unit or 1)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def server_home(text: str | None) -> Path:
    """The folder that `--home` names; the platform's if it names none."""
    default = Path(platformdirs.user_data_dir("chatproto")) / "server"
    return Path(text).expanduser() if text else default


class ServerOptions(AuthOptions):
    """The options of `twistd chatserver`."""

    longdesc = (
        "Introduces people who then talk directly. Type /help once it runs: it reads commands from "
        "its standard input. `chatserver passwd --help` tells how to make accounts."
    )
    logs_to = "chatserver.log"

    optParameters = [
        ["lobby", None, None, "Port or endpoint of a broadcast chat in bare text (default: none)"],
        [
            "store",
            None,
            "sqlite:",
            "sqlite:PATH (default: in the home); memory: forgets at the end",
        ],
        ["home", None, None, "Folder for key and log (default: the platform's, chatproto/server)"],
        ["classic-lease", None, None, "A classic registration lasts so long after a request (12h)"],
        ["lease", None, None, "A registration with a key outlives its connection so long (3600s)"],
        ["keep-names", None, None, "An id belongs to its key this long after its last use (30d)"],
        ["relay", None, "on", "off, or bytes a second for each pipe such as on:1M"],
    ]
    optFlags = [
        ["durable", None, "What was acknowledged survives a loss of power too (sqlite:, slower)"],
        ["trace", None, "Print every message that comes and goes"],
        ["quiet", None, "Print nothing but answers to commands"],
        ["blur", None, "Leave the end of each address out of what is printed and logged"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["port"] = []
        self["limits"] = []

    def opt_port(self, text: str) -> None:
        """Port or Twisted server endpoint, may be repeated [default: 5555 on all addresses]"""
        self["port"].append(text)

    opt_p = opt_port

    def opt_limits(self, text: str) -> None:
        """NAME=VALUE sets a limit, may be repeated; `list` prints their names and values"""
        if text == "list":
            for field in fields(DEFAULTS):
                print(f"{field.name}={getattr(DEFAULTS, field.name):.12g}")
            raise SystemExit(0)
        self["limits"].append(text)

    def check(self) -> None:
        """Turn words into values. Raises WrongOption with one sentence."""
        self["port"] = self["port"] or ["5555"]
        for text in (*self["port"], self["lobby"]):
            if text is not None:
                endpoint_text(text)
        try:
            limits = DEFAULTS.with_values(self["limits"])
        except ValueError as error:
            raise WrongOption(f"{error} (--limits list tells them)") from None
        limits = self._with_times(limits)
        try:
            relayed = with_relay(limits, self["relay"])
        except ValueError as error:
            raise WrongOption(str(error)) from None
        self["relay"] = relayed is not None
        limits = relayed or limits
        self.check_auth()
        self["limits"] = limits
        self["home"] = server_home(self["home"])
        try:
            self["store"] = sqlite_path(self["store"], self["home"])
        except ValueError as error:
            raise WrongOption(f"--store: {error}") from None
        if self["durable"] and self["store"] is None:
            raise WrongOption("--durable is for --store sqlite:, memory: is lost with the process")
        if self["blur"]:
            RotatedLog.shown = blurred

    def _with_times(self, limits: Limits) -> Limits:
        """`limits` with the options that are times. Raises WrongOption."""
        times: dict[str, Any] = {}
        for option in ("classic-lease", "lease", "keep-names"):
            if self[option] is None:
                continue
            try:
                times[option.replace("-", "_")] = seconds(self[option])
            except ValueError:
                raise WrongOption(
                    f"--{option} wants a time such as 12h or 600s, not {self[option]!r}"
                ) from None
        if "lease" in times:
            lease = times["lease"] = int(times["lease"])
            if not limits.lease_least <= lease <= limits.lease_most:
                raise WrongOption(
                    f"--lease is from {limits.lease_least} to {limits.lease_most} s, not {lease}"
                )
        return replace(limits, **times)

    def prepare(self) -> Path:
        """Make the home and the key in it. Raises CannotStart."""
        home: Path = self["home"]
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CannotStart(f"cannot use --home {home}: {error.strerror}") from None
        try:
            self["identity"] = open_identity(home)
        except KeyTrouble as error:
            raise CannotStart(str(error)) from None
        self.open_auth()
        return home


class ChatServerProgram(MultiService):
    """The server, its lobby, its terminal; ends with exit code 2 if a port cannot be had.

    Everything is put together at the start: `twistd` may have become a daemon by then, with other
    descriptors than those it was started with.
    """

    log = Logger()

    def __init__(self, reactor: Any, options: ServerOptions) -> None:
        super().__init__()
        self._reactor = reactor
        self._options = options
        self._limits: Limits = options["limits"]

    def startService(self) -> None:
        """Open the ports, then read what the operator types."""
        self._output = Output(
            self._reactor, descriptor(sys.__stdout__, os.O_WRONLY), self._limits.terminal_unsent
        )
        try:
            self._put_together()
            super().startService()
        except _STARTING_FAILS as error:
            self._output.close()
            cannot_start(CannotStart(_why(error)))
        self._input.start()
        if not self._options["quiet"]:
            self._hand_out()

    def _hand_out(self) -> None:
        """Print what the others need to find this server, and to be sure that it is this one."""
        host, port = self._server.addresses[0]
        if host in ("0.0.0.0", "::"):
            host = host_towards("192.0.2.1", 9)  # where the way out begins; nothing is sent
        key = self._options["identity"].name
        self._write(f"* for clients: --server {host_port(host, port)}/{key}")

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Stop what was started; what there was to print gets a little time to be printed."""
        self._input.stop()
        yield maybeDeferred(super().stopService)
        self._store.close()
        printed = self._output.flush()
        printed.addTimeout(self._limits.farewell_wait, self._reactor)
        yield printed.addErrback(lambda _: None)
        self._output.close()

    # What the operator can do.

    def info_lines(self) -> Iterable[str]:
        return self._server.info_lines()

    def rooms(self) -> Iterable[str]:
        return self._rooms.lines()

    def order(self, command: str, rest: str) -> str:
        try:
            self._rooms.order(read_order(command, rest, self._reactor.seconds()))
        except ValueError as error:
            return str(error)
        except RemoteError as error:
            return error.detail or str(error)
        return "done"

    def kick(self, client_id: str) -> bool:
        forgotten = self._server.forget(client_id)
        put_out = self._lobby_port is not None and self._lobby_port.kick(client_id)
        return forgotten or put_out

    def free(self, client_id: str) -> bool:
        return self._server.free(client_id)

    def stop(self) -> None:
        self._reactor.stop()

    # Our own.

    def _put_together(self) -> None:
        options, limits, output = self._options, self._limits, self._output
        write: Callable[[str], None] = output.write_line
        if options["blur"]:

            def write(line: str) -> None:
                output.write_line(blurred(line))

        self._write = write
        say = None if options["quiet"] else write
        trace = write if options["trace"] else None
        self._store = store = self._open_store()
        relay = RelaySide(self._reactor, limits) if options["relay"] else None
        keyed = KeyedDirectory(
            store.names,
            store.registry,
            lambda: secrets.token_hex(8),
            limits,
            relay.issue if relay is not None else no_tickets,
            store.presences,
        )
        keyed.resume(self._reactor.seconds())
        self._rooms = RoomSide(self._reactor, store.rooms, limits, store.names.owner, trace)
        secure = SecureSide(
            Tls(options["identity"], limits),
            keyed,
            options.login_side(self._reactor, limits),
            self._rooms,
        )
        self._server = ChatServer(
            self._reactor,
            options["port"],
            store.registry,
            limits,
            say,
            trace,
            secure,
            options["tls-only"],
            relay,
        )
        self._server.setServiceParent(self)
        keys_looked_after(self._reactor, secure).setServiceParent(self)
        Keeper(self._reactor, store.write_behind).setServiceParent(self)
        self._lobby: Lobby | None = None
        self._lobby_port: LobbyPort | None = None
        if options["lobby"] is not None:
            rooms = self._rooms
            self._lobby = Lobby(
                limits,
                lambda name: _is_owned(store.names, name) or not rooms.admits(name),
                rooms.others,
                rooms.may_speak,
            )
            self._lobby_port = LobbyPort(
                self._reactor, self._lobby, limits, self._admit_plain, self._release, rooms
            )
            rooms.plain = self._lobby_port
            lobby = LobbyService(self._reactor, options["lobby"], self._lobby_port, say)
            lobby.setServiceParent(self)
        terminal = Terminal(self, output.write_line)
        self._input = Lines(
            self._reactor,
            descriptor(sys.__stdin__, os.O_RDONLY),
            terminal.on_line,
            terminal.on_end,
            lambda sentence: output.write_line(f"* {sentence}"),
        )

    def _open_store(self) -> Store:
        """Raises StoreTrouble."""
        options = self._options
        key = options["identity"].name

        def tell(sentence: str) -> None:
            self.log.error("{sentence}", sentence=sentence)

        return open_store(options["store"], key, self._limits, tell, durable=options["durable"])

    def _admit(self, host: str) -> bool:
        """An address has one count of connections, for the server's ports and the lobby's."""
        addresses = self._server.factory.addresses
        return is_loopback(host) or addresses.admit(host, self._reactor.seconds())

    def _admit_plain(self, host: str) -> bool:
        """The same, for the lobby's; from a banned address nobody comes."""
        return self._rooms.admits("", host) and self._admit(host)

    def _release(self, host: str) -> None:
        if not is_loopback(host):
            self._server.factory.addresses.leave(host)


def _is_owned(names: Names, name: str) -> bool:
    """Whether `name` is a key's, or nobody can tell."""
    try:
        return names.owner(name) is not None
    except StoreTrouble:
        return True


def _why(error: Exception) -> str:
    """Why a port could not be had, and what to do."""
    if not isinstance(error, CannotListenError):
        return str(error)
    where = f"{error.interface or '*'}:{error.port}"
    reason = getattr(error.socketError, "strerror", None) or error.socketError
    return f"cannot listen on {where}: {reason}; --port and --lobby choose other ports"


def makeService(options: ServerOptions) -> IService:
    """The server as `options` want it."""
    from twisted.internet import reactor

    return ChatServerProgram(reactor, options)


Options = ServerOptions

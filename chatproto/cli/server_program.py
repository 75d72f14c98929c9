"""The chatserver program: put its parts together."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.application.internet import TimerService
from twisted.application.service import IService
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.cli.notify import notifier
from chatproto.cli.options import cannot_start, descriptor
from chatproto.cli.reactor_run import prepare_reactor
from chatproto.cli.server_options import ServerOptions
from chatproto.cli.signals import HangUp, Interrupt, end, has_terminal
from chatproto.directory.id_owners import IdOwners
from chatproto.directory.introducing import no_tickets
from chatproto.directory.keyed import KeyedDirectory
from chatproto.identity.tls import Tls
from chatproto.net.addresses import address_to_share, is_loopback, source_address
from chatproto.net.bounded_stop import BoundedServices
from chatproto.net.clock import Times, wall
from chatproto.net.fast_tcp import use_fast_turns
from chatproto.net.socket_errors import listen_trouble
from chatproto.relay.protocol import Relays
from chatproto.relay.tickets import new_ticket
from chatproto.rooms.lobby import LobbyMembers
from chatproto.rooms.lobby_port import LobbyPort
from chatproto.server.blur import blurred
from chatproto.server.collector import BoundedCollector
from chatproto.server.counters import Counters
from chatproto.server.ctl import Ctl, CtlService
from chatproto.server.draining import Draining
from chatproto.server.flusher import Flusher
from chatproto.server.listening import place_shown
from chatproto.server.port_service import PortService
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.room_orders import done, duration, read_order
from chatproto.server.room_side import RoomSide
from chatproto.server.secure_side import SecureSide
from chatproto.server.service import ChatServer
from chatproto.server.terminal import Terminal
from chatproto.server.work_queue import Chore, WorkQueue
from chatproto.stdio.input import LineInput
from chatproto.stdio.output import Output
from chatproto.stores.open import MemoryStore, Store, open_store
from chatproto.stores.timed import TimedStore
from chatproto.wire.errors import CannotStart, RemoteError, StoreTrouble
from chatproto.wire.fields import host_port
from chatproto.wire.limits import ServerLimits
from chatproto.wire.reasons import CodedError, Reason

if TYPE_CHECKING:
    from chatproto.cli.sharing import Sharing
    from chatproto.server.shared_rooms.lobby import SharedLobby
    from chatproto.server.shared_rooms.rooms import SharedRooms

_STARTING_FAILS = (StoreTrouble, CannotListenError, OSError, ValueError, OverflowError)
LOOK_INTERVAL = 1.0
"""Seconds between two checks whether the file of `--allow-keys` has changed."""


class ChatServerProgram(BoundedServices):
    """The server, its lobby and its terminal; ends with exit code 2 if a port cannot be opened.

    Everything is put together at the start: `twistd` may have become a daemon by then, with other
    descriptors than those it was started with.
    """

    log = Logger()

    def __init__(self, reactor: Any, options: ServerOptions) -> None:
        super().__init__(reactor)
        self._reactor = reactor
        self._options = options
        self._limits: ServerLimits = options["limits"]
        self._counters = Counters()
        self._collector = BoundedCollector()
        self._notifier = notifier()

    def startService(self) -> None:
        """Open the ports, then read the operator's commands."""
        self._output = Output(
            self._reactor, descriptor(sys.__stdout__, os.O_WRONLY), self._limits.terminal_unsent
        )
        self._collector.start()
        try:
            self._put_together()
            super().startService()
        except _STARTING_FAILS as error:
            self._output.close()
            self._cannot_start(_why(error), starting=True)
        self._input.start()
        if self._sharing is None:
            self._hand_out()

    def _hand_out(self) -> None:
        """Print what users need to find this server and to recognise it."""
        key, address = self._options["identity"].name, self._address()
        if address is None:
            line = f"its key: {key}"
        else:
            whom = "clients on this machine only" if is_loopback(address[0]) else "clients"
            line = f"for {whom}: --server {host_port(*address)}/{key}"
        self.log.info("{line}", line=line)
        self._notifier.ready(self._where())
        if not self._options["quiet"]:
            self._write(f"* {line}")

    def _where(self) -> str:
        return f"listening on {', '.join(place_shown(one) for one in self._server.addresses)}"

    def _address(self) -> tuple[str, int] | None:
        """Return the address to announce to clients; None without a TCP port."""
        # Both hosts are in documentation ranges: this finds the source address, and nothing is sent.
        ipv6 = source_address("2001:db8::1", 9)
        return address_to_share(self._server.addresses, _own_ipv4(), ipv6)

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Stop all parts; output that is left gets a little time to be printed."""
        self._notifier.stopping()
        self._input.stop()
        yield super().stopService()
        while self._store.write_behind():
            yield deferLater(self._reactor, 0)
        self._store.close()
        printed = self._output.flush()
        printed.addTimeout(self._limits.farewell_wait, self._reactor)
        yield printed.addErrback(lambda _: None)
        self._output.close()
        self._collector.stop()

    # Commands of the operator.

    def info_lines(self, prefix: str) -> Deferred[Iterator[str]]:
        if self._sharing is None:
            return succeed(self._server.info_lines())
        return Deferred.fromCoroutine(self._sharing.directory.lines(prefix)).addErrback(_refused)

    def rooms(self) -> Deferred[Iterator[str]]:
        return self._rooms.lines().addErrback(_refused)

    def order(self, command: str, rest: str) -> Deferred[str]:
        try:
            order = read_order(command, rest, self._times.wall())
        except ValueError as error:
            raise CodedError(str(error), Reason.MALFORMED) from None
        return self._rooms.order(order).addCallbacks(done, _refused)

    def kick(self, client_id: str) -> Deferred[bool]:
        put_out = self._lobby_port is not None and self._lobby_port.kick(client_id)
        if self._sharing is None:
            return succeed(self._server.forget(client_id) or put_out)
        return self._expelled(client_id, free=False).addCallback(lambda known: known or put_out)

    def free(self, client_id: str) -> Deferred[bool]:
        if self._sharing is None:
            return succeed(self._server.free(client_id))
        return self._expelled(client_id, free=True)

    def _expelled(self, client_id: str, free: bool) -> Deferred[bool]:
        assert self._sharing is not None
        expelled = self._sharing.directory.expel(client_id, free)
        return Deferred.fromCoroutine(expelled).addErrback(_refused)

    def reload(self) -> Iterable[str]:
        self._notifier.reloading()
        try:
            for sentence in self._options.read_again():
                self.log.info("{sentence}", sentence=sentence)
                yield sentence
        finally:
            self._notifier.ready(self._where())

    def drain(self, time: str) -> str:
        try:
            most = duration(time) if time else self._limits.drain_wait
        except RemoteError as error:
            raise CodedError(error.detail or str(error), error.reason) from None
        left = self._draining.begin(most)
        line = (
            f"draining: new connections are refused, open now: {left}; the server ends when all"
            f" have closed, after {most:.12g} s at the latest"
        )
        self.log.info("{line}", line=line)
        self._notifier.status(line)
        return line

    def stop(self) -> None:
        end(self._reactor)

    # Internal.

    def _put_together(self) -> None:
        options, limits, output = self._options, self._limits, self._output
        write: Callable[[str], None] = output.write_line
        if options["blur"]:

            def write(line: str) -> None:
                output.write_line(blurred(line))

        self._write = write
        say = None if options["quiet"] else write
        trace = write if options["trace"] else None
        store = self._store = self._open_store()
        relay = None
        if options["relay"]:
            relay = Relays(self._reactor, limits, lambda: new_ticket(secrets.token_bytes))
        times = self._times = Times(self._reactor.seconds, wall)
        keyed = KeyedDirectory(
            store.names,
            store.registry,
            lambda: secrets.token_hex(8),
            limits,
            relay.tickets.issue if relay is not None else no_tickets,
            store.presences,
            times.date,
        )
        keyed.resume(self._reactor.seconds())
        turns = WorkQueue(self._reactor)
        rooms: RoomSide | None = None
        if options["redis"] is None:
            rooms = RoomSide(
                *(self._reactor, store.rooms, limits, store.names.owner, trace, times, keyed.sees),
                turns,
            )
        # All servers have the time of day in common.
        shared_times = Times(lambda: float(wall()))
        delivery = rooms or RoomDelivery(self._reactor, limits, trace, shared_times, turns)
        secure = SecureSide(
            Tls(options["identity"], limits),
            keyed,
            turns,
            options.login_side(self._reactor, limits),
            rooms,
            delivery,
        )
        self._server = ChatServer(
            self._reactor,
            options["port"],
            store.registry,
            secure,
            limits,
            say,
            trace,
            options["tls-only"],
            relay,
        )
        self._sharing: Sharing | None = None
        self._rooms: RoomSide | SharedRooms
        self._lobby_room: RoomSide | SharedLobby
        if rooms is not None:
            self._rooms = self._lobby_room = rooms
            self._server.setServiceParent(self)
        else:
            self._sharing = self._shared_with(secure, delivery, relay, say)
            self._rooms, self._lobby_room = self._sharing.rooms, self._sharing.rooms.lobby
        keys_looked_after(self._reactor, secure).setServiceParent(self)
        HangUp(self._reactor, None if has_terminal() else self._reload).setServiceParent(self)
        Interrupt(self._reactor, self.stop).setServiceParent(self)
        Flusher(self._reactor, store.write_behind).setServiceParent(self)
        self._lobby_port: LobbyPort | None = None
        lobbies: list[tuple[PortService, LobbyPort]] = []
        if options["lobby"] is not None:
            lobby_room = self._lobby_room
            lobby = LobbyMembers(
                limits, self._is_taken, lobby_room.keyed_members, lobby_room.may_speak
            )
            self._lobby_port = LobbyPort(
                self._reactor,
                lobby,
                limits,
                self._admit_plain,
                self._server.factory.leave,
                lobby_room,
                self._sharing.directory.look_up_name if self._sharing is not None else None,
            )
            delivery.plain = self._lobby_port
            close = partial(self._lobby_port.close_all, "the server is stopping")
            port = PortService(
                self._reactor, options["lobby"], self._lobby_port, "lobby", say, close
            )
            port.setServiceParent(self)
            lobbies.append((port, self._lobby_port))
        self._draining = Draining(self._reactor, self._server, lobbies, self.stop)
        self._draining.setServiceParent(self)
        if options["metrics"] is not None:
            self._show_figures(say)
        ctl = Ctl(self._reactor, self, turns, limits)
        CtlService(
            self._reactor, options["home"], ctl, self._complain, options["ctl-group"]
        ).setServiceParent(self)
        terminal = Terminal(self, output.write_line, lambda step: turns.ask(Chore(step)))
        self._input = LineInput(
            self._reactor,
            descriptor(sys.__stdin__, os.O_RDONLY),
            terminal.on_line,
            terminal.on_end,
            lambda sentence: output.write_line(f"* {sentence}"),
            on_failed=lambda sentence: output.write_line(f"* {sentence}"),
        )

    def _reload(self) -> None:
        """Do the same as /reload on SIGHUP, with the result in the log."""
        try:
            for _ in self.reload():
                pass
        except CodedError as error:
            self.log.error("{why}", why=error)

    def _complain(self, sentence: str) -> None:
        """Log and print an error that does not end the server."""
        self.log.error("{sentence}", sentence=sentence)
        if not self._options["quiet"]:
            self._write(f"* {sentence}")

    def _show_figures(self, say: Callable[[str], None] | None) -> None:
        """Listen on --metrics. Its modules are loaded only on demand."""
        from chatproto.server.metrics import ServerOverview, metrics_site

        store = self._store
        sharing = self._sharing
        trouble = (lambda: sharing.trouble) if sharing is not None else (lambda: store.trouble)
        overview = ServerOverview(self._server, self._rooms, self._counters, trouble)
        site = metrics_site(self._reactor, overview)
        service = PortService(self._reactor, self._options["metrics"], site, "metrics", say)
        service.setServiceParent(self)

    def _open_store(self) -> Store:
        """Open the store of `--store`; one in memory for a server of several. Raises StoreTrouble."""
        options = self._options
        key = options["identity"].name

        if options["redis"] is not None:
            return MemoryStore(self._limits)

        def tell(sentence: str) -> None:
            self.log.error("{sentence}", sentence=sentence)

        store = open_store(
            options["store"],
            key,
            self._limits,
            tell,
            durable=options["durable"],
            now=self._reactor.seconds,
        )
        if options["metrics"] is not None:
            return TimedStore(store, self._counters.spent)
        return store

    def _shared_with(
        self,
        secure: SecureSide,
        delivery: RoomDelivery,
        relay: Relays | None,
        say: Callable[[str], None] | None,
    ) -> Sharing:
        """Build the parts of a server of several (`--store redis://…`)."""
        from chatproto.cli.sharing import Sharing

        options = self._options
        sharing = Sharing(
            self._reactor,
            options["redis"],
            options["identity"].name,
            self._limits,
            secure,
            delivery,
            options["lobby"] is not None,
            relay.tickets.issue if relay is not None else no_tickets,
            say,
            self._cannot_start,
            self._counters.spent if options["metrics"] is not None else None,
        )
        self._server.share(sharing.directory)
        sharing.ready.addCallback(self._open)
        sharing.setServiceParent(self)
        return sharing

    def _open(self, there: bool) -> None:
        """Open the ports, once the shared state is known or Redis is known to be unreachable."""
        sharing = self._sharing
        if sharing is None or not self.running:
            return
        try:
            self._server.setServiceParent(self)
        except _STARTING_FAILS as error:
            self._cannot_start(_why(error))
        relay = self._options["advertise"] or self._address()
        if relay is not None:
            sharing.directory.maker.relay = relay
        if not there:
            self._write(f"* {sharing.trouble}, clients are told to reconnect later")
        self._hand_out()

    def _cannot_start(self, sentence: str, *, starting: bool = False) -> NoReturn:
        """End with exit code 2; the log has the reason too, since a daemon has no other place.

        starting: the reactor does not run yet, and `twistd` waits for its daemon.
        """
        self.log.error("cannot start: {why}", why=sentence)
        if starting:
            tell_shell(self._options.parent, sentence)
        cannot_start(CannotStart(sentence))

    def _is_taken(self, name: str) -> bool:
        """Return True if a raw-text client may not use `name` in the lobby."""
        if self._sharing is not None:
            owned = self._sharing.directory.is_owned(name)
        else:
            owned = _is_owned(self._store.names, name)
        return owned or not self._lobby_room.admits(name)

    def _admit_plain(self, host: str) -> bool:
        """Admit a connection to the lobby unless its address is banned or no place is free.

        The ports of a server share the places, and an address has one count for all of them.
        """
        return self._lobby_room.admits("", host) and self._server.factory.admit(host)


def _refused(failure: Failure) -> NoReturn:
    """Raise the CodedError for a refusal of the rooms."""
    failure.trap(RemoteError)
    error: Any = failure.value
    raise CodedError(error.detail or str(error), error.reason) from None


def _is_owned(names: IdOwners, name: str) -> bool:
    """Return True if a key owns `name`, or if the store cannot tell."""
    try:
        return names.owner(name) is not None
    except StoreTrouble:
        return True


def _why(error: Exception) -> str:
    """Return why a port cannot be opened, and what to do."""
    if not isinstance(error, (CannotListenError, OSError)):
        return str(error)
    return f"{listen_trouble(error)} (choose another with --port, --lobby or --metrics)"


def tell_shell(options: Any, sentence: str) -> None:
    """Report to the `twistd` that waits at the terminal why its daemon does not start.

    It reads 100 bytes and ends with exit code 1; without a report it would wait for ever. Call this
    before the reactor runs. `options`: those of twistd; None: the program was not started by it.
    """
    pipe = options.get("statusPipe") if options is not None else None
    if pipe is None:
        return
    with suppress(OSError, TypeError):
        Path(options["pidfile"]).unlink()
    os.write(
        pipe, f"1 {sentence}".encode()[:100]
    )  # must be the last action, since the shell continues then


def keys_looked_after(reactor: Any, side: SecureSide) -> TimerService:
    """Watch the file of `--allow-keys`; clients whose keys were removed are disconnected soon."""

    def look() -> None:
        if side.logins.changed():
            side.dismiss_denied()

    service = TimerService(LOOK_INTERVAL, look)
    service.clock = reactor
    return service


def server_program(options: ServerOptions) -> IService:
    """Return the server for `options`."""
    from twisted.internet import reactor

    prepare_reactor(reactor)
    use_fast_turns(reactor)
    return ChatServerProgram(reactor, options)


def _own_ipv4() -> str | None:
    """Return this machine's IPv4 address for others: the source address, else that of an interface.

    A network without a router, as in a class room, has no route to others. None: there is only
    loopback.
    """
    found = source_address("192.0.2.1", 9)
    if found is not None:
        return found
    from chatproto.nearby.ports import interfaces  # seldom needed: for a quick start

    own = (one.address for one in interfaces() if not one.six)
    return next((address for address in own if not is_loopback(address)), None)

"""Server as a service: its ports, its directory, its start and its stop."""

from __future__ import annotations

import resource
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.directory.answers import Directory
from chatproto.directory.registry import Registry
from chatproto.relay.protocol import Relays
from chatproto.server.factory import ChatFactory
from chatproto.server.listening import ListenSpec, place_of, place_shown
from chatproto.server.secure_side import SecureSide
from chatproto.server.shared_directory.directory import SharedDirectory
from chatproto.server.work_queue import Chore
from chatproto.wire.fields import host_port
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

RESERVED_FILES = 100
"""Open files that are not connections: ports, stores, logs, and one to refuse a connection."""
EXPIRY_INTERVAL = 30.0
PRESENCE_INTERVAL = 1.0
SOME = 100
"""Expired registrations, lines and rooms, and presence changes, that are handled in one step of work."""
COME_BACK_A_SECOND = 500
"""Clients that are asked to reconnect in any one second after a stop."""
STOPPED_A_SECOND = 1000
"""Connected clients for each second that a stop and the next start are given before the first reconnects."""


class ChatServer(MultiService):
    """Server with one directory and any number of ports.

    `endpoints`: a port number as text ("5555": all addresses, IPv4 and IPv6) or a Twisted server
    endpoint string. `say` receives the terminal lines of protocol section 2 and `trace` every message;
    each may be None. Raises ValueError (one sentence) for an endpoint that cannot be parsed.
    `startService` raises CannotListenError or OSError if a port cannot be opened.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        endpoints: Sequence[str],
        registry: Registry,
        secure: SecureSide,
        limits: ServerLimits = SERVER_DEFAULTS,
        say: Callable[[str], None] | None = None,
        trace: Callable[[str], None] | None = None,
        tls_only: bool = False,
        relay: Relays | None = None,
    ) -> None:
        super().__init__()
        self.reactor = reactor
        self.directory = Directory(registry, limits, secure.directory.names)
        self.directory.open = secure.directory
        self.secure = secure
        self.factory = ChatFactory(
            reactor,
            self.directory,
            limits,
            say=say,
            trace=trace,
            secure=secure,
            relay=relay,
            tls_only=tls_only,
        )
        self.addresses: list[tuple[str, int]] = []
        """Hosts and ports it listens on, as in `Server listening on`; filled by `startService`."""
        self.draining = False
        """True once new connections are no longer accepted (/drain)."""
        self._places = [ListenSpec(reactor, text) for text in endpoints]
        self._ports: list[IListeningPort] = []
        self._expire_chore = Chore(self._expire_some)
        self._rooms_chore = Chore(self._forget_some)
        self._presence_chore = Chore(self._tell_some)
        self._expiry = LoopingCall(self._expire)
        self._expiry.clock = reactor
        self._presence = LoopingCall(
            self._begin, self._presence_chore, "presence could not be told"
        )
        self._presence.clock = reactor

    def startService(self) -> None:
        """Open every port, or none. Raises CannotListenError or OSError."""
        limits = self.factory.limits
        self.factory.most = limits.connections or connections_for(raised_file_limit())
        try:
            for place in self._places:
                place.listen(self.factory).addCallbacks(self._listening, self._deaf)
        except Exception:
            for port in self._ports:
                port.stopListening()
            self._ports, self.addresses = [], []
            raise
        if self.factory.shared is None:
            self._expiry.start(EXPIRY_INTERVAL, now=False)
            self._presence.start(PRESENCE_INTERVAL, now=False)
        super().startService()

    def _listening(self, ports: list[IListeningPort]) -> None:
        self._ports += ports
        for port in ports:
            where = place_of(port)
            self.addresses.append(where)
            if self.factory.say is not None:
                self.factory.say(f"Server listening on {place_shown(where)}")

    def _deaf(self, failure: Failure) -> None:
        """Stop: a port could not be opened after the start, and a server without it is useless."""
        self.log.failure("a port cannot be listened on", failure)
        self.reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Accept no more connections, send queued bytes and close; abort after `farewell_wait`."""
        for loop in (self._expiry, self._presence):
            if loop.running:
                loop.stop()
        waits: list[Deferred[Any]] = [self._close_ports()]
        if len(self.factory):
            waits.append(self._emptied())
        self.send_away(self.factory.close_all)
        waits.append(maybeDeferred(super().stopService))
        return DeferredList(waits).addCallback(lambda _: self.factory.rest())

    def stop_listening(self) -> None:
        """Accept no more connections; open ones continue (/drain)."""
        self.draining = True
        self._close_ports()

    def send_away(self, then: Callable[[], object] = lambda: None) -> None:
        """Tell every keyed client when to reconnect, and close its connection; then call `then`."""
        # Their reconnects are spread over a time that grows with their number.
        times = come_back_times(len(self.factory))
        self.secure.close(lambda: secrets.choice(times), then)

    def _close_ports(self) -> Deferred[Any]:
        ports, self._ports = self._ports, []
        return DeferredList([maybeDeferred(port.stopListening) for port in ports])

    def _emptied(self) -> Deferred[None]:
        """Fire when the last connection has closed or, after `farewell_wait`, was aborted."""
        emptied: Deferred[None] = Deferred()
        cut = self.reactor.callLater(
            self.factory.limits.farewell_wait, self.factory.close_all, abort=True
        )

        def ended() -> None:
            self.factory.on_empty = None
            if cut.active():
                cut.cancel()
            emptied.callback(None)

        self.factory.on_empty = ended
        return emptied

    def _expire(self) -> None:
        """Remove registrations whose lease has expired, old messages and unused rooms."""
        self._begin(
            self._expire_chore,
            f"leases could not be expired; next try in {EXPIRY_INTERVAL} s",
        )
        self._begin(self._rooms_chore, "old messages could not be forgotten")

    def _begin(self, chore: Chore, trouble: str) -> None:
        """Queue `chore`. A failure of the store is logged as `trouble`; the next interval tries again."""
        try:
            self.factory.turns.ask(chore)
        except Exception:  # any failure of a store: the server continues
            self.log.failure(trouble)

    def _expire_some(self) -> bool:
        directory = self.directory
        before = self.reactor.seconds() - directory.limits.classic_lease
        return directory.registry.expire(before, SOME) >= SOME

    def _forget_some(self) -> bool:
        rooms = self.secure.rooms
        return rooms is not None and rooms.due(SOME)

    def _tell_some(self) -> bool:
        directory, now = self.secure.directory, self.reactor.seconds()
        self.secure.apply(directory.due(now, SOME))
        return directory.is_due(now)

    def share(self, shared: SharedDirectory) -> None:
        """Answer by `shared`, the directory of several servers, from now on."""
        self.factory.shared = self.secure.shared = shared

    def free(self, client_id: str) -> bool:
        """Take an id from its key or classic client (/free); return False if it has neither."""
        was_owned, effects = self.secure.directory.free(client_id)
        self.secure.apply(effects)
        return self.directory.registry.forget(client_id) or was_owned

    def info_lines(self) -> Iterator[str]:
        """Yield the lines of /info on demand: `<clientID> <ip>:<port>` per client."""
        yield from self.directory.info_lines()
        after = ""
        while True:
            page = self.secure.directory.contacts("", after, SOME)
            for one in page:
                after = one.client_id
                yield f"{after} {host_port(one.host, one.port)}"
            if len(page) < SOME:
                return

    def forget(self, client_id: str) -> bool:
        """Remove `client_id` from the directory (/kick); return False if it is not there."""
        effects = self.secure.directory.expel(client_id)
        self.secure.apply(effects)
        return self.directory.registry.forget(client_id) or bool(effects)


def come_back_times(count: int) -> range:
    """Return the seconds after which `count` clients reconnect, each after a random one of these."""
    first = 1 + count // STOPPED_A_SECOND
    return range(first, first + 2 + count // COME_BACK_A_SECOND)


def connections_for(files: int) -> int:
    """Return how many connections may be open where `files` files may: all but 100, at least half."""
    return max(files - RESERVED_FILES, files // 2, 1)


def raised_file_limit() -> int:
    """Raise the soft limit of open files to the hard limit, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return soft
    return hard if hard != resource.RLIM_INFINITY else 1_000_000

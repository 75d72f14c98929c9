"""Our side of BCP/2 towards a server: one lasting TLS connection, which is restored after it breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from operator import attrgetter
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from chatproto.directory.answer import ServerRefused
from chatproto.directory.bridge_result import BridgeResult, callee_of
from chatproto.directory.client import ServerUnreachable
from chatproto.directory.client_registration import ClientRegistration
from chatproto.directory.own_port import connect
from chatproto.directory.paging import Paging
from chatproto.directory.places import Places
from chatproto.directory.reaching import why_unreached
from chatproto.directory.server_connection import ServerConnection, Sign
from chatproto.net.handshake import Handshake
from chatproto.net.rate_limiter import RateLimiter
from chatproto.net.timers import Timers
from chatproto.wire import bcp2_server, reasons
from chatproto.wire.bcp2_common import Address, Bcp2Message, Error
from chatproto.wire.fields import Contact
from chatproto.wire.limits import CLIENT_DEFAULTS, ClientLimits
from chatproto.wire.reasons import Cause, Reason

HELLO_WAIT = 2.0
"""Seconds for a server of unknown kind to answer TLS, before the user is notified."""

DIAL_BURST, DIAL_RATE = 10, 0.2
"""Automatic connections at once for each server, and then per second: a server that accepts and closes
them is not dialled without a pause.
"""
FOR_NOW = (408, 429, 500, 503)
"""Statuses of refusals after which a retry may succeed."""
FORBIDDEN = WRONG_PASSWORD = 403
TOO_MANY = 429
NO_LOGIN = {WRONG_PASSWORD: reasons.WRONG_PASSWORD, 405: reasons.NO_ACCOUNTS}


class ServerListener(Protocol):
    """Receiver of events on the connection to the server that are not answers."""

    def server_registered(self, server: SecureServer, expires: int) -> None:
        """Handle a successful registration, also after a lost connection."""

    def server_lost(self, server: SecureServer, why: str) -> None:
        """Handle a connection that was lost or could not be made; it is retried."""

    def server_refused(self, server: SecureServer, why: str, status: int | None) -> None:
        """Handle a final refusal, by the server or of its key; it is not retried."""

    def server_left_out(self, server: SecureServer, why: str) -> None:
        """Handle the final refusal of one of several servers; the others are tried."""

    def introduced(self, server: SecureServer, push: bcp2_server.Introduce) -> None:
        """Handle INTRODUCE: a peer asked the server for us and may call."""

    def present(self, server: SecureServer, push: bcp2_server.Presence) -> None:
        """Handle PRESENCE: a watched peer has registered."""


def _unheard(push: Bcp2Message) -> None:
    """Ignore a push about rooms: the default receiver."""


class SecureServer:
    """A server that speaks BCP/2, at `host:port`; `handshake` creates the TLS state of one connection.

    Once started it is connected and registered again whenever the connection breaks, at the same
    address or at one of `others`, which have the same directory (`Places` decides when). Requests fail
    with Unreachable or Refused. `login` creates the LOGIN that each connection begins with. Without
    `registers` it only sends requests and never registers. `renewed` is called before a refused login
    is retried, and returns why the next one would be the same; empty if it differs.

    Args: pushed: receives the server's messages about rooms. own_port: returns the address that
    connections are bound to. is_known: returns True if a BCP/2 server was at an address before. silent:
    called with the reason for which it may be a classic server.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        host: str,
        port: int,
        handshake: Callable[[], Handshake],
        news: ServerListener,
        jitter: Callable[[], float],
        limits: ClientLimits = CLIENT_DEFAULTS,
        login: Callable[[int], bcp2_server.Login] | None = None,
        others: Sequence[Address] = (),
        registers: bool = True,
        renewed: Callable[[], str] = lambda: "",
        *,
        pushed: Callable[[Bcp2Message], None] = _unheard,
        own_port: Callable[[], Any] = lambda: None,
        is_known: Callable[[], bool] = lambda: True,
        silent: Callable[[str], None] = lambda why: None,
    ) -> None:
        self.key: str | None = None
        self.registered = False
        self.watched: dict[str, None] = {}  # in the order of the requests
        self._followed: set[str] = set()  # those of them that stay watched when they are online
        self.observed: Address | None = None  # our address as the server sees it
        self.near = False  # True if the connection does not leave this machine
        self._reactor = reactor
        self.seconds = reactor.seconds
        """Clock of its waits."""
        self._places = Places([(host, port), *others], jitter, limits.retry_most)
        self._dials = RateLimiter(DIAL_RATE, DIAL_BURST * (1 + len(others)))
        self._handshake = handshake
        self._news = news
        self._limits = limits
        self._login = login
        self._registers = registers
        self._renewed = renewed
        self._pushed = pushed
        self._own_port = own_port
        self._is_known = is_known
        self._silent = silent
        self.login_refused = False
        """True if the server refused our user or the password."""
        self._may_ask = False  # if nothing is registered: the login is done
        self._registration: ClientRegistration | None = None
        self._connection: ServerConnection | None = None
        self._beginning: ServerConnection | None = None  # TLS is not established yet
        self._dialling: Deferred[Any] | None = None
        self._timers = Timers(reactor)
        self._stopped = True
        self._broke = ""  # why the last connection ended, or the last attempt failed
        self._refused = ""  # why it refuses us, or we refuse it
        self._put_off: ServerRefused | None = None  # it refuses us for now, and is retried
        self._waiting: list[Deferred[None]] = []

    @property
    def name(self) -> str:
        """The `host:port` that is being tried or was reached last."""
        return self._places.name

    @property
    def at(self) -> Address:
        """The same, as host and port."""
        return self._places.current

    def start(self, registration: ClientRegistration) -> None:
        """Connect and register, and restore both whenever they are lost."""
        self._registration = registration
        self._stopped = False
        self.login_refused = False
        self._refused = ""
        self._dial()

    def stop(self) -> None:
        """End the registration and close."""
        self._stopped = True
        self.registered = False
        self._timers.cancel("slow")
        self._timers.cancel("again")
        if self._dialling is not None:
            self._dialling.cancel()
        connection = self._connection or self._beginning
        if connection is not None:
            connection.close()
        self._come_out()

    def ready(self) -> Deferred[None]:
        """Fires when the current attempt to connect and register has succeeded or failed."""
        under_way = self._dialling or self._beginning or self._connection
        known = self.registered or self._may_ask
        if known or self._stopped or under_way is None:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def bridge(self, peer_id: str = "") -> Deferred[BridgeResult | None]:
        """Request an introduction to `peer_id`, or to any peer; return None if no peer is available."""

        def read(answer: Bcp2Message) -> BridgeResult | None:
            assert isinstance(answer, bcp2_server.BridgeAck)
            return callee_of(answer)

        return self._ask(
            lambda cseq: bcp2_server.Bridge(cseq, peer_id), bcp2_server.BridgeAck
        ).addCallback(read)

    async def watch(self, peer_id: str) -> None:
        """Report when `peer_id` is online, once; also on later connections until then."""
        await self._ask(lambda cseq: bcp2_server.Watch(cseq, peer_id), bcp2_server.WatchAck)
        self.watched[peer_id] = None

    async def follow(self, peer_id: str) -> None:
        """Report whenever `peer_id` comes online or changes its /away text, until `unfollow`."""
        self._followed.add(peer_id)
        await self.watch(peer_id)

    def unfollow(self, peer_id: str) -> None:
        """Stop watching `peer_id`."""
        self._followed.discard(peer_id)
        if peer_id in self.watched and self.registered:
            self._unwatch(peer_id)

    def _unwatch(self, peer_id: str) -> None:
        del self.watched[peer_id]
        self._unheeded(lambda cseq: bcp2_server.Unwatch(cseq, peer_id), bcp2_server.UnwatchAck)

    async def info(self, prefix: str = "") -> tuple[Contact, ...]:
        """Return the registered clients, page by page, at most `listed` of them."""

        def ask(after: str) -> Deferred[Bcp2Message]:
            make = partial(bcp2_server.Info, prefix=prefix, after=after)
            return self._ask(make, bcp2_server.InfoAck)

        return await Paging(self.seconds).all(ask, attrgetter("contacts"), self._limits.listed)

    def ask(
        self,
        make: Callable[[int], Bcp2Message],
        wanted: type[Bcp2Message],
        part: Callable[[Bcp2Message], None] | None = None,
    ) -> Deferred[Bcp2Message]:
        """Send any other request; see `ServerConnection.ask`."""
        if not self.registered:
            return fail(self._unreached())
        return self._ask(make, wanted, part)

    def describe(self, registration: ClientRegistration) -> Deferred[None]:
        """Register as `registration` says, now if we are registered, and from then on.

        The listener is not called: the registration itself is no news.
        """
        self._registration = registration
        if not self.registered:
            return succeed(None)
        asked = self._ask(registration.request, bcp2_server.RegAck)
        return asked.addCallback(lambda _: None)

    def register(self) -> Deferred[None]:
        """Register now instead of at the next connection; after a refusal, retry.

        The listener is called with the outcome, as for the first attempt.
        """
        registration = self._registration
        if self._refused and registration is not None:
            if self.login_refused and (same := self._renewed()):
                return fail(ServerRefused(same, 403))
            self.start(registration)
            return self.ready()
        if self._stopped or registration is None:
            return fail(self._unreached())
        if self._connection is None:
            if "again" in self._timers:
                self._dial_next()
            return fail(ServerUnreachable(reasons.SERVER_NOT_YET(server=self.name)))
        return self._ask(registration.request, bcp2_server.RegAck).addCallback(self._registered)

    # Called by the connection.

    def connection_made(self, connection: ServerConnection) -> None:
        """Log in or register, now that TLS is up."""
        self._connection, self._beginning, self._may_ask = connection, None, False
        self._timers.cancel("slow")
        self.key = connection.key
        self.near = connection.near
        if self._login is None:
            self._register_first()
        else:
            self._ask(self._login, bcp2_server.LoginAck).addCallbacks(
                self._register_first, self._not_logged_in
            )

    def connection_pushed(self, push: Bcp2Message) -> None:
        """Handle a push."""
        match push:
            case bcp2_server.Introduce():
                self._news.introduced(self, push)
            case bcp2_server.Presence(peer_id, status, away):
                if status == "online" and peer_id in self.watched:
                    if not away and peer_id not in self._followed:
                        self._unwatch(peer_id)  # else stays watched until it is back
                    self._news.present(self, push)
            case bcp2_server.Closing(retry_after):
                self._drop_connection()
                self._lost(Cause(Reason.SERVER_STOPPING), partial(self._places.pause, retry_after))
            case bcp2_server.Replaced():
                self._refuse(Cause(Reason.REPLACED), None)
            case Error(status) if status in FOR_NOW:
                self._drop_connection()
                self._lost(Cause(Reason.of(status)))
            case Error(status):
                self._refuse(self._dismissal(status), status)
            case _:
                self._pushed(push)

    def connection_lost(self, connection: ServerConnection | None, why: str, final: bool) -> None:
        """Handle the end of a connection; `final`: a retry would fail as well."""
        if connection is not None and connection not in (self._connection, self._beginning):
            return  # we have replaced it
        self._connection, self._beginning, self._may_ask = None, None, False
        self._timers.cancel("slow")
        final = final or (connection is not None and self._is_classic(connection.sign))
        if final and len(self._places) > 1:
            self._news.server_left_out(self, why)
            self._places.drop()
            self._come_out()
            self._try_again(0.0)
        elif final:
            self._refuse(why, None)
        else:
            self._lost(why)

    # Consequences.

    def _is_classic(self, sign: Sign) -> bool:
        """Return True if a server without a known key answered TLS as a classic one does.

        A connection that is closed at the hello is no such sign: a proxy in front of a server that is
        down does the same.
        """
        if self.key is not None or self._is_known():
            return False
        return sign in (Sign.SILENT, Sign.PLAIN)

    def _wait_for_hello(self) -> None:
        """Report soon that a server without a known key does not answer TLS."""
        if self.key is None and not self._is_known():
            self._timers.after("slow", HELLO_WAIT, self._is_slow)

    def _is_slow(self) -> None:
        self._silent(reasons.MAYBE_CLASSIC.around(reasons.SERVER_SLOW(server=self.name)))

    def _dial_next(self) -> None:
        self._places.move_on()
        self._dial()

    def _dial(self) -> None:
        self._timers.cancel("again")
        wait = self._limits.handshake_wait
        connection = self._beginning = ServerConnection(
            self, self._reactor, self._handshake(), self._limits
        )
        self._dialling = connect(
            self._reactor, *self._places.current, wait, connection, self._own_port()
        )

        def over(result: Any) -> None:
            self._dialling = None
            if not isinstance(result, Failure) and self._beginning is connection:
                self._wait_for_hello()
            if isinstance(result, Failure) and not self._stopped:
                self.connection_lost(None, why_unreached(result.value, self.name), False)

        self._dialling.addBoth(over)

    def _register_first(self, _: object = None) -> None:
        """Register, once the connection is logged in."""
        assert self._registration is not None
        if not self._registers:
            self._may_ask = True
            self._come_out()
            return
        self._ask(self._registration.request, bcp2_server.RegAck).addCallbacks(
            self._registered, self._not_registered
        )

    def _not_logged_in(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, ServerRefused) and error.status in NO_LOGIN:
            self.login_refused = error.status == WRONG_PASSWORD
            self._refuse(NO_LOGIN[error.status](), error.status)
        else:
            self._not_registered(failure, reasons.TOO_MANY_LOGINS())

    def _registered(self, answer: Bcp2Message) -> None:
        assert isinstance(answer, bcp2_server.RegAck)
        self._places.reached()
        self.registered = True
        self.observed = answer.observed
        self._come_out()
        for peer_id in self.watched:
            self._unheeded(partial(bcp2_server.Watch, peer_id=peer_id), bcp2_server.WatchAck)
        self._news.server_registered(self, answer.expires)

    def _not_registered(self, failure: Failure, too_many: str = "") -> None:
        """Retry later, or never; `too_many`: sentence for a 429, instead of the server's own words."""
        error = failure.value
        if isinstance(error, ServerRefused) and error.status in FOR_NOW:
            self._drop_connection()
            when = f", in {error.retry_after} s at the earliest" if error.retry_after else ""
            says = too_many if too_many and error.status == TOO_MANY else str(error)
            why = Cause(error.reason, f"{says}{when}")
            self._lost(why, partial(self._places.patience, error.retry_after), error)
        elif isinstance(error, ServerRefused):
            forbidden = error.status == FORBIDDEN
            refusal = reasons.REGISTER_REFUSED(server=self.name) if forbidden else str(error)
            self._refuse(refusal, error.status)
        elif not isinstance(error, ServerUnreachable):
            failure.raiseException()

    def _dismissal(self, status: int) -> Cause:
        """Return why the server closes the connection for good with `status`."""
        if status != FORBIDDEN:
            return Cause(Reason.of(status))
        says = reasons.DISCONNECTED_BY_OPERATOR if self.registered else reasons.KEY_NOT_ADMITTED
        return says(server=self.name)

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _refuse(self, why: str, status: int | None) -> None:
        if not self._stopped:
            self.stop()
            self._connection = self._beginning = None
            self._refused = why
            self._come_out()
            self._news.server_refused(self, why, status)

    def _lost(
        self,
        why: str,
        wait: Callable[[], float] | None = None,
        put_off: ServerRefused | None = None,
    ) -> None:
        self.registered = False
        self._broke, self._put_off = why, put_off
        self._come_out()
        if not self._stopped and "again" not in self._timers:
            self._try_again((wait or self._places.wait)())
            self._news.server_lost(self, why)

    def _try_again(self, wait: float) -> None:
        if not self._stopped:
            wait = max(wait, self._dials.take(self.seconds()))
            self._timers.after("again", wait, self._dial_next)

    def _unheeded(self, make: Callable[[int], Bcp2Message], wanted: type[Bcp2Message]) -> None:
        """Send a request whose answer is ignored; if it fails, the next connection repeats it."""
        self._ask(make, wanted).addErrback(
            lambda failure: failure.trap(ServerRefused, ServerUnreachable)
        )

    def _come_out(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def _ask(
        self,
        make: Callable[[int], Bcp2Message],
        wanted: type[Bcp2Message],
        part: Callable[[Bcp2Message], None] | None = None,
    ) -> Deferred[Bcp2Message]:
        if self._connection is None:
            return fail(self._unreached())
        return self._connection.ask(make, wanted, part)

    def _unreached(self) -> ServerUnreachable:
        """Return why the server cannot be reached."""
        if self._refused:
            why = reasons.SERVER_GIVEN_UP_WHY(server=self.name, why=self._refused)
            return ServerUnreachable(why)
        if self._registration is not None and self._stopped:
            return ServerUnreachable(reasons.SERVER_GIVEN_UP(server=self.name))
        if self._put_off is not None and "again" in self._timers:
            seconds = max(1, ceil(self._timers.left("again")))
            why = reasons.REGISTER_LATER(server=self.name, why=self._put_off)
            return ServerUnreachable(why, self._put_off.status, seconds)
        if not self._broke:
            return ServerUnreachable(reasons.SERVER_NOT_NOW(server=self.name))
        where = "" if self.name in self._broke else f" at {self.name}"
        return ServerUnreachable(reasons.SERVER_NOT_NOW_WHY(where=where, why=self._broke))

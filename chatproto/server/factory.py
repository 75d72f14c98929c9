"""Factory of the server's connections: their shared state and their limits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from chatproto.directory.answers import Directory, register_line
from chatproto.directory.classic_registration import Origin
from chatproto.net.addresses import is_loopback, network
from chatproto.net.arrivals import DirectFactory, Refused
from chatproto.net.rate_limiter import RateLimiter
from chatproto.relay.protocol import Relays
from chatproto.server.connection import ChatConnection, Tell
from chatproto.server.counters import Counters
from chatproto.server.secure_side import SecureSide
from chatproto.server.timer_wheel import TimerWheel
from chatproto.server.work_queue import EACH_TURN, WorkQueue
from chatproto.wire import fast
from chatproto.wire.classic import ClassicError
from chatproto.wire.codec import encode
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

if TYPE_CHECKING:
    from chatproto.server.shared_directory.directory import SharedDirectory


EXAMINED = 100
"""Silent connections that are examined to find one to close for a new one."""
RESERVE = 0.5
"""Share of the places that plain connections without a registration leave free for new ones."""
BESIDE = 0.5
"""Share of the places that connections of another port (the lobby) may take at most."""
LEAST_IDLE = 10.0
"""Seconds without a request after which an unregistered plain connection may be closed for a new one."""
REFUSALS_AT_ONCE = 100
"""Burst of refused connections that receive an ERROR; more are closed without one."""
REFUSALS_A_SECOND = 20.0
"""Refused connections per second that receive an ERROR after the burst."""
MOST_KNOWN = 65_536
"""Addresses without connections whose rate limit is stored; the longest unseen are removed."""


class AddressUse:
    """Connections of one address: how many are open, and the rate limit of new ones."""

    __slots__ = ("limiter", "open")

    def __init__(self, limiter: RateLimiter) -> None:
        self.open = 0
        self.limiter = limiter


class Addresses:
    """Connections by address (an IPv6 one by its /64); `now` is in seconds.

    Limits: `connections_per_address` open ones; `new_rate` new ones per second, with bursts of `new_burst`.
    """

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._limits = limits
        self._uses: OrderedDict[str, AddressUse] = OrderedDict()  # the longest unseen first
        self._idle = 0  # addresses without open connections

    def __len__(self) -> int:
        return len(self._uses)

    def admit(self, host: str, now: float) -> bool:
        """Count one more connection of `host` until `leave`; return False if a limit is reached."""
        limits = self._limits
        name = network(host)
        use = self._uses.get(name)
        if use is None:
            use = AddressUse(RateLimiter(limits.new_rate, limits.new_burst))
            self._uses[name] = use
            self._idle += 1
            self._forget_idle()
        else:
            self._uses.move_to_end(name)
        if use.open >= limits.connections_per_address or not use.limiter.allow(now):
            return False
        self._idle -= not use.open
        use.open += 1
        return True

    def leave(self, host: str) -> None:
        """Count the end of a connection that was admitted."""
        use = self._uses[network(host)]
        use.open -= 1
        self._idle += not use.open

    def _forget_idle(self) -> None:
        """Remove the longest unseen address without open connections if the table is full.

        Addresses with open connections are moved to the end, so that none is examined twice in a round.
        """
        for _ in range(len(self._uses) if self._idle > MOST_KNOWN else 0):
            name, use = next(iter(self._uses.items()))
            if not use.open:
                del self._uses[name]
                self._idle -= 1
                return
            self._uses.move_to_end(name)


class Refusal(Protocol):
    """Refused connection: it receives an ERROR and is closed."""

    def __init__(self, status: int) -> None:
        self.status = status

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(encode(ClassicError(self.status)))
        self.transport.loseConnection()


class ChatFactory(DirectFactory):
    """Connections of a server, with their shared state and limits.

    `most`: connections in all. `say` and `trace` receive lines; None: no lines are formatted.
    `secure` and `relay` take over connections that begin with TLS or RELAY; without them such a
    connection is closed. `tls_only`: refuse plain text.
    """

    log = Logger()
    noisy = False

    def __init__(
        self,
        clock: Any,
        directory: Directory,
        limits: ServerLimits = SERVER_DEFAULTS,
        most: int = 1000,
        say: Tell | None = None,
        trace: Tell | None = None,
        secure: SecureSide | None = None,
        relay: Relays | None = None,
        tls_only: bool = False,
    ) -> None:
        self.clock = clock
        self.seconds: Callable[[], float] = clock.seconds
        self.directory = directory
        self.limits = limits
        self.quick = fast.fits(limits)
        """True if canonical requests may be parsed in one step."""
        self.most = most
        self.say = say
        self.trace = trace
        self.secure = secure
        self.relay = relay
        self.shared: SharedDirectory | None = None
        """Directory that several servers share; None if this server shares none."""
        self.tls_only = tls_only
        self.counters: Counters | None = None
        """Counters for `--metrics`; None: nothing is counted."""
        self.wheel: TimerWheel[Any] = TimerWheel()
        self._ticking: Any = None
        self.turns = secure.turns if secure is not None else WorkQueue(clock)
        self.addresses = Addresses(limits)
        self.silent: OrderedDict[Any, None] = OrderedDict()
        """Connections that never sent a request, the oldest first."""
        self.passing: OrderedDict[Any, float] = OrderedDict()
        """Plain connections without a registration, with the time of the last request, oldest first."""
        self.spoken: set[Any] = set()
        """All other connections."""
        self._arrived = 0  # connections that have no protocol object yet
        self._beside = 0  # connections of another port, which take places too
        self._numbers = count(1)
        self._refusals = RateLimiter(REFUSALS_A_SECOND, REFUSALS_AT_ONCE)
        self.on_empty: Callable[[], None] | None = None
        """Called when the last connection has ended."""

    def __len__(self) -> int:
        return self._arrived + len(self.silent) + len(self.passing) + len(self.spoken)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        # A client on a Unix socket is on this machine.
        unnamed = "127.0.0.1" if isinstance(addr, UNIXAddress) else ""
        try:
            visit = self.arrive(getattr(addr, "host", unnamed), getattr(addr, "port", 0))
        except Refused as refused:
            return refused.protocol
        return self.make_protocol(visit, False)

    # Connections until they need a protocol object or end; see `DirectFactory`.

    def arrive(self, host: str, port: int) -> Origin:
        host = plain_host(host)
        local = is_loopback(host)
        if not self._make_room():
            raise self._refused(503)
        if not local and not self.addresses.admit(host, self.seconds()):
            raise self._refused(429)
        self._arrived += 1
        if self.counters is not None:
            self.counters.accepted += 1
        return Origin(host, port, local)

    def answer(self, visit: Origin, own_host: Callable[[], str], data: bytes) -> bytes | None:
        """Answer `data` that is one canonical registration; None: a `ChatConnection` has to parse it.

        A short cut, since most connections send nothing else.
        """
        if not (self._is_short and self.turns.is_free):
            return None
        message = fast.take_registration(data)
        if message is None:
            return None
        if not visit.local:
            visit.see_own(plain_host(own_host()))
        if not self.directory.register(message, visit, self.turns.begin()):
            return None
        if self.say is not None:
            self.say(register_line(message))
        return fast.confirm_registration(data)

    @property
    def room(self) -> int:
        return int(self.most * (1 - RESERVE)) - self.taken

    def make_protocol(self, visit: Origin, was_answered: bool) -> ChatConnection:
        self._arrived -= 1
        connection = ChatConnection(self, visit.host, visit.port, visit if was_answered else None)
        connection.came = next(self._numbers)
        if was_answered:
            self.spoken.add(connection)
        else:
            self.silent[connection] = None
        return connection

    def depart(self, visit: Origin) -> None:
        self._arrived -= 1
        visit.alive = False
        self._ended(visit.host)

    @property
    def _is_short(self) -> bool:
        """True if `answer` may be used: plain text is allowed, and nothing else needs the requests."""
        watched = self.counters is not None or self.trace is not None or self.shared is not None
        return self.quick and not self.tls_only and not watched

    @property
    def taken(self) -> int:
        """Number of connections, those of another port included."""
        return len(self) + self._beside

    def admit(self, host: str) -> bool:
        """Take a place for a connection of another port until `leave`; return False if there is none.

        Such connections take at most the share BESIDE of all places, and count for their address.
        """
        if self._beside >= self.most * BESIDE or not self._make_room():
            return False
        if not is_loopback(host) and not self.addresses.admit(host, self.seconds()):
            return False
        self._beside += 1
        return True

    def leave(self, host: str) -> None:
        """Count the end of a connection that `admit` accepted."""
        self._beside -= 1
        if not is_loopback(host):
            self.addresses.leave(host)

    def _make_room(self) -> bool:
        """Return True if there is a place; close the longest idle connection if there is none."""
        if self.taken < self.most:
            return True
        longest = self._longest_idle()
        if longest is None:
            return False
        self.lost(longest)
        longest.transport.abortConnection()
        return True

    def _refused(self, status: int) -> Refused:
        """Return the refusal of a connection, without an ERROR above the rate limit of refusals.

        A transport and an answer cost many times what closing the socket does.
        """
        if self.counters is not None:
            self.counters.refused[status] += 1
        return Refused(Refusal(status) if self._refusals.allow(self.seconds()) else None)

    def replace(self, plain: ChatConnection, other: Any) -> None:
        """Put `other` in the place of `plain`, whose connection it has taken over."""
        self.wheel.discard(plain)
        self.turns.discard(plain)
        if plain in self.silent:
            del self.silent[plain]
            self.silent[other] = None

    def _longest_idle(self) -> Any:
        """Return the connection to close for a new one; None if all are in use.

        A connection that is in the work queue is not idle: its requests are not answered yet. One that has
        sent a whole TLS hello is closed after those that sent less. Plain connections without a
        registration leave RESERVE of the places free for new ones.
        """
        if len(self.passing) > self.most * (1 - RESERVE):
            return next(iter(self.passing))
        greeted = None
        for connection in islice(self.silent, EXAMINED):
            if connection in self.turns:
                continue
            if not connection.greeted:
                return connection
            if greeted is None:
                greeted = connection
        if self._arrived:
            return None  # an arrival may stay silent, and is closed first then
        if greeted is not None:
            return greeted
        if self.passing:
            connection, since = next(iter(self.passing.items()))
            if since <= self.seconds() - LEAST_IDLE:
                return connection
        return None

    def spoke(self, connection: Any, registered: bool = True) -> None:
        """Note a request. With `registered` the connection is not closed for new ones, even if idle."""
        if registered:
            if connection not in self.spoken:
                self.silent.pop(connection, None)
                self.passing.pop(connection, None)
                self.spoken.add(connection)
        else:
            self.silent.pop(connection, None)
            self.passing[connection] = self.seconds()
            self.passing.move_to_end(connection)

    def proved(self, connection: Any) -> None:
        """Note that `connection` has proved a key: it is the last silent one to be closed for a new one."""
        if connection in self.silent:
            self.silent.move_to_end(connection)

    def lost(self, connection: Any) -> None:
        """Remove a connection that has ended or is aborted, if it is known."""
        if connection in self.spoken:
            self.spoken.remove(connection)
        elif connection in self.passing:
            del self.passing[connection]
        elif connection in self.silent:
            del self.silent[connection]
        else:
            return
        self.wheel.discard(connection)
        self.turns.discard(connection)
        self._ended(connection.host)

    def _ended(self, host: str) -> None:
        """Free the place of a connection from `host`."""
        if not is_loopback(host):
            self.addresses.leave(host)
        if self.on_empty is not None and not self:
            self.on_empty()

    def watch(self, connection: Any, deadline: float) -> None:
        """Call `connection.too_late` at `deadline`. The timer runs only while there are deadlines."""
        self.wheel.set(connection, deadline)
        if self._ticking is None:
            self._ticking = self.clock.callLater(self.wheel.grain, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        now = self.seconds()
        for connection in self.wheel.expire(now, EACH_TURN):
            try:
                connection.too_late()
            except Exception:  # the other deadlines and the next tick do not depend on it
                self.log.failure("a connection could not be closed at its deadline")
                connection.failed()
        if not self.wheel:
            return
        wait = 0 if self.wheel.is_due(now) else self.wheel.grain
        if self._ticking is None:
            self._ticking = self.clock.callLater(wait, self._tick)
        else:  # `too_late` has set another deadline
            self._ticking.reset(wait)

    def rest(self) -> None:
        """Cancel all timers."""
        self.turns.rest()
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def close_all(self, abort: bool = False) -> None:
        """Close all connections, after their queued bytes or with `abort` at once; a few in each turn."""
        told: set[Any] = set()

        def end(connection: Any) -> None:
            if not any(connection in some for some in (self.silent, self.passing, self.spoken)):
                return
            told.add(connection)
            if abort:
                connection.transport.abortConnection()
            else:
                connection.close()

        def go_on() -> None:
            # Plain connections may have become TLS ones meanwhile, which are other objects.
            everybody = [*self.silent, *self.passing, *self.spoken]
            left = [one for one in everybody if one not in told]
            if left:
                self.turns.each(left, end, go_on)

        go_on()

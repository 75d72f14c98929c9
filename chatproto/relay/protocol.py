"""Server side of the relay: connections that begin with RELAY, and pipes between two of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from typing import Protocol as Seam

from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.net.rate_limiter import UNLIMITED, RateLimiter
from chatproto.relay.pipe import HELD, Flow
from chatproto.relay.tickets import Met, Pairing, Tickets, Waiting
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits
from chatproto.wire.plain_blocks import TO_SERVER, Relay, RelayAck, RelayError, read_first
from chatproto.wire.strict import encode

RATE = re.compile(r"on:([0-9]{1,12})([kMG]?)", re.ASCII)
UNITS = {"": 1, "k": 1024, "M": 1024**2, "G": 1024**3}


def with_relay(limits: ServerLimits, text: str) -> ServerLimits | None:
    """Return `limits` with the rate of each pipe that `--relay` sets; None for `off`.

    `text`: value of the option. Raises ValueError with one sentence.
    """
    if text == "off":
        return None
    if text == "on":
        return limits
    match = RATE.fullmatch(text)
    if match is None or not int(match[1]):
        raise ValueError(f"--relay is on, off, or a rate such as on:1M, not {text!r}")
    return replace(limits, relay_rate=float(int(match[1]) * UNITS[match[2]]))


class RelayPort(Seam):
    """Port that accepted a relay connection."""

    limits: ServerLimits

    def spoke(self, connection: Any) -> None:
        """Note a valid RELAY request."""

    def lost(self, connection: Any) -> None:
        """Note the end of the connection."""

    def watch(self, connection: Any, deadline: float) -> None:
        """Call the `too_late` of `connection` at `deadline`."""


@dataclass(slots=True)
class Counts:
    """Counters of the relay since the start."""

    pipes: int = 0
    bytes: int = 0
    refused: int = 0
    alone: int = 0


class Relays:
    """Shared state of a server's pipes: tickets, waiting clients, rate limits, counters.

    `limits.relay_rate` bytes per second for each pipe and `limits.relay_rate_all` in all; 0: unlimited.
    """

    def __init__(
        self, clock: IReactorTime, limits: ServerLimits, new_ticket: Callable[[], str]
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.tickets = Tickets(limits, new_ticket)
        self.pairing: Pairing[RelayConnection] = Pairing(self.tickets)
        self.counts = Counts()
        """Counters since the start, while `open_pipes` is the current number."""
        self.open_pipes = 0
        self._all = _limiter(limits.relay_rate_all)

    def limiters(self) -> tuple[RateLimiter, RateLimiter]:
        """Return the rate limits of a new pipe: its own, for both directions, and that of all pipes."""
        return _limiter(self.limits.relay_rate), self._all


def _limiter(rate: float) -> RateLimiter:
    """Return a limiter for `rate` bytes per second; 0: unlimited."""
    return RateLimiter(rate or UNLIMITED, max(rate, HELD))


@implementer(IHalfCloseableProtocol)
class RelayConnection(Protocol):
    """One end of a pipe, or a client that waits for the other end.

    Data that arrive before RELAYACK is sent are refused: nothing is queued.
    """

    transport: Any
    greeted = False
    """False: a relay connection sends no TLS hello, so it is closed for newer ones first until its RELAY is
    accepted."""
    _other: RelayConnection | None = None
    _flow: Flow | None = None  # from this end to the other
    _leaving = False
    _ended = False  # the client has closed its sending side
    _heard = 0.0
    _first: bytes | None = b""  # received part of RELAY; None: it was accepted

    def __init__(self, relays: Relays, port: RelayPort, host: str, number: int) -> None:
        self.host = host
        self.port = number
        self._relays = relays
        self._port = port

    # Callbacks of Twisted.

    def connectionMade(self) -> None:
        self._port.watch(self, self._relays.clock.seconds() + self._port.limits.handshake_wait)

    def dataReceived(self, data: bytes) -> None:
        if self._leaving:
            return
        if self._flow is not None:
            self._heard = self._relays.clock.seconds()
            self._relays.counts.bytes += len(data)
            self._flow.carry(data)
        elif self._first is None:
            self.refuse(400)
        else:
            self._ask(self._first + data)

    def readConnectionLost(self) -> None:
        """Handle the peer's end of input: pass on the rest, then close both ends."""
        self._ended = True
        if self._leaving:
            self.transport.loseConnection()
        self.close()

    def writeConnectionLost(self) -> None:
        """Do nothing: this side is closed, and the client's end is awaited until the deadline."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._leaving = True
        self._part()
        self._relays.pairing.leave(self)
        self._port.lost(self)

    # Callbacks of the server.

    def too_late(self) -> None:
        """Handle the deadline for RELAY, for the other end to join, for idle time, or for closing."""
        if self._leaving:
            self.transport.abortConnection()
        elif self._other is not None:
            deadline = max(self._heard, self._other._heard) + self._port.limits.relay_idle
            if deadline > self._relays.clock.seconds():
                self._port.watch(self, deadline)
            else:
                self.close()
        elif self._first is None:
            self._relays.counts.alone += 1
            self.refuse(480)
        else:
            self.refuse(408)

    def refuse(self, status: int) -> None:
        """Send RELAYERROR with `status`, and close."""
        if not self._leaving:
            self.transport.write(encode(RelayError(status)))
            self.close()

    def close(self) -> None:
        """Close both ends once the queued bytes are sent, or after `limits.farewell_wait` seconds."""
        if self._leaving:
            return
        self._leaving = True
        self._part()
        self._relays.pairing.leave(self)
        self._port.watch(self, self._relays.clock.seconds() + self._port.limits.farewell_wait)
        if self._ended:
            self.transport.loseConnection()  # which may call connectionLost at once
        else:
            self.transport.resumeProducing()  # to see the client's end; a full close could lose queued bytes
            self.transport.loseWriteConnection()

    # Internal.

    def _ask(self, data: bytes) -> None:
        """Parse `data`, all bytes received so far, as RELAY."""
        self._first = data
        try:
            found = read_first(data, TO_SERVER)
            if found is None:
                return
            relay, rest = found
            if rest:
                raise RemoteError(400, "bytes before there is a pipe")
            self._join(relay)
        except RemoteError as error:
            self._relays.counts.refused += 1
            self.refuse(error.status)

    def _join(self, relay: Relay) -> None:
        """Use the ticket, then wait for the other end or connect both. Raises RemoteError 403."""
        joined = self._relays.pairing.join(self, relay.ticket, self._relays.clock.seconds())
        self._port.spoke(self)
        self._first = None
        match joined:
            case Waiting(until):
                self._port.watch(self, until)
            case Met(other):
                self._couple(other)

    def _couple(self, other: RelayConnection) -> None:
        relays = self._relays
        relays.counts.pipes += 1
        relays.open_pipes += 1
        limiters = relays.limiters()
        for one, its_other in ((self, other), (other, self)):
            one._other = its_other
            one._heard = self._relays.clock.seconds()
            one.transport.write(encode(RelayAck()))
            one._flow = Flow(one.transport, its_other.transport, relays.clock, limiters)
            self._port.watch(one, self._relays.clock.seconds() + self._port.limits.relay_idle)

    def _part(self) -> None:
        """End the pipe, if any: the other end sends its queued bytes and closes."""
        other = self._other
        if other is None:
            return
        self._relays.open_pipes -= 1
        for one in (self, other):
            if one._flow is not None:
                one._flow.end()
            one._flow = one._other = None
        other.close()

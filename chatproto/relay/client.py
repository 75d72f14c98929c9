"""Client side of the relay: request a pipe, wait for the peer, hand the transport over."""

from __future__ import annotations

from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from chatproto.net.addresses import AddressScope, reach_of
from chatproto.net.resolver import endpoint_to
from chatproto.net.sniff import hand_over
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ClientLimits
from chatproto.wire.plain_blocks import FROM_RELAY, Relay, RelayError, read_first
from chatproto.wire.reasons import (
    RELAY_ALONE,
    RELAY_GARBLED,
    RELAY_HERE,
    RELAY_LOST,
    RELAY_OFF,
    RELAY_REFUSED,
    RELAY_SILENT,
    RELAY_TICKET,
    Reason,
)
from chatproto.wire.strict import encode


class NoRelay(Exception):
    """No relayed connection is available; the text is one sentence for the user."""


class RelayEnd(Protocol):
    """Connection that requests the pipe of `ticket`; `piped` fires with itself on RELAYACK.

    `piped` fails with NoRelay if the relay refuses, if the connection breaks, or after `limits.ticket_wait`
    plus `limits.farewell_wait` seconds. Cancelling it closes the connection. From RELAYACK until
    `hand_to`, received data are stored and reading is paused.
    """

    transport: Any

    def __init__(
        self, ticket: str, clock: IReactorTime, limits: ClientLimits, near: bool = True
    ) -> None:
        self._near = near  # True if the relay may be on this machine
        self.piped: Deferred[RelayEnd] = Deferred(lambda _: self.give_up())
        self._ticket = ticket
        self._clock = clock
        self._limits = limits
        self._came = b""
        self._open = False

    def hand_to(self, protocol: IProtocol) -> None:
        """Hand the pipe over to `protocol`, which may start TLS in its `connectionMade`."""
        transport, data = self.transport, self._came
        self._came = b""
        hand_over(transport, protocol, data)
        transport.resumeProducing()

    def give_up(self) -> None:
        """Abort the connection."""
        if self.transport is not None:
            self.transport.abortConnection()

    # Callbacks of Twisted.

    def connectionMade(self) -> None:
        wait = self._limits.ticket_wait + self._limits.farewell_wait
        self.piped.addTimeout(wait, self._clock, _too_late)
        if not self._near and reach_of(str(self.transport.getPeer().host)) is AddressScope.LOOPBACK:
            self._fail(RELAY_HERE())
        else:
            self.transport.write(encode(Relay(self._ticket)))

    def dataReceived(self, data: bytes) -> None:
        self._came += data
        if self._open or self.piped.called:
            return
        try:
            found = read_first(self._came, FROM_RELAY)
        except RemoteError as error:
            self._fail(RELAY_GARBLED(why=error.detail))
            return
        if found is None:
            return
        answer, self._came = found
        if isinstance(answer, RelayError):
            self._fail(
                _REFUSALS.get(answer.status, RELAY_REFUSED)(why=Reason.of(answer.status).sentence)
            )
            return
        self._open = True
        self.transport.pauseProducing()
        self.piped.callback(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._fail(RELAY_LOST())

    # Internal.

    def _fail(self, sentence: str) -> None:
        if not self.piped.called:
            self.give_up()
            self.piped.errback(NoRelay(sentence))


def _too_late(_: object, seconds: float) -> NoReturn:
    raise NoRelay(RELAY_SILENT())


_REFUSALS = {403: RELAY_TICKET, 405: RELAY_OFF, 480: RELAY_ALONE}


async def join(
    reactor: IReactorTime,
    host: str,
    port: int,
    ticket: str,
    limits: ClientLimits,
    near: bool = True,
) -> RelayEnd:
    """Connect to the relay at `host:port` and return the pipe of `ticket` once the peer has joined.

    `near`: the relay may be on this machine; else a name that resolves to loopback is refused.
    Raises NoRelay, or the errors of connecting. Cancelling closes the connection.
    """
    endpoint = endpoint_to(reactor, host, port, limits.dial_wait)
    end = RelayEnd(ticket, reactor, limits, near)
    await connectProtocol(endpoint, end)
    return await end.piped

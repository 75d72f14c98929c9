"""BCP/2 inside TLS on one connection: handshake, decoding, keepalive, backpressure and close.

`TlsConnection` is the common part of all such connections; the server's connections to its clients
derive from it. `TimedTlsConnection` adds timers, and is the base class of the two connections of a
client: to its server and to a peer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.net.fast_tcp import start_tls
from chatproto.net.fast_tls import break_cycles, write_at_once
from chatproto.net.handshake import Handshake
from chatproto.net.receivers import StrictReceiver
from chatproto.net.sniff import hand_over
from chatproto.net.timers import Keepalive, Timers
from chatproto.wire.bcp2_common import Bcp2Message, PingAck
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import Limits
from chatproto.wire.reasons import HANDSHAKE_TIMEOUT, NOT_BCP2, Cause, Reason
from chatproto.wire.strict import encode

MESSAGES_AT_ONCE = 64
"""Messages that are read in one turn of the reactor; the others wait for the next turn."""
ENDED = Cause(Reason.CONNECTION_LOST)
NO_BCP2 = NOT_BCP2()
NEVER = float("-inf")


def _not_connected(data: bytes) -> None:
    """Drop data that are written before or after the connection."""


@implementer(IHandshakeListener, IPushProducer)
class TlsConnection(StrictReceiver):
    """Connection that speaks BCP/2 inside TLS.

    A subclass sets its time limits in `_limit_handshake` and `_limit_close`, is called at the end of
    the handshake in `established`, and reads in `rawDataReceived`.

    Args: sender: the peer's role, which decides on the messages that it may send. handshake: judges the
    peer's key.
    """

    transport: Any = None  # a TCP connection, or the transport that startTLS creates from it
    _made = False  # the handshake is done, and the peer's key was accepted
    _leaving = False  # we close: nothing more is read or written
    _writable = True  # the transport accepts more data
    _layer: Any = None  # between TCP and this protocol

    def __init__(self, sender: Sender, handshake: Handshake, limits: Limits) -> None:
        super().__init__(sender, limits)
        self._handshake = handshake
        self._limits = limits

    @property
    def key(self) -> str:
        """Name of the key that the peer proved."""
        assert self._handshake.peer_key is not None
        return self._handshake.peer_key

    def start(self, transport: Any, data: bytes) -> None:
        """Begin TLS on an accepted connection, whose first bytes `data` have been read."""
        hand_over(transport, self, data, self._begin_tls)

    def established(self) -> None:
        """Start the conversation: the handshake is done, and `key` was accepted."""

    def handshakeCompleted(self) -> None:
        if not self._handshake.accepted():
            self._abort()
            return
        self._made = True
        self.transport.registerProducer(self, True)
        self.established()

    def pauseProducing(self) -> None:
        """Stop writing: the transport's buffer is full."""
        self._writable = False

    def resumeProducing(self) -> None:
        """Resume writing: the transport accepts more data."""
        self._writable = True

    def stopProducing(self) -> None:
        """Do nothing: the connection has ended, and `connectionLost` follows."""

    def _begin_tls(self, normal: bool = True) -> None:
        """Begin the handshake; `normal`: the end that dialled is the TLS client."""
        self._limit_handshake()
        start_tls(self.transport, self._handshake, normal)
        self._layer = getattr(self.transport, "protocol", None)

    def _free(self, reason: Failure) -> None:
        """Break the reference cycles of TLS, now that the connection has ended because of `reason`.

        OpenSSL's memory would otherwise stay until the cycle collector runs, late or never.
        """
        reason.cleanFailure()
        layer, self._layer = self._layer, None
        if layer is not None:
            break_cycles(layer)

    def _limit_handshake(self) -> None:
        """Abort the connection unless the handshake is done within `handshake_wait`."""
        raise NotImplementedError

    def _limit_close(self) -> None:
        """Abort the connection unless the peer closes within `farewell_wait`."""
        raise NotImplementedError

    def _close(self) -> None:
        """Close when all is sent, or after a timeout."""
        if self._leaving:
            return
        self._leaving = True
        if self.transport is None:
            return  # it is still being dialled, and is closed instead
        if self._made:
            # TLS would wait for its producer's end before it closes.
            self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._limit_close()

    def _abort(self) -> None:
        """Abort the connection; queued data are lost."""
        self._leaving = True
        if self.transport is not None:
            self.transport.abortConnection()


class TimedTlsConnection(TlsConnection):
    """TLS connection of a client, with its own timers.

    It reads a few messages in a turn of the reactor, and nothing while it is held (`hold`) or the peer
    has sent faster than `_pace` allows. The peer is pinged after `silence` seconds. A subclass receives
    messages in `received` and the end in `ended`.

    Args: silence: seconds.
    """

    def __init__(
        self,
        sender: Sender,
        handshake: Handshake,
        limits: Limits,
        clock: IReactorTime,
        silence: float,
    ) -> None:
        super().__init__(sender, handshake, limits)
        self._timers = Timers(clock)
        self._heard_at = NEVER  # when data were received last
        self._keepalive = Keepalive(
            self._timers, silence, lambda: self._heard_at, self.probe, self._lose
        )
        self._holds: set[str] = set()  # reasons why nothing is read
        self._late = b""  # received while reading was held
        self._pong = False  # an answer to PING that is not written yet
        self._gone = False
        self._reason = ""
        self._write: Callable[[bytes], object] = _not_connected

    # Implemented by subclasses.

    def probe(self) -> None:
        """Ask the peer for a sign of life."""
        raise NotImplementedError

    def received(self, message: Bcp2Message | RemoteError) -> None:
        """Handle a message, or the error in one."""
        raise NotImplementedError

    def ended(self, why: str, reason: Failure) -> None:
        """Handle the end of the connection; `why`: one sentence for the user."""
        raise NotImplementedError

    def _cost(self, message: Bcp2Message | RemoteError) -> int:
        """Return the cost of reading `message`."""
        return 1

    def _pace(self, cost: int) -> float:
        """Take `cost`; return the seconds for which reading stops."""
        return 0.0

    def _taken(self) -> None:
        """Note that all messages that arrived together were processed."""

    def _trouble(self, reason: Failure) -> str:
        """Return why the connection ended before the peer accepted it."""
        return self._handshake.trouble(reason)

    # Called by Twisted.

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)

    def dataReceived(self, data: bytes) -> None:
        if not self._leaving:
            self._heard_at = self._timers.seconds()
            self._read(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._timers.stop()
        self._write = _not_connected
        self._end(reason)
        self._free(reason)

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self._pong:
            self._pong = False
            self._send(PingAck())

    # Reading.

    def hold(self, held: bool, who: str = "screen") -> None:
        """Stop reading because of `who`, or remove that reason."""
        before = bool(self._holds)
        if held:
            self._holds.add(who)
        else:
            self._holds.discard(who)
        if self._gone or bool(self._holds) is before:
            return
        if held:
            self.transport.pauseProducing()
            self._keepalive.stop()  # we cause this silence
        else:
            self.transport.resumeProducing()
            self._listen()

    @property
    def held(self) -> bool:
        """Return True while nothing is read."""
        return bool(self._holds)

    def _listen(self) -> None:
        if not self._holds:
            self._keepalive.start()

    def _read(self, data: bytes) -> None:
        """Process a few messages now; the others, and the bytes after them, in the next turn."""
        data, self._late = self._late + data, b""
        cost = self._take_some(data)
        if self._leaving:
            return
        if self.unreadable:
            self._reason = self._reason or NO_BCP2
            self._close()
            return
        wait = self._pace(cost)
        if wait or self.stopped:
            self._rest_for(wait)

    def _take_some(self, data: bytes) -> int:
        """Process the messages of one turn; return their cost."""
        cost = 0
        for message in self.read(data, MESSAGES_AT_ONCE):
            if not self._leaving:
                self.received(message)
                cost += self._cost(message)
        self._taken()
        return cost

    def _rest_for(self, wait: float) -> None:
        """Stop reading for `wait` seconds, then continue with the received data."""
        self.hold(True, "pace")
        self._timers.after("pace", wait, self._rested)

    def _rested(self) -> None:
        if self.stopped or self._late:
            self._read(b"")
        if "pace" not in self._timers:
            self.hold(False, "pace")

    def _end(self, reason: Failure) -> None:
        """Report the end once everything received before it was processed."""
        if self.stopped and not self._leaving:
            self._take_some(b"")
            self._timers.after("pace", 0, lambda: self._end(reason))
            return
        # A client's handshake is done before the server has judged it (RFC 8446, section 4.4).
        judged = self._heard_at > NEVER or reason.check(ConnectionDone, ConnectionLost)
        if not self._reason and not (self._made and judged):
            self._reason = self._trouble(reason)
        self.ended(self._reason or ENDED, reason)

    # Writing.

    def _send(self, message: Bcp2Message) -> None:
        if not self._leaving and not self._gone:
            self._write(encode(message))

    def _answer_ping(self) -> None:
        """Send PINGACK as soon as the transport accepts it; one answers all PINGs received meanwhile."""
        if self._writable:
            self._send(PingAck())
        else:
            self._pong = True

    def _begin_tls(self, normal: bool = True) -> None:
        super()._begin_tls(normal)
        self._write = write_at_once(self._layer, self.transport)

    # Timers.

    def _limit_handshake(self) -> None:
        self._timers.after("begin", self._limits.handshake_wait, self._too_slow)

    def _too_slow(self) -> None:
        """End the connection: its handshake has taken too long."""
        self._lose(HANDSHAKE_TIMEOUT())

    def _limit_close(self) -> None:
        self._timers.after("linger", self._limits.farewell_wait, self._abort)

    def _close(self) -> None:
        if not self._gone:
            super()._close()

    def _lose(self, why: str) -> None:
        """Abort the connection, and report `why`."""
        self._reason = why
        self._abort()

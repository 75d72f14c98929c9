"""TCP that accepts, receives and sends at once, with all private names of Twisted's TCP.

Twisted's `write` waits for the reactor to report that the socket is writable, even if it is: three more
system calls for each answer, and as many again when the peer has half-closed. Its port also waits for
the first data of a connection, which have usually arrived when it is accepted.

No other file of this program uses a private name of Twisted's TCP. `WHY_PLAIN` is empty if the
installed Twisted has all names that are used here, and is a known version; otherwise, and if the
environment variable `CHATPROTO_PLAIN_IO` is set, connections are Twisted's own.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.python.log import callWithLogger

import twisted
from chatproto.net.arrivals import Address, Arrivals, Departure, DirectFactory
from chatproto.net.clock import AT_END

PLAIN_IO = "CHATPROTO_PLAIN_IO"
"""Environment variable: if it is set and not empty, Twisted's own code reads and writes."""
KNOWN_TWISTED = 26
"""Major version of Twisted whose private names are used here and in `fast_tls`."""
READ_SIZE = 256 * 1024
"""Largest number of bytes read from a socket at once: each turn of the reactor has a fixed cost."""
READABLE = getattr(select, "EPOLLIN", 0)
"""Event of a socket that can be read, without any other event."""
EVENTS = 200
"""Largest number of sockets that one turn of the reactor reads or closes: closing them takes some 20
ms.
"""

TOGETHER = 64
"""Connections that are accepted, answered and written to step by step; the first answer waits for the
last.
"""
MOMENT = 0.005
"""Seconds after which the reactor watches a connection that stays open: on a busy machine a client
needs as long to read its answer and to close, and a client that sends more is delayed only this long,
once.
"""

DONE = Failure(CONNECTION_DONE)
log = Logger()


def unknown(package: str, version: str, known: int) -> str:
    """Return why `package` cannot be relied on: its major `version` is not `known`; "" if it is."""
    return "" if version.partition(".")[0] == str(known) else f"{package} {version} is not known"


def missing(holder: object, *names: str) -> str:
    """Return the first of `names` that `holder` does not have, as a sentence; "" if it has all."""
    return next((f"{name} is not there" for name in names if not hasattr(holder, name)), "")


def _why_plain() -> str:
    if os.environ.get(PLAIN_IO):
        return f"{PLAIN_IO} is set"
    return (
        unknown("Twisted", twisted.__version__, KNOWN_TWISTED)
        or missing(FileDescriptor(object()), "_tempDataBuffer", "dataBuffer", "disconnecting")  # type: ignore[arg-type]
        or missing(
            tcp.Server, "_shouldShutdown", "_closeWriteConnection", "_addressType", "_aborting"
        )
        or missing(socket.socket, "_accept")
    )


WHY_PLAIN = _why_plain()
"""Reason for using Twisted's own connections; empty: the faster ones of this file are used."""


class Turns:
    """Turns of Twisted's epoll reactor in fewer steps; `take` replaces its `doIteration`.

    A turn serves at most `EVENTS` sockets; the others have the next turns. Twisted polls all ready
    sockets: if 20,000 connections break at one moment, that is one turn of several seconds, in which no
    other client is served. Unreported sockets stay ready, and the system reports sockets in turn.

    A readable socket is read without the context that Twisted's old log has for each: eleven Python
    calls, and none of our log lines shows it.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._selectables: dict[int, Any] = reactor._selectables
        self._poll: Callable[[float, int], list[tuple[int, int]]] = reactor._poller.poll
        self._at_end: list[Callable[[], object]] = []

    def at_end(self, call: Callable[[], object]) -> None:
        """Call `call` once, when the sockets of this turn have been served; needs no timer."""
        self._at_end.append(call)

    def take(self, timeout: float | None) -> None:
        """Wait at most `timeout` seconds, None for ever, for ready sockets, and serve them."""
        if self._at_end:
            timeout = 0  # a timer asked for it
        for number, event in self._poll(-1 if timeout is None else timeout, EVENTS):
            selectable = self._selectables.get(number)
            if selectable is None:
                continue  # the event of another connection has closed it
            if event != READABLE:
                call = self._reactor._doReadOrWrite
                callWithLogger(selectable, call, selectable, number, event)
                continue
            try:
                why = selectable.doRead()
            except Exception as error:  # as in the reactor, this ends one connection only
                log.failure("a connection could not read")
                why = error
            if why:
                self._reactor._disconnectSelectable(selectable, why, True)
        if self._at_end:
            calls, self._at_end = self._at_end, []
            for call in calls:
                try:
                    call()
                except Exception:  # as the reactor does with a timer
                    log.failure("what a turn had left to its end could not be done")


def use_fast_turns(reactor: Any) -> None:
    """Make `reactor` use `Turns`; only Twisted's epoll reactor is changed.

    Call this before the reactor runs. A second call changes nothing.
    """
    names = ("_poller", "_selectables", "_doReadOrWrite", "_disconnectSelectable")
    if WHY_PLAIN or missing(reactor, *names) or not hasattr(reactor._poller, "fileno"):
        return  # only epoll reactors have a descriptor
    if not hasattr(reactor, AT_END):
        turns = Turns(reactor)
        reactor.doIteration = turns.take
        setattr(reactor, AT_END, turns.at_end)


def accept_directly(port: Any) -> None:
    """Make the listening `port` create connections of this file; a port that is not TCP is unchanged."""
    if not WHY_PLAIN and isinstance(port, tcp.Port) and port.transport is tcp.Server:
        port.transport = watched_server  # type: ignore[assignment]
        acceptor = Acceptor(port)
        # Methods of this one port, as `transport` is: Twisted creates ports without asking for a class.
        port.doRead = acceptor.accept  # type: ignore[method-assign]  # of one port
        port.connectionLost = acceptor.end  # type: ignore[method-assign]  # of one port
        port.stopListening = acceptor.stop  # type: ignore[method-assign, assignment]  # of one port


def start_tls(connection: Any, handshake: Any, normal: bool) -> None:
    """Begin TLS on `connection` as its own `startTLS` does, and send encrypted data directly.

    Args: handshake: creates the OpenSSL connection. normal: True if the end that dialled is the TLS
    client. A connection that is not Twisted's TCP, or was accepted by a `DirectServer`, is unchanged.
    """
    connection.startTLS(handshake, normal)
    if WHY_PLAIN or not isinstance(connection, tcp.Connection):
        return
    if not isinstance(connection, DirectServer):
        connection.bufferSize = READ_SIZE
        layer: Any = connection.protocol
        layer.transport.write = DirectWriter(connection).write


def watched_server(*arguments: Any) -> DirectServer:
    """Create a `DirectServer` that the reactor watches from the beginning."""
    connection = DirectServer(*arguments)
    connection.startReading()
    return connection


class Acceptor:
    """Accept the connections of `port`, and receive their first data at once.

    Each step is done for `TOGETHER` connections before the next one: accept, create, receive, answer,
    send. So the same code runs again while it is in the processor's caches: a third less CPU.

    The reactor watches a connection only if it is still open after a `MOMENT`: one that sends a request
    and reads the answer costs no epoll call. Its socket is the C object beneath Python's class, which
    would only count the files made of it. Connections of a `DirectFactory` have no socket, transport or
    protocol either until they need them; see `net.arrivals`.
    """

    def __init__(self, port: tcp.Port) -> None:
        self._port = port
        reactor: Any = port.reactor
        factory: Any = port.factory
        is_direct = isinstance(factory, DirectFactory)
        self._reactor = reactor
        self._arrivals = Arrivals(factory, reactor.seconds) if is_direct else None
        self._new: list[DirectServer] = []
        self._timer: Any = None  # runs while there are new connections or arrivals

    def accept(self) -> None:
        """Accept pending connections; the number accepted at once follows that of the last time, as in
        Twisted.
        """
        port, taken, more = self._port, 0, not self._port.disconnecting
        most: int = port.numberAccepts
        while more and taken < most:
            wanted = min(TOGETHER, most - taken, self._at_once())
            accepted = self._accepted(wanted)
            more = len(accepted) == wanted
            taken += len(accepted)
            self._begin(accepted)
        port.numberAccepts = most + 20 if taken == most else max(1, taken)

    def _at_once(self) -> int:
        """Return how many connections may be accepted before they have a place, in order."""
        if self._arrivals is None:
            return TOGETHER
        room = self._arrivals.room
        if room <= 0:
            self._go_on(self._arrivals.hurry())
        return max(1, room)

    def _accepted(self, most: int) -> list[tuple[int, Address]]:
        """Accept at most `most` connections; return their descriptors and addresses."""
        listening: Any = self._port.socket
        accept = listening._accept
        accepted: list[tuple[int, Address]] = []
        try:
            while len(accepted) < most:
                accepted.append(accept())
        except BlockingIOError:
            pass
        except OSError:
            # Twisted meets the error again and handles it: with too many open files it has a
            # reserve descriptor, to accept and close pending connections.
            tcp.Port.doRead(self._port)
        return [(number, with_scope(one) if one[2:] else one) for number, one in accepted]

    def _begin(self, accepted: list[tuple[int, Address]]) -> None:
        """Create connections, and pass on their first data."""
        if self._arrivals is not None:
            self._go_on(self._arrivals.begin(accepted))
        else:
            made = [
                self._connected(number, address, partial(self._protocol, address))
                for number, address in accepted
            ]
            self._new += receive_all([one for one in made if one is not None])
        self._look_later()

    def _protocol(self, address: Address) -> Any:
        """Create a protocol with an ordinary factory."""
        factory: Any = self._port.factory
        kind = IPv4Address if len(address) == 2 else IPv6Address
        return factory.buildProtocol(kind("TCP", *address))

    def _connected(
        self, number: int, address: Address, make: Callable[[], Any]
    ) -> DirectServer | None:
        """Create the connection of a descriptor; return None if `make`, which may raise anything,
        refuses it.
        """
        port = self._port
        listening: Any = port.socket
        kind = listening.family, listening.type, listening.proto
        accepted = socket.SocketType(*kind, fileno=number)
        try:
            protocol = make()
            if protocol is not None:
                session = port.sessionno
                port.sessionno = session + 1
                connection = DirectServer(accepted, protocol, address, port, session, self._reactor)
                protocol.makeConnection(connection)
                return connection
        except Exception:  # a failure concerns only this connection
            log.failure("a connection could not be accepted")
        accepted.close()
        return None

    def _go_on(self, departures: list[Departure]) -> None:
        """Create the connections of the arrivals that need one, and pass on their data."""
        for one in departures:
            connection = self._connected(one.number, one.address, one.make)
            if connection is None:
                continue
            if one.unsent:
                connection.write(one.unsent)
            if one.data is not None:
                connection.hand_on(one.data)
            if connection.is_new and one.data is None:
                connection.startReading()
            elif connection.is_new:
                self._new.append(connection)

    def _look_later(self) -> None:
        if self._timer is None and (self._new or self._arrivals):
            self._timer = self._reactor.callLater(MOMENT, self._look_again)

    def _look_again(self) -> None:
        """Receive again a moment later; then the reactor watches the connections that are still open."""
        self._timer = None
        new, self._new = self._new, []
        for connection in receive_all(new):
            connection.startReading()
        if self._arrivals is not None:
            self._go_on(self._arrivals.look_again())
        self._look_later()

    def stop(self) -> Any:
        """Begin to close the port: create a protocol for each connection, so that the caller can close
        them all.
        """
        self._make_all()
        return tcp.Port.stopListening(self._port)

    def end(self, reason: Failure) -> None:
        """Close the port and cancel its timer."""
        self._make_all()
        tcp.Port.connectionLost(self._port, reason)

    def _make_all(self) -> None:
        """Make the reactor watch all connections."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._arrivals is not None:
            self._go_on(self._arrivals.end())
        new, self._new = self._new, []
        for connection in new:
            if connection.is_new:
                connection.startReading()


def with_scope(address: Address) -> Address:
    """Return the `address` of an IPv6 socket with its scope id, if it has one: it is incomplete
    without.
    """
    if not address[3]:
        return address
    name, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return (name, *address[1:])


def receive_all(connections: list[DirectServer]) -> list[DirectServer]:
    """Pass on the received data of new `connections`.

    Returns: the connections that are still new: they are open, and were not watched or paused.
    """
    for one in connections:
        if one.is_new:
            try:
                data: bytes | OSError = one.socket.recv(one.bufferSize)
            except BlockingIOError:
                continue
            except OSError as error:
                data = error
            one.hand_on(data)
    return [one for one in connections if one.is_new]


class DirectServer(tcp.Server):
    """Accepted TCP connection that writes, and closes after a half-close, without waiting for the
    reactor.

    Its protocol must be an IHalfCloseableProtocol. Other cases (TLS, queued data, a full or broken
    socket) are left to Twisted.
    """

    log = log
    _shouldShutdown = False  # no other process has the socket: closing it is enough
    is_new = True
    """True until reading is begun, paused or over: the reactor does not watch the connection yet."""
    _is_watched = False  # the reactor watches the connection
    _read_ended = False
    _is_free = True  # nothing is queued, and the connection is up
    _log_prefix = ""
    _tempDataLen = 0

    def __init__(
        self,
        sock: socket.SocketType,
        protocol: Any,
        client: Address,
        server: tcp.Port,
        sessionno: int,
        reactor: Any,
    ) -> None:
        # What Twisted's constructors do, without the texts for the log, which are hardly ever read.
        # Theirs
        # also start to read.
        sock.setblocking(False)
        self.reactor = reactor
        self.socket: Any = sock  # the C object, not Python's wrapper
        self.fileno = sock.fileno
        self.protocol = protocol
        self._tempDataBuffer = []
        self.server, self.sessionno, self.client = server, sessionno, client
        if len(client) != 2:
            self._addressType = IPv6Address
        self.connected = 1

    def __repr__(self) -> str:
        return f"<DirectServer {self.logPrefix()}>"

    def logPrefix(self) -> str:
        """Return the prefix of log lines."""
        if not self._log_prefix:
            kind = getattr(self, "protocol", None).__class__.__name__
            self._log_prefix = f"{kind},{self.sessionno},{self.client[0]}"
        return self._log_prefix

    def startReading(self) -> None:
        self.is_new = False
        self._is_watched = True
        super().startReading()

    def stopReading(self) -> None:
        self.is_new = False
        super().stopReading()

    def hand_on(self, data: bytes | OSError) -> None:
        """Process `data` as the reactor does for a connection that it watches."""
        if not self.connected or self.disconnecting or self._aborting:
            return
        if not isinstance(data, bytes):
            self.is_new = False
            self.connectionLost(Failure(CONNECTION_LOST))
        elif not data:
            self.is_new = False
            self.readConnectionLost(DONE)
        else:
            try:
                self.protocol.dataReceived(data)
            except Exception:  # as in the reactor, this ends one connection only
                failure = Failure()
                self.log.failure("a connection could not read", failure)
                self.connectionLost(failure)

    def startWriting(self) -> None:
        self._is_free = False
        self._is_watched = True
        super().startWriting()

    def stopWriting(self) -> None:
        self._is_free = bool(self.connected)
        super().stopWriting()

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        if self.is_new:
            self.startReading()  # a handshake needs several exchanges
        super().startTLS(ctx, normal)
        layer: Any = self.protocol
        if isinstance(layer, TLSMemoryBIOProtocol):
            beneath: Any = layer.transport
            beneath.write = self.write
            self.write = super().write  # type: ignore[method-assign]

    def connectionLost(self, reason: Failure) -> None:
        """Break the reference cycles of TLS, so that memory is freed without the cycle collector."""
        super().connectionLost(reason)
        for name in ("write", "getHandle", "getPeerCertificate"):
            self.__dict__.pop(name, None)

    def write(self, data: bytes) -> None:
        """Send `data` unchanged; under TLS, `data` is already encrypted."""
        if self._is_free:
            try:
                sent = self.socket.send(data)
            except OSError:
                pass  # full or broken: the reactor will find out which
            else:
                if sent == len(data):
                    return
                data = data[sent:]
        FileDescriptor.write(self, data)

    def readConnectionLost(self, reason: Failure) -> None:
        if self.TLS or not IHalfCloseableProtocol.providedBy(self.protocol):
            super().readConnectionLost(reason)
            return
        self._read_ended = True
        try:
            self.protocol.readConnectionLost()
        except Exception:  # as in the reactor, this ends one connection only
            failure = Failure()
            self.log.failure("a connection could not be ended", failure)
            self.connectionLost(failure)

    def loseConnection(self, *args: Any) -> None:
        """Close when all is sent: at once if nothing is queued and the peer has half-closed."""
        if (
            not self._read_ended
            or self.TLS
            or not self.connected
            or self.producer is not None
            or self.dataBuffer
            or self._tempDataBuffer
        ):
            super().loseConnection(*args)
            return
        self.connected = 0
        self.disconnected = 1
        if self._is_watched:
            self.stopReading()
            self.stopWriting()
        self.is_new = self._is_free = False
        self.socket.close()
        protocol = self.protocol
        del self.protocol, self.socket, self.fileno
        protocol.connectionLost(DONE)


def write_to_all(connections: Iterable[Any], data: bytes) -> None:
    """Write `data` to each of `connections`, without a method call for a socket that accepts it whole."""
    size = len(data)
    for one in connections:
        if one.__class__ is not DirectServer or one.TLS or not one._is_free:
            one.write(data)
            continue
        try:
            sent = one.socket.send(data)
        except OSError:
            sent = 0  # full or broken: the reactor will find out which
        if sent != size:
            FileDescriptor.write(one, data[sent:])


class DirectWriter:
    """Send for the TLS layer on `connection`, and pause its producer as soon as data are queued.

    Twisted pauses a producer only when 64 KiB are queued, all of which would precede the next message.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: tcp.Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send encrypted `data`; the reactor sends the rest later if the socket does not accept all."""
        connection = self._connection
        if not (
            connection.dataBuffer
            or connection._tempDataBuffer
            or connection.disconnecting
            or not connection.connected
        ):
            try:
                sent = connection.socket.send(data)
            except OSError:
                sent = 0  # full or broken: the reactor will find out which
            if sent == len(data):
                return
            data = data[sent:]
        FileDescriptor.write(connection, data)
        producer: Any = connection.producer
        if producer is not None and connection.connected and not connection.producerPaused:
            connection.producerPaused = True
            producer.pauseProducing()


class AnyHostnameEndpoint(HostnameEndpoint):
    """HostnameEndpoint that also accepts names that are not IDNA, such as `my_host`.

    Twisted refuses these without asking the resolver; here the resolver decides. If Twisted lacks the
    method that is replaced, its own behaviour stays.
    """

    @staticmethod
    def _hostAsBytesAndText(host: bytes | str) -> tuple[bool, bytes, str]:
        if isinstance(host, str) and host.isascii():
            return False, host.encode("ascii"), host
        found: tuple[bool, bytes, str] = HostnameEndpoint._hostAsBytesAndText(host)
        return found


if WHY_PLAIN:
    log.warn("connections use Twisted's own TCP and TLS: {why}", why=WHY_PLAIN)

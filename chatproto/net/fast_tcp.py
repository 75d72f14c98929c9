"""TCP that accepts, receives and sends at once, and the private names of Twisted's TCP.

Twisted's `write` waits for the reactor to report that the socket is writable, even when it is:
three more system calls for each answer, and as many again when the peer has half-closed. Its port
waits likewise for the first data of a connection, which are usually there when it is accepted.

No other file of this program knows a private name of Twisted's TCP. `WHY_PLAIN` is empty if the
installed Twisted has all names that stand here, and is of a known version; otherwise, and if the
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
"""Bytes that are read from a socket at once: each turn of the reactor costs, however little it reads."""
READABLE = getattr(select, "EPOLLIN", 0)
"""The event of a socket that can be read, and has nothing else."""
EVENTS = 200
"""Sockets that one turn of the reactor reads or ends at most: their ends take some 20 ms."""

TOGETHER = 64
"""Connections that are accepted, answered and sent to step by step; the first answer waits for the last."""
MOMENT = 0.005
"""Seconds after which the reactor watches a connection that goes on: a client needs as long to read its
answer and to close on a busy machine, and whoever says more waits no longer than this, once."""

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
"""Reason why connections are Twisted's own; empty: they are the faster ones of this file."""


class Turns:
    """Turns of Twisted's epoll reactor in fewer steps; `take` stands in the place of its `doIteration`.

    A turn serves at most `EVENTS` sockets; the others have the next turns. Twisted asks for all that are
    ready: where 20,000 connections break at one moment, that would be one turn of seconds, in which
    nobody else is served. What is not reported stays ready, and the system reports sockets in turn.

    A socket that has something to read is read without the context that Twisted's old log has for each:
    eleven calls of Python, and no line of ours shows it.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._selectables: dict[int, Any] = reactor._selectables
        self._poll: Callable[[float, int], list[tuple[int, int]]] = reactor._poller.poll
        self._at_end: list[Callable[[], object]] = []

    def at_end(self, call: Callable[[], object]) -> None:
        """Call `call` once, when the sockets of this turn have been served; costs no timer."""
        self._at_end.append(call)

    def take(self, timeout: float | None) -> None:
        """Wait at most `timeout` seconds, None for ever, for sockets that are ready, and serve them."""
        if self._at_end:
            timeout = 0  # a timer wanted it
        for number, event in self._poll(-1 if timeout is None else timeout, EVENTS):
            selectable = self._selectables.get(number)
            if selectable is None:
                continue  # another one's event has ended it
            if event != READABLE:
                call = self._reactor._doReadOrWrite
                callWithLogger(selectable, call, selectable, number, event)
                continue
            try:
                why = selectable.doRead()
            except Exception as error:  # as the reactor does: it ends this connection and no other
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
    """Have `reactor` take `Turns`; only Twisted's epoll reactor is changed.

    Call this before the reactor runs. Twice is once.
    """
    names = ("_poller", "_selectables", "_doReadOrWrite", "_disconnectSelectable")
    if WHY_PLAIN or missing(reactor, *names) or not hasattr(reactor._poller, "fileno"):
        return  # `poll` has no descriptor, `epoll` has
    if not hasattr(reactor, AT_END):
        turns = Turns(reactor)
        reactor.doIteration = turns.take
        setattr(reactor, AT_END, turns.at_end)


def accept_directly(port: Any) -> None:
    """Have the listening `port` make connections of this file; one that is not TCP stays as it is."""
    if not WHY_PLAIN and isinstance(port, tcp.Port) and port.transport is tcp.Server:
        port.transport = watched_server  # type: ignore[assignment]
        acceptor = Acceptor(port)
        # Methods of this one port, as `transport` is: Twisted makes ports without asking for a class.
        port.doRead = acceptor.accept  # type: ignore[method-assign]  # of one port
        port.connectionLost = acceptor.end  # type: ignore[method-assign]  # of one port
        port.stopListening = acceptor.stop  # type: ignore[method-assign, assignment]  # of one port


def start_tls(connection: Any, handshake: Any, normal: bool) -> None:
    """Begin TLS on `connection` as its own `startTLS` does, and send directly beneath it.

    Args: handshake: creates the OpenSSL connection. normal: True if the end that dialled is the TLS
    client. A connection that is not Twisted's TCP, or accepted by a `DirectServer`, stays as it is.
    """
    connection.startTLS(handshake, normal)
    if WHY_PLAIN or not isinstance(connection, tcp.Connection):
        return
    if not isinstance(connection, DirectServer):
        connection.bufferSize = READ_SIZE
        layer: Any = connection.protocol
        layer.transport.write = DirectWriter(connection).write


def watched_server(*arguments: Any) -> DirectServer:
    """Make a `DirectServer` that the reactor watches from the beginning."""
    connection = DirectServer(*arguments)
    connection.startReading()
    return connection


class Acceptor:
    """Accept the connections of `port`, and receive at once what they begin with.

    Each step is done for `TOGETHER` connections before the next one: accept, make, receive, answer, send.
    So the same code runs again while the processor's caches still hold it: a third less CPU.

    The reactor watches a connection only if it has not ended a `MOMENT` later: one that brings a
    request and reads the answer costs no call of epoll. Its socket is the one of C beneath
    Python's class, which would only count the files made of it. Those of a `DirectFactory` have no
    socket, transport or protocol either until they need them; see `net.arrivals`.
    """

    def __init__(self, port: tcp.Port) -> None:
        self._port = port
        reactor: Any = port.reactor
        factory: Any = port.factory
        is_direct = isinstance(factory, DirectFactory)
        self._reactor = reactor
        self._arrivals = Arrivals(factory, reactor.seconds) if is_direct else None
        self._new: list[DirectServer] = []
        self._timer: Any = None  # runs while there are new ones, or arrivals

    def accept(self) -> None:
        """Accept what waits; the number taken at once follows that of the last time, as in Twisted."""
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
            # Twisted meets it again, and knows what to do: with too many open files it has a
            # reserve, to accept and close those that wait.
            tcp.Port.doRead(self._port)
        return [(number, with_scope(one) if one[2:] else one) for number, one in accepted]

    def _begin(self, accepted: list[tuple[int, Address]]) -> None:
        """Make connections, and hand on what they begin with."""
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
        """Ask a usual factory for a protocol."""
        factory: Any = self._port.factory
        kind = IPv4Address if len(address) == 2 else IPv6Address
        return factory.buildProtocol(kind("TCP", *address))

    def _connected(
        self, number: int, address: Address, make: Callable[[], Any]
    ) -> DirectServer | None:
        """Make the connection of a descriptor; None if `make`, which may raise anything, refuses it."""
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
        except Exception:  # one connection's trouble is not the others'
            log.failure("a connection could not be accepted")
        accepted.close()
        return None

    def _go_on(self, departures: list[Departure]) -> None:
        """Make the connections of those that have arrived and need one, and hand on what they brought."""
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
        """Receive a moment later; then the reactor watches what goes on."""
        self._timer = None
        new, self._new = self._new, []
        for connection in receive_all(new):
            connection.startReading()
        if self._arrivals is not None:
            self._go_on(self._arrivals.look_again())
        self._look_later()

    def stop(self) -> Any:
        """Begin to close the port; whoever closes its connections then finds a protocol for each."""
        self._make_all()
        return tcp.Port.stopListening(self._port)

    def end(self, reason: Failure) -> None:
        """Close the port, and leave no timer behind."""
        self._make_all()
        tcp.Port.connectionLost(self._port, reason)

    def _make_all(self) -> None:
        """Have the reactor watch all connections."""
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
    """Return the `address` of an IPv6 socket with its scope, if it has one: it is complete only so."""
    if not address[3]:
        return address
    name, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return (name, *address[1:])


def receive_all(connections: list[DirectServer]) -> list[DirectServer]:
    """Hand on what the sockets of new `connections` have.

    Returns: those that are new still: they have not ended, nor asked to be watched or paused.
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
    """Accepted TCP connection that writes, and closes after a half-close, without the reactor.

    Its protocol must be an IHalfCloseableProtocol. Other cases (TLS, data that already waits, a full
    or broken socket) are left to Twisted.
    """

    log = log
    _shouldShutdown = False  # no other process has the socket: closing it is enough
    is_new = True
    """True until reading is begun, paused or over: the reactor has not been asked to watch it yet."""
    _is_watched = False  # the reactor has been asked to watch it
    _read_ended = False
    _is_free = True  # nothing waits to be written, and the connection stands
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
        # What Twisted's do, one in the other, but no texts for the log, which are hardly ever read. Theirs
        # also begins to read.
        sock.setblocking(False)
        self.reactor = reactor
        self.socket: Any = sock  # C's, and not Python's around it
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
        """Return the beginning of lines of the log."""
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
        """Do with `data` what the reactor does for a connection that it watches."""
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
            except Exception:  # as the reactor does: it ends this connection and no other
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
            self.startReading()  # a handshake goes back and forth
        super().startTLS(ctx, normal)
        layer: Any = self.protocol
        if isinstance(layer, TLSMemoryBIOProtocol):
            beneath: Any = layer.transport
            beneath.write = self.write
            self.write = super().write  # type: ignore[method-assign]

    def connectionLost(self, reason: Failure) -> None:
        """Break the cycles that TLS made, so that memory is free without the cycle collector."""
        super().connectionLost(reason)
        for name in ("write", "getHandle", "getPeerCertificate"):
            self.__dict__.pop(name, None)

    def write(self, data: bytes) -> None:
        """Send `data` unchanged; under TLS, `data` is already encrypted."""
        if self._is_free:
            try:
                sent = self.socket.send(data)
            except OSError:
                pass  # full, or broken: the reactor will find out which
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
        except Exception:  # as the reactor does: it ends this connection and no other
            failure = Failure()
            self.log.failure("a connection could not be ended", failure)
            self.connectionLost(failure)

    def loseConnection(self, *args: Any) -> None:
        """Close when all is sent: at once if nothing waits and the peer has half-closed."""
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
    """Write `data` to each of `connections`, without a call for each whose socket takes it whole."""
    size = len(data)
    for one in connections:
        if one.__class__ is not DirectServer or one.TLS or not one._is_free:
            one.write(data)
            continue
        try:
            sent = one.socket.send(data)
        except OSError:
            sent = 0  # full, or broken: the reactor will find out which
        if sent != size:
            FileDescriptor.write(one, data[sent:])


class DirectWriter:
    """Send for the TLS layer on `connection`, and pause its producer as soon as data must wait.

    Twisted pauses a producer only when 64 KiB wait, all of which would stand before the next message.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: tcp.Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send encrypted `data`; the reactor sends later what the socket does not take now."""
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
                sent = 0  # full, or broken: the reactor will find out which
            if sent == len(data):
                return
            data = data[sent:]
        FileDescriptor.write(connection, data)
        producer: Any = connection.producer
        if producer is not None and connection.connected and not connection.producerPaused:
            connection.producerPaused = True
            producer.pauseProducing()


class AnyHostnameEndpoint(HostnameEndpoint):
    """HostnameEndpoint that also takes names that are not IDNA, such as `my_host`.

    Twisted refuses these without asking the resolver; here the resolver decides. Without the method
    that is replaced, it is Twisted's own.
    """

    @staticmethod
    def _hostAsBytesAndText(host: bytes | str) -> tuple[bool, bytes, str]:
        if isinstance(host, str) and host.isascii():
            return False, host.encode("ascii"), host
        found: tuple[bool, bytes, str] = HostnameEndpoint._hostAsBytesAndText(host)
        return found


if WHY_PLAIN:
    log.warn("connections use Twisted's own TCP and TLS: {why}", why=WHY_PLAIN)

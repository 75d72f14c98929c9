"""The lobby's port: moves bytes between the connections and the rules in `lobby.py`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.rooms.bare import BareText
from chatproto.rooms.flood import Flood
from chatproto.rooms.lobby import Came, Close, Effect, Lobby, Spoke, ToOne, ToOthers, Went
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import DEFAULTS, Limits

_TLS_CLIENT_HELLO = b"\x16\x03"
_HTTP_REQUEST = re.compile(r"[A-Z]+ \S+ HTTP/\d")


@implementer(IHalfCloseableProtocol, IPushProducer)
class LobbyConnection(Protocol):
    """One member's connection.

    What goes to the member is gathered for a turn of the reactor, one message a line; the last has
    no line end if the member sends without one. Longer than `limits.unsent` bytes do not wait: the
    member is dropped. A member who talks too fast is read later.
    """

    transport: Any

    def __init__(self, port: LobbyPort, host: str) -> None:
        self.host = host
        self.number = 0
        self._port = port
        self._text = BareText(port.limits.body_to_server)
        self._flood = Flood(port.limits, port.clock.seconds())
        self._first = True
        self._over = False  # nothing that comes counts any more
        self._input_ended = False
        self._timer: IDelayedCall | None = None
        self._waiting_for_flood = False
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._full = False  # the transport takes no more just now

    # What Twisted calls.

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._port.joined(self)

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        if self._first and data.startswith(_TLS_CLIENT_HELLO):
            self._port.left(self, "")
            self.close()
            return
        self._stop_timer()
        self._text.feed(data)
        self._read()

    def readConnectionLost(self) -> None:
        self._input_ended = True
        if self._over:
            self.transport.loseConnection()
        elif not self._waiting_for_flood:
            self._stop_timer()
            self._read()

    def writeConnectionLost(self) -> None:
        """Only we close our side alone, and we do not."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = True
        self._stop_timer()
        self._port.lost(self)

    def pauseProducing(self) -> None:
        """The transport takes no more: what comes now waits here."""
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        self.flush()

    def stopProducing(self) -> None:
        """The connection is going: `connectionLost` follows."""

    # What the port calls.

    def add(self, line: bytes) -> bool:
        """Have `line` sent at the end of this turn; false if too much waits already."""
        if self._out_bytes + len(line) >= self._port.limits.unsent:
            if self._full:
                return False
            self.flush()  # much in one turn is not this member's fault
        self._out_bytes += len(line) + 1
        if not self._out:
            self._port.flush_later(self)
        self._out.append(line)
        return True

    def flush(self) -> None:
        """Send what was gathered, if the transport takes it."""
        if self._full or not self._out:
            return
        end = b"" if self._text.line_ends is False else b"\n"
        data = b"\n".join(self._out) + end
        self._out = []
        self._out_bytes = 0
        self.transport.write(data)

    def close(self) -> None:
        """Close when all is sent and the member has closed too, or after `farewell_wait`.

        A full close at once could overtake the last line with a reset.
        """
        self._over = True
        self._stop_timer()
        self._full = False
        self.flush()
        self.transport.unregisterProducer()
        self._later(self._port.limits.farewell_wait, self.transport.abortConnection)
        if self._input_ended:
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()
            if self._waiting_for_flood:
                self.transport.resumeProducing()

    def abort(self) -> None:
        """Close at once and forget what waits."""
        self._over = True
        self._stop_timer()
        self._out = []
        self.transport.abortConnection()

    # Our own.

    def _read(self) -> None:
        """Hand over the messages that are there, as fast as this member may talk."""
        now = self._port.clock.seconds()
        while not self._over:
            wait = self._flood.wait(now)
            if wait > 0 and self._text.unfinished:
                self._wait_for_flood(wait)
                return
            try:
                text = self._text.take()
            except RemoteError as error:
                self._port.refused(self, error)
                return
            if text is None:
                break
            self._say(text)
        if self._over:
            return
        if self._input_ended:
            self._end()
        elif self._text.unfinished:
            self._later(self._port.limits.text_silence, self._silence)

    def _say(self, text: str) -> None:
        if self._first and _HTTP_REQUEST.match(text):
            self._port.left(self, "")
            self.close()
            return
        self._first = False
        self._flood.spend(len(text.encode()))
        self._port.said(self, text)

    def _wait_for_flood(self, seconds: float) -> None:
        self._waiting_for_flood = True
        self.transport.pauseProducing()
        self._later(seconds, self._flood_over)

    def _flood_over(self) -> None:
        self._timer = None
        self._waiting_for_flood = False
        self._read()
        if not self._waiting_for_flood and not self._over:
            self.transport.resumeProducing()

    def _silence(self) -> None:
        self._timer = None
        text = self._text.finish()
        if text is not None:
            self._say(text)

    def _end(self) -> None:
        self._silence()
        if not self._over:
            self._port.left(self, "")
            self.close()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._port.clock.callLater(seconds, action)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class Beside(Interface):
    """What is told to those who are in the lobby otherwise than in bare text."""

    def came(self, name: str) -> None:
        """`name` is there now."""

    def went(self, name: str, reason: str) -> None:
        """`name` is there no more."""

    def heard(self, name: str, text: str) -> None:
        """`name` has said `text`."""


class LobbyPort(Factory):
    """All connections of a lobby.

    `admit(host)` tells whether an address may have one more connection, `release(host)` that one
    has ended; by default everybody may. `beside` is told who comes, goes and talks, if there is one.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        lobby: Lobby,
        limits: Limits = DEFAULTS,
        admit: Callable[[str], bool] = lambda host: True,
        release: Callable[[str], object] = lambda host: None,
        beside: Beside | None = None,
    ) -> None:
        self.clock = clock
        self.limits = limits
        self._lobby = lobby
        self._admit = admit
        self._release = release
        self._beside = beside
        self._members: dict[int, LobbyConnection] = {}
        self._connections: set[LobbyConnection] = set()
        self._effects: deque[Effect] = deque()
        self._busy = False
        self._gathering: list[LobbyConnection] = []

    def buildProtocol(self, addr: IAddress | None) -> LobbyConnection | None:
        host = plain_host(getattr(addr, "host", ""))
        if not self._admit(host):
            return None
        connection = LobbyConnection(self, host)
        connection.factory = self
        self._connections.add(connection)
        return connection

    def close_all(self, sentence: str) -> None:
        """Say `sentence` to all members and close their connections."""
        line = f"* {sentence}".encode()
        for connection in list(self._members.values()):
            self._lobby.left(connection.number)  # those beside end with the server too
            connection.add(line)
            connection.close()
        self._members.clear()

    def show(self, line: str) -> None:
        """Send `line` to all members."""
        self._carry_out([ToOthers(0, line)])

    def kick(self, name: str) -> bool:
        """Put the member of that name out; false if there is none."""
        number = self._lobby.member_called(name)
        if number is None:
            return False
        left = self._lobby.left(number, "was put out")
        self._carry_out([ToOne(number, "* you are put out"), Close(number), *left])
        return True

    # What a connection tells.

    def joined(self, connection: LobbyConnection) -> None:
        try:
            connection.number, effects = self._lobby.join()
        except RemoteError as error:
            connection.add(f"* {error.detail}, come back later".encode())
            connection.close()
            return
        self._members[connection.number] = connection
        self._carry_out(effects)

    def said(self, connection: LobbyConnection, text: str) -> None:
        self._carry_out(self._lobby.said(connection.number, text))

    def refused(self, connection: LobbyConnection, error: RemoteError) -> None:
        self._carry_out(self._lobby.refused(connection.number, error))

    def left(self, connection: LobbyConnection, reason: str) -> None:
        if self._members.pop(connection.number, None) is not None:
            self._carry_out(self._lobby.left(connection.number, reason))

    def lost(self, connection: LobbyConnection) -> None:
        self.left(connection, "")
        if connection in self._connections:
            self._connections.remove(connection)
            self._release(connection.host)

    def flush_later(self, connection: LobbyConnection) -> None:
        """Call its `flush` at the end of this turn of the reactor."""
        if not self._gathering:
            self.clock.callLater(0, self._flush)
        self._gathering.append(connection)

    # Our own.

    def _flush(self) -> None:
        gathering, self._gathering = self._gathering, []
        for connection in gathering:
            connection.flush()

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        """Do `effects`, and what follows from them after them."""
        self._effects.extend(effects)
        if self._busy:
            return
        self._busy = True
        try:
            while self._effects:
                self._do(self._effects.popleft())
        finally:
            self._busy = False

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Close):
            member = self._members.pop(effect.member, None)
            if member is not None:
                member.close()
            return
        line = effect.text.encode()
        if isinstance(effect, ToOne):
            member = self._members.get(effect.member)
            slow = [member] if member is not None and not member.add(line) else []
        else:
            but = effect.member
            slow = [
                member
                for number, member in self._members.items()
                if number != but and not member.add(line)
            ]
        for member in slow:
            self._drop(member)
        if isinstance(effect, ToOthers) and self._beside is not None:
            for event in effect.events:
                self._tell(self._beside, event)

    def _tell(self, beside: Beside, event: Came | Went | Spoke) -> None:
        match event:
            case Came(name):
                beside.came(name)
            case Went(name, reason):
                beside.went(name, reason)
            case Spoke(name, text):
                beside.heard(name, text)

    def _drop(self, member: LobbyConnection) -> None:
        """It does not read: what waits for it would grow without end."""
        del self._members[member.number]
        self._effects.extend(self._lobby.left(member.number, "did not read what was sent"))
        member.abort()

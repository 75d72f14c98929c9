"""Port and connections of the raw-text lobby; `lobby.py` has its rules."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.net.clock import at_end_of_turn
from chatproto.net.fast_tcp import write_to_all
from chatproto.net.receivers import TextConnection
from chatproto.net.timers import Timers
from chatproto.rooms.guard import SpeakerLimiter
from chatproto.rooms.lobby import (
    CloseMember,
    Effect,
    LobbyMembers,
    RawJoined,
    RawLeft,
    Spoke,
    ToOne,
    ToOthers,
    name_wanted,
)
from chatproto.rooms.raw_text import BareText
from chatproto.rooms.room_feed import RoomFeed
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import plain_host
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits
from chatproto.wire.padding import BYTE_ORDER_MARK

_TLS_CLIENT_HELLO = b"\x16\x03"
_HTTP_REQUEST = re.compile(r"[A-Z]+ \S+ HTTP/\d")
MEMBERS_AT_ONCE = 200
"""Members to which one turn of the reactor sends lines; the others follow in the next turns."""
AT_ONCE = 32 * 1024
"""Bytes that are queued for at most `MEMBERS_AT_ONCE` members before they are sent."""
WAITING = 1024 * 1024
"""Bytes that are queued for more members before they are sent to all within one turn."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class LobbyConnection(TextConnection):
    """Connection of one raw-text member.

    Output is collected for one turn of the reactor, one message per line; the last one has no line end
    if the member sends none. More than `limits.unsent` queued bytes end the connection. Messages above
    the rate limit are read later.
    """

    def __init__(self, port: LobbyPort, host: str) -> None:
        self.host = host
        self.number = 0
        self._port = port
        self._text = BareText(port.limits.body_to_server)
        self._limiter = SpeakerLimiter(port.limits)
        self._first = True
        self._over = False  # True: ignore input
        self._input_ended = False
        self._timers = Timers(port.clock)
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._ends_lines = True  # this member sends line ends; so does the output to it
        self._unended = -inf  # time at which a line without its end was sent
        self._full = False  # the buffer of the transport is full

    # Called by Twisted.

    def connectionMade(self) -> None:
        self.setRawMode()  # many members send no line ends: a silence ends their messages
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._port.joined(self)

    def rawDataReceived(self, data: bytes) -> None:
        if self._over:
            return
        if self._first and data.startswith(_TLS_CLIENT_HELLO):
            self._port.left(self, "")
            self.close()
            return
        self._timers.cancel("silence")
        self._text.feed(data)
        self._read()

    def readConnectionLost(self) -> None:
        self._input_ended = True
        if self._over:
            self.transport.loseConnection()
        elif "pace" not in self._timers:
            self._timers.stop()
            self._read()

    def writeConnectionLost(self) -> None:
        """Do nothing: `close` has half-closed the connection."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = True
        self._timers.stop()
        self._port.lost(self)

    def pauseProducing(self) -> None:
        """Queue output here: the buffer of the transport is full."""
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        if not self._ends_lines:
            self._unended = self._port.clock.seconds()  # the data was sent only now
        self.flush()

    def stopProducing(self) -> None:
        """Do nothing: `connectionLost` follows."""

    # Called by the port.

    def give(self, lines: bytes) -> None:
        """Send `lines`, each with its end, now, after the queued lines.

        Drop the member if its queue is full.
        """
        if self._full:
            if not self.add(lines[:-1]):
                self._port.drop(self)
            return
        if self._out_bytes:
            self.flush()
        if self._ends_lines and self._unended == -inf:
            self.transport.write(lines)
        else:
            self._write_unended(lines)

    def add(self, line: bytes) -> bool:
        """Queue `line` for the end of this turn; return False if the queue is full."""
        if self._out_bytes + len(line) >= self._port.limits.unsent:
            if self._full:
                return False
            self.flush()  # the buffer has room: only the output of this turn is large
        self._out_bytes += len(line) + 1
        if not self._out:
            self._port.flush_later(self)
        self._out.append(line)
        return True

    def flush(self) -> None:
        """Send the queued lines if the transport accepts them."""
        if self._full or not self._out:
            return
        out, self._out, self._out_bytes = self._out, [], 0
        out.append(b"")
        self.give(b"\n".join(out))

    def close(self) -> None:
        """Close when all output is sent and the member has closed too, or after `farewell_wait`.

        A full close at once could overtake the last line with a reset.
        """
        self._over, is_paused = True, "pace" in self._timers
        self._timers.stop()
        self._full = False
        self.flush()
        self.transport.unregisterProducer()
        wait = self._port.limits.farewell_wait
        self._timers.after("linger", wait, self.transport.abortConnection)
        if self._input_ended:
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()
            if is_paused:
                self.transport.resumeProducing()

    def abort(self) -> None:
        """Close at once and drop the queued lines."""
        self._over = True
        self._timers.stop()
        self._out = []
        self.transport.abortConnection()

    # Internal.

    def _write_unended(self, lines: bytes) -> None:
        """Send `lines` to a member that sends no line ends: the last one without its own.

        Lines that follow within `frame_gap` seconds start with a line end, as both may arrive together.
        """
        now = self._port.clock.seconds()
        if now - self._unended < self._port.limits.frame_gap:
            lines = b"\n" + lines
        self._unended = -inf if self._ends_lines else now
        self.transport.write(lines if self._ends_lines else lines[:-1])

    def _read(self) -> None:
        """Pass on the messages received so far, up to the member's rate limit."""
        now = self._port.clock.seconds()
        text: str | None = ""
        while text is not None and not self._over and self._text.unfinished:
            wait = self._limiter.wait(now)
            if wait > 0:
                self.transport.pauseProducing()
                self._timers.after("pace", wait, self._flood_over)
                return
            try:
                text = self._text.take()
            except RemoteError as error:
                self._port.refused(self, error)
                return
            if text is not None:
                self._ends_lines = self._text.line_ends is not False
                self._say(text, now)
        if self._over:
            return
        if self._input_ended:
            self._end()
        elif text is None and self._text.unfinished:
            self._timers.after("silence", self._port.limits.text_silence, self._silence)

    def _say(self, text: str, now: float) -> None:
        if self._first:
            if _HTTP_REQUEST.match(text):
                self._port.left(self, "")
                self.close()
                return
            self._first = False
            text = text.removeprefix(BYTE_ORDER_MARK)
            if not text:
                return
        self._limiter.spend(now, len(text.encode()))
        self._port.say(self, text)

    def _flood_over(self) -> None:
        self._read()
        if "pace" not in self._timers and not self._over:
            self.transport.resumeProducing()

    def _silence(self) -> None:
        if self._text.settle():
            self._read()
            return
        text = self._text.finish()
        if text is not None:
            self._ends_lines = False
            self._say(text, self._port.clock.seconds())

    def _end(self) -> None:
        if self._text.settle():
            self._read()  # calls `_end` again
            return
        self._silence()
        if not self._over:
            self._port.left(self, "")
            self.close()


def give_all(members: list[LobbyConnection], lines: bytes) -> None:
    """Send `lines` to each of `members`, as `LobbyConnection.give` does."""
    free = []
    for member in members:
        if member._full or member._out_bytes or member._unended != -inf or not member._ends_lines:
            member.give(lines)
        else:
            free.append(member.transport)
    write_to_all(free, lines)


class Beside(Interface):
    """Receiver of events in the raw-text lobby, for the members with a key."""

    def raw_joined(self, name: str) -> None:
        """Handle that raw-text client `name` has joined."""

    def raw_left(self, name: str, reason: str) -> None:
        """Handle that raw-text client `name` has left, for `reason`."""

    def raw_message(self, name: str, text: str) -> None:
        """Handle `text` from raw-text client `name`."""


class LobbyPort(Factory):
    """Factory of the lobby's connections; output is collected for one turn of the reactor.

    Args: admit: tells whether an address may have one more connection. release: called when one has ended.
    beside: receiver of joins, leaves and messages. look_up: loads the owner of a name before /nick.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        lobby: LobbyMembers,
        limits: ServerLimits = SERVER_DEFAULTS,
        admit: Callable[[str], bool] = lambda host: True,
        release: Callable[[str], object] = lambda host: None,
        beside: Beside | None = None,
        look_up: Callable[[str], Deferred[None]] | None = None,
    ) -> None:
        self.clock = clock
        self.limits = limits
        self._lobby = lobby
        self._admit = admit
        self._release = release
        self._beside = beside
        self._look_up = look_up
        self._members: dict[int, LobbyConnection] = {}
        self._connections: set[LobbyConnection] = set()
        self._effects: deque[Effect] = deque()
        self._busy = False
        self._gathering: list[LobbyConnection] = []
        self._feed: RoomFeed[LobbyConnection] = RoomFeed((), LobbyConnection.give, give_all)
        self._at_end = at_end_of_turn(clock)
        self._timed = False

    def buildProtocol(self, addr: IAddress | None) -> LobbyConnection | None:
        host = plain_host(getattr(addr, "host", ""))
        if not self._admit(host):
            return None
        connection = LobbyConnection(self, host)
        connection.factory = self
        self._connections.add(connection)
        return connection

    def __len__(self) -> int:
        return len(self._connections)

    def close_all(self, sentence: str) -> None:
        """Send `sentence` to all members and close their connections."""
        line = f"* {sentence}".encode()
        self._share()
        for connection in list(self._members.values()):
            self._lobby.left(connection.number)  # no event: all members leave
            self._feed.leave(connection)
            connection.add(line)
            connection.close()
        self._members.clear()

    def show(self, line: str) -> None:
        """Send `line` to all members."""
        self._apply([ToOthers(0, line)])

    def kick(self, name: str) -> bool:
        """Remove the member of that name; return False if there is none."""
        number = self._lobby.member_called(name)
        if number is None:
            return False
        self._remove(number)
        return True

    def kick_from(self, banned: Callable[[str], bool]) -> None:
        """Remove all members whose address is `banned`."""
        for number, member in list(self._members.items()):
            if number in self._members and banned(member.host):
                self._remove(number)

    def _remove(self, number: int) -> None:
        left = self._lobby.left(number, "was removed")
        told = ToOne(number, "* you were removed from the lobby")
        self._apply([told, CloseMember(number), *left])

    # Called by connections.

    def joined(self, connection: LobbyConnection) -> None:
        try:
            connection.number, effects = self._lobby.join()
        except RemoteError as error:
            connection.add(f"* {error.detail}: try again later".encode())
            connection.close()
            return
        self._members[connection.number] = connection
        self._feed.join(connection)
        self._apply(effects)

    def say(self, connection: LobbyConnection, text: str) -> None:
        name = name_wanted(text) if self._look_up is not None else ""
        if self._look_up is None or not name:
            self._apply(self._lobby.say(connection.number, text))
            return

        def known(_: None) -> None:
            if connection.number in self._members:
                self._apply(self._lobby.say(connection.number, text))

        self._look_up(name).addCallback(known)

    def refused(self, connection: LobbyConnection, error: RemoteError) -> None:
        self._apply(self._lobby.refused(connection.number, error))

    def left(self, connection: LobbyConnection, reason: str) -> None:
        self._feed.catch_up(connection)
        self._feed.leave(connection)
        if self._members.pop(connection.number, None) is not None:
            self._apply(self._lobby.left(connection.number, reason))

    def lost(self, connection: LobbyConnection) -> None:
        self.left(connection, "")
        if connection in self._connections:
            self._connections.remove(connection)
            self._release(connection.host)

    def flush_later(self, connection: LobbyConnection) -> None:
        """Flush `connection` at the end of this turn of the reactor."""
        self._gathering.append(connection)
        self._flush_later()

    # Internal.

    def _flush_later(self) -> None:
        if not self._timed:
            self._timed = True
            self._at_end(self._flush)

    def _flush(self) -> None:
        """Send queued output; lines to all members are sent to `MEMBERS_AT_ONCE` of them."""
        self._timed = False
        if self._feed.send_more(MEMBERS_AT_ONCE):
            self._flush_later()
        self._apply(())  # announce the members that were dropped
        gathering, self._gathering = self._gathering, []
        for connection in gathering:
            connection.flush()

    def _apply(self, effects: Sequence[Effect]) -> None:
        """Apply `effects`, and then the effects that they cause."""
        self._effects.extend(effects)
        if self._busy:
            return
        self._busy = True
        try:
            while self._effects:
                self._apply_one(self._effects.popleft())
        finally:
            self._busy = False

    def _apply_one(self, effect: Effect) -> None:
        if isinstance(effect, CloseMember):
            member = self._members.pop(effect.member, None)
            if member is not None:
                self._feed.catch_up(member)
                self._feed.leave(member)
                member.close()
            return
        line = effect.text.encode()
        if isinstance(effect, ToOne):
            member = self._members.get(effect.member)
            if member is not None:
                self._feed.catch_up(member)
                if effect.member in self._members and not member.add(line):
                    self.drop(member)
            return
        self._gather(line, effect.member)
        if self._beside is not None:
            for event in effect.events:
                self._tell(self._beside, event)

    def _tell(self, beside: Beside, event: RawJoined | RawLeft | Spoke) -> None:
        match event:
            case RawJoined(name):
                beside.raw_joined(name)
            case RawLeft(name, reason):
                beside.raw_left(name, reason)
            case Spoke(name, text):
                beside.raw_message(name, text)

    def _gather(self, line: bytes, but: int) -> None:
        """Queue `line` for all members except `but`, to be sent from the end of this turn on."""
        if not self._members:
            return
        speaker = self._members.get(but)
        self._feed.add(line + b"\n", {speaker: b""} if speaker is not None else None)
        few = len(self._members) <= MEMBERS_AT_ONCE
        if self._feed.size > (AT_ONCE if few else WAITING):
            self._share()
        else:
            self._flush_later()

    def _share(self) -> None:
        """Send all members their queued lines."""
        while self._feed.send_more(MEMBERS_AT_ONCE):
            pass
        self._apply(())

    def drop(self, member: LobbyConnection) -> None:
        """Disconnect a member that does not read, before its unsent data grows without bound."""
        del self._members[member.number]
        self._feed.leave(member)
        self._effects.extend(self._lobby.left(member.number, "did not read what was sent"))
        member.abort()

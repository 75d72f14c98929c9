"""Send room effects to the clients of this server, as messages.

Lines of one turn of the reactor are sent to each member in one write. In a large room each turn sends to a
few members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IReactorTime

from chatproto.net.clock import Monotonic, Times, at_end_of_turn
from chatproto.net.dates import date_of
from chatproto.rooms.effects import Effect, LineSent, LookAgain, PutOut, Show, Spread, TellMember
from chatproto.rooms.plain_view import shown_line
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.room import LOBBY, Member, Room
from chatproto.rooms.room_feed import RoomFeed
from chatproto.server.work_queue import Chore, WorkQueue
from chatproto.wire.actions import spoken
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_rooms import PartAck, Parted, Said, said_bytes, say_ack_bytes
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits
from chatproto.wire.strict import encode, shown

if TYPE_CHECKING:
    from chatproto.rooms.lobby_port import LobbyPort

AT_ONCE = 256
"""Members above which a room is large: each turn of the reactor sends to some of them."""
Line = tuple[LineSent, str, bytes]
"""Effect of a line, its date, and its SAID message."""
BYTES_AT_ONCE = 512 * 1024
"""Bytes for all members together above which a room is large."""


class Connected(Protocol):
    """Connection of a member. If its output is full, it ends itself and `lost` is called."""

    def say(self, message: Bcp2Message) -> None:
        """Send `message`."""

    def send(self, data: bytes) -> None:
        """Send `data`, whole messages."""


class RoomDelivery:
    """Sender of room messages.

    Args: trace: receives every message to a room, once. times: converts between the monotonic clock and the
    time of day. turns: work queue that sends to large rooms; None makes one.
    Attributes: connections: connections of this server by member. plain: port of the raw-text lobby, or None.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limits: ServerLimits = SERVER_DEFAULTS,
        trace: Callable[[str], None] | None = None,
        times: Times | None = None,
        turns: WorkQueue | None = None,
    ) -> None:
        self.connections: Mapping[Any, Connected] = {}
        self.plain: LobbyPort | None = None
        self.ends = False
        """True when all connections are about to end; then members are not told that others leave."""
        self.turns = turns if turns is not None else WorkQueue(clock)
        self.times = times or Times(clock.seconds)
        self._clock = clock
        self._limits = limits
        self._trace = trace
        self._feeds: dict[Room, RoomFeed[Member]] = {}
        self._chore = Chore(self._send_on)
        self._turns: dict[Room, list[LineSent]] = {}  # lines of this turn of the reactor
        self._at_end = at_end_of_turn(clock)
        self._is_asked = False  # `flush` is called at the end of this turn

    def apply(self, effects: list[Effect]) -> None:
        """Apply `effects`, after the lines that were said before."""
        if self.ends:
            return
        connections = self.connections
        for effect in effects:
            if self._turns and not isinstance(effect, LineSent):
                self.flush()
            match effect:
                case LineSent():
                    self._gather(effect)
                case TellMember(member, message):
                    if self._feeds:
                        self._catch_up(member)
                    if member in connections:
                        connections[member].say(message)
                    if self._feeds and isinstance(message, PartAck | Parted):
                        self._leave(member, message.room)
                case Show(member, lines, last):
                    if self._feeds:
                        self._catch_up(member)
                    parts = [
                        said_bytes(
                            last.room,
                            one.sender,
                            one.number,
                            self._date(one.at),
                            one.text,
                            last.cseq,
                        )
                        for one in lines
                    ]
                    if member in connections:
                        connections[member].send(b"".join(parts))
                        connections[member].say(last)
                case Spread(room, message, but, plain):
                    self._spread(room, message, but)
                    if plain and room.name == LOBBY and self.plain is not None:
                        self.plain.show(shown_line(message, self.times.wall()))
                case PutOut(name):
                    if self.plain is not None:
                        self.plain.kick(name)
                case LookAgain(policy):
                    self._look_again(policy)

    def joined(self, member: Member, name: str) -> None:
        """Send `member` the lines of the room `name` from now on."""
        for room, feed in self._feeds.items():
            if room.name == name and room.here.get(member.client_id or "") is member:
                feed.join(member)

    def answered(self, member: Member) -> None:
        """Send the SAYACKs that `member` is waiting for, so that no later answer overtakes them."""
        if any(one.speaker is member for said in self._turns.values() for one in said):
            self.flush()
        if self._feeds:
            self._catch_up(member)

    def left(self, member: Member) -> None:
        """Send `member` its queued lines, and then nothing more of any room."""
        for feed in self._feeds.values():
            feed.catch_up(member)
            feed.leave(member)

    def flush(self) -> None:
        """Store the lines of this turn, and send them in one write to each member."""
        self._is_asked = False
        if not self._turns:
            return
        self._settle()
        turns, self._turns = self._turns, {}
        connections = self.connections
        for room, said in turns.items():
            if not room.here:
                continue
            lines = [self._line(one) for one in said]
            everything = b"".join([line for _, _, line in lines])
            speakers = {one.speaker for one in said}
            if self._is_large(room, len(everything)):
                own = {one: _seen_by(one, lines) for one in speakers if one is not None}
                self._feed(room, everything, own)
                continue
            for member in tuple(room.here.values()):
                connection = connections.get(member)
                if connection is not None:  # a write to another member may have ended it
                    data = everything if member not in speakers else _seen_by(member, lines)
                    connection.send(data)

    def close(self) -> None:
        """Send all queued lines; from now on members are not told that others leave."""
        self.flush()
        while self._send_on():
            pass
        self.ends = True

    def _settle(self) -> bool:
        """Store the lines of this turn; return False if some could not be stored."""
        return True

    def _is_large(self, room: Room, size: int = 0) -> bool:
        """Return True if `size` bytes for each member of `room` on this server are too much for one turn."""
        members = len(room.here)
        return members > AT_ONCE or members * size > BYTES_AT_ONCE or room in self._feeds

    def _feed(self, room: Room, line: bytes, own: dict[Member, bytes]) -> None:
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = RoomFeed(room.here.values(), self._send)
        feed.add(line, own)
        self.turns.later(self._chore)

    def _send(self, member: Member, data: bytes) -> None:
        connection = self.connections.get(member)
        if connection is not None:
            connection.send(data)

    def _send_on(self) -> bool:
        """Send one member of a large room its queued lines; return True if more are queued."""
        for room, feed in self._feeds.items():
            if not feed.send_more():
                del self._feeds[room]
            break
        return bool(self._feeds)

    def _catch_up(self, member: Member) -> None:
        """Send `member` its queued lines before the next message."""
        for feed in self._feeds.values():
            feed.catch_up(member)

    def _look_again(self, policy: RoomPolicy) -> None:
        """Remove raw-text clients from the lobby whose address `policy` bans."""
        now = self.times.monotonic()
        if self.plain is not None:
            self.plain.kick_from(lambda host: policy.is_banned("", "", host, now))

    def _spread(self, room: Room, message: Bcp2Message, but: Member | None) -> None:
        data = encode(message)
        if self._trace is not None:
            self._trace(f"{room.name} <- {shown(message)}")
        if self._is_large(room):
            self._feed(room, data, {but: b""} if but is not None else {})
            return
        for member in tuple(room.here.values()):
            connection = self.connections.get(member)
            if member is not but and connection is not None:
                connection.send(data)

    def _leave(self, member: Member, name: str) -> None:
        for room, feed in self._feeds.items():
            if room.name == name:
                feed.leave(member)

    def _gather(self, talk: LineSent) -> None:
        room = talk.room
        if not self._is_asked:
            self._is_asked = True
            self._at_end(self.flush)
        self._turns.setdefault(room, []).append(talk)
        if self._trace is not None:
            said = Said(room.name, talk.sender, talk.number, self._date(talk.at), spoken(talk.text))
            self._trace(f"{room.name} <- {shown(said)}")
        if talk.speaker is None or room.name != LOBBY or self.plain is None:
            return
        if self._settle():  # raw-text members cannot be told later that it was not stored
            self.plain.show(shown_line(talk, self.times.wall()))

    def _line(self, one: LineSent) -> Line:
        date = self._date(one.at)
        return one, date, said_bytes(one.room.name, one.sender, one.number, date, one.text)

    def _date(self, at: Monotonic) -> str:
        return date_of(self.times.date(at))


def _seen_by(member: Member, lines: list[Line]) -> bytes:
    """Join the `lines` for `member`, with a SAYACK in the place of each that it said."""
    return b"".join(
        [
            line
            if one.speaker is not member
            else say_ack_bytes(one.cseq, one.room.name, one.number, date)
            for one, date, line in lines
        ]
    )

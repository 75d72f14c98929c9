"""The rooms of a server: carries out what their rules want, and gathers what is said for a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from chatproto.net.clock import Monotonic, Times
from chatproto.net.dates import date_of
from chatproto.rooms.answers import RETRY_AFTER, RoomAnswers
from chatproto.rooms.effects import Effect, LookAgain, PutOut, Show, Spread, Talk, TellMember
from chatproto.rooms.history import RoomStore
from chatproto.rooms.lobby import OPERATOR
from chatproto.rooms.plain_view import shown_line
from chatproto.rooms.room import LOBBY, Member, Room
from chatproto.rooms.room_feed import RoomFeed
from chatproto.rooms.speaker_limiter import SpeakerLimiter
from chatproto.server.work_queue import Chore, WorkQueue
from chatproto.stdio.printable import printable
from chatproto.wire import bcp2_rooms
from chatproto.wire.actions import spoken
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.bcp2_rooms import PartAck, Parted, Said, said_bytes, say_ack_bytes
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits
from chatproto.wire.strict import encode, shown

REQUESTS = frozenset(bcp2_rooms.FROM_CLIENT)
"""What is asked about rooms."""


AT_ONCE = 256
"""Members of a room that are sent something without a pause."""
BYTES_AT_ONCE = 512 * 1024
"""Bytes that all members of a room together are sent without a pause."""


class Connected(Protocol):
    """A guest's connection. One that takes no more ends itself, and is `lost` then."""

    def say(self, message: Bcp2Message) -> None:
        """Send `message`."""

    def send(self, data: bytes) -> None:
        """Send `data`, whole messages."""


class PlainPort(Protocol):
    """The lobby's port."""

    def show(self, line: str) -> None:
        """Send `line` to all who are there."""

    def kick(self, name: str) -> bool:
        """Put out who is called so; False if nobody is."""

    def kick_from(self, banned: Callable[[str], bool]) -> None:
        """Put out all whose address is `banned`."""


class Pace:
    """Rate limit of one connection: an early message waits, with everything behind it.

    `go_on` is called when reading may continue.
    """

    def __init__(
        self, clock: IReactorTime, limits: ServerLimits, go_on: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._go_on = go_on
        self._limiter: SpeakerLimiter | None = None
        self._timer: IDelayedCall | None = None

    @property
    def waiting(self) -> bool:
        """True while nothing may be read."""
        return self._timer is not None

    def lets(self, message: object, now: float) -> bool:
        """Return True if `message` may be answered now, and count it; otherwise `waiting` becomes true."""
        if not isinstance(message, bcp2_rooms.Say):
            return True
        if self._limiter is None:
            self._limiter = SpeakerLimiter(self._limits)
        wait = self._limiter.wait(now)
        if wait > 0:
            self._timer = self._clock.callLater(wait, self._waited)
            return False
        self._limiter.spend(now, len(message.text.encode()))
        return True

    def stop(self) -> None:
        """The connection has ended."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _waited(self) -> None:
        self._timer = None
        self._go_on()


class RoomSide:
    """`connections`: who is there, by guest. `owner_of` tells the key that owns an id, or None.

    `trace` gets every line that is said, once for its room. Raises StoreTrouble if the store does
    not tell which rooms there are. `times` translates between its clock and the time of day.
    `turns`: queue for what large rooms are sent; None sends it without a pause.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        history: RoomStore,
        limits: ServerLimits = SERVER_DEFAULTS,
        owner_of: Callable[[str], str | None] = lambda client_id: None,
        trace: Callable[[str], None] | None = None,
        times: Times | None = None,
        sees: Callable[[str, str], bool] = lambda key, client_id: True,
        turns: WorkQueue | None = None,
    ) -> None:
        self.connections: Mapping[Any, Connected] = {}
        self.plain: PlainPort | None = None
        self._clock = clock
        self._limits = limits
        self._trace = trace
        self.ends = False
        """All connections are about to end, and nobody is told of the others' end."""
        self.turns = turns
        self._feeds: dict[Room, RoomFeed[Member]] = {}
        self._chore = Chore(self._send_on)
        self._turns: dict[Room, list[Talk]] = {}  # what was said in this turn of the reactor
        self._timer: IDelayedCall | None = None
        self.seconds: Callable[[], float] = clock.seconds
        self.times = times or Times(clock.seconds)
        self.rules = RoomAnswers(
            history,
            limits,
            owner_of,
            self._find,
            clock.seconds(),
            moment=self.times.moment,
            date=self.times.date,
            sees=sees,
        )

    def share(
        self,
        history: RoomStore,
        owner_of: Callable[[str], str | None],
        find: Callable[[str], Member | None],
        seconds: Callable[[], float],
        sees: Callable[[str, str], bool] = lambda key, client_id: True,
    ) -> None:
        """Go on with the rooms of `history`, which other servers share; `find` knows their guests too,
        and somebody else sees to it that nobody asks too often."""
        self._turns.clear()
        self._finish()
        self.seconds = seconds
        self.times = Times(seconds)
        self.rules = RoomAnswers(history, self._limits, owner_of, find, counted=False, sees=sees)

    def pace(self, go_on: Callable[[], None]) -> Pace:
        """Make the rate limit of a new connection."""
        return Pace(self._clock, self._limits, go_on)

    def answer(self, message: Bcp2Message, guest: Member, now: float) -> None:
        """Carry out what `guest` asks."""
        if message.__class__ is not bcp2_rooms.Say:
            self.flush()
        self._carry_out(self.rules.answer(message, guest, now))
        if self._feeds and isinstance(message, bcp2_rooms.Join):
            for room, feed in self._feeds.items():
                if room.name == message.room and room.members.get(guest.client_id or "") is guest:
                    feed.join(guest)

    def answered(self, guest: Member) -> None:
        """All that `guest` has said is answered now, so that no later answer comes before."""
        if any(one.speaker is guest for said in self._turns.values() for one in said):
            self.flush()
        if self._feeds:
            self._catch_up(guest)

    def follow(self, guest: Member) -> None:
        """`guest` may have registered another id."""
        self.flush()
        effects = self.rules.follow(guest, self.seconds())
        if effects:
            self._leave_all(guest)
        self._carry_out(effects)

    def lost(self, guest: Member, reason: str) -> None:
        """The connection of `guest` has ended."""
        self.flush()
        for feed in self._feeds.values():
            feed.leave(guest)
        self._carry_out(self.rules.left(guest, self.seconds(), reason))

    def _leave_all(self, guest: Member) -> None:
        for feed in self._feeds.values():
            feed.catch_up(guest)
            feed.leave(guest)

    def order(self, message: Bcp2Message) -> None:
        """Carry out what the operator wants. Raises RemoteError."""
        self.flush()
        self._carry_out(self.rules.operate(message, self.seconds()))
        if isinstance(message, bcp2_rooms.Say) and message.room == LOBBY and self.plain is not None:
            self.plain.show(f"{OPERATOR}> {printable(message.text)}")

    def lines(self) -> Iterator[str]:
        """Yield a line for each room; the lobby is one if anybody is in it, or it has a port."""
        hidden = f"{LOBBY}: 0 "
        return (line for line in self.rules.lines() if self.plain or not line.startswith(hidden))

    def due(self, most: int = 1_000_000) -> bool:
        """Forget what has been kept long enough, at most `most` of a kind; return True if there may be more.

        Raises StoreTrouble.
        """
        self.flush()
        return self.rules.due(self.seconds(), most)

    def flush(self) -> None:
        """Keep what was said in this turn, and send it, in one write to each member."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if not self._turns:
            return
        self._settle()
        turns, self._turns = self._turns, {}
        connections = self.connections
        for room, said in turns.items():
            if not room.members:
                continue
            lines = [
                said_bytes(
                    room.name,
                    one.sender,
                    one.number,
                    self._date(one.at),
                    one.text,
                )
                for one in said
            ]
            everything, speakers = b"".join(lines), {one.speaker for one in said}
            if self._is_large(room, len(everything)):
                own = {one: self._seen_by(one, said, lines) for one in speakers if one is not None}
                self._feed(room, everything, own)
                continue
            for guest in tuple(room.members.values()):
                connection = connections.get(guest)
                if connection is not None:  # else they are another server's
                    data = (
                        everything if guest not in speakers else self._seen_by(guest, said, lines)
                    )
                    connection.send(data)

    # Large rooms, and much that is said at once: a few members in a turn of the reactor.

    def _is_large(self, room: Room, size: int = 0) -> bool:
        """Return True if `size` bytes for each member of `room` are too much for one turn."""
        if self.turns is None:
            return False
        members = len(room.members)
        return members > AT_ONCE or members * size > BYTES_AT_ONCE or room in self._feeds

    def _feed(self, room: Room, line: bytes, own: dict[Member, bytes]) -> None:
        feed = self._feeds.get(room)
        if feed is None:
            feed = self._feeds[room] = RoomFeed(room.members.values(), self._send)
        feed.add(line, own)
        if self.turns is not None:
            self.turns.later(self._chore)

    def _send(self, guest: Member, data: bytes) -> None:
        connection = self.connections.get(guest)
        if connection is not None:
            connection.send(data)

    def _send_on(self) -> bool:
        """Send one member of a large room what waits for it; return True if others wait."""
        for room, feed in self._feeds.items():
            if not feed.go_on():
                del self._feeds[room]
            break
        return bool(self._feeds)

    def _catch_up(self, guest: Member) -> None:
        """Send `guest` what was said before what it is told now."""
        for feed in self._feeds.values():
            feed.catch_up(guest)

    def _finish(self) -> None:
        """Send everything that waits."""
        while self._send_on():
            pass

    def close(self) -> None:
        """Send everything that waits; from now on nobody is told of the others' end."""
        self.flush()
        self._finish()
        self.ends = True

    def _settle(self) -> bool:
        """Keep what was said in this turn; false if not all can be: the rest was not said, then."""
        try:
            self.rules.settle()
        except StoreTrouble as error:
            for room, said in self._turns.items():
                last = self.rules.last(room)
                self._refuse([one for one in said if one.number > last], error)
                self._turns[room] = [one for one in said if one.number <= last]
            return False
        return True

    def _refuse(self, said: list[Talk], error: StoreTrouble) -> None:
        for one in said:
            if one.speaker in self.connections:
                answer = Error(error.status, one.cseq, retry_after=RETRY_AFTER)
                self.connections[one.speaker].say(answer)
            elif one.speaker is None:
                self.log.warn("what was said in the lobby is not passed on: {why}", why=error)

    # What the lobby's port tells of those in bare text (rooms.lobby_port.Beside).

    def others(self) -> Mapping[str, object]:
        """Return the keyed members of the lobby, by id."""
        return self.rules.lobby.members

    def admits(self, name: str, host: str = "") -> bool:
        """Return True if `name` may enter the lobby from `host`."""
        return self.rules.admits(name, host, self.seconds())

    def may_speak(self, name: str) -> bool:
        """Return True if `name` is not muted in the lobby."""
        return self.rules.may_speak(name, self.seconds())

    def came(self, name: str) -> None:
        """`name` is there now."""
        self.flush()
        self._carry_out(self.rules.came(name))

    def went(self, name: str, reason: str) -> None:
        """`name` is there no more."""
        self.flush()
        self._carry_out(self.rules.went(name, reason))

    def heard(self, name: str, text: str) -> None:
        """`name` has said `text` there."""
        try:
            self._carry_out(self.rules.heard(name, text, self.seconds()))
        except RemoteError as error:
            self.log.warn("what was said in the lobby is not passed on: {why}", why=error)

    # How it follows.

    def _find(self, client_id: str) -> Member | None:
        return next((one for one in self.connections if one.client_id == client_id), None)

    def _carry_out(self, effects: list[Effect]) -> None:
        if self.ends:
            return
        connections = self.connections
        for effect in effects:
            match effect:
                case Talk():
                    self._gather(effect)
                case TellMember(guest, message):
                    if self._feeds:
                        self._catch_up(guest)
                    if guest in connections:
                        connections[guest].say(message)
                    if self._feeds and isinstance(message, PartAck | Parted):
                        self._leave(guest, message.room)
                case Show(guest, lines, last):
                    if self._feeds:
                        self._catch_up(guest)
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
                    connections[guest].send(b"".join(parts))
                    connections[guest].say(last)
                case Spread(room, message, but, plain):
                    self._spread(room, message, but)
                    if plain and room.name == LOBBY and self.plain is not None:
                        self.plain.show(shown_line(message, self.times.wall()))
                case PutOut(name):
                    if self.plain is not None:
                        self.plain.kick(name)
                case LookAgain():
                    if self.plain is not None:
                        self.plain.kick_from(lambda host: not self.admits("", host))

    def _spread(self, room: Room, message: Bcp2Message, but: Member | None) -> None:
        data = encode(message)
        if self._trace is not None:
            self._trace(f"{room.name} <- {shown(message)}")
        if self._is_large(room):
            self._feed(room, data, {but: b""} if but is not None else {})
            return
        for guest in tuple(room.members.values()):
            connection = self.connections.get(guest)
            if guest is not but and connection is not None:
                connection.send(data)

    def _leave(self, guest: Member, name: str) -> None:
        for room, feed in self._feeds.items():
            if room.name == name:
                feed.leave(guest)

    def _gather(self, talk: Talk) -> None:
        room = talk.room
        self._turns.setdefault(room, []).append(talk)
        if self._timer is None:
            self._timer = self._clock.callLater(0, self.flush)
        if self._trace is not None:
            said = Said(room.name, talk.sender, talk.number, self._date(talk.at), spoken(talk.text))
            self._trace(f"{room.name} <- {shown(said)}")
        if talk.speaker is None or room.name != LOBBY or self.plain is None:
            return
        if self._settle():  # for there it cannot be taken back
            self.plain.show(shown_line(talk, self.times.wall()))

    def _seen_by(self, guest: Member, said: list[Talk], lines: list[bytes]) -> bytes:
        """The `lines` of `said`, with a SAYACK in the place of each that `guest` said."""
        return b"".join(
            line
            if one.speaker is not guest
            else say_ack_bytes(one.cseq, one.room.name, one.number, self._date(one.at))
            for one, line in zip(said, lines, strict=True)
        )

    def _date(self, at: Monotonic) -> str:
        return date_of(self.times.date(at))

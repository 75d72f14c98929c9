"""Rooms of a server that shares no directory: its rules answer, and their effects are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from chatproto.net.clock import Times
from chatproto.rooms.answers import RETRY_AFTER, RoomAnswers
from chatproto.rooms.effects import LineSent
from chatproto.rooms.history import RoomStore
from chatproto.rooms.lobby import OPERATOR
from chatproto.rooms.room import LOBBY, Member
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.work_queue import WorkQueue
from chatproto.stdio.printable import printable
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

REQUESTS = frozenset(bcp2_rooms.FROM_CLIENT)
"""Requests about rooms."""


class RoomSide(RoomDelivery):
    """Rooms of a server that shares no directory: its rules answer requests, and their effects are sent.

    Args: history: store of the rooms. owner_of: returns the key that owns an id, or None. sees: tells
    whether an id is visible to a key. The others are those of `RoomDelivery`. Raises StoreTrouble if the
    stored rooms cannot be read.
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
        super().__init__(clock, limits, trace, times, turns)
        self._history = history
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

    def answer(self, message: Bcp2Message, member: Member, now: float) -> None:
        """Carry out a request of `member`."""
        if message.__class__ is not bcp2_rooms.Say:
            self.flush()
        self.apply(self.rules.answer(message, member, now))
        if isinstance(message, bcp2_rooms.Join):
            self.joined(member, message.room)

    def follow(self, member: Member) -> None:
        """Remove `member` from its rooms if it has registered another id."""
        self.flush()
        effects = self.rules.follow(member, self._clock.seconds())
        if effects:
            self.left(member)
        self.apply(effects)

    def lost(self, member: Member, reason: str) -> None:
        """Remove `member` from its rooms: its connection has ended."""
        self.flush()
        self.left(member)
        self.apply(self.rules.left(member, self._clock.seconds(), reason))

    def order(self, message: Bcp2Message) -> Deferred[Bcp2Message | None]:
        """Carry out a request of the operator; fires with the answer. Fails with RemoteError."""
        return execute(self._order, message)

    def _order(self, message: Bcp2Message) -> Bcp2Message | None:
        self.flush()
        effects, answer = self.rules.operate(message, self._clock.seconds())
        self.apply(effects)
        if isinstance(message, bcp2_rooms.Say) and message.room == LOBBY and self.plain is not None:
            self.plain.show(f"{OPERATOR}> {printable(message.text)}")
        return answer

    def lines(self) -> Deferred[Iterator[str]]:
        """Fire with one line per room; an empty lobby without a port is left out."""
        hidden = f"{LOBBY}: 0 "
        return succeed(
            line for line in self.rules.lines() if self.plain or not line.startswith(hidden)
        )

    def size(self) -> tuple[int, int]:
        """Return the number of rooms, and the sum of their members."""
        return self.rules.size()

    def due(self, most: int = 1_000_000) -> bool:
        """Remove expired lines and rooms, at most `most` of each; return True if more may be expired.

        Raises StoreTrouble.
        """
        self.flush()
        return self.rules.due(self._clock.seconds(), most)

    def _settle(self) -> bool:
        """Store the lines of this turn; refuse those that cannot be stored and return False."""
        try:
            self._history.settle()
        except StoreTrouble as error:
            for room, said in self._turns.items():
                last = self._history.last(room.name)
                self._refuse([one for one in said if one.number > last], error)
                self._turns[room] = [one for one in said if one.number <= last]
            return False
        return True

    def _refuse(self, said: list[LineSent], error: StoreTrouble) -> None:
        for one in said:
            if one.speaker in self.connections:
                self.connections[one.speaker].say(
                    Error(error.status, one.cseq, retry_after=RETRY_AFTER)
                )
            elif one.speaker is None:
                self.log.warn("what was said in the lobby is not passed on: {why}", why=error)

    # Called by the port of the raw-text lobby (rooms.lobby_port.Beside).

    def keyed_members(self) -> Mapping[str, object]:
        """Return the keyed members of the lobby, by id."""
        return self.rules.lobby.members

    def admits(self, name: str, host: str = "") -> bool:
        """Return True if `name` may enter the lobby from `host`."""
        return self.rules.admits(name, host, self._clock.seconds())

    def may_speak(self, name: str) -> bool:
        """Return True if `name` is not muted in the lobby."""
        return self.rules.may_speak(name, self._clock.seconds())

    def raw_joined(self, name: str) -> None:
        """Add raw-text member `name` to the lobby."""
        self.flush()
        self.apply(self.rules.raw_joined(name))

    def raw_left(self, name: str, reason: str) -> None:
        """Remove raw-text member `name` from the lobby."""
        self.flush()
        self.apply(self.rules.raw_left(name, reason))

    def raw_message(self, name: str, text: str) -> None:
        """Pass on `text` from raw-text member `name`."""
        try:
            self.apply(self.rules.raw_message(name, text, self._clock.seconds()))
        except RemoteError as error:
            self.log.warn("what was said in the lobby is not passed on: {why}", why=error)

    # Internal.

    def _find(self, client_id: str) -> Member | None:
        return next((one for one in self.connections if one.client_id == client_id), None)

"""Copy of a room that several servers share, kept up to date by numbered events. Pure.

Each change of a shared room has a number, one more than the last, and is told to the servers that have
members in it. A server that misses one reads the room anew, and tells its members what has changed
meanwhile: nobody misses a line or hears it twice. Lines of a room without history are told only once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chatproto.rooms.history import RoomLine
from chatproto.rooms.policy import RoomPolicy
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.values import distinct, value_class

FORMER_NAMES = 16
"""Names of a server that it still knows as its own: events under a former one may be on their way."""
OLD_REQUESTS = 1.0
"""Seconds after a server has come in again in which it refuses requests: they may be from before."""


@distinct
class RoomSeat(NamedTuple):
    """A member of a room: the server `node`, the number of its connection there, its key and host.

    The key of a raw-text member of the lobby is "".
    """

    node: str
    number: int
    key: str
    host: str


@distinct
class SpokenBy(NamedTuple):
    """Speaker of a line: a connection of the server `node`, and the CSeq of its SAY."""

    node: str
    number: int
    cseq: int


@value_class
class LineSaid:
    """A line is said. `spoken_by`: who hears SAYACK."""

    line: RoomLine
    spoken_by: SpokenBy


@value_class
class MemberEntered:
    """A member is in the room. `moved`: it was in it before, with another connection."""

    client_id: str
    seat: RoomSeat
    moved: bool = False


@value_class
class MemberLeft:
    """A member is in the room no more; `reason` as in PARTED."""

    client_id: str
    reason: str


@value_class
class PolicyChanged:
    """The policy is another. `news`: what the members are told of it, JSON values; None for nothing.

    `policy` is None if there is only news. `unknown`: as in `RoomState`.
    """

    policy: RoomPolicy | None
    news: Any
    unknown: Mapping[str, Any]


RoomEvent = LineSaid | MemberEntered | MemberLeft | PolicyChanged


@value_class
class RoomState:
    """A room as Redis has it. `event`: number of its last event; `last`: of its last line.

    `unknown`: fields of the policy that a newer server has written; they are written again. `told`: the
    last events that the rest does not show, with their numbers: news of the policy, and why members have
    left.
    """

    policy: RoomPolicy
    event: int
    last: int
    members: Mapping[str, RoomSeat]
    unknown: Mapping[str, Any]
    told: tuple[tuple[int, RoomEvent], ...] = ()


class OwnNode:
    """Name of this server among those that share a store, and until when the others count on it.

    Times are monotonic seconds of this server. `new_name` makes a name that nobody has had.
    """

    def __init__(self, new_name: Callable[[], str]) -> None:
        self.new_name = new_name
        self.name = new_name()
        self._names = deque([self.name], FORMER_NAMES)
        self._until = float("-inf")
        self._serves_from = float("-inf")

    def __contains__(self, name: str) -> bool:
        """Return True if this server has that name, or had it lately."""
        return name in self._names

    def confirm(self, until: float, now: float) -> None:
        """Note that the others know of this server, and give it up at `until` at the earliest."""
        self._until = until
        self._serves_from = min(self._serves_from, now + OLD_REQUESTS)

    def is_there(self, now: float) -> bool:
        """Return True if the others know of this server, and cannot have given it up."""
        return now < self._until

    def serves(self, now: float) -> bool:
        """Return True if requests may be carried out.

        A server that was stopped finds old ones when it continues. Their clients may have gone to other
        servers, and asked something else there.
        """
        return self._serves_from <= now < self._until

    def check(self, now: float) -> None:
        """Raise StoreTrouble unless requests may be carried out."""
        if not self.serves(now):
            raise StoreTrouble("the other servers do not know of this one yet")

    def renew(self) -> None:
        """Take another name: the others have given the former one up."""
        self.name = self.new_name()
        self._names.append(self.name)
        self._until, self._serves_from = float("-inf"), float("inf")


class EventsMissed(Exception):
    """Events are missing: read the room anew."""


class RoomCopy:
    """Copy of a room, which begins as `state`."""

    def __init__(self, state: RoomState) -> None:
        self.policy = state.policy
        self.event = state.event
        self.last = state.last
        self.members = dict(state.members)
        self.unknown = state.unknown

    def hear(self, number: int, event: RoomEvent) -> bool:
        """Apply an event; False if it is known already. Raises EventsMissed."""
        if number <= self.event:
            return False
        if number != self.event + 1:
            raise EventsMissed
        self.event = number
        match event:
            case LineSaid(line):
                self.last = line.number
            case MemberEntered(client_id, seat):
                self.members[client_id] = seat
            case MemberLeft(client_id):
                self.members.pop(client_id, None)
            case PolicyChanged(policy, _, unknown) if policy is not None:
                self.policy, self.unknown = policy, unknown
        return True

    def catch_up(self, state: RoomState, lines: list[LineSaid]) -> list[RoomEvent]:
        """Become as `state`; return what has changed. `lines`: those after `last`, oldest first.

        Someone who has left and come back meanwhile was there all along. A room that is older than
        this copy, because Redis has lost what it had, is as `state` too.
        """
        events: list[RoomEvent] = [one for one in lines if one.line.number > self.last]
        missed = [one for number, one in state.told if number > self.event]
        news = [one for one in missed if isinstance(one, PolicyChanged)]
        events += news
        why = {one.client_id: one.reason for one in missed if isinstance(one, MemberLeft)}
        gone = self.members.keys() - state.members.keys()
        events += [MemberLeft(one, why.get(one, "")) for one in self.members if one in gone]
        for client_id, seat in state.members.items():
            former = self.members.get(client_id)
            if former != seat:
                events.append(MemberEntered(client_id, seat, former is not None))
        if state.policy.version != self.policy.version and not news:
            events.append(PolicyChanged(state.policy, None, state.unknown))
        self.policy, self.event, self.last = state.policy, state.event, state.last
        self.members = dict(state.members)
        self.unknown = state.unknown
        return events

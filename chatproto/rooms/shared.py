"""Copy of a room that several servers share, kept up to date by numbered events. Pure.

Each change of a shared room is an event whose number is one more than the last. It is sent to the servers
that have members in the room. A server that misses an event reads the room again and tells its members what
has changed, so no member misses a line or receives it twice. Lines of a room without history are sent once.
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
"""Former names that a server still recognises as its own: events with one of them may arrive late."""
OLD_REQUESTS = 1.0
"""Seconds for which a server that has rejoined the others refuses requests: they may be older than that."""


@distinct
class RoomSeat(NamedTuple):
    """Place of a member in a room: its server `node`, the number of its connection there, its key and host.

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
    """Event: a line was said. `spoken_by` receives SAYACK."""

    line: RoomLine
    spoken_by: SpokenBy


@value_class
class MemberEntered:
    """Event: a member has joined. `moved`: it was in the room before, with another connection."""

    client_id: str
    seat: RoomSeat
    moved: bool = False


@value_class
class MemberLeft:
    """Event: a member has left; `reason` as in PARTED."""

    client_id: str
    reason: str


@value_class
class PolicyChanged:
    """Event: the policy was replaced. `news`: JSON values of the message to the members, or None.

    `policy` is None if there is only `news`. `unknown`: as in `RoomState`.
    """

    policy: RoomPolicy | None
    news: Any
    unknown: Mapping[str, Any]


RoomEvent = LineSaid | MemberEntered | MemberLeft | PolicyChanged


@value_class
class RoomState:
    """Room as stored in Redis. `event`: number of its last event; `last`: number of its last line.

    `unknown`: fields of the policy that a newer server has written; they are written back. `told`: the
    last events that the other fields do not show, with their numbers: news of the policy, and reasons for
    which members have left.
    """

    policy: RoomPolicy
    event: int
    last: int
    members: Mapping[str, RoomSeat]
    unknown: Mapping[str, Any]
    told: tuple[tuple[int, RoomEvent], ...] = ()


class OwnNode:
    """Name of this server among those that share a store, and the end of its lease there.

    Times are monotonic seconds of this server. `new_name` makes a name that was never used.
    """

    def __init__(self, new_name: Callable[[], str]) -> None:
        self.new_name = new_name
        self.name = new_name()
        self._names = deque([self.name], FORMER_NAMES)
        self._until = float("-inf")
        self._serves_from = float("-inf")

    def __contains__(self, name: str) -> bool:
        """Return True if `name` is this server's name or one of its last former ones."""
        return name in self._names

    def confirm(self, until: float, now: float) -> None:
        """Renew the lease: the other servers give this one up at `until` at the earliest."""
        self._until = until
        self._serves_from = min(self._serves_from, now + OLD_REQUESTS)

    def is_valid(self, now: float) -> bool:
        """Return True if the lease is valid: the other servers cannot have given this one up."""
        return now < self._until

    def serves(self, now: float) -> bool:
        """Return True if requests may be carried out.

        A server that was suspended finds old requests when it resumes. Their clients may have connected to
        other servers since, and sent other requests there.
        """
        return self._serves_from <= now < self._until

    def check(self, now: float) -> None:
        """Raise StoreTrouble unless requests may be carried out."""
        if not self.serves(now):
            raise StoreTrouble("the other servers do not know of this one yet")

    def renew(self) -> None:
        """Take another name, since the other servers have given the former one up."""
        self.name = self.new_name()
        self._names.append(self.name)
        self._until, self._serves_from = float("-inf"), float("inf")


class EventsMissed(Exception):
    """Error: events are missing, so the room must be read again."""


class RoomCopy:
    """Copy of a room, initially `state`."""

    def __init__(self, state: RoomState) -> None:
        self.policy = state.policy
        self.event = state.event
        self.last = state.last
        self.members = dict(state.members)
        self.unknown = state.unknown

    def apply(self, number: int, event: RoomEvent) -> bool:
        """Apply an event; return False if it was applied before. Raises EventsMissed."""
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
        """Replace this copy by `state`; return the changes. `lines`: those after `last`, oldest first.

        A member that has left and rejoined meanwhile causes no event. A `state` older than this copy is
        accepted too: Redis has lost data.
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

"""Answer room requests and notify the other members (PROTOCOL.md, rooms)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from heapq import nsmallest

from chatproto.net.clock import Monotonic, Wall
from chatproto.net.dates import date_of
from chatproto.rooms.effects import (
    Effect,
    LineSent,
    LookAgain,
    PutOut,
    Show,
    Spread,
    TellMember,
)
from chatproto.rooms.guard import RoomGuard
from chatproto.rooms.history import RoomStore
from chatproto.rooms.lobby import OPERATOR
from chatproto.rooms.moderation import Actor, Decision, Moderation, find_target, ousted
from chatproto.rooms.policy import RoomPolicy, hashed, subject
from chatproto.rooms.room import LOBBY, Member, Room
from chatproto.wire import bcp2_rooms
from chatproto.wire.actions import marked
from chatproto.wire.bcp2_common import LINES, Bcp2Message, Error
from chatproto.wire.errors import Later, RemoteError, StoreTrouble
from chatproto.wire.fields import fold
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits
from chatproto.wire.room_fields import Listed

RETRY_AFTER = 2
"""Seconds after which the client may retry a request that was refused with 429 or 503."""
EXAMINED = 64
"""Empty rooms that are examined to find one that can be removed."""


@dataclass(slots=True)
class _Stay:
    """Rooms that a member has joined as `client_id`."""

    client_id: str
    rooms: dict[str, Room] = field(default_factory=dict)


def refusal(message: Bcp2Message, error: RemoteError) -> Error:
    """Return the ERROR that answers a request."""
    retry = RETRY_AFTER if error.status in (429, 503) else None
    if isinstance(error, Later):
        retry = max(1, error.retry_after)
    return Error(error.status, getattr(message, "cseq", None), retry_after=retry, why=error.why)


def asked_page(
    message: bcp2_rooms.History, limits: ServerLimits
) -> tuple[str, int | None, int | None, int, int]:
    """Return the arguments of a store's `page` for HISTORY. Raises RemoteError 400."""
    if message.after is not None and message.before is not None:
        raise RemoteError(400, "After and Before")
    most = min(message.limit or limits.history_page, limits.history_page)
    return message.room, message.after, message.before, most, limits.history_page_bytes


class RoomAnswers:
    """Rules of all rooms; `now` is a parameter.

    Args: owner_of: returns the key that owns an id, or None. find: returns the connection that has
    registered an id, or None. counted: whether rate limits apply here; otherwise the caller applies them.
    moment: converts a time of day to the server's monotonic clock; date: the reverse.
    Raises: StoreTrouble: the stored rooms cannot be read.
    """

    def __init__(
        self,
        history: RoomStore,
        limits: ServerLimits = SERVER_DEFAULTS,
        owner_of: Callable[[str], str | None] = lambda client_id: None,
        find: Callable[[str], Member | None] = lambda client_id: None,
        now: float = 0.0,
        counted: bool = True,
        date: Callable[[Monotonic], Wall] = Wall,
        sees: Callable[[str, str], bool] = lambda key, client_id: True,
        moment: Callable[[Wall], Monotonic] = float,
    ) -> None:
        self.limits = limits
        self._counted = counted
        self._guard = RoomGuard(limits)
        self._date = date
        self._history = history
        self._rooms: dict[str, Room] = {}
        self._alike: dict[str, str] = {}  # by folded name
        self._names: list[str] = []  # sorted; open rooms only
        self._by_owner: dict[str, set[str]] = {}
        self._told: list[Effect] = []  # to owners and ops, about wrong room keys
        self._stays: dict[Member, _Stay] = {}
        self._owner_of = owner_of
        self._find = find
        self._sees = sees
        self._moderation = Moderation(limits, moment)
        for kept in history.rooms():
            # The room may have had members when the server ended.
            self._add(Room(replace(kept, used=max(kept.used, now))))
        if LOBBY not in self._rooms:
            self._add(Room(RoomPolicy(LOBBY)))
        self.lobby = self._rooms[LOBBY]
        """Room of the raw-text lobby; it is never removed."""
        self._number(LOBBY, now)

    def answer(self, message: Bcp2Message, member: Member, now: float) -> list[Effect]:
        """Return the effects of one request: its answer to `member`, and messages to other members."""
        try:
            return self._answer(message, member, now)
        except RemoteError as error:
            told, self._told = self._told, []
            return [TellMember(member, refusal(message, error)), *told]

    def _count(self, message: Bcp2Message, member: Member, now: float) -> None:
        """Count a request other than SAY, and wrong room keys. Raises RemoteError 429."""
        guard = self._guard
        guard.count(member.key, member.host, now)
        if not isinstance(message, bcp2_rooms.Join):
            return
        room = self._rooms.get(message.room)
        if room is None:
            guard.count_new(member.host, now)
            return
        wait = guard.check_secret(room.policy, member.key, member.host, message.secret, now, now)
        if wait:
            until = date_of(self._date(now + wait))
            news = bcp2_rooms.Changed(room.name, "ban", key=member.key, until=until)
            self._told = [TellMember(one, news) for one in room.keepers(now)]

    def operate(self, message: Bcp2Message, now: float) -> tuple[list[Effect], Bcp2Message | None]:
        """Carry out a request of the server's operator, which has all rights in all rooms.

        Returns: the effects, and the answer, None for SAY.
        Raises: RemoteError: 404 for an unknown room, or the status of the refusal.
        """
        room = self._rooms.get(getattr(message, "room", ""))
        if room is None:
            raise RemoteError(404, "there is no such room")
        if isinstance(message, bcp2_rooms.Say):
            number = self._history.append(
                room.name, OPERATOR, now, message.text, room.policy.history
            )
            return [LineSent(room, number, OPERATOR, now, message.text)], None
        actor = Actor(operator=True)
        decision = self._decide(message, room, actor, now)
        return self._spread(room, decision, actor, None, now), decision.ack

    def follow(self, member: Member, now: float) -> list[Effect]:
        """Remove a client from its rooms if its id has changed."""
        stay = self._stays.get(member)
        return self.left(member, now) if stay and stay.client_id != member.client_id else []

    def left(self, member: Member, now: float, reason: str = "") -> list[Effect]:
        """Remove a member from all its rooms; return the effects, none if it is in no room."""
        stay = self._stays.pop(member, None)
        if stay is None:
            return []
        effects: list[Effect] = []
        for room in stay.rooms.values():
            self._put_out(room, stay.client_id, now)
            effects.append(Spread(room, bcp2_rooms.Parted(room.name, stay.client_id, reason)))
        return effects

    def due(self, now: float, most: int = 1_000_000) -> bool:
        """Remove expired lines and rooms, at most `most` of each.

        Returns: True if more may be expired. Raises StoreTrouble.
        """
        lines = self._history.expire(now - self.limits.room_history_age, most)
        before = now - self.limits.keep_rooms
        old = [
            one for one in self._rooms.values() if one.policy.used < before and self._is_empty(one)
        ]
        for room in old[:most]:
            self._forget(room)
        return lines >= most or len(old) > most

    def size(self) -> tuple[int, int]:
        """Return the number of rooms, and the sum of their members with a key."""
        return len(self._rooms), sum(len(room.members) for room in self._rooms.values())

    def lines(self) -> Iterator[str]:
        """Describe each room in one line, for the operator."""
        for room in sorted(self._rooms.values(), key=lambda one: one.name):
            yield room.policy.outline(len(room))

    def all(self) -> tuple[Room, ...]:
        """Return all rooms."""
        return tuple(self._rooms.values())

    def seat(self, name: str, member: Member) -> None:
        """Add `member` to a room as another server's snapshot says, without messages."""
        assert member.client_id is not None
        room = self._rooms[name]
        stay = self._stays.get(member)
        if stay is None:
            stay = self._stays[member] = _Stay(member.client_id)
        room.add(member.client_id, member)
        stay.rooms[name] = room

    # The raw-text lobby.

    def raw_joined(self, name: str) -> list[Effect]:
        """Add raw-text client `name` to the lobby; return the messages to the other members."""
        self.lobby.add(name, None)
        return [Spread(self.lobby, bcp2_rooms.Joined(LOBBY, name, "open"), plain=False)]

    def raw_left(self, name: str, reason: str = "") -> list[Effect]:
        """Remove raw-text client `name` from the lobby, if it is there."""
        if name not in self.lobby.plain:
            return []
        self.lobby.remove(name)
        return [Spread(self.lobby, bcp2_rooms.Parted(LOBBY, name, reason), plain=False)]

    def may_speak(self, name: str, now: float) -> bool:
        """Return True unless `name` is muted in the lobby."""
        policy = self.lobby.policy
        return not policy.mutes or not policy.is_muted(subject(name, ""), now)

    def raw_message(self, name: str, text: str, now: float) -> list[Effect]:
        """Store a lobby message of `name`; return the messages to the other members. Raises StoreTrouble."""
        lobby = self.lobby
        number = self._history.append(LOBBY, name, now, text, lobby.policy.history)
        return [LineSent(lobby, number, name, now, text)]

    def admits(self, name: str, host: str, now: float) -> bool:
        """Return True if `name` may enter the lobby from `host`: the name is free and not banned."""
        lobby = self.lobby
        return not (lobby.has_member_like(name) or lobby.policy.is_banned(name, "", host, now))

    # Requests.

    def _answer(self, message: Bcp2Message, member: Member, now: float) -> list[Effect]:
        client_id = member.client_id
        if client_id is None:
            raise RemoteError(401, "register first")
        stay = self._stays.get(member)
        before: list[Effect] = []
        if stay is None or stay.client_id != client_id:
            before = self.left(member, now)
            stay = _Stay(client_id)
            self._stays[member] = stay
        if isinstance(message, bcp2_rooms.Say):
            return before + self._say(message, member, stay, now)
        if self._counted:
            self._count(message, member, now)
        if isinstance(message, bcp2_rooms.Rooms):
            return [*before, TellMember(member, self._list(message, member, stay))]
        if isinstance(message, bcp2_rooms.Join):
            return before + self._join(message, member, stay, now)
        room = self._inside(getattr(message, "room", ""), stay)
        match message:
            case bcp2_rooms.Part(cseq, name):
                del stay.rooms[name]
                self._put_out(room, client_id, now)
                parted = Spread(room, bcp2_rooms.Parted(name, client_id))
                return [TellMember(member, bcp2_rooms.PartAck(cseq, name)), parted]
            case bcp2_rooms.History():
                return [self._page(message, member)]
            case bcp2_rooms.Names(cseq, name, after, limit):
                most = min(limit or LINES, self.limits.info_lines, LINES)
                members = room.page(after, most, now)
                return [TellMember(member, bcp2_rooms.NamesAck(cseq, name, len(room), *members))]
        actor = Actor(client_id, member.key)
        decision = self._decide(message, room, actor, now)
        told = TellMember(member, decision.ack)
        return [*before, told, *self._spread(room, decision, actor, member, now)]

    def _say(
        self, message: bcp2_rooms.Say, member: Member, stay: _Stay, now: float
    ) -> list[Effect]:
        room = self._inside(message.room, stay)
        room.policy.check_say(member.key, message.text, now)
        sender, text = stay.client_id, marked(message.text, message.kind)
        number = self._history.append(room.name, sender, now, text, room.policy.history)
        return [LineSent(room, number, sender, now, text, member, message.cseq)]

    def _join(
        self, message: bcp2_rooms.Join, member: Member, stay: _Stay, now: float
    ) -> list[Effect]:
        name, client_id = message.room, stay.client_id
        if name not in stay.rooms and len(stay.rooms) >= self.limits.rooms_per_client:
            raise RemoteError(413, "too many rooms")
        room = self._rooms.get(name)
        if room is None:
            room = self._open(message, member, now)
        room.policy.check_entry(client_id, member.key, member.host, message.secret, now)
        if len(room) >= self.limits.room_members and client_id not in room.members:
            raise RemoteError(503, "the room is full")
        if room.has_plain_like(client_id):
            raise RemoteError(409, "somebody in bare text has that name")
        former = room.members.get(client_id)
        if former is not None and former is not member:
            self._stays[former].rooms.pop(name, None)
        room.add(client_id, member)
        stay.rooms[name] = room
        role = room.shown_role(client_id, now)
        last = self._history.last(name)
        next_id, members = room.page("", min(self.limits.info_lines, LINES), now)
        ack = bcp2_rooms.JoinAck(
            message.cseq, name, len(room), last, role, room.policy.topic, next_id, members
        )
        effects: list[Effect] = [TellMember(member, ack)]
        if former is None:
            effects.append(Spread(room, bcp2_rooms.Joined(name, client_id, role), member))
        return effects

    def _open(self, message: bcp2_rooms.Join, member: Member, now: float) -> Room:
        """Create a room. Raises RemoteError 409, 413, 503."""
        name = message.room
        if fold(name) in self._alike:
            raise RemoteError(409, "a room looks like that")
        if len(self._by_owner.get(member.key, ())) >= self.limits.rooms_per_owner:
            raise RemoteError(413, "too many rooms of one key")
        if len(self._rooms) >= self.limits.rooms:
            self._make_room(member)
        policy = RoomPolicy(name, member.key, secret=hashed(name, message.secret), used=now)
        self._history.keep(policy)
        self._number(name, now)
        room = Room(policy)
        self._add(room)
        return room

    def _make_room(self, member: Member) -> None:
        """Remove the longest unused empty room that `member` owns, or else one without stored lines.

        Raises RemoteError 503 if there is none: rooms of other owners with a history are preserved.
        """
        empty = [one for one in self._rooms.values() if self._is_empty(one)]
        for room in nsmallest(
            EXAMINED, empty, key=lambda one: (one.policy.owner != member.key, one.policy.used)
        ):
            if (
                room.policy.owner == member.key
                or not self._history.page(room.name, None, None, 1, 1).lines
            ):
                self._forget(room)
                return
        raise RemoteError(503, "too many rooms")

    def _page(self, message: bcp2_rooms.History, member: Member) -> Show:
        page = self._history.page(*asked_page(message, self.limits))
        ack = bcp2_rooms.HistoryAck(message.cseq, message.room, len(page.lines), page.more)
        return Show(member, page.lines, ack)

    def _list(self, message: bcp2_rooms.Rooms, member: Member, stay: _Stay) -> Bcp2Message:
        most = min(message.limit or LINES, self.limits.info_lines, LINES)
        begin = bisect_right(self._names, message.after)
        mine = {
            one for one in (*stay.rooms, *self._by_owner.get(member.key, ())) if one > message.after
        }
        seen = sorted(mine.union(self._names[begin : begin + most + 1]))
        rooms = [self._rooms[name] for name in seen[:most]]
        listed = tuple(Listed(room.name, len(room), room.policy.topic) for room in rooms)
        return bcp2_rooms.RoomsAck(message.cseq, rooms[-1].name if len(seen) > most else "", listed)

    # Steps of the requests.

    def _inside(self, name: str, stay: _Stay) -> Room:
        room = stay.rooms.get(name)
        if room is None:
            raise RemoteError(404, "not in that room")
        return room

    def _decide(self, message: Bcp2Message, room: Room, actor: Actor, now: float) -> Decision:
        """Decide a moderation request, and store the new policy of the room.

        Raises RemoteError.
        """
        target = find_target(
            getattr(message, "peer_id", ""), room, actor, self._owner_of, self._sees
        )
        decision = self._moderation.decide(message, room.policy, actor, target, now)
        if decision.policy is not room.policy:
            self._history.keep(decision.policy)
            room.policy = decision.policy
            self._order(room)
        return decision

    def _spread(
        self, room: Room, decision: Decision, actor: Actor, member: Member | None, now: float
    ) -> list[Effect]:
        """Remove the members that a decision puts out; return the messages to all except `member`."""
        effects: list[Effect] = []
        invited = self._find(decision.invited) if decision.invited else None
        if invited is not None:
            effects.append(TellMember(invited, bcp2_rooms.Invited(room.name, actor.client_id)))
        news = decision.news
        if news is None:
            return effects
        ban = decision.ban
        parted = [
            bcp2_rooms.Parted(room.name, one, "kicked" if ban is None else "banned")
            for one in ousted(decision, room, room.policy, actor, now)
        ]
        for one in parted:
            ousted_one = room.members.get(one.peer_id)
            if ousted_one is None:
                effects.append(PutOut(one.peer_id))
            else:
                effects += [TellMember(ousted_one, news), TellMember(ousted_one, one)]
                del self._stays[ousted_one].rooms[room.name]
            self._put_out(room, one.peer_id, now)
        effects.append(Spread(room, news, member))
        effects += [Spread(room, one) for one in parted]
        if ban is not None and ban.kind == "address" and room.name == LOBBY:
            effects.append(LookAgain(room.policy))
        return effects

    def _put_out(self, room: Room, client_id: str, now: float) -> None:
        room.remove(client_id)
        if not room.members:
            room.policy = replace(room.policy, used=now)
            try:
                self._history.keep(room.policy)
            except StoreTrouble:
                pass  # not part of a request; the store logs the failure

    def _number(self, name: str, now: float) -> None:
        """Use one line number, so that a member that joins an empty room can request all lines after it."""
        if not self._history.last(name):
            self._history.append(name, "", now, "", keep=False)
            self._history.settle()

    def _is_empty(self, room: Room) -> bool:
        return not len(room) and room.name != LOBBY

    def _add(self, room: Room) -> None:
        self._rooms[room.name] = room
        self._alike[fold(room.name)] = room.name
        self._by_owner.setdefault(room.policy.owner, set()).add(room.name)
        self._order(room)

    def _forget(self, room: Room) -> None:
        self._history.forget(room.name)
        del self._rooms[room.name]
        del self._alike[fold(room.name)]
        self._order(room)
        owned = self._by_owner[room.policy.owner]
        owned.remove(room.name)
        if not owned:
            del self._by_owner[room.policy.owner]

    def _order(self, room: Room) -> None:
        """Add `room` to the sorted names of open rooms, or remove it, as its policy says."""
        at = bisect_left(self._names, room.name)
        there = at < len(self._names) and self._names[at] == room.name
        wanted = room.policy.is_open and room.name in self._rooms
        if wanted and not there:
            self._names.insert(at, room.name)
        elif there and not wanted:
            del self._names[at]

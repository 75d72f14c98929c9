"""Room: its members, roles, permissions and bans (PROTOCOL.md, Rooms). Pure; takes `now`."""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Hashable, Iterator
from enum import Enum, IntEnum, auto
from ipaddress import ip_address, ip_network
from typing import Protocol

from chatproto.rooms.history import BanRecord, RoomRecord
from chatproto.rooms.lobby import look_alike
from chatproto.wire.bcp2_common import plain_ip
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits
from chatproto.wire.room_fields import Occupant

LOBBY = "#lobby"
"""The room that the lobby's port shows. It is always there, and nobody owns it."""


class Member(Hashable, Protocol):
    """A connection that proved a key; `client_id` is the id that it has registered, if any."""

    key: str
    host: str
    client_id: str | None


class Role(IntEnum):
    """Role of a client in a room; OPERATOR is the server's operator, in every room."""

    OUTSIDER = 0
    MEMBER = 1
    OP = 2
    OWNER = 3
    OPERATOR = 4


class Act(Enum):
    """Action in a room that needs a permission."""

    SAY = auto()
    HISTORY = auto()
    NAMES = auto()
    PART = auto()
    TOPIC = auto()
    KICK = auto()
    BAN = auto()
    UNBAN = auto()
    MUTE = auto()
    INVITE = auto()
    OP = auto()
    SETTINGS = auto()


_ALL_INSIDE = frozenset({Role.MEMBER, Role.OP, Role.OWNER, Role.OPERATOR})
_OPS = frozenset({Role.OP, Role.OWNER, Role.OPERATOR})
_OWNERS = frozenset({Role.OWNER, Role.OPERATOR})
TABLE: dict[Act, frozenset[Role]] = {
    Act.SAY: _ALL_INSIDE,
    Act.HISTORY: _ALL_INSIDE,
    Act.NAMES: _ALL_INSIDE,
    Act.PART: _ALL_INSIDE,
    Act.TOPIC: _OPS,
    Act.KICK: _OPS,
    Act.BAN: _OPS,
    Act.UNBAN: _OPS,
    Act.MUTE: _OPS,
    Act.INVITE: _OPS,
    Act.OP: _OWNERS,
    Act.SETTINGS: _OWNERS,
}
"""Who may do what."""
OVER: dict[Role, frozenset[Role]] = {
    Role.OUTSIDER: frozenset(),
    Role.MEMBER: frozenset(),
    Role.OP: frozenset({Role.OUTSIDER, Role.MEMBER}),
    Role.OWNER: frozenset({Role.OUTSIDER, Role.MEMBER, Role.OP}),
    Role.OPERATOR: frozenset({Role.OUTSIDER, Role.MEMBER, Role.OP, Role.OWNER}),
}
"""To whom each may do what is done to somebody."""


def hashed(room: str, secret: str) -> str:
    """Hash the key of a room for the store; "" stays ""."""
    return hashlib.sha256(f"{room}\n{secret}".encode()).hexdigest() if secret else ""


def network(host: str) -> str:
    """Return the address that a ban covers: an IPv4 address, or the /64 of an IPv6 address.

    Raises: RemoteError: 400 if `host` is not an address.
    """
    address = ip_address(plain_ip(host))
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))


class Room:
    """Room with its stored settings and its present members.

    Roles, mutes and invitations are by key; for raw-text members of the lobby, by `=` and the folded name.
    """

    def __init__(self, kept: RoomRecord, limits: ServerLimits) -> None:
        self.members: dict[str, Member] = {}
        """Who is in it with a key, by id."""
        self.plain: set[str] = set()
        """Who is in it in bare text."""
        self._limits = limits
        self._sorted: list[str] = []
        self._members_alike: Counter[str] = Counter()  # by what an id looks like
        self._plain_alike: Counter[str] = Counter()
        self.take(kept)

    def __len__(self) -> int:
        return len(self._sorted)

    def take(self, kept: RoomRecord) -> None:
        """Replace the settings by those of `kept`; the members stay."""
        self.name = kept.name
        self.owner = kept.owner
        self.topic = kept.topic
        self.secret = kept.secret
        self.invited_only = kept.invited_only
        self.history = kept.history
        self.used = kept.used
        self._ops = dict(kept.ops)
        self._mutes = dict(kept.mutes)
        self._invited = dict(kept.invited)
        self._bans = {(ban.kind, ban.value): ban for ban in kept.bans}

    def kept(self) -> RoomRecord:
        """Return the settings to store: everything but the members."""
        return RoomRecord(
            self.name,
            self.owner,
            self.topic,
            self.secret,
            self.invited_only,
            self.history,
            self.used,
            tuple(self._ops.items()),
            tuple(self._mutes.items()),
            tuple(self._invited.items()),
            tuple(self._bans.values()),
        )

    @property
    def is_open(self) -> bool:
        """True if anybody may join; only such rooms are listed."""
        return not self.secret and not self.invited_only

    # Who is in it.

    def put_in(self, client_id: str, guest: Member | None) -> None:
        """Add a member under its id; `guest` is None for a raw-text client."""
        if client_id not in self.members and client_id not in self.plain:
            insort(self._sorted, client_id)
        if guest is None and client_id not in self.plain:
            self.plain.add(client_id)
            self._plain_alike[look_alike(client_id)] += 1
        elif guest is not None:
            if client_id not in self.members:
                self._members_alike[look_alike(client_id)] += 1
            self.members[client_id] = guest

    def put_out(self, client_id: str) -> None:
        """Remove a member, if it is there."""
        if client_id in self.members or client_id in self.plain:
            del self._sorted[bisect_left(self._sorted, client_id)]
        if self.members.pop(client_id, None) is not None:
            _less(self._members_alike, look_alike(client_id))
        if client_id in self.plain:
            self.plain.discard(client_id)
            _less(self._plain_alike, look_alike(client_id))

    def has_member_like(self, name: str) -> bool:
        """Return True if an id with a key in it looks like `name`."""
        return look_alike(name) in self._members_alike

    def has_plain_like(self, name: str) -> bool:
        """Return True if a name in bare text in it looks like `name`."""
        return look_alike(name) in self._plain_alike

    def occupants(self, after: str, most: int, now: float) -> Iterator[Occupant]:
        """List at most `most` members with ids after `after`, with their roles."""
        begin = bisect_right(self._sorted, after)
        for client_id in self._sorted[begin : begin + most]:
            yield Occupant(client_id, self.shown_role(client_id, now))

    def shown_role(self, client_id: str, now: float) -> str:
        """Name a member's role in the protocol's words: owner, op, member, muted or open."""
        guest = self.members.get(client_id)
        who = subject(client_id, guest.key if guest is not None else "")
        if self.is_muted(who, now):
            return "muted"
        if guest is None:
            return "open"
        return {Role.OWNER: "owner", Role.OP: "op"}.get(self.role(guest.key, now), "member")

    # Who may what.

    def role(self, key: str, now: float, inside: bool = True) -> Role:
        """Return the role of the owner of `key`; `inside`: whether it is a member now."""
        if key and key == self.owner:
            return Role.OWNER
        if self._ops.get(key, 0.0) > now:
            return Role.OP
        return Role.MEMBER if inside else Role.OUTSIDER

    def is_muted(self, who: str, now: float) -> bool:
        """Return True if `who` (see `subject`) is muted."""
        return bool(self._mutes) and self._mutes.get(who, 0.0) > now

    def is_guess(self, guest: Member, secret: str, now: float) -> bool:
        """Return True if `guest` may come in for the room's key alone, and `secret` is not that key."""
        if not self.secret or self.invited_only or self.role(guest.key, now, False) >= Role.OP:
            return False
        if self._invited.get(guest.key, 0.0) > now:
            return False
        return not hmac.compare_digest(self.secret, hashed(self.name, secret))

    def keepers(self, now: float) -> list[Member]:
        """The owner and the ops that are in it."""
        return [one for one in self.members.values() if self.role(one.key, now) >= Role.OP]

    def check_entry(self, guest: Member, client_id: str, secret: str, now: float) -> None:
        """Check that a client may join. Raises RemoteError: 403 if not, 503 if the room is full."""
        role = self.role(guest.key, now, inside=False)
        if role < Role.OP:
            if self.is_banned(client_id, guest.key, guest.host, now):
                raise RemoteError(403, "banned")
            if self._invited.get(guest.key, 0.0) <= now:
                if self.invited_only:
                    raise RemoteError(403, "only who is invited")
                if self.secret and not hmac.compare_digest(self.secret, hashed(self.name, secret)):
                    raise RemoteError(403, "the room's key is another")
        if len(self) >= self._limits.room_members and client_id not in self.members:
            raise RemoteError(503, "the room is full")

    def is_banned(self, client_id: str, key: str, host: str, now: float) -> bool:
        """Return True if a ban in force covers the id, the key or the address."""
        if not self._bans:
            return False
        return any(_is_for(ban, client_id, key, host, now) for ban in self._bans.values())

    def banned_by(self, ban: BanRecord, now: float) -> list[str]:
        """The ids in it, with a key, that `ban` is for."""
        return [
            client_id
            for client_id, guest in self.members.items()
            if _is_for(ban, client_id, guest.key, guest.host, now)
        ]

    # What is changed. A moment that has passed takes back.

    def set_op(self, key: str, until: float, now: float) -> None:
        """Make the owner of `key` an operator until `until`. Raises RemoteError 413 for too many."""
        _put(self._ops, key, until, now, self._limits.room_ops)

    def set_mute(self, who: str, until: float, now: float) -> None:
        """Mute `who` (see `subject`) until `until`. Raises RemoteError 413 for too many."""
        _put(self._mutes, who, until, now, self._limits.room_mutes)

    def set_invited(self, key: str, until: float, now: float) -> None:
        """Invite the owner of `key` until `until`. Raises RemoteError 413 for too many."""
        _put(self._invited, key, until, now, self._limits.room_invited)

    def set_ban(self, ban: BanRecord, now: float) -> None:
        """Add or replace a ban; its target loses operator role and invitation.

        Raises: RemoteError: 413 for more than `room_bans` bans.
        """
        bans = {place: one for place, one in self._bans.items() if one.until > now}
        bans.pop((ban.kind, ban.value), None)
        if len(bans) >= self._limits.room_bans:
            raise RemoteError(413, "too many bans")
        self._bans = bans
        if ban.until > now:
            self._bans[ban.kind, ban.value] = ban
            for key in {ban.key, ban.value}:
                self._ops.pop(key, None)
                self._invited.pop(key, None)

    def unban(self, kind: str, value: str) -> None:
        """Lift a ban. Raises RemoteError 404 if there is none."""
        if self._bans.pop((kind, value), None) is None:
            raise RemoteError(404, "no such ban")


def _less(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def subject(client_id: str, key: str) -> str:
    """Key of the role tables: the client's key, or without one its folded name."""
    return key or f"={look_alike(client_id)}"


def _is_for(ban: BanRecord, client_id: str, key: str, host: str, now: float) -> bool:
    if ban.until <= now:
        return False
    if ban.kind == "id":
        return look_alike(client_id) == ban.value or (bool(key) and key == ban.key)
    if ban.kind == "key":
        return ban.value == key
    return bool(host) and ban.value == network(host)


def _put(some: dict[str, float], who: str, until: float, now: float, most: int) -> None:
    for one in [one for one, end in some.items() if end <= now or one == who]:
        del some[one]
    if until > now:
        if len(some) >= most:
            raise RemoteError(413, "too many")
        some[who] = until

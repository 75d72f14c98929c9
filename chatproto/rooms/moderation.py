"""Moderate a room: topic, kick, ban, mute, operators, invitations."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.net.clock import Monotonic, Wall
from chatproto.net.dates import moment_of
from chatproto.rooms.effects import Effect, LookAgain, PutOut, Spread, TellMember
from chatproto.rooms.history import FOREVER, BanRecord, RoomRecord
from chatproto.rooms.lobby import look_alike
from chatproto.rooms.room import (
    LOBBY,
    OVER,
    TABLE,
    Act,
    Member,
    Role,
    Room,
    hashed,
    network,
    subject,
)
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits
from chatproto.wire.room_fields import Barring
from chatproto.wire.values import value_class

ACTS: dict[type[Bcp2Message], Act] = {
    bcp2_rooms.Topic: Act.TOPIC,
    bcp2_rooms.Kick: Act.KICK,
    bcp2_rooms.Ban: Act.BAN,
    bcp2_rooms.Unban: Act.UNBAN,
    bcp2_rooms.Mute: Act.MUTE,
    bcp2_rooms.Op: Act.OP,
    bcp2_rooms.Invite: Act.INVITE,
    bcp2_rooms.Settings: Act.SETTINGS,
}
"""Which act a request is."""


@value_class
class Actor:
    """Sender of a moderation request: its role, id ("" for the server's operator), connection."""

    role: Role
    client_id: str = ""
    guest: Member | None = None

    def tell(self, ack: Bcp2Message) -> list[Effect]:
        """Tell them that it is done."""
        return [TellMember(self.guest, ack)] if self.guest is not None else []


@value_class
class Decision:
    """Effects of a moderation request, and the ids that leave the room because of it."""

    effects: list[Effect]
    out: tuple[str, ...] = ()


class Moderation:
    """Rules of moderation: topic, kick, ban, mute, operators, invitations, settings.

    Args: owner_of: key that owns an id, or None. find: client connected with an id, or None. keep: stores
    a room's settings, or raises StoreTrouble. moment: time shown by the system clock. sees: tells whether
    a key may know of an id.
    """

    def __init__(
        self,
        limits: ServerLimits,
        owner_of: Callable[[str], str | None],
        find: Callable[[str], Member | None],
        keep: Callable[[RoomRecord], None],
        moment: Callable[[Wall], Monotonic] = float,
        sees: Callable[[str, str], bool] = lambda key, client_id: True,
    ) -> None:
        self._limits = limits
        self._owner_of = owner_of
        self._find = find
        self._keep = keep
        self._moment = moment
        self._sees = sees

    def act(self, message: Bcp2Message, room: Room, actor: Actor, now: float) -> Decision:
        """Carry out a request in `room`; members to be put out are still in it.

        Raises: RemoteError: the request is refused, and nothing has changed.
        """
        act = ACTS.get(type(message))
        if act is None:
            raise RemoteError(405, "nothing that a room knows")
        if actor.role not in TABLE[act]:
            raise RemoteError(403, f"{act.name} is not for {actor.role.name}")
        before = room.kept()
        try:
            ruling = self._rule(message, room, actor, now)
            if room.kept() != before:
                self._keep(room.kept())
        except RemoteError:
            room.take(before)
            raise
        return ruling

    def _rule(self, message: Bcp2Message, room: Room, actor: Actor, now: float) -> Decision:
        match message:
            case bcp2_rooms.Topic(cseq, name, text):
                room.topic = self._topic(text)
                ack: Bcp2Message = bcp2_rooms.TopicAck(cseq, name)
                return self._told(room, actor, ack, "topic", text=room.topic)
            case bcp2_rooms.Kick():
                return self._kick(message, room, actor, now)
            case bcp2_rooms.Ban() | bcp2_rooms.Unban():
                return self._bar(message, room, actor, now)
            case bcp2_rooms.Mute(cseq, name, peer_id, until):
                key = self._key_over(room, peer_id, actor, now)
                room.set_mute(subject(peer_id, key), self._end(until), now)
                ack = bcp2_rooms.MuteAck(cseq, name)
                return self._told(room, actor, ack, "mute", peer_id=peer_id, until=until)
            case bcp2_rooms.Op(cseq, name, peer_id, until):
                self._check_known(room, peer_id, actor)
                key = self._key_over(room, peer_id, actor, now) or _nobody()
                room.set_op(key, self._end(until), now)
                ack = bcp2_rooms.OpAck(cseq, name)
                return self._told(room, actor, ack, "op", peer_id=peer_id, until=until)
            case bcp2_rooms.Invite(cseq, name, peer_id, until):
                self._check_known(room, peer_id, actor)
                key = self._key_over(room, peer_id, actor, now) or _nobody()
                room.set_invited(key, self._end(until), now)
                guest = self._find(peer_id) if self._end(until) > now else None
                told_them = (
                    [TellMember(guest, bcp2_rooms.Invited(name, actor.client_id))] if guest else []
                )
                return Decision([*actor.tell(bcp2_rooms.InviteAck(cseq, name)), *told_them])
            case bcp2_rooms.Settings():
                return self._settings(message, room, actor)
        raise AssertionError(message)

    def _topic(self, text: str) -> str:
        """Check a topic. Raises RemoteError: 413 if it is too long, 400 if it is not one line."""
        text = text.strip()
        if len(text.encode()) > self._limits.topic:
            raise RemoteError(413, "the topic is too long")
        if any(ord(one) < 32 or 127 <= ord(one) < 160 for one in text):
            raise RemoteError(400, "a topic is one line")
        return text

    def _kick(self, message: bcp2_rooms.Kick, room: Room, actor: Actor, now: float) -> Decision:
        who = message.peer_id
        if who not in room.members and who not in room.plain:
            raise RemoteError(404, "not in that room")
        self._key_over(room, who, actor, now)
        ack = bcp2_rooms.KickAck(message.cseq, room.name)
        return self._told(room, actor, ack, "kick", [who], peer_id=who)

    def _bar(
        self, message: bcp2_rooms.Ban | bcp2_rooms.Unban, room: Room, actor: Actor, now: float
    ) -> Decision:
        ban = self._ban_of(message, room, actor, now)
        changed = bcp2_rooms.Changed(
            room.name,
            "unban",
            actor.client_id,
            message.peer_id,
            message.key,
            message.address,
        )
        if isinstance(message, bcp2_rooms.Unban):
            room.unban(ban.kind, ban.value)
            done: Bcp2Message = bcp2_rooms.UnbanAck(message.cseq, room.name)
            return Decision([*actor.tell(done), Spread(room, changed, actor.guest)])
        room.set_ban(ban, now)
        out = [
            who
            for who in room.banned_by(ban, now)
            if room.role(room.members[who].key, now) in OVER[actor.role]
        ]
        out += [who for who in room.plain if ban.kind == "id" and look_alike(who) == ban.value]
        done = bcp2_rooms.BanAck(message.cseq, room.name)
        return self._told(
            room,
            actor,
            done,
            "ban",
            out,
            message.peer_id,
            message.key,
            message.address,
            message.until,
        )

    def _ban_of(self, message: Barring, room: Room, actor: Actor, now: float) -> BanRecord:
        """Make the ban that `message` asks for, or asks to lift.

        Raises: RemoteError: 400 unless exactly one of id, key and address is given; 403 for a target
        with the same or a higher role.
        """
        if sum(map(bool, (message.peer_id, message.key, message.address))) != 1:
            raise RemoteError(400, "one of peerID, Key and Address")
        until = self._end(message.until)
        if message.address:
            return BanRecord("address", network(message.address), until)
        if message.key:
            self._check_over(room, message.key, actor, now)
            return BanRecord("key", message.key, until)
        key = self._key_over(room, message.peer_id, actor, now)
        return BanRecord("id", look_alike(message.peer_id), until, key)

    def _settings(self, message: bcp2_rooms.Settings, room: Room, actor: Actor) -> Decision:
        if room.name == LOBBY and (message.secret or message.invited):
            raise RemoteError(403, "the lobby is open to all")
        if message.secret is not None:
            room.secret = hashed(room.name, message.secret)
        if message.invited is not None:
            room.invited_only = message.invited
        if message.kept is not None:
            room.history = message.kept
        state = (bool(room.secret), room.invited_only, room.history)
        ack = bcp2_rooms.SettingsAck(message.cseq, room.name, *state)
        if (message.secret, message.invited, message.kept) == (None, None, None):
            return Decision(actor.tell(ack))
        return self._told(room, actor, ack, "settings")

    def _key_over(self, room: Room, peer_id: str, actor: Actor, now: float) -> str:
        """Return the key of `peer_id`, or "". Raises RemoteError 403 if `actor` may not act on it."""
        guest = room.members.get(peer_id)
        if guest is not None:
            key = guest.key
        else:
            key = "" if peer_id in room.plain else self._owner_of(peer_id) or ""
        self._check_over(room, key, actor, now)
        return key

    def _check_known(self, room: Room, peer_id: str, actor: Actor) -> None:
        """Raise RemoteError 404 for an unlisted id that `actor` may not know of."""
        guest = actor.guest
        if guest is None or peer_id in room.members or self._sees(guest.key, peer_id):
            return
        raise RemoteError(404, "no such client")

    def _check_over(self, room: Room, key: str, actor: Actor, now: float) -> None:
        if room.role(key, now) not in OVER[actor.role]:
            raise RemoteError(403, "not to them")

    def _end(self, until: str) -> Monotonic:
        return self._moment(moment_of(until)) if until else FOREVER

    def _told(
        self,
        room: Room,
        actor: Actor,
        ack: Bcp2Message,
        what: str,
        out: list[str] | None = None,
        peer_id: str = "",
        key: str = "",
        address: str = "",
        until: str = "",
        text: str = "",
    ) -> Decision:
        """Answer the actor with `ack`, and tell those put out and all others what was done."""
        changed = bcp2_rooms.Changed(
            room.name, what, actor.client_id, peer_id, key, address, until, text
        )
        effects = actor.tell(ack)
        gone = sorted(out or ())
        reason = "banned" if what == "ban" else "kicked"
        parted = [bcp2_rooms.Parted(room.name, who, reason) for who in gone]
        for one in parted:
            guest = room.members.get(one.peer_id)
            if guest is None:
                effects.append(PutOut(one.peer_id))
            else:
                effects += [TellMember(guest, changed), TellMember(guest, one)]
        effects.append(Spread(room, changed, actor.guest))
        effects += [Spread(room, one) for one in parted]
        if what == "ban" and address and room.name == LOBBY:
            effects.append(LookAgain())
        return Decision(effects, tuple(gone))


def _nobody() -> str:
    raise RemoteError(404, "no such client")

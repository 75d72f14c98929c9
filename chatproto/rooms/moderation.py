"""Moderate a room: topic, kick, ban, mute, operators, invitations, settings.

`decide` depends on its arguments only. After a conflicting change of the room it can be called again with
the new policy.
"""

from __future__ import annotations

from collections.abc import Callable

from chatproto.net.clock import Monotonic, Wall
from chatproto.net.dates import moment_of
from chatproto.rooms.policy import (
    FOREVER,
    OVER,
    TABLE,
    BanRecord,
    Role,
    RoomPolicy,
    hashed,
    network,
    subject,
)
from chatproto.rooms.room import LOBBY, Room
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_rooms import Changed
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits
from chatproto.wire.room_fields import Barring
from chatproto.wire.values import value_class


@value_class
class Actor:
    """Sender of a moderation request: its id and key, or the server's operator."""

    client_id: str = ""
    key: str = ""
    operator: bool = False

    def role(self, policy: RoomPolicy, now: float) -> Role:
        """Return the role of the sender, which is in the room."""
        return Role.OPERATOR if self.operator else policy.role(self.key, now)


@value_class
class TargetClient:
    """Client that a request names by its id.

    Args: key: key of the member, or else of the owner of the id; "" if there is none. inside: whether it
    is in the room. known: whether the id is visible to the sender.
    """

    key: str = ""
    inside: bool = False
    known: bool = True

    @property
    def exists(self) -> bool:
        """True if the id is in use, by a member or by a key that owns it, and visible to the sender."""
        return self.inside or bool(self.key and self.known)


NO_TARGET = TargetClient()


def find_target(
    client_id: str,
    room: Room,
    actor: Actor,
    owner_of: Callable[[str], str | None],
    sees: Callable[[str, str], bool],
) -> TargetClient:
    """Look up the client that a request of `actor` names; NO_TARGET if `client_id` is empty.

    Args: owner_of: returns the key that owns an id, or None. sees: tells whether an id is visible to a key.
    """
    if not client_id:
        return NO_TARGET
    member = room.members.get(client_id)
    if member is not None:
        return TargetClient(member.key, inside=True)
    inside = client_id in room.plain
    key = "" if inside else owner_of(client_id) or ""
    return TargetClient(key, inside, actor.operator or sees(actor.key, client_id))


@value_class
class Decision:
    """Outcome of a moderation request.

    Args: policy: the room's new policy; the former object if it is unchanged. ack: answer to the sender.
    news: message to all other members. kicked: id of a member to remove, or "". ban: members that it
    covers are removed, except those that the sender may not act on. invited: id that is notified of its
    invitation, or "".
    """

    policy: RoomPolicy
    ack: Bcp2Message
    news: Changed | None = None
    kicked: str = ""
    ban: BanRecord | None = None
    invited: str = ""


def ousted(
    decision: Decision, room: Room, policy: RoomPolicy, actor: Actor, now: float
) -> list[str]:
    """Return the ids of the members that a decision of `actor` removes from a room with `policy`."""
    ban = decision.ban
    if ban is None:
        return [decision.kicked] if decision.kicked else []
    over = OVER[actor.role(policy, now)]
    return sorted(
        one
        for one in room.covered(ban, now)
        if one in room.plain or policy.role(room.members[one].key, now) in over
    )


class Moderation:
    """Rules of moderation.

    Args: moment: converts a time of day to a time of the server's monotonic clock.
    """

    def __init__(self, limits: ServerLimits, moment: Callable[[Wall], Monotonic] = float) -> None:
        self._limits = limits
        self._moment = moment

    def decide(
        self,
        message: Bcp2Message,
        policy: RoomPolicy,
        actor: Actor,
        target: TargetClient,
        now: float,
    ) -> Decision:
        """Decide a request about a room with `policy`. `target`: the client named in it, if it names one.

        Raises: RemoteError: the request is refused.
        """
        role = actor.role(policy, now)
        if role not in TABLE.get(message.method, Role):
            raise RemoteError(403, f"{message.method} is not for {role.name}")
        limits = self._limits
        by = actor.client_id
        match message:
            case bcp2_rooms.Topic(cseq, name, text):
                topic = self._one_line(text)
                news = Changed(name, "topic", by, text=topic)
                return Decision(policy.changed(topic=topic), bcp2_rooms.TopicAck(cseq, name), news)
            case bcp2_rooms.Kick(cseq, name, peer_id, reason):
                if not target.inside:
                    raise RemoteError(404, f'"{peer_id}" is not in {name}')
                _check_over(policy, target.key, actor, now)
                news = Changed(name, "kick", by, peer_id, text=self._one_line(reason))
                withdrawn = policy.without_invited(target.key)
                return Decision(withdrawn, bcp2_rooms.KickAck(cseq, name), news, kicked=peer_id)
            case bcp2_rooms.Ban(cseq, name, peer_id, key, address, until):
                ban = self._ban(message, policy, actor, target, now)
                if ban.until <= now:
                    raise RemoteError(400, "Until has passed: the ban would hold nobody back")
                banned = policy.with_ban(ban, now, limits.room_bans)
                news = Changed(name, "ban", by, peer_id, key, address, until)
                ack = bcp2_rooms.BanAck(cseq, name, not peer_id or target.exists)
                return Decision(banned, ack, news, ban=ban)
            case bcp2_rooms.Unban(cseq, name, peer_id, key, address):
                ban = self._ban(message, policy, actor, target, now)
                lifted = policy.without_ban(ban.kind, ban.value)
                news = Changed(name, "unban", by, peer_id, key, address)
                return Decision(lifted, bcp2_rooms.UnbanAck(cseq, name), news)
            case bcp2_rooms.Mute(cseq, name, peer_id, until):
                _check_over(policy, target.key, actor, now)
                who, end = subject(peer_id, target.key), self._end(until)
                if not target.exists and who not in policy.mutes:
                    # Without a key or a member there is nothing that a mute could be stored for.
                    raise RemoteError(404, f'nobody has the id "{peer_id}"')
                muted = policy.with_mute(who, end, now, limits.room_mutes)
                news = Changed(name, "mute", by, peer_id, until=until)
                return Decision(muted, bcp2_rooms.MuteAck(cseq, name), news)
            case bcp2_rooms.Op(cseq, name, peer_id, until):
                key = _known_key(policy, actor, target, now)
                made = policy.with_op(key, self._end(until), now, limits.room_ops)
                news = Changed(name, "op", by, peer_id, until=until)
                return Decision(made, bcp2_rooms.OpAck(cseq, name), news)
            case bcp2_rooms.Invite(cseq, name, peer_id, until):
                key, end = _known_key(policy, actor, target, now), self._end(until)
                asked = policy.with_invited(key, end, now, limits.room_invited)
                invited = peer_id if end > now else ""
                return Decision(asked, bcp2_rooms.InviteAck(cseq, name), invited=invited)
            case bcp2_rooms.Settings():
                return self._settings(message, policy, by)
        raise RemoteError(405, "nothing that a room knows")

    def _one_line(self, text: str) -> str:
        """Return a topic or a reason, with tabs replaced by spaces.

        Raises RemoteError: 413 for over `topic` bytes, 400 for two lines.
        """
        text = text.replace("\t", " ").strip()
        if len(text.encode()) > self._limits.topic:
            raise RemoteError(413, "the topic or the reason is too long")
        if any(ord(one) < 32 or 127 <= ord(one) < 160 for one in text):
            raise RemoteError(400, "a topic or a reason is one line")
        return text

    def _ban(
        self, message: Barring, policy: RoomPolicy, actor: Actor, target: TargetClient, now: float
    ) -> BanRecord:
        """Return the ban that `message` requests or lifts.

        Raises: RemoteError: 400 unless exactly one of id, key and address is given; 403 for a target
        with the same or a higher role.
        """
        if sum(map(bool, (message.peer_id, message.key, message.address))) != 1:
            raise RemoteError(400, "one of peerID, Key and Address")
        until = self._end(message.until)
        if message.address:
            return BanRecord("address", network(message.address), until)
        if message.key:
            _check_over(policy, message.key, actor, now)
            return BanRecord("key", message.key, until)
        _check_over(policy, target.key, actor, now)
        return BanRecord("id", fold(message.peer_id), until, target.key)

    def _settings(self, message: bcp2_rooms.Settings, policy: RoomPolicy, by: str) -> Decision:
        name = policy.name
        if name == LOBBY and (message.secret or message.invited):
            raise RemoteError(403, "the lobby is open to all")
        wanted = {
            "secret": None if message.secret is None else hashed(name, message.secret),
            "invited_only": message.invited,
            "history": message.kept,
        }
        asked = {setting: value for setting, value in wanted.items() if value is not None}
        policy = policy.changed(**asked)
        state = (bool(policy.secret), policy.invited_only, policy.history)
        ack = bcp2_rooms.SettingsAck(message.cseq, name, *state)
        return Decision(policy, ack, Changed(name, "settings", by) if asked else None)

    def _end(self, until: str) -> Monotonic:
        return self._moment(moment_of(until)) if until else FOREVER


def _check_over(policy: RoomPolicy, key: str, actor: Actor, now: float) -> None:
    """Raise RemoteError 403 unless `actor` may act on the owner of `key`."""
    if policy.role(key, now) not in OVER[actor.role(policy, now)]:
        raise RemoteError(403, "not to them")


def _known_key(policy: RoomPolicy, actor: Actor, target: TargetClient, now: float) -> str:
    """Return the key of a target. Raises RemoteError: 404 if it has none or is not visible, 403."""
    if not target.known:
        raise RemoteError(404, "no such client")
    _check_over(policy, target.key, actor, now)
    if not target.key:
        raise RemoteError(404, "no such client")
    return target.key

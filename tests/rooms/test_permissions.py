"""Every cell of who may do what in a room, and to whom, tried with requests as they come in."""

from __future__ import annotations

from chatproto.rooms.policy import OVER, TABLE, Role
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.errors import RemoteError
from tests.rooms.hall import Person, Rooms

ROOM = "#tea"
ACTS: dict[str, Bcp2Message] = {
    "SAY": bcp2_rooms.Say(9, ROOM, "x"),
    "HISTORY": bcp2_rooms.History(9, ROOM),
    "NAMES": bcp2_rooms.Names(9, ROOM),
    "PART": bcp2_rooms.Part(9, ROOM),
    "TOPIC": bcp2_rooms.Topic(9, ROOM, "x"),
    "KICK": bcp2_rooms.Kick(9, ROOM, "member"),
    "BAN": bcp2_rooms.Ban(9, ROOM, "member"),
    "UNBAN": bcp2_rooms.Unban(9, ROOM, address="10.9.9.9"),
    "MUTE": bcp2_rooms.Mute(9, ROOM, "member"),
    "INVITE": bcp2_rooms.Invite(9, ROOM, "outsider"),
    "OP": bcp2_rooms.Op(9, ROOM, "member"),
    "SETTINGS": bcp2_rooms.Settings(9, ROOM, "x"),
}
"""A request for each act; what it is done to is there."""
OF_A_CONNECTION = ("SAY", "HISTORY", "NAMES", "PART")
"""The operator at a terminal is nobody who could be in a room: there are no such commands."""


def to_somebody(name: str, key: str) -> dict[str, Bcp2Message]:
    """Whatever can be done to who is called `name`."""
    return {
        "kick": bcp2_rooms.Kick(9, ROOM, name),
        "ban by id": bcp2_rooms.Ban(9, ROOM, name),
        "ban by key": bcp2_rooms.Ban(9, ROOM, key=key),
        "mute": bcp2_rooms.Mute(9, ROOM, name),
        "op": bcp2_rooms.Op(9, ROOM, name),
        "invite": bcp2_rooms.Invite(9, ROOM, name),
    }


class Cells(Rooms):
    """A room in which somebody is each of what somebody can be."""

    def fill(self) -> dict[Role, Person]:
        self.open(room_burst=1000)
        names = ("owner", "op", "member", "other", "outsider")
        keys = (f"sha256:{letter * 52}" for letter in "ABCDE")
        self.people = [Person(name, key) for name, key in zip(names, keys, strict=True)]
        owner, op, member, other, outsider = self.people
        for person in (owner, op, member, other):
            self.does(person, bcp2_rooms.Join(1, ROOM))
        self.does(owner, bcp2_rooms.Op(2, ROOM, "op"))
        self.does(owner, bcp2_rooms.Ban(2, ROOM, address="10.9.9.9"))
        return {Role.OWNER: owner, Role.OP: op, Role.MEMBER: member, Role.OUTSIDER: outsider}

    def refused(self, role: Role, actor: Person | None, message: Bcp2Message) -> int:
        """With which status `message` is refused, 0 if it is done."""
        if role is Role.OPERATOR:
            try:
                self.rooms.operate(message, self.now)
            except RemoteError as error:
                return error.status
            return 0
        assert actor is not None
        first = self.gets(actor, message)[0][1]
        return first.status if isinstance(first, Error) else 0


class PermissionTests(Cells):
    def test_permissions_of_every_role(self) -> None:
        tried = 0
        for act, message in ACTS.items():
            for role in Role:
                if role is Role.OPERATOR and act in OF_A_CONNECTION:
                    continue
                people = self.fill()
                actor = people.get(role)
                request = message
                if role is Role.MEMBER and act in ("KICK", "BAN", "MUTE", "OP"):
                    request = to_somebody("other", "")[act.lower().replace("ban", "ban by id")]
                wanted = 0 if role in TABLE[act] else 404 if role is Role.OUTSIDER else 403
                self.assertEqual(self.refused(role, actor, request), wanted, (act, role))
                tried += 1
        self.assertEqual(tried, len(TABLE) * len(Role) - len(OF_A_CONNECTION))

    def test_permissions_depend_on_the_target_s_role(self) -> None:
        for actor_role in (Role.OP, Role.OWNER, Role.OPERATOR):
            for role in (Role.OUTSIDER, Role.MEMBER, Role.OP, Role.OWNER):
                for name in to_somebody("", ""):
                    if name == "op" and actor_role is Role.OP:
                        continue  # an op makes nobody op
                    people = self.fill()
                    whom = people[role]
                    message = to_somebody(whom.client_id or "", whom.key)[name]
                    wanted = 0 if role in OVER[actor_role] else 403
                    if name == "kick" and role is Role.OUTSIDER:
                        wanted = 404
                    found = self.refused(actor_role, people.get(actor_role), message)
                    self.assertEqual(found, wanted, (actor_role, name, role))
                    self.assert_done_or_not(name, people, role, done=not wanted)

    def assert_done_or_not(
        self, name: str, people: dict[Role, Person], role: Role, done: bool
    ) -> None:
        """Check that a refused request has changed nothing."""
        whom = people[role]
        if name in ("kick", "ban by id", "ban by key") and role is not Role.OUTSIDER:
            self.assertEqual(self.is_in(whom), not done, (name, role))
        if name == "mute" and role is not Role.OUTSIDER:
            said = self.refused(role, whom, bcp2_rooms.Say(9, ROOM, "x"))
            self.assertEqual(said, 403 if done else 0, (name, role))

"""Tests of one room: who may what and who may come in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.history import BanRecord, RoomRecord
from chatproto.rooms.room import OVER, TABLE, Act, Role, Room, hashed, network, subject
from chatproto.wire.errors import RemoteError
from chatproto.wire.room_fields import Occupant
from tests.limits import Limits

FOREVER = float("inf")


@dataclass(eq=False)
class Person:
    """Client with a key."""

    key: str
    client_id: str | None
    host: str = "10.0.0.1"


PERMISSIONS = """
          OUTSIDER MEMBER OP  OWNER OPERATOR
SAY       no       yes    yes yes   yes
HISTORY   no       yes    yes yes   yes
NAMES     no       yes    yes yes   yes
PART      no       yes    yes yes   yes
TOPIC     no       no     yes yes   yes
KICK      no       no     yes yes   yes
BAN       no       no     yes yes   yes
UNBAN     no       no     yes yes   yes
MUTE      no       no     yes yes   yes
INVITE    no       no     yes yes   yes
OP        no       no     no  yes   yes
SETTINGS  no       no     no  yes   yes
"""
TO_WHOM = """
         OUTSIDER MEMBER OP  OWNER OPERATOR
OUTSIDER no       no     no  no    no
MEMBER   no       no     no  no    no
OP       yes      yes    no  no    no
OWNER    yes      yes    yes no    no
OPERATOR yes      yes    yes yes   no
"""


def cells(table: str) -> dict[tuple[str, str], bool]:
    head, *rows = [line.split() for line in table.strip().splitlines()]
    return {
        (row[0], column): word == "yes"
        for row in rows
        for column, word in zip(head, row[1:], strict=True)
    }


class PermissionTests(SynchronousTestCase):
    def test_every_cell_is_as_it_should_be(self) -> None:
        found = {(act.name, role.name): role in TABLE[act] for act in Act for role in Role}
        self.assertEqual(found, cells(PERMISSIONS))

    def test_so_is_to_whom_it_may_be_done(self) -> None:
        found = {(one.name, other.name): other in OVER[one] for one in Role for other in Role}
        self.assertEqual(found, cells(TO_WHOM))


class RoomTests(SynchronousTestCase):
    def room(self, limits: Limits | None = None, **values: object) -> Room:
        return Room(replace(RoomRecord("#tea", "A"), **values), limits or Limits())  # type: ignore[arg-type]

    def enters(self, room: Room, person: Person, secret: str = "", now: float = 0.0) -> bool:
        try:
            room.check_entry(person, person.client_id or "", secret, now)
        except RemoteError as error:
            self.assertEqual(error.status, 403)
            return False
        return True

    def test_is_kept_as_it_is(self) -> None:
        kept = RoomRecord(
            *("#tea", "A", "hot", "0f", True, False, 5.0, (("B", 1.0),), (("C", 2.0),)),
            *((("D", 3.0),), (BanRecord("id", "x", 4.0, "K"),)),
        )
        self.assertEqual(Room(kept, Limits()).kept(), kept)

    def test_people_are_in_it_in_the_order_of_their_ids(self) -> None:
        room = self.room()
        for name in ("bob", "al", "carol"):
            room.put_in(name, Person(name, name))
        room.put_in("bob", Person("bob", "bob"))
        room.put_in("guest-1", None)
        self.assertEqual(
            [one.id for one in room.occupants("", 9, 0)], ["al", "bob", "carol", "guest-1"]
        )
        self.assertEqual([one.id for one in room.occupants("al", 2, 0)], ["bob", "carol"])
        for name in ("bob", "guest-1", "nobody", "bob"):
            room.put_out(name)
        self.assertEqual(
            (len(room), [one.id for one in room.occupants("", 9, 0)]), (2, ["al", "carol"])
        )

    def test_a_list_says_what_somebody_is(self) -> None:
        room = self.room(ops=(("B", 5.0),), mutes=(("C", 5.0), ("=guest-l", 5.0)))
        for key in "ABCD":
            room.put_in(key.lower(), Person(key, key.lower()))
        room.put_in("guest-1", None)
        room.put_in("guest-2", None)
        self.assertEqual(
            list(room.occupants("", 9, 4.0)),
            [
                *(Occupant("a", "owner"), Occupant("b", "op"), Occupant("c", "muted")),
                *(Occupant("d"), Occupant("guest-1", "muted"), Occupant("guest-2", "open")),
            ],
        )
        self.assertEqual(
            {one.role for one in room.occupants("", 9, 5.0)}, {"owner", "member", "open"}
        )

    def test_an_end_is_an_end(self) -> None:
        room = self.room(invited_only=True)
        bob = Person("B", "bob")
        room.set_op("B", 10.0, 0.0)
        self.assertEqual([room.role("B", now) for now in (9.9, 10.0)], [Role.OP, Role.MEMBER])
        self.assertEqual(room.role("B", 10.0, inside=False), Role.OUTSIDER)
        room.set_invited("B", 20.0, 0.0)
        self.assertEqual([self.enters(room, bob, now=now) for now in (19.9, 20.0)], [True, False])
        room.set_mute("C", 30.0, 0.0)
        self.assertEqual([room.is_muted("C", now) for now in (29.9, 30.0)], [True, False])
        room.set_ban(BanRecord("key", "C", 40.0), 0.0)
        carol = ("carol", "C", "10.0.0.2")
        self.assertEqual([room.is_banned(*carol, now) for now in (39.9, 40.0)], [True, False])

    def test_a_moment_that_has_passed_takes_back(self) -> None:
        room = self.room()
        for change, of in (
            (room.set_op, "ops"),
            (room.set_mute, "mutes"),
            (room.set_invited, "invited"),
        ):
            change("B", FOREVER, 5.0)
            self.assertEqual(getattr(room.kept(), of), (("B", FOREVER),))
            change("B", 5.0, 5.0)
            self.assertEqual(getattr(room.kept(), of), ())

    def test_a_key_lets_in_and_so_does_an_invitation(self) -> None:
        room = self.room(secret=hashed("#tea", "sesame"), invited=(("C", FOREVER),))
        self.assertFalse(room.is_open)
        self.assertEqual(
            [self.enters(room, Person("B", "bob"), word) for word in ("", "Sesame", "sesame")],
            [False, False, True],
        )
        for key in "AC":
            self.assertTrue(self.enters(room, Person(key, "x")))
        self.assertNotEqual(hashed("#tea", "sesame"), hashed("#mud", "sesame"))
        self.assertEqual(hashed("#tea", ""), "")

    def test_a_room_by_invitation_opens_to_no_key(self) -> None:
        room = self.room(secret=hashed("#tea", "x"), invited_only=True, ops=(("O", FOREVER),))
        self.assertFalse(self.enters(room, Person("B", "bob"), "x"))
        self.assertTrue(self.enters(room, Person("O", "olga")))

    def test_a_ban_is_for_an_id_and_what_looks_like_it_and_its_key(self) -> None:
        room = self.room(bans=(BanRecord("id", "bob", FOREVER, "B"),))
        for client_id, key in (("bob", "X"), ("B0b", "X"), ("other", "B")):
            self.assertFalse(self.enters(room, Person(key, client_id)))
        self.assertTrue(self.enters(room, Person("X", "bobby")))

    def test_a_ban_of_an_address_is_for_all_of_an_ipv6_network(self) -> None:
        room = self.room(
            bans=(
                BanRecord("address", network("2001:db8::1")),
                BanRecord("address", network("::ffff:10.0.0.9")),
            )
        )
        for host in ("2001:db8::ffff", "2001:db8:0:0:1::", "10.0.0.9", "::ffff:10.0.0.9"):
            self.assertFalse(self.enters(room, Person("B", "bob", host)))
        for host in ("2001:db8:0:1::1", "10.0.0.8"):
            self.assertTrue(self.enters(room, Person("B", "bob", host)))

    def test_no_ban_is_for_the_owner(self) -> None:
        room = self.room(bans=(BanRecord("key", "A"), BanRecord("address", "10.0.0.1")))
        self.assertTrue(self.enters(room, Person("A", "alice")))

    def test_ban_takes_operator_role_and_invitation(self) -> None:
        room = self.room(ops=(("B", FOREVER), ("C", FOREVER)), invited=(("B", FOREVER),))
        room.set_ban(BanRecord("id", "bob", FOREVER, "B"), 0.0)
        room.set_ban(BanRecord("key", "C"), 0.0)
        self.assertEqual((room.kept().ops, room.kept().invited), ((), ()))
        room.unban("key", "C")
        self.assertTrue(self.enters(room, Person("C", "carol")))
        self.assertEqual(self.assertRaises(RemoteError, room.unban, "key", "C").status, 404)

    def test_a_full_room_lets_in_nobody_but_who_is_in_it(self) -> None:
        room = self.room(Limits(room_members=1))
        room.put_in("bob", Person("B", "bob"))
        room.check_entry(Person("B", "bob"), "bob", "", 0.0)
        error = self.assertRaises(
            RemoteError, room.check_entry, Person("C", "carol"), "carol", "", 0.0
        )
        self.assertEqual(error.status, 503)

    def test_of_nothing_there_may_be_too_many(self) -> None:
        room = self.room(Limits(room_ops=2, room_mutes=2, room_invited=2, room_bans=2))

        def ban(key: str, until: float, now: float) -> None:
            room.set_ban(BanRecord("key", key, until), now)

        for change in (room.set_op, room.set_mute, room.set_invited, ban):
            change("K1", FOREVER, 0.0)
            change("K2", 5.0, 0.0)
            change("K2", 6.0, 0.0)
            error = self.assertRaises(RemoteError, change, "K3", FOREVER, 5.0)
            self.assertEqual(error.status, 413)
            change("K3", FOREVER, 6.0)  # K2's has ended

    @given(st.text("ab01li", min_size=1, max_size=3), st.text("ab01li", min_size=1, max_size=3))
    def test_names_without_a_key_are_one_if_they_look_alike(self, one: str, other: str) -> None:
        alike = subject(one, "") == subject(other, "")
        room = self.room(mutes=((subject(one, ""), FOREVER),))
        self.assertEqual(room.is_muted(subject(other, ""), 0.0), alike)

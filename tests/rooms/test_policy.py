"""Tests of the policy of a room: who may what and who may come in."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

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
from chatproto.wire.errors import RemoteError

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
        found = {(act, role.name): role in TABLE[act] for act in TABLE for role in Role}
        self.assertEqual(found, cells(PERMISSIONS))

    def test_every_cell_for_targets_is_as_it_should_be(self) -> None:
        found = {(one.name, other.name): other in OVER[one] for one in Role for other in Role}
        self.assertEqual(found, cells(TO_WHOM))


def policy(*bans: BanRecord, **values: Any) -> RoomPolicy:
    by_place = {(ban.kind, ban.value): ban for ban in bans}
    return RoomPolicy("#tea", "A", bans=by_place, **values)


def enters(
    room: RoomPolicy,
    key: str,
    client_id: str,
    secret: str = "",
    now: float = 0.0,
    host: str = "10.0.0.1",
) -> bool:
    try:
        room.check_entry(client_id, key, host, secret, now)
    except RemoteError as error:
        assert error.status == 403
        return False
    return True


class PolicyTests(SynchronousTestCase):
    def test_an_end_is_an_end(self) -> None:
        room = policy(BanRecord("key", "C", 40.0), invited_only=True)
        room = room.with_op("B", 10.0, 0.0, 9)
        self.assertEqual([room.role("B", now) for now in (9.9, 10.0)], [Role.OP, Role.MEMBER])
        self.assertEqual(room.role("B", 10.0, inside=False), Role.OUTSIDER)
        room = room.with_invited("B", 20.0, 0.0, 9)
        self.assertEqual([enters(room, "B", "bob", now=now) for now in (19.9, 20.0)], [True, False])
        room = room.with_mute("C", 30.0, 0.0, 9)
        self.assertEqual([room.is_muted("C", now) for now in (29.9, 30.0)], [True, False])
        carol = ("carol", "C", "10.0.0.2")
        self.assertEqual([room.is_banned(*carol, now) for now in (39.9, 40.0)], [True, False])

    def test_owner_and_ops_are_refused_only_by_bans_of_their_keys(self) -> None:
        bans = [BanRecord("address", "10.0.0.1"), BanRecord("key", "C"), BanRecord("id", "d", 5.0)]
        room = policy(*bans, ops={"B": 10.0, "C": 10.0})
        address = [room.holds_back(key.lower(), key, "10.0.0.1", 6.0) for key in "ABCD"]
        self.assertEqual(address, [False, False, True, True])
        self.assertTrue(room.holds_back("b", "B", "10.0.0.1", 10.0))  # no operator any more
        id_alone = [room.holds_back("d", "D", "10.0.0.2", now) for now in (4.9, 5.0)]
        self.assertEqual(id_alone, [True, False])

    def test_past_date_ends_the_effect(self) -> None:
        for change, of in (
            (RoomPolicy.with_op, "ops"),
            (RoomPolicy.with_mute, "mutes"),
            (RoomPolicy.with_invited, "invited"),
        ):
            room = change(policy(), "B", FOREVER, 5.0, 9)
            self.assertEqual(getattr(room, of), {"B": FOREVER})
            self.assertEqual(getattr(change(room, "B", 5.0, 5.0, 9), of), {})

    def test_only_clients_that_need_the_key_can_guess_it(self) -> None:
        room = policy(secret=hashed("#tea", "sesame"), ops={"B": 10.0}, invited={"C": 10.0})
        guesses = {key: room.is_guess(key, "open", 9.9) for key in "ABCD"}
        self.assertEqual(guesses, {"A": False, "B": False, "C": False, "D": True})
        self.assertEqual([room.is_guess(key, "open", 10.0) for key in "ABCD"], [False] + [True] * 3)
        self.assertFalse(room.is_guess("D", "sesame", 9.9))
        self.assertFalse(room.changed(invited_only=True).is_guess("D", "open", 9.9))

    def test_change_returns_a_new_version_of_the_policy(self) -> None:
        former = policy(BanRecord("key", "X"), ops={"B": FOREVER}, version=7)
        for change in (
            lambda: former.with_op("C", FOREVER, 0.0, 9),
            lambda: former.with_mute("C", FOREVER, 0.0, 9),
            lambda: former.with_invited("C", FOREVER, 0.0, 9),
            lambda: former.with_ban(BanRecord("key", "B"), 0.0, 9),
            lambda: former.without_ban("key", "X"),
            lambda: former.changed(topic="hot", history=False),
        ):
            self.assertEqual(change().version, 8)
        self.assertEqual(former, policy(BanRecord("key", "X"), ops={"B": FOREVER}, version=7))

    def test_a_change_that_changes_nothing_makes_no_version(self) -> None:
        room = policy(BanRecord("key", "X"), ops={"B": FOREVER}, mutes={"=bob": 5.0})
        self.assertIs(room.with_op("B", FOREVER, 0.0, 9), room)
        self.assertIs(room.with_op("C", 0.0, 0.0, 9), room)
        self.assertIs(room.with_mute("=bob", 5.0, 0.0, 9), room)
        self.assertIs(room.with_ban(BanRecord("key", "X"), 0.0, 9), room)
        self.assertIs(room.changed(topic="", secret=""), room)
        self.assertIsNot(room.with_mute("=carol", 1.0, 5.0, 9), room)  # bob's has ended

    def test_a_key_lets_in_and_so_does_an_invitation(self) -> None:
        room = policy(secret=hashed("#tea", "sesame"), invited={"C": FOREVER})
        self.assertFalse(room.is_open)
        self.assertEqual(
            [enters(room, "B", "bob", word) for word in ("", "Sesame", "sesame")],
            [False, False, True],
        )
        for key in "AC":
            self.assertTrue(enters(room, key, "x"))
        self.assertNotEqual(hashed("#tea", "sesame"), hashed("#mud", "sesame"))
        self.assertEqual(hashed("#tea", ""), "")

    def test_a_room_by_invitation_opens_to_no_key(self) -> None:
        room = policy(secret=hashed("#tea", "x"), invited_only=True, ops={"O": FOREVER})
        self.assertFalse(enters(room, "B", "bob", "x"))
        self.assertTrue(enters(room, "O", "olga"))

    def test_ban_covers_similar_ids_and_the_key(self) -> None:
        room = policy(BanRecord("id", "bob", FOREVER, "B"))
        for client_id, key in (("bob", "X"), ("B0b", "X"), ("other", "B")):
            self.assertFalse(enters(room, key, client_id))
        self.assertTrue(enters(room, "X", "bobby"))

    def test_a_ban_of_an_address_is_for_all_of_an_ipv6_network(self) -> None:
        room = policy(
            BanRecord("address", network("2001:db8::1")),
            BanRecord("address", network("::ffff:10.0.0.9")),
        )
        for host in ("2001:db8::ffff", "2001:db8:0:0:1::", "10.0.0.9", "::ffff:10.0.0.9"):
            self.assertFalse(enters(room, "B", "bob", host=host))
        for host in ("2001:db8:0:1::1", "10.0.0.8"):
            self.assertTrue(enters(room, "B", "bob", host=host))

    def test_a_ban_of_an_address_or_an_id_is_not_for_the_owner(self) -> None:
        room = policy(BanRecord("address", "10.0.0.1"), BanRecord("id", "alice"))
        self.assertTrue(enters(room, "A", "alice", host="10.0.0.1"))

    def test_a_ban_of_the_owners_key_keeps_the_owner_out(self) -> None:
        for ban in (BanRecord("key", "A", FOREVER), BanRecord("id", "alice", FOREVER, "A")):
            self.assertFalse(enters(policy(ban), "A", "alice"))
            self.assertFalse(enters(policy(ban), "A", "other"))

    def test_ban_takes_operator_role_and_invitation(self) -> None:
        room = policy(ops={"B": FOREVER, "C": FOREVER}, invited={"B": FOREVER})
        room = room.with_ban(BanRecord("id", "bob", FOREVER, "B"), 0.0, 9)
        room = room.with_ban(BanRecord("key", "C"), 0.0, 9)
        self.assertEqual((room.ops, room.invited), ({}, {}))
        room = room.without_ban("key", "C")
        self.assertTrue(enters(room, "C", "carol"))
        self.assertEqual(self.assertRaises(RemoteError, room.without_ban, "key", "C").status, 404)

    def test_muted_member_and_empty_message_are_refused(self) -> None:
        room = policy(mutes={"C": 5.0})
        room.check_say("C", "x", 5.0)
        self.assertEqual(self.assertRaises(RemoteError, room.check_say, "C", "", 4.0).status, 403)
        self.assertEqual(self.assertRaises(RemoteError, room.check_say, "B", "", 4.0).status, 400)

    def test_every_list_of_a_policy_is_limited(self) -> None:
        def ban(room: RoomPolicy, key: str, until: float, now: float, most: int) -> RoomPolicy:
            return room.with_ban(BanRecord("key", key, until), now, most)

        for change in (RoomPolicy.with_op, RoomPolicy.with_mute, RoomPolicy.with_invited, ban):
            room = change(policy(), "K1", FOREVER, 0.0, 2)
            room = change(room, "K2", 5.0, 0.0, 2)
            room = change(room, "K2", 6.0, 0.0, 2)
            error = self.assertRaises(RemoteError, change, room, "K3", FOREVER, 5.0, 2)
            self.assertEqual(error.status, 413)
            change(room, "K3", FOREVER, 6.0, 2)  # K2's has ended

    @given(st.text("ab01li", min_size=1, max_size=3), st.text("ab01li", min_size=1, max_size=3))
    def test_similar_names_without_a_key_are_equal(self, one: str, other: str) -> None:
        alike = subject(one, "") == subject(other, "")
        room = policy(mutes={subject(one, ""): FOREVER})
        self.assertEqual(room.is_muted(subject(other, ""), 0.0), alike)

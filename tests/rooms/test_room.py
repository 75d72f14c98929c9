"""Tests of the members of one room."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.policy import BanRecord, RoomPolicy
from chatproto.rooms.room import Room
from chatproto.wire.room_fields import Occupant
from tests.rooms.hall import Person


def room(**values: Any) -> Room:
    return Room(RoomPolicy("#tea", "A", **values))


class RoomTests(SynchronousTestCase):
    def test_members_are_ordered_by_id(self) -> None:
        tea = room()
        for name in ("bob", "al", "carol"):
            tea.add(name, Person(name))
        tea.add("bob", Person("bob"))
        tea.add("guest-1", None)
        self.assertEqual(
            [one.id for one in tea.occupants("", 9, 0)], ["al", "bob", "carol", "guest-1"]
        )
        self.assertEqual([one.id for one in tea.occupants("al", 2, 0)], ["bob", "carol"])
        for name in ("bob", "guest-1", "nobody", "bob"):
            tea.remove(name)
        self.assertEqual(
            (len(tea), [one.id for one in tea.occupants("", 9, 0)]), (2, ["al", "carol"])
        )

    def test_list_contains_roles(self) -> None:
        tea = room(ops={"B": 5.0}, mutes={"C": 5.0, "=guest-l": 5.0})
        for key in "ABCD":
            tea.add(key.lower(), Person(key.lower(), key))
        tea.add("guest-1", None)
        tea.add("guest-2", None)
        self.assertEqual(
            list(tea.occupants("", 9, 4.0)),
            [
                *(Occupant("a", "owner"), Occupant("b", "op"), Occupant("c", "muted")),
                *(Occupant("d"), Occupant("guest-1", "muted"), Occupant("guest-2", "open")),
            ],
        )
        self.assertEqual(
            {one.role for one in tea.occupants("", 9, 5.0)}, {"owner", "member", "open"}
        )

    def test_a_ban_covers_members_by_key_and_host_and_raw_text_ones_by_name(self) -> None:
        tea = room()
        tea.add("b0b", Person("b0b", "B", "10.0.0.2"))
        tea.add("carol", Person("carol", "C", "10.0.0.3"))
        tea.add("bob-1", None)
        for ban, covered in (
            (BanRecord("id", "bob"), ["b0b"]),
            (BanRecord("id", "bob-l"), ["bob-1"]),
            (BanRecord("id", "x", key="C"), ["carol"]),
            (BanRecord("key", "C"), ["carol"]),
            (BanRecord("key", ""), []),
            (BanRecord("address", "10.0.0.2"), ["b0b"]),
            (BanRecord("address", "10.0.0.2", until=5.0), []),
        ):
            self.assertEqual(list(tea.covered(ban, 5.0)), covered, ban)

"""Test that a client is in its rooms again after a restart."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import RoomChanged
from chatproto.client.rooms.remembered_rooms import MOST, RememberedRooms
from chatproto.identity.pins import NO_SERVER
from tests.client.rooms import room_ends


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_rooms_of_one_server_with_their_keys(self) -> None:
        rooms = RememberedRooms(self.path)
        rooms.entered("KEY", "#tea", "")
        rooms.entered("KEY", "#den", "two words")
        rooms.entered("OTHER", "#bar", "")
        rooms.left("OTHER", "#tea")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        again = RememberedRooms(self.path, {"#auto": "x"})
        self.assertEqual(again.at("KEY"), {"#tea": "", "#den": "two words", "#auto": "x"})
        again.left("KEY", "#den")
        self.assertEqual(RememberedRooms(self.path).at("KEY"), {"#tea": ""})

    def test_invalid_lines_are_skipped_and_the_number_is_limited(self) -> None:
        lines = ["", "KEY", "KEY tea", "KEY #no\x1b room", "KEY #tea", "K\xff #a"]
        lines += [f"KEY #room{number}" for number in range(2 * MOST)]
        self.path.write_bytes("\n".join(lines).encode("latin-1"))
        self.assertEqual(list(RememberedRooms(self.path).at("KEY"))[:2], ["#tea", "#room0"])
        rooms = RememberedRooms(self.path)
        rooms.entered("KEY", "#new", "")
        self.assertNotIn("#new", rooms.at("KEY"))
        self.assertLessEqual(len(rooms.at("KEY")), MOST)

    def test_a_file_that_cannot_be_used_costs_the_memory_only(self) -> None:
        self.path.mkdir()
        rooms = RememberedRooms(self.path)
        rooms.entered("KEY", "#tea", "")
        self.assertEqual(rooms.at("KEY"), {"#tea": ""})
        self.assertEqual(len(self.flushLoggedErrors()), 0)


class RestartTests(room_ends.Case):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp())

    def carol(self, **autojoin: str) -> room_ends.Person:
        """Start Carol's program, and let it register."""
        rooms = {f"#{name}": key for name, key in autojoin.items()}
        made = self.hall.person("carol", remembered=RememberedRooms(self.path, rooms))
        self.hall.settle()
        return made

    def test_rooms_are_joined_again_without_becoming_current(self) -> None:
        carol = self.carol()
        carol.joins("#den", "sesame")
        carol.joins("#tea")
        carol.node.stop()
        again = self.carol()
        self.assertEqual(
            [(one.room, one.change, one.again) for one in again.told(RoomChanged)],
            [("#den", "joined", None), ("#tea", "joined", None)],
        )
        self.assertIsNone(again.node.client.conversations.target)
        self.bob.joins("#tea")
        again.node.msg("bob?", "#tea")
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["bob?"])

    def test_left_or_kicked_room_is_not_joined_again(self) -> None:
        self.alice.joins("#den")
        carol = self.carol()
        for room in ("#den", "#tea", "#bar"):
            carol.joins(room)
        carol.node.rooms.part("#tea")
        self.alice.node.in_room.kick("carol", "#den")
        self.hall.settle()
        self.assertEqual(RememberedRooms(self.path).at(NO_SERVER), {"#bar": ""})

    def test_a_room_that_lets_one_in_no_more_is_forgotten(self) -> None:
        self.alice.joins("#den")
        carol = self.carol()
        carol.joins("#den")
        carol.node.stop()
        self.alice.node.in_room.settings("#den", "key", None, None)
        self.hall.settle()
        again = self.carol()
        self.assertEqual(again.changes(), ["parted"])
        self.assertEqual(RememberedRooms(self.path).at(NO_SERVER), {})

    def test_rooms_to_be_in_always(self) -> None:
        carol = self.carol(tea="", den="sesame")
        self.assertEqual({one.room for one in carol.told(RoomChanged)}, {"#tea", "#den"})
        carol.breaks(again=False)
        self.assertEqual(RememberedRooms(self.path, {"#tea": ""}).at(NO_SERVER), {"#tea": ""})

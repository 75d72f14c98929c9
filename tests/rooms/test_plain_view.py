"""Tests of what those in the lobby in bare text read."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.rooms.effects import LineSent
from chatproto.rooms.plain_view import shown_line
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.room import Room
from chatproto.wire.actions import ACTION, marked
from chatproto.wire.bcp2_rooms import Changed, Joined, Parted

NOW = 1_000_000.0
LATER, NO_MORE = date_of(Wall(NOW + 60)), date_of(Wall(NOW))


class ShownLineTests(SynchronousTestCase):
    def test_is_a_sentence_and_true(self) -> None:
        rows = {
            Joined("#lobby", "bob", "member"): "bob joined",
            Parted("#lobby", "bob", "tired\x1b"): "bob left (tired␛)",
            Changed("#lobby", "topic", "bob", text="tea"): "bob set the topic: tea",
            Changed("#lobby", "topic"): "the operator removed the topic",
            Changed("#lobby", "kick", "bob", "eve"): "bob removed eve",
            Changed("#lobby", "ban", "", "eve"): "the operator banned eve",
            Changed("#lobby", "ban", "", address="10.0.0.7", until=LATER): (
                "the operator banned 10.0.0.7 until 13:47 UTC"
            ),
            Changed("#lobby", "unban", "", "eve"): "the operator lifted the ban of eve",
            Changed("#lobby", "mute", "", "eve"): "the operator muted eve",
            Changed("#lobby", "mute", "", "eve", until=NO_MORE): ("the operator unmuted eve"),
            Changed("#lobby", "op", "", "bob", until=LATER): (
                "the operator made bob a moderator until 13:47 UTC"
            ),
            Changed(
                "#lobby", "op", "", "bob", until=NO_MORE
            ): "the operator made bob a plain member again",
            Changed("#lobby", "settings"): "the operator changed the settings of the room",
        }
        for message, line in rows.items():
            self.assertEqual(shown_line(message, Wall(NOW)), f"* {line}")

    def test_an_action_of_a_member_with_a_key_is_legible(self) -> None:
        room = Room(RoomPolicy("#lobby"))
        said = LineSent(room, 1, "bob", NOW, marked("waves\x07", ACTION))
        self.assertEqual(shown_line(said, Wall(NOW)), "bob: * waves␇")

"""Tests of one's own log of rooms: what was said is found, in trouble too the room goes on."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import CommandOutput, MessageReceived
from chatproto.client.rooms import room_log
from chatproto.session.ledger import LedgerTrouble, StreamEntry
from tests.client.rooms.room_ends import Hall, Person
from tests.limits import DEFAULTS
from tests.stores.memory_ledger import MemoryLedger


class FullLedger(MemoryLedger):
    """Takes nothing of a room while it is `full`."""

    full = False

    def overheard(self, room: str, name: str, entry: StreamEntry, most: int) -> None:
        if self.full:
            raise LedgerTrouble("the disk is full")
        super().overheard(room, name, entry, most)


class RoomLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hall = Hall()
        self.ledger = FullLedger()
        self.alice = self.hall.person("alice", ledger=self.ledger)
        self.bob = self.hall.person("bob")
        self.alice.joins()
        self.bob.joins()

    def says(self, *words: tuple[Person, str]) -> None:
        for person, text in words:
            person.node.say(text)
            self.hall.settle()

    def finds(self, words: str) -> list[MessageReceived]:
        self.alice.events.clear()
        self.alice.node.search(words)
        self.assertEqual(
            [one.data["count"] for one in self.alice.told(CommandOutput)],
            [len(self.alice.told(MessageReceived))],
        )
        return self.alice.told(MessageReceived)

    def test_what_was_said_in_a_room_is_found_with_who_said_it_and_where(self) -> None:
        self.says((self.alice, "tea is ready"), (self.bob, "more tea"), (self.bob, "bread"))
        found = self.finds("tea")
        self.assertEqual(
            [(one.from_, one.text, one.room, one.history) for one in found],
            [("alice", "tea is ready", "#den", True), ("bob", "more tea", "#den", True)],
        )
        self.assertEqual([one.id for one in found], sorted({one.id for one in found}))

    def test_what_was_missed_is_found_once(self) -> None:
        self.says((self.bob, "one"))
        self.alice.breaks()
        self.says((self.bob, "two"))
        self.alice.comes()
        self.hall.settle()
        self.alice.node.history("9")
        self.hall.settle()
        self.assertEqual(len(self.finds("one")), 1)
        self.assertEqual(len(self.finds("two")), 1)

    def test_also_where_the_server_keeps_nothing(self) -> None:
        self.alice.node.in_room.settings("", None, None, False)
        self.hall.settle()
        self.says((self.bob, "a secret"))
        self.alice.events.clear()
        self.alice.node.history("9")
        self.hall.settle()
        self.assertEqual(self.alice.texts(), [])
        self.assertEqual(len(self.finds("secret")), 1)

    def test_a_room_has_only_so_many_lines(self) -> None:
        self.patch(room_log, "ROOM_LOG", 10)
        carol = self.hall.person("carol", ledger=MemoryLedger())
        carol.joins()
        self.says(*[(self.bob, f"fox {number}") for number in range(12)])
        carol.node.search("fox")
        self.assertEqual(
            [one.text for one in carol.told(MessageReceived)][-10:], carol.texts()[-10:]
        )
        self.assertEqual(len([one for one in carol.told(MessageReceived) if one.history]), 10)

    def test_no_more_lines_are_shown_at_once_than_may_be(self) -> None:
        carol = self.hall.person(
            "carol", limits=replace(DEFAULTS, history_lines=3), ledger=MemoryLedger()
        )
        carol.joins()
        self.says(*[(self.bob, f"fox {number}") for number in range(5)])
        carol.events.clear()
        carol.node.search("fox")
        self.assertEqual(carol.texts(), ["fox 2", "fox 3", "fox 4"])
        carol.events.clear()
        carol.node.history("5")
        self.hall.settle()
        self.assertEqual(carol.texts(), ["fox 2", "fox 3", "fox 4"])

    def test_in_trouble_the_room_goes_on_and_it_is_told_once(self) -> None:
        for _ in range(2):
            self.alice.events.clear()
            self.ledger.full = True
            self.says((self.bob, "one"), (self.bob, "two"))
            self.assertEqual(self.alice.texts(), ["one", "two"])
            self.assertEqual(self.alice.failures(), ["the disk is full"])
            self.ledger.full = False
            self.says((self.bob, "three"))
        self.assertEqual([one.text for one in self.finds("three")], ["three", "three"])

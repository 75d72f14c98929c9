"""Tests of one's own log of rooms: what was said is found, in trouble too the room goes on."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import CommandOutput, MessageReceived, Notice
from chatproto.client.rooms import room_log
from chatproto.client.rooms.remembered_rooms import RememberedRooms
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

    def test_room_messages_are_found_with_sender_and_room(self) -> None:
        self.says((self.alice, "tea is ready"), (self.bob, "more tea"), (self.bob, "bread"))
        found = self.finds("tea")
        self.assertEqual(
            [(one.from_, one.text, one.room, one.history) for one in found],
            [("alice", "tea is ready", "#den", True), ("bob", "more tea", "#den", True)],
        )
        self.assertEqual([one.id for one in found], sorted({one.id for one in found}))

    def test_missed_messages_are_found_once(self) -> None:
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

    def test_log_failure_is_reported_once_and_the_room_continues(self) -> None:
        for _ in range(2):
            self.alice.events.clear()
            self.ledger.full = True
            self.says((self.bob, "one"), (self.bob, "two"))
            self.assertEqual(self.alice.texts(), ["one", "two"])
            self.assertEqual(self.alice.failures(), ["the disk is full"])
            self.ledger.full = False
            self.says((self.bob, "three"))
        self.assertEqual([one.text for one in self.finds("three")], ["three", "three"])

    def restarts(self, person: Person) -> Person:
        """End the program of `person` and start it again, with the same log."""
        person.breaks(again=False)
        rooms = RememberedRooms(autojoin={"#den": ""})
        back = self.hall.person(person.name, ledger=self.ledger, remembered=rooms)
        self.hall.settle()
        return back

    def test_messages_sent_while_not_running_are_shown_as_missed(self) -> None:
        self.says((self.alice, "mine"), (self.bob, "before"))
        self.alice.breaks(again=False)
        self.says(*[(self.bob, f"fox {number}") for number in range(3)])
        self.alice = self.restarts(self.alice)
        self.assertEqual(
            [(one.text, one.history, one.missed) for one in self.alice.told(MessageReceived)],
            [(f"fox {number}", True, True) for number in range(3)],
        )
        self.assertIn("3 messages in #den", self.alice.told(Notice)[-1].text)
        self.says((self.bob, "now"))
        self.assertIsNone(self.alice.told(MessageReceived)[-1].missed)
        self.assertEqual(len(self.finds("fox")), 3)
        self.alice = self.restarts(self.alice)
        self.assertEqual(self.alice.texts(), [])

    def test_last_of_many_missed_messages_are_shown_and_all_logged(self) -> None:
        self.patch(room_log, "SHOWN", 2)
        self.says((self.bob, "before"))
        self.alice.breaks(again=False)
        self.says(*[(self.bob, f"fox {number}") for number in range(5)])
        self.alice = self.restarts(self.alice)
        self.assertEqual(self.alice.texts(), ["fox 3", "fox 4"])
        self.assertIn("3 more: /history #den 5", self.alice.told(Notice)[-1].text)
        self.assertEqual(len(self.finds("fox")), 5)

    def test_missed_lines_are_shown_though_the_connection_breaks_meanwhile(self) -> None:
        self.says((self.bob, "before"))
        self.alice.breaks(again=False)
        self.says((self.bob, "fox"))
        rooms = RememberedRooms(autojoin={"#den": ""})
        self.alice = self.hall.person("alice", ledger=self.ledger, remembered=rooms)
        while not self.alice.changes():
            self.assertTrue(self.alice.line.up() or self.alice.line.down())
        self.alice.breaks()
        self.alice.comes()
        self.hall.settle()
        self.assertEqual(self.alice.texts(), ["fox"])
        self.assertEqual(len(self.finds("fox")), 1)

    def test_lines_of_the_same_room_at_another_server_are_not_missed(self) -> None:
        self.says((self.bob, "here"), (self.bob, "there"))
        there = self.ledger.history("#den", 1)[0]
        elsewhere = StreamEntry(there.id - 9, "msg", there.at, "at another server")
        self.ledger.overheard("#den", "carl", elsewhere, 100)
        self.alice = self.restarts(self.alice)
        self.assertEqual(self.alice.texts(), [])
        elsewhere = StreamEntry(there.id + 9, "msg", there.at, "at a third one")
        self.ledger.overheard("#den", "carl", elsewhere, 100)
        self.alice = self.restarts(self.alice)
        self.assertEqual((self.alice.texts(), self.alice.told(Notice)), ([], []))

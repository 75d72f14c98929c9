"""Tests of what is answered about rooms: who is in them, and what is said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.rooms.answers import RoomAnswers
from chatproto.rooms.effects import LineSent
from chatproto.rooms.history import next_number
from chatproto.rooms.room import LOBBY
from chatproto.wire import bcp2_rooms
from chatproto.wire.room_fields import Listed, Occupant
from tests.limits import Limits
from tests.rooms.hall import NOW, Person, Rooms


class InAndOut(Rooms):
    def test_creator_of_a_room_owns_it_and_members_hear_of_joins(self) -> None:
        self.assertEqual(
            self.names(), [Occupant("alice", "owner"), Occupant("bob"), Occupant("carol")]
        )
        dave = Person("dave")
        members = tuple(self.names())
        begin = next_number(0, NOW)
        ack = bcp2_rooms.JoinAck(
            5, "#tea", 4, begin, "member", "", "", (*members, Occupant("dave"))
        )
        joined = bcp2_rooms.Joined("#tea", "dave")
        self.assertEqual(
            self.gets(dave, bcp2_rooms.Join(5, "#tea")),
            [("dave", ack), *((name, joined) for name in ("alice", "bob", "carol"))],
        )

    def test_member_of_an_empty_room_can_request_all_later_messages(self) -> None:
        begin = next_number(0, NOW)
        self.gets(self.bob, bcp2_rooms.Say(5, "#tea", "first"))
        (*said, (_, ack)) = self.gets(self.alice, bcp2_rooms.History(6, "#tea", begin))
        assert isinstance(ack, bcp2_rooms.HistoryAck)
        self.assertEqual((ack.count, len(said)), (1, 1))

    def test_second_join_changes_nothing(self) -> None:
        ((name, ack),) = self.gets(self.bob, bcp2_rooms.Join(5, "#tea"))
        assert isinstance(ack, bcp2_rooms.JoinAck)
        self.assertEqual((name, ack.count), ("bob", 3))

    def test_part_removes_a_member_and_notifies_the_others(self) -> None:
        parted = bcp2_rooms.Parted("#tea", "bob")
        self.assertEqual(
            self.gets(self.bob, bcp2_rooms.Part(5, "#tea")),
            [("bob", bcp2_rooms.PartAck(5, "#tea")), ("alice", parted), ("carol", parted)],
        )
        for message in (
            bcp2_rooms.Part(5, "#tea"),
            bcp2_rooms.Say(5, "#tea", "x"),
            bcp2_rooms.Names(5, "#tea"),
        ):
            self.assert_refused(404, self.bob, message)

    def test_lost_connection_leaves_all_rooms(self) -> None:
        self.does(self.bob, bcp2_rooms.Join(2, "#mud"))
        self.does(self.alice, bcp2_rooms.Join(2, "#mud"))
        effects = self.rooms.left(self.bob, self.now, "did not read")
        self.assertEqual(
            self.sent(effects),
            [
                ("alice", bcp2_rooms.Parted("#tea", "bob", "did not read")),
                ("carol", bcp2_rooms.Parted("#tea", "bob", "did not read")),
                ("alice", bcp2_rooms.Parted("#mud", "bob", "did not read")),
            ],
        )
        self.assertEqual(self.rooms.left(self.bob, self.now), [])

    def test_only_registered_clients_can_join(self) -> None:
        self.assert_refused(401, Person(None), bcp2_rooms.Join(1, "#tea"))

    def test_with_another_id_one_is_in_no_room(self) -> None:
        self.bob.client_id = "bobby"
        effects = self.rooms.follow(self.bob, self.now)
        parted = bcp2_rooms.Parted("#tea", "bob")
        self.assertEqual(self.sent(effects), [("alice", parted), ("carol", parted)])
        self.assertEqual(self.rooms.follow(self.alice, self.now), [])
        self.assert_refused(404, self.bob, bcp2_rooms.Say(5, "#tea", "x"))

    def test_newer_connection_takes_the_place_silently(self) -> None:
        newer = Person("bob")
        self.assertEqual(len(self.gets(newer, bcp2_rooms.Join(5, "#tea"))), 1)
        self.assertEqual(self.rooms.left(self.bob, self.now), [])
        self.assertIn(Occupant("bob"), self.names())
        self.assertIn(
            "bob", [name for name, _ in self.gets(self.alice, bcp2_rooms.Say(6, "#tea", "x"))]
        )

    def test_a_room_that_looks_like_another_is_not_opened(self) -> None:
        self.does(self.bob, bcp2_rooms.Join(2, "#corn1"))
        self.assert_refused(409, self.carol, bcp2_rooms.Join(3, "#coml"))

    def test_a_room_outlasts_its_members_with_its_owner(self) -> None:
        for person in self.people:
            self.does(person, bcp2_rooms.Part(2, "#tea"))
        self.does(self.bob, bcp2_rooms.Join(3, "#tea"))
        self.does(self.alice, bcp2_rooms.Join(3, "#tea"))
        self.assertEqual(self.names(), [Occupant("alice", "owner"), Occupant("bob")])

    def test_room_is_removed_after_a_week_without_members(self) -> None:
        for person in self.people:
            self.does(person, bcp2_rooms.Part(2, "#tea"))
        week = 7 * 86400.0
        self.rooms.due(self.now + week)
        self.assertEqual([room.name for room in self.store.rooms()], ["#tea"])
        self.rooms.due(self.now + week + 1)
        self.assertEqual(list(self.store.rooms()), [])
        self.now += week + 2
        self.does(self.bob, bcp2_rooms.Join(3, "#tea"))
        self.assertEqual(self.names(), [Occupant("bob", "owner")])

    def test_the_week_begins_when_the_last_one_leaves(self) -> None:
        week = 7 * 86400.0
        self.now += week
        for person in self.people:
            self.does(person, bcp2_rooms.Part(2, "#tea"))
        self.rooms.due(self.now + week)
        self.assertEqual([room.name for room in self.store.rooms()], ["#tea"])

    def test_old_rooms_and_lines_are_forgotten_a_few_at_a_time(self) -> None:
        for number in range(5):
            self.does(self.alice, bcp2_rooms.Join(3, f"#r{number}"))
            self.does(self.alice, bcp2_rooms.Part(4, f"#r{number}"))
        later, most = self.now + 7 * 86400.0 + 1, 2
        left = []
        while self.rooms.due(later, most):
            left.append(len(list(self.store.rooms())))
        self.assertEqual(left[:2], [4, 2])
        self.assertEqual([room.name for room in self.store.rooms()], ["#tea"])

    def test_room_with_members_is_not_removed(self) -> None:
        self.rooms.due(self.now + 1e9)
        self.assertTrue(self.is_in(self.bob))

    def test_rooms_survive_a_restart(self) -> None:
        self.does(self.alice, bcp2_rooms.Topic(2, "#tea", "hot"))
        self.does(self.alice, bcp2_rooms.Op(2, "#tea", "bob"))
        self.does(self.bob, bcp2_rooms.Say(3, "#tea", "hi"))
        later = self.now + 30 * 86400.0
        self.rooms = RoomAnswers(self.store, Limits(), self.owner_of, self.find, later)
        self.rooms.due(later)
        ack = self.gets(self.bob, bcp2_rooms.Join(4, "#tea"))[0][1]
        assert isinstance(ack, bcp2_rooms.JoinAck)
        self.assertEqual((ack.role, ack.topic, ack.count), ("op", "hot", 1))
        self.assertEqual(ack.last, self.store.last("#tea"))

    def test_a_list_is_of_open_rooms_and_ones_own(self) -> None:
        self.does(self.carol, bcp2_rooms.Join(2, "#den", "sesame"))
        self.does(self.bob, bcp2_rooms.Join(2, "#mud"))
        self.does(self.bob, bcp2_rooms.Topic(2, "#mud", "deep"))
        rooms = (Listed(LOBBY, 0), Listed("#mud", 1, "deep"), Listed("#tea", 3))
        self.assertEqual(
            self.gets(self.bob, bcp2_rooms.Rooms(3)), [("bob", bcp2_rooms.RoomsAck(3, "", rooms))]
        )
        self.assertEqual(
            self.gets(self.bob, bcp2_rooms.Rooms(3, LOBBY, 1)),
            [("bob", bcp2_rooms.RoomsAck(3, "#mud", rooms[1:2]))],
        )
        ack = self.gets(self.carol, bcp2_rooms.Rooms(3))[0][1]
        assert isinstance(ack, bcp2_rooms.RoomsAck)
        self.assertIn(Listed("#den", 1), ack.rooms)

    def test_names_come_in_pages(self) -> None:
        page = bcp2_rooms.NamesAck(
            3, "#tea", 3, "bob", (Occupant("alice", "owner"), Occupant("bob"))
        )
        self.assertEqual(self.gets(self.bob, bcp2_rooms.Names(3, "#tea", "", 2)), [("bob", page)])
        rest = bcp2_rooms.NamesAck(4, "#tea", 3, "", (Occupant("carol"),))
        self.assertEqual(
            self.gets(self.bob, bcp2_rooms.Names(4, "#tea", "bob", 2)), [("bob", rest)]
        )


class Talking(Rooms):
    def say(self, person: Person, text: str) -> int:
        (talk,) = self.does(person, bcp2_rooms.Say(9, "#tea", text))
        assert isinstance(talk, LineSent)
        return talk.number

    def test_every_message_has_one_number_and_time_for_all(self) -> None:
        sent = self.gets(self.bob, bcp2_rooms.Say(7, "#tea", "grüße"))
        number, date = self.store.last("#tea"), date_of(Wall(NOW))
        said = bcp2_rooms.Said("#tea", "bob", number, date, "grüße")
        ack = bcp2_rooms.SayAck(7, "#tea", number, date)
        self.assertEqual(sent, [("alice", said), ("bob", ack), ("carol", said)])

    def test_empty_message_is_refused(self) -> None:
        self.assert_refused(400, self.bob, bcp2_rooms.Say(7, "#tea", ""))

    def test_returning_member_gets_missed_messages_once(self) -> None:
        first = self.say(self.alice, "one")
        second, third = self.say(self.bob, "two"), self.say(self.alice, "three")
        sent = self.gets(self.carol, bcp2_rooms.History(8, "#tea", first))
        date = date_of(Wall(NOW))
        self.assertEqual(
            [message for _, message in sent],
            [
                bcp2_rooms.Said("#tea", "bob", second, date, "two", 8),
                bcp2_rooms.Said("#tea", "alice", third, date, "three", 8),
                bcp2_rooms.HistoryAck(8, "#tea", 2),
            ],
        )
        self.assertEqual(
            self.gets(self.carol, bcp2_rooms.History(8, "#tea", third)),
            [("carol", bcp2_rooms.HistoryAck(8, "#tea", 0))],
        )

    def test_forgotten_history_is_404(self) -> None:
        number = self.say(self.alice, "one")
        self.rooms.due(self.now + 7 * 86400 + 1)
        self.assert_refused(404, self.carol, bcp2_rooms.History(8, "#tea", number - 1))
        self.assert_refused(400, self.carol, bcp2_rooms.History(8, "#tea", number, number))

    def test_history_pages_have_the_requested_size(self) -> None:
        self.open(history_page=3)
        for person in self.people:
            self.does(person, bcp2_rooms.Join(1, "#tea"))
        for number in range(5):
            self.say(self.alice, f"{number}")
        for limit, count in ((None, 3), (2, 2), (99, 3), (0, 3)):
            sent = self.gets(self.bob, bcp2_rooms.History(8, "#tea", limit=limit))
            self.assertEqual(sent[-1][1], bcp2_rooms.HistoryAck(8, "#tea", count, True))
            self.assertEqual(len(sent), count + 1)

    def test_history_pages_are_limited_in_bytes(self) -> None:
        self.open(history_page_bytes=20)
        for person in self.people:
            self.does(person, bcp2_rooms.Join(1, "#tea"))
        for number in range(5):
            self.say(self.alice, f"{number}" * 8)
        sent = self.gets(self.bob, bcp2_rooms.History(8, "#tea"))
        self.assertEqual([one.text for _, one in sent[:-1]], ["3" * 8, "4" * 8])  # type: ignore[attr-defined]
        self.assertEqual(sent[-1][1], bcp2_rooms.HistoryAck(8, "#tea", 2, True))

    def test_old_messages_expire(self) -> None:
        self.open(room_history_age=60.0)
        for person in self.people:
            self.does(person, bcp2_rooms.Join(1, "#tea"))
        self.say(self.alice, "old")
        self.now += 30
        self.say(self.alice, "new")
        self.rooms.due(self.now + 29)
        self.assertEqual(len(self.gets(self.bob, bcp2_rooms.History(8, "#tea"))), 3)
        self.rooms.due(self.now + 31)
        self.assertEqual(len(self.gets(self.bob, bcp2_rooms.History(8, "#tea"))), 2)

    def test_room_without_history_stores_nothing(self) -> None:
        self.say(self.alice, "on the record")
        self.does(self.alice, bcp2_rooms.Settings(2, "#tea", kept=False))
        last = self.say(self.alice, "off the record")
        self.assertEqual(
            self.gets(self.bob, bcp2_rooms.History(8, "#tea")),
            [("bob", bcp2_rooms.HistoryAck(8, "#tea", 0))],
        )
        self.assertEqual(self.store.last("#tea"), last)

    def test_message_that_cannot_be_stored_is_not_sent(self) -> None:
        self.store.fails = True
        self.assert_refused(503, self.bob, bcp2_rooms.Say(7, "#tea", "x"))

    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
    def test_all_see_one_order(self, some: list[tuple[int, bool]]) -> None:
        self.setUp()
        seen: dict[str | None, list[int]] = {}
        for who, part in some:
            person = self.people[who]
            if part:
                self.does(person, bcp2_rooms.Part(1, "#tea"))
                self.does(person, bcp2_rooms.Join(1, "#tea"))
            for name, message in self.gets(person, bcp2_rooms.Say(1, "#tea", "x")):
                assert isinstance(message, bcp2_rooms.Said | bcp2_rooms.SayAck)
                seen.setdefault(name, []).append(message.id)
        for numbers in seen.values():
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertEqual(numbers, seen["alice"])


class LimitTests(Rooms):
    def test_rooms_of_one_client(self) -> None:
        self.open(rooms_per_client=2)
        for number in range(2):
            self.does(self.alice, bcp2_rooms.Join(1, f"#r{number}"))
        self.assert_refused(413, self.alice, bcp2_rooms.Join(1, "#r2"))
        self.assertEqual(len(self.gets(self.alice, bcp2_rooms.Join(1, "#r0"))), 1)
        self.does(self.alice, bcp2_rooms.Part(1, "#r0"))
        self.assertEqual(len(self.gets(self.alice, bcp2_rooms.Join(1, "#r2"))), 1)

    def test_rooms_of_one_owner(self) -> None:
        self.open(rooms_per_owner=2)
        for number in range(2):
            self.does(self.alice, bcp2_rooms.Join(1, f"#r{number}"))
            self.does(self.alice, bcp2_rooms.Part(1, f"#r{number}"))
        self.assert_refused(413, self.alice, bcp2_rooms.Join(1, "#r2"))
        self.does(self.bob, bcp2_rooms.Join(1, "#r2"))
        self.does(self.alice, bcp2_rooms.Join(1, "#r2"))

    def test_rooms_in_all(self) -> None:
        self.open(rooms=3)
        self.does(self.alice, bcp2_rooms.Join(1, "#r0"))
        self.does(self.bob, bcp2_rooms.Join(1, "#r1"))
        self.assert_refused(503, self.carol, bcp2_rooms.Join(1, "#r2"))
        self.does(self.bob, bcp2_rooms.Part(1, "#r1"))
        self.does(self.carol, bcp2_rooms.Join(1, "#r2"))
        self.assertEqual({room.name for room in self.store.rooms()}, {"#r0", "#r2"})

    def test_members_of_a_room(self) -> None:
        self.open(room_members=2)
        for person in (self.alice, self.bob):
            self.does(person, bcp2_rooms.Join(1, "#tea"))
        self.assert_refused(503, self.carol, bcp2_rooms.Join(1, "#tea"))

    def test_requests_about_rooms(self) -> None:
        self.open(room_burst=3, room_rate=2.0)
        for number in range(3):
            self.does(self.alice, bcp2_rooms.Join(1, f"#r{number}"))
        for _ in range(2):
            self.assert_refused(429, self.alice, bcp2_rooms.Names(1, "#r0"))
            self.assertIsInstance(self.does(self.alice, bcp2_rooms.Say(1, "#r0", "x"))[0], LineSent)
        self.now += 0.5
        self.assertEqual(len(self.gets(self.alice, bcp2_rooms.Names(1, "#r0"))), 1)
        self.assert_refused(429, self.alice, bcp2_rooms.Names(1, "#r0"))
        self.does(self.bob, bcp2_rooms.Join(1, "#r0"))

    def test_members_in_one_answer(self) -> None:
        self.open(info_lines=2)
        for person in self.people:
            sent = self.gets(person, bcp2_rooms.Join(1, "#tea"))
        ack = sent[0][1]
        assert isinstance(ack, bcp2_rooms.JoinAck)
        self.assertEqual((ack.count, ack.next, len(ack.members)), (3, "bob", 2))

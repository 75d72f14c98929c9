"""Tests of the rooms that somebody is in: each message once, in one order, or told to be lost."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import (
    CommandOutput,
    MessageReceived,
    Notice,
    RoomChanged,
    Sent,
    Uncertain,
    Undelivered,
)
from chatproto.client.requests import PendingRequest, telling
from chatproto.client.rooms import membership
from chatproto.client.rooms.room_orders import BAN_IN_ADVANCE
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.reasons import SERVER_KNOWS_NOBODY
from tests.client.rooms.room_ends import Case, Hall, Person
from tests.limits import DEFAULTS


async def _wait_for(answer: Deferred[None]) -> None:
    await answer


class JoinTests(Case):
    def test_creator_of_a_room_is_its_only_member_and_owner(self) -> None:
        self.alice.joins("den")
        (joined,) = self.alice.told(RoomChanged)
        self.assertEqual(
            (joined.room, joined.change, joined.members), ("#den", "joined", ("alice",))
        )
        self.assertEqual((joined.role, joined.count, joined.own), ("owner", 1, True))

    def test_members_see_joins_and_parts(self) -> None:
        self.both_join()
        self.bob.node.rooms.part()
        self.hall.settle()
        self.bob.joins()
        self.assertEqual(
            [(event.change, event.id, event.count) for event in self.alice.told(RoomChanged)],
            [("parted", "bob", 1), ("joined", "bob", 2)],
        )

    def test_line_typed_while_joining_is_queued_for_the_room(self) -> None:
        self.bob.joins()
        self.node.join("#den")
        self.node.say("hello")
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["hello"])
        (sent,) = self.alice.told(Sent)
        (heard,) = self.bob.told(MessageReceived)
        self.assertEqual((sent.room, sent.text, sent.id), ("#den", "hello", heard.id))
        self.assertEqual((heard.from_, heard.room, heard.history), ("alice", "#den", None))

    def test_queued_room_message_fails_when_join_is_refused(self) -> None:
        self.alice.joins("#den", "its key")
        self.bob.node.rooms.join("#den", "another")
        self.bob.node.say("hello")
        self.hall.settle()
        (lost,) = self.bob.told(Undelivered)
        self.assertEqual((lost.to, lost.text), ("#den", "hello"))
        self.assertIn("not the key of #den", self.bob.failures()[0])
        self.bob.node.say("and to whom now?")
        self.assertIn("not sent: you are no longer in #den", self.bob.failures()[1])
        self.bob.joins("#den", "its key")
        self.assertEqual(self.bob.changes(), ["joined"])

    def test_a_room_is_entered_anew_on_each_connection(self) -> None:
        self.bob.joins()
        self.assertTrue(self.bob.node.rooms.is_inside("#den"))
        self.assertFalse(self.bob.node.rooms.is_inside("#tea"))
        self.bob.breaks()
        self.assertFalse(self.bob.node.rooms.is_inside("#den"))

    def test_queued_room_message_fails_when_the_server_is_unreachable(self) -> None:
        self.bob.breaks()
        before: Deferred[None] = Deferred()
        self.bob.node.requests.ask("info", lambda: _wait_for(before))
        self.bob.node.rooms.join("#den")
        self.bob.node.say("hello")
        before.callback(None)
        (lost,) = self.bob.told(Undelivered)
        self.assertEqual((lost.to, lost.text, lost.reason), ("#den", "hello", "no connection"))
        self.assertEqual(self.bob.failures(), ["no connection"])

    def test_second_join_makes_the_room_current(self) -> None:
        self.alice.joins("#den")
        self.alice.joins("#attic")
        self.alice.joins("den")
        self.assertEqual(self.alice.changes(), ["joined", "current", "joined", "current"])
        self.assertEqual(self.alice.told(RoomChanged)[-1].members, ("alice",))
        self.assertEqual(self.node.calls.all.room, "#den")
        self.node.switch("#attic")
        self.assertEqual(self.node.calls.all.room, "#attic")

    def test_joining_twice_at_once_waits_for_the_first(self) -> None:
        self.bob.joins("#den", "its-key")
        asked: list[str] = []
        for secret in ("wrong", "its-key"):
            outcome = PendingRequest("join", lambda one: asked.append(one.code))
            part = outcome.part()
            with telling(part):
                self.node.join("#den", secret)
            part.end()
        self.hall.settle()
        self.assertEqual(asked, ["refused", "ok"])
        self.assertEqual(self.node.calls.all.room, "#den")

    def test_without_a_current_room_the_sentence_names_those_to_choose_from(self) -> None:
        self.node.in_room.kick("bob")
        self.alice.joins("#den")
        self.alice.joins("#attic")
        self.node.calls.all.move_to(None)
        self.node.in_room.kick("bob")
        none, several = self.alice.failures()
        self.assertNotIn("/switch", none)
        self.assertIn("/switch: you are in #attic, #den", several)

    def test_every_mistake_is_one_sentence(self) -> None:
        for do in (
            lambda: self.node.join("not a room"),
            lambda: self.node.rooms.part("#den"),
            lambda: self.node.switch("#den"),
            lambda: self.node.msg("hi", "#den"),
            lambda: self.node.in_room.kick("bob"),
        ):
            self.alice.events.clear()
            do()
            self.hall.settle()
            self.assertEqual(len(self.alice.failures()), 1)
            self.assertEqual(len(self.alice.events), 1)

    def test_only_so_many_rooms(self) -> None:
        for number in range(DEFAULTS.rooms_per_client + 1):
            self.alice.joins(f"#room{number}")
        self.assertEqual(len(self.alice.failures()), 1)
        self.assertEqual(self.alice.changes().count("joined"), DEFAULTS.rooms_per_client)

    def test_classic_server_has_no_rooms(self) -> None:
        self.node.rooms._connection = None
        self.node.join("#den")
        self.assertIn("rooms need a server", self.alice.failures()[0])

    def test_quit_leaves_the_room_first_and_then_the_program(self) -> None:
        self.alice.joins()
        self.node.quit()
        self.hall.settle()
        self.assertEqual((self.alice.changes(), self.alice.codes), (["joined", "parted"], []))
        self.node.quit()
        self.assertEqual(self.alice.codes, [0])


class OrderTests(Case):
    """Permissions in a room, and who is told."""

    def test_topic_is_sent_to_all_members_and_shown(self) -> None:
        self.both_join()
        self.node.in_room.topic("tea and cake")
        self.hall.settle()
        for one in (self.alice, self.bob):
            (event,) = one.told(RoomChanged)
            self.assertEqual(
                (event.change, event.by, event.text), ("topic", "alice", "tea and cake")
            )
            one.node.in_room.topic(None)
            self.assertEqual(one.told(CommandOutput)[0].lines, ("#den: tea and cake",))

    def test_kicked_member_has_left_and_cannot_send(self) -> None:
        self.both_join()
        self.node.in_room.kick("bob")
        self.hall.settle()
        self.assertEqual(self.alice.changes(), ["kicked", "parted"])
        self.assertEqual(self.bob.changes(), ["kicked", "parted"])
        self.bob.node.say("still here?")
        self.assertIn("not sent: you are no longer in #den", self.bob.failures()[0])

    def test_kick_shows_its_reason_and_ban_of_an_absent_client_is_reported(self) -> None:
        self.both_join()
        self.node.in_room.kick("bob", reason="too loud")
        self.hall.settle()
        for one in (self.alice, self.bob):
            self.assertEqual([e.reason for e in one.told(RoomChanged)], ["too loud", "kicked"])
        self.node.in_room.mute("nobody")
        self.node.in_room.ban("nobody")
        self.hall.settle()
        self.assertEqual(self.alice.failures(), [str(SERVER_KNOWS_NOBODY(peer="nobody"))])
        self.assertEqual(
            [one.text for one in self.alice.told(Notice)], [BAN_IN_ADVANCE.format(id="nobody")]
        )

    def test_unconfirmed_message_fails_when_its_sender_is_kicked(self) -> None:
        self.both_join()
        self.bob.node.say("one")
        self.node.in_room.kick("bob")
        self.alice.line.up()
        self.hall.settle()
        self.assertEqual([one.text for one in self.bob.told(Undelivered)], ["one"])

    def test_store_failure_of_the_server_is_reported(self) -> None:
        self.both_join()

        def full(*_: object) -> None:
            raise StoreTrouble("the disk is full")

        self.patch(MemoryRooms, "append", full)
        self.patch(MemoryRooms, "keep", full)
        self.bob.node.say("one")
        self.hall.settle()
        self.bob.node.rooms.join("#new")
        self.hall.settle()
        (lost,) = self.bob.told(Undelivered)
        self.assertIn("the server can store nothing now", lost.reason)
        self.assertIn("the server can store nothing now", self.bob.failures()[0])

    def test_end_of_input_waits_for_that_answer(self) -> None:
        self.both_join()
        self.bob.node.say("one")
        self.node.in_room.kick("bob")
        self.alice.line.up()
        while self.bob.line.down():
            pass
        self.assertEqual(self.bob.changes(), ["kicked", "parted"])
        self.bob.node.end_of_input()
        self.assertEqual(self.bob.codes, [])
        self.hall.settle()
        self.assertEqual(len(self.bob.told(Undelivered)), 1)
        self.assertEqual(self.bob.codes, [0])

    def test_muted_member_gets_an_error_for_each_message(self) -> None:
        self.both_join()
        self.node.in_room.mute("bob", "60")
        self.hall.settle()
        self.bob.node.say("mm")
        self.hall.settle()
        self.assertEqual([one.text for one in self.bob.told(Undelivered)], ["mm"])
        self.node.in_room.mute("bob", "0")
        self.hall.settle()
        self.bob.node.say("ah")
        self.hall.settle()
        self.assertEqual(self.alice.texts(), ["ah"])
        self.assertEqual(self.bob.changes(), ["muted", "unmuted"])

    def test_ops_bans_and_invitations(self) -> None:
        self.both_join()
        orders = self.node.in_room
        orders.op("bob")
        orders.op("bob", "0")
        orders.ban("10.9.9.9", "3600")
        orders.unban("10.9.9.9")
        orders.settings("", None, True, False)
        self.hall.settle()
        self.assertEqual(self.bob.changes(), ["op", "deop", "banned", "unbanned", "settings"])
        self.assertEqual(self.alice.changes(), ["op", "deop", "banned", "unbanned"])
        banned = self.bob.told(RoomChanged)[2]
        self.assertEqual((banned.address, banned.id, banned.by), ("10.9.9.9", None, "alice"))
        self.assertTrue(banned.until)
        (answer,) = self.alice.told(CommandOutput)
        self.assertIn("by invitation only", answer.lines[0])
        carol = self.hall.person("carol")
        carol.joins()
        self.assertEqual(len(carol.failures()), 1)
        orders.invite("carol")
        self.hall.settle()
        carol.joins()
        self.assertEqual(carol.changes(), ["invited", "joined"])

    def test_forbidden_order_is_refused_with_a_sentence(self) -> None:
        self.both_join()
        self.bob.node.in_room.kick("alice")
        self.hall.settle()
        self.assertIn("you may not do that here", self.bob.failures()[0])

    def test_names_and_rooms(self) -> None:
        self.both_join()
        self.bob.node.in_room.names()
        self.bob.node.in_room.rooms()
        self.hall.settle()
        names, rooms = self.bob.told(CommandOutput)
        self.assertEqual(names.lines, ("2 in #den: alice (owner), bob",))
        self.assertEqual([row["room"] for row in rooms.data["rooms"]], ["#den", "#lobby"])

    def test_history_shows_the_last_oldest_first(self) -> None:
        self.both_join()
        for number in range(5):
            self.node.say(str(number))
        self.hall.settle()
        self.bob.events.clear()
        self.bob.node.history("3")
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["2", "3", "4"])
        self.assertTrue(all(one.history for one in self.bob.told(MessageReceived)))

    def test_history_continues_over_pages(self) -> None:
        self.hall.limits = replace(DEFAULTS, history_page=2)
        self.hall.restart()
        self.both_join()
        for number in range(5):
            self.node.say(str(number))
        self.hall.settle()
        self.bob.events.clear()
        self.bob.node.history("5")
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["0", "1", "2", "3", "4"])

    def test_who_lists_the_rooms_too(self) -> None:
        self.both_join()
        self.node.who()
        self.assertEqual(self.alice.told(CommandOutput)[0].lines, ("#den: 2 members, current",))


class BreakTests(Case):
    """The connection breaks, and comes back."""

    def test_missed_messages_are_shown_in_order_and_once(self) -> None:
        self.both_join()
        self.node.say("0")
        self.hall.settle()
        self.bob.breaks()
        for number in range(1, 4):
            self.node.say(str(number))
        self.hall.settle()
        self.bob.comes()
        self.hall.settle()
        self.node.say("4")
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["0", "1", "2", "3", "4"])
        marks = [one.history for one in self.bob.told(MessageReceived)]
        self.assertEqual(marks, [None, True, True, True, None])
        self.assertEqual(self.bob.seen(), self.alice.seen())
        self.assertTrue(self.bob.told(RoomChanged)[-1].again)

    def test_missed_messages_beyond_the_limit_are_reported_as_missing(self) -> None:
        self.patch(membership, "MISSED", 3)
        self.hall.limits = replace(DEFAULTS, history_page=2)
        self.hall.restart()
        carol = self.hall.person("carol")
        self.alice.joins()
        carol.joins()
        carol.breaks()
        for number in range(9):
            self.node.say(str(number))
        self.hall.settle()
        carol.comes()
        self.hall.settle()
        self.node.say("9")
        self.hall.settle()
        self.assertEqual(carol.texts(), ["0", "1", "2", "3", "9"])
        self.assertIn(Notice("some messages in #den may be missing"), carol.told(Notice))

    def test_message_between_join_and_history_is_shown_once(self) -> None:
        self.both_join()
        self.bob.breaks()
        self.node.say("missed")
        self.hall.settle()
        self.bob.comes()
        self.bob.line.up()
        self.node.say("meanwhile")
        self.alice.line.up()
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["missed", "meanwhile"])

    def test_message_between_join_and_history_is_shown_once_without_history(self) -> None:
        self.both_join()
        self.node.in_room.settings("", None, None, False)
        self.hall.settle()
        self.bob.breaks()
        self.node.say("missed")
        self.hall.settle()
        self.bob.comes()
        self.bob.line.up()
        self.node.say("meanwhile")
        self.alice.line.up()
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["meanwhile"])
        self.assertIn("may be missing", self.bob.told(Notice)[0].text)

    def test_messages_are_shown_after_the_server_clock_went_back(self) -> None:
        self.both_join()
        self.node.say("before")
        self.hall.settle()
        for one in (self.alice, self.bob):
            one.breaks()
        self.hall.clock.rightNow -= 3600
        self.hall.restart()
        for one in (self.alice, self.bob):
            one.comes()
        self.hall.settle()
        self.node.say("after")
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["before", "after"])

    def test_over_many_pages(self) -> None:
        self.hall.limits = replace(DEFAULTS, history_page=3)
        self.hall.restart()
        self.both_join()
        self.bob.breaks()
        for number in range(20):
            self.node.say(str(number))
        self.hall.settle()
        self.bob.comes()
        self.hall.settle()
        self.assertEqual(self.bob.texts(), [str(number) for number in range(20)])

    def test_unacknowledged_message_is_found_and_not_repeated(self) -> None:
        self.both_join()
        self.node.say("one")
        self.node.say("two")
        self.alice.line.up()
        self.alice.breaks()
        self.assertEqual(self.alice.told(Sent), [])
        self.alice.comes()
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["one", "two"])
        self.assertEqual([one.text for one in self.alice.told(Sent)], ["one", "two"])
        self.assertEqual(self.bob.seen(), self.alice.seen())

    def test_lost_messages_are_sent_again_in_order(self) -> None:
        self.both_join()
        for text in ("one", "two", "three"):
            self.node.say(text)
        self.alice.breaks()
        self.node.say("four")
        self.alice.comes()
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["one", "two", "three", "four"])

    def test_message_is_queued_while_the_server_is_away(self) -> None:
        self.both_join()
        self.alice.breaks()
        self.node.say("later")
        self.assertEqual([one.to for one in self.alice.told(Notice)], ["#den"])
        self.alice.comes()
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["later"])

    def test_server_without_history_causes_no_duplicates(self) -> None:
        self.both_join()
        self.node.say("before")
        self.hall.settle()
        self.node.say("on its way")
        self.node.say("still here")
        for one in (self.alice, self.bob):
            one.breaks()
        self.hall.clock.advance(1)
        self.hall.restart()
        self.bob.comes()
        self.hall.settle()
        self.bob.node.say("new")
        self.hall.settle()
        self.alice.comes()
        self.hall.settle()
        self.assertEqual(
            [one.text for one in self.alice.told(Uncertain)], ["on its way", "still here"]
        )
        self.assertEqual(self.alice.texts(), ["new"])
        self.assertEqual(self.bob.texts(), ["before"])
        self.assertIn("may be missing", self.alice.told(Notice)[0].text)

    def test_rejoin_of_a_room_without_messages_needs_no_history(self) -> None:
        """A room whose messages are not kept: if the last number is ours, what we said did not arrive."""
        self.alice.joins()
        self.node.in_room.settings("", None, None, False)
        self.bob.joins()
        self.node.say("one")
        self.hall.settle()
        self.node.say("two")
        self.alice.breaks()
        self.alice.comes()
        self.hall.settle()
        self.assertEqual(self.bob.texts(), ["one", "two"])
        self.node.say("three")
        self.alice.line.up()
        self.alice.breaks()
        self.alice.comes()
        self.hall.settle()
        self.assertEqual([one.text for one in self.alice.told(Uncertain)], ["three"])

    def test_member_banned_meanwhile_is_removed(self) -> None:
        self.both_join()
        self.bob.node.say("on its way")
        self.bob.breaks()
        self.bob.node.say("waits")
        self.node.in_room.ban("bob")
        self.hall.settle()
        self.bob.comes()
        self.hall.settle()
        self.assertEqual(self.bob.changes(), ["parted"])
        self.assertEqual([one.text for one in self.bob.told(Uncertain)], ["on its way"])
        self.assertEqual([one.text for one in self.bob.told(Undelivered)], ["waits"])

    def test_stopped_server_connection_ends_the_membership(self) -> None:
        self.both_join()
        self.alice.breaks(again=False)
        self.assertEqual(self.alice.changes(), ["parted"])
        self.node.say("hello?")
        self.assertEqual(len(self.alice.failures()), 1)

    def test_a_second_registration_joins_nothing_twice(self) -> None:
        self.both_join()
        self.alice.server_events.registered(None)
        self.assertEqual(list(self.alice.line.requests), [])

    def test_message_in_flight_when_leaving_is_confirmed_or_reported_as_unconfirmed(self) -> None:
        self.both_join()
        self.node.say("one")
        self.node.rooms.part()
        self.alice.line.up()
        self.alice.breaks()
        self.assertEqual([one.text for one in self.alice.told(Uncertain)], ["one"])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob", "carol"]),
        st.sampled_from(["say", "say", "up", "up", "down", "down", "breaks", "comes"]),
    ),
    max_size=60,
)


class AnyOrderTests(SynchronousTestCase):
    @given(STEPS)
    def test_every_message_arrives_once_in_one_order_despite_breaks(
        self, steps: list[tuple[str, str]]
    ) -> None:
        hall = Hall()
        people: list[Person] = [hall.person(name) for name in ("alice", "bob", "carol")]
        for one in people:
            one.joins()
        said = []
        for number, (name, step) in enumerate(steps):
            one = hall.people[name]
            match step:
                case "say":
                    # Twice the same words are two messages.
                    said.append((name, f"{number % 3}"))
                    one.node.say(f"{number % 3}")
                case "up":
                    one.line.up()
                case "down":
                    one.line.down()
                case "breaks" if one.line.guest is not None:
                    one.breaks()
                case "comes" if one.line.guest is None:
                    one.comes()
        for one in people:
            if one.line.guest is None:
                one.comes()
        hall.settle()
        seen = [one.seen() for one in people]
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0], seen[2])
        for name in hall.people:
            mine = [text for speaker, text in said if speaker == name]
            self.assertEqual([text for _, speaker, text in seen[0] if speaker == name], mine)
            self.assertEqual([one.text for one in hall.people[name].told(Sent)], mine)
        numbers = [number for number, _, _ in seen[0]]
        self.assertEqual(numbers, sorted(set(numbers)))
        for one in people:
            self.assertEqual(one.told(Undelivered) + one.told(Uncertain) + one.failures(), [])

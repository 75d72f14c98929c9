"""Tests of what we say in rooms: how many at once, when input is held, what is told to be lost."""

from __future__ import annotations

from chatproto.client.events import (
    Sent,
    Undelivered,
)
from chatproto.client.rooms.room_outbox import SAYS_UNANSWERED
from tests.client.rooms.room_ends import Case
from tests.limits import DEFAULTS


class FlowTests(Case):
    """Flow control: a fast sender has only some messages on the way."""

    def test_number_in_flight_is_limited_and_none_is_lost(self) -> None:
        self.both_join()
        for number in range(100):
            self.node.say(str(number))
        self.assertEqual(len(self.alice.line.requests), SAYS_UNANSWERED)
        self.hall.settle()
        self.assertEqual(self.bob.texts(), [str(number) for number in range(100)])

    def test_input_is_held_while_there_is_no_room_for_more(self) -> None:
        self.both_join()
        for number in range(DEFAULTS.waiting_messages):
            self.node.say(str(number))
        self.assertFalse(self.alice.held)
        self.node.say("one more")
        self.assertTrue(self.alice.held)
        self.hall.settle()
        self.assertFalse(self.alice.held)
        self.assertEqual(self.bob.texts()[-1], "one more")
        self.assertEqual(len(self.bob.texts()), DEFAULTS.waiting_messages + 1)

    def test_held_messages_fail_when_the_program_ends(self) -> None:
        self.alice.joins()
        self.alice.breaks()
        for number in range(DEFAULTS.waiting_messages + 1):
            self.node.say(str(number))
        self.node.stop()
        lost = [one.text for one in self.alice.told(Undelivered)]
        self.assertEqual(lost, [str(number) for number in range(DEFAULTS.waiting_messages + 1)])

    def test_too_long_text_is_refused_before_sending(self) -> None:
        self.alice.joins()
        self.node.say("x" * (DEFAULTS.body_to_server + 1))
        self.assertIn("8192 bytes", self.alice.failures()[0])
        self.node.say("x" * DEFAULTS.body_to_server)
        self.hall.settle()
        self.assertEqual(len(self.alice.told(Sent)), 1)

    def test_end_of_input_waits_until_everything_is_sent(self) -> None:
        self.both_join()
        for number in range(20):
            self.node.say(str(number))
        self.node.end_of_input()
        self.assertEqual(self.alice.codes, [])
        self.hall.settle()
        self.assertEqual(self.alice.codes, [0])
        self.assertEqual(len(self.bob.texts()), 20)

    def test_held_messages_fail_and_input_resumes_when_leaving_the_room(
        self,
    ) -> None:
        self.alice.joins()
        self.alice.breaks()
        for number in range(DEFAULTS.waiting_messages + 1):
            self.node.say(str(number))
        self.assertTrue(self.alice.held)
        self.node.rooms.refused()
        self.assertFalse(self.alice.held)
        lost = [one.text for one in self.alice.told(Undelivered)]
        self.assertEqual(lost, [str(number) for number in range(DEFAULTS.waiting_messages + 1)])

    def test_message_in_flight_counts_until_answered_after_leaving(self) -> None:
        self.alice.joins()
        self.node.say("hello")
        self.node.rooms.part()
        self.assertEqual((self.node.rooms.outbox.unsent, self.node.rooms.rows()), (1, []))
        self.hall.settle()
        self.assertEqual((self.node.rooms.outbox.unsent, len(self.alice.told(Sent))), (0, 1))

"""One's own lines get their mark before they are printed, or a row of its own later."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import Delivered, Sent, Undelivered
from chatproto.net.clock import Wall
from chatproto.ui.screen.own_lines import MARK_WAIT, MOST, OwnLine, OwnLines

NOW = Wall(1000)


class OwnLineTests(SynchronousTestCase):
    """Delivery of what the person said."""

    def setUp(self) -> None:
        self.own = OwnLines()

    def say(self, text: str, where: str = "bob", now: float = 0.0) -> OwnLine:
        return self.own.typed(where, text, NOW, now)

    def sent(self, text: str, id: int | None, now: float = 0.0) -> None:
        self.own.sent(Sent(text, id, to="bob"), NOW, now)

    def marks(self, lines: list[OwnLine]) -> list[tuple[str, str]]:
        return [(line.text, line.mark) for line in lines]

    def test_delivered_line_is_printed_with_its_mark(self) -> None:
        self.say("hi")
        self.sent("hi", 1)
        self.assertEqual(self.own.ready(0.1), [])
        self.own.delivered(Delivered("bob", 1))
        self.assertEqual(self.marks(self.own.ready(0.1)), [("hi", "delivered")])

    def test_line_waits_a_moment_for_its_mark_and_no_longer(self) -> None:
        self.say("hi")
        self.sent("hi", 1)
        self.assertAlmostEqual(self.own.next_wait(0.2) or 0.0, MARK_WAIT - 0.2)
        self.assertEqual(self.marks(self.own.ready(MARK_WAIT)), [("hi", "")])
        self.assertIsNone(self.own.next_wait(MARK_WAIT))
        self.own.delivered(Delivered("bob", 1))
        self.assertEqual(self.marks(self.own.late()), [("hi", "delivered")])
        self.assertEqual(self.own.late(), [])

    def test_lines_are_printed_in_the_order_in_which_they_were_said(self) -> None:
        self.say("one")
        self.say("two")
        self.sent("one", 1)
        self.sent("two", 2)
        self.own.delivered(Delivered("bob", 2))
        self.assertEqual(self.marks(self.own.ready(0.0)), [("one", ""), ("two", "delivered")])

    def test_answer_of_the_same_person_is_printed_behind(self) -> None:
        self.say("hi")
        self.assertEqual(self.own.ready(0.0, "carl"), [])
        self.assertEqual(self.marks(self.own.ready(0.0, "bob")), [("hi", "")])

    def test_queued_line_says_so(self) -> None:
        line = self.say("hi")
        self.assertTrue(self.own.queued(line, "bob", 3))
        self.assertEqual(self.marks(self.own.ready(0.0)), [("hi", "waits")])
        self.assertFalse(self.own.queued(None, "bob", 3))
        self.assertFalse(self.own.queued(None, "bob", 4))

    def test_line_of_another_face_is_shown_too(self) -> None:
        self.sent("from a script", 1)
        self.assertEqual(self.marks(self.own.held), [("from a script", "")])

    def test_line_in_a_room_has_its_mark_when_the_server_has_it(self) -> None:
        self.say("hi", "#tea")
        self.assertEqual(self.own.ready(0.0), [])
        self.own.sent(Sent("hi", 9, room="#tea"), NOW, 0.1)
        self.assertEqual(self.marks(self.own.ready(0.1)), [("hi", "delivered")])

    def test_line_that_waited_for_the_server_of_its_room_is_told_of_later(self) -> None:
        self.say("hi", "#tea")
        self.assertEqual(self.marks(self.own.ready(MARK_WAIT)), [("hi", "")])
        self.own.sent(Sent("hi", 9, room="#tea"), NOW, 9.0)
        self.assertEqual(self.marks(self.own.late()), [("hi", "delivered")])
        self.assertEqual(self.own.late(), [])

    def test_plain_text_that_waited_for_our_turn_is_told_of_when_it_is_sent(self) -> None:
        self.own.queued(self.say("hi"), "bob", None, "held")
        self.assertEqual(self.marks(self.own.ready(0.0)), [("hi", "held")])
        self.assertEqual(self.own.late(), [])
        self.sent("hi", None)
        self.assertEqual(self.marks(self.own.late()), [("hi", "")])
        self.assertEqual(self.own.late(), [])

    def test_plain_text_without_numbers_is_printed_when_it_is_written(self) -> None:
        self.say("hi")
        self.sent("hi", None)
        self.assertEqual(self.marks(self.own.ready(0.0)), [("hi", "")])

    def test_same_text_twice_is_two_lines(self) -> None:
        self.say("ok")
        self.sent("ok", 1)
        self.say("ok")
        self.sent("ok", 2)
        self.assertEqual(len(self.own.held), 2)

    def test_failed_line_says_so(self) -> None:
        self.say("hi")
        self.own.failed(Undelivered("bob", "gone", text="hi"))
        self.assertEqual(self.marks(self.own.ready(0.0)), [("hi", "failed")])

    def test_refused_line_is_forgotten(self) -> None:
        self.own.refuse(self.say("hi"))
        self.assertEqual(self.own.held, [])

    def test_lines_that_are_followed_are_bounded(self) -> None:
        for number in range(MOST + 10):
            self.say(str(number))
            self.sent(str(number), number)
            self.own.ready(MARK_WAIT)
        self.own.delivered(Delivered("bob", 0))
        self.own.delivered(Delivered("bob", MOST))
        self.assertEqual([line.text for line in self.own.late()], [str(MOST)])

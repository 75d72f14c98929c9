"""The full interface without a terminal: rows, hints, and what Enter and keys do."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import (
    Bridged,
    CommandOutput,
    Delivered,
    Event,
    IncomingCallEvent,
    MessageReceived,
    Notice,
    RoomChanged,
    Sent,
    SessionChanged,
)
from chatproto.client.settings import ClientSettings
from chatproto.net.clock import Wall
from chatproto.ui.screen.attention import Attention
from chatproto.ui.screen.glyphs import UNICODE
from chatproto.ui.screen.interface import FULL, ROWS, TWICE, FullInterface
from chatproto.ui.screen.keymap import STANDS
from chatproto.ui.screen.styles import Line
from tests.client.typing_person import made

NOW = 1796025000.0


def plain(lines: list[Line]) -> list[str]:
    return ["".join(text for _, text in line).rstrip() for line in lines]


class InterfaceTests(SynchronousTestCase):
    """One client that is connected to nobody, and its screen of 80 columns."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.person = made(self.clock, ClientSettings("alice", typed=True))
        self.full: list[bool] = []
        self.columns = 80
        self.ui = FullInterface(
            self.person.client,
            self.clock,
            lambda: Wall(self.clock.seconds()),
            lambda: self.columns,
            lambda: 24,
            UNICODE,
            Attention("alice", on=True),
            lambda: None,
            self.full.append,
        )
        self.person.context.publish.listen(self.ui.tell)

    def tell(self, *events: Event) -> list[str]:
        """Return the rows that `events` add to the scrollback, without times, names padded once."""
        for event in events:
            self.person.context.publish(event)
        return [" ".join(row.split()[1:]) for row in plain(self.ui.take_rows())]

    def enter(self, text: str, **how: Any) -> bool:
        self.ui.typing(text)
        return self.ui.enter(text, **how)

    def above(self) -> list[str]:
        return plain(self.ui.above())

    def prompt(self) -> str:
        return plain([self.ui.prompt()])[0]

    def test_first_row_of_a_day_follows_a_line_with_its_date(self) -> None:
        self.person.context.publish(Notice("one"))
        rows = plain(self.ui.take_rows())
        self.assertRegex(rows[0], r"^── \w+, \d+ \w+ 2026 ──$")
        self.assertRegex(rows[1], r"^\d\d:\d\d --           one$")
        self.assertEqual(len(self.tell(Notice("two"))), 1)
        self.clock.advance(86400)
        self.assertEqual(len(self.tell(Notice("three"))), 2)

    def test_messages_are_shown_with_room_and_name_and_counted_as_unread(self) -> None:
        rows = self.tell(
            MessageReceived("bob", "hi"),
            MessageReceived("carl", "who has the key?", room="#tea"),
            MessageReceived("carl", "\x01ACTION waves\x1b", room="#tea"),
        )
        self.assertEqual(rows[1:], ["bob hi", "#tea carl who has the key?", "#tea carl * waves␛"])
        self.assertIn("[1:bob 1] [2:#tea 2]", self.above()[-1])
        self.tell(
            MessageReceived("carl", "an answer", room="#tea", history=True),
            MessageReceived("carl", "said meanwhile", room="#tea", history=True, missed=True),
        )
        self.assertIn("[1:bob 1] [2:#tea 3]", self.above()[-1])

    def test_looked_up_lines_stand_apart_from_what_is_said_now(self) -> None:
        self.tell(Notice("today"))
        past = NOW - 2 * 86400
        said = [
            MessageReceived("bob", "hi", history=True, said=Wall(past)),
            MessageReceived("alice", "hello", to="bob", history=True, said=Wall(past + 60)),
        ]
        for event in (*said, CommandOutput("history", (), {"count": 2})):
            self.person.context.publish(event)
        self.person.context.publish(MessageReceived("bob", "now"))
        lines = self.ui.take_rows()
        rows = plain(lines)
        self.assertEqual(rows[0], "── history of bob: 2 messages ──")
        self.assertRegex(rows[1], r"^── \w+, \d+ \w+ 2026 ──$")
        self.assertRegex(rows[2], r"bob +hi$")
        self.assertRegex(rows[3], r"you to bob +hello$")
        self.assertEqual(rows[4], "── end ──")
        self.assertRegex(rows[6], r"bob +now$")
        self.assertEqual([line[-1][0] for line in lines[2:4]], ["dim", "dim"])
        self.assertEqual(lines[6][-1][0], "")

    def test_found_lines_are_counted(self) -> None:
        event = MessageReceived("carl", "hi", room="#tea", history=True, said=Wall(NOW))
        rows = self.tell(event, CommandOutput("search", (), {"count": 1}))
        self.assertEqual(rows[0], "search: 1 message ──")

    def test_lines_of_the_last_run_are_new(self) -> None:
        rows = self.tell(MessageReceived("bob", "hi", history=True, said=Wall(NOW - 9000)))
        self.assertEqual(rows[0], "new since you were last here: 1 message ──")

    def test_lines_written_while_one_was_away_are_marked(self) -> None:
        old = Wall(NOW - 3600)
        rows = self.tell(
            MessageReceived("carl", "tea?", room="#tea", history=True, missed=True, said=old),
            MessageReceived("carl", "well?", room="#tea", history=True, missed=True, said=old),
            MessageReceived("bob", "call me", said=old),
            MessageReceived("bob", "now", said=Wall(NOW)),
        )
        shown = [row for row in rows if "2026" not in row]
        self.assertEqual(
            shown,
            [
                "new in #tea ──",
                "#tea carl tea?",
                "#tea carl well?",
                "end of what is new ──",
                "new from bob, written while you were away ──",
                "bob call me",
                "end of what is new ──",
                "bob now",
            ],
        )
        self.clock.advance(30)
        self.assertEqual(
            self.tell(MessageReceived("bob", "slow", said=Wall(NOW - 20))), ["bob slow"]
        )

    def test_narrow_status_line_shows_what_is_unread_and_counts_the_rest(self) -> None:
        self.columns = 40
        for name in ("bob", "carl", "dora", "emil", "fred"):
            self.tell(SessionChanged(name, "open"))
        self.tell(MessageReceived("emil", "hi"))
        self.assertEqual(self.above()[-1], "── no conversation │ [4:emil 1] +4 ──")

    def test_text_to_nobody_stays_in_the_prompt_with_a_sentence(self) -> None:
        self.assertEqual(self.prompt(), "to nobody>")
        self.assertFalse(self.enter("hello"))
        self.assertTrue(self.above()[0].startswith("  !! you are in no conversation"), self.above())
        self.assertIn("(Ctrl-C clears the line)", " ".join(self.above()))
        self.assertEqual(self.tell(), [])
        self.ui.typing("hello?")
        self.assertEqual(len(self.above()), 1)

    def test_bare_help_is_a_command_where_nobody_would_get_it(self) -> None:
        self.assertTrue(self.enter("help"))
        self.assertIn("/help talk", " ".join(plain(self.ui.take_rows())))

    def test_mistyped_command_is_told(self) -> None:
        self.assertTrue(self.enter("/regster"))
        self.assertIn("!! unknown command /regster: did you mean /register?", self.tell())

    def test_pasted_command_is_text(self) -> None:
        self.ui.typing("/quit")
        self.ui.pasted("/quit")
        self.assertIn("pasted lines are sent as text", self.above()[0])
        self.assertFalse(self.enter("/quit", pasted=True))
        self.assertIn("you are in no conversation", self.above()[0])

    def test_many_lines_are_asked_about_once(self) -> None:
        text = "\n".join(map(str, range(10)))
        self.assertFalse(self.enter(text))
        self.assertIn("send 10 lines as one message?", self.above()[0])
        self.assertTrue(self.ui.take_back())
        self.assertFalse(self.ui.take_back())
        self.assertFalse(self.enter(text))
        self.assertIn("send 10 lines", self.above()[0])
        self.assertFalse(self.enter(text))
        self.assertIn("you are in no conversation", self.above()[0])

    def test_question_stands_above_the_prompt_until_it_is_over(self) -> None:
        call = IncomingCallEvent("bob", "127.0.0.1", 3001, encrypted=True, confirmed=True, ask=True)
        rows = self.tell(call)
        self.assertEqual(rows[1:], ["-- Incoming chat request from bob 127.0.0.1:3001"])
        self.assertIn("? bob calls (encrypted): Alt-a accept", self.above()[0])
        self.assertTrue(self.ui.asks)
        self.assertFalse(self.ui.answers(empty=True))
        self.clock.advance(STANDS)
        self.assertTrue(self.ui.answers(empty=True))
        self.assertFalse(self.ui.answers(empty=False))
        self.assertEqual(self.ui.take_bell(), "bob calls")
        self.tell(SessionChanged("bob", "closed"))
        self.assertFalse(self.ui.asks)

    def test_own_line_is_above_the_prompt_until_it_has_its_mark(self) -> None:
        self.assertEqual(self.tell(Sent("hi", 1, to="bob")), [])
        self.assertIn("hi", self.above()[0])
        rows = self.tell(Delivered("bob", 1))
        self.assertEqual(rows[1:], ["you to bob hi ✓"])
        self.assertEqual(len(self.above()), 1)

    def test_own_line_in_a_room_names_the_room(self) -> None:
        self.assertEqual(self.tell(Sent("hi", 1, room="#tea"))[1:], ["#tea you hi ✓"])

    def test_ctrl_c_twice_ends_the_program(self) -> None:
        ended: list[int] = []
        self.person.finished.listen(ended.append)
        self.ui.interrupt()
        self.assertIn("Ctrl-C once more quits", self.above()[0])
        self.clock.advance(TWICE)
        self.assertEqual(len(self.above()), 1)
        self.ui.interrupt()
        self.assertEqual(ended, [])
        self.ui.interrupt()
        self.assertEqual(ended, [0])

    def test_prompt_says_that_one_waits_to_be_called(self) -> None:
        self.tell(Bridged(None, None, None))
        self.assertEqual(self.prompt(), "waiting to be called>")

    def test_tab_completes_and_lists_at_the_second_time(self) -> None:
        self.assertEqual(self.ui.complete("/mo", again=False), "/mode ")
        self.assertEqual(self.ui.complete("/m", again=False), "/m")
        self.assertEqual(len(self.above()), 1)
        self.ui.complete("/m", again=True)
        self.assertIn("/mode", self.above()[0])
        self.ui.typing("/mu")
        self.assertEqual(len(self.above()), 1)

    def test_rows_that_wait_are_bounded_and_peers_are_held_before(self) -> None:
        for number in range(ROWS + 10):
            self.person.context.publish(Notice(str(number)))
            if number == FULL:
                self.assertEqual(self.full, [True])
        rows = self.tell()
        self.assertEqual(len(rows), ROWS + 1)
        self.assertEqual(rows[-1], "-- 11 lines were not printed")
        self.assertEqual(self.full, [True, False])

    def test_news_that_the_prompt_shows_is_not_printed(self) -> None:
        self.assertEqual(
            self.tell(RoomChanged("#tea", "current"), SessionChanged("bob", "open", turn="mine")),
            [],
        )

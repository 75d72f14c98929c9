"""QuestionQueue queue, and nothing that is typed answers them by accident."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import FileChanged, IncomingCallEvent, RoomChanged, SessionChanged
from chatproto.ui.screen.cells import width
from chatproto.ui.screen.glyphs import UNICODE
from chatproto.ui.screen.keymap import STANDS, Keymap
from chatproto.ui.screen.questions import MOST, QuestionQueue


def call(name: str = "bob") -> IncomingCallEvent:
    return IncomingCallEvent(name, "127.0.0.1", 3001, encrypted=True, confirmed=True, ask=True)


def file(number: int, state: str = "offered", **changes: Any) -> FileChanged:
    return FileChanged(number, "notes.txt", state, 0, 1200, from_="bob", **changes)


class QuestionTests(SynchronousTestCase):
    """Calls, files and invitations."""

    def setUp(self) -> None:
        self.questions = QuestionQueue(Keymap())

    def text(self) -> str:
        return "\n".join(self.rows(100))

    def rows(self, columns: int) -> list[str]:
        rows = self.questions.lines(columns, UNICODE)
        return ["".join(text for _, text in row) for row in rows]

    def test_each_kind_is_asked_about_in_its_turn(self) -> None:
        self.assertTrue(self.questions.heard(call(), 0.0))
        self.assertTrue(self.questions.heard(file(7, ask=True), 0.0))
        invited = RoomChanged("#tea", "invited", "alice", by="carl", own=True)
        self.assertTrue(self.questions.heard(invited, 0.0))
        self.assertEqual(
            self.text(),
            "? bob calls (encrypted) (1 of 3): Alt-a accept, Alt-d decline, Alt-v verify",
        )
        self.questions.take(1.0)
        self.assertEqual(
            self.text(),
            "? bob offers notes.txt (1.2 KB) (1 of 2): Alt-a accept, Alt-d decline",
        )
        self.questions.take(2.0)
        self.assertIn("carl invites you into #tea", self.text())
        self.questions.take(3.0)
        self.assertEqual(self.text(), "")

    def test_keys_stand_in_full_however_long_the_question_is(self) -> None:
        self.questions.heard(call("b" * 32), 0.0)
        self.questions.heard(call(), 0.0)
        self.assertEqual(
            self.rows(40),
            [
                "? bbbbbbbbbbbbbbbbbbbbbbbbbbb… (1 of 2):",
                "  Alt-a accept, Alt-d decline, Alt-v",
                "  verify",
            ],
        )
        for columns in range(4, 120):
            rows = self.rows(columns)
            self.assertTrue(all(width(row) <= columns for row in rows), rows)
            if columns >= 12:
                self.assertIn("Alt-v", " ".join(rows))

    def test_letter_answers_only_an_empty_prompt_and_a_question_that_has_stood(self) -> None:
        self.questions.heard(call(), 10.0)
        self.assertFalse(self.questions.takes_letter(True, 10.0 + STANDS - 0.01))
        self.assertTrue(self.questions.takes_letter(True, 10.0 + STANDS))
        self.assertFalse(self.questions.takes_letter(False, 10.0 + STANDS))
        self.questions.key(12.0)
        self.assertFalse(self.questions.takes_letter(True, 12.0 + STANDS - 0.01))

    def test_next_question_has_to_stand_as_well(self) -> None:
        self.questions.heard(call(), 0.0)
        self.questions.heard(call("carl"), 0.0)
        self.questions.take(5.0)
        self.assertFalse(self.questions.takes_letter(True, 5.5))
        self.questions.heard(SessionChanged("carl", "closed"), 6.0)
        self.assertFalse(self.questions.takes_letter(True, 60.0))

    def test_question_goes_when_the_call_or_file_is_over(self) -> None:
        self.questions.heard(call(), 0.0)
        self.questions.heard(file(7, ask=True), 0.0)
        self.questions.heard(SessionChanged("bob", "closed"), 1.0)
        self.questions.heard(file(7, "cancelled"), 1.0)
        self.assertEqual(len(self.questions), 0)

    def test_question_is_asked_once(self) -> None:
        self.questions.heard(call(), 0.0)
        self.assertFalse(self.questions.heard(call(), 1.0))

    def test_questions_are_bounded(self) -> None:
        for number in range(2 * MOST):
            self.questions.heard(call(f"bob{number}"), 0.0)
        self.assertEqual(len(self.questions), MOST)

    def test_name_and_file_name_are_shown_legibly(self) -> None:
        hostile = FileChanged(1, "a\x1b[2J\nb", "offered", 0, 1, from_="x\u202e y", ask=True)
        self.questions.heard(hostile, 0.0)
        self.assertTrue(self.text().isprintable())

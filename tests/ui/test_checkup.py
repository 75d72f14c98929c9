"""Test the format of findings on a terminal and in a pipe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.diagnostics import Finding
from chatproto.stdio.printable import printable
from chatproto.ui.checkup import finding_lines

FOUND = Finding(
    "server", "fail", "nothing listens at 10.0.0.1:5555", "start the server, or look again"
)


class LineTests(SynchronousTestCase):
    def test_in_a_pipe_each_sentence_is_one_line(self) -> None:
        self.assertEqual(
            finding_lines(FOUND),
            [
                "fail  server: nothing listens at 10.0.0.1:5555",
                "      -> start the server, or look again",
            ],
        )

    def test_on_a_narrow_terminal_sentences_go_on_below_themselves(self) -> None:
        self.assertEqual(
            finding_lines(FOUND, 40),
            [
                "fail  server: nothing listens at",
                "      10.0.0.1:5555",
                "      -> start the server, or look again",
            ],
        )

    def test_server_text_cannot_control_the_terminal(self) -> None:
        (line,) = finding_lines(Finding("key", "fail", "a\x1b[2J\nb"))
        self.assertTrue(line.isprintable(), line)

    @given(st.text(), st.text(), st.integers(20, 120))
    def test_no_line_is_wider_than_the_terminal(self, text: str, advice: str, columns: int) -> None:
        for line in finding_lines(Finding("a", "ok", text, advice), columns):
            self.assertLessEqual(len(line), columns)
            self.assertEqual(line, printable(line))

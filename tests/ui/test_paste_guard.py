"""A paste on a terminal runs no commands behind a text: the person is asked about them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.ui.paste import ANSWER_WAIT, MOST_LINES
from chatproto.ui.plain import PlainInterface
from tests.limits import DEFAULTS
from tests.ui.asked import asked_client

GAP = DEFAULTS.paste_gap


class Case(SynchronousTestCase):
    """A conversation with bob, on a terminal."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.node = asked_client()
        self.lines: list[str] = []
        self.more = False
        self.ui = PlainInterface(
            self.node, self.lines.append, lambda: Wall(0.0), self.clock, lambda: self.more
        )

    def paste(self, *lines: str) -> None:
        for line in lines:
            self.ui.on_line(line)
        self.clock.advance(GAP)

    def said(self) -> list[object]:
        return [what[1] for what in self.node.asked if what[0] == "say"]


class PasteGuardTests(Case):
    def test_commands_after_a_text_are_held_with_a_question(self) -> None:
        self.paste("hello", "/send /etc/hostname", "/verify alice yes", "/quit")
        self.assertEqual(self.node.asked, [("say", "hello")])
        self.assertEqual(
            self.lines,
            ["* 3 pasted lines begin with /: Enter sends them as text, /drop forgets them"],
        )

    def test_enter_sends_held_lines_as_text(self) -> None:
        self.paste("one", "/quit", "two", "//x", "")
        self.paste("")
        self.assertEqual(self.said(), ["one", "/quit", "two", "//x"])
        self.assertEqual(self.node.asked, [("say", text) for text in self.said()])
        self.paste("/who")
        self.assertEqual(self.node.asked[-1], ("who",))

    def test_drop_discards_commands_and_sends_the_others(self) -> None:
        self.paste("one", "/quit", "two", "/who")
        self.assertIn("2 pasted lines begin with / (1 more wait behind them)", self.lines[0])
        self.paste("/drop")
        self.assertEqual(self.said(), ["one", "two"])
        self.paste("")
        self.assertEqual(self.said(), ["one", "two"])

    def test_question_about_one_line_is_singular(self) -> None:
        self.paste("one", "/quit")
        self.assertEqual(
            self.lines, ["* 1 pasted line begins with /: Enter sends it as text, /drop forgets it"]
        )

    def test_typed_commands_run(self) -> None:
        for line in ("one", "/who", "two", "/id"):
            self.paste(line)
        self.assertEqual([what[0] for what in self.node.asked], ["say", "who", "say", "id"])

    def test_pasted_commands_alone_run(self) -> None:
        self.paste("/chat bob", "/who", "hello")
        self.assertEqual([what[0] for what in self.node.asked], ["chat", "who", "say"])

    def test_a_line_that_is_no_command_counts_as_text(self) -> None:
        self.paste("/etc/passwd", "/quit")
        self.assertEqual(self.node.asked, [])
        self.paste("/drop")
        self.ui.on_refused("that line was too long")
        self.paste("/quit")
        self.assertEqual(self.node.asked, [])

    def test_an_empty_line_inside_a_paste_answers_nothing(self) -> None:
        self.paste("one", "/quit", "", "/who", "")
        self.assertEqual(self.said(), ["one"])
        self.paste("", "two")
        self.paste("/drop", "/quit")
        self.assertEqual(self.said(), ["one"])
        self.paste("/drop")
        self.assertEqual(self.said(), ["one", "two"])
        self.assertNotIn(("quit",), self.node.asked)

    def test_the_end_of_a_paste_without_its_line_end_runs_nothing(self) -> None:
        self.paste("one", "/who")
        self.paste("/quit")  # with the Enter that was to answer the question
        self.assertEqual(self.node.asked, [("say", "one")])
        self.assertIn("2 pasted lines", self.lines[-1])

    def test_a_paste_in_several_reads_is_one(self) -> None:
        self.ui.on_line("one")
        self.more = True  # the program was busy meanwhile
        self.clock.advance(GAP)
        self.clock.advance(GAP)
        self.ui.on_line("/quit")
        self.more = False
        self.clock.advance(GAP)
        self.assertEqual(self.node.asked, [("say", "one")])

    def test_held_lines_go_to_no_other_target(self) -> None:
        self.paste("one", "/quit")
        self.node.conversations.target = "carol"
        self.paste("")
        self.assertEqual(self.said(), ["one"])
        self.assertIn("pasted for another conversation", self.lines[-1])

    def test_number_of_held_lines_is_limited(self) -> None:
        self.paste("one", *["/quit"] * MOST_LINES)
        self.assertIn(f"{MOST_LINES} pasted lines begin with /", self.lines[-1])

    def test_more_than_can_be_held_are_forgotten(self) -> None:
        self.paste("one", *["/quit"] * (MOST_LINES + 100))
        self.assertEqual(self.node.asked, [("say", "one")])
        self.assertIn("not sent: more than", self.lines[0])
        self.assertEqual(len(self.lines), 1)
        self.paste("/who")
        self.assertEqual(self.node.asked[-1], ("who",))

    def test_end_of_input_discards_held_lines(self) -> None:
        self.paste("one", "/quit")
        self.ui.on_end()
        self.assertEqual(self.lines[-1], "* not sent: 1 pasted line")
        self.assertEqual(self.node.asked[-1], ("end_of_input",))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unanswered_held_lines_expire(self) -> None:
        self.paste("one", "/quit")
        self.clock.advance(ANSWER_WAIT)
        self.assertEqual(
            self.lines[-1],
            "* not sent, the question about commands was not answered: 1 pasted line",
        )
        self.paste("/who")
        self.assertEqual(self.node.asked[-1], ("who",))

    def test_interrupt_reports_unsent_lines(self) -> None:
        self.paste("one", "/quit")
        self.ui.on_interrupt()
        self.assertEqual(self.lines[-1], "* not sent: 1 pasted line")
        self.assertEqual(self.node.asked[-1], ("interrupted",))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drop_without_a_question_is_one_sentence(self) -> None:
        self.paste("/drop")
        self.assertEqual(self.lines, ["* no pasted lines are waiting for an answer"])

    @given(st.lists(st.lists(st.sampled_from(["/quit", "hi", "", "//x", "/drop", "/nothing"]))))
    def test_behind_a_text_no_command_of_a_paste_runs(self, pastes: list[list[str]]) -> None:
        self.setUp()
        for lines in pastes:
            before = list(self.node.asked)
            self.paste(*lines)
            text = next((i for i, line in enumerate(lines) if line not in ("/quit", "/drop")), None)
            quits = self.node.asked.count(("quit",)) - before.count(("quit",))
            commands = lines if text is None else lines[:text]
            self.assertLessEqual(quits, commands.count("/quit"))


class PipeTests(SynchronousTestCase):
    def test_from_a_pipe_everything_runs(self) -> None:
        node = asked_client()
        ui = PlainInterface(node, lambda line: None, lambda: Wall(0.0))
        for line in ("one", "/who", "", "/quit"):
            ui.on_line(line)
        self.assertEqual(node.asked, [("say", "one"), ("who",), ("quit",)])

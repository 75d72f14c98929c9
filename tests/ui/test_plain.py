"""The plain interface, line for line."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.node.events import Answer, MessageReceived, Sent
from chatproto.ui.plain import Plain
from tests.ui.asked import AskedNode


class PlainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = AskedNode()
        self.lines: list[str] = []
        self.ui = Plain(self.node, self.lines.append)

    def test_a_line_is_said_and_a_command_is_run(self) -> None:
        self.ui.on_line('it\'s "fine"')
        self.ui.on_line("/chat bob")
        self.assertEqual(self.node.asked, [("say", 'it\'s "fine"'), ("chat", "bob", "")])
        self.assertEqual(self.lines, [])

    def test_a_quote_begins_no_json_here(self) -> None:
        self.ui.on_line('"half')
        self.assertEqual(self.node.asked, [("say", '"half')])

    def test_a_mistyped_command_is_one_line(self) -> None:
        self.ui.on_line("/regster")
        self.assertEqual(self.lines, ["* there is no /regster; did you mean /register?"])
        self.assertEqual(self.node.asked, [])

    def test_a_mistyped_command_with_control_characters_is_shown_not_obeyed(self) -> None:
        self.ui.on_line("/reg\x1b[2Jster")
        self.assertNotIn("\x1b", self.lines[0])

    def test_help_is_lines_of_the_program(self) -> None:
        self.ui.on_line("/help quit")
        self.assertEqual(self.lines[0], "* /quit")
        self.assertTrue(all(line.startswith("* ") for line in self.lines))

    def test_each_event_is_written_as_its_lines(self) -> None:
        for event in (MessageReceived("bob", "a\nb"), Sent("x", to="bob"), Answer("id", ("me",))):
            self.ui.tell(event)
        self.assertEqual(self.lines, ["bob> a", "bob> b", "me"])

    def test_an_empty_line_is_nothing(self) -> None:
        self.ui.on_line("")
        self.assertEqual((self.node.asked, self.lines), ([], []))

    def test_the_end_of_input_goes_to_the_node(self) -> None:
        self.ui.on_end()
        self.assertEqual(self.node.asked, [("end_of_input",)])

"""The plain interface, line for line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import CommandOutput, MessageReceived, Notice, Running, Sent
from chatproto.net.clock import Wall
from chatproto.ui.paste import Paste
from chatproto.ui.plain import PlainInterface
from tests.limits import DEFAULTS
from tests.ui.asked import asked_client


class PlainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = asked_client()
        self.lines: list[str] = []
        self.ui = PlainInterface(self.node, self.lines.append, lambda: Wall(0.0))

    def test_line_is_sent_and_command_is_run(self) -> None:
        self.ui.on_line('it\'s "fine"')
        self.ui.on_line("/chat bob")
        self.assertEqual(self.node.asked, [("say", 'it\'s "fine"'), ("chat", "bob", "")])
        self.assertEqual(self.lines, [])

    def test_quote_does_not_begin_json(self) -> None:
        self.ui.on_line('"half')
        self.assertEqual(self.node.asked, [("say", '"half')])

    def test_a_mistyped_command_is_one_line(self) -> None:
        self.ui.on_line("/regster")
        self.assertEqual(self.lines, ["* unknown command /regster: did you mean /register?"])
        self.assertEqual(self.node.asked, [])

    def test_a_mistyped_command_with_control_characters_is_shown_not_obeyed(self) -> None:
        self.ui.on_line("/reg\x1b[2Jster")
        self.assertNotIn("\x1b", self.lines[0])

    def test_help_is_lines_of_the_program(self) -> None:
        self.ui.on_line("/help quit")
        self.assertEqual(self.lines[0], "* /quit")
        self.assertTrue(all(line.startswith("* ") for line in self.lines))

    def test_each_event_is_written_as_its_lines(self) -> None:
        for event in (
            MessageReceived("bob", "a\nb"),
            Sent("x", to="bob"),
            CommandOutput("id", ("me",)),
        ):
            self.ui.tell(event)
        self.assertEqual(self.lines, ["bob> a", "bob> b", "me"])

    def test_queued_room_text_is_reported_when_delivered(self) -> None:
        self.ui.tell(Sent("before", 1, room="#tea"))
        self.ui.tell(Notice("queued until the server can be reached", to="#tea"))
        self.lines.clear()
        self.ui.tell(Sent("hi", 2, room="#tea"))
        self.ui.tell(Sent("after", 3, room="#tea"))
        self.assertEqual(self.lines, ["* delivered to #tea: hi"])

    def test_help_hint_is_shown_on_terminals_only(self) -> None:
        started = Running("alice", "127.0.0.1", 3000)
        self.ui.tell(started)
        self.assertEqual(self.lines, ["alice running on 127.0.0.1:3000"])
        self.lines.clear()
        PlainInterface(self.node, self.lines.append, lambda: Wall(0.0), Clock()).tell(started)
        self.assertEqual(
            self.lines, ["alice running on 127.0.0.1:3000", "* /help lists the commands"]
        )

    def test_times_have_the_form_that_was_chosen(self) -> None:
        ui = PlainInterface(
            self.node, self.lines.append, lambda: Wall(0.0), times=True, form="%M minutes"
        )
        ui.tell(Notice("hello"))
        self.assertEqual(self.lines, ["00 minutes * hello"])

    def test_an_empty_line_is_nothing(self) -> None:
        self.ui.on_line("")
        self.assertEqual((self.node.asked, self.lines), ([], []))

    def test_end_of_input_is_passed_to_the_client(self) -> None:
        self.ui.on_end()
        self.assertEqual(self.node.asked, [("end_of_input",)])


class PasteTests(SynchronousTestCase):
    """On a terminal, where the current target is a room."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.node = asked_client()
        self.node.conversations.room = "#den"
        self.more = False
        self.ui = PlainInterface(
            self.node, lambda line: None, lambda: Wall(0.0), self.clock, lambda: self.more
        )

    def test_a_hundred_lines_at_once_are_one_message(self) -> None:
        lines = [f"  line {number}" for number in range(100)]
        for line in lines:
            self.ui.on_line(line)
        self.assertEqual(self.node.asked, [])
        self.clock.advance(DEFAULTS.paste_gap)
        self.assertEqual(self.node.asked, [("say", "\n".join(lines))])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unread_line_belongs_to_the_paste(self) -> None:
        self.ui.on_line("one")
        self.more = True
        self.clock.advance(60 * DEFAULTS.paste_gap)
        self.ui.on_line("/quit")
        self.more = False
        self.clock.advance(DEFAULTS.paste_gap)
        self.assertEqual(self.node.asked, [("say", "one\n/quit")])

    def test_typed_lines_are_separate_messages(self) -> None:
        for line in ("one", "two"):
            self.ui.on_line(line)
            self.clock.advance(DEFAULTS.paste_gap)
        self.assertEqual(self.node.asked, [("say", "one"), ("say", "two")])

    def test_pasted_lines_are_no_commands(self) -> None:
        for line in ("//first", "", "/quit", "//x"):
            self.ui.on_line(line)
        self.clock.advance(1)
        self.assertEqual(self.node.asked, [("say", "/first\n\n/quit\n//x")])

    def test_command_before_a_paste_runs(self) -> None:
        self.ui.on_line("/names")
        self.ui.on_line("")
        self.clock.advance(1)
        self.assertEqual(self.node.asked, [("names", "")])

    def test_outside_a_room_every_line_is_a_message(self) -> None:
        self.node.conversations.room = ""
        self.ui.on_line("one")
        self.ui.on_line("two")
        self.assertEqual(self.node.asked, [("say", "one"), ("say", "two")])

    def test_end_of_input_ends_the_paste(self) -> None:
        self.ui.on_line("one")
        self.ui.on_line("two")
        self.ui.on_end()
        self.assertEqual(self.node.asked, [("say", "one\ntwo"), ("end_of_input",)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(st.lists(st.text(min_size=1, max_size=5000).filter(str.strip), min_size=1))
    def test_long_paste_is_sent_in_several_messages(self, lines: list[str]) -> None:
        said: list[str] = []
        paste = Paste(self.clock, said.append)
        for line in lines:
            paste.add(line)
        paste.end()
        self.assertEqual("\n".join(said).split("\n"), "\n".join(lines).rstrip("\n").split("\n"))
        for text in said:
            fits = len(text.encode()) <= DEFAULTS.body_to_server
            self.assertTrue(fits or text.count("\n") == 0 or text in lines)

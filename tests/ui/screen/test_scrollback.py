"""Test what the scrollback makes of events."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import CommandOutput, MessageReceived, RoomChanged
from chatproto.net.clock import EPOCH
from chatproto.ui.commands import help_answer
from chatproto.ui.screen.glyphs import ASCII, UNICODE, Glyphs
from chatproto.ui.screen.keymap import read_keymap
from chatproto.ui.screen.scrollback import Scrollback
from chatproto.ui.screen.styles import Line
from chatproto.wire.actions import ACTION, marked

DATA = {"id": "bob", "number": " ".join(["01234"] * 12), "verified": False}
VERIFY = CommandOutput("verify", ("the digits",), DATA)


def text(line: Line) -> str:
    return "".join(part for _, part in line)


def made(columns: int = 80, glyphs: Glyphs = UNICODE, height: int = 24) -> Scrollback:
    return Scrollback("alice", lambda: columns, lambda: height, glyphs, "%Hh%M")


class ScrollbackTests(SynchronousTestCase):
    def test_an_action_is_told_from_a_notice(self) -> None:
        event = MessageReceived("bob", marked("left", ACTION), said=EPOCH)
        *_, row = made().event(event, EPOCH)
        self.assertRegex(text(row), r"bob +\* left")
        self.assertNotIn("\x01", text(row))

    def test_a_safety_number_has_a_code_where_it_fits(self) -> None:
        shown = [text(row) for row in made(40).event(VERIFY, EPOCH)]
        self.assertTrue(any("█" in row for row in shown))
        self.assertLessEqual(max(map(len, shown)), 40)
        for narrow in (made(25), made(height=14), made(glyphs=ASCII)):
            shown = [text(row) for row in narrow.event(VERIFY, EPOCH)]
            self.assertFalse(any("█" in row for row in shown))
        low = [text(row) for row in made(height=14).event(VERIFY, EPOCH)]
        self.assertIn("enlarge the terminal", low[-1])

    def test_help_names_the_keys_that_were_chosen(self) -> None:
        keys = read_keymap({"accept": "f5", "editor": "ctrl-g", "unread": "alt-u"})
        scrollback = Scrollback("alice", lambda: 80, lambda: 24, UNICODE, keys=keys)
        shown = [text(row) for row in scrollback.event(help_answer("keys"), EPOCH)]
        self.assertIn("  F5 Alt-d Alt-v     accept, decline, or verify the caller first", shown)
        self.assertIn("  Ctrl-G             write the line in $EDITOR", shown)
        self.assertIn("  Alt-u              switch to the next one with unread lines", shown)
        usual = [text(row) for row in made().event(help_answer("keys"), EPOCH)]
        self.assertEqual(usual, [f"  {line}" for line in help_answer("keys").lines])

    def test_last_lines_of_a_conversation_are_folded(self) -> None:
        said = MessageReceived("bob", "\n".join(map(str, range(1000))), said=EPOCH, history=True)
        shown = [text(row) for row in made().last([said], 0, "bob: last lines", EPOCH)]
        self.assertIn("… 997 more lines", shown[-1])
        self.assertEqual(len(made().event(said, EPOCH)), 1001)

    def test_every_time_has_the_chosen_format(self) -> None:
        muted = RoomChanged("#tea", "muted", id="bob", by="carol", until="1970-01-01T00:00:30Z")
        *_, row = made().event(muted, EPOCH)
        self.assertRegex(text(row), r"^\d\dh\d\d .*until \d\dh\d\d")

"""Test what the scrollback makes of events."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import CommandOutput, MessageReceived
from chatproto.net.clock import EPOCH
from chatproto.ui.screen.glyphs import ASCII, UNICODE, Glyphs
from chatproto.ui.screen.scrollback import Scrollback
from chatproto.ui.screen.styles import Line
from chatproto.wire.actions import ACTION, marked

DATA = {"id": "bob", "number": " ".join(["01234"] * 12), "verified": False}
VERIFY = CommandOutput("verify", ("the digits",), DATA)


def text(line: Line) -> str:
    return "".join(part for _, part in line)


def made(columns: int = 80, glyphs: Glyphs = UNICODE) -> Scrollback:
    return Scrollback("alice", lambda: columns, glyphs)


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
        for narrow in (made(25), made(glyphs=ASCII)):
            shown = [text(row) for row in narrow.event(VERIFY, EPOCH)]
            self.assertFalse(any("█" in row for row in shown))

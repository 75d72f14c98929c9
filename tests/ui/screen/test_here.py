"""The prompt and the status line say who gets the next line, and how safe that is."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.screen.glyphs import ASCII, UNICODE
from chatproto.ui.screen.here import Here, prompt_line, status_parts


class HereTests(SynchronousTestCase):
    def prompt(self, columns: int = 80, **what: Any) -> str:
        return "".join(text for _, text in prompt_line(Here(**what), UNICODE, columns))

    def status(self, columns: int = 80, **what: Any) -> str:
        return "".join(text for _, text in status_parts(Here(**what), UNICODE, columns))

    def test_prompt_names_the_recipient_and_how_safe_it_is(self) -> None:
        bob: dict[str, Any] = {"kind": "peer", "name": "bob", "state": "open"}
        self.assertEqual(self.prompt(), "to nobody> ")
        self.assertEqual(self.prompt(waiting=True), "waiting to be called> ")
        self.assertEqual(self.prompt(**bob, security="open"), "to bob open> ")
        self.assertEqual(self.prompt(**bob, security="encrypted"), "to bob 🔒> ")
        self.assertEqual(self.prompt(**bob, security="verified"), "to bob 🔒✓> ")
        self.assertEqual(
            self.prompt(**bob, security="open", turn="mine"), "to bob open your turn> "
        )
        self.assertEqual(
            self.prompt(**bob, security="open", turn="theirs"), "to bob open their turn, held> "
        )
        self.assertEqual(self.prompt(kind="peer", name="bob", state="calling"), "to bob calling> ")
        self.assertEqual(self.prompt(kind="away", name="bob"), "to bob away> ")
        self.assertEqual(self.prompt(kind="ended", name="bob"), "to nobody (was bob)> ")
        self.assertEqual(self.prompt(kind="room", name="#tea"), "to #tea> ")

    def test_open_is_a_word_and_a_warning_also_without_colours(self) -> None:
        line = prompt_line(Here("peer", "bob", "open", state="open"), ASCII, 80)
        self.assertIn(("warn", " open"), line)

    def test_status_begins_with_the_recipient(self) -> None:
        bob: dict[str, Any] = {"kind": "peer", "name": "bob", "state": "open", "path": "relay"}
        self.assertEqual(self.status(**bob, security="verified"), "bob 🔒verified · relayed")
        self.assertEqual(self.status(40, **bob, security="verified"), "bob 🔒verified")
        self.assertEqual(
            self.status(kind="room", name="#tea", count=4), "#tea · 4 here · server can read"
        )
        self.assertEqual(self.status(40, kind="room", name="#tea", count=4), "#tea · 4 here")
        outside: dict[str, Any] = {"kind": "room", "name": "#tea", "state": "outside", "count": 4}
        self.assertEqual(
            self.status(**outside), "#tea · not joined yet: lines wait · server can read"
        )
        self.assertEqual(self.status(40, **outside), "#tea · waiting")
        self.assertEqual(self.status(kind="away", name="bob"), "bob · away: lines are queued")

    def test_peer_who_says_to_be_away_is_shown_so(self) -> None:
        bob: dict[str, Any] = {"kind": "peer", "name": "bob", "state": "open"}
        self.assertEqual(self.status(**bob, away="lunch\x1b"), "bob · away: lunch␛")
        self.assertEqual(self.status(40, **bob, away="lunch"), "bob · away: lunch")
        self.assertEqual(
            self.status(kind="away", name="bob", away="lunch"),
            "bob · says: lunch · away: lines are queued",
        )
        self.assertLessEqual(len(self.status(40, **bob, away="x" * 200)), 40)

    def test_hostile_name_is_shown_legibly(self) -> None:
        for kind in ("peer", "away", "ended"):
            name = "a b>\x1b[2J\u202e\n"
            self.assertTrue(self.prompt(kind=kind, name=name, state="open").isprintable())
            self.assertTrue(self.status(kind=kind, name=name, state="open").isprintable())

    def test_long_name_leaves_room_for_what_is_unread(self) -> None:
        for columns in (40, 80, 120):
            status = self.status(columns, kind="peer", name="x" * 64, state="open")
            self.assertLessEqual(len(status), columns // 3)
            self.assertTrue(status.startswith("x" * 12))

    def test_long_name_leaves_room_for_the_line(self) -> None:
        self.assertLessEqual(len(self.prompt(40, kind="room", name="#" + "x" * 64)), 17)

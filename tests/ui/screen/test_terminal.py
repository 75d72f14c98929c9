"""The screen as a person sees it: keys, questions, marks, and lines that arrive."""

from __future__ import annotations

import json
import os
import re
import stat
import termios

from chatproto.client.events import FileChanged, Undelivered
from chatproto.ui.screen.attention import BETWEEN
from chatproto.ui.screen.glyphs import ASCII
from chatproto.ui.screen.keymap import STANDS, read_keymap
from chatproto.ui.screen.starting import StartingInterface
from chatproto.wire import bcp2_server
from tests.client.keyed_program import BOB
from tests.client.tls_net import FarPerson
from tests.ui.screen.memory_screen import ScreenCase

DAY = "── Friday, 2 January 2026 ──"
"""Of the messages that the far ends send."""


class TalkTests(ScreenCase):
    """Alice at her terminal; bob and carol are known to her, eve is not."""

    def with_bob(self) -> FarPerson:
        """Have bob call; alice's program takes the call of a contact."""
        bob = self.called("bob")
        self.expect_prompt("to bob 🔒>")
        return bob

    def test_a_half_line_stays_whatever_arrives(self) -> None:
        bob = self.with_bob()
        self.type("half a line")
        for number in range(100):
            bob.says(f"message {number} \x1b[2J\x9b2J\u202e")
        self.expect("message 99 ␛[2J")
        self.settle()
        self.expect_prompt("to bob 🔒> half a line")
        self.assertEqual(sum("message" in row for row in self.text.split("\n")), 100)
        self.assertNotIn(b"\x1b[2J", self.raw)

    def test_own_lines_have_their_mark(self) -> None:
        bob = self.with_bob()
        self.enter("hello bob")
        self.expect("you          hello bob ✓")
        self.enter("//slash one")
        self.expect("you          /slash one ✓")
        self.pass_time(1.0)
        self.assertNotIn("//slash", self.text)
        bob.acknowledges = False
        self.enter("are you there?")
        self.pass_time(1.0)
        self.assertIn("you          are you there?\n", self.text)
        self.node.publish(Undelivered("bob", "connection lost", 3, "are you there?"))
        self.expect("not delivered to bob: are you there? (connection lost)")
        bob.leaves()
        self.expect_prompt("to nobody (was bob)>")
        self.called("carol")
        self.expect("talking with carol")
        self.enter("hello?")
        self.expect("not sent: the conversation with bob has ended (/chat bob calls again)")
        self.type("\r")
        self.expect("!! you are in no conversation: /switch carol to answer")
        self.type("\x15")
        self.enter("/switch bob")
        self.expect_prompt("to bob away>")
        self.enter("until later")
        self.expect("until later [queued, /unsend ")

    def test_a_line_for_somebody_who_left_stays(self) -> None:
        bob = self.with_bob()
        self.type("for bob only")
        bob.leaves()
        self.wait_for(lambda: "(was bob)> for bob only" in self.prompt, "the end")
        self.type("\r")
        self.expect("not sent: the conversation with bob has ended")
        self.assertTrue(self.prompt.endswith("for bob only"))
        self.assertEqual(bob.texts, [])

    def test_a_failed_call_leads_back_to_the_conversation_before(self) -> None:
        bob = self.with_bob()
        self.enter("/chat nosuchperson")
        self.expect("what you type goes to bob again")
        self.expect_prompt("to bob 🔒>")
        self.enter("for nosuchperson")
        self.expect("!! not sent")  # begun at once, perhaps without a look at the prompt
        self.assertEqual(bob.texts, [])
        self.type("\x15")
        self.enter("/chat 10.0.0.9:3001")
        self.expect_prompt("to 10.0.0.9:3001 calling>")
        self.pass_time(60.0)
        self.expect_prompt("to bob 🔒>")
        self.enter("hello bob")
        self.expect("hello bob ✓")
        self.assertEqual(bob.texts, ["hello bob"])

    def test_a_failed_call_leads_to_nobody_else_than_before(self) -> None:
        bob = self.with_bob()
        self.called("carol")
        self.enter("/chat 10.0.0.9:3001")
        self.expect_prompt("to 10.0.0.9:3001 calling>")
        bob.leaves()
        self.pass_time(60.0)
        self.expect_prompt("to nobody (was 10.0.0.9:3001)>")

    def test_leave_closes_the_tab_of_who_has_left(self) -> None:
        self.with_bob()
        carol = self.called("carol")
        carol.says("bye")
        self.expect("[2:carol 1]")
        carol.leaves()
        self.expect("carol left")
        self.enter("/leave carol")
        self.expect("closed carol, which was over already")
        self.wait_for(lambda: "[2:carol" not in self.display[self.screen.cursor.y - 1], "no tab")
        self.enter("/leave carol")
        self.expect('no conversation with "carol"')
        self.expect_prompt("to bob 🔒>")

    def test_a_caller_who_leaves_at_once_keeps_a_tab(self) -> None:
        eve = self.called("eve")
        self.expect("eve calls")
        self.type("\x1ba")
        self.expect_prompt("to eve? 🔒>")
        eve.leaves()
        self.expect("eve? left")
        self.expect_prompt("to nobody (was eve?)>")
        self.assertIn("[1:eve?]", self.display[self.screen.cursor.y - 1])
        self.type("\x1b1")
        self.expect('no conversation with "eve?": /chat eve calls')

    def test_quit_says_what_is_still_open(self) -> None:
        self.with_bob()
        carol = self.called("carol")
        self.expect("talking with carol")
        self.enter("/quit")
        self.expect("/quit once more ends the program (still open: carol)")
        self.assertNotIn("bob]", self.display[self.screen.cursor.y - 1])
        self.assertEqual(self.codes, [])
        self.enter("/quit")
        self.wait_for(lambda: carol.left, "the end")

    def test_command_behind_a_blank_is_not_sent(self) -> None:
        bob = self.with_bob()
        self.enter(" /help")
        self.expect("!! not sent: a blank stands before /help. Without it the command is")
        self.expect_prompt("to bob 🔒>  /help")
        self.type("\x15")
        self.enter(" /usr is a folder")
        self.expect("/usr is a folder ✓")
        self.assertEqual(bob.texts, [" /usr is a folder"])

    def test_switching_shows_what_is_unread(self) -> None:
        self.with_bob()
        carol = self.called("carol")
        carol.says("one", "two", "three")
        self.expect("[2:carol 3]")
        self.expect_prompt("to bob 🔒>")
        self.assertNotEqual(self.style_of("carol        three"), "default")
        self.type("\x1bn")
        self.expect_prompt("to carol 🔒>")
        self.expect(DAY)
        rows = self.display
        begin = rows.index("── carol: last lines ──")
        self.assertEqual(rows[begin + 1 : begin + 3], ["── 3 unread ──", DAY])
        self.assertRegex(rows[begin + 3], r"^\d\d:\d\d carol +one$")
        self.assertIn("[1:bob]", rows[self.screen.cursor.y - 1])
        self.type("\x1b1")
        self.expect_prompt("to bob 🔒>")

    def test_no_typed_letter_answers_a_question(self) -> None:
        self.with_bob()
        self.pass_time(BETWEEN)  # the bell has just rung
        eve = self.called("eve")
        asked = "? eve calls (encrypted, not confirmed):"
        self.expect(asked)
        self.assertIn(b"\a\x1b]9;eve calls\x1b\\", self.raw)
        for letter in "add a valid advert":
            self.type(letter)
            self.pass_time(STANDS)
        self.expect_prompt("to bob 🔒> add a valid advert")
        self.type("\r")
        self.expect("add a valid advert ✓")  # Enter answers nothing
        self.type("a")
        self.expect_prompt("to bob 🔒> a")
        self.type("\x7f\x1bv")
        self.expect("if eve? sees the same digits")
        self.pass_time(STANDS)
        self.assertTrue(any(asked in row for row in self.display))
        for letter in "alright":
            self.type(letter)
            self.pass_time(0.1)
        self.pass_time(STANDS)
        self.expect_prompt("to bob 🔒> alright")
        self.type("\x15")
        self.pass_time(STANDS)
        self.type("d")
        self.wait_for(lambda: not any(asked in row for row in self.display), "no question")
        self.expect_prompt("to bob 🔒>")
        self.assertTrue(eve.messages)

    def test_a_question_goes_when_the_caller_does(self) -> None:
        self.with_bob()
        eve = self.called("eve")
        self.expect("? eve calls (encrypted, not confirmed):")
        eve.leaves()
        self.wait_for(lambda: not any("? eve calls" in row for row in self.display), "no question")

    def test_accepting_while_typing_leaves_the_target(self) -> None:
        self.with_bob()
        self.called("eve")
        self.expect("? eve calls")
        self.type("half\x1ba")
        self.expect("[2:eve")
        self.expect_prompt("to bob 🔒> half")

    def test_keys_of_the_line(self) -> None:
        bob = self.with_bob()
        for line in ("first line", "second line"):
            self.enter(line)
        self.type("\x1b[A\x1b[A")
        self.expect_prompt("to bob 🔒> first line")
        self.type("\x03")
        self.expect("Ctrl-C once more quits")
        self.expect_prompt("to bob 🔒>")
        self.type("\x12")
        self.type("second")
        self.expect("I-search backward: second")
        self.type("\r")
        self.expect_prompt("to bob 🔒> second line")
        self.type("\x03")
        for key in ("one", "\x1b\r", "two"):
            self.type(key)
            self.pass_time(0.2)
        self.expect_prompt("two")
        self.type("\r")
        self.wait_for(lambda: "one\ntwo" in bob.texts, "a message of two lines")
        self.expect("┊ two ✓")
        kept = [json.loads(line) for line in self.history.read_text().splitlines()]
        self.assertEqual(kept, ["first line", "second line", "one\ntwo"])
        self.assertEqual(stat.S_IMODE(self.history.stat().st_mode), 0o600)

    def test_the_line_is_written_in_an_editor(self) -> None:
        editor = self.home / "editor"
        editor.write_text('#!/bin/sh\nprintf "%s and more" "$(cat "$1")" >"$1"\n')
        editor.chmod(0o700)
        self.patch(os, "environ", {**os.environ, "VISUAL": str(editor)})
        bob = self.with_bob()
        self.type("half\x18\x05")
        self.expect_prompt("to bob 🔒> half and more")
        self.assertEqual(bob.texts, [])

    def test_a_paste_is_text_and_asked_about_once(self) -> None:
        bob = self.with_bob()
        pasted = "\n".join(["/quit", *(f"line {number}" for number in range(999))])
        self.type(f"\x1b[200~{pasted}\x1b[201~")
        self.type("\r")
        self.expect("send 1000 lines as one message? Enter sends, Esc takes back")
        self.type("\x1b")
        self.wait_for(lambda: "Esc takes back" not in self.text, "no question")
        self.type("\r")
        self.expect("Esc takes back")
        self.type("\r")
        self.expect("… 997 more lines ✓")
        self.assertEqual(bob.texts, [pasted])
        self.assertEqual(self.codes, [])

    def test_tab_completes_and_lists(self) -> None:
        self.with_bob()
        self.type("/sw\t")
        self.expect_prompt("to bob 🔒> /switch")
        self.type("c\t")
        self.expect_prompt("to bob 🔒> /switch carol")
        self.type("\x15/m\t\t")
        self.expect("/me    /mode  /msg   /mute")
        (self.home / "my file.txt").touch()
        self.type(f"\x15/send {self.home}/my\t")
        self.expect("my\\ file.txt")

    def test_a_secret_is_typed_unseen(self) -> None:
        got: list[str] = []
        self.terminal.ask_secret("password for ann at the server", got.append)
        self.wait_for(lambda: self.prompt.startswith("password for ann"), "the question")
        self.type("geheim")
        self.assertNotIn("geheim", self.text)
        self.type("\r")
        self.expect_prompt("to nobody>")
        self.assertEqual(got, ["geheim"])
        self.assertNotIn("geheim", self.history.read_text() if self.history.exists() else "")

    def test_a_secret_answers_no_question(self) -> None:
        got: list[str] = []
        self.with_bob()
        self.called("eve")
        self.expect("? eve calls (encrypted, not confirmed):")
        self.terminal.ask_secret("type the password", got.append)
        self.wait_for(lambda: self.prompt.startswith("type the password"), "the question")
        self.pass_time(STANDS)
        for letter in "adv":
            self.type(letter)
            self.pass_time(2 * STANDS)
        self.type("\r")
        self.expect_prompt("to bob 🔒>")
        self.assertEqual(got, ["adv"])
        self.expect("? eve calls (encrypted, not confirmed):")

    def test_a_line_that_stands_where_a_secret_is_wanted_is_told_the_way_out(self) -> None:
        self.type("hel")
        self.expect_prompt("to nobody> hel")
        self.terminal.ask_secret("type the password", lambda typed: None)
        self.expect("!! type the password: once this line is empty, Ctrl-C clears it")
        self.type("lo")
        self.expect_prompt("to nobody> hello")
        self.expect("!! type the password: once this line is empty")
        self.type("\x03")
        self.wait_for(lambda: self.prompt.startswith("type the password:"), "the question")

    def test_a_file_has_a_bar_while_it_moves_and_one_line_at_its_end(self) -> None:
        self.with_bob()
        moving = FileChanged(3, "notes.txt", "moving", 630, 1000, to="bob", rate=100, left=4)
        self.node.publish(moving)
        self.expect("notes.txt to bob")
        self.expect("files 1: 63%")
        self.node.publish(FileChanged(3, "notes.txt", "done", 1000, 1000, to="bob"))
        self.wait_for(lambda: "files 1:" not in self.text, "no bar")
        self.assertEqual(self.text.count("bob received notes.txt"), 1)

    def test_ctrl_c_twice_ends_the_program(self) -> None:
        self.type("something\x03\x03")
        self.wait_for(lambda: self.codes == [0], "the end of the program")

    def test_ctrl_d_ends_the_program_on_an_empty_line_only(self) -> None:
        self.type("x\x01\x04\x04")  # it deletes the letter, and then there is none
        self.wait_for(lambda: self.codes == [0], "the end of the program")

    def test_the_terminal_is_given_back_at_once_when_the_program_crashes(self) -> None:
        self.type("half a line")
        self.assertNotEqual(termios.tcgetattr(self.stdin), self.before)
        drawn = len(self.raw)
        self.terminal.restore()  # at the end of the process, however it ends
        self.assertEqual(termios.tcgetattr(self.stdin), self.before)
        self.wait_for(lambda: b"\x1b[?7h" in self.raw[drawn:], "its usual modes")
        self.assertGreater(self.raw.rindex(b"\x1b[?2004l"), self.raw.rindex(b"\x1b[?2004h"))

    def test_the_first_help_fits_the_screen(self) -> None:
        self.enter("/help")
        self.expect("/help COMMAND")
        self.assertIn("/chat", "\n".join(self.display))
        self.assertLessEqual(sum(row.startswith("  ") for row in self.display), 20)


class AwayTests(ScreenCase):
    """A server tells who says to be away."""

    server = True

    def test_peer_who_is_away_is_shown_where_one_writes_to_them(self) -> None:
        self.called("bob")
        self.expect_prompt("to bob 🔒>")
        [watch] = self.directory.heard(bcp2_server.Watch)
        self.assertEqual(watch.peer_id, "bob")
        self.directory.tell(bcp2_server.Presence("bob", "online", "lunch"))
        self.expect("bob is online, away: lunch")
        self.expect("· away: lunch ")
        for text in ("", "tea", ""):
            self.directory.tell(bcp2_server.Presence("bob", "online", text))
            self.settle()
        self.assertEqual(self.text.count("bob is online\n"), 2)
        self.assertNotIn("away:", self.display[self.screen.cursor.y - 1])
        self.assertEqual(self.directory.heard(bcp2_server.Unwatch), [])

    def test_own_absence_is_in_the_status_line(self) -> None:
        self.enter("/away back at five")
        self.expect("you are away: back at five")
        self.expect("│ you are away ──")
        self.enter("/away")
        self.expect("you are no longer away")
        self.wait_for(
            lambda: "away" not in self.display[self.screen.cursor.y - 1], "no such status line"
        )


class NarrowTests(ScreenCase):
    """A terminal of 40 by 24, and keys that were chosen."""

    columns = 40
    keys = read_keymap({"accept": "f5"})

    def test_everything_fits_on_40_columns(self) -> None:
        bob = self.called("bob")
        self.expect_prompt("to bob 🔒>")
        bob.says("漢字" * 30 + " end", "a sentence that is longer than forty columns, and goes on")
        self.expect("goes on")
        self.assertEqual(self.text.count("漢"), 30)
        self.assertTrue(self.display[self.screen.cursor.y - 1].startswith("── bob 🔒encrypted"))
        self.enter("/verify")
        self.expect("if bob sees the same digits")
        groups = [row.split() for row in self.text.split("\n") if row.strip()[:5].isdigit()]
        digits = [group for row in groups for group in row if group.isdigit() and len(group) == 5]
        self.assertEqual(len(digits), 12)
        self.enter("/verify bob yes")
        self.expect("  bob is verified")
        self.enter("/verify bob")
        self.expect("bob is verified: these digits were")
        self.called("eve")
        self.expect("F5 accept")
        self.type("\x1b[15~")
        self.expect_prompt("to eve? 🔒>")

    def test_the_first_help_fits_the_screen(self) -> None:
        self.enter("/help")
        self.expect("/help COMMAND")
        rows = [row for row in self.display if row.startswith("  ")]
        self.assertTrue(rows[0].startswith("  /chat id"))
        self.assertLessEqual(len(rows), 20)

    def test_a_resize_leaves_one_prompt(self) -> None:
        bob = self.called("bob")
        self.expect_prompt("to bob 🔒>")
        self.type("half a line")
        for number, columns in enumerate((80, 120, 40, 60)):
            bob.says(f"line {number}")
            self.resize(columns)
            self.settle()
        self.expect_prompt("to bob 🔒> half a line")
        self.assertEqual(self.text.count("to bob 🔒>"), 1)


class WideTests(ScreenCase):
    """A terminal of 120 by 40."""

    columns, rows = 120, 40

    def test_the_prompt_says_whose_turn_it_is(self) -> None:
        self.called("bob")
        self.enter("/mode half")
        self.expect_prompt("to bob 🔒 your turn>")
        self.enter("mine")
        self.expect_prompt("to bob 🔒 their turn, held>")
        self.assertIn("their turn: your lines are held", self.display[self.screen.cursor.y - 1])
        self.enter("later")
        self.expect("later [held until your turn]")

    def test_names_stand_in_a_column_of_sixteen(self) -> None:
        bob = self.called("bob")
        bob.says("first\nlines")
        self.expect("┊ lines")
        shown = [row for row in self.display if "first" in row or "┊" in row]
        self.assertEqual(
            [row.index(word) for row, word in zip(shown, ("first", "┊"), strict=True)], [23, 23]
        )


class BareTests(ScreenCase):
    """A terminal without colours and without UTF-8."""

    colours = 0
    glyphs = ASCII
    encoding = "ascii"

    def test_meaning_needs_neither_colours_nor_signs(self) -> None:
        bob = self.called("bob")
        self.expect_prompt("to bob>")
        self.assertIn("-- bob encrypted - same network --", self.display)
        bob.says("grüße 漢")
        self.expect("gr??e ?")
        self.enter("hello")
        self.expect("hello ok")
        self.assertTrue(self.raw.isascii())
        self.assertEqual(re.findall(rb"\x1b\[[0-9;]*[34][0-9][0-9;]*m", self.raw), [])


class CallTests(ScreenCase):
    """Calls that are placed from the screen."""

    def test_the_prompt_follows_a_call(self) -> None:
        self.enter(f"/chat {BOB}")
        self.wait_for(lambda: self.prompt.endswith(" calling>"), "a call")
        self.person("bob", takes=False)
        self.wait_for(lambda: "ringing>" in self.prompt, "a call that rings")
        self.assertIn("· ringing", self.display[self.screen.cursor.y - 1])


class EarlyTests(ScreenCase):
    """The prompt stands before the client is there."""

    def open(self) -> None:
        self.ends = 0

        def end() -> None:
            self.ends += 1

        self.starting = StartingInterface(lambda: self.columns, self.glyphs, end)
        super().open()

    def begin_terminal(self) -> None:
        self.terminal.open()

    def first_interface(self) -> StartingInterface:
        return self.starting

    def run_client(self) -> None:
        self.terminal.show(self.ui)
        self.terminal.start()

    def test_a_line_begun_before_the_client_runs_is_for_it(self) -> None:
        self.wait_for(lambda: self.terminal.opened.called, "the prompt")
        self.assertIn("── starting ──", self.text)
        self.type("/i\t")
        self.expect_prompt("to nobody> /i")
        self.type("d")
        self.expect_prompt("to nobody> /id")
        self.run_client()
        self.expect("no conversation")
        self.expect_prompt("to nobody> /id")
        self.type("\r")
        self.expect("  alice")
        self.expect_prompt("to nobody>")

    def test_a_line_sent_before_is_carried_out_and_the_next_is_another(self) -> None:
        self.type("/id")
        self.expect_prompt("to nobody> /id")
        self.type("\r")
        self.type_ahead("/who")
        self.expect_prompt("to nobody> /id")
        self.run_client()
        self.expect("  alice")
        self.expect_prompt("to nobody> /who")

    def test_it_can_be_ended(self) -> None:
        self.type("half\x04")
        self.settle()
        self.assertEqual(self.ends, 0)
        self.type("\x03\x1b1\x1bn\x04")
        self.wait_for(lambda: self.ends == 1, "the end")
        self.type("\x03")
        self.assertEqual(self.ends, 2)

    def test_a_paste_before_is_text_too(self) -> None:
        self.type("\x1b[200~/quit\nmore\x1b[201~")
        self.expect_prompt("more")
        self.run_client()
        self.type("\r")
        self.expect("!! you are in no conversation")
        self.assertEqual(self.codes, [])

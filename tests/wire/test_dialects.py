"""Tests of what our side sends in each row, to the byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.dialects import DIALECTS, Dialect, Me
from chatproto.wire.errors import LocalError

ALICE = Me("alice", "127.0.0.1", 5556)
WHERE = b"clientID: alice\r\nIP: 127.0.0.1\r\nPort: 5556\r\n\r\n"
CALL = b"Incoming chat request from alice 127.0.0.1:5556"
COUNTED = b"CHAT\r\nType: MESSAGE\r\nLength: %d\r\n\r\n%b\r\n"

ROWS: dict[str, tuple[bytes, bytes, bytes]] = {
    "canon": (b"CHAT\r\n" + WHERE, b"hi\n", b"QUIT\r\n\r\n"),
    "chatreq": (b"CHATREQ\r\nclientID: alice\r\n\r\n", b"hi\n", b"/quit\n"),
    "idonly": (
        b"CHAT\r\nclientID: alice\r\n\r\n",
        b"CHAT\r\nclientID: alice\r\nhi\n\r\n\r\n",
        b"QUIT\r\n\r\n",
    ),
    "typeinit": (
        b"CHAT\r\nType: init\r\n" + WHERE,
        b"CHAT\r\nType: message\r\nMessage: hi\r\n\r\n",
        b"CHAT\r\nType: quit\r\n\r\n",
    ),
    "typelength": (
        COUNTED % (len(CALL), CALL),
        COUNTED % (2, b"hi"),
        b"CHAT\r\nType: QUIT\r\n\r\n",
    ),
    "chatmsg": (b"", b"CHAT\r\nMESSAGE:hi\r\n\r\n", b"QUIT\r\nover\r\n\r\n"),
    "idhdr": (
        b"ID: alice\r\nIP: 127.0.0.1\r\nPort: 5556\r\n\r\n",
        b"CHAT\r\nid: alice\r\nIP: 127.0.0.1\r\nport: 5556\r\ntext: hi\r\n\r\n",
        b"QUIT\r\nid: alice\r\n\r\n",
    ),
    "dialback": (b"", b"CHAT\r\nclientID: alice\r\ncontent: hi\r\n\r\n", b"QUIT\r\n\r\n"),
    "announce": (CALL + b"\n", b"hi\n", b"QUIT\r\n"),
    "prefixed": (b"", b"alice> hi\n\n", b"alice> /quit\n\n"),
    "crlf": (b"", b"hi\r\n", b"/quit\r\n"),
    "raw": (b"", b"hi\n", b"over\n"),
    "lobby": (b"", b"hi\n", b"over\n"),
}
"""Opener, `hi`, and the farewell `over`, to somebody who ends lines with a line feed."""


class RowTests(SynchronousTestCase):
    def test_every_row_is_sent_as_its_programs_send_it(self) -> None:
        self.assertEqual(list(DIALECTS), list(ROWS))
        for name, sent in ROWS.items():
            row = DIALECTS[name]
            ours = (
                row.opener(ALICE),
                row.frame(ALICE, "hi", b"\n"),
                row.farewell(ALICE, "over", b"\n"),
            )
            self.assertEqual(ours, sent, name)

    def test_bare_rows_end_their_lines_as_the_other_side_does(self) -> None:
        for row in DIALECTS.values():
            for end in (b"", b"\n", b"\r\n"):
                if row.bare:
                    wanted = b"hi\r\n" if row.name == "crlf" else b"hi" + end
                    self.assertEqual(row.frame(ALICE, "hi", end), wanted)

    def test_line_end_in_a_frame_becomes_a_blank(self) -> None:
        for row in DIALECTS.values():
            frame = row.frame(ALICE, "one\r\n\r\nQUIT\n\0two", b"")
            if row.bare:
                self.assertIn(b"one\r\n\r\nQUIT\n\0two", frame)
            else:
                self.assertEqual(frame, row.frame(ALICE, "one QUIT two", b""), row.name)

    @given(
        st.sampled_from(list(DIALECTS.values())),
        st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])),
    )
    def test_any_line_is_sent_unchanged(self, row: Dialect, text: str) -> None:
        self.assertIn(text.encode(), row.frame(ALICE, text, b""))

    def test_braces_are_only_braces(self) -> None:
        for row in DIALECTS.values():
            self.assertIn(b"{id} {} {", row.frame(ALICE, "{id} {} {", b""))

    def test_bytes_are_counted_not_characters(self) -> None:
        self.assertEqual(
            DIALECTS["typelength"].frame(ALICE, "gr\u00fcn", b""),
            COUNTED % (5, "gr\u00fcn".encode()),
        )

    def test_invalid_text_is_a_local_error(self) -> None:
        for row in DIALECTS.values():
            error = self.assertRaises(LocalError, row.frame, ALICE, "\ud800", b"")
            self.assertEqual(error.status, 400)

    def test_leave_without_a_word_sends_quit(self) -> None:
        self.assertEqual(DIALECTS["raw"].farewell(ALICE, "", b"\r\n"), b"quit\r\n")
        self.assertEqual(DIALECTS["chatmsg"].farewell(ALICE, "", b""), b"QUIT\r\nquit\r\n\r\n")

    def test_classic_rows_take_turns_and_raw_ones_need_not(self) -> None:
        loose = {"crlf", "raw", "lobby"}
        for row in DIALECTS.values():
            self.assertEqual(row.strict_turns, row.name not in loose, row.name)
            self.assertEqual(row.takes_turns, row.name != "lobby", row.name)
            self.assertEqual(row.dials_back, row.name == "dialback", row.name)
            self.assertEqual(row.has_id, row.name not in loose | {"chatmsg"}, row.name)

"""The JSON interface, line for line."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import (
    Bye,
    Contacts,
    Event,
    Failed,
    FileChanged,
    MessageReceived,
    Notice,
    RoomChanged,
    SessionChanged,
    Undelivered,
)
from chatproto.net.clock import Wall
from chatproto.ui.jsonlines import JsonLines
from chatproto.ui.view import json_object
from chatproto.wire.reasons import Cause, Reason
from tests.ui.asked import asked_client


class JsonLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = asked_client()
        self.lines: list[str] = []
        self.ui = JsonLines(self.node, self.lines.append, lambda: Wall(1.5))

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def test_commands_are_those_of_the_plain_interface(self) -> None:
        for line in ("/chat bob", "hello", "/msg @bob it's", "//quit"):
            self.ui.on_line(line)
        self.assertEqual(
            self.node.asked,
            [("chat", "bob", ""), ("say", "hello"), ("msg", "it's", "bob"), ("say", "/quit")],
        )

    def test_a_json_string_is_its_text(self) -> None:
        self.ui.on_line(r'"two\nlines"')
        self.ui.on_line(r'/msg @bob "two\nlines"')
        self.ui.on_line(r'/msg "say \"hi\""')
        self.assertEqual(
            self.node.asked,
            [("say", "two\nlines"), ("msg", "two\nlines", "bob"), ("msg", 'say "hi"', "")],
        )

    def test_a_json_string_is_never_a_command(self) -> None:
        self.ui.on_line('"/quit"')
        self.assertEqual(self.node.asked, [("say", "/quit")])

    def test_arguments_are_still_quoted_as_in_a_shell(self) -> None:
        self.ui.on_line('/chat "bob"')
        self.assertEqual(self.node.asked, [("chat", "bob", "")])

    def test_a_bad_json_string_is_an_error_and_says_nothing(self) -> None:
        for line in ('"half', '"one" two', '"\t"', r'"\x"', '/msg @bob "half'):
            self.lines.clear()
            self.ui.on_line(line)
            (error,) = self.told()
            self.assertEqual(error["event"], "error")
            self.assertIn("JSON string", error["text"])
            self.assertEqual(error.get("command"), "msg" if line.startswith("/") else None)
        self.assertEqual(self.node.asked, [])

    def test_an_empty_json_string_is_nothing(self) -> None:
        self.ui.on_line('""')
        self.assertEqual((self.node.asked, self.lines), ([], []))

    def test_a_command_that_cannot_be_carried_out_is_an_error_with_its_name(self) -> None:
        self.ui.on_line("/regster")
        self.assertEqual(
            self.told(),
            [
                {
                    "event": "error",
                    "time": "1970-01-01T00:00:01.500Z",
                    "text": "unknown command /regster: did you mean /register?",
                    "command": "regster",
                    "code": "malformed",
                }
            ],
        )

    def test_help_is_an_answer(self) -> None:
        self.ui.on_line("/help id")
        (answer,) = self.told()
        self.assertEqual((answer["event"], answer["command"]), ("answer", "help"))
        self.assertEqual(answer["commands"][0]["name"], "id")

    def test_the_end_of_input_goes_to_the_node(self) -> None:
        self.ui.on_end()
        self.assertEqual(self.node.asked, [("end_of_input",)])

    def test_contacts_are_a_list_of_objects(self) -> None:
        bob = {"id": "bob", "host": "127.0.0.1", "port": 3001, "key": None}
        self.ui.tell(Contacts((bob,)))
        self.assertEqual(self.told()[0]["list"], [bob])

    @given(st.text())
    def test_a_text_is_kept_whole_in_one_line_of_printable_ascii(self, text: str) -> None:
        self.lines.clear()
        self.ui.tell(MessageReceived(text, text))
        (line,) = self.lines
        self.assertTrue(line.isascii() and line.isprintable())
        self.assertEqual(json.loads(line)["text"], text)
        self.assertEqual(json.loads(line)["from"], text)

    @given(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip))
    def test_json_text_is_sent_unchanged(self, text: str) -> None:
        self.node.asked.clear()
        self.ui.on_line(json.dumps(text))
        self.ui.on_line(f"/msg @bob {json.dumps(text)}")
        self.assertEqual(self.node.asked, [("say", text), ("msg", text, "bob")])

    def test_half_a_surrogate_pair_is_refused_and_a_whole_one_is_a_character(self) -> None:
        self.ui.on_line(r'"a\ud800b"')
        self.ui.on_line(r'/msg @bob "a\udfff"')
        self.assertEqual(self.node.asked, [])
        self.assertEqual([error["event"] for error in self.told()], ["error", "error"])
        self.ui.on_line(r'"\ud83d\ude00"')
        self.assertEqual(self.node.asked, [("say", "😀")])

    @given(st.binary(min_size=1))
    def test_bytes_of_an_old_line_come_out_as_they_went_in_or_are_refused(
        self, data: bytes
    ) -> None:
        self.node.asked.clear()
        self.lines.clear()
        self.ui.on_line("x" + data.decode("utf-8", "surrogateescape"))
        try:
            text = data.decode()
        except UnicodeDecodeError:
            (error,) = self.told()
            self.assertEqual((error["event"], error["status"]), ("error", 400))
            self.assertEqual(self.node.asked, [])
        else:
            self.assertEqual(self.node.asked, [("say", f"x{text}")])


class CodeTests(SynchronousTestCase):
    """The code beside the sentence of an end, a failure or a refusal."""

    def code(self, event: Event) -> object:
        return json_object(event, Wall(0)).get("code")

    def test_an_error_has_a_code(self) -> None:
        self.assertEqual(self.code(Failed("no", code=Reason.ID_TAKEN)), "id-taken")

    def test_an_undelivered_message_has_the_code_of_its_reason(self) -> None:
        expired = Undelivered("bob", Cause(Reason.EXPIRED), 7, "hi")
        self.assertEqual(self.code(expired), "expired")
        self.assertEqual(self.code(Undelivered("bob", "gone", 7, "hi")), "connection-lost")

    def test_a_session_that_ends_has_a_code_with_and_without_a_reason(self) -> None:
        left = SessionChanged("bob", "closed", code=Reason.PEER_LEFT)
        self.assertEqual(self.code(left), "peer-left")
        self.assertNotIn("reason", json_object(left, Wall(0)))
        self.assertIsNone(self.code(SessionChanged("bob", "open", turn="mine")))
        self.assertEqual(self.code(Bye("bob", "why", Reason.PEER_GONE)), "peer-gone")

    def test_a_file_that_ends_has_a_code(self) -> None:
        failed = FileChanged(1, "a", "failed", 0, 1, reason="why", code=Reason.HASH_DIFFERS)
        self.assertEqual(self.code(failed), "hash-differs")
        self.assertIsNone(self.code(FileChanged(1, "a", "moving", 0, 1)))

    def test_the_notice_of_a_lost_server_has_a_code(self) -> None:
        lost = Notice("server x: it stops", code=Reason.SERVER_STOPPING)
        self.assertEqual(self.code(lost), "server-stopping")

    def test_being_out_of_a_room_has_the_code_of_its_reason(self) -> None:
        out = RoomChanged("#a", "parted", reason=Cause(Reason.REFUSED, "you are banned"))
        self.assertEqual(self.code(out), "refused")
        self.assertIsNone(self.code(RoomChanged("#a", "kicked", "bob", reason="spam")))

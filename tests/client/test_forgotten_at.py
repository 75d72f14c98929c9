"""`/msg al hello` is refused where `al` is a name or a room would read it: the @ may be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.internet.task import Clock

from chatproto.client.events import Failed, MessageReceived, Sent
from chatproto.client.trust_store import TrustStore
from chatproto.identity.keys import new_identity
from chatproto.identity.pins import Pin, PinFile
from chatproto.identity.tls import Tls
from chatproto.ui.commands import run_line, run_values
from chatproto.ui.jsonlines import json_text
from tests.client import plain_program
from tests.client.rooms import room_ends

SERVER, AL = new_identity().name, new_identity().name


class RoomTests(room_ends.Case):
    """Alice and Bob are in a room."""

    def setUp(self) -> None:
        super().setUp()
        self.both_join()

    def say(self, line: str) -> list[str]:
        """Bob types `line`; returns what Alice reads."""
        self.alice.events.clear()
        self.bob.events.clear()
        self.assertIsNone(run_line(line, self.bob.node.client))
        self.hall.settle()
        return self.alice.texts()

    def refused(self) -> Failed:
        self.assertEqual(self.bob.told(Sent), [])
        (failed,) = self.bob.told(Failed)
        assert isinstance(failed, Failed)
        return failed

    def test_a_member_of_the_room_is_a_name(self) -> None:
        self.assertEqual(self.say("/msg alice the code is 1234"), [])
        failed = self.refused()
        self.assertEqual((failed.status, failed.command), (400, "msg"))
        self.assertIn("/msg @alice", failed.text)
        self.assertIn("without /msg the line goes to #den", failed.text)

    def test_member_who_left_does_not_count(self) -> None:
        self.alice.node.rooms.part()
        self.hall.settle()
        self.say("/msg alice hello")
        self.assertIn("no name known here", self.refused().text)
        self.alice.joins()
        self.assertEqual(self.say("/msg alice hello"), [])

    def test_a_room_is_a_name(self) -> None:
        self.assertEqual(self.say("/msg #den hello"), [])
        self.assertIn("/msg @#den", self.refused().text)

    def test_a_pin_at_any_server_is_a_name(self) -> None:
        home = Path(self.mktemp())
        home.mkdir()
        file = PinFile(home / "known_peers")
        file.put(Pin(SERVER, "al", AL))
        messages = self.bob.node.messages
        trust = TrustStore(Tls(new_identity()), file, Clock().seconds)
        messages._context = replace(messages._context, trust=trust)
        self.assertEqual(self.say("/msg al hello"), [])
        self.refused()

    def test_unknown_name_is_sent_as_text(self) -> None:
        for line in (
            "/msg alcie my grade",
            "/msg Alice hello",
            "/msg Hello Bob!",
            "/msg bob is me",
        ):
            self.assertEqual(self.say(line), [])
            failed = self.refused()
            self.assertEqual((failed.status, failed.command), (400, "msg"))
            self.assertIn("Without /msg the line goes to #den", failed.text)
        for word, hint in {
            "alcie": "did you mean /msg @alice TEXT?",
            "Alice": "did you mean /msg @alice TEXT?",
            "zoe": "/msg @zoe TEXT writes to zoe alone",
            "well,": "/msg @ID TEXT writes to ID alone",
        }.items():
            self.say(f"/msg {word} my grade")
            self.assertIn(f'"{word}" is no name known here, {hint}', self.refused().text)
        self.say(f"/msg {'x' * 5000} hello")
        self.assertLess(len(self.refused().text), 300)

    def test_single_word_is_sent_as_text(self) -> None:
        self.assertEqual(self.say("/msg alice"), ["alice"])

    def test_an_object_is_text_for_the_room(self) -> None:
        for form in ({}, {"to": "#den"}):
            self.alice.events.clear()
            given = {"do": "msg", "text": "alcie my grade", **form}
            self.assertIsNone(run_values(given, self.bob.node.client))
            self.hall.settle()
            self.assertEqual(self.alice.texts(), ["alcie my grade"])

    def test_a_line_without_the_command_is_text(self) -> None:
        self.assertEqual(self.say("alice hello"), ["alice hello"])

    def test_a_json_string_is_text(self) -> None:
        self.alice.events.clear()
        self.assertIsNone(run_line('/msg "alice hello"', self.bob.node.client, json_text))
        self.hall.settle()
        self.assertEqual(self.alice.texts(), ["alice hello"])

    def test_topic_with_another_room_name_is_refused(self) -> None:
        self.bob.joins("#tea")
        self.say("/topic #tea")
        self.assertIn("/topic @#tea", self.refused().text)
        self.say("/topic @#tea #tea is here")
        self.assertEqual(self.bob.told(Failed), [])


class PlainTests(plain_program.Case):
    def test_other_words_are_text_in_a_conversation(self) -> None:
        self.begin(plain=False, open=True)
        wire = self.called("bob")
        self.node.accept()
        self.spent(wire)
        run_line("/msg bbo hello", self.node.client)
        self.assertEqual(self.told(Failed), [])
        self.assertEqual(self.node.client.conversations.conversation_for("").unsent, 1)

    def test_every_text_is_sent_with_plain(self) -> None:
        wire = self.talking()
        run_line(f"/msg {plain_program.BOB} hello", self.node.client)
        self.assertEqual(self.told(Failed), [])
        self.assertEqual(self.spent(wire), [f"{plain_program.BOB} hello".encode()])

    def test_conversation_name_without_at_sign_is_recognised(self) -> None:
        self.begin(plain=False, open=True)
        wire = self.called("bob")
        self.node.accept()
        self.spent(wire)
        run_line("/msg bob hello", self.node.client)
        (failed,) = self.told(Failed)
        self.assertIn("goes to bob", failed.text)
        self.assertEqual(self.told(MessageReceived), [])

"""`/msg al hello` is refused where `al` is a name: the @ may have been forgotten."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock

from chatproto.client.events import Failed, MessageReceived, Sent
from chatproto.client.trust_store import TrustStore
from chatproto.identity.keys import new_identity
from chatproto.identity.pins import Pin, PinFile
from chatproto.identity.tls import Tls
from chatproto.ui.commands import carry_out
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
        self.assertIsNone(carry_out(line, self.bob.node.client))
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

    def test_a_member_who_left_is_none(self) -> None:
        self.alice.node.rooms.part()
        self.hall.settle()
        self.say("/msg alice hello")
        self.assertEqual(len(self.bob.told(Sent)), 1)
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
        messages._trust = TrustStore(Tls(new_identity()), file, Clock().seconds)
        self.assertEqual(self.say("/msg al hello"), [])
        self.refused()

    def test_other_words_are_text(self) -> None:
        for line in ("/msg Hello Bob!", "/msg Alice hello", "/msg alice", "/msg alice: hello"):
            self.assertEqual(self.say(line), [line.removeprefix("/msg ")])
        self.assertEqual(self.say("/msg bob is me"), ["bob is me"])

    def test_a_line_without_the_command_is_text(self) -> None:
        self.assertEqual(self.say("alice hello"), ["alice hello"])

    def test_a_json_string_is_text(self) -> None:
        self.alice.events.clear()
        self.assertIsNone(carry_out('/msg "alice hello"', self.bob.node.client, json_text))
        self.hall.settle()
        self.assertEqual(self.alice.texts(), ["alice hello"])

    def test_a_topic_is_not_set_for_the_room_that_it_names(self) -> None:
        self.bob.joins("#tea")
        self.say("/topic #tea")
        self.assertIn("/topic @#tea", self.refused().text)
        self.say("/topic @#tea #tea is here")
        self.assertEqual(self.bob.told(Failed), [])


class PlainTests(plain_program.Case):
    def test_every_text_is_sent_with_plain(self) -> None:
        wire = self.talking()
        carry_out(f"/msg {plain_program.BOB} hello", self.node.client)
        self.assertEqual(self.told(Failed), [])
        self.assertEqual(self.spent(wire), [f"{plain_program.BOB} hello".encode()])

    def test_a_conversation_is_a_name_without_it(self) -> None:
        self.begin(plain=False, open=True)
        wire = self.called("bob")
        self.node.accept()
        self.spent(wire)
        carry_out("/msg bob hello", self.node.client)
        (failed,) = self.told(Failed)
        self.assertIn("goes to bob", failed.text)
        self.assertEqual(self.told(MessageReceived), [])

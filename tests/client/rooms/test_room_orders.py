"""Commands about rooms: wrong values are named, and each refusal says what it is about."""

from __future__ import annotations

from dataclasses import replace

from chatproto.client.events import CommandOutput, Failed, RoomChanged
from chatproto.ui.commands import run_line, run_values
from tests.client.rooms import room_ends


class Tests(room_ends.Case):
    """Alice owns #den, and Bob is in it."""

    def setUp(self) -> None:
        super().setUp()
        self.both_join()

    def types(self, line: str) -> None:
        """Alice types `line`."""
        self.alice.events.clear()
        self.bob.events.clear()
        self.assertIsNone(run_line(line, self.alice.node.client))
        self.hall.settle()

    def refused(self, line: str) -> str:
        self.types(line)
        self.assertEqual(self.alice.told(RoomChanged), [])
        self.assertEqual(self.bob.told(RoomChanged), [])
        (failed,) = self.alice.told(Failed)
        assert isinstance(failed, Failed)
        return failed.text

    def test_a_name_that_can_be_nobodys_is_named(self) -> None:
        for command in ("kick", "mute", "op", "invite"):
            self.assertEqual(self.refused(f"/{command} we!rd"), '"we!rd" is no id: see /names')
        for who in ("we!rd", "10.0.0.0/8", "sha256:abc", "fe80::1%eth0", "1.2.3.444", "::x"):
            for command in ("ban", "unban"):
                text = f'"{who}" is no id, key or address'
                self.assertEqual(self.refused(f"/{command} {who}"), text)

    def test_an_id_of_digits_is_an_id(self) -> None:
        for who in ("42", "1.2.3"):
            self.types(f"/ban {who}")
            (change,) = self.alice.told(RoomChanged)
            self.assertEqual((change.change, change.id, change.address), ("banned", who, None))

    def test_unknown_member_or_ban_is_named_in_the_error(self) -> None:
        self.assertEqual(self.refused("/kick zed"), '"zed" is not in the room: see /names')
        self.assertEqual(self.refused("/unban zed"), "no ban of zed is in force in the room")
        for command in ("mute", "op", "invite"):
            self.assertIn('the server knows no "zed"', self.refused(f"/{command} zed"))

    def test_a_ban_of_no_time_is_refused(self) -> None:
        text = "a ban of no time is none: /unban bob lifts one"
        self.assertEqual(self.refused("/ban bob 0"), text)
        self.assertEqual(self.refused("/ban bob 0m"), text)

    def test_a_ban_that_is_over_by_the_servers_clock_is_refused(self) -> None:
        orders = self.alice.node.in_room
        now = orders._context.now
        self.patch(orders, "_context", replace(orders._context, now=lambda: now() - 600))
        text = "by the server's clock that ban would be over already: set your clock, or ban for longer"
        self.assertEqual(self.refused("/ban bob 1m"), text)
        self.types("/ban bob 1h")
        self.assertEqual(self.bob.changes(), ["banned", "parted"])

    def test_a_tab_in_a_topic_or_reason_is_a_blank(self) -> None:
        self.types("/topic green\ttea")
        (change,) = self.bob.told(RoomChanged)
        self.assertEqual(change.text, "green tea")
        self.types("/topic")
        (answer,) = self.alice.told(CommandOutput)
        self.assertEqual(answer.lines, ("#den: green tea",))
        self.alice.node.in_room.kick("bob", "", "too\tloud")
        self.hall.settle()
        self.assertEqual(self.bob.told(RoomChanged)[0].reason, "too loud")

    def test_a_topic_or_reason_of_several_lines_is_refused(self) -> None:
        for given in (
            {"do": "topic", "text": "green\ntea"},
            {"do": "kick", "id": "bob", "reason": "too\nloud"},
        ):
            self.alice.events.clear()
            self.assertIsNone(run_values(given, self.alice.node.client))
            self.hall.settle()
            (failed,) = self.alice.told(Failed)
            self.assertEqual(failed.text, "a topic or a reason is one line of text")

    def test_a_wrong_key_is_not_a_missing_one(self) -> None:
        self.types("/settings key=sesame")
        self.bob.node.rooms.part()
        self.hall.settle()
        self.bob.joins()
        self.bob.joins(secret="open")
        self.assertEqual(
            self.bob.failures(),
            [
                "#den needs a key: /join #den key=KEY",
                "that is not the key of #den: /join #den key=KEY",
            ],
        )

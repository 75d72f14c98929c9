"""A member whose id is pinned to another key is marked in the room, and told of once."""

from __future__ import annotations

from chatproto.client.events import MessageReceived, Notice
from chatproto.client.rooms import member_keys
from chatproto.net.clock import EPOCH
from chatproto.ui.view import plain_lines
from chatproto.wire.reasons import Reason
from tests.client.rooms import room_ends

KNOWN = "sha256:" + "K" * 52


class MemberTests(room_ends.Case):
    """Dora has a pin of Alice with another key than Alice's, and the right one of Bob."""

    def setUp(self) -> None:
        super().setUp()
        pins = {"alice": KNOWN, "bob": self.bob.key}
        self.dora = self.hall.person("dora", pins=pins)

    def warned(self) -> list[str]:
        return [one.text for one in self.dora.told(Notice) if one.code is Reason.OTHER_KEY]

    def said(self) -> list[str]:
        return [line for one in self.dora.told(MessageReceived) for line in plain_lines(one, EPOCH)]

    def test_member_who_joins_under_a_pinned_id_is_marked(self) -> None:
        self.dora.joins()
        self.both_join()
        [warning] = self.warned()
        self.assertIn("alice in #den may be another person", warning)
        for one in (self.alice, self.bob):
            one.node.say("hello")
        self.hall.settle()
        self.assertEqual(self.said(), ["#den alice?> hello", "#den bob> hello"])

    def test_present_member_is_marked_and_reported_once(self) -> None:
        self.both_join()
        self.dora.joins()
        self.assertEqual(len(self.warned()), 1)
        self.dora.joins("#tea")
        self.alice.joins("#tea")
        self.assertEqual(len(self.warned()), 1)
        self.alice.node.say("tea?")
        self.hall.settle()
        self.assertEqual(self.said(), ["#tea alice?> tea?"])

    def test_mark_ends_when_the_right_key_is_back(self) -> None:
        self.dora.joins()
        self.both_join()
        self.alice.node.rooms.part()
        self.hall.settle()
        self.alice.key = KNOWN
        self.alice.joins()
        self.alice.node.say("it is me")
        self.hall.settle()
        self.assertEqual(self.said(), ["#den alice> it is me"])

    def test_number_of_key_queries_is_limited(self) -> None:
        self.patch(member_keys, "MOST", 0)
        self.both_join()
        self.dora.joins()
        self.assertEqual(self.warned(), [])

    def test_unpinned_members_are_not_queried(self) -> None:
        self.dora.joins()
        self.both_join()
        self.hall.person("eve").joins()
        self.assertEqual(self.hall.asked_about, ["alice", "bob"])

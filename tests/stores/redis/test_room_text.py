"""Text of shared rooms: what is written is read again, and anything else is named poison."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.policy import BanRecord, RoomPolicy
from chatproto.rooms.shared import LineSaid, MemberEntered, RoomSeat, SpokenBy
from chatproto.stores.redis.room_text import (
    POISON,
    parsed_policy,
    read_event,
    read_line,
    read_seat,
    write_line,
    write_seat,
    written_policy,
)
from chatproto.wire.fields import ID

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


class RoomTextTests(SynchronousTestCase):
    @given(st.from_regex(ID, fullmatch=True), st.floats(0, 1e10), TEXTS, st.integers(0, 2**40))
    def test_lines_and_members_are_read_as_they_were_written(
        self, sender: str, at: float, text: str, number: int
    ) -> None:
        by = SpokenBy(sender, number, 7)
        said = read_line(number, write_line(sender, at, text, by))
        self.assertEqual((*said.line, said.spoken_by), (number, sender, at, text, by))
        seat = RoomSeat(sender, number, text, sender)
        self.assertEqual(read_seat(write_seat(seat)), seat)
        event = read_event(f"{number} said {number} {write_line(sender, at, text, by)}", "#tea")
        self.assertEqual(event, (number, said))
        self.assertIsInstance(said, LineSaid)

    def test_policy_keeps_unknown_fields(self) -> None:
        policy = RoomPolicy("#tea", "owner", "topic", version=4).with_mute("key", 9.0, 1.0, 5)
        policy = policy.with_ban(BanRecord("id", "bob"), 1.0, 5)
        fields = json.loads(json.dumps(written_policy(policy, {"colour": ["red"]})))
        self.assertEqual(
            parsed_policy("#tea", policy.version, fields), (policy, {"colour": ["red"]})
        )

    @given(
        st.sampled_from(["said", "entered", "moved", "left", "policy", "other", ""]),
        st.sampled_from(["1", "x", "", "9" * 5000]),
        JSON,
    )
    def test_any_text_is_an_event_or_refused(self, kind: str, name: str, value: Any) -> None:
        with contextlib.suppress(*POISON):
            number, event = read_event(f"{name} {kind} {name} {json.dumps(value)}", "#tea")
            self.assertEqual(number, 1)
            if isinstance(event, MemberEntered):
                self.assertIsInstance(event.seat.key, str)

    @given(TEXTS)
    def test_whatever_is_published_is_an_event_or_poison(self, text: str) -> None:
        with contextlib.suppress(*POISON):
            read_event(text, "#tea")

    def test_deep_nesting_and_huge_numbers_are_poison(self) -> None:
        for text in (
            '1 said 5 ["an\\nn",1,"b","n",1,1]',
            '1 said 5 ["ann",1,"\\ud800","n",1,1]',
            '1 left an\tn ["kicked"]',
            '1 entered bob ["n",Infinity,"k","h"]',
            '1 said 5 ["a",1' + "0" * 400 + ',"b","n",1,1]',
        ):
            self.assertRaises(POISON, read_event, text, "#tea")
        self.assertRaises(POISON, read_event, "1 policy 1 " + "[" * 200_000, "#tea")

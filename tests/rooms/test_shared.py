"""Copies of shared rooms, with events that are lost, come twice, or come late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.history import RoomLine
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared import (
    EventsMissed,
    LineSaid,
    MemberEntered,
    MemberLeft,
    RoomCopy,
    RoomEvent,
    RoomSeat,
    RoomState,
    SpokenBy,
)

TEA = RoomPolicy("#tea", "owner", version=1)
NEW = RoomState(TEA, 0, 100, {}, {})
BY = SpokenBy("node", 1, 1)


class Truth:
    """The room itself: every event, and the state after it."""

    def __init__(self) -> None:
        self.members: dict[str, RoomSeat] = {}
        self.events: list[RoomEvent] = []
        self.lines: list[LineSaid] = []

    def say(self) -> None:
        self.lines.append(LineSaid(RoomLine(101 + len(self.lines), "bob", 1.0, "text"), BY))
        self.events.append(self.lines[-1])

    def enter(self, who: str, number: int) -> None:
        seat = RoomSeat("node", number, "key", "host")
        self.events.append(MemberEntered(who, seat, who in self.members))
        self.members[who] = seat

    def leave(self, who: str) -> None:
        if self.members.pop(who, None) is not None:
            self.events.append(MemberLeft(who, ""))

    def state(self) -> RoomState:
        return RoomState(TEA, len(self.events), 100 + len(self.lines), {**self.members}, {})


class RoomCopyTests(SynchronousTestCase):
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["say", "say", "enter", "leave"]),
                st.sampled_from(["alice", "bob", "carol"]),
                st.integers(1, 3),
                st.sampled_from(["told", "told", "lost", "twice", "old"]),
            ),
            max_size=60,
        )
    )
    def test_every_line_is_passed_on_once_and_in_order(
        self, steps: list[tuple[str, str, int, str]]
    ) -> None:
        truth, copy, told = Truth(), RoomCopy(NEW), list[RoomEvent]()

        def read() -> None:
            told.extend(copy.catch_up(truth.state(), [*truth.lines]))

        def hear(number: int) -> None:
            event = truth.events[number - 1]
            try:
                if copy.apply(number, event):
                    told.append(event)
            except EventsMissed:
                read()

        for what, who, number, how in steps:
            before = len(truth.events)
            if what == "say":
                truth.say()
            elif what == "enter":
                truth.enter(who, number)
            else:
                truth.leave(who)
            if len(truth.events) == before or how == "lost":
                continue
            for _ in range(2 if how == "twice" else 1):
                hear(len(truth.events))
            if how == "old":
                hear(1 + number % len(truth.events))
        read()
        self.assertEqual([one for one in told if isinstance(one, LineSaid)], truth.lines)
        self.assertEqual(copy.members, truth.members)
        self.assertEqual(copy.event, len(truth.events))
        # Those who were told of all comings and goings know who is there.
        known: dict[str, RoomSeat] = {}
        for event in told:
            if isinstance(event, MemberEntered):
                known[event.client_id] = event.seat
            elif isinstance(event, MemberLeft):
                known.pop(event.client_id, None)
        self.assertEqual(known, truth.members)

    def test_older_state_of_the_store_is_followed(self) -> None:
        copy = RoomCopy(RoomState(TEA, 9, 109, {"bob": RoomSeat("n", 1, "k", "h")}, {}))
        events = copy.catch_up(RoomState(TEA.changed(topic="milk"), 3, 103, {}, {"colour": 1}), [])
        self.assertEqual([type(one).__name__ for one in events], ["MemberLeft", "PolicyChanged"])
        self.assertEqual((copy.event, copy.last, copy.members), (3, 103, {}))
        self.assertTrue(copy.apply(4, LineSaid(RoomLine(104, "bob", 1.0, "x"), BY)))

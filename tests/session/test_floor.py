"""Tests of the floor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.floor import Floor, TurnHolder


class FloorTests(SynchronousTestCase):
    def test_the_caller_has_the_first_turn(self) -> None:
        self.assertIs(Floor(half=True, mine=True).turn, TurnHolder.MINE)
        self.assertIs(Floor(half=True, mine=False).turn, TurnHolder.THEIRS)

    def test_saying_something_passes_the_turn(self) -> None:
        floor = Floor(half=True, mine=True)
        floor.message_sent()
        self.assertFalse(floor.may_speak)

    def test_message_out_of_turn_gives_us_the_turn(self) -> None:
        floor = Floor(half=True, mine=True)
        floor.message_received()
        self.assertIs(floor.turn, TurnHolder.MINE)

    def test_full_duplex_always_allows_sending(self) -> None:
        floor = Floor(half=False, mine=False)
        floor.message_sent()
        floor.message_received()
        floor.take()
        self.assertIs(floor.turn, TurnHolder.BOTH)

    def test_learning_floor_opens_after_two_messages_in_a_row(self) -> None:
        floor = Floor(half=True, mine=False, learns=True)
        floor.message_received()
        self.assertIs(floor.turn, TurnHolder.MINE)
        floor.message_received()
        self.assertIs(floor.turn, TurnHolder.BOTH)

    def test_a_strict_floor_never_learns(self) -> None:
        floor = Floor(half=True, mine=False)
        floor.message_received()
        floor.message_received()
        self.assertIs(floor.turn, TurnHolder.MINE)

    def test_a_learning_floor_stays_half_while_turns_are_taken(self) -> None:
        floor = Floor(half=True, mine=False, learns=True)
        for _ in range(5):
            floor.message_received()
            floor.message_sent()
        self.assertIs(floor.turn, TurnHolder.THEIRS)

    def test_the_silent_may_be_spoken_to(self) -> None:
        floor = Floor(half=True, mine=False)
        floor.take()
        self.assertIs(floor.turn, TurnHolder.MINE)

    def test_the_mode_can_be_changed_and_stays(self) -> None:
        floor = Floor(half=True, mine=False, learns=True)
        floor.set_half(False)
        self.assertIs(floor.turn, TurnHolder.BOTH)
        floor.set_half(True)
        self.assertIs(floor.turn, TurnHolder.MINE)
        floor.message_received()
        floor.message_received()
        self.assertIs(floor.turn, TurnHolder.MINE)

    @given(st.lists(st.booleans(), max_size=50), st.booleans())
    def test_two_strict_floors_never_both_let_speak(self, tries: list[bool], caller: bool) -> None:
        ours, theirs = Floor(half=True, mine=caller), Floor(half=True, mine=not caller)
        for we in tries:
            speaker, listener = (ours, theirs) if we else (theirs, ours)
            if speaker.may_speak:
                speaker.message_sent()
                listener.message_received()
            self.assertNotEqual(ours.may_speak, theirs.may_speak)

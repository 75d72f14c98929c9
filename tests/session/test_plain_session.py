"""Tests of a conversation in the open: the session table, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.diagram import diagram
from chatproto.session.effects import (
    Call,
    Drop,
    Effect,
    Ended,
    Heard,
    Kept,
    Leave,
    Opened,
    Ringing,
    Speak,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.session.floor import Turn
from chatproto.session.plain_session import PlainSession
from chatproto.session.table import REFUSALS, TABLE, Input, State
from chatproto.wire.dialects import DIALECTS
from chatproto.wire.errors import LocalError
from chatproto.wire.limits import DEFAULTS

CANON, RAW, DIALBACK = DIALECTS["canon"], DIALECTS["raw"], DIALECTS["dialback"]


def session_in(state: State) -> PlainSession:
    """A session that came into `state` in the usual way; its link, if it has one, is "a"."""
    session = PlainSession(CANON)
    match state:
        case State.CALLING:
            session.call()
        case State.RINGING:
            session.called("a")
        case State.OPEN:
            session.call()
            session.connected("a")
        case State.CLOSED:
            session.call()
            session.leave()
    assert session.state is state
    return session


DOINGS: dict[Input, Callable[[PlainSession], list[Effect]]] = {
    Input.CALL: lambda s: s.call(),
    Input.CALL_BACK: lambda s: s.call_back(),
    Input.CONNECT: lambda s: s.connected("b"),
    Input.FAIL: lambda s: s.unreachable("gone"),
    Input.RING: lambda s: s.called("b"),
    Input.ACCEPT: lambda s: s.accept(),
    Input.DECLINE: lambda s: s.decline(),
    Input.RING_OUT: lambda s: s.ring_out(),
    Input.SAY: lambda s: s.say("hi"),
    Input.HEAR: lambda s: s.heard("hi"),
    Input.LEAVE: lambda s: s.leave(),
    Input.LEFT: lambda s: s.left("a"),
    Input.LOST: lambda s: s.lost("a", "cut"),
}
LOCAL = {*REFUSALS, Input.RING_OUT}


PLAIN_STATES = [state for state in State if state not in (State.ASKING, State.BROKEN)]
"""Where a conversation in the open can stand: nobody is asked, and nothing outlives its connection."""


class TableTests(SynchronousTestCase):
    def test_every_state_and_input_does_what_the_table_says(self) -> None:
        for state, (happened, do) in product(PLAIN_STATES, DOINGS.items()):
            session = session_in(state)
            after = TABLE.get((state, happened))
            if after is not None:
                do(session)
                self.assertIs(session.state, after, (state, happened))
            elif happened in LOCAL:
                self.assertRaises(LocalError, do, session)
                self.assertIs(session.state, state)
            else:
                effects = do(session)
                self.assertIs(session.state, state)
                self.assertEqual([e for e in effects if not isinstance(e, Drop)], [])

    def test_every_state_can_be_reached_and_left(self) -> None:
        self.assertEqual(set(TABLE.values()), set(State) - {State.NEW})
        self.assertEqual({before for before, _ in TABLE}, set(State) - {State.CLOSED})

    def test_one_of_several_links_may_end(self) -> None:
        for state in (State.RINGING, State.OPEN):
            session = session_in(state)
            session._accepted.append("b")
            self.assertEqual(session.lost("a", "cut"), [])
            self.assertIs(session.state, TABLE[state, Input.LINK_LOST])

    def test_the_diagram_has_every_input_of_the_table(self) -> None:
        drawn = diagram()
        for (before, happened), after in TABLE.items():
            arrow = next(
                line for line in drawn.splitlines() if f" {before.value} --> {after.value}:" in line
            )
            self.assertIn(happened.value, arrow)


class CallingTests(SynchronousTestCase):
    def test_what_is_said_before_the_connection_is_there_goes_out_first(self) -> None:
        session = session_in(State.CALLING)
        self.assertEqual(session.say("hi"), [Kept("hi")])
        self.assertEqual(
            session.connected("a"),
            [Call("a"), Opened(), Speak("a", "hi"), TurnPassed(Turn.THEIRS)],
        )

    def test_nobody_there_reports_what_was_said(self) -> None:
        session = session_in(State.CALLING)
        session.say("hi")
        self.assertEqual(
            session.unreachable("nobody answers"),
            [StopDialling(), Unsaid("hi", "nobody answers"), Ended("nobody answers", False)],
        )

    def test_a_call_of_theirs_meanwhile_is_the_yes_to_ours(self) -> None:
        session = session_in(State.CALLING)
        self.assertEqual(session.called("b"), [StopDialling(), Opened(), TurnPassed(Turn.THEIRS)])

    def test_a_connection_that_comes_too_late_is_dropped(self) -> None:
        session = session_in(State.CLOSED)
        self.assertEqual(session.connected("late"), [Drop("late")])

    def test_a_dialect_that_dials_for_each_message_is_open_without_a_link(self) -> None:
        session = PlainSession(DIALBACK)
        session.call()
        session.say("hi")
        self.assertEqual(
            session.connected(None), [Opened(), Speak(None, "hi"), TurnPassed(Turn.THEIRS)]
        )


class CalledTests(SynchronousTestCase):
    def test_a_call_rings(self) -> None:
        self.assertEqual(PlainSession(CANON).called("a"), [Ringing()])

    def test_what_they_said_before_the_yes_comes_with_it(self) -> None:
        session = session_in(State.RINGING)
        self.assertEqual(session.heard("hello"), [])
        self.assertEqual(session.accept(), [Opened(), Heard("hello"), TurnPassed(Turn.MINE)])

    def test_they_cannot_say_without_end_before_the_yes(self) -> None:
        session = PlainSession(CANON, limits=replace(DEFAULTS, message=10))
        session.called("a")
        self.assertEqual(session.heard("0123456789"), [])
        effects = session.heard("!")
        self.assertIs(session.state, State.CLOSED)
        self.assertIsInstance(effects[-1], Ended)

    def test_a_declined_call_is_ended_in_their_dialect(self) -> None:
        session = session_in(State.RINGING)
        self.assertEqual(
            session.decline(), [StopDialling(), Leave("a", ""), Ended("declined", False)]
        )

    def test_calling_somebody_who_rings_takes_the_call(self) -> None:
        session = session_in(State.RINGING)
        self.assertEqual(session.call(), [Opened(), TurnPassed(Turn.THEIRS)])

    def test_the_callee_who_stays_silent_is_spoken_to(self) -> None:
        session = session_in(State.RINGING)
        session.say("hello?")
        session.accept()
        self.assertEqual(session.silent(), [Speak("a", "hello?")])
        self.assertIs(session.floor.turn, Turn.THEIRS)


class TalkingTests(SynchronousTestCase):
    def test_a_line_out_of_turn_is_kept_and_sent_in_its_turn(self) -> None:
        session = session_in(State.OPEN)
        self.assertEqual(session.say("one"), [Speak("a", "one"), TurnPassed(Turn.THEIRS)])
        self.assertEqual(session.say("two"), [Kept("two")])
        self.assertEqual(session.say("three"), [Kept("three")])
        self.assertEqual(session.heard("yes"), [Heard("yes"), Speak("a", "two")])
        self.assertEqual(session.heard("yes"), [Heard("yes"), Speak("a", "three")])
        self.assertEqual(session.heard("yes"), [Heard("yes"), TurnPassed(Turn.MINE)])

    def test_full_duplex_sends_all_that_waits(self) -> None:
        session = session_in(State.OPEN)
        for text in ("one", "two", "three"):
            session.say(text)
        self.assertEqual(
            session.set_half(False),
            [Speak("a", "two"), Speak("a", "three"), TurnPassed(Turn.BOTH)],
        )

    def test_a_bare_peer_that_speaks_twice_ends_turn_taking(self) -> None:
        session = PlainSession(RAW)
        session.called("a")
        session.accept()
        session.heard("one")
        self.assertEqual(session.heard("two"), [Heard("two"), TurnPassed(Turn.BOTH)])

    def test_one_message_too_many_is_refused_and_nothing_is_lost(self) -> None:
        session = PlainSession(CANON, limits=replace(DEFAULTS, waiting_messages=2))
        session.call()
        session.say("one")
        session.say("two")
        error = self.assertRaises(LocalError, session.say, "three")
        self.assertEqual(error.status, 429)
        self.assertEqual(list(session.waiting), ["one", "two"])

    def test_their_farewell_reports_what_waited(self) -> None:
        session = session_in(State.OPEN)
        session.say("one")
        session.say("two")
        self.assertEqual(
            session.left("a"),
            [StopDialling(), Drop("a"), Unsaid("two", "they left"), Ended("they left", True)],
        )

    def test_what_a_lost_link_had_not_written_is_reported(self) -> None:
        session = session_in(State.OPEN)
        self.assertEqual(
            session.lost("a", "cut", ("one",)),
            [Unsaid("one", "cut"), StopDialling(), Ended("cut", True)],
        )

    def test_we_speak_on_the_connection_that_we_made(self) -> None:
        session = session_in(State.OPEN)
        session.called("theirs")
        self.assertEqual(session.say("hi")[0], Speak("a", "hi"))

    def test_calling_back_holds_what_we_say_until_the_connection_is_there(self) -> None:
        session = PlainSession(RAW)
        session.called("theirs")
        session.accept()
        session.heard("hello")
        session.call_back()
        self.assertEqual(session.say("hi"), [Kept("hi")])
        self.assertEqual(
            session.connected("ours"), [Call("ours"), Speak("ours", "hi"), TurnPassed(Turn.THEIRS)]
        )

    def test_calling_back_in_vain_speaks_where_they_spoke(self) -> None:
        session = PlainSession(RAW)
        session.called("theirs")
        session.accept()
        session.heard("hello")
        session.call_back()
        session.say("hi")
        self.assertEqual(
            session.unreachable("nobody"), [Speak("theirs", "hi"), TurnPassed(Turn.THEIRS)]
        )

    def test_leaving_says_farewell_once_and_drops_the_rest(self) -> None:
        session = session_in(State.OPEN)
        session.called("theirs")
        self.assertEqual(
            session.leave(),
            [StopDialling(), Leave("a", ""), Drop("theirs"), Ended("you left", False)],
        )

    def test_a_connection_for_each_message_does_not_end_the_conversation(self) -> None:
        session = PlainSession(DIALBACK)
        session.called("first")
        session.accept()
        session.heard("hi")
        self.assertEqual(session.lost("first", "closed"), [])
        self.assertIs(session.state, State.OPEN)
        self.assertEqual(session.leave()[1], Leave(None, ""))

    @given(st.lists(st.sampled_from(["say", "hear", "full", "half"]), max_size=60))
    def test_nothing_said_is_lost_or_doubled(self, steps: list[str]) -> None:
        session = session_in(State.OPEN)
        said: list[str] = []
        spoken: list[str] = []

        def note(effects: list[Effect]) -> None:
            spoken.extend(e.text for e in effects if isinstance(e, Speak))

        for number, step in enumerate(steps):
            match step:
                case "say":
                    said.append(str(number))
                    note(session.say(str(number)))
                case "hear":
                    note(session.heard("x"))
                case mode:
                    note(session.set_half(mode == "half"))
        ended = session.leave()
        unsaid = [e.text for e in ended if isinstance(e, Unsaid)]
        self.assertEqual(spoken + unsaid, said)

"""Test sessions in plain text: the session table, and the effects of its handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.effects import (
    Call,
    Drop,
    Effect,
    Leave,
    Queued,
    Received,
    Ringing,
    SessionEnded,
    SessionOpened,
    Speak,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.session.floor import TurnHolder
from chatproto.session.session import TABLE, PeerSession
from chatproto.session.state import REFUSALS, SessionInput, SessionState
from chatproto.wire.dialects import DIALECTS
from chatproto.wire.errors import LocalError
from tests.diagram import diagram
from tests.limits import DEFAULTS

CANON, RAW, DIALBACK = DIALECTS["canon"], DIALECTS["raw"], DIALECTS["dialback"]


def session_in(state: SessionState) -> PeerSession:
    """A session that came into `state` in the usual way; its connection, if it has one, is "a"."""
    session = PeerSession(CANON)
    match state:
        case SessionState.CALLING:
            session.call()
        case SessionState.RINGING:
            session.called("a")
        case SessionState.OPEN:
            session.call()
            session.connected("a")
        case SessionState.CLOSED:
            session.call()
            session.leave()
    assert session.state is state
    return session


DOINGS: dict[SessionInput, Callable[[PeerSession], list[Effect]]] = {
    SessionInput.CALL: lambda s: s.call(),
    SessionInput.CALL_BACK: lambda s: s.call_back(),
    SessionInput.CONNECT: lambda s: s.connected("b"),
    SessionInput.FAIL: lambda s: s.unreachable("gone"),
    SessionInput.RING: lambda s: s.called("b"),
    SessionInput.ACCEPT: lambda s: s.accept(),
    SessionInput.DECLINE: lambda s: s.decline(),
    SessionInput.RING_OUT: lambda s: s.ring_out(),
    SessionInput.SAY: lambda s: s.say("hi"),
    SessionInput.HEAR: lambda s: s.text_received("hi"),
    SessionInput.LEAVE: lambda s: s.leave(),
    SessionInput.LEFT: lambda s: s.left("a"),
    SessionInput.LOST: lambda s: s.lost("a", "cut"),
}
LOCAL = {*REFUSALS, SessionInput.RING_OUT}


PLAIN_STATES = [
    state for state in SessionState if state not in (SessionState.ASKING, SessionState.BROKEN)
]
"""Where a conversation in the open can stand: nobody is asked, and nothing outlives its connection."""


class TableTests(SynchronousTestCase):
    def test_every_state_and_input_does_what_the_table_says(self) -> None:
        for state, (happened, do) in product(PLAIN_STATES, DOINGS.items()):
            session = session_in(state)
            row = TABLE.get((state, happened))
            if row is not None:
                do(session)
                self.assertIs(session.state, row[1], (state, happened))
            elif happened in LOCAL:
                self.assertRaises(LocalError, do, session)
                self.assertIs(session.state, state)
            else:
                effects = do(session)
                self.assertIs(session.state, state)
                self.assertEqual([e for e in effects if not isinstance(e, Drop)], [])

    def test_every_state_can_be_reached_and_left(self) -> None:
        after = {after for _, after in TABLE.values()}
        self.assertEqual(after, set(SessionState) - {SessionState.NEW})
        self.assertEqual({before for before, _ in TABLE}, set(SessionState) - {SessionState.CLOSED})

    def test_one_of_several_links_may_end(self) -> None:
        for state in (SessionState.RINGING, SessionState.OPEN):
            session = session_in(state)
            session.called("b")
            self.assertEqual(session.lost("a", "cut"), [])
            self.assertIs(session.state, state)

    def test_the_diagram_has_every_input_of_the_table(self) -> None:
        drawn = diagram()
        for (before, happened), (_, after) in TABLE.items():
            arrow = next(
                line for line in drawn.splitlines() if f" {before.value} --> {after.value}:" in line
            )
            self.assertIn(happened.value, arrow)


class CallingTests(SynchronousTestCase):
    def test_messages_before_the_connection_are_sent_first(self) -> None:
        session = session_in(SessionState.CALLING)
        self.assertEqual(session.say("hi"), [Queued("hi")])
        self.assertEqual(
            session.connected("a"),
            [Call("a"), SessionOpened(), Speak("a", "hi"), TurnPassed(TurnHolder.THEIRS)],
        )

    def test_failed_call_reports_its_messages(self) -> None:
        session = session_in(SessionState.CALLING)
        session.say("hi")
        self.assertEqual(
            session.unreachable("nobody answers"),
            [StopDialling(), Unsaid("hi", "nobody answers"), SessionEnded("nobody answers")],
        )

    def test_a_call_of_theirs_meanwhile_is_the_yes_to_ours(self) -> None:
        session = session_in(SessionState.CALLING)
        self.assertEqual(
            session.called("b"), [StopDialling(), SessionOpened(), TurnPassed(TurnHolder.THEIRS)]
        )

    def test_late_connection_is_dropped(self) -> None:
        session = session_in(SessionState.CLOSED)
        self.assertEqual(session.connected("late"), [Drop("late")])

    def test_dial_back_dialect_is_open_without_a_connection(self) -> None:
        session = PeerSession(DIALBACK)
        session.call()
        session.say("hi")
        self.assertEqual(
            session.connected(None),
            [SessionOpened(), Speak(None, "hi"), TurnPassed(TurnHolder.THEIRS)],
        )


class CalledTests(SynchronousTestCase):
    def test_a_call_rings(self) -> None:
        self.assertEqual(PeerSession(CANON).called("a"), [Ringing()])

    def test_messages_before_acceptance_are_shown_then(self) -> None:
        session = session_in(SessionState.RINGING)
        self.assertEqual(session.text_received("hello"), [])
        self.assertEqual(
            session.accept(), [SessionOpened(), Received("hello"), TurnPassed(TurnHolder.MINE)]
        )

    def test_messages_before_acceptance_are_limited(self) -> None:
        session = PeerSession(CANON, limits=replace(DEFAULTS, message=10))
        session.called("a")
        self.assertEqual(session.text_received("0123456789"), [])
        effects = session.text_received("!")
        self.assertIs(session.state, SessionState.CLOSED)
        self.assertIsInstance(effects[-1], SessionEnded)

    def test_declined_call_ends_in_the_caller_s_dialect(self) -> None:
        session = session_in(SessionState.RINGING)
        self.assertEqual(
            session.decline(), [StopDialling(), Leave("a", ""), SessionEnded("declined")]
        )

    def test_calling_a_ringing_peer_accepts_its_call(self) -> None:
        session = session_in(SessionState.RINGING)
        self.assertEqual(session.call(), [SessionOpened(), TurnPassed(TurnHolder.THEIRS)])

    def test_silent_callee_gets_messages(self) -> None:
        session = session_in(SessionState.RINGING)
        session.say("hello?")
        session.accept()
        self.assertEqual(session.greeted(), [Speak("a", "hello?")])
        self.assertIs(session.floor.turn, TurnHolder.THEIRS)


class TalkingTests(SynchronousTestCase):
    def test_line_out_of_turn_is_queued(self) -> None:
        session = session_in(SessionState.OPEN)
        self.assertEqual(session.say("one"), [Speak("a", "one"), TurnPassed(TurnHolder.THEIRS)])
        self.assertEqual(session.say("two"), [Queued("two")])
        self.assertEqual(session.say("three"), [Queued("three")])
        self.assertEqual(session.text_received("yes"), [Received("yes"), Speak("a", "two")])
        self.assertEqual(session.text_received("yes"), [Received("yes"), Speak("a", "three")])
        self.assertEqual(
            session.text_received("yes"), [Received("yes"), TurnPassed(TurnHolder.MINE)]
        )

    def test_full_duplex_sends_queued_lines(self) -> None:
        session = session_in(SessionState.OPEN)
        for text in ("one", "two", "three"):
            session.say(text)
        self.assertEqual(
            session.set_half(False),
            [Speak("a", "two"), Speak("a", "three"), TurnPassed(TurnHolder.BOTH)],
        )

    def test_a_bare_peer_that_speaks_twice_ends_turn_taking(self) -> None:
        session = PeerSession(RAW)
        session.called("a")
        session.accept()
        session.text_received("one")
        self.assertEqual(
            session.text_received("two"), [Received("two"), TurnPassed(TurnHolder.BOTH)]
        )

    def test_one_message_too_many_is_refused_and_nothing_is_lost(self) -> None:
        session = PeerSession(CANON, limits=replace(DEFAULTS, waiting_messages=2))
        session.call()
        session.say("one")
        session.say("two")
        error = self.assertRaises(LocalError, session.say, "three")
        self.assertEqual(error.status, 429)
        self.assertEqual(list(session.waiting), ["one", "two"])

    def test_farewell_of_the_peer_reports_queued_lines(self) -> None:
        session = session_in(SessionState.OPEN)
        session.say("one")
        session.say("two")
        self.assertEqual(
            session.left("a"),
            [
                StopDialling(),
                Drop("a"),
                Unsaid("two", "the peer left"),
                SessionEnded("the peer left"),
            ],
        )

    def test_unwritten_lines_of_a_lost_connection_are_reported(self) -> None:
        session = session_in(SessionState.OPEN)
        self.assertEqual(
            session.lost("a", "cut", ("one",)),
            [Unsaid("one", "cut"), StopDialling(), SessionEnded("cut")],
        )

    def test_we_speak_on_the_connection_that_we_made(self) -> None:
        session = session_in(SessionState.OPEN)
        session.called("theirs")
        self.assertEqual(session.say("hi")[0], Speak("a", "hi"))

    def test_dial_back_queues_lines_until_connected(self) -> None:
        session = PeerSession(RAW)
        session.called("theirs")
        session.accept()
        session.text_received("hello")
        session.call_back()
        self.assertEqual(session.say("hi"), [Queued("hi")])
        self.assertEqual(
            session.connected("ours"),
            [Call("ours"), Speak("ours", "hi"), TurnPassed(TurnHolder.THEIRS)],
        )

    def test_failed_dial_back_uses_the_incoming_connection(self) -> None:
        session = PeerSession(RAW)
        session.called("theirs")
        session.accept()
        session.text_received("hello")
        session.call_back()
        session.say("hi")
        self.assertEqual(
            session.unreachable("nobody"), [Speak("theirs", "hi"), TurnPassed(TurnHolder.THEIRS)]
        )

    def test_leaving_says_farewell_once_and_drops_the_rest(self) -> None:
        session = session_in(SessionState.OPEN)
        session.called("theirs")
        self.assertEqual(
            session.leave(),
            [StopDialling(), Leave("a", ""), Drop("theirs"), SessionEnded("you left")],
        )

    def test_a_connection_for_each_message_does_not_end_the_conversation(self) -> None:
        session = PeerSession(DIALBACK)
        session.called("first")
        session.accept()
        session.text_received("hi")
        self.assertEqual(session.lost("first", "closed"), [])
        self.assertIs(session.state, SessionState.OPEN)
        self.assertEqual(session.leave()[1], Leave(None, ""))

    @given(st.lists(st.sampled_from(["say", "hear", "full", "half"]), max_size=60))
    def test_no_line_is_lost_or_repeated(self, steps: list[str]) -> None:
        session = session_in(SessionState.OPEN)
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
                    note(session.text_received("x"))
                case mode:
                    note(session.set_half(mode == "half"))
        ended = session.leave()
        unsaid = [e.text for e in ended if isinstance(e, Unsaid)]
        self.assertEqual(spoken + unsaid, said)

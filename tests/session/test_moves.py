"""Test moves to a better connection, calls that are held, and farewells on connections not in use."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.effects import (
    Broken,
    Drop,
    Leave,
    PeerRinging,
    Redial,
    Resumed,
    SendChat,
    SessionEnded,
    SessionOpened,
    StopDialling,
)
from chatproto.session.session import PeerSession
from chatproto.session.state import SessionState
from chatproto.wire.dialects import DIALECTS
from tests.session.test_secure_session import THEIRS, session_in
from tests.session.two_sessions import opening

AGAIN = opening(turn="both")
"""The peer continues a conversation."""


class MoveTests(SynchronousTestCase):
    """The connection in use is "a"; "b" is better."""

    def test_our_move_asks_again_and_closes_the_old_connection_on_the_answer(self) -> None:
        session = session_in(SessionState.OPEN)
        effects = session.move("b")
        self.assertEqual([type(one) for one in effects], [SendChat, PeerRinging])
        self.assertIs(session.state, SessionState.BROKEN)
        self.assertEqual(session.connections, ("b", "a"))
        answered = session.answered("b", AGAIN)
        self.assertEqual(answered[0], Drop("a"))
        self.assertIn(Resumed(), answered)
        self.assertEqual(session.connections, ("b",))

    def test_a_second_move_waits_for_the_answer_to_the_first(self) -> None:
        session = session_in(SessionState.OPEN)
        session.move("b")
        self.assertEqual(session.move("c"), [Drop("c")])

    def test_unanswered_move_is_reported_and_redialled(self) -> None:
        session = session_in(SessionState.OPEN)
        session.move("b")
        dropped, left, broken, redial = session.no_answer()
        self.assertEqual((dropped, left, redial), (Drop("b"), Drop("a"), Redial(False)))
        self.assertIsInstance(broken, Broken)

    def test_a_move_of_the_peer_resumes_on_its_connection(self) -> None:
        session = session_in(SessionState.OPEN)
        effects = session.called("b", AGAIN, better=True)
        self.assertEqual(effects[0], Drop("a"))
        self.assertIn(Resumed(), effects)
        self.assertNotIn(SessionOpened(), effects)


class HeldTests(SynchronousTestCase):
    """Our key is the smaller one, so our call goes first and the peer's is held."""

    def test_a_held_call_is_taken_when_ours_is_not_answered(self) -> None:
        session = session_in(SessionState.ASKING)
        self.assertEqual(session.called("b", THEIRS), [])
        effects = session.no_answer()
        self.assertEqual(effects[0], Drop("a"))
        self.assertEqual(effects.count(Drop("a")), 1)
        self.assertEqual(session.connections, ("b",))

    def test_a_call_is_held_while_a_broken_conversation_is_dialled(self) -> None:
        session = session_in(SessionState.BROKEN)
        session.connected("c")
        self.assertEqual(session.called("b", THEIRS), [])
        self.assertIs(session.state, SessionState.BROKEN)
        for farewell_on in ("b", "unknown"):
            self.assertEqual(session.left(farewell_on), [])
        self.assertIs(session.state, SessionState.BROKEN)


class PlainTests(SynchronousTestCase):
    def test_farewell_on_its_own_connection_drops_no_other(self) -> None:
        session = PeerSession(DIALECTS["dialback"])
        session.called("first")
        session.accept()
        stop, leave, ended = session.leave()
        self.assertEqual((stop, leave), (StopDialling(), Leave(None, "")))
        self.assertIsInstance(ended, SessionEnded)

    def test_answer_cannot_select_a_connection_per_message(self) -> None:
        session = PeerSession(DIALECTS["canon"])
        session.call()
        session.connected("a")
        session.mirror(DIALECTS["dialback"])
        self.assertEqual(session.dialect, DIALECTS["canon"])
        session.mirror(DIALECTS["typeinit"])
        self.assertEqual(session.dialect, DIALECTS["typeinit"])

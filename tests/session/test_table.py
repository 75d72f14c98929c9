"""Test that a session can do what each row of `TABLE` says, and nothing in `TABLE` is out of reach."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.effects import Effect
from chatproto.session.session import TABLE, PeerSession
from chatproto.session.state import SessionInput, SessionState
from chatproto.wire.dialects import DIALECTS
from tests.session import test_plain_session as plain
from tests.session import test_secure_session as keyed
from tests.session.two_sessions import opening

S, I = SessionState, SessionInput  # noqa: E741
Do = Callable[[PeerSession], list[Effect]]

NOW = Wall(0.0)
THEIRS = opening()
AHEAD = opening(have=(keyed.OURS, 9))
"""The peer has a message of ours that we know nothing of."""

IN_PLAIN_TEXT: dict[SessionInput, Do] = {
    **plain.DOINGS,
    I.JOIN: lambda s: s.called("b"),
    I.FLOOD: lambda s: s.text_received("x" * 70_000),
    I.WAIT: lambda s: s.greeted(),
    I.MODE: lambda s: s.set_half(True, NOW),
    I.ONE_LOST: lambda s: [*s.called("b"), *s.lost("b", "cut")],
}


def asked(do: Do) -> Do:
    """First put our CHAT on connection "a", if it is not there."""

    def both(session: PeerSession) -> list[Effect]:
        if session.state is S.BROKEN:
            session.connected("a")
        return do(session)

    return both


INSIDE_TLS: dict[SessionInput, Do] = {
    **keyed.DOINGS,
    I.MOVE: asked(lambda s: s.move("b")),
    I.OUTDATED: asked(lambda s: s.answered("a", AHEAD)),
    I.NO_ANSWER: asked(lambda s: s.no_answer()),
    I.CALL_LOST: asked(lambda s: s.lost("a", "cut")),
    I.RING: lambda s: s.called("b", THEIRS, better=True),
    I.RING_BESIDE: lambda s: s.called("b", THEIRS),
    I.RING_CROSSED: asked(lambda s: s.called("b", THEIRS)),
    I.ALIVE: lambda s: s.alive("a"),
    I.SILENT: lambda s: [*s.called("b", THEIRS), *s.silent()],
    I.BREAK: lambda s: s.lost("a", "cut"),
    I.PASS: lambda s: [*s.set_half(True, NOW), *s.pass_turn(NOW)],
    I.MODE: lambda s: s.set_half(True, NOW),
    I.GIVE_UP: lambda s: s.give_up("too long"),
}


class Recorded(PeerSession):
    """Notes every row that it follows, and the state after the whole input."""

    def note_rows(self) -> None:
        self.rows: list[tuple[SessionState, SessionInput]] = []

    def _feed(self, happened: SessionInput, *args: object) -> list[Effect] | None:
        self.rows.append((self.state, happened))
        return super()._feed(happened, *args)


class TableTests(SynchronousTestCase):
    def test_each_row_is_followed_and_leads_to_its_state(self) -> None:
        followed: set[tuple[SessionState, SessionInput]] = set()
        for state, happened in TABLE:
            for session, doings in self.sessions(state):
                if happened not in doings:
                    continue
                session.__class__ = Recorded
                assert isinstance(session, Recorded)
                session.note_rows()
                doings[happened](session)
                if (state, happened) in session.rows:
                    followed.add((state, happened))
                    last = TABLE[session.rows[-1]][1]
                    self.assertIs(session.state, last, (state, happened))
        self.assertEqual(set(TABLE) - followed, set())

    def sessions(self, state: SessionState) -> list[tuple[PeerSession, dict[SessionInput, Do]]]:
        """New sessions in `state`, each with what can be done to one of its kind."""
        found: list[tuple[PeerSession, dict[SessionInput, Do]]] = []
        if state in plain.PLAIN_STATES:
            found.append((plain.session_in(state), IN_PLAIN_TEXT))
        for smaller in (False, True):
            found.append((keyed.session_in(state, smaller), INSIDE_TLS))
        return found

    def test_a_peer_that_is_dialled_for_each_message_survives_a_change_of_dialect(self) -> None:
        session = PeerSession(DIALECTS["dialback"])
        session.call()
        session.connected(None)
        session.say("one")
        session.mirror(DIALECTS["canon"])
        self.assertEqual(session.text_received("hi")[0].text, "hi")  # type: ignore[union-attr]

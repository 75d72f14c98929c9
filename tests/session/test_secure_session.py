"""Test BCP/2 sessions: the session table, calls and their answers, the end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.delivery import Delivery
from chatproto.session.effects import (
    AcceptCall,
    Acknowledge,
    Drop,
    Effect,
    Leave,
    MessageOutcome,
    Opening,
    PeerRinging,
    ProbeConnection,
    Queued,
    Received,
    Redial,
    Refuse,
    Resumed,
    Ringing,
    SendChat,
    SendEntry,
    SessionEnded,
    SessionOpened,
    StopDialling,
    TurnPassed,
    Unsaid,
)
from chatproto.session.floor import TurnHolder
from chatproto.session.ledger import MSG, UNDELIVERED, StreamEntry
from chatproto.session.session import TABLE, PeerSession
from chatproto.session.state import REFUSALS, SessionInput, SessionState
from chatproto.wire.dialects import BCP2
from chatproto.wire.errors import LocalError
from tests.limits import DEFAULTS
from tests.session.two_sessions import KEYS, opening
from tests.stores.memory_ledger import MemoryLedger

OURS = "0123456789abcdef"
THEIRS = opening()


def delivery(smaller: bool = True, ledger: MemoryLedger | None = None) -> Delivery:
    """Make the delivery for a new peer."""
    kept = ledger or MemoryLedger()
    return Delivery(kept, KEYS[1], "bob", smaller, lambda: OURS, DEFAULTS)


def session_in(state: SessionState, smaller: bool = True) -> PeerSession:
    """A session that came into `state` in the usual way; its connection, if it has one, is "a"."""
    session = PeerSession(BCP2)
    if state is SessionState.RINGING:
        session.called("a", THEIRS)
        session.attach(delivery(smaller), Wall(0.0))
        return session
    if state is not SessionState.NEW:
        session.call()
    session.attach(delivery(smaller), Wall(0.0))
    match state:
        case SessionState.ASKING:
            session.connected("a")
        case SessionState.OPEN | SessionState.BROKEN:
            session.connected("a")
            session.answered("a", THEIRS)
            if state is SessionState.BROKEN:
                session.lost("a", "cut")
        case SessionState.CLOSED:
            session.leave()
    assert session.state is state
    return session


def answer(session: PeerSession) -> list[Effect]:
    if session.state is SessionState.BROKEN:
        session.connected("a")
    return session.answered("a", THEIRS)


def refuse(session: PeerSession, status: int) -> list[Effect]:
    if session.state is SessionState.BROKEN:
        session.connected("a")
    return session.refused("a", status)


def left(session: PeerSession) -> list[Effect]:
    if session.state is SessionState.BROKEN:
        session.connected("a")
    return session.left("a")


DOINGS: dict[SessionInput, Callable[[PeerSession], list[Effect]]] = {
    SessionInput.CALL: lambda s: s.call(),
    SessionInput.ASK: lambda s: s.connected("b"),
    SessionInput.ANSWER: answer,
    SessionInput.REFUSE: lambda s: refuse(s, 603),
    SessionInput.DENY: lambda s: refuse(s, 486),
    SessionInput.FAIL: lambda s: s.unreachable("gone"),
    SessionInput.RING: lambda s: s.called("b", THEIRS),
    SessionInput.ACCEPT: lambda s: s.accept(),
    SessionInput.DECLINE: lambda s: s.decline(),
    SessionInput.RING_OUT: lambda s: s.ring_out(),
    SessionInput.SAY: lambda s: s.say("hi"),
    SessionInput.LEAVE: lambda s: s.leave(),
    SessionInput.LEFT: left,
    SessionInput.LOST: lambda s: s.lost("a", "cut"),
}
LOCAL = {*REFUSALS, SessionInput.RING_OUT}
OTHERWISE = {
    # A lost connection or a refusal is another input, depending on what is there already.
    (SessionState.OPEN, SessionInput.LOST): SessionState.BROKEN,
    (SessionState.ASKING, SessionInput.LOST): SessionState.CLOSED,
    (SessionState.ASKING, SessionInput.DENY): SessionState.CLOSED,
    (SessionState.OPEN, SessionInput.FAIL): SessionState.OPEN,
}


class TableTests(SynchronousTestCase):
    """Every state and input."""

    def test_every_state_and_input_does_what_the_table_says(self) -> None:
        for state, (happened, do) in product(SessionState, DOINGS.items()):
            session = session_in(state, smaller=False)  # who takes a call that crosses ours
            row = TABLE.get((state, happened))
            after = OTHERWISE.get((state, happened)) or (row[1] if row is not None else None)
            if after is not None:
                do(session)
                self.assertIs(session.state, after, (state, happened))
            elif happened in LOCAL:
                self.assertRaises(LocalError, do, session)
                self.assertIs(session.state, state)
            else:
                effects = do(session)
                self.assertIs(session.state, state, (state, happened))
                self.assertEqual([e for e in effects if not isinstance(e, Drop)], [])

    def test_broken_session_ends_without_a_connection(self) -> None:
        session = session_in(SessionState.BROKEN)
        self.assertEqual(session.give_up("too long"), [StopDialling(), SessionEnded("too long")])
        self.assertIs(session.state, SessionState.CLOSED)
        self.assertEqual(session.give_up("too long"), [])

    def test_inputs_after_the_end_do_nothing(self) -> None:
        session = session_in(SessionState.CLOSED)
        for effects in (
            session.connected("b"),
            session.answered("b", THEIRS),
            session.called("b", THEIRS),
        ):
            self.assertEqual(effects, [Drop("b")])
        for effects in (
            session.refused("b", 486),
            session.no_answer(),
            session.alive("b"),
            session.silent(),
            session.entry_received("b", StreamEntry(1, MSG, Wall(0.0), "hi")),
            session.left("b"),
            session.lost("b", "cut"),
            session.arrived(7),
        ):
            self.assertEqual(effects, [])


class CallingTests(SynchronousTestCase):
    """Outgoing calls."""

    def test_call_announces_stream_and_position(self) -> None:
        session = session_in(SessionState.CALLING)
        self.assertEqual(
            session.connected("a"), [SendChat("a", Opening(False, OURS)), PeerRinging()]
        )

    def test_no_message_is_sent_before_chatack(self) -> None:
        session = session_in(SessionState.CALLING)
        self.assertEqual(session.say("hi"), [Queued("hi", 1)])
        session.connected("a")
        self.assertEqual(session.say("there"), [Queued("there", 2)])
        effects = session.answered("a", THEIRS)
        hi, there = StreamEntry(1, MSG, Wall(0.0), "hi"), StreamEntry(2, MSG, Wall(0.0), "there")
        self.assertEqual(effects, [SessionOpened(), SendEntry("a", hi), SendEntry("a", there)])

    def test_messages_before_the_key_is_known_are_queued(self) -> None:
        session = PeerSession(BCP2)
        session.call()
        self.assertEqual(session.say("hi"), [Queued("hi")])
        kept = delivery()
        self.assertEqual(session.attach(kept, Wall(0.0)), [])
        self.assertEqual((len(session.waiting), len(kept), session.unsent), (0, 1, 1))

    def test_messages_beyond_the_queue_are_reported(self) -> None:
        session, kept = PeerSession(BCP2), delivery()
        session.call()
        session.say("hi")
        for number in range(DEFAULTS.waiting_messages):
            kept.say(MSG, str(number), Wall(0.0))
        [unsaid] = session.attach(kept, Wall(0.0))
        assert isinstance(unsaid, Unsaid)
        self.assertEqual(unsaid.text, "hi")

    def test_refusal_ends_the_session_and_keeps_the_outbox(self) -> None:
        session = session_in(SessionState.ASKING)
        session.say("hi")
        effects = session.refused("a", 603)
        self.assertEqual(effects[-1], SessionEnded("declined"))
        self.assertIn(Drop("a"), effects)
        self.assertEqual(session.unsent, 1)

    def test_no_answer_in_time_is_a_no(self) -> None:
        session = session_in(SessionState.ASKING)
        effects = session.no_answer()
        self.assertEqual(effects, [StopDialling(), Drop("a"), SessionEnded("no answer")])

    def test_a_second_connection_is_dropped(self) -> None:
        self.assertEqual(session_in(SessionState.ASKING).connected("b"), [Drop("b")])
        self.assertEqual(session_in(SessionState.OPEN).connected("b"), [Drop("b")])

    def test_connection_lost_before_chatack_ends_the_session(self) -> None:
        effects = session_in(SessionState.ASKING).lost("a", "cut")
        self.assertEqual(effects[-1], SessionEnded("cut"))


class CalledTests(SynchronousTestCase):
    """Incoming calls."""

    def test_a_call_rings(self) -> None:
        self.assertEqual(PeerSession(BCP2).called("a", THEIRS), [Ringing()])

    def test_call_is_accepted_by_an_answer(self) -> None:
        session = session_in(SessionState.RINGING)
        yes = AcceptCall("a", Opening(False, OURS, (THEIRS.stream, 0)))
        self.assertEqual(session.accept(), [StopDialling(), yes, SessionOpened()])
        self.assertFalse(session.caller)

    def test_call_is_accepted_by_calling_the_peer(self) -> None:
        self.assertIn(SessionOpened(), session_in(SessionState.RINGING).call())

    def test_call_is_refused_with_a_status(self) -> None:
        for no, status, reason in (
            (PeerSession.decline, 603, "declined"),
            (PeerSession.ring_out, 480, "you did not answer in time"),
        ):
            effects = no(session_in(SessionState.RINGING))
            self.assertEqual(effects, [StopDialling(), Refuse("a", status), SessionEnded(reason)])

    def test_server_refusal_of_a_call_is_handled(self) -> None:
        for status in (405, 401):
            ended = session_in(SessionState.ASKING).refused("a", status)[-1]
            self.assertEqual(
                ended, SessionEnded("that is a server: start with --server HOST:PORT to use it")
            )

    def test_a_second_call_of_theirs_takes_the_place_of_the_first(self) -> None:
        session = session_in(SessionState.RINGING)
        self.assertEqual(session.called("b", THEIRS), [Drop("a")])
        self.assertEqual(session.lost("a", "cut"), [])
        self.assertIn(SessionOpened(), session.accept())

    def test_messages_before_acceptance_are_ignored(self) -> None:
        session = session_in(SessionState.RINGING)
        self.assertEqual(session.entry_received("a", StreamEntry(1, MSG, Wall(0.0), "hi")), [])

    def test_position_in_the_call_settles_our_messages(self) -> None:
        ledger = MemoryLedger()
        kept = delivery(ledger=ledger)
        for text in ("one", "two"):
            kept.wrote(kept.say(MSG, text, Wall(0.0)).id)
        session = PeerSession(BCP2)
        session.called("a", opening(have=(OURS, 1)))
        session.attach(delivery(ledger=ledger), Wall(0.0))
        effects = session.accept()
        self.assertIn(MessageOutcome(1, "delivered", "one", ""), effects)
        self.assertIn(SendEntry("a", StreamEntry(2, MSG, Wall(0.0), "two")), effects)


class BesideTests(SynchronousTestCase):
    """A call beside a connection that is there."""

    def test_second_call_waits_for_a_check_of_the_first(self) -> None:
        session = session_in(SessionState.OPEN)
        self.assertEqual(session.called("b", THEIRS), [ProbeConnection("a")])
        self.assertEqual(set(session.connections), {"a", "b"})
        self.assertEqual(session.alive("a"), [Drop("b")])
        self.assertEqual(session.connections, ("a",))

    def test_or_dead(self) -> None:
        session = session_in(SessionState.OPEN)
        session.called("b", THEIRS)
        effects = session.silent()
        self.assertEqual(effects[0], Drop("a"))
        self.assertIn(Resumed(), effects)
        self.assertEqual((session.connection, session.caller), ("b", False))

    def test_a_dead_one_that_is_lost_gives_its_place_at_once(self) -> None:
        session = session_in(SessionState.OPEN)
        session.called("b", THEIRS)
        self.assertIn(Resumed(), session.lost("a", "cut"))
        self.assertEqual(session.connection, "b")

    def test_last_of_several_calls_is_kept(self) -> None:
        session = session_in(SessionState.OPEN)
        session.called("b", THEIRS)
        self.assertEqual(session.called("c", THEIRS), [Drop("b"), ProbeConnection("a")])
        self.assertEqual(session.lost("c", "cut"), [])
        self.assertEqual((session.silent(), session.state), ([], SessionState.OPEN))

    def test_farewell_on_the_waiting_connection_does_not_count(self) -> None:
        session = session_in(SessionState.OPEN)
        session.called("b", THEIRS)
        self.assertEqual(session.left("b"), [])
        self.assertIs(session.state, SessionState.OPEN)

    def test_smaller_key_keeps_its_crossing_call(self) -> None:
        session = session_in(SessionState.ASKING, smaller=True)
        self.assertEqual(session.called("b", THEIRS), [])
        self.assertEqual(session.answered("a", THEIRS)[:2], [Drop("b"), SessionOpened()])

    def test_smaller_key_accepts_the_other_call_if_its_own_fails(self) -> None:
        for end in (
            lambda s: s.lost("a", "cut"),
            lambda s: s.no_answer(),
        ):
            session = session_in(SessionState.ASKING, smaller=True)
            session.called("b", THEIRS)
            self.assertIn(SessionOpened(), end(session))
            self.assertEqual((session.connection, session.caller), ("b", False))

    def test_larger_key_accepts_the_crossing_call(self) -> None:
        session = session_in(SessionState.ASKING, smaller=False)
        effects = session.called("b", THEIRS)
        self.assertEqual((effects[0], session.connection), (Drop("a"), "b"))
        self.assertEqual(session.answered("a", THEIRS), [Drop("a")])

    def test_smaller_key_waits_on_one_connection(self) -> None:
        session = session_in(SessionState.ASKING, smaller=True)
        self.assertEqual(session.crossed("a", THEIRS), [])
        self.assertEqual(session.answered("a", THEIRS)[0], SessionOpened())
        self.assertEqual((session.connection, session.caller), ("a", True))

    def test_larger_key_answers_on_one_connection(self) -> None:
        session = session_in(SessionState.ASKING, smaller=False)
        effects = session.crossed("a", THEIRS)
        self.assertNotIn(Drop("a"), effects)
        self.assertEqual([one.connection for one in effects if isinstance(one, AcceptCall)], ["a"])
        self.assertEqual((session.connection, session.caller), ("a", False))
        self.assertEqual(session.crossed("a", THEIRS), [])


class RefusedAgainTests(SynchronousTestCase):
    """A broken conversation is called for again."""

    def test_a_no_for_now_is_tried_again(self) -> None:
        for status in (480, 486, 500):
            session = session_in(SessionState.BROKEN)
            session.connected("b")
            self.assertEqual(session.refused("b", status), [Drop("b"), Redial(True)])

    def test_final_refusal_ends_the_session(self) -> None:
        for status in (403, 603):
            session = session_in(SessionState.BROKEN)
            session.connected("b")
            self.assertIsInstance(session.refused("b", status)[-1], SessionEnded)

    def test_no_answer_is_tried_again(self) -> None:
        session = session_in(SessionState.BROKEN)
        session.connected("b")
        self.assertEqual(session.no_answer(), [Drop("b"), Redial(True)])

    def test_a_connection_that_is_lost_before_the_yes_is_not_counted(self) -> None:
        session = session_in(SessionState.BROKEN)
        session.connected("b")
        self.assertEqual(session.lost("b", "cut"), [Redial(False)])


class EndTests(SynchronousTestCase):
    """Leaving."""

    def test_leaving_says_farewell_and_drops_the_rest(self) -> None:
        session = session_in(SessionState.OPEN)
        session.called("b", THEIRS)
        effects = session.leave("bye")
        wanted = [StopDialling(), Leave("a", "bye"), Drop("b"), SessionEnded("you left")]
        self.assertEqual(effects, wanted)

    def test_ringing_call_can_be_ended(self) -> None:
        self.assertIn(Leave("a", ""), session_in(SessionState.ASKING).leave())

    def test_unconfirmed_messages_stay_in_the_outbox(self) -> None:
        session = session_in(SessionState.OPEN)
        session.say("hi")
        assert session.exchange is not None
        session.exchange.writes(StreamEntry(1, MSG, Wall(0.0), "hi"))
        session.leave()
        self.assertEqual(session.unsent, 1)
        self.assertEqual(session.arrived(1), [MessageOutcome(1, "delivered", "hi", "")])

    def test_farewell_of_the_peer_ends_the_session(self) -> None:
        effects = session_in(SessionState.OPEN).left("a")
        self.assertEqual(effects, [StopDialling(), Drop("a"), SessionEnded("the peer left")])

    def test_taken_back_a_message_that_was_not_written_is_reported(self) -> None:
        session = session_in(SessionState.BROKEN)
        session.say("hi")
        self.assertEqual(
            session.unsend(1), [MessageOutcome(1, UNDELIVERED, "hi", "cancelled with /unsend")]
        )
        self.assertRaises(LocalError, session.unsend, 1)
        self.assertRaises(LocalError, PeerSession(BCP2).unsend, 1)

    def test_one_that_repeats_itself_is_acknowledged_again_and_not_shown(self) -> None:
        session = session_in(SessionState.OPEN)
        entry = StreamEntry(4, MSG, Wall(0.0), "hi")
        self.assertEqual(
            session.entry_received("a", entry),
            [Received("hi", 4, 1, entry.at), Acknowledge("a", 4)],
        )
        self.assertEqual(session.entry_received("a", entry), [Acknowledge("a", 4)])

    def test_a_new_call_begins_a_new_conversation(self) -> None:
        session = session_in(SessionState.RINGING)
        session.accept()
        self.assertIs(session.floor.turn, TurnHolder.BOTH)
        self.assertNotIn(TurnPassed(TurnHolder.BOTH), session.send_queued())

"""Two sessions that talk inside TLS: crossing calls, connections that break, turns and modes."""

from __future__ import annotations

from copy import deepcopy

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.effects import Broken, Redial, Resumed, Ringing, SessionOpened, TurnPassed
from chatproto.session.floor import TurnHolder
from chatproto.session.ledger import MSG, StreamEntry
from chatproto.session.state import SessionState
from chatproto.wire.errors import LocalError
from tests.session.two_sessions import Two, opening

OPEN, BROKEN = SessionState.OPEN, SessionState.BROKEN


class Case(SynchronousTestCase):
    """Alice, whose key is the smaller one, and Bob."""

    def two(self, *half: bool) -> Two:
        self.w = Two(half=half or (False, False))  # type: ignore[arg-type]
        self.alice, self.bob = self.w.both
        return self.w

    def states(self) -> tuple[SessionState, SessionState]:
        return self.alice.session.state, self.bob.session.state

    def turns(self) -> tuple[TurnHolder, TurnHolder]:
        return self.alice.session.floor.turn, self.bob.session.floor.turn

    def nothing_waits(self) -> None:
        self.assertEqual((self.alice.waiting, self.bob.waiting), ([], []))


class CrossingTests(Case):
    """Both call each other."""

    def test_crossing_calls_become_one_conversation(self) -> None:
        for first in (0, 1):
            for order in range(16):
                two = self.two()
                for who in two.both:
                    who.call()
                (two.alice if first == 0 else two.bob).dial()
                two.deliver_one(0) if order & 1 else None
                for who in two.both:
                    who.dial()
                for step in range(4):
                    two.deliver_one(order >> step)
                two.settle()
                self.assertEqual(self.states(), (OPEN, OPEN))
                self.assertEqual([len(who.told(SessionOpened)) for who in two.both], [1, 1])
                self.assertEqual([who.told(Broken) for who in two.both], [[], []])
                [mine], [theirs] = self.alice.session.connections, self.bob.session.connections
                self.assertIs(mine, theirs)
                self.assertNotEqual(self.alice.session.caller, self.bob.session.caller)

    def test_messages_before_crossing_calls_arrive(self) -> None:
        two = self.two()
        for who in two.both:
            who.call()
            who.say(f"from {who.number}")
            who.dial()
        two.settle()
        self.assertEqual((self.alice.heard, self.bob.heard), (["from 1"], ["from 0"]))
        self.nothing_waits()

    def test_late_call_beside_an_open_one_changes_nothing(self) -> None:
        two = self.two().open()
        connection = two.bob.session.connection
        two.bob.session.called("late", opening())
        two.bob.apply(two.bob.session.alive(connection))
        two.settle()
        self.assertEqual(self.states(), (OPEN, OPEN))
        self.assertEqual(two.bob.session.connections, (connection,))


class BreakingTests(Case):
    """The connection goes away under them."""

    def test_conversation_continues_on_a_new_connection_without_loss(self) -> None:
        two = self.two().open()
        two.alice.say("one")
        two.cut()
        self.assertEqual(self.states(), (BROKEN, BROKEN))
        self.assertEqual(two.bob.heard, [])
        two.alice.say("two")
        two.bob.say("three")
        two.mend()
        self.assertEqual(self.states(), (OPEN, OPEN))
        self.assertEqual((two.bob.heard, two.alice.heard), (["one", "two"], ["three"]))
        self.assertEqual([len(who.told(Resumed)) for who in two.both], [1, 1])
        self.nothing_waits()

    def test_unacknowledged_but_delivered_message_is_not_repeated(self) -> None:
        two = self.two().open()
        two.alice.say("one")
        two.cables[0].deliver(two.alice)
        two.cut()
        two.mend()
        self.assertEqual(two.bob.heard, ["one"])
        self.assertEqual(two.alice.fates, {1: ["delivered"]})

    def test_one_sided_break_is_repaired_by_a_new_connection(self) -> None:
        two = self.two().open()
        old = two.cables[0]
        two.alice.apply(two.alice.session.lost(old, "cut"))
        two.cables.remove(old)
        two.alice.dial()
        two.cables[-1].deliver(two.alice)
        self.assertEqual(self.states(), (BROKEN, OPEN))
        two.bob.apply(two.bob.session.silent())
        two.mend()
        self.assertEqual(self.states(), (OPEN, OPEN))
        two.alice.say("hi")
        two.settle()
        self.assertEqual(two.bob.heard, ["hi"])

    def test_break_is_reported_once_despite_failed_redials(self) -> None:
        two = self.two().open()
        two.cut()
        for _ in range(5):
            two.alice.dial()
            two.cut()
        self.assertEqual(len(two.alice.told(Broken)), 1)
        self.assertEqual(two.alice.told(Redial)[1:], [Redial(False)] * 5)

    def test_conversation_continues_after_a_restart_and_a_call(self) -> None:
        two = self.two(True, False).open()
        two.alice.say("your turn")
        two.settle()
        two.cut()
        two.alice.restart()
        two.mend()
        self.assertEqual(self.states(), (OPEN, OPEN))
        self.assertEqual(self.turns(), (TurnHolder.THEIRS, TurnHolder.MINE))
        self.assertEqual(two.alice.told(Ringing), [Ringing()])

    def test_conversation_does_not_continue_after_a_farewell(self) -> None:
        two = self.two(True, False).open()
        two.alice.say("your turn")
        two.settle()
        two.bob.apply(two.bob.session.leave())
        two.settle()
        self.assertEqual(self.states(), (SessionState.CLOSED, SessionState.CLOSED))
        two.alice.restart()
        two.bob.restart()
        two.open()
        self.assertEqual(self.turns(), (TurnHolder.MINE, TurnHolder.THEIRS))

    def test_new_call_after_a_farewell_has_no_old_turn(self) -> None:
        two = self.two(True, True).open()
        two.alice.say("your turn")
        two.settle()
        two.cut()
        two.bob.apply(two.bob.session.leave())
        two.bob.restart()
        two.mend()
        self.assertEqual(self.states(), (OPEN, OPEN))
        self.assertEqual(self.turns(), (TurnHolder.MINE, TurnHolder.THEIRS))


class RestoredTests(Case):
    """A home is put back to an older copy."""

    def test_callee_restored_from_a_backup_starts_a_new_stream(self) -> None:
        two = self.two().open()
        before = deepcopy(two.bob.ledger)
        stream = two.bob.delivery.stream
        two.bob.say("one")
        two.settle()
        two.cut()
        two.restore(two.bob, before)
        two.mend()
        self.assertEqual(self.states(), (OPEN, OPEN))
        self.assertNotEqual(two.bob.delivery.stream, stream)
        two.bob.say("two")
        two.settle()
        self.assertEqual(two.alice.heard, ["one", "two"])
        self.nothing_waits()

    def test_caller_restored_from_a_backup_starts_a_new_stream(self) -> None:
        two = self.two().open()
        before = deepcopy(two.alice.ledger)
        two.alice.say("one")
        two.settle()
        two.cut()
        two.restore(two.alice, before)
        two.bob.wants_dial = False
        two.alice.call()
        two.alice.say("two")
        two.mend()
        self.assertEqual(self.states(), (OPEN, OPEN))
        self.assertEqual(two.bob.heard, ["one", "two"])
        self.nothing_waits()


class TurnTests(Case):
    """One speaks at a time."""

    def test_half_duplex_if_either_side_wants_it(self) -> None:
        for half in ((True, False), (False, True), (True, True)):
            self.two(*half).open()
            self.assertEqual(self.turns(), (TurnHolder.MINE, TurnHolder.THEIRS))

    def test_messages_pass_the_turn_and_wait_for_it(self) -> None:
        two = self.two(True, False).open()
        two.bob.say("later")
        two.settle()
        self.assertEqual(two.alice.heard, [])
        two.alice.say("first")
        two.alice.say("third")
        two.settle()
        self.assertEqual((two.bob.heard, two.alice.heard), (["first", "third"], ["later"]))
        self.assertEqual(self.turns(), (TurnHolder.THEIRS, TurnHolder.MINE))

    def test_the_turn_is_passed_without_a_word(self) -> None:
        two = self.two(True, False).open()
        two.alice.apply(two.alice.session.pass_turn(Wall(0.0)))
        two.settle()
        self.assertEqual(self.turns(), (TurnHolder.THEIRS, TurnHolder.MINE))
        self.assertEqual(two.bob.told(TurnPassed)[-1], TurnPassed(TurnHolder.MINE))
        self.assertEqual(two.bob.heard, [])

    def test_only_the_side_with_the_turn_can_pass_it(self) -> None:
        two = self.two(True, False)
        self.assertRaises(LocalError, two.alice.session.pass_turn)
        two.open()
        error = self.assertRaises(LocalError, two.bob.session.pass_turn)
        self.assertEqual(error.detail, "it is not your turn")
        error = self.assertRaises(LocalError, self.two().open().alice.session.pass_turn)
        self.assertIn("/mode half", error.detail)

    def test_a_cut_loses_no_turn(self) -> None:
        for delivered in (0, 1, 2):
            two = self.two(True, False).open()
            two.alice.apply(two.alice.session.pass_turn(Wall(0.0)))
            for _ in range(delivered):
                two.deliver_one(0)
            two.cut()
            two.mend()
            self.assertEqual(self.turns(), (TurnHolder.THEIRS, TurnHolder.MINE))

    def test_turn_passed_while_broken_counts(self) -> None:
        two = self.two(True, False).open()
        two.cut()
        two.alice.apply(two.alice.session.pass_turn(Wall(0.0)))
        two.mend()
        self.assertEqual(self.turns(), (TurnHolder.THEIRS, TurnHolder.MINE))


class ModeTests(Case):
    """Turns are taken from now on, or no more."""

    def test_mode_change_is_sent_and_its_sender_starts(self) -> None:
        two = self.two().open()
        two.bob.apply(two.bob.session.set_half(True, Wall(0.0)))
        two.settle()
        self.assertEqual(self.turns(), (TurnHolder.THEIRS, TurnHolder.MINE))
        two.alice.apply(two.alice.session.set_half(False, Wall(0.0)))
        two.settle()
        self.assertEqual(self.turns(), (TurnHolder.BOTH, TurnHolder.BOTH))

    def test_messages_queued_for_the_turn_are_sent_in_full_duplex(self) -> None:
        two = self.two(True, False).open()
        two.bob.say("one")
        two.bob.say("two")
        two.alice.apply(two.alice.session.set_half(False, Wall(0.0)))
        two.settle()
        self.assertEqual(two.alice.heard, ["one", "two"])

    def test_changes_that_cross_end_in_one_mode(self) -> None:
        for start, mine, theirs in (
            (False, True, True),
            (False, True, False),
            (True, False, False),
            (True, True, False),
        ):
            two = self.two(start, start).open()
            two.alice.apply(two.alice.session.set_half(mine, Wall(0.0)))
            two.bob.apply(two.bob.session.set_half(theirs, Wall(0.0)))
            two.settle()
            self.assertIn(
                self.turns(),
                ((TurnHolder.BOTH, TurnHolder.BOTH), (TurnHolder.MINE, TurnHolder.THEIRS)),
                (start, mine),
            )

    def test_a_change_survives_a_cut(self) -> None:
        two = self.two().open()
        two.alice.apply(two.alice.session.set_half(True, Wall(0.0)))
        two.cut()
        two.mend()
        self.assertEqual(self.turns(), (TurnHolder.MINE, TurnHolder.THEIRS))

    def test_messages_before_a_mode_change_pass_no_turn(self) -> None:
        two = self.two().open()
        two.alice.full = True
        two.alice.say("one")
        two.alice.apply(two.alice.session.set_half(True, Wall(0.0)))
        two.settle()
        self.assertEqual(two.bob.heard, ["one"])
        self.assertEqual(self.turns(), (TurnHolder.MINE, TurnHolder.THEIRS))

    def test_mode_changed_while_ringing_is_sent(self) -> None:
        two = self.two()
        two.alice.call()
        two.alice.dial()
        two.alice.session.set_half(True, Wall(0.0))
        two.settle()
        self.assertEqual(self.turns(), (TurnHolder.MINE, TurnHolder.THEIRS))

    def test_peer_message_counts_during_our_mode_change(self) -> None:
        two = self.two(True, False).open()
        two.alice.session.entry_received(
            two.cables[0], StreamEntry(99, MSG, Wall(0.0), "out of turn")
        )
        self.assertIs(two.alice.session.floor.turn, TurnHolder.MINE)

"""Tests of what is said to and fro with one key, without a session: each has one exchange and a ledger."""

from __future__ import annotations

from collections import deque
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.delivery import Delivery, Exchange
from chatproto.session.effects import (
    Acknowledge,
    Effect,
    EntryWritten,
    MessageOutcome,
    Opening,
    Queued,
    Received,
    SendEntry,
    TurnPassed,
)
from chatproto.session.floor import Floor, TurnHolder
from chatproto.session.ledger import DELIVERED, MODE, MSG, TURN, UNDELIVERED, StreamEntry
from chatproto.wire.errors import LocalError
from tests.limits import DEFAULTS
from tests.session.two_sessions import KEYS, opening
from tests.stores.memory_ledger import MemoryLedger

OURS = "0123456789abcdef"
THEIRS = "e" * 16


def an_exchange(
    ledger: MemoryLedger | None = None, half: bool = False, smaller: bool = True, stream: str = OURS
) -> Exchange:
    """Not begun; over `ledger`, or a new one."""
    kept = MemoryLedger() if ledger is None else ledger
    delivery = Delivery(kept, KEYS[1], "them", smaller, lambda: stream, DEFAULTS)
    return Exchange(delivery, Floor(half=half, mine=True), half)


def begun(half: bool = False, mine: bool = True, smaller: bool = True) -> Exchange:
    """A new conversation, on the connection "a"."""
    exchange = an_exchange(half=half, smaller=smaller)
    exchange.meet(opening())
    exchange.begin("a", opening(), half, mine)
    return exchange


class Watched(MemoryLedger):
    """A ledger that notes whose turn it would be after a restart, each time a message is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[TurnHolder] = []

    def store_incoming(self, key: str, name: str, entry: StreamEntry) -> int:
        self.turns.append(an_exchange(self, half=True).floor.turn)
        return super().store_incoming(key, name, entry)


class BeginningTests(SynchronousTestCase):
    def test_message_without_a_connection_is_queued(self) -> None:
        exchange = an_exchange()
        self.assertEqual(exchange.say("hi", Wall(7.0)), [Queued("hi", 1)])
        effects = exchange.begin("a", opening(), False, True)
        self.assertEqual(effects, [SendEntry("a", StreamEntry(1, MSG, Wall(7.0), "hi"))])

    def test_call_announces_mode_and_state(self) -> None:
        exchange = an_exchange(half=True)
        self.assertEqual(exchange.opening(), Opening(True, OURS))
        exchange.meet(opening())
        exchange.begin("a", opening(), True, True)
        self.assertEqual(exchange.opening(), Opening(True, OURS, (THEIRS, 0), "mine"))
        exchange.half = False  # and nobody was told
        self.assertTrue(exchange.opening().half)

    def test_chatack_announces_mode_and_state(self) -> None:
        for ours, theirs in ((False, False), (True, False), (False, True)):
            answer = an_exchange(half=ours).answer(opening(half=theirs))
            self.assertIs(answer.half, ours or theirs)
        exchange = begun(half=False)
        self.assertFalse(exchange.answer(opening(half=True, turn="both")).half)

    def test_new_connection_repeats_released_entries(self) -> None:
        exchange = begun()
        exchange.say("hi", Wall(0.0))
        exchange.stop()
        exchange.meet(opening(turn="both"))
        effects = exchange.begin("b", opening(turn="both"), False, True)
        self.assertEqual(effects, [SendEntry("b", StreamEntry(1, MSG, Wall(0.0), "hi"))])

    def test_received_entries_are_not_repeated(self) -> None:
        exchange = begun()
        exchange.say("hi", Wall(0.0))
        exchange.writes(StreamEntry(1, MSG, Wall(0.0), "hi"))
        exchange.stop()
        theirs = opening(turn="both", have=(OURS, 1))
        self.assertEqual(exchange.meet(theirs), [MessageOutcome(1, DELIVERED, "hi", "")])
        self.assertEqual(exchange.begin("b", theirs, False, True), [])

    def test_new_conversation_starts_with_the_caller_s_turn(self) -> None:
        for end in (True, False):
            exchange = begun(half=True)
            exchange.say("hi", Wall(0.0))
            if end:
                exchange.end()
            self.assertIs(exchange.floor.turn, TurnHolder.THEIRS)
            theirs = opening(turn="mine" if end else "")
            exchange.meet(theirs)
            exchange.begin("b", theirs, True, mine=True)
            self.assertIs(exchange.floor.turn, TurnHolder.THEIRS)  # the caller said "hi" again
            self.assertEqual(exchange.say("more", Wall(0.0)), [Queued("more", 2)])

    def test_turn_continues_after_a_restart(self) -> None:
        ledger = MemoryLedger()
        exchange = an_exchange(ledger, half=True)
        exchange.meet(opening())
        exchange.begin("a", opening(), True, mine=False)
        again = an_exchange(ledger)
        self.assertIs(again.floor.turn, TurnHolder.THEIRS)
        self.assertTrue(again.opening().half)

    def test_a_turn_that_no_connection_took_is_ours_after_a_restart(self) -> None:
        ledger = MemoryLedger()
        exchange = an_exchange(ledger, half=True)
        exchange.meet(opening())
        exchange.begin("a", opening(), True, mine=True)
        exchange.say("hi", Wall(0.0))
        self.assertIs(exchange.floor.turn, TurnHolder.THEIRS)
        self.assertIs(an_exchange(ledger).floor.turn, TurnHolder.MINE)
        exchange.writes(StreamEntry(1, MSG, Wall(0.0), "hi"))
        self.assertIs(an_exchange(ledger).floor.turn, TurnHolder.THEIRS)

    def test_turn_does_not_pass_with_a_new_connection(self) -> None:
        ledger = MemoryLedger()
        exchange = an_exchange(ledger, half=True)
        exchange.begin("a", opening(), True, mine=True)
        exchange.say("hi", Wall(0.0))
        exchange.stop()
        exchange.begin("b", opening(turn="theirs"), True, mine=True)
        self.assertIs(exchange.floor.turn, TurnHolder.THEIRS)
        self.assertIs(an_exchange(ledger).floor.turn, TurnHolder.MINE)

    def test_larger_key_yields_a_disputed_turn(self) -> None:
        for smaller, turn in ((True, TurnHolder.MINE), (False, TurnHolder.THEIRS)):
            exchange = begun(half=True, smaller=smaller)
            exchange.stop()
            exchange.begin("b", opening(turn="mine"), True, True)
            self.assertIs(exchange.floor.turn, turn)


class SayingTests(SynchronousTestCase):
    def test_full_duplex_sends_at_once(self) -> None:
        exchange = begun()
        for number in (1, 2):
            self.assertEqual(
                exchange.say("hi", Wall(0.0)),
                [SendEntry("a", StreamEntry(number, MSG, Wall(0.0), "hi"))],
            )

    def test_half_duplex_message_passes_the_turn(self) -> None:
        exchange = begun(half=True)
        one, two = StreamEntry(1, MSG, Wall(0.0), "one"), StreamEntry(2, MSG, Wall(0.0), "two")
        self.assertEqual(
            exchange.say("one", Wall(0.0)), [SendEntry("a", one), TurnPassed(TurnHolder.THEIRS)]
        )
        self.assertEqual(exchange.say("two", Wall(0.0)), [Queued("two", 2)])
        effects = exchange.received("a", StreamEntry(1, TURN, Wall(0.0)))
        # The turn comes and goes at once: to the person it never came.
        self.assertEqual(effects, [Acknowledge("a", 1), SendEntry("a", two)])

    def test_the_turn_is_passed_without_a_word(self) -> None:
        exchange = begun(half=True)
        passed = [
            SendEntry("a", StreamEntry(1, TURN, Wall(0.0), "")),
            TurnPassed(TurnHolder.THEIRS),
        ]
        self.assertEqual(exchange.pass_turn(Wall(0.0)), passed)

    def test_only_where_turns_are_taken_and_only_ours(self) -> None:
        error = self.assertRaises(LocalError, begun().pass_turn, 0.0)
        self.assertIn("/mode half", error.detail)
        error = self.assertRaises(LocalError, begun(half=True, mine=False).pass_turn, 0.0)
        self.assertEqual(error.detail, "it is not your turn")

    def test_a_message_that_is_taken_back_gives_the_turn_back(self) -> None:
        exchange = begun(half=True)
        exchange.say("hi", Wall(0.0))
        wanted = [
            MessageOutcome(1, UNDELIVERED, "hi", "cancelled with /unsend"),
            TurnPassed(TurnHolder.MINE),
        ]
        self.assertEqual(exchange.unsend(1), wanted)
        self.assertFalse(exchange.delivery.waits(1))
        self.assertRaises(LocalError, exchange.unsend, 1)

    def test_entries_of_other_parts_are_sent_too(self) -> None:
        exchange = begun()
        entry = exchange.delivery.say(MSG, "hi", Wall(0.0))
        self.assertEqual(exchange.send_queued(), [SendEntry("a", entry)])
        self.assertEqual(exchange.send_queued(), [])

    def test_sent_is_reported_once(self) -> None:
        exchange = begun()
        entry = StreamEntry(1, MSG, Wall(0.0), "hi")
        exchange.say("hi", Wall(0.0))
        written = [exchange.writes(entry), exchange.writes(entry)]
        self.assertEqual(written, [EntryWritten(entry, True), EntryWritten(entry, False)])
        self.assertEqual(exchange.arrived(1), [MessageOutcome(1, DELIVERED, "hi", "")])
        self.assertIsNone(exchange.writes(entry))

    def test_a_message_that_was_taken_back_is_not_written(self) -> None:
        exchange = begun()
        exchange.say("hi", Wall(0.0))
        exchange.unsend(1)
        self.assertIsNone(exchange.writes(StreamEntry(1, MSG, Wall(0.0), "hi")))


class HearingTests(SynchronousTestCase):
    def test_repeated_entry_is_acknowledged_and_not_shown(self) -> None:
        exchange = begun()
        entry = StreamEntry(4, MSG, Wall(0.0), "hi")
        self.assertEqual(
            exchange.received("a", entry), [Received("hi", 4, 1, entry.at), Acknowledge("a", 4)]
        )
        self.assertEqual(exchange.received("a", entry), [Acknowledge("a", 4)])

    def test_received_message_passes_the_turn_to_us(self) -> None:
        exchange = begun(half=True, mine=False)
        effects = exchange.received("a", StreamEntry(1, MSG, Wall(0.0), "hi"))
        self.assertEqual(effects[-1], TurnPassed(TurnHolder.MINE))

    def test_turn_is_stored_before_the_message(self) -> None:
        """A kill between the two leaves the turn as the other side has it, and the message repeated."""
        ledger = Watched()
        exchange = an_exchange(ledger, half=True)
        exchange.meet(opening(half=True))
        exchange.begin("a", opening(half=True), True, False)
        exchange.received("a", StreamEntry(1, MSG, Wall(0.0), "hi"))
        self.assertEqual(ledger.turns, [TurnHolder.MINE])

    def test_words_that_cross_leave_the_turn_to_the_smaller(self) -> None:
        for smaller, turn in ((True, TurnHolder.MINE), (False, TurnHolder.THEIRS)):
            exchange = begun(half=True, smaller=smaller)
            exchange.say("hi", Wall(0.0))
            exchange.received("a", StreamEntry(1, MSG, Wall(0.0), "out of turn"))
            self.assertIs(exchange.floor.turn, turn)

    def test_mode_change_of_the_peer_applies(self) -> None:
        exchange = begun()
        exchange.received("a", StreamEntry(1, MODE, Wall(0.0), "half"))
        self.assertEqual((exchange.half, exchange.floor.turn), (True, TurnHolder.THEIRS))
        exchange.received("a", StreamEntry(2, MODE, Wall(0.0), "full"))
        self.assertEqual((exchange.half, exchange.floor.turn), (False, TurnHolder.BOTH))

    def test_smaller_key_wins_crossing_mode_changes(self) -> None:
        for smaller, turn in ((True, TurnHolder.MINE), (False, TurnHolder.THEIRS)):
            exchange = begun(smaller=smaller)
            exchange.set_half(True, Wall(0.0))
            exchange.received("a", StreamEntry(1, MODE, Wall(0.0), "half"))
            self.assertIs(exchange.floor.turn, turn)
            self.assertIs(exchange.delivery.mode_in_flight(0), smaller)

    def test_messages_before_a_mode_change_pass_no_turn(self) -> None:
        exchange = begun()
        exchange.set_half(True, Wall(0.0))
        exchange.received("a", StreamEntry(1, MSG, Wall(0.0), "hi"))
        exchange.say("mine", Wall(0.0))
        self.assertIs(exchange.floor.turn, TurnHolder.THEIRS)
        exchange.received("a", StreamEntry(2, MSG, Wall(0.0), "there"))
        self.assertIs(exchange.floor.turn, TurnHolder.THEIRS)


class ModeTests(SynchronousTestCase):
    def test_mode_change_is_sent_and_its_sender_starts(self) -> None:
        exchange = begun()
        wanted = [
            SendEntry("a", StreamEntry(1, MODE, Wall(0.0), "half")),
            TurnPassed(TurnHolder.MINE),
        ]
        self.assertEqual(exchange.set_half(True, Wall(0.0)), wanted)
        self.assertEqual(exchange.set_half(True, Wall(0.0)), [])

    def test_messages_queued_for_the_turn_precede_the_mode_change(self) -> None:
        exchange = begun(half=True, mine=False)
        exchange.say("one", Wall(0.0))
        effects = exchange.set_half(False, Wall(0.0))
        sent = [effect.entry.kind for effect in effects if isinstance(effect, SendEntry)]
        self.assertEqual(sent, [MSG, MODE])
        self.assertEqual(effects[-1], TurnPassed(TurnHolder.BOTH))

    def test_messages_before_the_mode_change_pass_no_turn(self) -> None:
        exchange = begun()
        exchange.stop()
        exchange.say("one", Wall(0.0))
        exchange.set_half(True, Wall(0.0))
        effects = exchange.begin("b", opening(turn="both"), False, True)
        self.assertEqual([type(one) for one in effects], [SendEntry, SendEntry, TurnPassed])
        self.assertIs(exchange.floor.turn, TurnHolder.MINE)


class TwoTests(SynchronousTestCase):
    """Two exchanges on one connection that loses nothing and is as slow as it likes."""

    @given(
        st.booleans(),
        st.lists(
            st.tuples(st.booleans(), st.sampled_from(("say", "over", "half", "full", "read"))),
            max_size=40,
        ),
    )
    def test_all_messages_arrive_once_in_order_for_any_actions(
        self, half: bool, doings: list[tuple[bool, str]]
    ) -> None:
        numbers = count(1)
        sides = (
            an_exchange(half=half, smaller=True, stream=OURS),
            an_exchange(half=half, smaller=False, stream=THEIRS),
        )
        openings = [side.opening() for side in sides]
        flying: tuple[deque[Effect], deque[Effect]] = (deque(), deque())
        said: tuple[list[str], list[str]] = ([], [])
        heard: tuple[list[str], list[str]] = ([], [])

        def apply(who: int, effects: list[Effect]) -> None:
            for effect in effects:
                match effect:
                    case SendEntry(_, entry):
                        if sides[who].writes(entry) is not None:
                            flying[who].append(effect)
                    case Acknowledge():
                        flying[who].append(effect)
                    case Received(text):
                        heard[1 - who].append(text)

        def read(who: int) -> None:
            match flying[1 - who].popleft():
                case SendEntry(connection, entry):
                    apply(who, sides[who].received(connection, entry))
                case Acknowledge(_, id):
                    apply(who, sides[who].arrived(id))

        for who, side in enumerate(sides):
            side.meet(openings[1 - who])
            apply(who, side.begin("a", openings[1 - who], half, mine=who == 0))
        for second, what in doings:
            who = int(second)
            if what == "read":
                if flying[1 - who]:
                    read(who)
            elif what == "over":
                if sides[who].floor.turn is TurnHolder.MINE:
                    apply(who, sides[who].pass_turn(Wall(0.0)))
            elif what == "say":
                said[who].append(f"{next(numbers)}")
                apply(who, sides[who].say(said[who][-1], Wall(0.0)))
            else:
                apply(who, sides[who].set_half(what == "half", Wall(0.0)))
        while flying[0] or flying[1]:
            read(1 if flying[0] else 0)
        turns = tuple(side.floor.turn for side in sides)
        agreed = (
            (TurnHolder.BOTH, TurnHolder.BOTH),
            (TurnHolder.MINE, TurnHolder.THEIRS),
            (TurnHolder.THEIRS, TurnHolder.MINE),
        )
        self.assertIn(turns, agreed)
        for who in (0, 1):  # what still waits is of the one whose turn it is not
            waits = len(sides[who].delivery)
            self.assertEqual(heard[who], said[who][: len(said[who]) - waits])
            self.assertTrue(not waits or turns[who] is TurnHolder.THEIRS)

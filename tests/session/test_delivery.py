"""Both numberings with one key: what waits, what arrived, and what is known after a restart."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.session.delivery import OUTBOX_AGE, Delivery
from chatproto.session.effects import MessageOutcome
from chatproto.session.ledger import (
    DELIVERED,
    HEARD,
    MODE,
    MSG,
    TURN,
    UNCERTAIN,
    UNDELIVERED,
    WAITING,
    StreamEntry,
)
from chatproto.wire.errors import LocalError
from tests.limits import DEFAULTS
from tests.stores.memory_ledger import MemoryLedger

KEY = "sha256:" + "B" * 52
THEIRS = "f" * 16
WEEK = OUTBOX_AGE
FEW = replace(DEFAULTS, waiting_messages=3)


def release(delivery: Delivery) -> StreamEntry:
    """Release the first entry of `delivery` that waits, and return it."""
    entry = delivery.unreleased[0]
    delivery.release(entry)
    return entry


class Case(SynchronousTestCase):
    """A correspondence with Bob."""

    def setUp(self) -> None:
        self.ledger = MemoryLedger()
        self.names = count(1)
        self.delivery = self.again()

    def again(self) -> Delivery:
        """As after a restart."""

        def new_stream() -> str:
            return f"{next(self.names):016x}"

        return Delivery(self.ledger, KEY, "bob", True, new_stream, FEW)

    def say(self, text: str, at: float = 0.0) -> StreamEntry:
        return self.delivery.say(MSG, text, Wall(at))

    def write(self, *texts: str) -> None:
        """Say them, and hand them to a connection."""
        for text in texts:
            self.say(text)
            self.delivery.wrote(release(self.delivery).id)

    def states(self) -> dict[str, str]:
        """Return the state of every message according to the log."""
        return {line.text: line.state for line in self.ledger.history(KEY, 1000)}


class OursTests(Case):
    """Messages that we send."""

    def test_numbers_rise_and_go_on_after_a_restart(self) -> None:
        self.assertEqual([self.say("one").id, self.delivery.say(TURN, "", Wall(0)).id], [1, 2])
        self.delivery = self.again()
        self.assertEqual(self.say("three").id, 3)
        self.assertEqual(self.delivery.stream, f"{1:016x}")

    def test_entry_is_stored_first(self) -> None:
        self.say("one", 5.0)
        self.assertEqual(self.ledger.entries(KEY), (StreamEntry(1, MSG, Wall(5.0), "one"),))
        self.assertEqual(self.states(), {"one": WAITING})

    def test_queue_is_limited(self) -> None:
        for text in ("one", "two", "three"):
            self.say(text)
        error = self.assertRaises(LocalError, self.say, "four")
        self.assertEqual((error.status, len(self.ledger.entries(KEY))), (429, 3))

    def test_turns_and_modes_have_their_own_limit(self) -> None:
        for _ in range(6):
            self.delivery.say(TURN, "", Wall(0))
        error = self.assertRaises(LocalError, self.delivery.say, MODE, "half", 0)
        self.assertEqual(error.status, 429)
        self.assertEqual(len(self.delivery), 0)

    def test_entries_are_released_in_order(self) -> None:
        self.say("one")
        self.say("two")
        self.assertEqual(release(self.delivery).text, "one")
        self.assertEqual([one.text for one in self.delivery.released], ["one"])
        self.assertEqual(self.delivery.unreleased[0].text, "two")

    def test_only_the_first_connection_writes_for_the_first_time(self) -> None:
        self.write("one")
        self.assertFalse(self.delivery.wrote(1))
        state = self.ledger.state(KEY)
        assert state is not None
        self.assertEqual(state.written, 1)

    def test_delivered_entry_leaves_the_outbox(self) -> None:
        self.write("one", "two", "three")
        self.assertEqual(
            self.delivery.arrived(2),
            [MessageOutcome(1, DELIVERED, "one"), MessageOutcome(2, DELIVERED, "two")],
        )
        self.assertEqual((len(self.delivery), self.delivery.arrived(2)), (1, []))
        self.assertEqual(self.states()["two"], DELIVERED)

    def test_turns_arrive_without_news(self) -> None:
        self.delivery.say(TURN, "", Wall(0))
        self.delivery.wrote(release(self.delivery).id)
        self.assertEqual((self.delivery.arrived(1), self.ledger.entries(KEY)), ([], ()))

    def test_unwritten_entry_cannot_be_acknowledged(self) -> None:
        self.say("one")
        self.assertEqual(self.delivery.arrived(2**53), [])
        self.assertEqual(len(self.delivery), 1)

    def test_restart_repeats_written_entries_and_keeps_the_rest_queued(self) -> None:
        self.write("one")
        self.say("two")
        self.delivery = self.again()
        self.assertEqual([one.text for one in self.delivery.released], ["one"])
        self.assertEqual(self.delivery.unreleased[0].text, "two")

    def test_mode_change_is_visible_while_queued_and_sent(self) -> None:
        self.say("one")
        self.delivery.say(MODE, "half", Wall(0))
        release(self.delivery)
        release(self.delivery)
        self.assertTrue(self.delivery.mode_in_flight(0))
        self.assertFalse(self.delivery.mode_in_flight(2))
        self.assertTrue(self.delivery.turn_in_flight(0))
        self.assertFalse(self.delivery.turn_in_flight(1))

    def test_obsolete_mode_changes_are_not_repeated(self) -> None:
        self.delivery.say(MODE, "half", Wall(0))
        self.say("one")
        self.delivery.drop_modes()
        self.assertEqual([one.text for one in self.ledger.entries(KEY)], ["one"])
        self.assertFalse(self.delivery.mode_in_flight(0))


class BackTests(Case):
    """Messages taken back or expired."""

    def test_unwritten_entry_is_undelivered(self) -> None:
        self.say("one")
        self.assertEqual(self.delivery.take_back(1), [MessageOutcome(1, UNDELIVERED, "one")])
        self.assertEqual((len(self.delivery), self.states()), (0, {"one": UNDELIVERED}))

    def test_written_entry_is_unconfirmed_and_not_repeated(self) -> None:
        self.write("one")
        self.assertEqual(self.delivery.take_back(1), [MessageOutcome(1, UNCERTAIN, "one")])
        self.assertEqual((len(self.delivery), self.delivery.released), (0, ()))
        self.assertEqual(self.states(), {"one": UNCERTAIN})

    def test_later_call_settles_an_unconfirmed_entry(self) -> None:
        for had, state in ((1, DELIVERED), (0, UNDELIVERED)):
            self.setUp()
            self.write("one")
            self.delivery.take_back(1)
            self.delivery = self.again()
            told = self.delivery.meet(THEIRS, (self.delivery.stream, had))
            self.assertEqual(told, [MessageOutcome(1, state, "")])
            self.assertEqual(self.states(), {"one": state})

    def test_call_that_shows_a_missing_entry_settles_it(self) -> None:
        self.write("one")
        self.delivery.meet(THEIRS, (self.delivery.stream, 0))
        self.assertEqual(self.delivery.take_back(1), [MessageOutcome(1, UNDELIVERED, "one")])
        self.write("two")
        self.delivery.meet(THEIRS, (self.delivery.stream, 0))
        self.assertFalse(self.delivery.wrote(2))
        self.assertEqual(self.delivery.take_back(2), [MessageOutcome(2, UNCERTAIN, "two")])

    def test_withdrawn_entry_is_not_written(self) -> None:
        self.write("one", "two")
        self.say("three")
        self.delivery.take_back(1)
        self.delivery.take_back(3)
        self.assertEqual([self.delivery.waits(id) for id in (1, 2, 3)], [False, True, False])

    def test_turn_of_a_withdrawn_entry_returns_once(self) -> None:
        self.say("one")
        self.delivery.take_back(1)
        self.assertFalse(self.delivery.turn_came_back())  # it had passed no turn
        self.write("two")
        self.delivery.take_back(2)
        self.assertFalse(self.delivery.turn_came_back())  # it may have
        self.delivery.meet(THEIRS, (self.delivery.stream, 0))
        self.assertEqual([self.delivery.turn_came_back() for _ in range(2)], [True, False])

    def test_only_queued_messages_can_be_withdrawn_once(self) -> None:
        self.write("one")
        self.delivery.take_back(1)
        self.delivery.say(TURN, "", Wall(0))
        for number in (1, 2, 7):
            error = self.assertRaises(LocalError, self.delivery.take_back, number)
            self.assertEqual(error.status, 404)

    def test_entry_expires_after_a_week(self) -> None:
        self.say("old", 0.0)
        self.say("new", 10.0)
        self.assertEqual(self.delivery.expire(Wall(WEEK)), [])
        self.assertEqual(
            self.delivery.expire(Wall(WEEK + 1)), [MessageOutcome(1, UNDELIVERED, "old")]
        )
        self.assertEqual(len(self.delivery), 1)

    def test_abandoned_entries_report_their_certainty(self) -> None:
        self.write("one")
        self.say("two")
        self.assertEqual(
            self.delivery.give_up(),
            [MessageOutcome(1, UNCERTAIN, "one"), MessageOutcome(2, UNDELIVERED, "two")],
        )
        self.assertEqual(self.delivery.give_up(), [])

    def test_turns_of_an_earlier_conversation_do_not_count(self) -> None:
        self.write("one")
        self.delivery.say(TURN, "", Wall(0))
        self.delivery.say(MODE, "half", Wall(0))
        self.delivery.start_anew()
        self.assertEqual([one.text for one in self.ledger.entries(KEY)], ["one"])
        self.assertEqual(self.delivery.released, ())


class MeetingTests(Case):
    """A connection begins."""

    def test_call_settles_received_entries_and_repeats_the_rest(self) -> None:
        self.write("one", "two")
        told = self.delivery.meet(THEIRS, (self.delivery.stream, 1))
        self.assertEqual(told, [MessageOutcome(1, DELIVERED, "one")])
        self.assertEqual([one.text for one in self.delivery.released], ["two"])

    def test_a_number_of_another_stream_says_nothing(self) -> None:
        self.write("one")
        self.assertEqual(self.delivery.meet(THEIRS, ("e" * 16, 7)), [])
        self.assertEqual((len(self.delivery), self.delivery.stream), (1, f"{1:016x}"))

    def test_impossible_position_starts_a_new_stream(self) -> None:
        self.write("one")
        self.say("two")
        self.assertTrue(self.delivery.beyond((self.delivery.stream, 2)))
        told = self.delivery.meet(THEIRS, (self.delivery.stream, 2))
        self.assertEqual(told, [MessageOutcome(1, DELIVERED, "one")])
        self.assertEqual(self.delivery.stream, f"{2:016x}")
        self.assertEqual([one.text for one in self.ledger.entries(KEY)], ["two"])
        self.assertFalse(self.delivery.beyond((f"{1:016x}", 99)))
        self.assertEqual(self.say("three").id, 3)

    def test_new_stream_of_the_peer_starts_empty(self) -> None:
        self.delivery.meet(THEIRS, ("", 0))
        self.delivery.received(StreamEntry(5, MSG, Wall(0), "hi"))
        self.assertEqual(self.delivery.have, (THEIRS, 5))
        self.delivery.meet(THEIRS, ("", 0))
        self.assertFalse(self.delivery.is_new(5))
        self.delivery.meet("e" * 16, ("", 0))
        self.assertTrue(self.delivery.is_new(5))
        self.assertEqual(self.again().have, ("e" * 16, 0))

    def test_received_entries_survive_a_restart(self) -> None:
        self.delivery.meet(THEIRS, ("", 0))
        self.assertEqual(self.delivery.received(StreamEntry(3, MSG, Wall(0), "hi")), 1)
        self.assertEqual(self.delivery.received(StreamEntry(9, TURN, Wall(0))), 0)
        self.assertEqual(self.states(), {"hi": HEARD})
        self.assertEqual(self.again().have, (THEIRS, 9))

    def test_turn_survives_a_restart(self) -> None:
        self.delivery.keep_turn("theirs")
        self.assertEqual(self.again().turn, "theirs")
        self.delivery.keep_turn("")
        self.assertEqual(self.again().turn, "")


DOINGS = st.lists(
    st.tuples(
        st.sampled_from(
            ["say", "turn", "release", "write", "arrived", "back", "meet", "beyond", "restart"]
        ),
        st.integers(0, 12),
    ),
    max_size=60,
)


class ModelTests(Case):
    """Whatever happens in whatever order."""

    @given(DOINGS)
    def test_every_message_has_one_outcome_on_disk_and_in_memory(
        self, doings: list[tuple[str, int]]
    ) -> None:
        self.setUp()
        written = 0
        said: dict[int, str] = {}
        ends: dict[int, list[str]] = {}
        for number, (what, id) in enumerate(doings):
            told: list[MessageOutcome] = []
            match what:
                case "say" if len(self.delivery) < FEW.waiting_messages:
                    try:
                        said[self.say(f"m{number}").id] = f"m{number}"
                    except LocalError:
                        pass
                case "turn" if len(self.ledger.entries(KEY)) < 2 * FEW.waiting_messages:
                    self.delivery.say(TURN, "", Wall(0))
                case "release" if self.delivery.unreleased:
                    release(self.delivery)
                case "write":
                    for entry in self.delivery.released:
                        self.delivery.wrote(entry.id)
                        written = max(written, entry.id)
                case "arrived":
                    told = self.delivery.arrived(id)
                case "back" if id in said and id not in ends:
                    told = self.delivery.take_back(id)
                case "meet":
                    told = self.delivery.meet(THEIRS, (self.delivery.stream, min(id, written)))
                case "beyond":
                    told = self.delivery.meet(THEIRS, (self.delivery.stream, written + 1))
                    written = 0
                case "restart":
                    self.delivery = self.again()
            for one in told:
                ends.setdefault(one.id, []).append(one.state)
                if one.state == DELIVERED:
                    self.assertIn(what, ("arrived", "meet", "beyond"))
            self.compare()
        for id, text in said.items():
            self.assertIn(
                ends.get(id, []),
                (
                    [],
                    [DELIVERED],
                    [UNDELIVERED],
                    [UNCERTAIN],
                    [UNCERTAIN, DELIVERED],
                    [UNCERTAIN, UNDELIVERED],
                ),
            )
            self.assertEqual(self.states()[text], ends.get(id, [WAITING])[-1])

    def compare(self) -> None:
        """One that is read from the ledger knows what this one knows."""
        other = self.again()
        self.assertEqual(
            (len(other), other.have, other.last, other.stream, other.turn),
            (
                len(self.delivery),
                self.delivery.have,
                self.delivery.last,
                self.delivery.stream,
                self.delivery.turn,
            ),
        )
        state = self.ledger.state(KEY)
        assert state is not None
        written = (self.delivery.stream, state.written)
        self.assertFalse(self.delivery.beyond(written))
        self.assertTrue(self.delivery.beyond((self.delivery.stream, state.written + 1)))
        waiting = [*other.released]
        while other.unreleased:
            waiting.append(release(other))
        entries = [one for one in self.ledger.entries(KEY) if not one.withdrawn]
        self.assertEqual(waiting, entries)

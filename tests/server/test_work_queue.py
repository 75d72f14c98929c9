"""Fair slices of the reactor's time, on a clock that only work moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.server.connection import ChatConnection
from chatproto.server.factory import ChatFactory
from chatproto.server.secure_side import SecureSide
from chatproto.server.work_queue import (
    BRIEF,
    EACH_TURN,
    HALF_LIFE,
    MOST_ADDRESSES,
    PAUSE,
    SLICE,
    TURN,
    Use,
    WorkQueue,
)
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire.classic import ClassicRegister, Message
from tests.server.ends import End, connect

STEP = 0.0005
REGISTER = b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"


class Job:
    """So many pieces of work, each of which takes `cost`."""

    def __init__(self, clock: Clock, pieces: int, host: str = "127.0.0.1", cost: float = STEP):
        self.host = host
        self.use = Use()
        self.left = pieces
        self.ended: float | None = None
        self.broken = False
        self._clock = clock
        self._cost = cost

    def take_turn(self, over: Callable[[], bool]) -> bool:
        while self.left:
            self._clock.rightNow += self._cost
            self.left -= 1
            if over():
                break
        if not self.left:
            self.ended = self._clock.seconds()
        return bool(self.left)

    def failed(self) -> None:
        self.broken = True


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = WorkQueue(self.clock)

    def run_all(self, most: int = 10_000) -> None:
        for _ in range(most):
            if not self.clock.getDelayedCalls():
                return
            self.clock.advance(0)
        self.fail("no end")

    def test_little_work_is_done_at_once_and_needs_no_timer(self) -> None:
        job = Job(self.clock, 2)
        self.turns.ask(job)
        self.assertEqual((job.left, self.clock.getDelayedCalls()), (0, []))

    def test_brief_work_is_not_counted_while_the_queue_is_empty(self) -> None:
        brief, long = Job(self.clock, 1, cost=BRIEF / 2), Job(self.clock, 1, cost=BRIEF * 2)
        for one in (brief, long):
            self.turns.ask(one)
        now = self.clock.seconds()
        self.assertEqual((brief.use.seconds(now), long.use.seconds(now) > 0), (0, True))

    def test_endless_new_clients_do_not_delay_small_requests(self) -> None:
        clock, turns, left = self.clock, self.turns, [1000]

        class Newcomer(Job):
            def take_turn(self, over: Callable[[], bool]) -> bool:
                if left[0]:
                    left[0] -= 1
                    turns.later(Newcomer(clock, 4))
                return super().take_turn(over)

        quiet = Job(clock, 1)
        quiet.use.add(SLICE / 2, clock.seconds())
        for job in (*(Newcomer(clock, 4) for _ in range(10)), quiet):
            turns.later(job)
        self.run_all()
        assert quiet.ended is not None
        self.assertLess(quiet.ended, 20 * SLICE)

    def test_much_brief_work_is_queued(self) -> None:
        jobs = [Job(self.clock, 1, cost=BRIEF / 2) for _ in range(round(TURN / BRIEF * 2) + 2)]
        for one in jobs:
            self.turns.ask(one)
        self.assertIn(jobs[-1], self.turns)
        self.run_all()
        self.assertEqual({one.left for one in jobs}, {0})

    def test_long_work_is_interrupted_and_continued(self) -> None:
        job = Job(self.clock, 1000)
        self.turns.ask(job)
        self.assertLessEqual(self.clock.seconds(), SLICE + STEP)
        self.assertIn(job, self.turns)
        self.run_all()
        self.assertEqual(job.left, 0)

    def test_new_client_waits_for_one_turn_only(self) -> None:
        strangers = [Job(self.clock, 1000) for _ in range(100)]
        for one in strangers:
            self.turns.ask(one)
        for _ in range(50):
            self.clock.advance(0)
        came = self.clock.seconds()
        friend = Job(self.clock, 2)
        self.turns.ask(friend)
        self.run_all()
        assert friend.ended is not None
        self.assertLessEqual(friend.ended - came, 2 * TURN)
        self.assertFalse(any(one.left for one in strangers))

    def test_the_connections_of_an_address_count_together(self) -> None:
        for number in range(40):
            self.turns.ask(Job(self.clock, 20, "198.51.100.7"))
            self.turns.ask(Job(self.clock, 20, f"2001:db8::{number:x}"))
        came = self.clock.seconds()
        friend = Job(self.clock, 2, "203.0.113.9")
        self.turns.ask(friend)
        self.turns.ask(Job(self.clock, 2000, "198.51.100.7"))
        self.run_all()
        assert friend.ended is not None
        self.assertLessEqual(friend.ended - came, 2 * TURN)

    def test_used_time_decays(self) -> None:
        use = Use()
        use.add(4.0, 100.0)
        self.assertEqual(use.seconds(100.0 + 2 * HALF_LIFE), 1.0)
        self.assertEqual(use.seconds(50.0), 1.0)

    def test_addresses_that_are_remembered_are_bounded(self) -> None:
        for number in range(MOST_ADDRESSES + 10):
            self.turns._address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        self.assertEqual(len(self.turns._addresses), MOST_ADDRESSES)

    def test_an_exception_ends_one_worker(self) -> None:
        broken, fine = Job(self.clock, 3, cost=-1e9), Job(self.clock, 100)

        def fail(over: Callable[[], bool]) -> bool:
            raise ZeroDivisionError

        broken.take_turn = fail  # type: ignore[method-assign]
        self.turns.later(broken)
        self.turns.later(fine)
        self.run_all()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((broken.broken, fine.left), (True, 0))


class SlowDirectory(Directory):
    """One in which each answer takes a millisecond."""

    clock: Clock
    cost = 0.001

    def answer(self, message: Message, source: Origin, now: float) -> Message:
        self.clock.rightNow += self.cost
        return super().answer(message, source, now)

    def register(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        self.clock.rightNow += self.cost
        return super().register(message, source, now)


class PipelineTests(SynchronousTestCase):
    """Requests that came in one chunk."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.directory = SlowDirectory(MemoryRegistry())
        self.directory.clock = self.clock
        self.factory = ChatFactory(self.clock, self.directory)
        self.addCleanup(self.factory.rest)

    def come(self) -> tuple[ChatConnection, End]:
        end = End()
        return connect(self.factory, end), end

    def test_pipelined_info_lets_others_be_answered(self) -> None:
        stranger, end = self.come()
        stranger.dataReceived(b"INFO\r\n\r\n" * 8192)
        self.assertLess(self.clock.seconds(), 0.05)
        self.assertEqual(end.producerState, "paused")
        self.clock.advance(0)
        came = self.clock.seconds()
        friend, told = self.come()
        friend.dataReceived(b"PROBE\r\n\r\n")
        for _ in range(3):
            self.clock.advance(0)
        self.assertIn(b"PROBEACK", told.value())
        self.assertLess(self.clock.seconds() - came, 0.1)
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
        self.assertEqual(end.value().count(b"INFOACK"), 8192)
        self.assertEqual(end.producerState, "producing")

    def test_one_small_request_reads_the_clock_once(self) -> None:
        looks: list[None] = []

        class WatchedClock(Clock):
            def seconds(self) -> float:
                looks.append(None)
                return super().seconds()

        factory = ChatFactory(WatchedClock(), Directory(MemoryRegistry()))
        self.addCleanup(factory.rest)
        client = connect(factory, End())
        client.dataReceived(REGISTER)
        looks.clear()
        for _ in range(10):
            client.dataReceived(REGISTER)
        self.assertEqual(len(looks), 10)

    def test_small_requests_of_many_wait_for_the_reactor_once_a_turn_is_used_up(self) -> None:
        self.directory.cost = 0.0005
        answered = 0
        while self.factory.turns.is_free and answered < 100:
            client, _ = self.come()
            client.dataReceived(REGISTER.replace(b"alice", b"user%d" % answered))
            answered += 1
        self.assertTrue(TURN <= 1e-9 + answered * self.directory.cost <= TURN + SLICE)
        client, end = self.come()
        client.dataReceived(REGISTER)
        self.assertEqual(end.value(), b"")
        self.clock.advance(0)
        self.assertIn(b"REGACK", end.value())
        self.assertTrue(self.factory.turns.is_free)

    def test_small_requests_with_pauses_between_them_are_answered_at_once(self) -> None:
        client, _ = self.come()
        for _ in range(100):
            client.dataReceived(REGISTER)
            self.clock.advance(2 * PAUSE)
        self.assertEqual(client.use.seconds(self.clock.seconds()), 0)
        self.assertTrue(self.factory.turns.is_free)

    def test_one_small_request_with_a_large_answer_counts_against_its_client(self) -> None:
        for number in range(200):
            self.factory.directory.answer(
                ClassicRegister(f"user{number}", "127.0.0.1", 3000), Origin("127.0.0.1", 1, True), 0
            )
        client, _ = self.come()
        client.dataReceived(b"INFO\r\n\r\n")
        self.assertGreater(client.use.seconds(self.clock.seconds()), 0)


class TurnClock(Clock):
    """A clock whose calls can be taken one turn of the reactor at a time."""

    def turn(self) -> None:
        """Make the calls that are due, and not those that they ask for."""
        calls: Any = self.getDelayedCalls()
        due = [call for call in calls if call.getTime() <= self.seconds()]
        for call in due:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class ARound(SynchronousTestCase):
    """Work with each of many things: counted by turn, on a clock that stands still."""

    def setUp(self) -> None:
        self.clock = TurnClock()
        self.queue = WorkQueue(self.clock)
        self.done: list[int] = []

    def turns(
        self,
        items: Iterable[int],
        work: Callable[[int], object],
        then: Callable[[], object] | None = None,
    ) -> list[int]:
        """Return how much each turn did, the one that asked first."""
        counts, before = [], 0
        self.queue.each(items, work, then)
        while len(self.done) > before:
            counts.append(len(self.done) - before)
            before = len(self.done)
            self.clock.turn()
        return counts

    def test_does_a_limited_number_per_turn_in_order(self) -> None:
        told: list[int] = []
        everything = range(2 * EACH_TURN + 1)
        counts = self.turns(everything, self.done.append, lambda: told.append(len(self.done)))
        self.assertEqual(counts, [EACH_TURN, EACH_TURN, 1])
        self.assertEqual((self.done, told), ([*everything], [len(everything)]))

    def test_without_items_finishes_at_once(self) -> None:
        told: list[bool] = []
        self.turns((), self.done.append, lambda: told.append(True))
        self.assertEqual(told, [True])

    def test_ends_its_turn_when_its_time_is_used_up(self) -> None:
        def work(number: int) -> None:
            self.done.append(number)
            self.clock.rightNow += SLICE

        self.assertEqual(self.turns(range(3), work), [1, 1, 1])

    def test_continues_if_one_item_fails_in_any_turn(self) -> None:
        failing = {1, EACH_TURN + 1}
        finished: list[int] = []

        def work(number: int) -> None:
            self.done.append(number)
            if number in failing:
                raise ZeroDivisionError

        everything = range(2 * EACH_TURN)
        counts = self.turns(everything, work, lambda: finished.append(len(self.done)))
        self.assertEqual(counts, [EACH_TURN, EACH_TURN])
        self.assertEqual((self.done, finished), ([*everything], [len(everything)]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), len(failing))


class MassEnds(SynchronousTestCase):
    """All connections at once: ended, or cut off for silence."""

    def setUp(self) -> None:
        self.clock = TurnClock()
        self.factory = ChatFactory(self.clock, Directory(MemoryRegistry()))
        self.factory.most = 10 * EACH_TURN
        self.count = 2 * EACH_TURN + 1
        self.ends = [End() for _ in range(self.count)]
        self.connections = [connect(self.factory, end) for end in self.ends]
        for connection in self.connections:
            connection.dataReceived(b"REGISTER\r\n")

    def counts(self, ended: Callable[[End], bool]) -> list[int]:
        """Return how many connections have ended after this turn and each of the next two."""
        counts = []
        for _ in range(3):
            counts.append(sum(map(ended, self.ends)))
            self.clock.turn()
        return counts

    def test_close_a_few_in_each_turn(self) -> None:
        self.factory.close_all(abort=True)
        wanted = [EACH_TURN, 2 * EACH_TURN, self.count]
        self.assertEqual(self.counts(lambda end: end.aborted), wanted)

    def test_are_cut_off_for_silence_a_few_in_each_turn(self) -> None:
        self.assertEqual(len(self.factory.wheel), self.count)
        self.clock.rightNow += self.factory.limits.line_wait + 1
        self.clock.turn()
        wanted = [EACH_TURN, 2 * EACH_TURN, self.count]
        self.assertEqual(self.counts(lambda end: bool(end.value())), wanted)

    def test_at_a_deadline_do_not_depend_on_a_connection_that_fails(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        self.connections[0].too_late = fail  # type: ignore[method-assign]
        self.clock.rightNow += self.factory.limits.line_wait + 1
        self.clock.turn()
        self.assertEqual(self.counts(lambda end: bool(end.value()) or end.aborted)[-1], self.count)
        self.assertTrue(self.ends[0].aborted)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_of_keyed_clients_are_notified_a_few_per_turn_before_the_others(
        self,
    ) -> None:
        told: list[object] = []

        class Connection:
            def dismiss(self, message: object) -> None:
                told.append(message)

        tls: Any = None
        directory = KeyedDirectory(MemoryNames(), MemoryRegistry(), str)
        side = SecureSide(tls, directory, turns=self.factory.turns)
        connections: Any = side.connections
        for number in range(self.count):
            connections[ClientConnection("key", "192.0.2.1", number)] = Connection()
        side.close(lambda: 1, lambda: told.append("then"))
        self.assertEqual(len(told), EACH_TURN)
        gone = next(reversed(connections))
        del connections[gone]
        self.clock.turn()
        self.clock.turn()
        self.assertEqual((len(told), told[-1]), (self.count, "then"))

"""Test the bounded queue of events that a program has not read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.api.connection import MOST_WAITING, EventQueue
from chatproto.api.events import Bye, Event, Exited, Lagged


class QueueTests(SynchronousTestCase):
    """A program that reads too slowly is told how much it missed."""

    def test_oldest_events_are_dropped_beyond_a_thousand(self) -> None:
        queue = EventQueue()
        for number in range(MOST_WAITING + 3):
            queue.put(Exited(number))
        self.assertEqual(queue.take(), Lagged(3))
        self.assertEqual(queue.take(), Exited(3))
        self.assertEqual(len(queue), MOST_WAITING - 1)

    def test_empty_queue_returns_none(self) -> None:
        self.assertIsNone(EventQueue().take())

    @given(st.lists(st.booleans(), max_size=60))
    def test_every_event_is_read_or_counted(self, puts: list[bool]) -> None:
        queue = EventQueue(3)
        put, read, lost = 0, 0, 0
        taken: list[Event] = []

        def take() -> None:
            nonlocal read, lost
            event = queue.take()
            if isinstance(event, Lagged):
                lost += event.count
            elif event is not None:
                read += 1
                taken.append(event)

        for is_put in puts:
            if is_put:
                queue.put(Bye(str(put)))
                put += 1
            else:
                take()
            self.assertLessEqual(len(queue), 4)
        while len(queue):
            take()
        self.assertEqual(read + lost, put)
        self.assertEqual(taken, sorted(taken, key=lambda one: int(one.id)))

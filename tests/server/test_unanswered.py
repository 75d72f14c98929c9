"""Test that a client with many unanswered requests waits."""

from __future__ import annotations

from typing import Any, cast
from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.registrations import ClientConnection
from chatproto.server.unanswered import MOST, Unanswered
from tests.contracts.names import key


class Reader:
    """A connection that may have been held."""

    def __init__(self) -> None:
        self.client = ClientConnection(key(1), "192.0.2.1", 4001)
        self.gone_on = 0

    def resume(self) -> None:
        self.gone_on += 1


class UnansweredTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.unanswered = Unanswered()
        self.reader = Reader()

    def ask(self, times: int) -> None:
        for _ in range(times):
            self.unanswered.add(self.reader.client)

    def answer(self, times: int) -> None:
        for _ in range(times):
            self.unanswered.answered(self.reader.client)

    def held(self, most: int = MOST) -> bool:
        return self.unanswered.holds(self.reader.client, cast(Any, self.reader), most)

    def test_request_over_the_limit_waits_for_earlier_answers(self) -> None:
        self.ask(MOST - 1)
        self.assertFalse(self.held())
        self.ask(1)
        self.assertTrue(self.held())
        self.answer(MOST - 1)
        self.assertEqual(self.reader.gone_on, 0)
        self.assertIn(self.reader.client, self.unanswered)
        self.answer(1)
        self.assertEqual(self.reader.gone_on, 1)
        self.assertNotIn(self.reader.client, self.unanswered)
        self.assertFalse(self.held())

    def test_waiting_request_waits_for_nothing_else(self) -> None:
        self.assertFalse(self.held(1))
        self.ask(1)
        self.assertTrue(self.held(1))
        self.answer(1)
        self.assertEqual(self.reader.gone_on, 1)

    def test_client_resumes_once(self) -> None:
        self.ask(1)
        self.assertTrue(self.held(1))
        self.answer(1)
        self.ask(1)
        self.answer(3)
        self.assertEqual(self.reader.gone_on, 1)

    def test_lost_client_does_not_resume(self) -> None:
        self.ask(1)
        self.assertTrue(self.held(1))
        self.unanswered.forget(self.reader.client)
        self.answer(1)
        self.assertNotIn(self.reader.client, self.unanswered)
        self.assertEqual(self.reader.gone_on, 0)

    def test_lost_client_leaves_no_state(self) -> None:
        self.ask(1)
        self.assertTrue(self.held(1))
        self.unanswered.forget(self.reader.client)
        reader = ref(self.reader)
        del self.reader
        self.assertIsNone(reader())

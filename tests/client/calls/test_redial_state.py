"""Tests of the tries to connect again."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.conversation import RedialState


class TriesTests(SynchronousTestCase):
    def test_later_redial_replaces_the_first_and_none_runs_when_open(self) -> None:
        clock, tries, tried = Clock(), RedialState(), list[str]()
        tries.wait_for(clock.callLater(1, tried.append, "first"))
        tries.wait_for(clock.callLater(2, tried.append, "second"))
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        tries.stop()
        tries.stop()
        self.assertEqual((clock.getDelayedCalls(), tried, tries.next), ([], [], None))

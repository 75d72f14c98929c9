"""A program that is told to end has ended soon, whatever a part of it waits for."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.bounded_stop import STOP_WAIT, BoundedServices


class Slow(Service):
    """Service whose end is told by the test."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return self.ended


class Broken(Service):
    """Service that cannot be stopped."""

    def stopService(self) -> None:
        raise RuntimeError("no")


class BoundedStopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.services = BoundedServices(self.clock)
        self.slow, self.other = Slow(), Slow()
        self.slow.setServiceParent(self.services)
        self.logged: list[Any] = []
        observer: ILogObserver = self.logged.append  # type: ignore[assignment]  # any function is one
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def names(self) -> list[str]:
        """The services that the log names."""
        return [event["name"] for event in self.logged if "name" in event]

    def test_stop_waits_for_all_parts(self) -> None:
        self.other.setServiceParent(self.services)
        self.services.startService()
        stopping = self.services.stopService()
        self.slow.ended.callback(None)
        self.assertNoResult(stopping)
        self.other.ended.callback(None)
        self.successResultOf(stopping)
        self.assertFalse(self.clock.getDelayedCalls())
        self.assertEqual(self.names(), [])

    def test_part_that_does_not_stop_is_named_and_abandoned(self) -> None:
        self.services.startService()
        stopping = self.services.stopService()
        self.clock.advance(STOP_WAIT - 0.1)
        self.assertNoResult(stopping)
        self.clock.advance(0.1)
        self.successResultOf(stopping)
        self.assertEqual(self.names(), ["Slow"])
        self.slow.ended.callback(None)

    def test_failing_part_does_not_prevent_the_stop(self) -> None:
        Broken().setServiceParent(self.services)
        self.services.startService()
        stopping = self.services.stopService()
        self.slow.ended.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.names(), ["Broken"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

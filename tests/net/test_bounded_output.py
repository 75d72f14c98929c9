"""Tests of output that waits for a connection that does not read."""

from __future__ import annotations

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.bounded_output import BoundedOutput


class Transport(StringTransport):
    """Transport that keeps whether it was aborted."""

    def abortConnection(self) -> None:
        self.aborting = True
        super().abortConnection()

    aborting = False


class BoundedOutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.read: list[None] = []
        self.transport = Transport()
        self.output = BoundedOutput(100, lambda: self.read.append(None))
        self.output.start(self.transport)

    def test_queued_output_is_written_in_order(self) -> None:
        self.output.write(b"1")
        self.output.pauseProducing()
        for line in (b"2", b"3"):
            self.output.write(line)
        self.assertEqual(self.transport.value(), b"1")
        self.output.resumeProducing()
        self.assertEqual((self.transport.value(), len(self.read)), (b"123", 1))

    def test_too_much_queued_output_closes_the_connection(self) -> None:
        self.output.pauseProducing()
        for _ in range(2):
            self.output.write(b"x" * 60)
        self.assertFalse(self.transport.aborting)
        self.output.write(b"x")
        self.assertTrue(self.transport.aborting)
        self.assertTrue(self.output.finished)

    def test_only_presently_queued_output_counts(self) -> None:
        for _ in range(10):
            self.output.pauseProducing()
            self.output.write(b"x" * 60)
            self.assertTrue(self.output.half_full)
            self.output.resumeProducing()
            self.assertFalse(self.output.half_full)
        self.assertFalse(self.transport.aborting)
        self.assertEqual(len(self.transport.value()), 600)

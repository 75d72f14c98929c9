"""Tests of how fast the connections to peers are read."""

from __future__ import annotations

from chatproto.client.calls.connections import FULL_LOG
from chatproto.client.events import Notice
from chatproto.client.strangers import TALK_BURST, TALK_RATE
from chatproto.net.clock import EPOCH
from chatproto.session.ledger import MSG, StreamEntry
from tests.client import keyed_program, plain_program
from tests.client.keyed_program import key_of
from tests.stores.memory_ledger import MemoryLedger

BOB = key_of("bob")


class FullLogTests(keyed_program.Case):
    """The log has as much of one person as it may."""

    def setUp(self) -> None:
        super().setUp()
        self.log = MemoryLedger(most=1000)
        self.begin(ledger=self.log)
        self.connections = self.node.client.connections
        self.log.begin(BOB, "0" * 16)

    def hears(self, id: int) -> int:
        """Write the message `id` of Bob into the log. Returns: its line."""
        return self.log.store_incoming(BOB, "bob", StreamEntry(id, MSG, EPOCH, "x" * 600))

    def test_of_unread_lines_pauses_reading_from_that_peer(self) -> None:
        self.assertEqual(self.connections.toll(BOB, 1), 0.0)
        self.hears(1)
        self.assertEqual(self.connections.toll(BOB, 1), FULL_LOG)
        self.assertEqual(self.connections.toll(key_of("carol"), 1), 0.0)

    def test_of_read_lines_is_reported_once_as_they_are_removed(self) -> None:
        self.log.shown(self.hears(1))
        self.hears(2)
        for _ in range(2):
            self.connections.toll(BOB, 1)
        [told] = self.told(Notice)
        self.assertIn("of messages from bob: the oldest are removed", told.text)


class PlainTests(plain_program.Case):
    """Connections in plain text."""

    def test_share_the_rate_of_their_address(self) -> None:
        self.called("bob")
        self.called("carol")
        first, second = self.node.client.connections.carried
        self.assertEqual(first.toll(TALK_BURST), 0.0)
        self.assertEqual(second.toll(200), 200 / TALK_RATE)

"""The ledger in memory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.ledger import Ledger
from chatproto.stores.sqlite_ledger import MOST_LINES
from tests.contracts.ledger import BOB, LedgerContract, message
from tests.stores.memory_ledger import MemoryLedger


class ALedgerInMemory(LedgerContract, SynchronousTestCase):
    def make(self, log: bool) -> Ledger:
        return MemoryLedger(log=log)

    def test_hands_out_a_bounded_number_of_lines(self) -> None:
        ledger = self.begun()
        for id in range(1, MOST_LINES + 3):
            ledger.store_incoming(BOB, "bob", message(id, "x"))
        for lines in (ledger.history(BOB, 10**9), ledger.search("x", 10**9)):
            self.assertEqual((len(lines), lines[0].id), (MOST_LINES, 3))

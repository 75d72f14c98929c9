"""Test the peer read from BRIDGEACK."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.bridge_result import BridgeResult, callee_of
from chatproto.wire import bcp2_server
from chatproto.wire.fields import Contact
from tests.contracts.names import key

THERE = (("192.0.2.1", 5001), ("10.0.0.1", 5001))


class CalleeTests(SynchronousTestCase):
    def test_result_has_all_values_of_the_answer(self) -> None:
        relay = ("relay.example", 5555)
        answer = bcp2_server.BridgeAck(3, "bob", key(1), THERE, "call", "A" * 26, relay)
        self.assertEqual(
            callee_of(answer), BridgeResult("bob", key(1), THERE, "call", "A" * 26, relay)
        )

    def test_answer_without_an_id_is_none(self) -> None:
        self.assertIsNone(callee_of(bcp2_server.BridgeAck(3)))

    def test_one_without_a_key_speaks_plain_text(self) -> None:
        found = callee_of(bcp2_server.BridgeAck(3, "bob", addresses=THERE))
        self.assertEqual(found, BridgeResult("bob", None, THERE))

    def test_contact_has_the_first_address(self) -> None:
        self.assertEqual(
            BridgeResult("bob", key(1), THERE).contact(), Contact("bob", "192.0.2.1", 5001, key(1))
        )
        self.assertEqual(BridgeResult("bob", None, ()).contact(), Contact("bob", "", 0, None))

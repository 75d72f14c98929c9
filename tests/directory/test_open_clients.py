"""Tests of clients with a key that are called in plain text too, and of classic ones among them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.directory.keyed import OPEN_TRIED
from chatproto.directory.registrations import ClientConnection
from chatproto.wire import bcp2_server
from chatproto.wire.classic import (
    ClassicBridge,
    ClassicBridgeAck,
    ClassicInfo,
    ClassicInfoAck,
    ClassicRegAck,
    ClassicRegister,
)
from chatproto.wire.fields import Contact
from tests.contracts.names import key
from tests.directory.hall import HOST, Hall

THERE = Origin("192.0.2.7", 40000, False)
NOBODY = ClassicBridgeAck()


class OpenCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.hall = Hall()
        self.plain = Directory(self.hall.registry, self.hall.limits, self.hall.names)
        self.plain.open = self.hall.directory

    def ask(self, message: Any, source: Origin = THERE) -> Any:
        return self.plain.answer(message, source, self.hall.now)

    def info(
        self, client: ClientConnection, prefix: str = "", **more: Any
    ) -> list[tuple[str, str | None]]:
        answer = self.hall.ask(client, bcp2_server.Info(9, prefix, **more))
        assert isinstance(answer, bcp2_server.InfoAck)
        return [(one.client_id, one.key) for one in answer.contacts]


class CalledInTheOpenTests(OpenCase):
    def test_open_clients_are_listed_to_classic_clients(self) -> None:
        self.ask(ClassicRegister("zoe", "192.0.2.7", 3000))
        self.hall.come("bob", 1, open=True)
        self.hall.come("carol", 2)
        self.hall.come("dave", 3, open=True, listed=False)
        zoe, bob = Contact("zoe", "192.0.2.7", 3000), Contact("bob", HOST, 5000)
        self.assertEqual(self.ask(ClassicInfo()), ClassicInfoAck((zoe, bob)))

    def test_open_clients_are_returned_after_classic_ones_and_in_turns(self) -> None:
        self.hall.come("bob", 1, open=True)
        self.hall.come("carol", 2)
        self.hall.come("dave", 3, open=True)
        self.ask(ClassicRegister("zoe", "192.0.2.7", 3000))
        found = [self.ask(ClassicBridge("zoe")).client_id for _ in range(4)]
        self.assertEqual(set(found), {"bob", "dave"})
        self.assertNotEqual(found[0], found[1])
        other = Origin("192.0.2.8", 40000, False)
        self.ask(ClassicRegister("yan", "192.0.2.8", 3000), other)
        self.assertEqual(self.ask(ClassicBridge("zoe")), ClassicBridgeAck("yan", "192.0.2.8", 3000))

    def test_number_of_examined_clients_is_limited(self) -> None:
        for number in range(OPEN_TRIED + 1):
            self.hall.come(f"b{number}", number, host="127.0.0.1", open=True)
        self.hall.come("zoe", OPEN_TRIED + 2, open=True)
        here = Origin("127.0.0.1", 40000, True)
        self.assertEqual(len(self.hall.directory.open_contacts(here, 3)), 3)
        self.assertEqual(self.hall.directory.open_contacts(THERE, 1), [])
        found = self.hall.directory.open_contacts(THERE, 2)
        self.assertEqual([one.client_id for one in found], ["zoe"])

    def test_asker_that_gets_an_open_client_does_not_wait(self) -> None:
        self.ask(ClassicRegister("zoe", "192.0.2.7", 3000))
        self.assertEqual(self.ask(ClassicBridge("zoe")), NOBODY)
        self.hall.come("bob", 1, open=True)
        self.assertEqual(self.ask(ClassicBridge("zoe")), ClassicBridgeAck("bob", HOST, 5000))

    def test_client_that_left_is_not_returned(self) -> None:
        bob = self.hall.come("bob", 1, open=True)
        self.hall.directory.lost(bob, self.hall.now)
        self.assertEqual(self.ask(ClassicInfo()), ClassicInfoAck(()))
        self.assertEqual(self.ask(ClassicBridge("zoe")), NOBODY)
        self.hall.come("bob", 1)
        self.assertEqual(self.ask(ClassicInfo()), ClassicInfoAck(()))

    def test_client_on_the_server_s_machine_has_its_network_address(self) -> None:
        bob = ClientConnection(key(1), "127.0.0.1", 40001, True)
        addresses = (("127.0.0.1", 5000), ("192.0.2.5", 5000), ("9.9.9.9", 5000))
        self.hall.register(bob, "bob", open=True, addresses=addresses)
        near = Origin("127.0.0.1", 1, True)
        self.assertEqual(
            self.ask(ClassicBridge("zoe"), near), ClassicBridgeAck("bob", "127.0.0.1", 5000)
        )
        far = Origin("10.0.0.9", 1, False)
        self.assertNotIn("127.0.0.1", repr(self.ask(ClassicInfo(), far)))

    def test_open_clients_get_a_classic_client_if_there_is_no_keyed_one(self) -> None:
        self.ask(ClassicRegister("zoe", "192.0.2.7", 3000))
        bob, carol = self.hall.come("bob", 1, open=True), self.hall.come("carol", 1)
        self.hall.directory.lost(carol, self.hall.now)
        answer = self.hall.ask(bob, bcp2_server.Bridge(3))
        self.assertEqual((answer.client_id, answer.key), ("zoe", ""))
        self.assertEqual(answer.addresses, (("192.0.2.7", 3000),))
        eve = self.hall.come("eve", 5)
        self.hall.directory.lost(bob, self.hall.now)
        self.assertEqual(self.hall.ask(eve, bcp2_server.Bridge(3)).client_id, "")


class InfoTests(OpenCase):
    def test_classic_clients_are_listed_without_a_key(self) -> None:
        for name in ("zoe", "amy", "alf"):
            self.ask(ClassicRegister(name, "192.0.2.7", 3000))
        bob = self.hall.come("bob", 1)
        everybody = [("alf", None), ("amy", None), ("bob", key(1)), ("zoe", None)]
        self.assertEqual(self.info(bob), everybody)
        self.assertEqual(self.info(bob, "a"), everybody[:2])
        self.assertEqual(self.info(bob, after="amy"), everybody[2:])

    def test_pages_follow_each_other(self) -> None:
        bob = self.hall.come("bob", 1)
        names = sorted([f"c{number}" for number in range(25)] + ["bob"])
        for name in names:
            if name != "bob":
                self.ask(ClassicRegister(name, "192.0.2.7", 3000))
        found: list[str] = []
        after = ""
        while True:
            page = self.hall.ask(bob, bcp2_server.Info(9, "", after, 7))
            found += [one.client_id for one in page.contacts]
            after = page.next
            if not after:
                break
        self.assertEqual(found, names)


class ServersAddressTests(OpenCase):
    """Some programs register with the address of the server as their own."""

    def test_remote_client_has_its_observed_address(self) -> None:
        source = Origin("10.9.0.2", 40000, False, server="10.9.0.1")
        claim = ClassicRegister("zoe", "10.9.0.1", 3000)
        self.assertEqual(self.ask(claim, source), ClassicRegAck("zoe", "10.9.0.1", 3000))
        self.assertEqual(self.ask(ClassicBridge("amy")), ClassicBridgeAck("zoe", "10.9.0.2", 3000))
        self.assertEqual(
            self.ask(ClassicInfo()), ClassicInfoAck((Contact("zoe", "10.9.0.2", 3000),))
        )

    def test_local_client_has_the_claimed_address(self) -> None:
        source = Origin("10.9.0.1", 40000, True, server="10.9.0.1")
        self.ask(ClassicRegister("zoe", "10.9.0.1", 3000), source)
        self.assertEqual(self.ask(ClassicBridge("amy")), ClassicBridgeAck("zoe", "10.9.0.1", 3000))

    def test_another_address_of_a_network_of_theirs_is_believed(self) -> None:
        source = Origin("10.9.0.2", 40000, False, server="10.9.0.1")
        self.ask(ClassicRegister("zoe", "10.9.0.3", 3000), source)
        self.assertEqual(self.ask(ClassicBridge("amy")), ClassicBridgeAck("zoe", "10.9.0.3", 3000))

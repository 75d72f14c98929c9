"""Test how many ids strangers may take, and which ids are protected."""

from __future__ import annotations

from typing import Any

from chatproto.directory.registrations import ClientConnection
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.contracts.names import key
from tests.directory.hall import HOST, Hall, Hosted

DAY = 86400.0


class NewIdTests(Hosted):
    def use(self, **limits: float) -> None:
        self.hall = Hall(**limits)  # type: ignore[arg-type]

    def new(self, number: int, host: str = HOST, name: str = "") -> Any:
        client = ClientConnection(key(number), host, 40000)
        return self.hall.register(client, name or f"id-{number}")

    def fill(self, count: int, host: str = HOST) -> list[Any]:
        return [self.new(number, host) for number in range(count)]

    def test_one_address_gets_a_bounded_number_in_an_hour(self) -> None:
        self.use(new_ids_per_address=5)
        answers = self.fill(8)
        self.assertEqual([type(one) for one in answers], [bcp2_server.RegAck] * 5 + [Error] * 3)
        self.assertEqual((answers[5].status, answers[5].retry_after), (429, 720))
        self.assertIsInstance(self.new(20, "203.0.113.9"), bcp2_server.RegAck)
        self.hall.now += 721
        self.assertEqual([type(self.new(n)) for n in (30, 31)], [bcp2_server.RegAck, Error])

    def test_ids_that_are_owned_already_are_not_counted(self) -> None:
        self.use(new_ids_per_address=1)
        for _ in range(9):
            self.assertIsInstance(self.new(1), bcp2_server.RegAck)

    def test_full_server_refuses_new_ids_with_503(self) -> None:
        self.use(names=20)
        taken = [self.new(n, f"10.0.0.{n}") for n in range(20)]
        self.assertTrue(all(isinstance(one, bcp2_server.RegAck) for one in taken))
        refused = self.new(99, "10.0.0.99")
        self.assertEqual(refused.status, 503)
        self.assertEqual(
            [self.hall.names.owner(f"id-{n}") for n in range(20)], [*map(key, range(20))]
        )
        self.assertIsInstance(self.new(3, "10.0.0.3"), bcp2_server.RegAck)

    def test_the_last_tenth_is_for_addresses_that_own_none(self) -> None:
        self.use(names=20)
        answers = self.fill(30)
        self.assertEqual(sum(isinstance(one, bcp2_server.RegAck) for one in answers), 18)
        self.assertEqual({one.status for one in answers[18:]}, {503})
        others = [self.new(40 + n, f"10.0.0.{n}") for n in range(3)]
        self.assertEqual(
            [type(one) for one in others], [bcp2_server.RegAck, bcp2_server.RegAck, Error]
        )

    def test_an_id_that_was_only_registered_is_free_a_day_after_its_connection(self) -> None:
        alice = self.hall.come("alice", 1)
        self.hall.register(alice, "alice")  # again: to renew it is no use of it
        self.hall.now += 3600
        self.hall.directory.lost(alice, self.hall.now)
        self.hall.pass_time(DAY - 1)
        self.assertEqual(self.hall.names.owner("alice"), key(1))
        self.hall.pass_time(2)
        self.assertIsNone(self.hall.names.owner("alice"))

    def test_an_id_that_was_used_stays(self) -> None:
        bob = self.hall.come("bob", 2)
        uses: dict[str, Any] = {
            "bridge": lambda one: self.hall.ask(one, bcp2_server.Bridge(1, "bob")),
            "watch": lambda one: self.hall.ask(one, bcp2_server.Watch(1, "bob")),
            "called": lambda one: self.hall.ask(bob, bcp2_server.Bridge(1, "called")),
            "rooms": lambda one: self.hall.directory.uses(one, self.hall.now),
            "stays": lambda one: self.hall.pass_time(DAY / 2 + 1),
            "again": lambda one: self.hall.come("again", 15),
        }
        for number, (name, use) in enumerate(uses.items(), 10):
            client = self.hall.come(name, number)
            use(client)
            self.hall.directory.lost(self.hall.directory.find(name) or client, self.hall.now)
        self.hall.pass_time(DAY + 1)
        self.assertEqual([self.hall.names.owner(one) for one in uses], [*map(key, range(10, 16))])

    def test_active_registration_cannot_be_taken(self) -> None:
        self.use(keep_unused=60.0, lease=3600)
        alice = self.hall.come("alice", 1)
        self.hall.directory.lost(alice, self.hall.now)
        self.hall.pass_time(120)
        self.assertIsNone(self.hall.names.owner("alice"))
        self.assertEqual(self.new(2, name="alice").status, 409)
        self.hall.pass_time(3600)
        self.assertIsInstance(self.new(2, name="alice"), bcp2_server.RegAck)

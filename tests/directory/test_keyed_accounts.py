"""The name of an account, and who gives way to whoever has logged in to it."""

from __future__ import annotations

from chatproto.directory.registrations import ClientConnection, Dismiss
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.contracts.names import key
from tests.directory.hall import HOST, Hosted


class AccountTests(Hosted):
    """Accounts: a user who has logged in may take over the account's id with a new key."""

    def client(self, number: int, user: str | None) -> ClientConnection:
        client = ClientConnection(key(number), HOST, 41000 + number)
        client.user = user
        return client

    def test_account_takes_its_name_from_a_connected_key(self) -> None:
        former = self.hall.come("alice", 1)
        taker = self.client(2, "alice")
        self.assertIsInstance(self.hall.register(taker, "alice"), bcp2_server.RegAck)
        self.assertEqual(self.hall.others, [Dismiss(former, bcp2_server.Replaced())])
        self.assertEqual(self.hall.names.owner("alice"), key(2))
        self.hall.directory.lost(former, self.hall.now)
        self.assertStatus(
            409, ClientConnection(key(1), HOST, 1), bcp2_server.Register(8, "alice", 5000)
        )
        self.assertEqual(self.hall.listed(), ["alice"])

    def test_and_from_one_that_is_away(self) -> None:
        former = self.hall.come("alice", 1)
        self.hall.directory.lost(former, self.hall.now)
        self.assertIsInstance(
            self.hall.register(self.client(2, "alice"), "alice"), bcp2_server.RegAck
        )
        self.assertEqual(self.hall.names.owned(key(1)), ())

    def test_account_takes_no_other_or_similar_name(self) -> None:
        self.hall.come("alice", 1)
        for user, wanted in (
            ("bob", "alice"),
            ("a1ice", "a1ice"),
            ("a1ice", "alice"),
            (None, "alice"),
        ):
            self.assertStatus(409, self.client(2, user), bcp2_server.Register(8, wanted, 5000))

    def test_ids_that_look_alike_go_with_the_name(self) -> None:
        self.hall.come("alice", 1)
        other = self.hall.come("A1ice", 1)
        self.assertIsInstance(
            self.hall.register(self.client(2, "alice"), "alice"), bcp2_server.RegAck
        )
        self.assertIn(Dismiss(other, Error(403)), self.hall.others)
        self.assertEqual(self.hall.listed(), ["alice"])

    def test_account_takes_its_name_from_a_silent_classic_client(self) -> None:
        self.hall.classic("alice")
        request = bcp2_server.Register(8, "alice", 5000)
        self.assertStatus(409, self.client(2, "alice"), request)
        self.hall.now += self.hall.limits.takeover_wait
        self.assertStatus(409, self.client(2, "bob"), request)
        taker = self.client(2, "alice")
        self.assertIsInstance(self.hall.register(taker, "alice"), bcp2_server.RegAck)
        self.assertIsNone(self.hall.registry.find("alice"))
        self.assertEqual(self.hall.listed(), ["alice"])

"""Test answers and pushes to keyed clients: registrations, and the rest."""

from __future__ import annotations

from chatproto.directory.group import RESERVED
from chatproto.directory.registrations import ClientConnection, Dismiss
from chatproto.rooms.lobby import OPERATOR
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error, Ping, PingAck
from tests.contracts.names import key
from tests.directory.hall import HOST, Hosted, news


class ARegistration(Hosted):
    def test_is_granted_within_limits_with_the_observed_address(self) -> None:
        client = ClientConnection(key(1), HOST, 40001)
        for asked, granted in (
            (None, 3600),
            (1, 60),
            (60, 60),
            (500, 500),
            (7200, 7200),
            (9999, 7200),
        ):
            answer = self.hall.register(client, "alice", expires=asked)
            self.assertEqual(answer, bcp2_server.RegAck(7, "alice", granted, (HOST, 40001)))
        self.assertEqual(self.hall.listed(), ["alice"])

    def test_is_listed_with_observed_address_and_key(self) -> None:
        client = self.hall.come("alice", 1)
        answer = self.hall.ask(client, bcp2_server.Info(3))
        (contact,) = answer.contacts
        self.assertEqual(
            (contact.client_id, contact.host, contact.port, contact.key),
            ("alice", HOST, 5000, key(1)),
        )

    def test_ends_with_expires_0_and_keeps_the_name(self) -> None:
        alice = self.hall.come("alice", 1)
        answer = self.hall.register(alice, "alice", expires=0)
        self.assertEqual(answer.expires, 0)
        self.assertEqual(self.hall.listed(), [])
        self.assertStatus(401, alice, bcp2_server.Bridge(8, "bob"))
        self.assertStatus(
            409, ClientConnection(key(2), HOST, 1), bcp2_server.Register(9, "alice", 1)
        )
        self.hall.register(alice, "alice")
        self.assertEqual(self.hall.listed(), ["alice"])

    def test_cannot_be_ended_by_another_client(self) -> None:
        alice = self.hall.come("alice", 1)
        bob = self.hall.come("bob", 2)
        stranger = ClientConnection(key(3), HOST, 1)
        self.assertStatus(401, stranger, bcp2_server.Register(8, "alice", 5000, expires=0))
        self.assertStatus(404, bob, bcp2_server.Register(8, "alice", 5000, expires=0))
        self.assertEqual(self.hall.listed(), ["alice", "bob"])
        self.assertEqual((alice.client_id, bob.client_id), ("alice", "bob"))

    def test_of_an_id_similar_to_another_is_409(self) -> None:
        self.hall.come("alice", 1)
        other = ClientConnection(key(2), HOST, 1)
        for client_id in ("alice", "ALICE", "a1ice", "al1ce"):
            self.assertStatus(409, other, bcp2_server.Register(1, client_id, 5000))
        self.assertEqual(self.hall.listed(), ["alice"])

    def test_of_the_server_s_name_is_409_except_for_its_owner(self) -> None:
        for client_id in ("server", "Server", "SERVER"):
            self.assertStatus(
                409, ClientConnection(key(2), HOST, 1), bcp2_server.Register(1, client_id, 5000)
            )
        self.assertIsNone(self.hall.names.owner("server"))
        self.hall.come("servers", 3)
        self.hall.names.keep("server", key(1), self.hall.now)
        self.hall.come("server", 1)
        self.assertStatus(
            409, ClientConnection(key(2), HOST, 1), bcp2_server.Register(1, "server", 5000)
        )

    def test_of_the_server_s_name_is_allowed_for_that_account(self) -> None:
        client = ClientConnection(key(1), HOST, 1)
        client.user = "server"
        self.assertIsInstance(self.hall.register(client, "server"), bcp2_server.RegAck)

    def test_the_name_that_is_reserved_is_the_one_that_the_server_speaks_by(self) -> None:
        self.assertEqual(RESERVED, OPERATOR)

    def test_is_not_needed_for_observe(self) -> None:
        client = ClientConnection(key(1), HOST, 40001)
        answer = self.hall.ask(client, bcp2_server.Observe(3))
        self.assertEqual(
            answer, bcp2_server.ObserveAck(3, (HOST, 40001), "1970-01-01T00:16:40.000Z")
        )
        self.assertEqual(self.hall.listed(), [])

    def test_of_a_fourth_name_is_403_and_keeps_the_third(self) -> None:
        client = self.hall.come("a", 1)
        for name in ("b", "c"):
            self.hall.register(client, name)
        self.assertStatus(403, client, bcp2_server.Register(1, "d", 5000))
        self.assertEqual(self.hall.listed(), ["c"])

    def test_of_an_id_that_a_classic_client_holds_is_409(self) -> None:
        self.hall.classic("carol")
        client = ClientConnection(key(1), HOST, 1)
        self.assertStatus(409, client, bcp2_server.Register(1, "carol", 5000))
        self.assertIsNone(self.hall.names.owner("carol"))
        self.hall.registry.forget("carol")
        self.hall.register(client, "carol")
        self.assertEqual(self.hall.listed(), ["carol"])

    def test_replaces_the_older_connection_with_a_notice(self) -> None:
        old = self.hall.come("alice", 1)
        new = ClientConnection(key(1), HOST, 50000)
        self.hall.register(new, "alice")
        self.assertEqual(self.hall.others, [Dismiss(old, bcp2_server.Replaced())])
        self.hall.directory.lost(old, self.hall.now)
        self.assertEqual(self.hall.pass_time(40), [])
        self.assertEqual(self.hall.listed(), ["alice"])
        self.assertStatus(401, old, bcp2_server.Bridge(1, "bob"))

    def test_under_another_name_ends_the_first(self) -> None:
        watcher = self.hall.come("watcher", 9)
        alice = self.hall.come("alice", 1)
        self.hall.ask(watcher, bcp2_server.Watch(1, "alice"))
        self.hall.register(alice, "alicia")
        self.assertEqual(news(self.hall.others), [("alice", "offline")])
        self.assertEqual(self.hall.listed(), ["alicia", "watcher"])

    def test_renewed_changes_how_one_is_listed_and_called(self) -> None:
        alice = self.hall.come("alice", 1, listed=False)
        self.assertEqual(self.hall.listed(), [])
        self.hall.ask(alice, bcp2_server.Register(1, "alice", 6000))
        self.hall.ask(alice, bcp2_server.Register(1, "alice", 6000))
        self.assertEqual(self.hall.listed(), ["alice"])
        self.assertEqual([one.port for one in self.hall.directory.contacts()], [6000])

    def test_keeps_the_name_of_a_connected_client(self) -> None:
        self.hall.come("alice", 1)
        self.hall.pass_time(self.hall.limits.keep_names * 2)
        self.assertStatus(
            409, ClientConnection(key(2), HOST, 1), bcp2_server.Register(1, "alice", 5000)
        )

    def test_counts_its_name_as_used_until_the_connection_ends(self) -> None:
        alice = self.hall.come("alice", 1)
        self.hall.pass_time(self.hall.limits.keep_names - 1)
        self.hall.directory.lost(alice, self.hall.now)
        self.hall.pass_time(self.hall.limits.keep_names - 1)
        self.assertEqual(self.hall.names.owner("alice"), key(1))
        self.hall.pass_time(2)
        self.assertIsNone(self.hall.names.owner("alice"))

    def test_counts_its_name_as_used_until_it_is_ended_or_another_one_is_registered(self) -> None:
        for name, expires in (("alice", 0), ("alicia", None)):
            alice = self.hall.come("alice", 1)
            self.hall.pass_time(self.hall.limits.keep_unused / 4)
            self.hall.ask(alice, bcp2_server.Register(2, name, 5000, expires=expires))
            self.hall.pass_time(self.hall.limits.keep_unused - 1)
            self.assertEqual(self.hall.names.owner("alice"), key(1))
            self.hall.pass_time(2)
            self.assertIsNone(self.hall.names.owner("alice"))

    def test_ends_at_its_time_after_the_connection_and_not_before(self) -> None:
        caller = self.hall.come("caller", 9)
        alice = self.hall.come("alice", 1, expires=100)
        self.hall.pass_time(5000)
        self.hall.directory.lost(alice, self.hall.now)
        self.assertEqual(self.hall.listed(), ["caller"])
        self.hall.pass_time(99)
        self.assertStatus(480, caller, bcp2_server.Bridge(1, "alice"))
        self.hall.pass_time(1)
        self.assertStatus(404, caller, bcp2_server.Bridge(1, "alice"))

    def test_renewed_is_not_ended_by_its_former_expiry(self) -> None:
        alice = self.hall.come("alice", 1, expires=60)
        self.hall.directory.lost(alice, self.hall.now)
        self.hall.pass_time(20)
        again = self.hall.come("alice", 1, expires=60)
        self.hall.pass_time(1000)
        self.assertEqual(self.hall.listed(), ["alice"])
        self.hall.directory.lost(again, self.hall.now)
        self.hall.pass_time(60)
        self.assertFalse(self.hall.directory.knows("alice"))

    def test_lost_twice_or_never_made_is_nothing(self) -> None:
        stranger = ClientConnection(key(5), HOST, 1)
        self.hall.directory.lost(stranger, self.hall.now)
        alice = self.hall.come("alice", 1, expires=60)
        self.hall.directory.lost(alice, self.hall.now)
        self.hall.pass_time(30)
        self.hall.directory.lost(alice, self.hall.now)
        self.hall.pass_time(30)
        self.assertFalse(self.hall.directory.knows("alice"))


class AnOperator(Hosted):
    def test_expels_a_client_that_may_return(self) -> None:
        alice = self.hall.come("alice", 1)
        self.assertEqual(self.hall.directory.expel("alice"), [Dismiss(alice, Error(403))])
        self.assertEqual(self.hall.directory.expel("alice"), [])
        self.hall.directory.lost(alice, self.hall.now)
        self.assertEqual(self.hall.listed(), [])
        self.assertStatus(
            409, ClientConnection(key(2), HOST, 1), bcp2_server.Register(1, "alice", 5000)
        )
        self.hall.come("alice", 1)

    def test_frees_an_id_for_another_key(self) -> None:
        alice = self.hall.come("alice", 1)
        was_owned, effects = self.hall.directory.free("alice")
        self.assertEqual((was_owned, effects), (True, [Dismiss(alice, Error(403))]))
        self.assertEqual(self.hall.directory.free("alice"), (False, []))
        self.hall.directory.lost(alice, self.hall.now)
        self.hall.come("alice", 2)
        self.assertEqual(self.hall.names.owner("alice"), key(2))


class WhatElseIsSaid(Hosted):
    def test_ping_is_answered_and_its_answer_is_not(self) -> None:
        client = ClientConnection(key(1), HOST, 1)
        self.assertEqual(self.hall.ask(client, Ping(4)), PingAck(4))
        self.assertEqual(self.hall.directory.answer(PingAck(), client, 0.0), [])

    def test_messages_of_a_server_are_405(self) -> None:
        self.assertStatus(405, ClientConnection(key(1), HOST, 1), bcp2_server.WatchAck(4, "alice"))

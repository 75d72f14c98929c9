"""Test what a directory knows after a restart, and its answers while its store fails."""

from __future__ import annotations

import sqlite3
from typing import Any

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from chatproto.wire.classic import (
    ClassicBridge,
    ClassicBridgeAck,
    ClassicRegAck,
    ClassicRegister,
    UnregAck,
    Unregister,
)
from chatproto.wire.classic import ClassicError as PlainError
from tests.contracts.names import key
from tests.directory.hall import HOST, Hall
from tests.limits import DEFAULTS
from tests.stores.sqlite_case import StoreCase

NOBODY = 404
AWAY = 480


class LastingCase(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.hall = Hall()
        self.restart()

    def restart(self, after: float = 0.0) -> None:
        """Another server on the same file, as after a crash: nobody said goodbye."""
        store = self.open()
        self.hall.now += after
        self.hall.names, self.hall.registry = store.names, store.registry  # type: ignore[assignment]
        self.hall.directory = KeyedDirectory(
            store.names, store.registry, self.hall.new_call, presences=store.presences
        )
        self.hall.directory.resume(self.hall.now)
        self.plain = Directory(store.registry, DEFAULTS, store.names)

    def found(self, peer_id: str, number: int = 9) -> Any:
        """Return the answer to a client with key `number` that asks for `peer_id`."""
        asker = self.hall.come(f"asker{number}", number)
        answer = self.hall.ask(asker, bcp2_server.Bridge(3, peer_id))
        return answer.status if isinstance(answer, Error) else answer.client_id


class RestartTests(LastingCase):
    def test_connected_clients_are_away_until_their_lease_ends(self) -> None:
        self.hall.come("alice", 1, expires=600)
        self.restart(after=5000)
        self.assertEqual(self.found("alice"), AWAY)
        self.hall.pass_time(599)
        self.restart()
        self.assertEqual(self.found("alice"), AWAY)
        self.hall.pass_time(1)
        self.assertEqual(self.found("alice"), NOBODY)
        self.restart()
        self.assertEqual(self.found("alice"), NOBODY)

    def test_away_clients_stay_away_for_the_rest_of_their_lease(self) -> None:
        alice = self.hall.come("alice", 1, expires=600)
        self.hall.directory.lost(alice, self.hall.now)
        self.restart(after=500)
        self.assertEqual(self.found("alice"), AWAY)
        self.hall.pass_time(100)
        self.assertEqual(self.found("alice"), NOBODY)

    def test_returning_client_is_online(self) -> None:
        self.hall.come("alice", 1, expires=600)
        self.restart()
        self.assertEqual(self.hall.listed(), [])
        self.hall.come("alice", 1, expires=600)
        self.hall.pass_time(1000)
        self.assertEqual(self.hall.listed(), ["alice"])
        self.assertEqual(self.found("alice"), "alice")

    def test_unlisted_clients_stay_visible_for_allowed_keys_only(self) -> None:
        self.hall.come("alice", 1, listed=False, allow=(key(8),))
        self.restart()
        self.assertEqual((self.found("alice", 9), self.found("alice", 8)), (NOBODY, AWAY))

    def test_removed_registration_is_gone(self) -> None:
        alice = self.hall.come("alice", 1)
        self.hall.register(alice, "alice", expires=0)
        bob = self.hall.come("bob", 2)
        self.hall.register(bob, "bobby")
        self.hall.come("carol", 3)
        self.hall.directory.expel("carol")
        self.restart()
        ids = ("alice", "bob", "bobby", "carol")
        self.assertEqual([self.found(one) for one in ids], [NOBODY, NOBODY, AWAY, NOBODY])

    def test_an_id_is_still_its_key_s_and_a_classic_client_s_still_theirs(self) -> None:
        self.hall.come("alice", 1)
        self.hall.classic("bob")
        self.restart()
        other = ClientConnection(key(2), HOST, 2)
        for client_id in ("alice", "A1ice", "bob"):
            self.assertEqual(self.hall.register(other, client_id).status, 409)
        there = Origin("192.0.2.9", 1, False)
        claim = ClassicRegister("alice", "192.0.2.9", 3000)
        self.assertEqual(self.plain.answer(claim, there, self.hall.now), PlainError(409))

    def test_a_classic_client_is_found_as_before(self) -> None:
        there = Origin("192.0.2.9", 1, False)
        claim = ClassicRegister("bob", "192.0.2.9", 3000)
        self.assertEqual(self.plain.answer(claim, there, self.hall.now), ClassicRegAck(*claim))
        self.restart()
        answer = self.plain.answer(
            ClassicBridge("carol"), Origin("192.0.2.8", 1, False), self.hall.now
        )
        self.assertEqual(answer, ClassicBridgeAck("bob", "192.0.2.9", 3000))


class FailingTests(LastingCase):
    """Another program holds the file: what must be written is 503, the rest goes on."""

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.hall.come("alice", 1)
        self.there = Origin("192.0.2.9", 1, False)
        self.claim = ClassicRegister("bob", "192.0.2.9", 3000)
        self.classic(self.claim)
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.go_on = lambda: other.execute("ROLLBACK")

    def classic(self, message: Any) -> Any:
        return self.plain.answer(message, self.there, self.hall.now)

    def test_new_registrations_are_refused_now_and_accepted_later(self) -> None:
        carol = ClientConnection(key(3), HOST, 3)
        for _ in range(2):
            answer = self.hall.register(carol, "carol")
            self.assertEqual((answer.status, answer.retry_after), (503, 10))
            self.assertEqual(self.classic(ClassicRegister("dave", "192.0.2.9", 1)), PlainError(503))
            self.assertEqual(self.classic(Unregister("bob")), PlainError(503))
            back = bcp2_server.Register(8, "alice", 5000, expires=0)
            self.assertEqual(self.hall.ask(self.alice, back).status, 503)
        self.assertEqual(self.hall.listed(), ["alice", "bob"])
        self.go_on()
        self.assertIsInstance(self.hall.register(carol, "carol"), bcp2_server.RegAck)
        self.assertEqual(self.classic(Unregister("bob")), UnregAck())

    def test_known_clients_are_answered(self) -> None:
        self.assertEqual(self.classic(self.claim), ClassicRegAck(*self.claim))
        self.assertEqual(self.classic(ClassicBridge("bob")), ClassicBridgeAck())
        self.assertEqual(self.hall.listed(), ["alice", "bob"])

    def test_connections_end_and_time_passes_without_a_word(self) -> None:
        self.hall.directory.lost(self.alice, self.hall.now)
        self.assertEqual(self.hall.pass_time(100), [])
        self.assertEqual(len(self.told), 1)

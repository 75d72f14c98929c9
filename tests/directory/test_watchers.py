"""Test who is told of presence."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.registrations import ClientConnection, PushTo, Registration
from chatproto.directory.watchers import Watchers
from chatproto.wire import bcp2_server
from chatproto.wire.errors import RemoteError
from tests.contracts.names import key

ONLINE = bcp2_server.Presence("carol", "online")


class WatchersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.watchers = Watchers(2)
        self.alice, self.bob = (ClientConnection(key(n), "192.0.2.1", 4000 + n) for n in (1, 2))

    def told(self, presence: Registration | None = None) -> set[ClientConnection]:
        effects = self.watchers.tell("carol", "online", presence)
        self.assertTrue(all(isinstance(one, PushTo) and one.message == ONLINE for one in effects))
        return {one.client for one in effects}

    def test_only_watchers_are_notified(self) -> None:
        for watcher in (self.alice, self.bob):
            self.watchers.add(watcher, bcp2_server.Presence("carol", "offline"))
        self.assertEqual(self.told(), {self.alice, self.bob})
        self.watchers.tell("carol", "offline", None)
        self.watchers.remove(self.alice, "carol")
        self.assertEqual(self.told(), {self.bob})
        self.watchers.lost(self.bob)
        self.assertEqual((self.told(), self.bob.watches), (set(), set()))

    def test_unchanged_status_is_not_pushed_again(self) -> None:
        self.watchers.add(self.alice, bcp2_server.Presence("carol", "online"))
        self.watchers.add(self.bob, bcp2_server.Presence("carol", "offline"))
        self.assertEqual(self.told(), {self.bob})
        self.assertEqual(self.told(), set())

    def test_unlisted_client_is_reported_to_allowed_keys_only(self) -> None:
        for watcher in (self.alice, self.bob):
            self.watchers.add(watcher, bcp2_server.Presence("carol", "offline"))
        carol = ClientConnection(key(3), "192.0.2.1", 4003)
        presence = Registration("carol", key(3), 5000, (), 60, False, (key(2),), carol)
        self.assertEqual(self.told(presence), {self.bob})

    def test_one_more_than_the_limit_is_413_and_the_same_again_is_not(self) -> None:
        for _ in range(2):
            for peer_id in ("bob", "carol"):
                self.watchers.add(self.alice, bcp2_server.Presence(peer_id, "offline"))
        dave = bcp2_server.Presence("dave", "offline")
        error = self.assertRaises(RemoteError, self.watchers.add, self.alice, dave)
        self.assertEqual(error.status, 413)
        self.watchers.remove(self.alice, "bob")
        self.watchers.add(self.alice, dave)
        self.assertEqual(self.alice.watches, {"carol", "dave"})

    def test_unwatch_without_watch_does_nothing(self) -> None:
        self.watchers.remove(self.alice, "carol")
        self.assertEqual(self.told(), set())

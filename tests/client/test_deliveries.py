"""Test that queued messages go out when a contact is online, and that no other is called."""

from __future__ import annotations

import random
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.address_book import AddressBook
from chatproto.client.deliveries import Deliveries
from chatproto.client.introducers import Introducer
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.trust_store import TrustStore
from chatproto.identity.keys import new_identity
from chatproto.identity.pins import PinFile
from chatproto.identity.tls import Tls
from chatproto.net.clock import Wall
from chatproto.session.ledger import MSG
from chatproto.stores.memory_ledger import MemoryLedger
from chatproto.wire.limits import DEFAULTS

ALICE, BOB = new_identity(), new_identity().name


class Owner:
    """Alice's program, which calls nobody but keeps whom it was to call."""

    server: Introducer | None = None

    def __init__(self, posts: OutboundStreams) -> None:
        self.people = AddressBook()
        self.posts = posts
        self.called: list[str] = []

    def talks_with(self, key: str) -> bool:
        return False

    def ids_of(self, key: str) -> list[str]:
        return ["bob"] if key == BOB else []

    def deliver(self, key: str) -> None:
        self.called += self.ids_of(key)


class Coming(SynchronousTestCase):
    """Something waits for bob, who is away."""

    def setUp(self) -> None:
        path = Path(self.mktemp())
        path.mkdir()
        self.clock = Clock()
        pins = PinFile(path / "known_peers")
        known = TrustStore(Tls(ALICE), pins, self.clock.seconds, DEFAULTS)
        posts = OutboundStreams(MemoryLedger(), known, random.Random(1), DEFAULTS)
        self.post = posts.of(BOB, "bob")
        self.owner = Owner(posts)
        self.deliveries = Deliveries(self.owner, self.clock)
        self.post.say(MSG, "hello", Wall(0.0))
        self.deliveries.wait_for(BOB, 1)
        self.clock.advance(0)

    def test_calls_whom_something_waits_for_each_time_they_come(self) -> None:
        self.deliveries.came("carol")
        self.assertEqual(self.owner.called, [])
        for _ in range(2):
            self.deliveries.came("bob")
        self.assertEqual(self.owner.called, ["bob", "bob"])

    def test_does_not_call_once_it_has_arrived_or_was_taken_back(self) -> None:
        self.post.take_back(1)
        self.deliveries.came("bob")
        self.post.say(MSG, "again", Wall(0.0))
        self.post.wrote(self.post.release().id)
        self.post.arrived(2)
        self.deliveries.came("bob")
        self.assertEqual(self.owner.called, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_looks_for_them_again_when_more_waits(self) -> None:
        self.post.take_back(1)
        self.deliveries.came("bob")
        self.post.say(MSG, "again", Wall(0.0))
        self.deliveries.wait_for(BOB, 1)
        self.clock.advance(0)
        self.deliveries.came("bob")
        self.assertEqual(self.owner.called, ["bob"])

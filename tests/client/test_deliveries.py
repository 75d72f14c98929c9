"""Test that queued messages go out when a contact is online, and that no other is called."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.address_book import AddressBook
from chatproto.client.context import Context
from chatproto.client.deliveries import LATEST, Deliveries
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.server.introducers import Introducer
from chatproto.client.settings import ClientSettings
from chatproto.client.trust_store import TrustStore
from chatproto.directory.client import ServerUnreachable
from chatproto.identity.keys import new_identity
from chatproto.identity.pins import PinFile
from chatproto.identity.tls import Tls
from chatproto.net.clock import Wall
from chatproto.session.ledger import MSG
from tests.limits import DEFAULTS
from tests.stores.memory_ledger import MemoryLedger

ALICE, BOB = new_identity(), new_identity().name


class Coming(SynchronousTestCase):
    """Something waits for bob, who is away."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, server: Introducer | None = None) -> None:
        path = Path(self.mktemp())
        path.mkdir()
        self.clock = Clock()
        pins = PinFile(path / "known_peers")
        known = TrustStore(Tls(ALICE), pins, self.clock.seconds)
        known.trust("bob", BOB)
        self.address_book = AddressBook()
        context = Context(
            ClientSettings("alice"),
            DEFAULTS,
            self.clock,
            lambda: Wall(0.0),
            random.Random(1),
            trust=known,
            address_book=self.address_book,
        )
        streams = OutboundStreams(context, MemoryLedger())
        self.delivery = streams.of(BOB, "bob")
        self.called: list[str] = []
        self.deliveries = Deliveries(context, streams, server, lambda key: False, self.deliver)
        self.delivery.say(MSG, "hello", Wall(0.0))
        self.deliveries.wait_for(BOB, 1)
        self.clock.advance(0)

    def deliver(self, key: str) -> None:
        """Keep whom the program was to call."""
        self.called += ["bob"] if key == BOB else []

    def test_calls_a_recipient_each_time_it_comes_online(self) -> None:
        self.deliveries.contact_online("carol")
        self.assertEqual(self.called, [])
        for _ in range(2):
            self.deliveries.contact_online("bob")
        self.assertEqual(self.called, ["bob", "bob"])

    def test_does_not_call_after_delivery_or_unsend(self) -> None:
        self.delivery.take_back(1)
        self.deliveries.contact_online("bob")
        self.delivery.say(MSG, "again", Wall(0.0))
        (entry,) = self.delivery.unreleased
        self.delivery.wrote(entry.id)
        self.delivery.arrived(2)
        self.deliveries.contact_online("bob")
        self.assertEqual(self.called, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_looks_again_when_more_is_queued(self) -> None:
        self.delivery.take_back(1)
        self.deliveries.contact_online("bob")
        self.delivery.say(MSG, "again", Wall(0.0))
        self.deliveries.wait_for(BOB, 1)
        self.clock.advance(0)
        self.deliveries.contact_online("bob")
        self.assertEqual(self.called, ["bob"])

    def test_asks_an_unresponsive_server_less_and_less_often(self) -> None:
        asked: list[float] = []

        class Away:
            async def watch(_, client_id: str) -> None:
                asked.append(self.clock.seconds())
                raise ServerUnreachable("no connection")

        self.begin(cast(Introducer, Away()))
        self.clock.pump([1.0] * 3600)
        waits = [after - before for before, after in pairwise(asked)]
        self.assertEqual(waits[:9], [2.0 ** (number + 1) for number in range(9)])
        self.assertEqual(set(waits[9:]), {LATEST})
        self.deliveries.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

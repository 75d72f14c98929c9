"""Tests of messages that each have a connection of their own."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.calls.dialer import PeerUnreachable
from chatproto.client.conversation import LoneMessages
from chatproto.client.settings import ClientSettings
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.wire.dialects import CANON
from tests.client.typing_person import made
from tests.limits import DEFAULTS
from tests.net import Wire, joined


class LoneMessagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.node = made(self.clock, ClientSettings("alice"))
        self.dialled: list[Deferred[PlainPeerConnection]] = []
        self.unsaid: list[tuple[str, str]] = []

        def dial() -> Deferred[PlainPeerConnection]:
            self.dialled.append(Deferred())
            return self.dialled[-1]

        self.messages = LoneMessages(dial, lambda *told: self.unsaid.append(told))

    def connects(self) -> Wire:
        """The latest dial comes about."""
        link = PlainPeerConnection(self.node.calls.links, self.clock, DEFAULTS, CANON)
        wire = joined(link, Wire("10.0.0.2", 5002))
        self.dialled[-1].callback(link)
        return wire

    def test_the_second_is_dialled_for_when_the_first_is_written(self) -> None:
        self.messages.write(b"one\r\n\r\n", "one")
        self.messages.write(b"two\r\n\r\n", "two")
        self.assertEqual((len(self.messages), len(self.dialled)), (2, 1))
        self.assertEqual(self.connects().value(), b"one\r\n\r\n")
        self.assertEqual((len(self.messages), len(self.dialled)), (1, 2))
        self.assertEqual(self.connects().value(), b"two\r\n\r\n")
        self.assertEqual((len(self.messages), self.unsaid), (0, []))

    def test_one_without_a_connection_is_reported_and_the_next_is_tried(self) -> None:
        self.messages.write(b"one\r\n\r\n", "one")
        self.messages.write(b"two\r\n\r\n", "two")
        self.dialled[0].errback(PeerUnreachable("nobody listens there"))
        self.assertEqual(self.unsaid, [("one", "nobody listens there")])
        self.assertEqual(self.connects().value(), b"two\r\n\r\n")

    def test_a_farewell_that_does_not_arrive_is_nobodys_trouble(self) -> None:
        self.messages.write(b"QUIT\r\n\r\n", None)
        self.dialled[0].errback(PeerUnreachable("nobody listens there"))
        self.assertEqual((self.unsaid, len(self.messages)), ([], 0))

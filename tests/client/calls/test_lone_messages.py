"""Tests of messages that each have a connection of their own."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.calls.dialer import PeerUnreachable
from chatproto.client.conversation import Conversation, LoneFrame
from chatproto.client.events import Undelivered
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
        self.events: list[Any] = []
        self.node.publish.listen(self.events.append)
        self.conversation = self.node.calls.begin("bob", CANON)
        self.dialled: list[Deferred[PlainPeerConnection]] = []
        self.frames = self.node.calls.signals.alone
        self.patch(self.node.outgoing, "dial_alone", self.dial)

    def dial(self, conversation: Conversation) -> Deferred[PlainPeerConnection]:
        self.assertIs(conversation, self.conversation)
        self.dialled.append(Deferred())
        return self.dialled[-1]

    def write(self, frame: bytes, text: str | None) -> None:
        self.conversation.lone_frames += 1
        self.frames(LoneFrame(self.conversation, frame, text))

    def counts(self) -> tuple[int, int]:
        """Return how many messages wait, and how many connections were asked for."""
        return self.conversation.unsent, len(self.dialled)

    def unsaid(self) -> list[tuple[str | None, str]]:
        return [(one.text, one.reason) for one in self.events if isinstance(one, Undelivered)]

    def connects(self) -> Wire:
        """The latest dial comes about."""
        connection = PlainPeerConnection(self.node.plain_calls, self.clock, DEFAULTS, CANON)
        wire = joined(connection, Wire("10.0.0.2", 5002))
        self.dialled[-1].callback(connection)
        return wire

    def test_the_second_is_dialled_for_when_the_first_is_written(self) -> None:
        self.write(b"one\r\n\r\n", "one")
        self.write(b"two\r\n\r\n", "two")
        self.assertEqual(self.counts(), (2, 1))
        self.assertEqual(self.connects().value(), b"one\r\n\r\n")
        self.assertEqual(self.counts(), (1, 2))
        self.assertEqual(self.connects().value(), b"two\r\n\r\n")
        self.assertEqual((self.conversation.unsent, self.unsaid()), (0, []))

    def test_one_without_a_connection_is_reported_and_the_next_is_tried(self) -> None:
        self.write(b"one\r\n\r\n", "one")
        self.write(b"two\r\n\r\n", "two")
        self.dialled[0].errback(PeerUnreachable("nobody listens there"))
        self.assertEqual(self.unsaid(), [("one", "nobody listens there")])
        self.assertEqual(self.connects().value(), b"two\r\n\r\n")

    def test_a_farewell_that_does_not_arrive_is_nobodys_trouble(self) -> None:
        self.write(b"QUIT\r\n\r\n", None)
        self.dialled[0].errback(PeerUnreachable("nobody listens there"))
        self.assertEqual((self.unsaid(), self.conversation.unsent), ([], 0))

"""Tests of what the person is told of messages."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import (
    Delivered,
    Event,
    Notice,
    Sent,
    Uncertain,
    Undelivered,
)
from chatproto.client.message_news import MessageNews
from chatproto.client.requests import PendingRequest, telling
from chatproto.client.targets import AwayContact
from chatproto.identity.recipient import KeyedPerson
from chatproto.net.clock import Wall
from chatproto.session.effects import MessageOutcome
from chatproto.session.ledger import DELIVERED, UNCERTAIN, UNDELIVERED
from chatproto.wire.reasons import Cause, Reason

KEY = "sha256:" + "A" * 52


class MessageNewsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[Event] = []
        self.news = MessageNews(AwayContact(KeyedPerson(KEY), "bob"), self.events.append, {})

    def test_sent_event_has_the_number_if_there_is_one(self) -> None:
        self.news.written("yes", Wall(3.0))
        self.news.written("yes", Wall(4.0), 3)
        wanted = [
            Sent("yes", None, to="bob", said=Wall(3.0)),
            Sent("yes", 3, to="bob", said=Wall(4.0)),
        ]
        self.assertEqual(self.events, wanted)

    def test_delivered_event_has_the_text_only_if_it_was_queued(self) -> None:
        self.news.queued(2)
        for id in (1, 2, 2):
            self.news.outcome(MessageOutcome(id, DELIVERED, "hi", ""))
        wait = Notice("message 2 is queued for bob (/unsend 2 to cancel)", "bob", 2)
        told = [Delivered("bob", id, text) for id, text in ((1, None), (2, "hi"), (2, None))]
        self.assertEqual(self.events, [wait, *told])

    def test_one_that_does_not_arrive_always_is_with_the_reason(self) -> None:
        self.news.outcome(MessageOutcome(1, UNDELIVERED, "hi", "cancelled with /unsend"))
        self.news.outcome(MessageOutcome(2, UNDELIVERED, "there", ""))
        self.news.outcome(MessageOutcome(3, UNCERTAIN, "you", ""))
        self.news.unsaid("me", "connection lost")
        wanted = [
            Undelivered("bob", "cancelled with /unsend", 1, "hi"),
            Undelivered("bob", "the connection ended before it arrived", 2, "there"),
            Uncertain("bob", 3, "you"),
            Undelivered("bob", "connection lost", text="me"),
        ]
        self.assertEqual(self.events, wanted)

    def test_outcome_ends_the_request_of_the_message(self) -> None:
        for state, code in (
            (DELIVERED, "delivered"),
            (UNCERTAIN, "uncertain"),
            (UNDELIVERED, "expired"),
        ):
            asked = PendingRequest("say", lambda one: None)
            with telling(asked.part()):
                self.news.assign_request(1)
            self.news.outcome(MessageOutcome(1, state, "hi", Cause(Reason.EXPIRED)))
            self.assertEqual(asked.code, code)

    def test_only_messages_of_requests_are_reported_as_queued_at_the_end(
        self,
    ) -> None:
        asked = PendingRequest("say", lambda one: None)
        with telling(asked.part()):
            self.news.assign_request(2)
        self.news.hold((1, 2, 3))
        self.events.clear()
        self.news.left((1, 2, 3))
        told = [(one.id, one.text) for one in self.events if isinstance(one, Notice)]
        self.assertEqual(told, [(2, "message 2 is queued for bob (/unsend 2 to cancel)")])

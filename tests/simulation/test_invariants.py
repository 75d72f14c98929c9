"""The books see what may not be: each mistake that a program could make with a message."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import Delivered, Failed, MessageReceived, Sent, Undelivered
from chatproto.wire.reasons import Reason
from tests.simulation.invariants import Books, Broken


class BooksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.books = Books(("eve", "ann"))
        for text in ("one", "two"):
            self.say("ann", "bob", text)

    def say(self, sender: str, receiver: str, text: str) -> None:
        self.books.begin(sender, receiver, text)
        self.books.end(text)

    def hears(self, text: str, from_: str = "ann", who: str = "bob") -> None:
        self.books.told(who, MessageReceived(from_=from_, text=text))

    def test_all_may_go_well(self) -> None:
        self.books.told("ann", Sent("one", 1, to="bob"))
        self.hears("one")
        self.hears("two")
        self.books.told("ann", Delivered("bob", 1))
        self.assertEqual(self.books.unsettled(), [])

    def test_twice(self) -> None:
        self.hears("one")
        self.assertRaises(Broken, self.hears, "one")

    def test_out_of_order(self) -> None:
        self.hears("two")
        self.assertRaises(Broken, self.hears, "one")

    def test_by_somebody_else_or_from_somebody_else(self) -> None:
        self.assertRaises(Broken, self.hears, "one", who="cid")
        self.assertRaises(Broken, self.hears, "one", from_="cid")
        self.assertRaises(Broken, self.hears, "three")

    def test_a_stranger_shown_without_a_doubt(self) -> None:
        self.say("eve", "bob", "three")
        self.say("eve", "bob", "four")
        self.hears("three", from_="ann?~2")
        self.assertRaises(Broken, self.hears, "four", from_="ann")

    def test_reported_though_it_came_or_came_though_it_was_reported(self) -> None:
        self.hears("one")
        self.assertRaises(Broken, self.books.told, "ann", Undelivered("bob", "because", text="one"))
        self.books.told("ann", Undelivered("bob", "because", text="two"))
        self.assertRaises(Broken, self.hears, "two")

    def test_delivered_though_it_did_not_come(self) -> None:
        self.books.told("ann", Sent("one", 1, to="bob"))
        self.assertRaises(Broken, self.books.told, "ann", Delivered("bob", 1))

    def test_what_was_refused_was_not_said(self) -> None:
        self.books.begin("ann", "bob", "three")
        self.books.told("ann", Failed("too many", 429, "msg", code=Reason.TOO_MANY))
        self.books.end("three")
        self.assertRaises(Broken, self.hears, "three")
        self.assertEqual([one.text for one in self.books.unsettled()], ["one", "two"])

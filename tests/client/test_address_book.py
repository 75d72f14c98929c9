"""Tests of the people whom a program has heard of."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.address_book import AddressBook
from chatproto.wire.fields import Contact

BOB = Contact("bob", "10.0.0.1", 3001)


class PeopleTests(SynchronousTestCase):
    def test_the_latest_word_counts(self) -> None:
        people = AddressBook()
        people.remember(BOB)
        people.remember(Contact("bob", "10.0.0.2", 3001), (("10.0.0.2", 3001), ("10.0.0.3", 1)))
        found = people.named("bob")
        assert found is not None
        self.assertEqual(found.host, "10.0.0.2")
        self.assertEqual(people.addresses(found), (("10.0.0.2", 3001), ("10.0.0.3", 1)))

    def test_address_belongs_to_the_latest_contact(self) -> None:
        people = AddressBook()
        people.remember(BOB)
        people.remember(Contact("carol", "10.0.0.1", 3001))
        self.assertEqual(people.at("10.0.0.1", 3001), people.named("carol"))
        self.assertIsNone(people.at("10.0.0.1", 3002))

    def test_unknown_contact_has_its_first_address(self) -> None:
        self.assertEqual(AddressBook().addresses(BOB), (("10.0.0.1", 3001),))

    def test_only_so_many_are_remembered(self) -> None:
        people = AddressBook(most=2)
        for name in ("a", "b", "c"):
            people.remember(Contact(name, "10.0.0.1", 1))
        self.assertIsNone(people.named("a"))
        self.assertIsNotNone(people.named("c"))

    def test_oldest_contact_is_removed(self) -> None:
        people = AddressBook(most=2)
        for name in ("a", "b", "a", "c"):
            people.remember(Contact(name, "10.0.0.1", 1))
        self.assertIsNone(people.named("b"))
        found = people.named("a")
        assert found is not None
        self.assertEqual(people.addresses(found), (("10.0.0.1", 1),))

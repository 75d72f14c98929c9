"""Test the list of clients in both orders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.directory.sorted_ids import Listing
from tests.contracts.names import key

IDS = st.text("abZ_", min_size=1, max_size=3)


def presence(client_id: str, listed: bool = True) -> Registration:
    return Registration(
        client_id, key(1), 5000, (), 60, listed, (), ClientConnection(key(1), "192.0.2.1", 4000)
    )


class ListingTests(SynchronousTestCase):
    def listing(self, *ids: str) -> Listing:
        listing = Listing()
        for client_id in ids:
            listing.add(presence(client_id))
        return listing

    def test_ids_are_in_order_and_the_newest_first(self) -> None:
        listing = self.listing("bob", "alice", "carol")
        self.assertEqual(list(listing.ids()), ["alice", "bob", "carol"])
        self.assertEqual(list(listing.newest()), ["carol", "alice", "bob"])

    def test_unlisted_clients_are_left_out(self) -> None:
        listing = self.listing("bob")
        for client_id in ("alice", "carol"):
            listing.add(presence(client_id, listed=False))
        listing.remove(presence("alice", listed=False))
        self.assertEqual((list(listing.ids()), list(listing.newest())), (["bob"], ["bob"]))

    def test_ended_registration_is_removed_at_once(self) -> None:
        listing = self.listing("bob", "alice")
        alice = presence("alice")
        listing.remove(alice)
        self.assertEqual((list(listing.ids()), list(listing.newest())), (["bob"], ["bob"]))
        listing.remove(alice)
        self.assertEqual(list(listing.ids()), ["bob"])

    def test_clients_away_before_the_start_are_not_called(self) -> None:
        listing = Listing()
        listing.add(presence("alice").left(40.0))
        self.assertEqual((list(listing.ids()), list(listing.newest())), ([], []))

    @given(st.sets(IDS), IDS | st.just(""), IDS | st.just(""))
    def test_ids_filters_by_prefix_and_after(self, ids: set[str], prefix: str, after: str) -> None:
        wanted = sorted(one for one in ids if one.startswith(prefix) and one > after)
        self.assertEqual(list(self.listing(*ids).ids(prefix, after)), wanted)

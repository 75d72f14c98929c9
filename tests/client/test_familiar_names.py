"""Test the names that Tab may complete to, and leaving what is current."""

from __future__ import annotations

from chatproto.client.events import Failed
from chatproto.client.familiar_names import MOST
from chatproto.wire.fields import Contact
from tests.client.keyed_program import Case
from tests.client.rooms import room_ends


class PeopleTests(Case):
    def test_conversations_precede_contacts_and_listed_clients(self) -> None:
        self.called("carol")
        self.node.address_book.remember(Contact("dave", "10.0.0.4", 1))
        names = self.node.client.familiar_names()
        self.assertEqual(names.ids, ("carol", "bob", "dave"))
        self.assertEqual((names.here, names.rooms), ((), ()))

    def test_never_more_than_the_limit(self) -> None:
        for number in range(MOST + 5):
            self.node.address_book.remember(Contact(f"id{number}", "10.0.0.4", 1))
        self.assertEqual(len(self.node.client.familiar_names().ids), MOST)

    def test_leave_ends_the_conversation_and_not_the_program(self) -> None:
        bob = self.called("bob")
        self.node.leave("")
        self.net.wait(1)
        self.assertTrue(bob.left)
        self.node.leave("")
        self.net.wait(1)
        self.assertIn("no conversation and no room", self.texts(Failed)[-1])
        self.assertEqual(self.codes, [])

    def test_leave_ends_the_conversation_with_the_peer_that_is_named(self) -> None:
        bob, carol = self.called("bob"), self.called("carol")
        self.node.leave("carol")
        self.net.wait(1)
        self.assertEqual((bob.left, carol.left), (False, True))
        self.node.leave("carol")
        self.assertIn('no conversation with "carol"', self.texts(Failed)[-1])


class RoomNamesTests(room_ends.Case):
    def test_members_and_rooms_that_we_are_in_and_that_were_listed(self) -> None:
        self.bob.joins("#tea")
        self.both_join()
        self.alice.node.in_room.rooms()
        self.hall.settle()
        names = self.alice.node.client.familiar_names()
        self.assertEqual((names.here, names.ids), (("bob",), ("bob",)))
        self.assertEqual(names.rooms[0], "#den")
        self.assertIn("#tea", names.rooms)

    def test_leave_leaves_the_current_room_or_a_named_one(self) -> None:
        self.alice.joins("#tea")
        self.alice.joins("#den")
        self.alice.node.leave("")
        self.alice.node.leave("#tea")
        self.hall.settle()
        self.assertEqual(self.alice.node.rooms.rows(), [])

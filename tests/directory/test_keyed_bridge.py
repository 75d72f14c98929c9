"""Test BRIDGE and the list of clients."""

from __future__ import annotations

from chatproto.directory.keyed import RETRY_AFTER
from chatproto.directory.registrations import ClientConnection, PushTo
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.contracts.names import key
from tests.directory.hall import HOST, Hall, Hosted


class ABridge(Hosted):
    def setUp(self) -> None:
        super().setUp()
        self.alice = self.hall.come("alice", 1)

    def test_needs_a_registration(self) -> None:
        stranger = ClientConnection(key(5), HOST, 1)
        for message in (
            bcp2_server.Bridge(3, "alice"),
            bcp2_server.Bridge(3),
            bcp2_server.Watch(3, "alice"),
        ):
            self.assertStatus(401, stranger, message)

    def test_introduces_both_to_each_other(self) -> None:
        bob = self.hall.come("bob", 2, addresses=((HOST, 6000), ("127.0.0.1", 6000)))
        answer = self.hall.ask(self.alice, bcp2_server.Bridge(3, "bob"))
        there = ((HOST, 6000), (HOST, 5000), (HOST, bob.port))
        self.assertEqual(answer, bcp2_server.BridgeAck(3, "bob", key(2), there, "call1"))
        here = ((HOST, 5000), (HOST, self.alice.port))
        push = bcp2_server.Introduce("alice", key(1), here, "call1")
        self.assertEqual(self.hall.others, [PushTo(bob, push)])

    def test_gives_each_side_a_relay_ticket(self) -> None:
        asked: list[tuple[str, str, float]] = []

        def new_tickets(asker: str, call: str, now: float) -> tuple[str, str] | None:
            asked.append((asker, call, now))
            return ("MINE", "THEIRS") if len(asked) == 1 else None

        hall = Hall(new_tickets=new_tickets)
        alice, bob = hall.come("alice", 1), hall.come("bob", 2)
        answer = hall.ask(alice, bcp2_server.Bridge(3, "bob"))
        push = hall.others[0].message
        assert isinstance(push, bcp2_server.Introduce)
        self.assertEqual(hall.others[0].client, bob)
        self.assertEqual((answer.ticket, push.ticket), ("MINE", "THEIRS"))
        self.assertEqual(asked, [(key(1), "call1", hall.now)])
        self.assertEqual(hall.ask(alice, bcp2_server.Bridge(4, "bob")).ticket, "")

    def test_to_an_unknown_client_is_404_and_to_an_away_one_480(self) -> None:
        bob = self.hall.come("bob", 2)
        self.hall.directory.lost(bob, self.hall.now)
        self.assertStatus(480, self.alice, bcp2_server.Bridge(3, "bob"))
        self.assertStatus(404, self.alice, bcp2_server.Bridge(3, "nobody"))

    def test_to_one_s_own_key_is_403(self) -> None:
        self.hall.come("alice2", 1)
        for peer_id in ("alice", "alice2"):
            self.assertStatus(403, self.alice, bcp2_server.Bridge(3, peer_id))

    def test_to_an_unlisted_client_is_404_except_for_allowed_keys(self) -> None:
        friend = self.hall.come("friend", 3)
        bob = self.hall.come("bob", 2, listed=False, allow=(key(3),))
        for here in (True, False):
            self.assertStatus(404, self.alice, bcp2_server.Bridge(3, "bob"))
            if here:
                answer = self.hall.ask(friend, bcp2_server.Bridge(3, "bob"))
                self.assertEqual(answer.key, key(2))
                self.hall.directory.lost(bob, self.hall.now)
            else:
                self.assertStatus(480, friend, bcp2_server.Bridge(3, "bob"))

    def test_to_a_classic_client_has_no_key_and_no_introduce(self) -> None:
        self.hall.classic("carol", "192.0.2.7")
        answer = self.hall.ask(self.alice, bcp2_server.Bridge(3, "carol"))
        self.assertEqual(
            answer, bcp2_server.BridgeAck(3, "carol", addresses=(("192.0.2.7", 3000),))
        )
        self.assertEqual(self.hall.others, [])

    def test_without_a_name_gives_the_latest_listed_client_of_another_key(self) -> None:
        self.assertEqual(self.hall.ask(self.alice, bcp2_server.Bridge(3)), bcp2_server.BridgeAck(3))
        bob = self.hall.come("bob", 2)
        self.hall.come("hidden", 3, listed=False)
        self.hall.come("alice2", 1)
        self.assertEqual(self.hall.ask(self.alice, bcp2_server.Bridge(3)).client_id, "bob")
        self.hall.directory.lost(bob, self.hall.now)
        self.assertEqual(self.hall.ask(self.alice, bcp2_server.Bridge(3)), bcp2_server.BridgeAck(3))

    def test_too_often_is_429_with_retry_after(self) -> None:
        bob = self.hall.come("bob", 2)
        for _ in range(self.hall.limits.introductions_from):
            self.hall.ask(self.alice, bcp2_server.Bridge(3, "bob"))
        answer = self.hall.ask(self.alice, bcp2_server.Bridge(4, "bob"))
        self.assertEqual(answer, Error(429, 4, retry_after=RETRY_AFTER))
        self.assertEqual(self.hall.others, [])
        self.hall.ask(bob, bcp2_server.Bridge(5, "alice"))
        self.assertIsInstance(
            self.hall.ask(self.alice, bcp2_server.Bridge(6, "bob")), bcp2_server.BridgeAck
        )

    def test_to_an_away_or_unknown_client_is_not_counted(self) -> None:
        bob = self.hall.come("bob", 2)
        self.hall.come("carol", 3)
        self.hall.directory.lost(bob, self.hall.now)
        for number in range(self.hall.limits.introductions_vain):
            name, status = (("bob", 480), ("nobody", 404))[number % 2]
            self.assertStatus(status, self.alice, bcp2_server.Bridge(3, name))
        self.assertStatus(429, self.alice, bcp2_server.Bridge(3, "bob"))
        self.assertIsInstance(
            self.hall.ask(self.alice, bcp2_server.Bridge(4, "carol")), bcp2_server.BridgeAck
        )

    def test_to_a_client_that_just_left_is_not_counted(self) -> None:
        for _ in range(2 * self.hall.limits.introductions_from):
            bob = self.hall.come("bob", 2)
            self.assertIsInstance(
                self.hall.ask(self.alice, bcp2_server.Bridge(3, "bob")), bcp2_server.BridgeAck
            )
            self.hall.directory.lost(bob, self.hall.now)


class AList(Hosted):
    def setUp(self) -> None:
        super().setUp()
        for number, name in enumerate(("bea", "ann", "bob", "Bob2", "carl", "b")):
            self.hall.come(name, number)
        self.hall.come("bo-hidden", 50, listed=False)

    def test_is_in_the_order_of_ids_without_the_unlisted(self) -> None:
        self.assertEqual(self.hall.listed(), ["Bob2", "ann", "b", "bea", "bob", "carl"])

    def test_filters_by_prefix_and_after(self) -> None:
        listed = self.hall.listed
        self.assertEqual(listed(prefix="b"), ["b", "bea", "bob"])
        self.assertEqual(listed(prefix="b", after="b"), ["bea", "bob"])
        self.assertEqual(listed(after="bea"), ["bob", "carl"])
        self.assertEqual(listed(prefix="b", after="a"), ["b", "bea", "bob"])
        self.assertEqual(listed(prefix="b", after="c"), [])
        self.assertEqual(listed(prefix="zz"), [])

    def test_has_each_client_once_over_pages(self) -> None:
        anybody = ClientConnection(key(99), HOST, 1)
        for limit in (1, 2, 3, 4, 6, 7):
            found, after = [], ""
            while True:
                answer = self.hall.ask(anybody, bcp2_server.Info(1, "", after, limit))
                self.assertLessEqual(len(answer.contacts), limit)
                found += [one.client_id for one in answer.contacts]
                after = answer.next
                if not after:
                    break
            self.assertEqual(found, ["Bob2", "ann", "b", "bea", "bob", "carl"])

    def test_is_never_longer_than_a_page(self) -> None:
        self.hall = Hall(info_lines=2)
        for number, name in enumerate(("a", "b", "c")):
            self.hall.come(name, number)
        for limit in (None, 0, 3, 2**53):
            answer = self.hall.ask(
                ClientConnection(key(99), HOST, 1), bcp2_server.Info(1, limit=limit)
            )
            self.assertEqual(
                ([one.client_id for one in answer.contacts], answer.next), (["a", "b"], "b")
            )

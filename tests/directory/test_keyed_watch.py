"""Test watches: who is told of presence."""

from __future__ import annotations

from chatproto.directory.registrations import ClientConnection, PushTo
from chatproto.wire import bcp2_server
from tests.contracts.names import key
from tests.directory.hall import Hall, Hosted, news


class AWatch(Hosted):
    def setUp(self) -> None:
        super().setUp()
        self.alice = self.hall.come("alice", 1)
        self.bob = self.hall.come("bob", 2)

    def watch(self, peer_id: str, client: ClientConnection | None = None) -> list[tuple[str, str]]:
        client = client or self.alice
        answer = self.hall.ask(client, bcp2_server.Watch(5, peer_id))
        self.assertEqual(answer, bcp2_server.WatchAck(5, peer_id))
        self.assertTrue(all(one.client is client for one in self.hall.others))
        return news(self.hall.others)

    def test_reports_the_present_status_at_once(self) -> None:
        self.assertEqual(self.watch("bob"), [("bob", "online")])
        self.hall.directory.lost(self.bob, self.hall.now)
        self.assertEqual(self.watch("bob"), [("bob", "offline")])
        self.hall.pass_time(31)
        self.assertEqual(self.watch("bob"), [("bob", "offline")])
        self.hall.pass_time(7200)
        self.assertEqual(self.watch("bob"), [("bob", "offline")])

    def test_tells_of_the_end_after_a_grace(self) -> None:
        self.watch("bob")
        self.hall.directory.lost(self.bob, self.hall.now)
        self.assertEqual(self.hall.pass_time(29.9), [])
        (one,) = self.hall.pass_time(0.1)
        self.assertEqual(one, PushTo(self.alice, bcp2_server.Presence("bob", "offline")))
        self.assertEqual(self.hall.pass_time(7200), [])

    def test_reports_each_away_text_once(self) -> None:
        self.watch("bob")
        told = []
        for text in ("lunch", "lunch", "home", ""):
            self.hall.register(self.bob, "bob", away=text)
            told += [one.message for one in self.hall.others]
        wanted = [bcp2_server.Presence("bob", "online", text) for text in ("lunch", "home", "")]
        self.assertEqual(told, wanted)
        self.hall.register(self.bob, "bob", away="gone")
        carol = self.hall.come("carol", 3)
        self.watch("bob", carol)
        told_last = self.hall.others[-1].message
        self.assertEqual(told_last, bcp2_server.Presence("bob", "online", "gone"))
        self.hall.directory.lost(self.bob, self.hall.now)
        for one in self.hall.pass_time(30):
            self.assertEqual(one.message, bcp2_server.Presence("bob", "offline"))

    def test_tells_nothing_of_a_short_absence(self) -> None:
        self.watch("bob")
        for _ in range(3):
            self.hall.directory.lost(self.bob, self.hall.now)
            self.assertEqual(self.hall.pass_time(20), [])
            self.bob = self.hall.come("bob", 2)
            self.assertEqual(news(self.hall.others), [])
        self.assertEqual(self.hall.pass_time(100), [])

    def test_started_in_the_grace_period_gets_offline_then_online(self) -> None:
        other = self.hall.come("carol", 3)
        self.watch("bob", other)
        self.hall.directory.lost(self.bob, self.hall.now)
        self.assertStatus(480, self.alice, bcp2_server.Bridge(5, "bob"))
        self.assertEqual(self.watch("bob"), [("bob", "offline")])
        self.hall.pass_time(10)
        self.bob = self.hall.come("bob", 2)
        self.assertEqual(
            self.hall.others, [PushTo(self.alice, bcp2_server.Presence("bob", "online"))]
        )
        self.hall.directory.lost(self.bob, self.hall.now)
        self.assertEqual(len(self.hall.pass_time(30)), 2)

    def test_tells_of_a_return_and_of_taking_back(self) -> None:
        self.watch("bob")
        self.hall.directory.lost(self.bob, self.hall.now)
        self.hall.pass_time(30)
        self.bob = self.hall.come("bob", 2)
        self.assertEqual(news(self.hall.others), [("bob", "online")])
        self.hall.register(self.bob, "bob", expires=0)
        self.assertEqual(news(self.hall.others), [("bob", "offline")])
        self.hall.directory.lost(self.bob, self.hall.now)
        self.assertEqual(self.hall.pass_time(7300), [])

    def test_of_unknown_or_unlisted_ids_is_404_except_for_allowed_keys(self) -> None:
        self.assertStatus(404, self.alice, bcp2_server.Watch(5, "nobody"))
        self.hall.come("hidden", 3, listed=False, allow=(key(2),))
        self.assertStatus(404, self.alice, bcp2_server.Watch(5, "hidden"))
        self.assertEqual(self.watch("hidden", self.bob), [("hidden", "online")])

    def test_of_an_unlisted_away_client_is_404(self) -> None:
        hidden = self.hall.come("hidden", 3, listed=False, allow=(key(2),))
        self.hall.directory.lost(hidden, self.hall.now)
        for passed in (0, 31, 7300):  # in the grace, away, and without a registration
            self.hall.pass_time(passed)
            self.assertStatus(404, self.alice, bcp2_server.Watch(5, "hidden"))
            self.assertEqual(self.watch("hidden", self.bob), [("hidden", "offline")])
            self.hall.ask(self.bob, bcp2_server.Unwatch(6, "hidden"))

    def test_reports_many_ends_a_few_at_a_time(self) -> None:
        for number in range(3, 8):
            self.hall.directory.lost(self.watched(f"c{number}", number), self.hall.now)
        directory, later = self.hall.directory, self.hall.now + 7300
        told = [len(directory.due(later, 2)) for _ in range(3)]
        self.assertEqual(told, [2, 2, 1])
        self.assertFalse(directory.is_due(later))
        self.assertEqual(directory.registered, 2)

    def watched(self, client_id: str, number: int) -> ClientConnection:
        client = self.hall.come(client_id, number)
        self.watch(client_id)
        return client

    def test_reports_nothing_of_a_client_that_became_unlisted(self) -> None:
        self.watch("bob")
        self.hall.register(self.bob, "bob", listed=False)
        self.hall.directory.lost(self.bob, self.hall.now)
        self.assertEqual(self.hall.pass_time(30), [])

    def test_ends_with_unwatch_and_with_the_connection(self) -> None:
        self.watch("bob")
        carol = self.hall.come("carol", 3)
        self.watch("bob", carol)
        self.assertEqual(
            self.hall.ask(carol, bcp2_server.Unwatch(6, "bob")), bcp2_server.UnwatchAck(6, "bob")
        )
        self.hall.directory.lost(self.alice, self.hall.now)
        self.hall.directory.lost(self.bob, self.hall.now)
        self.assertEqual(self.hall.pass_time(30), [])
        self.assertEqual(self.hall.directory._watchers._watchers, {})

    def test_of_too_many_ids_is_413(self) -> None:
        self.hall = Hall(watches=2)
        alice = self.hall.come("alice", 1)
        for number in range(3):
            self.hall.come(f"x{number}", 10 + number)
        for number in (0, 1, 1):
            self.watch(f"x{number}", alice)
        self.assertStatus(413, alice, bcp2_server.Watch(5, "x2"))
        self.hall.ask(alice, bcp2_server.Unwatch(6, "x0"))
        self.watch("x2", alice)

    def test_gets_one_offline_for_a_client_expelled_in_the_grace_period(self) -> None:
        self.watch("bob")
        self.hall.directory.lost(self.bob, self.hall.now)
        self.assertEqual(news(self.hall.directory.expel("bob")), [("bob", "offline")])
        self.assertEqual(self.hall.pass_time(100), [])

"""A person at a terminal learns who of those they write to says to be away."""

from __future__ import annotations

from typing import Any

from chatproto.client import name_resolver
from chatproto.client.events import PresenceChanged, SessionChanged
from chatproto.wire import bcp2_server
from tests.client.keyed_program import BOB_HOST, BOB_PORT, Case, key_of


class FirstContactTests(Case):
    known = ()
    server = True

    def begin(self, *given: Any, **settings: Any) -> Any:
        return super().begin(*given, typed=True, **settings)

    def test_new_contact_is_asked_about_once_it_is_pinned(self) -> None:
        self.directory.knows("bob", key_of("bob"), (BOB_HOST, BOB_PORT))
        self.node.chat("bob")
        self.net.settle()
        self.person("bob")
        self.assertEqual([one.state for one in self.told(SessionChanged)][-1], "open")
        watches = self.directory.heard(bcp2_server.Watch)
        self.assertEqual([one.peer_id for one in watches], ["bob"])


class AwayTests(Case):
    server = True

    def begin(self, *given: Any, **settings: Any) -> Any:
        return super().begin(*given, **{"typed": True, **settings})

    def watched(self) -> list[str]:
        return [one.peer_id for one in self.directory.heard(bcp2_server.Watch)]

    def tells(self, name: str, away: str = "") -> None:
        self.directory.tell(bcp2_server.Presence(name, "online", away))
        self.net.settle()

    def test_away_texts_are_shown_during_and_after_a_conversation(self) -> None:
        bob = self.called("bob")
        self.net.settle()
        self.assertEqual(self.watched(), ["bob"])
        self.tells("bob")
        self.assertEqual(self.told(PresenceChanged), [])
        self.tells("bob", "lunch")
        self.tells("bob", "lunch")
        self.assertEqual(self.node.client.calls.away_text(key_of("bob")), "lunch")
        bob.leaves()
        self.tells("bob")
        self.assertEqual([one.away for one in self.told(PresenceChanged)], ["lunch", None])
        self.assertEqual(self.node.client.calls.away_text(key_of("bob")), "")

    def test_switching_to_a_contact_queries_its_away_text(self) -> None:
        self.node.messages.switch("carol")
        self.net.settle()
        self.assertEqual(self.watched(), ["carol"])
        self.tells("carol", "lunch")
        self.assertEqual(self.told(PresenceChanged), [PresenceChanged("carol", "online", "lunch")])

    def test_number_of_followed_contacts_is_limited(self) -> None:
        self.patch(name_resolver, "MOST_FOLLOWED", 1)
        self.called("bob")
        self.called("carol")
        self.net.settle()
        self.assertEqual(self.watched(), ["bob", "carol"])
        [end] = self.directory.heard(bcp2_server.Unwatch)
        self.assertEqual(end.peer_id, "bob")

    def test_scripts_and_unknown_peers_cause_no_query(self) -> None:
        self.called("eve")
        self.begin(typed=False)
        self.called("bob")
        self.net.settle()
        self.assertEqual(self.watched(), [])

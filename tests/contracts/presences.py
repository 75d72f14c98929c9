"""Contract of every store of keyed registrations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from chatproto.directory.registration_store import RegistrationStore
from chatproto.directory.registrations import ClientConnection, Registration
from tests.contracts.names import key

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    Case = object


def presence(client_id: str, port: int = 5000, **more: Any) -> Registration:
    """One of somebody who is connected."""
    given: dict[str, Any] = {"expires": 3600, "listed": True, "allow": (), "addresses": (), **more}
    client = ClientConnection(key(1), "192.0.2.1", 40000, client_id=client_id, listens=port)
    return Registration(client_id=client_id, key=key(1), port=port, client=client, **given)


def shown(presences: RegistrationStore) -> list[tuple[Any, ...]]:
    """All that they say of themselves, and of where they were seen."""
    return [
        (
            *(
                getattr(one, field.name)
                for field in fields(one)
                if field.name not in ("client", "proven", "away")
            ),
            one.client.key,
            one.client.callable_at,
            one.client.local,
        )
        for one in presences.all()
    ]


class PresencesContract(Case):
    """Mix into a test case that has `make`."""

    make: Callable[[], RegistrationStore]

    def ids(self, presences: RegistrationStore) -> list[str]:
        return sorted(one.client_id for one in presences.all())

    def test_are_none_at_first(self) -> None:
        self.assertEqual(self.ids(self.make()), [])

    def test_are_as_they_were(self) -> None:
        presences = self.make()
        addresses = (("192.0.2.7", 5000), ("2001:db8::1", 5001))
        presences.commit(
            presence("alice", addresses=addresses, listed=False, allow=(key(2), key(3))), 0.0
        )
        row = ("alice", key(1), 5000, addresses, 3600, False, (key(2), key(3)), None)
        self.assertEqual(shown(presences), [(*row, key(1), ("192.0.2.1", 5000), False)])

    def test_take_each_other_s_place(self) -> None:
        presences = self.make()
        for port in (5000, 6000):
            presences.commit(presence("alice", port), 0.0)
        (found,) = presences.all()
        self.assertEqual(found.port, 6000)

    def test_are_forgotten(self) -> None:
        presences = self.make()
        for name in ("alice", "bob"):
            presences.commit(presence(name), 0.0)
        for _ in range(2):
            presences.forget("alice")
            self.assertEqual(self.ids(presences), ["bob"])

    def test_of_connected_clients_end_as_long_after_the_server_as_they_last(self) -> None:
        presences = self.make()
        for name, expires in (("alice", 60), ("bob", 90), ("carol", 60)):
            presences.commit(presence(name, expires=expires), 0.0)
        presences.commit(presence("dave", expires=60), 0.0)
        presences.left(presence("carol", expires=60, until=7.0))
        presences.left(presence("dave", expires=60, until=7000.0))  # by a clock that was ahead
        presences.all_left(100.0)
        ends = {one.client_id: one.until for one in presences.all()}
        self.assertEqual(ends, {"alice": 160.0, "bob": 190.0, "carol": 7.0, "dave": 160.0})

    def test_expire_when_their_time_has_come_unless_they_are_connected(self) -> None:
        presences = self.make()
        for name in ("alice", "bob", "carol", "dave"):
            presences.commit(presence(name), 0.0)
        for until, name in ((10.0, "alice"), (11.0, "bob"), (10.0, "dave")):
            presences.left(presence(name, until=until))
        presences.commit(presence("dave"), 0.0)  # is back
        self.assertEqual({one.client_id: one.until for one in presences.all()}["bob"], 11.0)
        presences.expire(10.0)
        self.assertEqual(self.ids(presences), ["bob", "carol", "dave"])
        presences.expire(1000.0)
        self.assertEqual(self.ids(presences), ["carol", "dave"])

    def test_expire_a_few_at_a_time_and_none_is_found_any_more(self) -> None:
        presences = self.make()
        for name in ("alice", "bob", "carol"):
            presences.commit(presence(name), 0.0)
            presences.left(presence(name, until=10.0))
        self.assertTrue(presences.expire(10.0, 2))
        self.assertEqual(len(presences), 1)
        self.assertFalse(presences.expire(10.0, 2))
        self.assertEqual(len(presences), 0)

    def test_are_found_by_id_as_all_of_them_are_read(self) -> None:
        presences = self.make()
        for name, until in (("alice", 10.0), ("bob", 11.0), ("carol", None)):
            presences.commit(presence(name), 0.0)
            if until is not None:
                presences.left(presence(name, until=until))
        presences.expire(10.0, 0)
        found = [presences.find(one) for one in ("alice", "bob", "carol", "dave")]
        self.assertEqual([one and one.client_id for one in found], [None, "bob", "carol", None])
        self.assertEqual(len(presences), 3)

    def test_take_the_place_of_those_that_end_by_them(self) -> None:
        presences = self.make()
        for name in ("alice", "bob", "carol"):
            presences.commit(presence(name), 0.0)
        presences.commit(presence("dave"), 0.0, gone=("alice", "carol", "nobody"))
        self.assertEqual(self.ids(presences), ["bob", "dave"])
        self.assertEqual(len(presences), 2)

    def test_nobody_who_is_not_there_has_left(self) -> None:
        presences = self.make()
        presences.left(presence("alice", until=10.0))
        self.assertEqual(self.ids(presences), [])

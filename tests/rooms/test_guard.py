"""Test the limits on one key and one address in rooms."""

from __future__ import annotations

from chatproto.rooms import guard
from chatproto.rooms.guard import RoomGuard
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.errors import Later
from tests.contracts.names import key
from tests.limits import Limits
from tests.rooms.hall import Person, Rooms


class GuardTests(Rooms):
    def status(self, person: Person, message: Bcp2Message) -> tuple[int, int | None]:
        """Return the status that refuses the message, with Retry-After; 0 if it is not refused."""
        errors = [one for _, one in self.gets(person, message) if isinstance(one, Error)]
        return (errors[0].status, errors[0].retry_after) if errors else (0, None)

    def stranger(self, number: int, host: str = "198.51.100.7") -> Person:
        person = Person(f"stranger-{number}", key(100 + number), host)
        self.people.append(person)
        return person

    def test_another_own_id_has_no_other_bucket(self) -> None:
        self.open(room_burst=5, room_rate=1.0)
        mallory = self.stranger(1)
        for number in range(5):
            mallory.client_id = f"m{number}"
            self.assertEqual(self.status(mallory, bcp2_rooms.Rooms(1)), (0, None))
        mallory.client_id = "m5"
        self.assertEqual(self.status(mallory, bcp2_rooms.Rooms(1))[0], 429)
        again = Person("m6", mallory.key, "203.0.113.5")
        self.assertEqual(self.status(again, bcp2_rooms.Rooms(1))[0], 429)

    def test_many_keys_of_one_address_have_one_bucket_and_loopback_has_none(self) -> None:
        self.open(room_burst=1, room_rate=1.0)
        for host, most in (("198.51.100.7", 16), ("127.0.0.1", 40)):
            asks = [
                self.status(self.stranger(n, host), bcp2_rooms.Rooms(1))[0] for n in range(most + 1)
            ]
            self.assertEqual(asks[:most], [0] * most)
            self.assertEqual(asks[-1], 429 if host[0] == "1" and host != "127.0.0.1" else 0)
            self.now += 1000

    def locked(self) -> None:
        self.open(secret_tries=3)
        self.does(self.alice, bcp2_rooms.Join(1, "#vault", "right"))

    def test_wrong_keys_are_delayed_and_reported_to_the_owner(self) -> None:
        self.locked()
        mallory = self.stranger(1)
        news: list[object] = []
        for _ in range(3):
            sent = self.gets(mallory, bcp2_rooms.Join(1, "#vault", "guess"))
            news += [message for name, message in sent if name == "alice"]
        self.assertEqual(self.status(mallory, bcp2_rooms.Join(1, "#vault", "right")), (429, 20))
        [warning] = news
        assert isinstance(warning, bcp2_rooms.Changed)
        self.assertEqual((warning.what, warning.key, warning.sender), ("ban", mallory.key, ""))
        self.assertTrue(warning.until)
        self.now += 21
        self.assertEqual(self.status(mallory, bcp2_rooms.Join(1, "#vault", "right")), (0, None))

    def test_wrong_keys_are_reported_to_operators_only(self) -> None:
        self.locked()
        for person in (self.bob, self.carol):
            self.does(person, bcp2_rooms.Join(1, "#vault", "right"))
        self.does(self.alice, bcp2_rooms.Op(1, "#vault", "bob"))
        mallory = self.stranger(1)
        heard = set[str | None]()
        for _ in range(3):
            heard |= {name for name, _ in self.gets(mallory, bcp2_rooms.Join(1, "#vault", "guess"))}
        self.assertEqual(heard, {"alice", "bob", mallory.client_id})

    def test_fresh_keys_of_one_address_guess_no_faster(self) -> None:
        self.locked()
        guesses = [
            self.status(self.stranger(n), bcp2_rooms.Join(1, "#vault", "guess"))[0]
            for n in range(9)
        ]
        self.assertEqual(guesses, [403] * 3 + [429] * 6)

    def test_wrong_keys_of_others_do_not_hold_up_members_owners_or_other_addresses(self) -> None:
        self.locked()
        friend = self.stranger(50)
        self.assertEqual(self.status(friend, bcp2_rooms.Join(1, "#vault", "right"))[0], 0)
        for number in range(5):
            self.status(self.stranger(number), bcp2_rooms.Join(1, "#vault", "guess"))
        self.does(friend, bcp2_rooms.Part(1, "#vault"))
        self.assertEqual(self.status(friend, bcp2_rooms.Join(1, "#vault", "right"))[0], 0)
        other = self.stranger(60, "203.0.113.9")
        self.assertEqual(self.status(other, bcp2_rooms.Join(1, "#vault", "right"))[0], 0)
        self.alice.host = "198.51.100.7"
        self.assertEqual(self.status(self.alice, bcp2_rooms.Join(1, "#vault"))[0], 0)

    def test_new_rooms_of_an_address_are_bounded(self) -> None:
        self.open(new_rooms_per_address=3)
        opened = [
            self.status(self.stranger(n), bcp2_rooms.Join(1, f"#room-{n}"))[0] for n in range(5)
        ]
        self.assertEqual(opened, [0, 0, 0, 429, 429])
        self.assertEqual(self.status(self.stranger(9), bcp2_rooms.Join(1, "#room-1"))[0], 0)

    def test_flood_of_rooms_removes_no_room_with_messages(self) -> None:
        self.open(rooms=4)  # one of them is the lobby
        self.does(self.alice, bcp2_rooms.Join(1, "#old"))
        self.does(self.alice, bcp2_rooms.Say(1, "#old", "hello"))
        self.store.settle()
        self.does(self.alice, bcp2_rooms.Part(1, "#old"))
        mallory = self.stranger(1)
        for number in range(2):
            self.does(mallory, bcp2_rooms.Join(1, f"#m{number}"))
        self.assertEqual(self.status(self.stranger(2), bcp2_rooms.Join(1, "#n"))[0], 503)
        self.does(mallory, bcp2_rooms.Part(1, "#m0"))
        self.assertEqual(self.status(self.stranger(3), bcp2_rooms.Join(1, "#n"))[0], 0)
        names = {room.name for room in self.rooms.all()}
        self.assertEqual(names, {"#lobby", "#old", "#m1", "#n"})

    def test_unlisted_client_cannot_be_found_by_an_invitation(self) -> None:
        self.rooms._sees = lambda key, client_id: client_id != "away"
        self.assert_refused(404, self.alice, bcp2_rooms.Invite(1, "#tea", "away"))
        self.assert_refused(404, self.alice, bcp2_rooms.Op(1, "#tea", "away"))
        self.rooms._sees = lambda key, client_id: True
        self.assertEqual(self.status(self.alice, bcp2_rooms.Invite(1, "#tea", "away"))[0], 0)

    def test_number_of_clients_that_knew_a_key_is_limited(self) -> None:
        self.patch(guard, "MOST", 2)
        known = RoomGuard(Limits(secret_tries=1))
        for number in range(3):
            known.was_right("#den", key(number))
        known.guessed("#den", key(9), "198.51.100.7", 0.0)
        self.assertRaises(Later, known.check_guesses, "#den", key(0), "198.51.100.7", 0.0)
        for number in (1, 2):
            known.check_guesses("#den", key(number), "198.51.100.7", 0.0)

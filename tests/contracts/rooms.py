"""Contract of every store of rooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from chatproto.rooms.history import RoomLine, RoomStore
from chatproto.rooms.policy import BanRecord, RoomPolicy
from chatproto.wire.errors import RemoteError
from tests.limits import Limits

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    Case = object

NOW = 1_790_000_000.125
TEA = RoomPolicy(
    "#tea",
    "sha256:A",
    "tea, grün",
    "0f",
    True,
    False,
    NOW,
    {"sha256:B": NOW + 5, "sha256:C": float("inf")},
    {"=bob": float("inf")},
    {"sha256:D": NOW},
    {
        ("id", "b0b"): BanRecord("id", "b0b", NOW, "sha256:E"),
        ("address", "10.0.0.1"): BanRecord("address", "10.0.0.1"),
    },
)
ALL = (1000, 2**20)


class RoomsContract(Case):
    """Mix into a test case that has `make`."""

    make: Callable[[Limits], RoomStore]

    def history(self, **limits: float) -> RoomStore:
        return self.make(Limits(**limits))  # type: ignore[arg-type]

    def filled(self, count: int = 10, **limits: float) -> tuple[RoomStore, list[int]]:
        """A store with `count` lines, 0 to count-1, a second apart, and their numbers."""
        history = self.history(**limits)
        return history, [
            history.append("#tea", "alice", NOW + number, f"{number}") for number in range(count)
        ]

    def texts(
        self,
        history: RoomStore,
        after: int | None = None,
        before: int | None = None,
        limit: int = 1000,
        size: int = 2**20,
    ) -> tuple[str, bool]:
        page = history.page("#tea", after, before, limit, size)
        return " ".join(line.text for line in page.lines), page.more

    def assert_unknown(self, history: RoomStore, **where: int) -> None:
        error = self.assertRaises(RemoteError, self.texts, history, **where)
        self.assertEqual(error.status, 404)

    def test_is_empty_at_first(self) -> None:
        history = self.history()
        self.assertEqual((self.texts(history), history.last("#tea")), (("", False), 0))
        self.assertEqual(list(history.rooms()), [])
        self.assertEqual(history.expire(NOW), 0)
        history.forget("#tea")

    def test_gives_back_what_was_said(self) -> None:
        history = self.history()
        number = history.append("#tea", "alice", NOW, "grüße\r\n\x00")
        self.assertEqual(
            history.page("#tea", None, None, *ALL).lines,
            (RoomLine(number, "alice", NOW, "grüße\r\n\x00"),),
        )

    def test_what_was_said_is_there_before_and_after_it_is_settled(self) -> None:
        history = self.history()
        for number in range(3):
            history.append("#tea", "alice", NOW, f"{number}", keep=number != 1)
            history.append("#mud", "alice", NOW, "hi")
        before = self.texts(history)
        history.settle()
        history.settle()
        self.assertEqual((before, self.texts(history)), (("2", False), ("2", False)))

    def test_numbers_rise_by_one_in_each_room(self) -> None:
        history, numbers = self.filled(5)
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 5)))
        self.assertEqual(history.last("#tea"), numbers[-1])
        other = history.append("#mud", "bob", NOW, "hi")
        self.assertEqual(history.append("#tea", "bob", NOW - 99, "hi"), numbers[-1] + 1)
        self.assertEqual(history.last("#mud"), other)
        self.assertLess(numbers[-1], 2**53)

    def test_no_number_comes_back_when_a_room_begins_anew(self) -> None:
        history, numbers = self.filled(5)
        history.forget("#tea")
        self.assertEqual(history.last("#tea"), 0)
        self.assertGreater(history.append("#tea", "alice", NOW + 1, "hi"), numbers[-1])
        self.assert_unknown(history, after=numbers[-1] - 1)

    def test_a_page_after_a_number_is_the_oldest_after_it(self) -> None:
        history, numbers = self.filled(6)
        self.assertEqual(self.texts(history, after=numbers[2]), ("3 4 5", False))
        self.assertEqual(self.texts(history, after=numbers[2], limit=2), ("3 4", True))
        self.assertEqual(self.texts(history, after=numbers[2], limit=3), ("3 4 5", False))
        self.assertEqual(self.texts(history, after=numbers[5]), ("", False))
        self.assertEqual(self.texts(history, after=numbers[0] - 1, limit=1), ("0", True))

    def test_a_page_before_a_number_is_the_newest_before_it(self) -> None:
        history, numbers = self.filled(6)
        self.assertEqual(self.texts(history, before=numbers[3]), ("0 1 2", False))
        self.assertEqual(self.texts(history, before=numbers[3], limit=2), ("1 2", True))
        self.assertEqual(self.texts(history, before=numbers[0]), ("", False))
        self.assertEqual(self.texts(history, before=numbers[5] + 1, limit=1), ("5", True))

    def test_a_page_of_nothing_in_particular_is_the_newest(self) -> None:
        history, _ = self.filled(6)
        self.assertEqual(self.texts(history, limit=2), ("4 5", True))
        self.assertEqual(self.texts(history, limit=6), ("0 1 2 3 4 5", False))

    def test_a_page_has_one_line_even_if_that_is_too_large(self) -> None:
        history = self.history()
        first = history.append("#tea", "alice", NOW, "ü" * 50)
        history.append("#tea", "alice", NOW, "ö" * 50)
        history.append("#tea", "alice", NOW, "ä" * 50)
        self.assertEqual(self.texts(history, size=10), ("ä" * 50, True))
        self.assertEqual(self.texts(history, after=first, size=10), ("ö" * 50, True))
        self.assertEqual(self.texts(history, after=first - 1, size=199)[0], "ü" * 50)
        self.assertEqual(self.texts(history, after=first - 1, size=200)[0].count("ö"), 50)

    def test_a_number_that_is_not_known_is_404(self) -> None:
        history, numbers = self.filled(3)
        self.assert_unknown(history, after=numbers[0] - 2)
        self.assert_unknown(history, after=numbers[2] + 1)
        self.assert_unknown(history, before=numbers[0] - 1)
        self.assert_unknown(history, before=numbers[2] + 2)

    def test_the_oldest_go_when_there_are_too_many(self) -> None:
        history, numbers = self.filled(6, room_history=3)
        self.assertEqual(self.texts(history), ("3 4 5", False))
        self.assertEqual(self.texts(history, after=numbers[2]), ("3 4 5", False))
        self.assert_unknown(history, after=numbers[1])
        history.append("#mud", "bob", NOW, "hi")
        self.assertEqual(self.texts(history), ("3 4 5", False))

    def test_old_lines_go_a_few_at_a_time(self) -> None:
        history, _ = self.filled(5)
        self.assertEqual(history.expire(NOW + 4, 3), 3)
        self.assertEqual(self.texts(history), ("3 4", False))
        self.assertEqual(history.expire(NOW + 4, 3), 1)
        self.assertEqual(self.texts(history), ("4", False))

    def test_what_is_too_old_goes_and_the_numbers_go_on(self) -> None:
        history, numbers = self.filled(4)
        self.assertEqual(history.expire(NOW + 2), 2)
        self.assertEqual(self.texts(history), ("2 3", False))
        self.assert_unknown(history, after=numbers[0])
        self.assertEqual(history.expire(NOW + 9), 2)
        self.assertEqual((self.texts(history), history.last("#tea")), (("", False), numbers[3]))
        self.assertEqual(self.texts(history, after=numbers[3]), ("", False))
        self.assert_unknown(history, after=numbers[2])
        self.assertEqual(history.append("#tea", "bob", NOW + 9, "4"), numbers[3] + 1)
        self.assertEqual(self.texts(history, after=numbers[3]), ("4", False))

    def test_what_is_not_to_be_kept_takes_a_number_and_leaves_no_hidden_gap(self) -> None:
        history, numbers = self.filled(2)
        number = history.append("#tea", "bob", NOW, "off the record", keep=False)
        self.assertEqual((number, history.last("#tea")), (numbers[1] + 1, number))
        self.assert_unknown(history, after=numbers[1])
        self.assertEqual(self.texts(history, after=number), ("", False))
        last = history.append("#tea", "bob", NOW, "on")
        self.assertEqual(self.texts(history, after=number), ("on", False))
        self.assert_unknown(history, after=numbers[1])
        self.assertEqual(last, number + 1)

    def test_keeps_how_rooms_are(self) -> None:
        history = self.history()
        history.keep(TEA)
        history.keep(RoomPolicy("#mud"))
        self.assertEqual(
            sorted(history.rooms(), key=lambda one: one.name), [RoomPolicy("#mud"), TEA]
        )
        history.keep(replace(TEA, topic="", ops={}, bans={}))
        self.assertEqual({room.topic for room in history.rooms()}, {""})
        self.assertEqual([room.bans for room in history.rooms() if room.bans], [])
        history.forget("#tea")
        self.assertEqual(list(history.rooms()), [RoomPolicy("#mud")])

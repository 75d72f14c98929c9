"""Test when a snapshot is put into the log, and by which server."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred

from chatproto.server.replica_snapshot import read
from chatproto.server.snapshots import Pictures
from tests.server.shared_ends import HallCase


class Album:
    """A log that says when a picture is kept only as the test wants it."""

    def __init__(self) -> None:
        self.kept: list[list[str]] = []
        self.asked: list[Deferred[int]] = []

    def append(self, line: str) -> Deferred[int]:
        raise AssertionError("nothing but pictures")

    def keep(self, lines: Iterator[str]) -> Deferred[int]:
        self.kept.append(list(lines))
        self.asked.append(Deferred())
        return self.asked[-1]


class PicturesTests(HallCase):
    def setUp(self) -> None:
        super().setUp()
        self.album = Album()
        self.pictures = Pictures(self.album, self.one.replica, 100)

    def drawn(self, size: int) -> int:
        """Return the number of snapshots after so many bytes more."""
        self.pictures.has_read("x" * size)
        self.pictures.draw_when_due()
        return len(self.album.kept)

    def test_there_is_one_after_so_many_bytes_with_all_in_it(self) -> None:
        self.assertEqual((self.drawn(100), self.drawn(1)), (0, 1))
        known = [node for node, *_ in read(self.album.kept[0])["members"]]
        self.assertEqual(known, ["one1", "two1"])

    def test_the_next_waits_until_this_one_is_kept_and_for_as_many_bytes_as_it_has(self) -> None:
        self.assertEqual((self.drawn(101), self.drawn(500)), (1, 1))
        self.album.asked[0].callback(1000)
        self.assertEqual((self.drawn(500), self.drawn(1)), (1, 2))

    def test_one_that_was_there_before_counts_as_well(self) -> None:
        self.drawn(90)
        self.pictures.begin(["x" * 150, "x" * 50])
        self.assertEqual((self.drawn(200), self.drawn(1)), (0, 1))

    def test_one_that_could_not_be_kept_is_drawn_again_later(self) -> None:
        self.drawn(101)
        self.album.asked[0].errback(ConnectionError("the log is away"))
        self.assertEqual((self.drawn(100), self.drawn(1)), (1, 2))

    def test_only_who_is_there_longest_draws(self) -> None:
        self.pictures = Pictures(self.album, self.two.replica, 100)
        self.assertEqual(self.drawn(1000), 0)

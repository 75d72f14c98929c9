"""Store interface for rooms: the history of each, and its settings (PROTOCOL.md, rooms)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from chatproto.rooms.policy import RoomPolicy
from chatproto.wire.errors import RemoteError
from chatproto.wire.values import distinct

NUMBERS_A_SECOND = 2**20
"""A room's first number, and that of a room whose last one is not known, comes from the time, so that
none comes back that was given before a restart or to an earlier room of that name."""


@distinct
class RoomLine(NamedTuple):
    """Line of a room's history: its number, sender, time (seconds since 1970) and text."""

    number: int
    sender: str
    at: float
    text: str


@distinct
class HistoryPage(NamedTuple):
    """Some of what was said, oldest first; `more`: there is more in the direction that was asked."""

    lines: tuple[RoomLine, ...]
    more: bool = False


def check_range(after: int | None, before: int | None, since: int, last: int) -> None:
    """Check that nothing is missing between a page and the number that it is asked for by.

    Args: after, before: one of them, or None for the last page. since, last: numbers that are stored.
    Raises RemoteError 404.
    """
    fits = before is None or since <= before <= last + 1
    if after is not None:
        fits = since - 1 <= after <= last
    if not fits:
        raise RemoteError(404, "that message is no longer stored")


def first_page(lines: Iterable[RoomLine], limit: int, size: int) -> HistoryPage:
    """Return the first of `lines` that fit: at most `limit` and `size` bytes of text, but one at least."""
    found: list[RoomLine] = []
    for line in lines:
        size -= len(line.text.encode())
        if len(found) >= limit or (size < 0 and found):
            return HistoryPage(tuple(found), True)
        found.append(line)
    return HistoryPage(tuple(found))


def last_page(lines: Iterable[RoomLine], limit: int, size: int) -> HistoryPage:
    """Do what `first_page` does with the newest lines, which come first."""
    page = first_page(lines, limit, size)
    return page._replace(lines=page.lines[::-1])


def next_number(last: int, at: float) -> int:
    """The number after `last`, or a room's first if that is 0."""
    return last + 1 if last else max(1, int(at * NUMBERS_A_SECOND))


class RoomStore(Protocol):
    """The store of all rooms.

    One that lasts has kept what it was told when the call returns, but for `append`. Any method may
    raise StoreTrouble, and nothing has changed.
    """

    def append(self, room: str, sender: str, at: float, text: str, keep: bool = True) -> int:
        """The number of what is said now, higher than all before it in `room` (`next_number`).

        Without `keep` only the number is used up. The oldest go beyond `limits.room_history`. It is
        kept when `settle` has returned, so that many can be written together.
        """

    def settle(self) -> None:
        """Keep what was said since the last time; if it fails, none of that was said."""

    def page(
        self, room: str, after: int | None, before: int | None, limit: int, size: int
    ) -> HistoryPage:
        """At most `limit` lines of at most `size` bytes of text in all, one at least if there is one.

        After the number `after`; or before `before`; or with neither the last. Raises RemoteError 404
        if it is not sure that nothing is missing between that number and the page.
        """

    def last(self, room: str) -> int:
        """The number last given in `room`; 0 if none was, or nothing is known of it any more."""

    def expire(self, before: float, most: int = 1_000_000) -> int:
        """Forget what was said before `before`, at most `most` lines; return how many went."""

    def rooms(self) -> Iterable[RoomPolicy]:
        """List the stored rooms, as they were stored last."""

    def keep(self, room: RoomPolicy) -> None:
        """The room `room.name` is like that."""

    def forget(self, room: str) -> None:
        """Forget a room and its history; its line numbers are not used again."""

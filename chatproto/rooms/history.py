"""Store interface for rooms: their histories and settings (PROTOCOL.md, rooms)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from chatproto.rooms.policy import RoomPolicy
from chatproto.wire.errors import RemoteError
from chatproto.wire.values import distinct

NUMBERS_A_SECOND = 2**20
"""Factor from seconds since 1970 to the first number of a room, or of one whose last number is unknown.

Numbers from before a restart, or of an earlier room of that name, are therefore not used again."""


@distinct
class RoomLine(NamedTuple):
    """Line of a room's history: its number, sender, time (seconds since 1970) and text."""

    number: int
    sender: str
    at: float
    text: str


@distinct
class HistoryPage(NamedTuple):
    """Page of a history, oldest line first; `more`: there are more lines in the requested direction."""

    lines: tuple[RoomLine, ...]
    more: bool = False


def check_range(after: int | None, before: int | None, since: int, last: int) -> None:
    """Check that no line is missing between a page and the number in its request.

    Args: after, before: one number, or None for the last page. since, last: first and last stored number.
    Raises: RemoteError: 404.
    """
    fits = before is None or since <= before <= last + 1
    if after is not None:
        fits = since - 1 <= after <= last
    if not fits:
        raise RemoteError(404, "that message is no longer stored")


def first_page(lines: Iterable[RoomLine], limit: int, size: int) -> HistoryPage:
    """Return the first of `lines` that fit into `limit` lines and `size` bytes of text; at least one."""
    found: list[RoomLine] = []
    for line in lines:
        size -= len(line.text.encode())
        if len(found) >= limit or (size < 0 and found):
            return HistoryPage(tuple(found), True)
        found.append(line)
    return HistoryPage(tuple(found))


def last_page(lines: Iterable[RoomLine], limit: int, size: int) -> HistoryPage:
    """Return the last page, as `first_page` does; `lines` begins with the newest one."""
    page = first_page(lines, limit, size)
    return page._replace(lines=page.lines[::-1])


def next_number(last: int, at: float) -> int:
    """Return the number after `last`; the first number of a room if `last` is 0."""
    return last + 1 if last else max(1, int(at * NUMBERS_A_SECOND))


class RoomStore(Protocol):
    """Store of all rooms.

    A durable store has written a change when the call returns, except for `append`. Any method may
    raise StoreTrouble; then nothing has changed.
    """

    def append(self, room: str, sender: str, at: float, text: str, keep: bool = True) -> int:
        """Add a line; return its number, higher than all before it in `room` (`next_number`).

        Without `keep` only the number is used. The oldest lines above `limits.room_history` are removed.
        The line is durable when `settle` has returned, so that many can be written together.
        """

    def settle(self) -> None:
        """Write the lines added since the last call; on failure none of them was said."""

    def page(
        self, room: str, after: int | None, before: int | None, limit: int, size: int
    ) -> HistoryPage:
        """Return at most `limit` lines of at most `size` bytes of text in all, at least one if there is one.

        The page follows the number `after`, or precedes `before`, or is the last one. Raises RemoteError
        404 if lines may be missing between that number and the page.
        """

    def last(self, room: str) -> int:
        """Return the last number used in `room`; 0 if there is none or it is unknown."""

    def expire(self, before: float, most: int = 1_000_000) -> int:
        """Remove at most `most` lines from before `before`; return their number."""

    def rooms(self) -> Iterable[RoomPolicy]:
        """Return the stored policies of all rooms."""

    def keep(self, room: RoomPolicy) -> None:
        """Store the policy of the room `room.name`."""

    def forget(self, room: str) -> None:
        """Remove a room and its history; its line numbers are not used again."""

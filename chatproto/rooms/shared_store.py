"""Store of rooms that several servers share: each reads and changes them, and hears of all changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from chatproto.rooms.history import HistoryPage, RoomLine
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared import LineSaid, RoomCopy, RoomEvent, RoomSeat, RoomState


class Conflict(Exception):
    """The room has another version by now: read it again, and decide again."""


UNSEATED = -1
"""Number of a line that is not said, since its speaker has another place in the room by now, or none."""


class SharedRoomStore(Protocol):
    """Shared rooms. Every call raises StoreTrouble if the store is away; a change that may have been made,
    or not, raises RemoteError 503. Changes return the number of their event.
    """

    async def create(self, policy: RoomPolicy, now: float, last: int = 0) -> None:
        """Make a room that is empty. `last`: number of its last line, 0 for a room in which nothing was said.

        Raises: Conflict: there is one that looks like it.
        """

    async def fill(self, name: str, lines: Iterable[RoomLine]) -> None:
        """Give a new room its history; lines that it has already are left out."""

    async def change(
        self,
        copy: RoomCopy,
        policy: RoomPolicy,
        news: Any,
        now: float,
        by: tuple[str, RoomSeat] | None = None,
        gone: Iterable[tuple[str, RoomSeat]] = (),
        reason: str = "",
    ) -> tuple[int, int]:
        """Replace the policy of `copy`, and tell `news` (JSON values); with the same policy only that.

        `by`: the member who wants it, with its place. `gone`: members that are put out in the same step,
        unless others have their ids by now. Returns: the number of the event, and that of the last event
        of those who have left. Raises: Conflict: also if `by` has that place no more.
        """

    async def say(
        self,
        name: str,
        version: int,
        kept: bool,
        lines: Sequence[tuple[str, float, str, Any]],
        last: int = 0,
        seats: Sequence[RoomSeat] = (),
    ) -> list[int]:
        """Say lines (sender, time, text, `SpokenBy`) in a room; return their numbers.

        They are above `last`, too: a store that has gone back would number new lines as those that the
        members have heard already, and who knows a line by its number would not show them.

        `seats`: places of the speakers, if they must be members. A line whose speaker has that place no
        more is not said: its number is `UNSEATED`.

        Raises: Conflict: none was said.
        """

    async def enter(
        self,
        name: str,
        version: int,
        client_id: str,
        seat: RoomSeat,
        former: RoomSeat | None = None,
    ) -> int:
        """Put a member into a room. `former`: the place that its id has there now.

        Raises: Conflict: also if the server of the member was given up. RemoteError: 503 if the room is
        full.
        """

    async def leave(
        self, name: str, gone: Iterable[tuple[str, RoomSeat]], reason: str, now: float
    ) -> tuple[int, int]:
        """Remove members, unless others have their ids by now.

        Returns: how many have left, and the number of the last event.
        """

    async def page(
        self, name: str, after: int | None, before: int | None, limit: int, size: int
    ) -> HistoryPage:
        """Return a page of the history, as `RoomStore.page` does."""

    async def read(self, name: str, after: int | None = None) -> tuple[RoomState, list[LineSaid]]:
        """Read a room, and its lines after the number `after`; None for no lines.

        Raises: RemoteError: 404 if there is no such room; 409 if there is one that looks like it.
        """

    async def forget(self, policy: RoomPolicy) -> bool:
        """Remove a room and its history; False if it has changed, or somebody is in it."""

    async def skip(self, name: str) -> None:
        """Name a room as unused or occupied no more, as there is none of that name."""

    async def count(self) -> int:
        """Return the number of rooms."""

    async def expire(self, name: str, before: float, most: int) -> int:
        """Forget the lines of a room that were said before `before`; look at `most` of them at most."""

    async def unused(self, before: float, most: int) -> list[str]:
        """Return at most `most` rooms that are empty since before `before`, longest first."""

    async def occupied(self, first: int, most: int) -> list[str]:
        """Return the names of at most `most` rooms with members, beginning with the place `first`."""

    async def names(self) -> list[str]:
        """Return the names of all rooms, in their order."""

    async def reserve(self, owner: str, name: str, most: int, now: float) -> bool:
        """Reserve one of `most` rooms of an owner; False if it has as many."""

    async def release(self, owner: str, before: float) -> None:
        """Take back an owner's reservations from before `before` of rooms that it does not have."""

    async def owned(self, owner: str) -> list[str]:
        """Return the names of the rooms that an owner has reserved."""

    async def listed(self, after: str, most: int) -> list[str]:
        """Return the names of at most `most` open rooms that come after `after`."""

    async def outlines(self, names: Sequence[str]) -> list[tuple[RoomPolicy, int]]:
        """Return the policy and the number of members of those of `names` that there are."""


class RoomListener(Protocol):
    """Receiver of what happens in a room that is watched."""

    def happened(self, copy: RoomCopy, event: RoomEvent) -> None:
        """Handle an event, which `copy` shows already."""

    def lost(self, copy: RoomCopy) -> None:
        """Handle a room that the store has no more; it is watched no more."""


class SharedRoomWatch(Protocol):
    """Copies of shared rooms that are kept up to date."""

    @property
    def is_up(self) -> bool: ...

    async def watch(self, name: str, listener: RoomListener) -> RoomCopy:
        """Watch a room. Raises RemoteError: 404 if there is none, 409 for another spelling."""

    async def reached(self, name: str, event: int) -> None:
        """Wait until the copy of a room shows an event. Raises StoreTrouble if it is not watched."""

    async def shows(self, name: str, line: int) -> None:
        """Wait until the copy of a room shows the line of that number. Raises as `reached` does."""

    async def refresh(self, name: str) -> None:
        """Wait until a room was read anew. Raises StoreTrouble if it is not watched."""

    def look_again(self, names: Iterable[str]) -> None:
        """Read rooms anew: the store may have more than is known here."""

    def forget(self, name: str) -> None:
        """Watch a room no more."""

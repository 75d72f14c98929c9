"""Store of rooms that several servers share; each reads and changes them and receives all changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from chatproto.rooms.history import HistoryPage, RoomLine
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared import LineSaid, RoomCopy, RoomEvent, RoomSeat, RoomState


class Conflict(Exception):
    """Error: the room has another version by now; read it again and decide again."""


UNSEATED = -1
"""Number of a line that was not said, because its speaker no longer has that place in the room."""


class SharedRoomStore(Protocol):
    """Store of shared rooms. Every call raises StoreTrouble if the store is unavailable.

    A change of unknown outcome raises RemoteError 503. Changes return the number of their event.
    """

    async def create(self, policy: RoomPolicy, now: float, last: int = 0) -> None:
        """Create an empty room. `last`: number of its last line, 0 if it has none.

        Raises: Conflict: a room with a similar name exists.
        """

    async def fill(self, name: str, lines: Iterable[RoomLine]) -> None:
        """Add `lines` to the history of a new room, except those that are stored already."""

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
        """Replace the policy of `copy` and publish `news` (JSON values); with the same policy only `news`.

        `by`: member that requests it, with its place. `gone`: members that are removed in the same step,
        unless other connections have their ids by now. Returns: the number of the event, and of the last
        event of the removed members. Raises: Conflict: also if `by` no longer has that place.
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

        The numbers are above `last`, too. A store that has lost data would use numbers again that the members
        have received already, and clients that know a line by its number would not show the new one.

        `seats`: places of the speakers, if they must be members. A line whose speaker no longer has that
        place is not said: its number is `UNSEATED`.

        Raises: Conflict: no line was said.
        """

    async def enter(
        self,
        name: str,
        version: int,
        client_id: str,
        seat: RoomSeat,
        former: RoomSeat | None = None,
    ) -> int:
        """Add a member to a room. `former`: the place that its id has there now.

        Raises: Conflict: also if the lease of the member's server has expired. RemoteError: 503 if the
        room is full.
        """

    async def leave(
        self, name: str, gone: Iterable[tuple[str, RoomSeat]], reason: str, now: float
    ) -> tuple[int, int]:
        """Remove members, unless other connections have their ids by now.

        Returns: the number of members that have left, and the number of the last event.
        """

    async def page(
        self, name: str, after: int | None, before: int | None, limit: int, size: int
    ) -> HistoryPage:
        """Return a page of the history, as `RoomStore.page` does."""

    async def read(self, name: str, after: int | None = None) -> tuple[RoomState, list[LineSaid]]:
        """Read a room, and its lines after the number `after`; None for no lines.

        Raises: RemoteError: 404 if there is no such room; 409 if its name is spelled differently.
        """

    async def forget(self, policy: RoomPolicy) -> bool:
        """Remove a room and its history; return False if it has changed or has members."""

    async def skip(self, name: str) -> None:
        """Remove a name from the lists of unused and occupied rooms, since no such room exists."""

    async def count(self) -> int:
        """Return the number of rooms."""

    async def expire(self, name: str, before: float, most: int) -> int:
        """Remove the lines of a room that are older than `before`; examine at most `most` lines."""

    async def unused(self, before: float, most: int) -> list[str]:
        """Return at most `most` rooms that have been empty since before `before`, longest first."""

    async def occupied(self, first: int, most: int) -> list[str]:
        """Return the names of at most `most` rooms with members, from index `first` on."""

    async def names(self) -> list[str]:
        """Return the names of all rooms, sorted."""

    async def reserve(self, owner: str, name: str, most: int, now: float) -> bool:
        """Reserve one of `most` rooms of an owner; return False if it has that many."""

    async def release(self, owner: str, before: float) -> None:
        """Withdraw an owner's reservations from before `before` for rooms that it does not have."""

    async def owned(self, owner: str) -> list[str]:
        """Return the names of the rooms that an owner has reserved."""

    async def listed(self, after: str, most: int) -> list[str]:
        """Return the names of at most `most` open rooms that come after `after`."""

    async def outlines(self, names: Sequence[str]) -> list[tuple[RoomPolicy, int]]:
        """Return the policy and the number of members of each of `names` that exists."""


class RoomListener(Protocol):
    """Receiver of the events of a watched room."""

    def happened(self, copy: RoomCopy, event: RoomEvent) -> None:
        """Handle an event, which was applied to `copy` before."""

    def lost(self, copy: RoomCopy) -> None:
        """Handle the removal of a room from the store; it is no longer watched."""


class SharedRoomWatch(Protocol):
    """Copies of shared rooms that are kept up to date."""

    @property
    def is_up(self) -> bool: ...

    async def watch(self, name: str, listener: RoomListener) -> RoomCopy:
        """Watch a room. Raises RemoteError: 404 if there is none, 409 for another spelling."""

    async def reached(self, name: str, event: int) -> None:
        """Wait until an event was applied to the copy of a room. Raises StoreTrouble if it is not watched."""

    async def shows(self, name: str, line: int) -> None:
        """Wait until the copy of a room has the line of that number. Raises as `reached` does."""

    async def refresh(self, name: str) -> None:
        """Wait until a room was read again. Raises StoreTrouble if it is not watched."""

    def look_again(self, names: Iterable[str]) -> None:
        """Read rooms again soon: events may have been missed."""

    def forget(self, name: str) -> None:
        """Stop watching a room."""

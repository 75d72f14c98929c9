"""Store of the directory that several servers share: each reads and changes it, one group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from chatproto.directory.shared import ClassicCrowd, GroupState, ListedClient, Notice, PairingFacts
from chatproto.wire.errors import RemoteError


class GroupChanged(Exception):
    """The group has another version by now: load it again, and decide again."""


class NoRoom(RemoteError):
    """Keys own as many ids as there may be; nothing was done."""

    def __init__(self) -> None:
        super().__init__(503, "there is no room for another id")


class SharedDirectoryStore(Protocol):
    """Every call raises StoreTrouble if the store is away; a change that may have been made, or not, raises
    RemoteError 503. Times are seconds since 1970.
    """

    # Groups.

    async def load(self, client_id: str) -> GroupState:
        """Load the group of `client_id`, as it was written: also what has ended since then."""

    async def commit(
        self,
        former: GroupState,
        state: GroupState,
        now: float,
        notices: Iterable[tuple[str, Notice]] = (),
        node: str = "",
        most: int | None = None,
    ) -> GroupState:
        """Replace `former`, as it was loaded, by `state`; return it with its new version (`next_version`).

        Lists of clients follow the difference of the two in the same step, and `notices` are put into the
        inboxes of the nodes that are named. `node`: the server that changes it. `most`: ids that keys own
        in all; one more of them is owned by it.

        Raises: GroupChanged: nothing was done; also if the server was given up. NoRoom.
        """

    async def due(self, now: float, most: int) -> list[str]:
        """Return at most `most` ids of groups in which something has ended."""

    async def skip(self, client_id: str) -> None:
        """Name the group of `client_id` as `due` no more: it is gone, or cannot be read."""

    # Lists.

    async def listed(self, prefix: str, after: str, most: int) -> list[ListedClient]:
        """Return listed clients with ids from `prefix` and after `after`, by id, with keys and without."""

    async def newest(self, first: int, most: int) -> list[ListedClient]:
        """Return listed clients with keys, the newest first, beginning with the place `first`."""

    async def classics(self, most: int) -> list[ListedClient]:
        """Return classic clients in the order in which they registered."""

    async def open(self, first: int, most: int) -> list[ListedClient]:
        """Return listed clients with keys that take calls in plain text, beginning with the place `first`."""

    async def counts(self) -> tuple[int, int]:
        """Return the numbers of registrations with keys, and of classic ones."""

    async def crowd(self, host: str, most: int) -> ClassicCrowd:
        """Return the classic clients from the address of `host` and from all, `most` of each."""

    # Ids of a key.

    async def reserve(self, key: str, client_id: str, most: int, now: float) -> bool:
        """Reserve one of `most` ids for a key; False if it has as many. Twice is once."""

    async def release(self, key: str, client_id: str, since: float) -> bool:
        """Take back the reservation that was made at `since`; False if it was made anew meanwhile."""

    async def reserved(self, key: str) -> Mapping[str, float]:
        """Return the ids that a key has reserved, and when."""

    # Pairs of classic clients.

    async def pairing(self, asker: str) -> PairingFacts:
        """Return what a BRIDGE of `asker` is decided upon."""

    async def pair(self, asker: str, peer: str, place: str, now: float) -> bool:
        """Make two each other's partner, neither free nor waiting.

        Args: place: where `peer` was found, "partner", "waiting" or "free". False: it is there no more.
        """

    async def wait(self, asker: str, now: float) -> None:
        """`asker` waits; in its old place if it did already."""

    async def unpair(self, client_id: str) -> None:
        """Take a client that is registered no more out of those that are free or wait."""

    # Servers.

    async def send(self, node: str, notice: Notice) -> bool:
        """Put a notice into the inbox of a server; False if there is no such server."""

    async def left_at(self, node: str) -> float | None:
        """Return when a server went; None: it is there. 0.0: it went so long ago that nobody knows."""


class InboxListener(Protocol):
    """Receiver of what is in the inbox of this server."""

    def noticed(self, notice: Notice) -> None:
        """Handle a notice."""

    def missed(self) -> None:
        """Handle that notices may be missing: they were trimmed before they were read."""

"""Interface of the store that several servers share: each reads and changes one group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from chatproto.directory.shared import ClassicCrowd, GroupState, ListedClient, Notice, PairingFacts
from chatproto.wire.errors import RemoteError


class GroupChanged(Exception):
    """The group has another version by now: load it and decide again."""


class NoRoom(RemoteError):
    """The limit of owned ids is reached; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(503, "there is no room for another id")


class SharedDirectoryStore(Protocol):
    """Every call raises StoreTrouble if the store is unreachable; a change whose outcome is unknown
    raises RemoteError 503. Times are seconds since 1970.
    """

    # Groups.

    async def load(self, client_id: str) -> GroupState:
        """Load the group of `client_id` as it was written, including what has expired since then."""

    async def commit(
        self,
        former: GroupState,
        state: GroupState,
        now: float,
        notices: Iterable[tuple[str, Notice]] = (),
        node: str = "",
        most: int | None = None,
    ) -> GroupState:
        """Replace `former`, as it was loaded, by `state`; return it with its new version
        (`next_version`).

        The lists of clients are updated in the same step, and `notices` are put into the inboxes of
        their nodes. `node`: the server that makes the change. `most`: limit of ids that keys own in
        all.

        Raises: GroupChanged: nothing was changed; also if this server was removed. NoRoom.
        """

    async def due(self, now: float, most: int) -> list[str]:
        """Return at most `most` ids of groups in which something has expired."""

    async def skip(self, client_id: str) -> None:
        """Remove the group of `client_id` from the results of `due`: it does not exist, or cannot be
        read.
        """

    # Lists.

    async def listed(self, prefix: str, after: str, most: int) -> list[ListedClient]:
        """Return listed clients whose ids begin with `prefix` and follow `after`, by id, with keys and
        without.
        """

    async def newest(self, first: int, most: int) -> list[ListedClient]:
        """Return listed clients with keys, the newest first, starting at position `first`."""

    async def classics(self, most: int) -> list[ListedClient]:
        """Return classic clients in the order in which they registered."""

    async def open(self, first: int, most: int) -> list[ListedClient]:
        """Return listed clients with keys that accept plain-text calls, starting at position `first`."""

    async def counts(self) -> tuple[int, int]:
        """Return the numbers of registrations with keys, and of classic ones."""

    async def crowd(self, host: str, most: int) -> ClassicCrowd:
        """Return the classic clients from the address of `host` and from all, `most` of each."""

    # Ids of a key.

    async def reserve(self, key: str, client_id: str, most: int, now: float) -> bool:
        """Reserve one of `most` ids for a key; return False if it has as many. A second call changes
        nothing.
        """

    async def release(self, key: str, client_id: str, since: float) -> bool:
        """Remove the reservation that was made at `since`; return False if it was renewed meanwhile."""

    async def reserved(self, key: str) -> Mapping[str, float]:
        """Return the ids that a key has reserved, with the times."""

    # Pairs of classic clients.

    async def pairing(self, asker: str) -> PairingFacts:
        """Return the ids on which a BRIDGE of `asker` is decided."""

    async def pair(self, asker: str, peer: str, place: str, now: float) -> bool:
        """Make two clients each other's partner, neither free nor waiting.

        Args: place: where `peer` was found, "partner", "waiting" or "free". Returns False if it is no
        longer there.
        """

    async def wait(self, asker: str, now: float) -> None:
        """Queue `asker`, or leave it at its place in the queue."""

    async def unpair(self, client_id: str) -> None:
        """Remove a client that is no longer registered from the free and waiting clients."""

    # Servers.

    async def send(self, node: str, notice: Notice) -> bool:
        """Put a notice into the inbox of a server; return False if there is no such server."""

    async def left_at(self, node: str) -> float | None:
        """Return when a server left; None: it is running. 0.0: it left so long ago that the time is
        unknown.
        """


class InboxListener(Protocol):
    """Receiver of the notices in the inbox of this server."""

    def noticed(self, notice: Notice) -> None:
        """Handle a notice."""

    def missed(self) -> None:
        """Handle that notices may be missing: they were removed before they were read."""

"""Decide which key owns an id: the first one that registered it (PROTOCOL.md, section 3)."""

from __future__ import annotations

from typing import Protocol

from chatproto.directory.group import KeyIds
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits

RESERVE = 10
"""One of so many places is kept for addresses that own no id."""


class IdOwners(Protocol):
    """Store of id owners. One key owns all ids that look alike (see `wire.fields.fold`).

    A persistent store has written a change when the call returns. Any method may raise StoreTrouble and
    then has changed nothing; only `expire` frees no id instead.
    """

    def __len__(self) -> int:
        """Return how many ids are owned."""

    def has_from(self, host: str) -> bool:
        """Return True if an id is owned that was new from the address `host` (`net.addresses.network`)."""

    def owner(self, client_id: str) -> str | None:
        """The key that owns `client_id` or what looks like it."""

    def owned(self, key: str) -> tuple[str, ...]:
        """The ids that `key` owns."""

    def keep(
        self, client_id: str, key: str, now: float, host: str = "", trial: bool = False
    ) -> None:
        """`client_id` belongs to `key`, and is used; what looks like it is no other key's any more.

        `host`: the address that a new one comes from; it stays as it was of one that is known.
        `trial`: it is a new one that was only registered, or is one still. What is none any more stays none.
        """

    def hide(self, client_id: str, allow: tuple[str, ...] | None) -> None:
        """Only the keys `allow` may know of `client_id`, which is owned, also while nobody is registered so.

        None: everybody may.
        """

    def hidden(self, client_id: str) -> tuple[str, ...] | None:
        """Return the keys that may know of `client_id`; None: everybody may."""

    def free(self, client_id: str) -> bool:
        """Remove the owner of an id; False if it had none."""

    def expire(self, before: float, trials_before: float | None = None, most: int = 1_000) -> int:
        """Free what was last used before `before`, and trials last used before `trials_before`.

        At most `most` of them, and nothing else is looked at. How many went.
        """


def ids_of(names: IdOwners, key: str, client_id: str, host: str, limits: ServerLimits) -> KeyIds:
    """Load the ids of `key`, which asks for `client_id` from the address `host`.

    The last tenth of the room is for addresses that own none: one that is owned is never given to
    somebody else.
    """
    owned = names.owned(key)
    if client_id in owned:
        return KeyIds(owned)
    reserve = limits.names // RESERVE if names.has_from(host) else 0
    return KeyIds(owned, len(names) < limits.names - reserve)


def owned_alike(names: IdOwners, client_id: str) -> tuple[str | None, tuple[str, ...]]:
    """Load the owner of `client_id`, and those of its ids that look like that one."""
    owner = names.owner(client_id)
    if owner is None:
        return None, ()
    same = fold(client_id)
    return owner, tuple(one for one in names.owned(owner) if fold(one) == same)

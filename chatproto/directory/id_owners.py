"""Decide which key owns an id: the first one that registered it (PROTOCOL.md, section 3)."""

from __future__ import annotations

from typing import Protocol

from chatproto.directory.group import KeyIds
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits

RESERVE = 10
"""One of this many places is reserved for addresses that own no id."""


class IdOwners(Protocol):
    """Store of id owners. One key owns all ids that look alike (see `wire.fields.fold`).

    A persistent store has written a change when the call returns. Any method may raise StoreTrouble and
    then has changed nothing; `expire` frees no id instead.
    """

    def __len__(self) -> int:
        """Return the number of owned ids."""

    def has_from(self, host: str) -> bool:
        """Return True if an owned id was first registered from the address `host`
        (`net.addresses.network`).
        """

    def owner(self, client_id: str) -> str | None:
        """Return the key that owns `client_id` or an id that looks like it."""

    def owned(self, key: str) -> tuple[str, ...]:
        """Return the ids that `key` owns."""

    def keep(
        self, client_id: str, key: str, now: float, host: str = "", trial: bool = False
    ) -> None:
        """Store that `key` owns `client_id` and uses it; no other key owns a similar id any more.

        `host`: address that a new id comes from; that of a known id stays. `trial`: the id is new and
        was only registered, or still is; an id that was used never becomes a trial again.
        """

    def hide(self, client_id: str, allow: tuple[str, ...] | None) -> None:
        """Allow only the keys `allow` to see `client_id`, an owned id, even while it is not registered.

        None: all keys.
        """

    def hidden(self, client_id: str) -> tuple[str, ...] | None:
        """Return the keys that may see `client_id`; None: all."""

    def free(self, client_id: str) -> bool:
        """Remove the owner of an id; return False if it had none."""

    def expire(self, before: float, trials_before: float | None = None, most: int = 1_000) -> int:
        """Free ids last used before `before`, and trials last used before `trials_before`.

        Examines and frees at most `most`. Returns the number freed.
        """


def ids_of(names: IdOwners, key: str, client_id: str, host: str, limits: ServerLimits) -> KeyIds:
    """Load the ids of `key`, which requests `client_id` from the address `host`.

    The last tenth of the room is for addresses that own none: an owned id is never given to another
    key.
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

"""Decide which key owns an id: the first one that registered it (PROTOCOL.md, section 3)."""

from __future__ import annotations

from typing import Protocol

from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits

RESERVE = 10
"""One of so many places is kept for addresses that own no id."""

RESERVED = "server"
"""The server's terminal speaks in rooms by this name (`rooms.lobby.OPERATOR`): no new client gets it."""


class IdOwners(Protocol):
    """Store of id owners. One key owns all ids that look alike (see `fold`).

    A persistent store has written a change when the call returns. Any method may raise StoreTrouble and
    then has changed nothing; only `expire` frees no id instead.
    """

    def __len__(self) -> int:
        """Return how many ids are owned."""

    def has_from(self, host: str) -> bool:
        """Return True if an id is owned that was new from the address `host` (`lease.network`)."""

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


def is_reserved(client_id: str) -> bool:
    """Return True if `client_id` could be taken for the server itself."""
    return fold(client_id) == fold(RESERVED)


def is_new(names: IdOwners, client_id: str, key: str) -> bool:
    """Return True if `client_id` would be another id that is owned, and by `key`."""
    return client_id not in names.owned(key)


def claim(
    names: IdOwners,
    client_id: str,
    key: str,
    now: float,
    limits: ServerLimits,
    own: bool = False,
    host: str = "",
    trial: bool = False,
) -> list[str]:
    """Let `key` use `client_id`; which other ids, that look like it, another key has lost by that.

    `own`: it is the name of the account that `key` has logged in to, and may be taken from another
    key; but not for another id's sake that looks like it. `host`, `trial`: see `IdOwners.keep`. Raises
    RemoteError: 409 if another key owns it or what looks like it, 403 if `key` owns as many as it may,
    503 if there is no room for a new one: what is owned is never given to somebody else. The last tenth
    of the room is for addresses that own none.
    """
    owner = names.owner(client_id)
    others = names.owned(owner) if owner is not None and owner != key else ()
    if owner not in (None, key) and not (own and client_id in others):
        raise RemoteError(409, "another key owns that id")
    owned = names.owned(key)
    if client_id not in owned and len(owned) >= limits.names_per_key:
        raise RemoteError(403, f"a key has at most {limits.names_per_key} ids")
    if client_id not in owned:
        reserve = limits.names // RESERVE if names.has_from(host) else 0
        if len(names) >= limits.names - reserve:
            raise RemoteError(503, "there is no room for another id")
    names.keep(client_id, key, now, host, trial)
    return [one for one in others if one != client_id and fold(one) == fold(client_id)]

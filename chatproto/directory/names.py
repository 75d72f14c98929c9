"""Whose id is whose: an id belongs to the key that first registered it (protocol section 3)."""

from __future__ import annotations

from typing import Protocol

from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import Limits


def fold(client_id: str) -> str:
    """What ids that look alike have in common: lower case, 0 as o, 1 and i as l, rn as m."""
    return (
        client_id.lower().replace("0", "o").replace("1", "l").replace("i", "l").replace("rn", "m")
    )


class Names(Protocol):
    """What the rules ask of a store. Of ids that look alike (`fold`) one key owns all.

    One that lasts has kept what it was told when the call returns. Any method may raise StoreTrouble,
    and nothing has changed; `expire` then frees none instead.
    """

    def owner(self, client_id: str) -> str | None:
        """The key that owns `client_id` or what looks like it."""

    def owned(self, key: str) -> tuple[str, ...]:
        """The ids that `key` owns."""

    def keep(self, client_id: str, key: str, now: float) -> None:
        """`client_id` belongs to `key`, and is used; what looks like it is no other key's any more.
        The longest unused goes if there is no room."""

    def free(self, client_id: str) -> bool:
        """It belongs to nobody any more; False if it did not."""

    def expire(self, before: float) -> int:
        """Free what was last used before `before`; looks at those alone. How many went."""


def claim(
    names: Names, client_id: str, key: str, now: float, limits: Limits, own: bool = False
) -> list[str]:
    """Let `key` use `client_id`; which other ids, that look like it, another key has lost by that.

    `own`: it is the name of the account that `key` has logged in to, and may be taken from another
    key; but not for another id's sake that looks like it. Raises RemoteError: 409 if another key owns
    it or what looks like it, 403 if `key` owns as many as it may.
    """
    owner = names.owner(client_id)
    others = names.owned(owner) if owner is not None and owner != key else ()
    if owner not in (None, key) and not (own and client_id in others):
        raise RemoteError(409, "another key owns that id")
    owned = names.owned(key)
    if client_id not in owned and len(owned) >= limits.names_per_key:
        raise RemoteError(403, f"a key has at most {limits.names_per_key} ids")
    names.keep(client_id, key, now)
    return [one for one in others if one != client_id and fold(one) == fold(client_id)]

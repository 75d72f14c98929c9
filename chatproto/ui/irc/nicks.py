"""Give each peer one nickname, and each nickname to one peer permanently.

    bob  bob~2  bob@SERVER     bob, or bob_2 if `bob` belongs to another peer
    bob?                       bob_unconfirmed
    bob~open                   bob_open

Nicknames are the same in upper and lower case (CASEMAPPING=ascii); ids are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from string import ascii_lowercase, ascii_uppercase

from chatproto.wire.fields import ID
from chatproto.wire.values import value_class

LONGEST = 80
"""Largest number of characters of a nickname."""
MOST = 20_000
"""Largest number of nicknames; all further peers have the nickname `NOBODY`, which accepts no messages."""
NOBODY = "_"
MARKS = {"?": "_unconfirmed", "~open": "_open"}
"""Suffixes of an id, and their replacements in a nickname."""

_NAME = re.compile(r"(?P<id>[^?~@]*)(?P<marks>[?~][^@]*)?(?:@.*)?", re.DOTALL)
_KEY = re.compile(r"sha256:([A-Z2-7]{8})[A-Z2-7]*")
_NOT_IN_A_NICK = re.compile(r"[^A-Za-z0-9._-]")
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


@value_class
class Wanted:
    """Requested nickname: `base`, and `user`, the id in it.

    `first`: the lowest number that may be appended; 2 for an id that looks as if it had a suffix.
    """

    base: str
    user: str
    first: int = 1


def wanted(name: str) -> Wanted:
    """Return the nickname to request for `name`, as the program shows it."""
    key = _KEY.fullmatch(name)
    if key is not None:
        base = f"key_{key[1].lower()}"
        return Wanted(base, base)
    found = _NAME.fullmatch(name)
    assert found is not None, "anything is a name"
    user = _NOT_IN_A_NICK.sub("_", found["id"])[: LONGEST - 20].lstrip("-") or "someone"
    marks = found["marks"] or ""
    base = user
    for mark, ending in MARKS.items():
        if mark in marks:
            base += ending
    like_marked = base == user and user.lower().endswith(tuple(MARKS.values()))
    return Wanted(base, user, 2 if like_marked else 1)


def folded(nick: str) -> str:
    """Return `nick` in the form in which nicknames are compared."""
    return nick.translate(_LOWER)


@value_class
class Given:
    """Nickname in its spelling, its owner, and the id in it."""

    nick: str
    who: Hashable
    user: str


class Nicks:
    """Table of nicknames and their owners.

    Args: known: nicknames of earlier runs with their keys. key_of: returns the key of an owner, None if
    unknown. keep: called with each new nickname of a key.
    """

    def __init__(
        self,
        known: Iterable[tuple[str, Hashable]] = (),
        key_of: Callable[[Hashable], str | None] = lambda who: None,
        keep: Callable[[str, str], None] = lambda nick, key: None,
    ) -> None:
        self._key_of = key_of
        self._keep = keep
        self._given: dict[str, Given] = {}
        self._found: dict[tuple[Hashable, str], str] = {}
        for nick, who in known:
            user = re.sub(r"_(?:\d+|open|unconfirmed)$", "", nick) or nick
            self._given.setdefault(folded(nick), Given(nick, who, user))

    def __iter__(self) -> Iterator[Given]:
        return iter(tuple(self._given.values()))

    def owner(self, nick: str) -> Given | None:
        """Return the owner of `nick`; None if it has none."""
        return self._given.get(folded(nick))

    def of(
        self,
        who: Hashable,
        name: str,
        passes: Callable[[Hashable], bool] = lambda owner: False,
    ) -> str:
        """Return the nickname of `who`, which is shown as `name`; assign one if there is none.

        `passes`: returns True if a nickname of that owner passes to `who`, as when an owner without a
        known key has proved one.
        """
        want = wanted(name)
        found = self._found.get((who, want.base))
        if found is not None and self._given[folded(found)].who == who:
            return found
        number = want.first
        while True:
            nick = want.base if number == 1 else f"{want.base}_{number}"
            given = self._given.get(folded(nick))
            if given is not None and given.who == who:
                break
            if given is None or passes(given.who):
                if given is None and len(self._given) >= MOST:
                    return NOBODY
                self._give(Given(nick, who, want.user))
                break
            number += 1
        self._found[who, want.base] = self._given[folded(nick)].nick
        return self._given[folded(nick)].nick

    def _give(self, given: Given) -> None:
        self._given[folded(given.nick)] = given
        key = self._key_of(given.who)
        if key is not None:
            self._keep(given.nick, key)


def is_id(nick: str) -> bool:
    """Return True if `nick` may be the id of a client without a nickname."""
    return ID.fullmatch(nick) is not None and wanted(nick).first == 1

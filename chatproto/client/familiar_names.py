"""Names that a person may mean when they press Tab."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from chatproto.wire.values import value_class

MOST = 1000
"""Ids and rooms that are offered."""


@value_class
class FamiliarNames:
    """Names as they are shown here, the likeliest first.

    `here`: members of the current room. `ids`: these, conversations, contacts, peers nearby, members of
    other rooms, and registered clients that were listed. `rooms`: rooms that we are in, then the others
    that were listed, with their `#`.
    """

    here: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()


def familiar_names(here: Iterable[str], ids: Iterable[str], rooms: Iterable[str]) -> FamiliarNames:
    """Return the first `MOST` names of each kind, each once."""
    return FamiliarNames(
        *(tuple(islice(dict.fromkeys(names), MOST)) for names in (here, ids, rooms))
    )

"""Names that Tab can complete."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from chatproto.wire.values import value_class

MOST = 1000
"""Most ids, and most rooms, that are offered."""


@value_class
class FamiliarNames:
    """Names as they are shown here, the likeliest first.

    `here`: members of the current room. `ids`: these, then conversations, contacts, peers nearby, members
    of other rooms, and listed clients. `rooms`: joined rooms, then other listed ones, with their `#`.
    """

    here: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()


def familiar_names(here: Iterable[str], ids: Iterable[str], rooms: Iterable[str]) -> FamiliarNames:
    """Return the first `MOST` names of each kind, without duplicates."""
    return FamiliarNames(
        *(tuple(islice(dict.fromkeys(names), MOST)) for names in (here, ids, rooms))
    )

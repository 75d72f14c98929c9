"""Names that a person may mean when they press Tab."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice

from chatproto.client.address_book import AddressBook
from chatproto.client.conversations import Conversations
from chatproto.client.nearby import Neighbours
from chatproto.client.rooms.joined_rooms import JoinedRooms
from chatproto.client.trust_store import TrustStore
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


def familiar_names(
    conversations: Conversations,
    trust: TrustStore | None,
    people: AddressBook,
    neighbours: Neighbours | None,
    rooms: JoinedRooms,
    listed: Iterable[str],
) -> FamiliarNames:
    """Collect the names that are known now, at most `MOST` of each kind.

    `listed`: rooms that the server listed last.
    """
    here = rooms.members(conversations.room) if conversations.room else ()
    ids = chain(
        here,
        (one.name for one in conversations),
        trust.file.pins.names() if trust is not None else (),
        neighbours.ids() if neighbours is not None else (),
        chain.from_iterable(rooms.members(row["room"]) for row in rooms.rows()),
        people.ids(),
    )
    names = chain((row["room"] for row in rooms.rows()), listed)
    return FamiliarNames(tuple(islice(here, MOST)), _first(ids), _first(names))


def _first(names: Iterable[str]) -> tuple[str, ...]:
    """Return the first `MOST` names, each once."""
    return tuple(islice(dict.fromkeys(names), MOST))

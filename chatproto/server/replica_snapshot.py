"""All that a replica knows, as values of JSON in small pieces, for a server that begins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from chatproto.directory.classic_registration import Origin
from chatproto.directory.registrations import ClientConnection, Registration, RegistrationState
from chatproto.server.replica import Replica
from chatproto.server.replicas import Picture, ServerReplica

FORM = 3
"""Of a picture."""
READ = (2, 3)
"""Forms that are understood. One of the form 2 has rooms too, which are taken over once (`room_replay`)."""
PIECE = 200
"""Values that are written at once, so that nobody waits long for it."""


def picture(replica: Replica) -> Picture:
    """All that it knows now; nothing in it changes later."""
    members = replica.members
    sources = {
        source: [node, number]
        for node, member in members.items()
        for number, source in member.sources.items()
    }

    def named(source: Origin) -> list[Any]:
        return [*sources.get(source, ("", 0)), source.host, source.port, source.local]

    visitors = [one for member in members.values() for one in member.visitors.values()]
    return {
        "form": [FORM],
        "times": list(replica.times),
        "at": [replica.at],
        "members": [[node, one.rules, one.number, one.heard] for node, one in members.items()],
        "visitors": [[one.node, one.number, *_visitor(one)] for one in visitors],
        "sources": [named(source) for source in sources],
        "standing": [_standing(one) for one in replica.directory.standing()],
        **replica.shared.picture(named),
    }


def load(replica: Replica, picture: Picture) -> None:
    """Be as `picture` tells. Raises KeyError, TypeError or ValueError for what is none."""
    if picture["form"] not in [[form] for form in READ]:
        raise ValueError(f"its form is {picture['form']}")
    members: dict[str, ServerReplica] = {}
    for node, rules, number, heard, *_ in picture.get("members", []):
        members[node] = ServerReplica(rules, number, heard)
    for node, number, host, port, local in picture.get("sources", []):
        members[node].sources[number] = Origin(host, port, local)

    def find(named: list[Any]) -> Origin:
        node, number, host, port, local = named
        return members[node].sources[number] if node else Origin(host, port, local, alive=False)

    replica.shared.load(picture, find)
    [at] = picture.get("at", [None])  # a picture of an older program has none
    replica.go_on(picture["times"], members, at)
    for node, number, *values in picture.get("visitors", []):
        members[node].visitors[number] = _read_visitor(values, node, number)
    replica.directory.restore(_read_standing(one, members) for one in picture.get("standing", []))


def written(picture: Picture) -> Iterator[str]:
    """`picture` as lines, each of a few values; made one after another, as they are wanted."""
    for name, values in picture.items():
        for begin in range(0, len(values), PIECE):
            yield json.dumps([name, values[begin : begin + PIECE]], separators=(",", ":"))


def read(lines: Iterable[str]) -> Picture:
    """The picture again. Raises ValueError."""
    found: Picture = {}
    for line in lines:
        name, values = json.loads(line)
        found.setdefault(name, []).extend(values)
    return found


def _visitor(visitor: ClientConnection) -> list[Any]:
    return [
        *(visitor.key, visitor.host, visitor.port, visitor.local),
        *(visitor.client_id, visitor.listens, visitor.user),
    ]


def _read_visitor(values: list[Any], node: str, number: int) -> ClientConnection:
    key, host, port, local, client_id, listens, user = values
    return ClientConnection(key, host, port, local, client_id, set(), listens, user, number, node)


def _standing(standing: RegistrationState) -> list[Any]:
    """The visitor of who is away is written out, since it is not among those who are here."""
    one, used, online = standing
    seen = one.visitor
    return [
        *(
            one.client_id,
            one.key,
            one.port,
            one.addresses,
            one.expires,
            one.listed,
            one.allow,
            one.away,
        ),
        *(one.until, used, online, seen.node, seen.number),
        # An older server takes no notice of what stands here for somebody who is connected.
        *(_visitor(seen) if one.until is not None else (True,) if one.open else ()),
        *(() if one.proven else (False,)),
    ]


def _read_standing(values: list[Any], members: dict[str, ServerReplica]) -> RegistrationState:
    client_id, key, port, addresses, expires, listed, allow, away, *rest = values
    until, used, online, node, number, *seen = rest
    proven = not (seen and seen[-1] is False)
    if not proven:
        seen.pop()
    here = members[node].visitors[number] if until is None else None
    visitor = here or _read_visitor(seen, node, number)
    visitor.open = here is not None and bool(seen)
    addresses = tuple((host, port) for host, port in addresses)
    presence = Registration(
        client_id, key, port, addresses, expires, listed, tuple(allow), visitor, until, proven, away
    )
    return RegistrationState(presence, used, online)

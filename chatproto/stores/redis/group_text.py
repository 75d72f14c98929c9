"""Text of the shared directory in Redis: groups and notices as JSON, entries of the lists of all
groups.

Any program with access to Redis may have written anything: other types, deep nesting, huge numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.directory.shared import (
    GroupState,
    ListedClient,
    Notice,
    OwnedId,
    PresenceNotice,
    SharedLease,
    SharedPresence,
    ToClient,
)
from chatproto.stores.checks import check_key, check_lease, read_text
from chatproto.stores.memory import counted_network
from chatproto.wire.errors import Unreadable
from chatproto.wire.fields import BLANK
from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import distinct

PROTOCOL = 4
"""Number of the rules by which this version changes the shared directory."""
LEAST = 4
"""Oldest protocol number of a server that may change a group which this version has written."""
POISON = (AttributeError, KeyError, OverflowError, TypeError, ValueError, RecursionError)
"""Exceptions of these functions for text that no server has written."""
LISTED, NEWEST, OPEN = "chatproto:ids", "chatproto:newest", "chatproto:open"
CLASSIC, OWNED, PRESENT = "chatproto:classics", "chatproto:names", "chatproto:present"
ENDS, HEARD = "chatproto:ends", "chatproto:heard"
FREE, WAITING = "chatproto:{pair}:free", "chatproto:{pair}:waiting"
EMPTY = "-"
"""Stands for an empty field in an entry of a list."""


def network_key(network: str) -> str:
    """Return the key of the list of classic clients that registered from one address."""
    return f"chatproto:{{a:{network}}}"


# Groups.


def write_group(state: GroupState) -> str:
    """Return a group as JSON, including fields that a newer server has written."""
    least = state.unknown.get("least", LEAST)
    fields = {
        **state.unknown,
        "least": max(least, LEAST),
        "owner": state.owner,
        "ids": {who: {**one.unknown, **_id(one)} for who, one in state.owned.items()},
        "presences": {
            who: {**one.unknown, **_presence(one)} for who, one in state.presences.items()
        },
        "classic": {who: {**one.unknown, **_classic(one)} for who, one in state.classic.items()},
        "watching": sorted(state.watching),
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def read_group(fold: str, version: int, text: str) -> GroupState:
    """Read a group. Raises one of POISON for invalid text, Unreadable for one of newer rules."""
    fields = json.loads(text)
    least = _number(fields.pop("least"))
    if least > PROTOCOL:
        raise Unreadable(
            f"a newer version has written what looks like {fold}, which this one may not change:"
            " upgrade this server"
        )
    owner = fields.pop("owner")
    if owner is not None:
        check_key(owner)
    ids, presences, classic = (fields.pop(one) for one in ("ids", "presences", "classic"))
    watching = _texts(fields.pop("watching"))
    return GroupState(
        fold,
        version,
        owner,
        {who: _read_id(who, one) for who, one in ids.items()},
        {who: read_presence(who, one) for who, one in presences.items()},
        {who: _read_classic(who, one) for who, one in classic.items()},
        frozenset(watching),
        {**fields, "least": least} if least > LEAST else fields,
    )


def _id(one: OwnedId) -> dict[str, Any]:
    return {"since": one.since, "until": one.until, "trial": one.trial, "allow": one.allow}


def _read_id(client_id: str, fields: Any) -> OwnedId:
    check_lease(client_id, 0, "")
    since, until = (_moment(fields.pop(one)) for one in ("since", "until"))
    allow = fields.pop("allow")
    trial = _truth(fields.pop("trial"))
    return OwnedId(since, until, trial, None if allow is None else _texts(allow), fields)


def _presence(shared: SharedPresence) -> dict[str, Any]:
    one, client = shared.registration, shared.registration.client
    return {
        "key": one.key,
        "port": one.port,
        "addresses": one.addresses,
        "expires": one.expires,
        "listed": one.listed,
        "allow": one.allow,
        "proven": one.proven,
        "away": one.away,
        "until": one.until,
        "made": shared.made,
        "node": client.node,
        "number": client.number,
        "host": client.host,
        "from": client.port,
        "local": client.local,
        "user": client.user,
        "open": client.open,
        "listens": client.listens,
    }


def read_presence(client_id: str, fields: Any) -> SharedPresence:
    """Read a registration; unknown `fields` are stored. Raises one of POISON."""
    key, port, host = (fields.pop(one) for one in ("key", "port", "host"))
    until, user, listens = (fields.pop(one) for one in ("until", "user", "listens"))
    check_key(key)
    check_lease(client_id, port, host)
    client = ClientConnection(
        key,
        host,
        _number(fields.pop("from")),
        _truth(fields.pop("local")),
        client_id,
        listens=None if listens is None else _number(listens),
        user=None if user is None else read_text(user),
        number=_number(fields.pop("number")),
        node=read_text(fields.pop("node")),
        open=_truth(fields.pop("open")),
    )
    registration = Registration(
        client_id,
        key,
        port,
        tuple((read_text(one), _number(other)) for one, other in fields.pop("addresses")),
        _number(fields.pop("expires")),
        _truth(fields.pop("listed")),
        _texts(fields.pop("allow")),
        client,
        None if until is None else _moment(until),
        _truth(fields.pop("proven")),
        read_text(fields.pop("away")),
    )
    return SharedPresence(registration, _moment(fields.pop("made")), fields)


def _classic(shared: SharedLease) -> dict[str, Any]:
    lease, source = shared.lease, shared.lease.source
    return {
        "ip": lease.ip,
        "port": lease.port,
        "host": source.host,
        "from": source.port,
        "local": source.local,
        "alive": source.alive,
        "server": source.server,
        "node": shared.node,
        "number": shared.number,
        "made": shared.made,
        "heard": shared.heard,
    }


def _read_classic(client_id: str, fields: Any) -> SharedLease:
    ip, port, host = (fields.pop(one) for one in ("ip", "port", "host"))
    check_lease(client_id, port, host)
    source = Origin(
        host,
        _number(fields.pop("from")),
        _truth(fields.pop("local")),
        _truth(fields.pop("alive")),
        read_text(fields.pop("server")),
    )
    node, number = read_text(fields.pop("node")), _number(fields.pop("number"))
    made, heard = (_moment(fields.pop(one)) for one in ("made", "heard"))
    lease = ClassicRegistration(client_id, read_text(ip), port, source)
    return SharedLease(lease, node, number, made, heard, fields)


# Notices.


def write_notice(notice: Notice) -> str:
    """Return a notice as JSON."""
    match notice:
        case ToClient(number, text, ends):
            values: list[Any] = ["client", number, text, ends]
        case PresenceNotice(client_id, version, presence):
            fields = None if presence is None else {**presence.unknown, **_presence(presence)}
            values = ["presence", client_id, version, fields]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def read_notice(text: str) -> Notice:
    """Read a notice. Raises one of POISON for invalid text."""
    match json.loads(text):
        case ["client", number, str(message), bool(ends), *_]:
            message.encode()
            return ToClient(_number(number), message, ends)
        case ["presence", str(client_id), version, None, *_]:
            return PresenceNotice(client_id, _number(version), None)
        case ["presence", str(client_id), version, dict(fields), *_]:
            return PresenceNotice(client_id, _number(version), read_presence(client_id, fields))
    raise ValueError


# Values.


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError
    return tuple(map(read_text, values))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError
    return value


def _moment(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return float(value)


# Lists of all groups.


def write_listed(client: ListedClient) -> str:
    """Return a client as an entry of a list. Its id comes first, so that lists are in the order of ids."""
    key, node = client.key or EMPTY, client.node or EMPTY
    return f"{client.client_id} {client.host} {client.port} {key} {node}"


def read_listed(text: str) -> ListedClient:
    """Read an entry of a list. Raises one of POISON."""
    client_id, host, port, key, node, *_ = text.split(" ")
    number = int(port)
    check_lease(client_id, number, host)
    if key != EMPTY:
        check_key(key)
    if not host.isascii() or BLANK.search(host) or not host:
        raise ValueError
    return ListedClient(
        client_id, host, number, "" if key == EMPTY else key, "" if node == EMPTY else node
    )


@distinct
class ListChange(NamedTuple):
    """Change of a list: `+` adds or moves a member, `=` moves it if it is there, `-` removes it."""

    what: str
    key: str
    member: str
    score: float = 0.0


def list_changes(
    former: GroupState, state: GroupState, limits: ServerLimits
) -> Iterator[ListChange]:
    """Return the changes of the lists when the group `former` becomes `state`."""
    before, after = _entries(former, limits), _entries(state, limits)
    for key, member in before.keys() - after.keys():
        yield ListChange("-", key, member)
    for (key, member), score in after.items():
        if before.get((key, member)) != score:
            yield ListChange("+", key, member, score)
    for client_id, held in state.classic.items():
        known = former.classic.get(client_id)
        if known is None or held.free:
            yield ListChange("+", FREE, client_id, held.heard)
        elif held.heard != known.heard:  # any other request leaves a client in its pair
            yield ListChange("=", FREE, client_id, held.heard)
    for client_id in former.classic.keys() - state.classic.keys():
        yield ListChange("-", FREE, client_id)
        yield ListChange("-", WAITING, client_id)


def _entries(state: GroupState, limits: ServerLimits) -> dict[tuple[str, str], float]:
    """Return the score of each list member of the group, by list and member."""
    found: dict[tuple[str, str], float] = {}
    for client_id, one in state.owned.items():
        found[OWNED, client_id] = one.until
    for client_id, shared in state.presences.items():
        registration = shared.registration
        found[PRESENT, client_id] = 0.0
        if not (registration.connected and registration.listed):
            continue
        client = registration.client
        member = write_listed(
            ListedClient(client_id, client.host, registration.port, registration.key, client.node)
        )
        found[LISTED, member] = 0.0
        found[NEWEST, member] = shared.made
        if client.open:
            found[OPEN, member] = shared.made
    for client_id, held in state.classic.items():
        contact = held.lease.contact()
        member = write_listed(ListedClient(client_id, contact.host, contact.port, "", ""))
        found[LISTED, member] = 0.0
        found[CLASSIC, member] = held.made
        network = counted_network(held.lease.host)
        if network is not None:
            found[network_key(network), client_id] = held.heard
        found[HEARD, client_id] = held.heard
    ends = group_ends(state, limits)
    if ends:
        found[ENDS, state.fold] = min(ends)
    return found


def group_ends(state: GroupState, limits: ServerLimits) -> list[float]:
    """Return when the last item in a group expires."""
    ends = [one.until for one in state.owned.values()]
    ends += [one.heard + limits.classic_lease for one in state.classic.values()]
    untils = (one.registration.until for one in state.presences.values())
    return ends + [until for until in untils if until is not None]

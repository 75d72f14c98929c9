"""Return the present state of a shared group, without what has expired. Pure; takes `now`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from chatproto.directory.classic_registration import Origin
from chatproto.directory.group import Group
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.directory.shared import GroupState, SharedLease, SharedPresence

OwnConnection = Callable[[str, int], ClientConnection | None]
"""Function that finds a connection with a key of this server, by node and number."""
OwnOrigin = Callable[[str, int], Origin | None]
"""The same for a plain-text connection."""


def nodes_of(state: GroupState) -> set[str]:
    """Return the servers whose state `current` needs."""
    found = {one.registration.client.node for one in state.presences.values()}
    return found | {one.node for one in state.classic.values()} | state.watching


def current(
    state: GroupState, now: float, left: Mapping[str, float], classic_lease: float
) -> GroupState:
    """Return a group without what has expired.

    Args: left: when stopped servers left: their clients count as away since then.
    """
    presences = {}
    for client_id, one in state.presences.items():
        since = left.get(one.registration.client.node)
        seen = one if since is None else away_since(one, since)
        if seen.registration.until is None or seen.registration.until > now:
            presences[client_id] = seen
    owned = {
        client_id: one
        for client_id, one in state.owned.items()
        if one.until > now or client_id in presences
    }
    classic = {}
    for client_id, lease in state.classic.items():
        if lease.heard > now - classic_lease:
            classic[client_id] = closed(lease) if lease.node in left else lease
    return replace(
        state,
        owner=state.owner if owned else None,
        owned=owned,
        presences=presences,
        classic=classic,
        watching=state.watching - left.keys(),
    )


def away_since(one: SharedPresence, since: float) -> SharedPresence:
    """Return a registration whose connection ended at `since`, unless its end was known already."""
    if not one.registration.connected:
        return one
    return replace(one, registration=one.registration.left(since))


def closed(one: SharedLease) -> SharedLease:
    """Return a classic registration whose connection has ended."""
    source = one.lease.source
    if not source.alive:
        return one
    ended = Origin(source.host, source.port, source.local, alive=False)
    return replace(one, lease=replace(one.lease, source=ended))


def group_of(
    state: GroupState,
    is_own: Callable[[str], bool],
    connection: OwnConnection,
    origin: OwnOrigin,
    now: float,
) -> Group:
    """Return the group to decide on, in which clients of this server are their real connections.

    Connections that have ended count as ended just now, if the store does not know it yet.
    """
    presences: dict[str, Registration] = {}
    for client_id, one in state.presences.items():
        there = one.registration.client
        own = connection(there.node, there.number)
        if own is not None:
            presences[client_id] = replace(one.registration, client=own)
        else:
            seen = away_since(one, now) if is_own(there.node) else one
            presences[client_id] = seen.registration
    classic = {}
    for client_id, lease in state.classic.items():
        source = origin(lease.node, lease.number)
        if source is not None:
            classic[client_id] = replace(lease.lease, source=source)
        else:
            classic[client_id] = closed(lease).lease if is_own(lease.node) else lease.lease
    return Group(state.owner, tuple(state.owned), presences, classic)

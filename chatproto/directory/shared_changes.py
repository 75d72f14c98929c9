"""Compute the next state of a shared group from a decision. Pure; takes `now`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from chatproto.directory.classic_registration import ClassicRegistration
from chatproto.directory.group import RegisterDecision
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.directory.shared import GroupState, OwnedId, SharedLease, SharedPresence
from chatproto.directory.shared_view import away_since, closed
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import value_class


@dataclass(slots=True, eq=False)
class OwnPresence:
    """Registration of a client that is connected to this server.

    Args: made: when it was made. since: when its id was reserved for the key. used: since when the
    store knows that the id is used.
    """

    registration: Registration
    made: float
    since: float
    used: float


@dataclass(slots=True, eq=False)
class OwnLease:
    """Classic registration by an open connection to this server, the one of that number.

    Args: made: time of the first registration. heard: its last request; noted: the same as stored.
    lasts: the connection has lasted, so that its end must be stored.
    """

    lease: ClassicRegistration
    number: int
    made: float
    heard: float
    lasts: bool = False


def kept_until(trial: bool, now: float, limits: ServerLimits) -> float:
    """Return when the ownership of an id ends if it is not used after `now`."""
    return now + (limits.keep_unused if trial else limits.keep_names)


def registered(
    state: GroupState, decision: RegisterDecision, node: str, now: float, limits: ServerLimits
) -> GroupState:
    """Return the group with a registration at the server `node`."""
    presence, own = decision.presence, state.owner == decision.presence.key
    client_id = presence.client_id
    owned = dict(state.owned) if own else {}
    former = state.presences.get(client_id)
    presences = {one: there for one, there in state.presences.items() if one not in decision.lost}
    presences[client_id] = SharedPresence(
        _placed(presence, node), now, former.unknown if former is not None else {}
    )
    known = owned.get(client_id, OwnedId(now, now, trial=True))
    owned[client_id] = _used(known, presence, now, limits)
    classic = {one: lease for one, lease in state.classic.items() if one != client_id}
    return replace(state, owner=presence.key, owned=owned, presences=presences, classic=classic)


def _placed(presence: Registration, node: str) -> Registration:
    """Return a registration that records where its client is connected, whatever this server does with
    it.
    """
    client = replace(presence.client, client_id=presence.client_id, node=node)
    return replace(presence, client=client)


def _used(known: OwnedId, presence: Registration, now: float, limits: ServerLimits) -> OwnedId:
    trial = known.trial and not presence.proven
    allow = None if presence.listed else presence.allow
    until = max(known.until, kept_until(trial, now, limits))
    return replace(known, until=until, trial=trial, allow=allow)


def unregistered(state: GroupState, client_id: str, now: float, limits: ServerLimits) -> GroupState:
    """Return the group after a client has ended its registration: until now it has used its id."""
    owned = _used_until(state, client_id, state.presences[client_id].registration, now, limits)
    return ended(replace(state, owned=owned), client_id)


def _used_until(
    state: GroupState, client_id: str, presence: Registration, now: float, limits: ServerLimits
) -> dict[str, OwnedId]:
    """Return the owned ids of a group after `presence`, which was connected, has ended."""
    known = state.owned.get(client_id)
    used = {} if known is None else {client_id: _used(known, presence, now, limits)}
    return {**state.owned, **used}


def ended(state: GroupState, client_id: str) -> GroupState:
    """Return the group without the registration of `client_id`, with a key or without."""
    presences = {one: there for one, there in state.presences.items() if one != client_id}
    classic = {one: there for one, there in state.classic.items() if one != client_id}
    return replace(state, presences=presences, classic=classic)


def freed(state: GroupState, client_id: str) -> GroupState:
    """Return the group without an owner of `client_id`."""
    owned = {one: known for one, known in ended(state, client_id).owned.items() if one != client_id}
    return replace(ended(state, client_id), owned=owned, owner=state.owner if owned else None)


def leased(
    state: GroupState, lease: ClassicRegistration, node: str, number: int, now: float
) -> GroupState:
    """Return the group with a classic registration, made just now at the server `node`."""
    former = state.classic.get(lease.client_id)
    source = replace(lease.source, alive=False)
    there = SharedLease(
        *(replace(lease, source=source), node, number, former.made if former else now, now),
        former.unknown if former else {},
        free=True,
    )
    return replace(state, classic={**state.classic, lease.client_id: there})


@value_class
class Settled:
    """A group in the state that the connections of this server require.

    Args: lost: own ids that now belong to another connection or key. dismissed: clients that have lost
    theirs to an older reservation.
    """

    state: GroupState
    lost: tuple[str, ...] = ()
    dismissed: tuple[Registration, ...] = ()


def settled(
    state: GroupState,
    own: Mapping[str, OwnPresence],
    leases: Mapping[str, OwnLease],
    node: str,
    is_own: Callable[[str], bool],
    now: float,
    limits: ServerLimits,
) -> Settled:
    """Return the group with all clients connected to this server, and without those that are not.

    After Redis has lost its data, the older reservation of an id counts.

    Args: own, leases: registrations of this server, by id. node: its name; is_own: returns True for its
    present and former names.
    """
    result = Settled(_without_gone(state, own, is_own, now, limits))
    for client_id, mine in own.items():
        if fold(client_id) == state.fold:
            result = _with_own(result, client_id, mine, node, is_own, now, limits)
    return replace(result, state=_with_leases(result.state, leases, node, is_own))


def _without_gone(
    state: GroupState,
    own: Mapping[str, OwnPresence],
    is_own: Callable[[str], bool],
    now: float,
    limits: ServerLimits,
) -> GroupState:
    for client_id, there in state.presences.items():
        presence, mine = there.registration, own.get(client_id)
        is_gone = mine is None or mine.registration.client.number != presence.client.number
        if presence.connected and is_own(presence.client.node) and is_gone:
            owned = _used_until(state, client_id, presence, now, limits)
            presences = {**state.presences, client_id: away_since(there, now)}
            state = replace(state, owned=owned, presences=presences)
    return state


def _with_own(
    result: Settled,
    client_id: str,
    mine: OwnPresence,
    node: str,
    is_own: Callable[[str], bool],
    now: float,
    limits: ServerLimits,
) -> Settled:
    state, presence = result.state, mine.registration
    there = state.presences.get(client_id)
    placed = _placed(presence, node)
    dismissed: list[Registration] = []
    if state.owner not in (None, presence.key):
        theirs = min((one.since for one in state.owned.values()), default=now)
        if theirs <= mine.since:
            return replace(result, lost=(*result.lost, client_id))
        gone = [one.registration for one in state.presences.values()]
        dismissed = [one for one in gone if one.connected]
        state, there = replace(state, owner=None, owned={}, presences={}), None
    elif there is not None and _is_newer(there, mine, is_own):
        return replace(result, lost=(*result.lost, client_id))
    known = state.owned.get(client_id, OwnedId(mine.since, now, trial=not presence.proven))
    made = SharedPresence(placed, mine.made, there.unknown if there is not None else {})
    if there is not None and _is_same(there, made):
        made = there  # so that nothing is written
    # Classic clients registered an id of this key while Redis did not know the key.
    classic = {one: lease for one, lease in state.classic.items() if lease.made < mine.since}
    state = replace(
        state,
        owner=presence.key,
        owned={**state.owned, client_id: _used(known, presence, mine.used, limits)},
        presences={**state.presences, client_id: made},
        classic=classic,
    )
    return Settled(state, result.lost, (*result.dismissed, *dismissed))


def _is_same(one: SharedPresence, other: SharedPresence) -> bool:
    """Return True for the same registration of the same connection."""
    first, second = one.registration.client, other.registration.client
    alike = replace(one.registration, client=second) == other.registration
    return alike and one.made == other.made and _where(first) == _where(second)


def _where(client: ClientConnection) -> tuple[object, ...]:
    port = client.listens, client.open
    return client.node, client.number, client.host, client.port, client.local, port


def _is_newer(there: SharedPresence, mine: OwnPresence, is_own: Callable[[str], bool]) -> bool:
    """Return True if the id was registered after us, at another server, with the same key."""
    client = there.registration.client
    return there.registration.connected and not is_own(client.node) and there.made > mine.made


def _is_elsewhere(there: SharedLease, mine: OwnLease, is_own: Callable[[str], bool]) -> bool:
    """Return True if a client has registered at another server since its last request here."""
    newer = there.lease.source.alive or there.heard > mine.heard
    return newer and not is_own(there.node)


def _with_leases(
    state: GroupState,
    leases: Mapping[str, OwnLease],
    node: str,
    is_own: Callable[[str], bool],
) -> GroupState:
    classic = dict(state.classic)
    for client_id, there in state.classic.items():
        mine = leases.get(client_id)
        if is_own(there.node) and (mine is None or mine.number != there.number):
            classic[client_id] = closed(there)
    for client_id, mine in leases.items():
        if fold(client_id) != state.fold:
            continue
        former = classic.get(client_id)
        if state.owner is not None or (former is not None and _is_elsewhere(former, mine, is_own)):
            continue
        source = replace(mine.lease.source, alive=mine.lasts)
        heard = mine.heard if former is None else max(mine.heard, former.heard)
        there = SharedLease(
            *(replace(mine.lease, source=source), node, mine.number, mine.made, heard),
            former.unknown if former is not None else {},
        )
        if former != there or former.lease.source.alive != mine.lasts:
            classic[client_id] = there
    return replace(state, classic=classic)

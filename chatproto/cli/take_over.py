"""Copy the state of one server, or of an older version's servers, into a shared Redis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from itertools import islice
from typing import NamedTuple

from twisted.internet.defer import Deferred, gatherResults

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.registrations import Registration
from chatproto.directory.shared import GroupState, OwnedId, SharedLease, SharedPresence
from chatproto.directory.shared_store import GroupChanged, SharedDirectoryStore
from chatproto.rooms.history import RoomLine
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared_store import Conflict, SharedRoomStore
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import distinct, value_class

AT_ONCE = 50
"""Groups that are written at once."""
MANY = 1_000_000
"""Limit of ids and rooms of one key during the copy: as many as it had."""


@distinct
class SavedId(NamedTuple):
    """Id that belongs to `key`; the other fields as in `IdOwners.keep` and `IdOwners.hide`."""

    client_id: str
    key: str
    used: float
    trial: bool
    allow: tuple[str, ...] | None


@distinct
class SavedRoom(NamedTuple):
    """Room, the number of its last line, and its lines that are stored."""

    policy: RoomPolicy
    last: int
    lines: Iterable[RoomLine]


@value_class
class SavedState:
    """State of stopped servers; times are seconds since 1970. `leases`: with the last request."""

    ids: Sequence[SavedId] = ()
    registrations: Sequence[Registration] = ()
    leases: Sequence[tuple[ClassicRegistration, float]] = ()
    rooms: Iterable[SavedRoom] = field(default=())


@distinct
class TakenOver(NamedTuple):
    """Numbers of groups of ids and of rooms that were copied, and of those that existed already."""

    groups: int = 0
    rooms: int = 0
    known: int = 0


def shared_groups(saved: SavedState, now: float, limits: ServerLimits) -> list[GroupState]:
    """Return the ids and registrations that have not expired; those with a connection have left `now`."""
    groups: dict[str, GroupState] = {}
    for one in saved.ids:
        kept = limits.keep_unused if one.trial else limits.keep_names
        if one.used + kept <= now:
            continue
        group = _group(groups, one.client_id)
        owned = OwnedId(one.used, one.used + kept, one.trial, one.allow)
        groups[group.fold] = replace(
            group, owner=one.key, owned={**group.owned, one.client_id: owned}
        )
    for registration in saved.registrations:
        left = registration.resumed(now)
        if left.until is None or left.until <= now:
            continue
        group = _group(groups, left.client_id)
        presence = SharedPresence(replace(left, client=replace(left.client, node="")), now)
        groups[group.fold] = replace(group, presences={**group.presences, left.client_id: presence})
    first = min((heard for _, heard in saved.leases), default=now)
    for number, (lease, heard) in enumerate(saved.leases):
        if heard + limits.classic_lease <= now or lease.key is not None:
            continue
        group, source = _group(groups, lease.client_id), lease.source
        ended = Origin(source.host, source.port, source.local, False, source.server)
        # They are listed in the order of their registration.
        made = min(first, now) + number / MANY
        shared = SharedLease(replace(lease, source=ended), "", 0, made, heard)
        groups[group.fold] = replace(group, classic={**group.classic, lease.client_id: shared})
    return list(groups.values())


def _group(groups: dict[str, GroupState], client_id: str) -> GroupState:
    folded = fold(client_id)
    return groups.setdefault(folded, GroupState(folded))


async def take_over(
    saved: SavedState,
    directory: SharedDirectoryStore,
    rooms: SharedRoomStore,
    limits: ServerLimits,
    now: float,
) -> TakenOver:
    """Write `saved` to Redis; existing data stay unchanged, so that this may be repeated.

    Raises: StoreTrouble, OutcomeUncertain: only a part was copied.
    """
    new = known = 0
    groups = iter(shared_groups(saved, now, limits))
    while some := list(islice(groups, AT_ONCE)):
        asked = [Deferred.fromCoroutine(_take_group(one, directory, now)) for one in some]
        for taken in await gatherResults(asked, consumeErrors=True):
            new, known = new + taken, known + (not taken)
    taken_rooms = 0
    for room in saved.rooms:
        if await _take_room(room, rooms, limits, now):
            taken_rooms += 1
        else:
            known += 1
    return TakenOver(new, taken_rooms, known)


async def _take_group(group: GroupState, directory: SharedDirectoryStore, now: float) -> bool:
    """Write a group to Redis; return False if it has registrations already."""
    while True:
        former = await directory.load(group.fold)
        if former.owned or former.presences or former.classic:
            return False
        state = replace(
            group,
            version=former.version,
            watching=former.watching,
            unknown=former.unknown,
        )
        try:
            for client_id, owned in group.owned.items():
                assert group.owner is not None
                await directory.reserve(group.owner, client_id, MANY, owned.since)
            await directory.commit(former, state, now)
            return True
        except GroupChanged:
            continue  # another server copies it too, or a client has started to watch


async def _take_room(
    saved: SavedRoom, rooms: SharedRoomStore, limits: ServerLimits, now: float
) -> bool:
    """Write a room to Redis; return False if it exists, except for missing lines."""
    policy = saved.policy
    new = True
    if policy.owner:
        await rooms.reserve(policy.owner, policy.name, MANY, now)
    try:
        await rooms.create(replace(policy, used=now, version=1), now, saved.last)
    except Conflict:
        new = False  # another server copies it too, or an earlier attempt did
    await rooms.fill(policy.name, saved.lines)
    return new

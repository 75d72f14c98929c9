"""All that a store in memory holds, as plain values (JSON), and such a store from them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.rooms.history import BanRecord, RoomLine, RoomRecord
from chatproto.stores.memory import LeaseEntry, MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.stores.memory_rooms import MemoryRooms

SourceName = Callable[[Origin], Any]
NamedSource = Callable[[Any], Origin]
LEASES = ("leases", "silent", "free", "waiting", "partners")
"""The parts of `registry_image`."""


def names_image(names: MemoryNames) -> list[Any]:
    """`[id, key, used, host, trial]` of each, the longest unused first."""
    return [
        [client_id, one.key, one.used, one.host, one.trial]
        for order in (names._used, names._trials)
        for client_id, one in order.items()
    ]


def hidden_image(names: MemoryNames) -> list[Any]:
    """`[id, keys]` of each that not everybody may know of."""
    return [[client_id, list(allow)] for client_id, allow in names._hidden.items()]


def load_names(names: MemoryNames, image: list[Any]) -> None:
    """Into an empty one."""
    for client_id, key, used, *more in image:  # an older server has written three values
        names.keep(client_id, key, used, *more)


def registry_image(registry: MemoryRegistry, named: SourceName) -> dict[str, Any]:
    """`named` gives what `load_registry` finds a source by."""
    return {
        "leases": [
            [*(one.lease.client_id, one.lease.ip, one.lease.port, one.lease.key),
             *(named(one.lease.source), one.heard)]
            for one in registry._entries.values()
        ],
        "silent": list(registry._silent),
        "free": list(registry._free),
        "waiting": list(registry._waiting),
        "partners": list(registry._partners.items()),
    }  # fmt: skip


def load_registry(registry: MemoryRegistry, image: dict[str, Any], find: NamedSource) -> None:
    """Into an empty one; `find` gives the source that is named so."""
    entries = registry._entries
    for client_id, ip, port, key, source, heard in image["leases"]:
        entries[client_id] = LeaseEntry(
            ClassicRegistration(client_id, ip, port, find(source), key), heard
        )
    for client_id in image["silent"]:
        entry = registry._silent[client_id] = entries[client_id]
        registry._enter_network(entry)
    for name, order in (("free", registry._free), ("waiting", registry._waiting)):
        order.update((client_id, entries[client_id]) for client_id in image[name])
    registry._partners.update((one, other) for one, other in image["partners"])


def kept_image(kept: RoomRecord) -> dict[str, Any]:
    """How a room is."""
    return asdict(kept)


def read_kept(image: dict[str, Any]) -> RoomRecord:
    """The room again."""
    pairs = {
        name: tuple((who, until) for who, until in image[name])
        for name in ("ops", "mutes", "invited")
    }
    return RoomRecord(**{**image, **pairs, "bans": tuple(BanRecord(*ban) for ban in image["bans"])})


def rooms_image(rooms: MemoryRooms) -> tuple[list[Any], list[Any]]:
    """`[room, since, last]` of each, and all lines, each with its room before it."""
    logs = list(rooms._logs.items())
    heads = [[room, log.since, log.last] for room, log in logs]
    return heads, [(room, line) for room, log in logs for line in log.lines]


def load_rooms(rooms: MemoryRooms, heads: list[Any], lines: list[Any]) -> None:
    """Into an empty one."""
    for room, since, last in heads:
        log = rooms.log(room)
        log.since, log.last = since, last
    for room, line in lines:
        rooms._size += rooms.log(room).add(RoomLine(*line))

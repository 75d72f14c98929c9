"""What several servers share, as each of them has it in memory, and a picture of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatproto.directory.registration_store import ForgottenPresences
from chatproto.rooms.history import RoomRecord
from chatproto.stores import memory_image as image
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire.limits import DEFAULTS, Limits

Picture = dict[str, list[Any]]
"""Values of JSON, by what they are. Nothing in it changes when the store does."""


class SharedMemory:
    """The parts of a store of which each server of several has all."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self._limits = limits
        self.presences = ForgottenPresences()
        self.clear()

    trouble = ""

    def clear(self) -> None:
        """Begin with nothing."""
        self.registry = MemoryRegistry(self._limits)
        self.names = MemoryNames(self._limits)
        self.rooms = MemoryRooms(self._limits)

    def write_behind(self) -> None: ...

    def close(self) -> None: ...

    def picture(self, named: image.SourceName, rooms: Iterable[RoomRecord]) -> Picture:
        """All of it; `named` tells what `load` finds a source by, `rooms` how they are."""
        registry = image.registry_image(self.registry, named)
        heads, lines = image.rooms_image(self.rooms)
        return {
            "names": image.names_image(self.names),
            "hidden": image.hidden_image(self.names),
            **{name: list(values) for name, values in registry.items()},
            "rooms": [image.kept_image(kept) for kept in rooms],
            "logs": heads,
            "lines": lines,
        }

    def load(self, picture: Picture, find: image.NamedSource) -> None:
        """Be as `picture` tells; `find` gives the source that is named so."""
        self.clear()
        image.load_names(self.names, picture.get("names", []))
        for client_id, allow in picture.get("hidden", []):
            self.names.hide(client_id, tuple(allow))
        leases = {name: picture.get(name, []) for name in image.LEASES}
        image.load_registry(self.registry, leases, find)
        for kept in picture.get("rooms", []):
            self.rooms.keep(image.read_kept(kept))
        image.load_rooms(self.rooms, picture.get("logs", []), picture.get("lines", []))

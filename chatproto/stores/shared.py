"""Keep in memory what several servers share, and turn it into a snapshot (JSON) and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from chatproto.directory.classic_registration import Origin
from chatproto.directory.registration_store import ForgottenPresences
from chatproto.rooms.history import BanRecord, RoomRecord
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

Picture = dict[str, list[Any]]
"""JSON values by part; a later change of the store does not change them."""


class SharedMemory:
    """Hold the parts of a store that every server of several has a full copy of."""

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._limits = limits
        self.presences = ForgottenPresences()
        self.clear()

    trouble = ""

    def clear(self) -> None:
        """Forget everything."""
        self.registry = MemoryRegistry(self._limits)
        self.names = MemoryNames(self._limits)
        self.rooms = MemoryRooms(self._limits)

    def write_behind(self) -> None: ...

    def close(self) -> None: ...

    def picture(self, named: Callable[[Origin], Any], rooms: Iterable[RoomRecord]) -> Picture:
        """Give everything as JSON values.

        Args: named: turns an origin into a value that `find` of `load` recognises. rooms: every room.
        """
        heads, lines = self.rooms.image()
        return {
            "names": self.names.image(),
            "hidden": self.names.hidden_image(),
            **self.registry.image(named),
            "rooms": [asdict(room) for room in rooms],
            "logs": heads,
            "lines": lines,
        }

    def load(self, picture: Picture, find: Callable[[Any], Origin]) -> None:
        """Replace everything by what `picture` holds; `find` gives the origin for a value."""
        self.clear()
        self.names.load(picture.get("names", []), picture.get("hidden", []))
        self.registry.load(picture, find)
        for room in picture.get("rooms", []):
            self.rooms.keep(read_room(room))
        self.rooms.load(picture.get("logs", []), picture.get("lines", []))


def read_room(image: dict[str, Any]) -> RoomRecord:
    """Make a room from its JSON values."""
    pairs = {
        name: tuple((who, until) for who, until in image[name])
        for name in ("ops", "mutes", "invited")
    }
    return RoomRecord(**{**image, **pairs, "bans": tuple(BanRecord(*ban) for ban in image["bans"])})

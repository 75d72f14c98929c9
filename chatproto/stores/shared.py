"""Keep in memory what several servers share, and turn it into a snapshot (JSON) and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatproto.directory.classic_registration import Origin
from chatproto.directory.registration_store import MemoryRegistrations
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

Picture = dict[str, list[Any]]
"""JSON values by part; a later change of the store does not change them."""


class SharedMemory:
    """Hold the parts of a store that every server of several has a full copy of."""

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._limits = limits
        self.clear()

    trouble = ""

    def clear(self) -> None:
        """Forget everything."""
        self.registry = MemoryRegistry(self._limits)
        self.names = MemoryNames(self._limits)
        self.presences = MemoryRegistrations(self.names)

    def write_behind(self) -> bool:
        return False

    def close(self) -> None: ...

    def picture(self, named: Callable[[Origin], Any]) -> Picture:
        """Give everything as JSON values. `named` turns an origin into a value that `find` recognises."""
        return {
            "names": self.names.image(),
            "hidden": self.names.hidden_image(),
            **self.registry.image(named),
        }

    def load(self, picture: Picture, find: Callable[[Any], Origin]) -> None:
        """Replace everything by what `picture` holds; `find` gives the origin for a value."""
        self.clear()
        self.names.load(picture.get("names", []), picture.get("hidden", []))
        self.registry.load(picture, find)

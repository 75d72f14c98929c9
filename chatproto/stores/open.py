"""Open the store that `--store` names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from chatproto.directory.id_owners import IdOwners
from chatproto.directory.registration_store import MemoryRegistrations, RegistrationStore
from chatproto.directory.registry import Registry
from chatproto.net.clock import Monotonic
from chatproto.net.paths import local_path
from chatproto.rooms.history import RoomStore
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

SQLITE = "sqlite:"
SECRET = re.compile("//.*@", re.DOTALL)
IN_HOME = "server.sqlite"
"""File name of `sqlite:` without a path, in the server's home."""


class Store(Protocol):
    """Parts of a server's store. The limits bound it; `registry` stores everything that it
    acknowledged.
    """

    @property
    def registry(self) -> Registry: ...

    @property
    def names(self) -> IdOwners: ...

    @property
    def presences(self) -> RegistrationStore: ...

    @property
    def rooms(self) -> RoomStore: ...

    @property
    def trouble(self) -> str:
        """Why nothing can be stored at present, in one sentence; empty: it can."""

    def write_behind(self) -> bool:
        """Write some of the data that may be written late; called every few seconds.

        Returns: True if there is more, which another call would write.
        """

    def close(self) -> None:
        """Write the rest and close."""


class MemoryStore:
    """A store that ends with the process."""

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self.registry = MemoryRegistry(limits)
        self.names = MemoryNames()
        self.presences = MemoryRegistrations(self.names)
        self.rooms = MemoryRooms(limits)
        self.trouble = ""

    def write_behind(self) -> bool:
        return False

    def close(self) -> None: ...


def sqlite_path(text: str, home: Path) -> Path | None:
    """Return the file that `text`, the value of --store, names; None for `memory:`.

    Raises ValueError (one sentence) for anything else.
    """
    if text == "memory:":
        return None
    if text.startswith(SQLITE):
        path = text.removeprefix(SQLITE)
        if (
            path == ":memory:"
        ):  # SQLite's name of a store in memory, which would be the name of a file here
            raise ValueError("write memory: for a store that keeps nothing on disk")
        return (local_path(path) if path else home / IN_HOME).absolute()
    text = SECRET.sub("//", text)  # it may contain a password
    raise ValueError(
        f"no store {text!r}: choose sqlite:PATH, redis://HOST:PORT/DB,"
        " rediss://HOST:PORT/DB or memory:"
    )


def open_store(
    path: Path | None,
    key: str,
    limits: ServerLimits,
    tell: Callable[[str], None],
    *,
    durable: bool = False,
    now: Callable[[], Monotonic] | None = None,
) -> Store:
    """Open the store in the file `path`, or one in memory, of the server with the key named `key`.

    `now`: clock of the stored moments. `tell`: called with one sentence when the file cannot be used
    any more, and when it can again. Raises StoreTrouble.
    """
    if path is None:
        return MemoryStore(limits)
    from chatproto.stores.sqlite import SqliteStore  # only a server with a file needs SQLite

    return SqliteStore(path, key, limits, durable=durable, tell=tell, now=now)

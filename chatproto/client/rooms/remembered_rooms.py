"""Remember joined rooms for the next start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chatproto.client.line_file import LineFile
from chatproto.wire.errors import RemoteError
from chatproto.wire.room_fields import read_room, read_secret

MOST = 100
"""Most remembered rooms, over all servers."""
MOST_BYTES = 64 * 1024
"""Most bytes that are read from the file."""


class RememberedRooms:
    """Rooms of each server with their keys, stored in the file `path` (mode 0600); not stored if None.

    The file has one line per room: `SERVER-KEY #room` or `SERVER-KEY #room KEY`. A room belongs to one
    server only.
    `autojoin`: rooms to join at any server, with their keys.
    """

    def __init__(self, path: Path | None = None, autojoin: Mapping[str, str] | None = None) -> None:
        self._file = LineFile(path, "rooms", MOST_BYTES)
        self._autojoin = dict(autojoin or {})
        self._rooms: dict[tuple[str, str], str] = {}
        for line in self._file.read():
            server, _, rest = line.partition(" ")
            room, _, key = rest.partition(" ")
            try:
                if server and len(self._rooms) < MOST:
                    self._rooms[server, read_room(room)] = read_secret(key)
            except RemoteError:
                continue  # the file was edited, or truncated

    def at(self, server: str) -> dict[str, str]:
        """Return the rooms to join at `server` with their keys, empty for none."""
        here = {room: key for (at, room), key in self._rooms.items() if at == server}
        return here | self._autojoin

    def entered(self, server: str, room: str, secret: str) -> None:
        """Remember a room that was joined."""
        where = server, room
        if self._rooms.get(where) != secret and (where in self._rooms or len(self._rooms) < MOST):
            self._rooms[where] = secret
            self._write()

    def left(self, server: str, room: str) -> None:
        """Forget a room that was left or may no longer be joined."""
        if self._rooms.pop((server, room), None) is not None:
            self._write()

    def _write(self) -> None:
        rooms = self._rooms.items()
        self._file.write(f"{at} {room} {key}".rstrip(" ") for (at, room), key in rooms)

"""Who is connected with a key, and what the rules want said to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from chatproto.wire.bcp2_common import Address, Bcp2Message


@dataclass(slots=True, eq=False)
class ClientConnection:
    """A connection that proved `key`, as the server sees it at `host:port`.

    `client_id` is the id that it registered, None before; `user` the account that it has logged in to.
    `local`: it is on the server's own machine.
    `number`: higher than those of all that came before, to this server; `node`: which server that is,
    where several share a store.
    `watches`: whose coming and going it wants to know. `listens`: the port that it registered;
    `open`: where it can be called in plain text too.
    """

    key: str
    host: str
    port: int
    local: bool = False
    client_id: str | None = None
    watches: set[str] = field(default_factory=set)
    listens: int | None = None
    user: str | None = None
    number: int = 0
    node: str = ""
    open: bool = False

    def came_after(self, other: ClientConnection) -> bool:
        """Whether it is known to have come after `other`: of two servers nobody can tell."""
        return self.node == other.node and self.number > other.number

    @property
    def callable_at(self) -> Address:
        """Where it is seen, with the port that it registered, once it has."""
        return self.host, self.listens or self.port

    @property
    def address(self) -> Address:
        """Where it is seen."""
        return self.host, self.port


@dataclass(frozen=True, slots=True)
class PushTo:
    """Send `message` to `visitor`."""

    visitor: ClientConnection
    message: Bcp2Message


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Send `message` to `visitor` and end the connection."""

    visitor: ClientConnection
    message: Bcp2Message


Effect = PushTo | Dismiss


@dataclass(slots=True, eq=False)
class Registration:
    """Somebody's registration: with a connection they can be called, without one it answers 480.

    `until`: when it ends, once the connection has (seconds); None while it lives.
    """

    client_id: str
    key: str
    port: int
    addresses: tuple[Address, ...]
    expires: int
    listed: bool
    allow: tuple[str, ...]
    visitor: ClientConnection
    until: float | None = None
    proven: bool = True
    """Return True if the id was used for more than its registration."""

    @property
    def open(self) -> bool:
        """Return True if they can be called in plain text too."""
        return self.visitor.open

    @property
    def connected(self) -> bool:
        """Whether they can be called."""
        return self.until is None

    def lets(self, key: str) -> bool:
        """Whether `key` may know of them."""
        return self.listed or key in self.allow or key == self.key


class RegistrationState(NamedTuple):
    """A registration, for another directory that goes on in the same place.

    `used`: until when the store of names knows that its id was used, while it is connected.
    `online_until`: how long it is still online for those who watch, after its connection's end.
    """

    presence: Registration
    used: float | None = None
    online_until: float | None = None

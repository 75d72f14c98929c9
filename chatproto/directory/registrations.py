"""Connected clients with a key, and the effects that the directory's rules return."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from chatproto.wire.bcp2_common import Address, Bcp2Message
from chatproto.wire.fields import Contact
from chatproto.wire.values import value_class


@dataclass(slots=True, eq=False)
class ClientConnection:
    """Connection that proved `key`, as the server sees it at `host:port`.

    `client_id`: id that it registered, None before. `user`: account that it has logged in to. `local`:
    it is on the server's own machine. `number`: higher than those of all earlier connections to this
    server. `node`: this server, if several share a store. `since`: when it was accepted, in monotonic
    seconds of its server; None if unknown. `watches`: ids whose presence it watches. `listens`: port
    that it registered. `open`: address at which it accepts plain-text calls.
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
    since: float | None = None

    def is_newer_than(self, other: ClientConnection) -> bool:
        """Return True if this connection is known to be newer; unknown between two servers."""
        return self.node == other.node and self.number > other.number

    @property
    def callable_at(self) -> Address:
        """Address that peers may connect to: the address seen, with the registered port if there is
        one.
        """
        return self.host, self.listens or self.port

    @property
    def address(self) -> Address:
        """Address that the connection comes from."""
        return self.host, self.port


@value_class
class PushTo:
    """Send `message` to `client`."""

    client: ClientConnection
    message: Bcp2Message


@value_class
class Dismiss:
    """Send `message` to `client` and end the connection."""

    client: ClientConnection
    message: Bcp2Message


Effect = PushTo | Dismiss


@value_class
class Registration:
    """Registration of a client with a key; without a connection, BRIDGE answers 480.

    `until`: time (seconds) at which it expires; None while the connection is up.
    """

    client_id: str
    key: str
    port: int
    addresses: tuple[Address, ...]
    expires: int
    listed: bool
    allow: tuple[str, ...]
    client: ClientConnection
    until: float | None = None
    proven: bool = True
    """Return True if the id was used for more than its registration."""
    away: str = ""
    """Text of /away; empty for none."""

    @property
    def open(self) -> bool:
        """Return True if the client accepts plain-text calls, too."""
        return self.client.open

    def contact(self) -> Contact:
        """Return the client with the address that the server has seen, and its port."""
        return Contact(self.client_id, self.client.host, self.port, self.key)

    @property
    def connected(self) -> bool:
        """True while the client has a connection."""
        return self.until is None

    def left(self, now: float) -> Registration:
        """Return the registration after the end of its connection: it stays for `expires` seconds."""
        return replace(self, until=now + self.expires)

    def resumed(self, now: float) -> Registration:
        """Return the registration after a restart of the server, with which all connections ended."""
        latest = now + self.expires
        return replace(self, until=latest if self.until is None else min(self.until, latest))

    def used(self) -> Registration:
        """Return the registration of an id that was used for more than its registration."""
        return replace(self, proven=True)

    def is_visible_to(self, key: str) -> bool:
        """Return True if the owner of `key` may see this client."""
        return self.listed or key in self.allow or key == self.key

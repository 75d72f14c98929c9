"""Registration of a classic client, and the origin of a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from chatproto.net.addresses import CALLABLE, AddressScope, address_reach, as_address, is_loopback
from chatproto.wire.classic import ClassicRegister
from chatproto.wire.fields import Contact
from chatproto.wire.values import value_class


@dataclass(slots=True, eq=False)
class Origin:
    """Connection that sent a request, as the server sees it.

    `local`: the other end is on this machine. `alive` becomes false when the connection ends; a lease
    may refer to this object without keeping the connection in memory. `server`: the server's own
    address of the connection.
    """

    host: str
    port: int
    local: bool
    alive: bool = True
    server: str = ""

    def see_own(self, server: str) -> None:
        """Note the server's own address: a client with the same address is on this machine."""
        self.server = server
        self.local = self.local or self.host == server

    def claimed(self, ip: str) -> str:
        """Return the address that the client claims with `ip`: some send the server's address as their
        own.

        Most claim the address that they connect from; it is then stored once, not twice.
        """
        return self.host if ip == self.host or (ip == self.server and not self.local) else ip

    def is_same_host(self, other: Origin) -> bool:
        """Return True for the same address; all addresses of this machine count as one."""
        return self.host == other.host or (self.local and other.local)


@value_class
class ClassicRegistration:
    """Registration: the address that `client_id` claims (`ip`, `port`), and its origin.

    `source`: connection that confirmed it last. `key`: None for a classic client. The registry stores
    the time of the last request, because that changes with every request.
    """

    client_id: str
    ip: str
    port: int
    source: Origin = field(compare=False)
    key: str | None = None

    @property
    def host(self) -> str:
        """Address that the client registered from."""
        return self.source.host

    def confirmed_by(self, message: ClassicRegister, source: Origin) -> bool:
        """Return True if `message` changes nothing, and comes on the connection that registered."""
        return (
            self.port == message.port
            and self.ip == message.ip
            and self.source is source
            and self.key is None
        )

    def renewed_by(self, message: ClassicRegister, source: Origin) -> bool:
        """Return True if `message` changes nothing but the connection.

        All loopback addresses count as one, as in the limits. False for a client that claims the
        server's own address, since it may be registered at another one.
        """
        held = self.source
        return (
            self.port == message.port
            and self.ip == message.ip != source.server
            and held.local == source.local
            and (held.host == source.host or (is_loopback(held.host) and is_loopback(source.host)))
            and self.key is None
        )

    def contact(self) -> Contact:
        """Return the address to show to other clients (PROTOCOL.md, section 2)."""
        return Contact(self.client_id, shown_ip(self.ip, self.host, self.source.local), self.port)


@lru_cache(maxsize=4096)
def shown_ip(claimed: str, observed: str, local: bool) -> str:
    """Return the address to announce for a client that claims `claimed` and is seen at `observed`.

    It is the observed one if the claim is a name, a public address other than the observed one, or,
    from a client that is not on this machine, an address without a host elsewhere: loopback,
    link-local, multicast, reserved (`net.addresses`).
    """
    address = as_address(claimed)
    if address is None:
        return observed
    reach = address_reach(address)
    useless = not local and reach not in CALLABLE
    foreign = reach is AddressScope.PUBLIC and address != as_address(observed)
    return observed if useless or foreign else str(address)

"""Know the addresses of this program, as far as they were found out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chatproto.client.interfaces import is_address, is_here, own_addresses
from chatproto.session.candidates import LEAST_PORT, worth_dialling
from chatproto.wire.bcp2_common import Address
from chatproto.wire.dialects import Me


@dataclass(slots=True)
class OwnAddresses:
    """Our own addresses, and the server's.

    `announced`: what is told instead of `listening`, where our port is open. `server`: as the person
    named it; None: there is none. `observed`: where it sees us, since we are registered; `near`: the
    connection to it does not leave this machine, which is not for a server to say. `own_port`:
    what connections are bound to so that they come from the port on which we listen; None where that
    cannot be. `me`: our id and the address that is told in openers.
    """

    announced: tuple[Address, ...] = ()
    listening: Address = ("127.0.0.1", 0)
    server: Address | None = None
    observed: Address | None = None
    near: bool = False
    own_port: Any = None
    me: Me = field(default_factory=lambda: Me("", "127.0.0.1", 0))

    @property
    def is_local(self) -> bool:
        """True if the server is on this machine, so that other clients may be, too."""
        return is_here(self.server) or self.near

    def found(self, server: Address, observed: Address | None, near: bool = False) -> None:
        """Note that we are registered at `server`, and how it sees us."""
        self.server, self.observed, self.near = server, observed, near

    def filtered(self, relay: Address | None) -> Address | None:
        """Return the address of the relay to join: `relay`, as the server told it, if it may be
        connected to; else the server itself, as we reach it (None: there is no server)."""
        if relay is None or relay == self.server:
            return self.server
        host, port = relay
        if is_address(host):
            return relay if worth_dialling((relay,), self.is_local) else self.server
        local_name = host.rstrip(".").lower().endswith("localhost")
        return relay if port >= LEAST_PORT and (self.is_local or not local_name) else self.server

    def addresses(self) -> tuple[Address, ...]:
        """List our addresses for peers, found out anew; at most eight."""
        return own_addresses(self.listening, self.server, self.is_local, self.announced)

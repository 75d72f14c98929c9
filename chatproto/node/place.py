"""Where this program is in the network, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatproto.node.interfaces import is_here, own_addresses
from chatproto.wire.bcp2_common import Address


@dataclass(slots=True)
class Place:
    """Our own addresses, and the server's.

    `announced`: what is told instead of `listening`, where our port is open. `server`: as the person
    named it; None: there is none. `observed`: where it sees us, since we are registered. `own_port`:
    what connections are bound to so that they come from the port on which we listen; None where that
    cannot be.
    """

    announced: tuple[Address, ...] = ()
    listening: Address = ("127.0.0.1", 0)
    server: Address | None = None
    observed: Address | None = None
    own_port: Any = None

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, and others who use it may be, too."""
        return is_here(self.server) or is_here(self.observed)

    def found(self, server: Address, observed: Address | None) -> None:
        """We are registered at `server`, one of several perhaps."""
        self.server, self.observed = server, observed

    def addresses(self) -> tuple[Address, ...]:
        """Where others may find us, found out anew; at most eight."""
        return own_addresses(self.listening, self.server, self.is_local, self.announced)

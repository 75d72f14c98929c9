"""Our registration, as sent in REGISTER."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address
from chatproto.wire.values import value_class


@value_class
class ClientRegistration:
    """Id, port and addresses to register, and which keys may see them (PROTOCOL.md, section 5)."""

    client_id: str
    port: int
    addresses: tuple[Address, ...] = ()
    listed: bool = True
    allow: tuple[str, ...] = ()
    look: Callable[[], tuple[Address, ...]] | None = None
    """Function that returns the current addresses for each REGISTER."""
    open: bool = False
    """True to accept plain-text calls, too."""
    away: str = ""
    """Text of /away; empty for none."""

    def request(self, cseq: int) -> bcp2_server.Register:
        """Return REGISTER, with the lease time left to the server."""
        addresses = self.addresses if self.look is None else self.look()
        who = cseq, self.client_id, self.port, addresses
        return bcp2_server.Register(*who, None, self.listed, self.allow, self.open, self.away)

"""Describe ourselves for REGISTER."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address
from chatproto.wire.values import value_class


@value_class
class ClientRegistration:
    """Id, port and addresses to register, and who may see them (PROTOCOL.md, section 5)."""

    client_id: str
    port: int
    addresses: tuple[Address, ...] = ()
    listed: bool = True
    allow: tuple[str, ...] = ()
    look: Callable[[], tuple[Address, ...]] | None = None
    """Function that finds the addresses anew, each time that they are told."""
    open: bool = False
    """Callable in plain text too."""
    away: str = ""
    """Text with which we say that we are away; empty for none."""

    def request(self, cseq: int) -> bcp2_server.Register:
        """The message that asks for it, for as long as the server likes."""
        addresses = self.addresses if self.look is None else self.look()
        who = cseq, self.client_id, self.port, addresses
        return bcp2_server.Register(*who, None, self.listed, self.allow, self.open, self.away)

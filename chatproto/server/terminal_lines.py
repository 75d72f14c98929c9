"""Terminal lines of the assignment for clients with keys."""

from __future__ import annotations

from chatproto.directory.registrations import ClientConnection, Effect
from chatproto.wire.bcp2_server import BridgeAck, RegAck
from chatproto.wire.fields import host_port


def terminal_lines(effects: list[Effect], client: ClientConnection) -> list[str]:
    """Format the assignment's terminal lines for the answers to REGISTER and BRIDGE."""
    lines = []
    for effect in effects:
        if effect.client is not client:
            continue
        match effect.message:
            case RegAck(_, client_id, expires) if expires:
                lines.append(
                    f"REGISTER: {client_id} from {host_port(*client.callable_at)} received"
                )
            case BridgeAck(_, client_id, _, addresses):
                asker = f"BRIDGE: {client.client_id} {host_port(*client.callable_at)}"
                found = (
                    f" {client_id} {host_port(*addresses[0])}" if client_id and addresses else ""
                )
                lines.append(asker + found)
    return lines

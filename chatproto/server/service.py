"""The server as a service: its ports, its directory, its start and its stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import MultiService

from chatproto.wire.limits import DEFAULTS, Limits


class ChatServer(MultiService):
    """One directory behind any number of ports.

    `endpoints`: a port number as text ("5555": all addresses, IPv4 and IPv6) or a Twisted server
    endpoint string. `say` gets the terminal lines of protocol section 2 and `trace` every message,
    both None for silence. Raises ValueError (one sentence) for an endpoint that cannot be read; and
    `startService` raises CannotListenError for a port that is taken.
    """

    def __init__(
        self,
        reactor: Any,
        endpoints: Sequence[str],
        registry: Any,
        limits: Limits = DEFAULTS,
        say: Callable[[str], None] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.addresses: list[tuple[str, int]] = []
        """Where it listens, as `Server listening on` says it; filled by startService."""

    def info_lines(self) -> list[str]:
        """What /info shows: `<clientID> <ip>:<port>` for each client."""
        return []

    def forget(self, client_id: str) -> bool:
        """Take `client_id` out of the directory (/kick); False if it is not in it."""
        return False

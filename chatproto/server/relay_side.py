"""The relay on a server's port: which connections are its, and what it costs (`--relay`)."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import Any

from twisted.internet.interfaces import IReactorTime

from chatproto.relay.protocol import RelayConnection, Relays
from chatproto.relay.tickets import new_ticket
from chatproto.wire.limits import ServerLimits

RATE = re.compile(r"on:([0-9]{1,12})([kMG]?)", re.ASCII)
UNITS = {"": 1, "k": 1024, "M": 1024**2, "G": 1024**3}


def with_relay(limits: ServerLimits, text: str) -> ServerLimits | None:
    """`limits` with what `--relay` says of a pipe's bytes a second; None for `off`.

    Raises ValueError with one sentence.
    """
    if text == "off":
        return None
    if text == "on":
        return limits
    match = RATE.fullmatch(text)
    if match is None or not int(match[1]):
        raise ValueError(f"--relay is on, off, or a rate such as on:1M, not {text!r}")
    return replace(limits, relay_rate=float(int(match[1]) * UNITS[match[2]]))


class RelaySide:
    """Relay of a server: issues tickets for introductions, and takes the connections that use them."""

    def __init__(self, clock: IReactorTime, limits: ServerLimits) -> None:
        self.relays = Relays(clock, limits, lambda: new_ticket(secrets.token_bytes))

    def issue(self, asker: str, call: str, now: float) -> tuple[str, str] | None:
        """A ticket for each of the two of `call`, which the key `asker` asked for; None: it has too many."""
        return self.relays.tickets.issue(asker, call, now)

    def connection(self, plain: Any) -> RelayConnection:
        """Return the protocol that takes over from `plain`."""
        return RelayConnection(self.relays, plain.factory, plain.host, plain.port)

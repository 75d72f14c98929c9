"""Limits of both programs in one, for tests of what either or both use."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.wire.limits import ClientLimits, ServerLimits


@dataclass(frozen=True)
class Limits(ServerLimits, ClientLimits):
    """Every limit of a server and of a client."""


DEFAULTS = Limits()

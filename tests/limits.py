"""Limits of both programs in one, for tests of what either or both use."""

from __future__ import annotations

from chatproto.wire.limits import ClientLimits, ServerLimits
from chatproto.wire.values import mixed_value_class


@mixed_value_class
class Limits(ServerLimits, ClientLimits):
    """Every limit of a server and of a client."""


DEFAULTS = Limits()

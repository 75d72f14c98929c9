"""How many connections one address may have, and how fast it may open them."""

from __future__ import annotations

from collections import OrderedDict

from chatproto.directory.classic_registration import network
from chatproto.wire.limits import DEFAULTS, Limits

MOST_KNOWN = 65_536
"""Addresses remembered after their last connection has ended; the longest unseen are forgotten."""


class AddressUse:
    """The connections of one address: how many are open, and its bucket of tokens for new ones."""

    __slots__ = ("open", "seen", "tokens")

    def __init__(self, tokens: float, now: float) -> None:
        self.open = 0
        self.tokens = tokens
        self.seen = now


class Addresses:
    """Counts by address (an IPv6 one by its /64); `now` is in seconds.

    At most `connections_per_address` at once; `new_burst` at once and then `new_rate` a second.
    """

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self._limits = limits
        self._visitors: OrderedDict[str, AddressUse] = OrderedDict()  # the longest unseen first
        self._idle = 0  # of these, how many have nothing open

    def __len__(self) -> int:
        return len(self._visitors)

    def admit(self, host: str, now: float) -> bool:
        """Whether `host` may have one more connection; if so it is counted until `leave`."""
        limits = self._limits
        name = network(host)
        visitor = self._visitors.get(name)
        if visitor is None:
            visitor = self._visitors[name] = AddressUse(limits.new_burst, now)
            self._idle += 1
            self._forget_idle()
        else:
            gained = max(0.0, now - visitor.seen) * limits.new_rate
            visitor.tokens = min(limits.new_burst, visitor.tokens + gained)
            visitor.seen = now
            self._visitors.move_to_end(name)
        if visitor.tokens < 1 or visitor.open >= limits.connections_per_address:
            return False
        visitor.tokens -= 1
        self._idle -= not visitor.open
        visitor.open += 1
        return True

    def leave(self, host: str) -> None:
        """A connection that was admitted has ended."""
        visitor = self._visitors[network(host)]
        visitor.open -= 1
        self._idle += not visitor.open

    def _forget_idle(self) -> None:
        """Keep the table within its bound; whoever has a connection open stays in it.

        Those are moved out of the way as they are met, so that none is met twice in a round.
        """
        for _ in range(len(self._visitors) if self._idle > MOST_KNOWN else 0):
            name, visitor = next(iter(self._visitors.items()))
            if not visitor.open:
                del self._visitors[name]
                self._idle -= 1
                return
            self._visitors.move_to_end(name)

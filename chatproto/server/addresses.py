"""Limit the connections of each address, and how fast it may open new ones."""

from __future__ import annotations

from collections import OrderedDict

from chatproto.directory.classic_registration import network
from chatproto.net.rate_limiter import RateLimiter
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

MOST_KNOWN = 65_536
"""Addresses remembered after their last connection has ended; the longest unseen are forgotten."""


class AddressUse:
    """Connections of one address: how many are open, and the rate limit of new ones."""

    __slots__ = ("limiter", "open")

    def __init__(self, limiter: RateLimiter) -> None:
        self.open = 0
        self.limiter = limiter


class Addresses:
    """Counts by address (an IPv6 one by its /64); `now` is in seconds.

    At most `connections_per_address` at once; `new_burst` at once and then `new_rate` a second.
    """

    def __init__(self, limits: ServerLimits = SERVER_DEFAULTS) -> None:
        self._limits = limits
        self._uses: OrderedDict[str, AddressUse] = OrderedDict()  # the longest unseen first
        self._idle = 0  # of these, how many have nothing open

    def __len__(self) -> int:
        return len(self._uses)

    def admit(self, host: str, now: float) -> bool:
        """Count one more connection of `host` until `leave`; return False if it is one too many."""
        limits = self._limits
        name = network(host)
        use = self._uses.get(name)
        if use is None:
            use = AddressUse(RateLimiter(limits.new_rate, limits.new_burst))
            self._uses[name] = use
            self._idle += 1
            self._forget_idle()
        else:
            self._uses.move_to_end(name)
        if use.open >= limits.connections_per_address or not use.limiter.allow(now):
            return False
        self._idle -= not use.open
        use.open += 1
        return True

    def leave(self, host: str) -> None:
        """Count the end of a connection that was admitted."""
        use = self._uses[network(host)]
        use.open -= 1
        self._idle += not use.open

    def _forget_idle(self) -> None:
        """Keep the table within its bound; whoever has a connection open stays in it.

        Those are moved out of the way as they are met, so that none is met twice in a round.
        """
        for _ in range(len(self._uses) if self._idle > MOST_KNOWN else 0):
            name, use = next(iter(self._uses.items()))
            if not use.open:
                del self._uses[name]
                self._idle -= 1
                return
            self._uses.move_to_end(name)

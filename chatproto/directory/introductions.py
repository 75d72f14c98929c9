"""How often one person may be introduced to another."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TypeVar

from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import Limits

K = TypeVar("K")
MINUTE = 60.0
MOST = 100_000
"""How many pairs and keys are remembered; the oldest are forgotten."""


class Introductions:
    """Counts them: so many of one key in a minute, and so many to one (protocol section 3).

    Two who have asked for each other have accepted each other, as far as a server can tell, and are
    not counted.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pairs: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._callers: OrderedDict[str, deque[float]] = OrderedDict()
        self._callees: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, caller: str, callee: str, now: float) -> None:
        """One more. Raises RemoteError 429 if that is one too many."""
        mutual = (callee, caller) in self._pairs
        self._pairs[caller, callee] = None
        self._pairs.move_to_end((caller, callee))
        if len(self._pairs) > MOST:
            self._pairs.popitem(last=False)
        if mutual:
            return
        own = _recent(self._callers, caller, now)
        received = _recent(self._callees, callee, now)
        limits = self._limits
        if len(own) >= limits.introductions_from or len(received) >= limits.introductions_to:
            raise RemoteError(429, "too many introductions")
        own.append(now)
        received.append(now)


def _recent(times: OrderedDict[K, deque[float]], key: K, now: float) -> deque[float]:
    """Those of the last minute."""
    found = times.setdefault(key, deque())
    times.move_to_end(key)
    if len(times) > MOST:
        times.popitem(last=False)
    while found and found[0] <= now - MINUTE:
        found.popleft()
    return found

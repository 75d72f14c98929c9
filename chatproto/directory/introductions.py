"""Limit how often one client is introduced to others."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TypeVar

from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits

K = TypeVar("K")
MINUTE = 60.0
MOST = 100_000
"""Pairs and keys that are remembered at most; the oldest are forgotten."""


class Introductions:
    """Counts them: so many of one key in a minute, and so many to one (protocol section 3).

    Two who have asked for each other have accepted each other, as far as a server can tell, and are
    not counted. Strangers of one address get a part of what one key may receive, and all strangers
    together leave some of it to people whom that key knows: it watches them, or allows them to find it.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._pairs: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._callers: OrderedDict[str, deque[float]] = OrderedDict()
        self._callees: OrderedDict[str, deque[float]] = OrderedDict()
        self._in_vain: OrderedDict[str, deque[float]] = OrderedDict()
        self._by_callee: OrderedDict[str, deque[tuple[str, float]]] = OrderedDict()
        self._strangers: OrderedDict[str, deque[float]] = OrderedDict()  # by callee
        self._addresses: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()  # and address

    def count(
        self, caller: str, callee: str, now: float, address: str = "", known: bool = False
    ) -> None:
        """Count one introduction; `known`: the callee watches or allows the caller.

        Raises: RemoteError: 429 if it exceeds a limit.
        """
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
        if not known:
            strangers = _recent(self._strangers, callee, now)
            neighbours = _recent(self._addresses, (callee, address), now)
            if (
                len(strangers) >= max(1, limits.introductions_to - limits.introductions_reserve)
                or len(neighbours) >= limits.introductions_to_per_address
            ):
                raise RemoteError(429, "too many introductions of strangers")
            strangers.append(now)
            neighbours.append(now)
        own.append(now)
        received.append(now)
        made = self._by_callee.setdefault(callee, deque(maxlen=limits.introductions_to))
        made.append((caller, now))
        self._by_callee.move_to_end(callee)
        if len(self._by_callee) > MOST:
            self._by_callee.popitem(last=False)

    def count_in_vain(self, caller: str, now: float) -> None:
        """Count a request of `caller` that introduces nobody, which has a bound of its own.

        Raises RemoteError 429 past `introductions_vain` within a minute.
        """
        asked = _recent(self._in_vain, caller, now)
        if len(asked) >= self._limits.introductions_vain:
            raise RemoteError(429, "too many requests for clients that are not here")
        asked.append(now)

    def lost(self, callee: str) -> None:
        """Take back the introductions to `callee` of the last minute from their callers' counts.

        The connection of `callee` has ended, so it may not have received them; the callers ask again.
        The count of `callee` itself stays.
        """
        for caller, at in self._by_callee.pop(callee, ()):
            own = self._callers.get(caller)
            if own is not None and at in own:
                own.remove(at)


def _recent(times: OrderedDict[K, deque[float]], key: K, now: float) -> deque[float]:
    """Return the times of the last minute under `key`, after dropping older ones."""
    found = times.setdefault(key, deque())
    times.move_to_end(key)
    if len(times) > MOST:
        times.popitem(last=False)
    while found and found[0] <= now - MINUTE:
        found.popleft()
    return found

"""Judge which servers are alive: those whose counters move. Pure; takes `now`.

Redis's time is the time of day, which may jump; each server measures with its own monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping

NODES, GONE = "chatproto:nodes", "chatproto:gone"
"""Redis keys: counters of servers that move while they live, and when servers went (a sorted set)."""


def inbox_key(node: str) -> str:
    """Return the key of the stream of notices for the server `node`."""
    return f"chatproto:inbox:{node}"


class NodeTable:
    """Servers that share a Redis. `lapse`: seconds without a beat after which one is given up."""

    def __init__(self, lapse: float) -> None:
        self._lapse = lapse
        self._moved: dict[str, tuple[int, float]] = {}  # counter, and when it came to be that

    def __contains__(self, node: str) -> bool:
        return node in self._moved

    def see(self, counters: Mapping[str, int], now: float) -> set[str]:
        """Note the counters of all nodes; return those that are there no more."""
        gone = self._moved.keys() - counters.keys()
        for node in gone:
            del self._moved[node]
        for node, counter in counters.items():
            if node not in self._moved or self._moved[node][0] != counter:
                self._moved[node] = counter, now
        return set(gone)

    def late(self, now: float) -> list[tuple[str, int]]:
        """Return the nodes that have been silent for too long, each with its counter."""
        before = now - self._lapse
        return [(node, counter) for node, (counter, moved) in self._moved.items() if moved < before]

    def hold(self, now: float) -> None:
        """Count nobody's silence until `now`: Redis was away."""
        self._moved = {node: (counter, now) for node, (counter, _) in self._moved.items()}

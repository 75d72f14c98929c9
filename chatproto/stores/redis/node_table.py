"""Decide which servers are running: those whose counters increase. Pure; takes `now`.

The time of Redis is the time of day, which may jump; each server measures with its own monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping

NODES, GONE = "chatproto:nodes", "chatproto:gone"
"""Redis keys: counters of servers that increase while they run, and when servers left (a sorted set)."""


def inbox_key(node: str) -> str:
    """Return the key of the stream of notices for the server `node`."""
    return f"chatproto:inbox:{node}"


class NodeTable:
    """Servers that share a Redis. `lapse`: seconds without a beat after which one is removed."""

    def __init__(self, lapse: float) -> None:
        self._lapse = lapse
        self._moved: dict[str, tuple[int, float]] = {}  # counter, and when it reached that value

    def __contains__(self, node: str) -> bool:
        return node in self._moved

    def see(self, counters: Mapping[str, int], now: float) -> set[str]:
        """Store the counters of all nodes; return the nodes that are missing now."""
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
        """Ignore all silence until `now`: Redis was unreachable."""
        self._moved = {node: (counter, now) for node, (counter, _) in self._moved.items()}

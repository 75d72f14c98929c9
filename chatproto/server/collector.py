"""Keep Python's cycle collector from blocking the reactor, whatever the number of objects.

A full collection examines every object: 50 ms with 20,000 registrations, seconds with a million. While the
server runs there is none. Objects that survive two smaller collections are not examined again; their memory
is freed when nothing refers to them any more. Connections therefore break their reference cycles when they
end.
"""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New objects after which the youngest generation is collected, which takes about a millisecond."""
MIDDLE = 10
"""Such collections after which the middle generation is collected too, which takes some milliseconds."""
NEVER = 1_000_000
"""Collections of the middle generation before a full one; it would find only frozen objects."""


class BoundedCollector:
    """Cycle collector of this process, without full collections from `start` to `stop`."""

    def start(self) -> None:
        """Run one full collection, and from then on collect only new objects."""
        self._before = gc.get_threshold()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        gc.callbacks.append(self._collected)
        gc.collect()

    def stop(self) -> None:
        """Restore the former thresholds."""
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*self._before)
            gc.unfreeze()

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"]:
            gc.freeze()

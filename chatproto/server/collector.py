"""Keep Python's cycle collector from stopping the reactor, however much a server holds.

A full collection looks at every object: with 20,000 registrations that took 50 ms, with a million it
would take seconds. So there is none while the server runs. What two smaller collections have not
removed stays, and is not looked at again; its memory is freed when nothing refers to it any more.
Connections therefore break the cycles that they are part of when they end.
"""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New objects after which the newest are looked at: about a millisecond."""
MIDDLE = 10
"""Such collections after which those that survived them are looked at too: some milliseconds."""
NEVER = 1_000_000
"""Larger collections after which there would be a full one, which finds nothing."""


class BoundedCollector:
    """The collector of this process, bounded from `start` to `stop`."""

    def start(self) -> None:
        """Look at everything once, and from then on at what is new."""
        self._before = gc.get_threshold()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        gc.callbacks.append(self._collected)
        gc.collect()

    def stop(self) -> None:
        """Collect as before."""
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*self._before)
            gc.unfreeze()

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"]:
            gc.freeze()

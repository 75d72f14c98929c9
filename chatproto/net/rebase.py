"""Translate the moments in a store into the time of the program that opens it.

A program stores moments in its own `Monotonic` time, which starts as the time of day. If the system's
clock was set since, while the program ran or was off, the next program's time differs: a lease that
ends in an hour would end at once, or in a year. So the store records the moment of its last write, in
that time and on the machine's clock that cannot be set, and its moments are shifted by the difference.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from chatproto.net.clock import Monotonic, elapsed
from chatproto.wire.values import value_class

OFF_COUNTS = 86400.0
"""Largest number of seconds that a program counts as off if the machine was restarted meanwhile and
only the system's clock can tell: less than any age after which an id or a room is removed.
"""
LEAST = 1.0
"""Smallest difference in seconds for which moments are shifted."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def _boot(path: Path) -> str:
    """Return the id of this boot of the machine, empty if there is none; it never changes."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


@value_class
class Seen:
    """Moment of a store's last write: `at` by the program's clock, `up` by that of the boot `boot`."""

    at: Monotonic
    up: float
    boot: str

    @classmethod
    def now(cls, at: Monotonic) -> Seen:
        """Return the present moment, which is `at`."""
        return cls(at, elapsed(), _boot(BOOT))

    def text(self) -> str:
        """Return it as text for a store."""
        return json.dumps([self.at, self.up, self.boot])

    @classmethod
    def read(cls, text: str) -> Seen | None:
        """Parse `text`; return None if it is invalid."""
        try:
            at, up, boot = json.loads(text)
            return cls(float(at), float(up), str(boot))
        except (ValueError, TypeError):
            return None


@value_class
class Shift:
    """Seconds by which `ages` (leases, ids, rooms) and `dates` (bans, messages) shift."""

    ages: float = 0.0
    dates: float = 0.0


def rebase(last: Seen | None, newest: Monotonic, now: Seen) -> Shift:
    """Return how far to shift the moments of a store that was written at `last`.

    `newest`: the latest moment in a store without a record of its last write, as older programs wrote
    it. On the same boot the time for which the program was off is known. Otherwise it is the difference
    of the clocks, but never negative, and for ages at most `OFF_COUNTS`.
    """
    if last is None:
        behind = now.at - newest
        return Shift(behind, behind) if behind < -LEAST else Shift()
    off = now.at - last.at
    if last.boot and last.boot == now.boot and now.up >= last.up:
        shift = off - (now.up - last.up)
        return Shift(shift, shift) if abs(shift) >= LEAST else Shift()
    if off < 0:
        return Shift(off, off)
    return Shift(max(0.0, off - OFF_COUNTS), 0.0)

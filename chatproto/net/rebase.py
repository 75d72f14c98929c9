"""Translate the ends and ages in a store into the time of the program that opens it.

A program keeps moments in its own `Monotonic` time, which begins at the time of day. If the system's
clock was set since, while the program ran or was off, the next program's time is another: what ends in
an hour would end at once, or in a year. So the store remembers when it was written last, on that time
and on the clock of the machine that nobody can set, and what is kept moves by the difference.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from chatproto.net.clock import Monotonic, elapsed
from chatproto.wire.values import value_class

OFF_COUNTS = 86400.0
"""Seconds that a program counts as off at most, where the machine was started anew meanwhile and only
the system's clock can tell: less than any age after which an id or a room is forgotten."""
LEAST = 1.0
"""Seconds of a difference that are worth moving anything."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def _boot(path: Path) -> str:
    """Return the id of this boot of the machine, empty if there is none; it cannot change meanwhile."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


@value_class
class Seen:
    """The moment of a store's last write: `at` by the program's clock, `up` by that of the boot `boot`."""

    at: Monotonic
    up: float
    boot: str

    @classmethod
    def now(cls, at: Monotonic) -> Seen:
        """Return the present moment, which is `at`."""
        return cls(at, elapsed(), _boot(BOOT))

    def text(self) -> str:
        """Return it as a store keeps it."""
        return json.dumps([self.at, self.up, self.boot])

    @classmethod
    def read(cls, text: str) -> Seen | None:
        """Return what `text` says; None if that is nothing."""
        try:
            at, up, boot = json.loads(text)
            return cls(float(at), float(up), str(boot))
        except (ValueError, TypeError):
            return None


@value_class
class Shift:
    """Seconds by which `ages` (leases, ids, rooms) and `dates` (bans, what was said) move."""

    ages: float = 0.0
    dates: float = 0.0


def rebase(last: Seen | None, newest: Monotonic, now: Seen) -> Shift:
    """Return how far the moments of a store move that was written at `last`.

    `newest`: the latest moment in a store that does not say when it was written, as those of older
    programs do not. On the same boot the time for which the program was off is known. Else it is what
    the clocks say, but never negative, and for ages at most `OFF_COUNTS`.
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

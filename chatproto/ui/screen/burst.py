"""Distinguish a pasted line end from a pressed Enter if the terminal does not mark pastes.

Keys of a paste arrive together. An Enter followed by further keys was pasted, and so is each Enter that
follows within `paste_gap`. No user types so fast; keys typed while the program did not respond count as
a paste too, and stay in the prompt.
"""

from __future__ import annotations

from collections.abc import Callable

from chatproto.wire.limits import CLIENT_DEFAULTS


class Burst:
    """Follow the keys. `seconds` returns monotonic seconds; `gap`: seconds between two keys of a paste."""

    def __init__(
        self, seconds: Callable[[], float], gap: float = CLIENT_DEFAULTS.paste_gap
    ) -> None:
        self._seconds = seconds
        self._gap = gap
        self._last: float | None = None  # when the last key of a paste arrived
        self._marks = False

    def key(self) -> None:
        """Note a key: a paste continues while keys follow each other within the gap."""
        if self._goes_on():
            self._last = self._seconds()

    def marked(self) -> None:
        """Note that the terminal marked a paste: it marks all of them, and guessing is unnecessary."""
        self._marks = True

    def line_end(self, more: bool) -> bool:
        """Return True if this Enter was pasted; `more`: further keys have arrived already."""
        if self._marks or not (more or self._goes_on()):
            return False
        self._last = self._seconds()
        return True

    def _goes_on(self) -> bool:
        if self._last is not None and self._seconds() > self._last + self._gap:
            self._last = None
        return self._last is not None

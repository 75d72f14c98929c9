"""Tell a pasted line end from a pressed Enter, where the terminal does not mark pastes.

Keys of a paste come together. An Enter with further keys behind it was pasted, and so is each Enter that
follows within `paste_gap`. Nobody types so fast; what was typed ahead while the program stood still is
taken for a paste too, and stays in the prompt.
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
        self._last: float | None = None  # when the last key of a paste came
        self._marks = False

    def key(self) -> None:
        """Note a key: a paste goes on while keys follow each other within the gap."""
        if self._goes_on():
            self._last = self._seconds()

    def marked(self) -> None:
        """Note that the terminal marked a paste: it marks all of them, and no guess is needed."""
        self._marks = True

    def line_end(self, more: bool) -> bool:
        """Return True if this Enter was pasted; `more`: further keys have come already."""
        if self._marks or not (more or self._goes_on()):
            return False
        self._last = self._seconds()
        return True

    def _goes_on(self) -> bool:
        if self._last is not None and self._seconds() > self._last + self._gap:
            self._last = None
        return self._last is not None

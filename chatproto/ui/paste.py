"""A paste into a terminal: many lines, one message."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from chatproto.wire.limits import CLIENT_DEFAULTS, ClientLimits


class Paste:
    """Collect pasted lines, which follow each other faster than anybody types, into one message.

    The message is sent when `limits.paste_gap` seconds have passed without another line and `more` says
    that none is waiting. A text longer than `limits.body_to_server` bytes is sent in several, of whole
    lines.
    """

    def __init__(
        self,
        clock: IReactorTime,
        say: Callable[[str], None],
        limits: ClientLimits = CLIENT_DEFAULTS,
        more: Callable[[], bool] = lambda: False,
    ) -> None:
        self._clock = clock
        self._say = say
        self._more = more
        self._limits = limits
        self._lines: list[str] = []
        self._size = 0
        self._timer: IDelayedCall | None = None

    @property
    def begun(self) -> bool:
        """True after a paste has begun, so that the next line is text even with a slash."""
        return bool(self._lines)

    def add(self, line: str) -> None:
        """Another line of it, the first one too."""
        size = len(line.encode()) + 1
        if self._lines and self._size + size > self._limits.body_to_server:
            self.end()
        self._lines.append(line)
        self._size += size
        if self._timer is not None and self._timer.active():
            self._timer.reset(self._limits.paste_gap)
        else:
            self._timer = self._clock.callLater(self._limits.paste_gap, self._paused)

    def _paused(self) -> None:
        if self._more():
            self._timer = self._clock.callLater(self._limits.paste_gap, self._paused)
        else:
            self.end()

    def end(self) -> None:
        """Send the collected lines as one message."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        lines, self._lines, self._size = self._lines, [], 0
        text = "\n".join(lines).rstrip("\n")
        if text.strip():
            self._say(text)

"""Handle pastes into a terminal that does not mark them: many lines become one message, and commands do
not run.

Lines that follow each other within `paste_gap` were pasted. After a text, or after a line that is not a
command, a pasted line that begins with / is held, with all lines after it, so that their order stays.
When the paste has ended, the user is asked about them. Only a single line answers: an empty one sends
them as text, /drop discards those that begin with /. Any other line is added to the held ones, because
it may be the end of the paste, which had no line end. After `ANSWER_WAIT` without an answer all of them
are discarded, with a notice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from chatproto.net.timers import Timers
from chatproto.wire.limits import CLIENT_DEFAULTS

MOST_LINES = 400
"""Largest number of held lines; less than `waiting_messages`, so that all can be sent at once."""

ANSWER_WAIT = 60.0
"""Seconds for the answer to the question about held lines."""

Target = Callable[[], object]
"""Function that returns the recipient of the next line, as a value that is equal only to itself."""


class Pause(ABC):
    """Detect the end of a paste: `paste_gap` without a line, and no unread input.

    Args: say: sends a text to the current target. more: returns True while unread input may be waiting.
    """

    def __init__(
        self, clock: IReactorTime, say: Callable[[str], None], more: Callable[[], bool]
    ) -> None:
        self._say = say
        self._more = more
        self._timers = Timers(clock)

    @abstractmethod
    def _over(self) -> None:
        """Handle the end of the paste."""

    def _wait(self) -> None:
        self._timers.after("pause", CLIENT_DEFAULTS.paste_gap, self._paused)

    def _paused(self) -> None:
        if self._more():
            self._wait()
        else:
            self._over()


class Paste(Pause):
    """Join pasted lines, which follow each other faster than a user types, into one message.

    A text longer than `body_to_server` bytes is sent in several messages of whole lines.
    """

    def __init__(
        self,
        clock: IReactorTime,
        say: Callable[[str], None],
        more: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(clock, say, more)
        self._lines: list[str] = []
        self._size = 0

    @property
    def begun(self) -> bool:
        """True after a paste has begun, so that the next line is text even with a slash."""
        return bool(self._lines)

    def add(self, line: str) -> None:
        """Add a line of the paste, also the first one."""
        size = len(line.encode()) + 1
        if self._lines and self._size + size > CLIENT_DEFAULTS.body_to_server:
            self.end()
        self._lines.append(line)
        self._size += size
        self._wait()

    def end(self) -> None:
        """Send the collected lines as one message."""
        self._timers.stop()
        lines, self._lines, self._size = self._lines, [], 0
        text = "\n".join(lines).rstrip("\n")
        if text.strip():
            self._say(text)

    _over = end


class PasteGuard(Pause):
    """Hold the commands of a paste, and ask about them.

    Args: see `Pause`; notify: shows a sentence to the user.
    """

    def __init__(
        self,
        clock: IReactorTime,
        say: Callable[[str], None],
        notify: Callable[[str], None],
        target: Target,
        more: Callable[[], bool],
    ) -> None:
        super().__init__(clock, say, more)
        self._notify = notify
        self._target = target
        self._text_before = False  # in this paste: the lines after it may be text as well
        self._held: list[str] = []
        self._for: object = None  # the target at the time of the paste
        self._asked = False
        self._since: list[
            str
        ] = []  # lines since the question, until they are known not to be pasted
        self._full = False  # too many were held: the rest of this paste is discarded

    def takes(self, line: str) -> bool:
        """Return True if `line` is held, or answers the question; it must not be carried out then."""
        if self._full:
            self._wait()
            return True
        if self._asked:
            self._hold(self._since, line)
            return True
        if self._held or (self._text_before and line.startswith("/")):
            if not self._held:
                self._for = self._target()
            self._hold(self._held, line)
            return True
        return False

    def done(self, command: bool) -> None:
        """Note that a line was carried out; `command`: it was a command, not a text."""
        self._text_before = self._text_before or not command
        self._wait()

    def end(self) -> None:
        """Discard the held lines at the end of input, with a notice."""
        self._timers.stop()
        lines = len(self._held) + len(self._since)
        if lines:
            self._notify(f"not sent: {_pasted(lines)}")
        self._forget()

    # Consequences.

    def _hold(self, lines: list[str], line: str) -> None:
        lines.append(line)
        waiting = [*self._held, *self._since]
        size = sum(len(one.encode()) for one in waiting)
        if len(waiting) > MOST_LINES or size > CLIENT_DEFAULTS.message:
            self._forget()
            self._full = True
            self._notify(
                f"not sent: more than {MOST_LINES} lines or {CLIENT_DEFAULTS.message} bytes"
                " were pasted behind a line that begins with /"
            )
        self._wait()

    def _over(self) -> None:
        self._text_before = self._full = False
        since, self._since = self._since, []
        if self._asked and len(since) == 1 and not since[0].strip():
            self._send(self._held)
        elif self._asked and len(since) == 1 and since[0].strip().lower() == "/drop":
            self._send([line for line in self._held if not line.startswith("/")])
        elif self._held and (since or not self._asked):
            self._held += since
            self._asked = True
            self._notify(_question(self._held))
            self._timers.after("pause", ANSWER_WAIT, self._unanswered)
        elif self._asked:
            self._timers.after("pause", ANSWER_WAIT, self._unanswered)

    def _unanswered(self) -> None:
        lines = len(self._held)
        self._forget()
        self._notify(f"not sent, the question about commands was not answered: {_pasted(lines)}")

    def _send(self, lines: list[str]) -> None:
        theirs = self._target() == self._for
        self._forget()
        if lines and not theirs:
            self._notify(f"not sent, pasted for another conversation: {_pasted(len(lines))}")
            return
        for line in lines:
            if line.strip():
                self._say(line)

    def _forget(self) -> None:
        self._held, self._since, self._asked, self._for = [], [], False, None


def _pasted(count: int) -> str:
    return "1 pasted line" if count == 1 else f"{count} pasted lines"


def _question(held: list[str]) -> str:
    count = sum(line.startswith("/") for line in held)
    begin, them = ("begins", "it") if count == 1 else ("begin", "them")
    others = len(held) - count
    behind = f" ({others} more wait behind {them})" if others else ""
    return (
        f"{_pasted(count)} {begin} with /{behind}: Enter sends {them} as text, /drop forgets {them}"
    )

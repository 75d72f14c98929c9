"""Lay out events and own lines as rows for the terminal's scrollback, with headings for earlier
messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from chatproto.client.events import (
    CommandOutput,
    Delivered,
    Event,
    Exited,
    Failed,
    FileChanged,
    IncomingCallEvent,
    MessageReceived,
    RoomChanged,
    Sent,
    SessionChanged,
    Uncertain,
    Undelivered,
)
from chatproto.net.clock import Wall
from chatproto.stdio.printable import printable
from chatproto.ui.legible import inline, name, room_name, split
from chatproto.ui.qr import qr_lines
from chatproto.ui.screen.cells import cut
from chatproto.ui.screen.folding import folded
from chatproto.ui.screen.glyphs import UNICODE, Glyphs
from chatproto.ui.screen.keymap import USUAL_KEYS, Keymap
from chatproto.ui.screen.own_lines import OwnLine
from chatproto.ui.screen.rows import label, plain_rows, rows, rule
from chatproto.ui.screen.styles import Fragment, Line, person_style
from chatproto.ui.topics import key_lines
from chatproto.ui.view import plain_lines
from chatproto.wire.actions import spoken

PAST = 7 * 86400.0
"""Seconds: the date that a message carries is accepted up to this age."""
BELOW = 2
"""Rows below the scrollback: status line and prompt."""
LATE = 60.0
"""Seconds by which the clock of a peer may be wrong, for a line that counts as older than the start."""
END = "end of what is new"
"""Line after lines that were new at the start."""
_NOTICE: Line = (("dim", "--"),)
_TROUBLE: Line = (("bad", "!!"),)


class Scrollback:
    """Lay out each event once, with day lines between.

    Args: own_id: our id. columns, height: return the size of the terminal. time_format: of `strftime`,
    for the local time before each entry. keys: chosen by the user.
    """

    def __init__(
        self,
        own_id: str,
        columns: Callable[[], int],
        height: Callable[[], int],
        glyphs: Glyphs,
        time_format: str = "%H:%M",
        keys: Keymap = USUAL_KEYS,
    ) -> None:
        self._keys = keys
        self._own_id = own_id
        self._columns = columns
        self._height = height
        self._glyphs = glyphs
        self._format = time_format
        self._day: object = None

    def event(self, event: Event, now: Wall) -> list[Line]:
        """Return the rows of `event`; none if it is shown elsewhere."""
        match event:
            case MessageReceived():
                return self._message(event, now)
            case CommandOutput(command="help") if event.data.get("topic") == "keys":
                return plain_rows(key_lines(self._keys), self._columns())
            case CommandOutput():
                lines = self._plain(event, now)
                shown = plain_rows(lines, self._columns())
                if self._glyphs.full != UNICODE.full:
                    return shown
                left = self._height() - len(shown) - BELOW
                code = qr_lines(event, self._columns(), left)
                if len(code) == 1:  # why there is none
                    return shown + plain_rows(code, self._columns())
                return shown + [(("", line),) for line in code]
            case Sent() | Delivered() | Exited():
                return []  # own_lines.py shows them
            case RoomChanged(change="current"):
                return []  # the prompt shows it
            case SessionChanged() if event.current and not event.dialect and not event.turn:
                return []  # the same
            case SessionChanged(state="open") if (
                event.turn and not event.dialect and not event.mode
            ):
                return []  # so does the turn
            case FileChanged(state="moving") if not event.reason:
                return []  # its bar shows it
        lines = self._plain(event, now)
        if isinstance(event, IncomingCallEvent):
            lines = lines[:1]  # the keys are named above the prompt
        trouble = isinstance(event, Failed | Undelivered | Uncertain)
        return [
            row
            for line in lines
            for row in self._entry(now, _TROUBLE if trouble else _NOTICE, [line])
        ]

    def own(self, line: OwnLine, current: str, printed: bool = True) -> list[Line]:
        """Return the rows of the own `line` with its mark.

        Args: current: the current conversation. printed: False above the prompt, without a day line.
        """
        parts: list[Fragment] = [("you", "you")]
        if line.where.startswith("#"):
            parts.insert(0, (person_style(line.where), line.where))
        elif line.where != current:
            parts.append((person_style(line.where), f"to {name(line.where)}"))
        shown = folded(split(spoken(line.text)), self._glyphs)
        return self._entry(line.at, label(parts, self._glyphs), shown, self._mark(line), printed)

    def late(self, lines: list[OwnLine], now: Wall) -> list[Line]:
        """Return the rows about `lines`, delivered or sent after they were printed."""
        found: list[Line] = []
        for where, mark in dict.fromkeys((line.where, line.mark) for line in lines):
            ours = [line for line in lines if (line.where, line.mark) == (where, mark)]
            # Plain text is sent, and its delivery stays unknown.
            sure = mark == "delivered"
            tick = f"{self._glyphs.tick} " if sure else ""
            to = f"{'delivered' if sure else 'sent'} to {name(where)}"
            text = f"{tick}{len(ours)} messages {to}"
            if len(ours) == 1:
                said = cut(inline(spoken(ours[0].text)), 40, self._glyphs.more)
                text = f"{tick}{to}: {said}"
            found += self._entry(now, _NOTICE, [text])
        return found

    def last(self, said: list[MessageReceived], unread: int, title: str, now: Wall) -> list[Line]:
        """Return the latest messages, with a line before the first of the `unread` ones."""
        if not said:
            return []
        found = [self.heading(title, "dim")]
        first = len(said) - unread
        for number, event in enumerate(said):
            if number == first or (not number and first < 0):
                found.append(self.heading(f"{unread} unread"))
            found += self._message(event, now, fold=True)
        return found

    def past(self, said: Sequence[MessageReceived], title: str, now: Wall) -> list[Line]:
        """Return the messages that a command looked up: dim, between `title` and a line that ends them.

        Own lines include their recipient.
        """
        found = [self.heading(title, "dim")]
        for event in said:
            found += self._message(event, now, style="dim", whom=True)
        return [*found, self.heading("end", "dim")]

    def heading(self, text: str, style: str = "warn") -> Line:
        """Return a line with `text` in it, before or after lines that belong together."""
        return rule(text, self._columns(), self._glyphs, style)

    # Layout of an entry.

    def _plain(self, event: Event, now: Wall) -> list[str]:
        return [line.removeprefix("* ") for line in plain_lines(event, now, form=self._format)]

    def _message(
        self,
        event: MessageReceived,
        now: Wall,
        fold: bool = False,
        style: str = "",
        whom: bool = False,
    ) -> list[Line]:
        at = now
        if event.said is not None and (event.history or now - PAST <= event.said <= now):
            at = event.said
        own = event.from_ == self._own_id and (event.room is not None or event.to is not None)
        who = name(event.from_) + ("?" if event.other_key else "")
        parts: list[Fragment] = [("you", "you")] if own else [(person_style(who), who)]
        if event.room is not None:
            room = room_name(event.room)
            parts.insert(0, (person_style(room), room))
        elif own and whom:
            parts.append((person_style(event.to or ""), f"to {name(event.to or '')}"))
        mark = self._past_mark(event.state) if own else None
        lines = split(spoken(event.text))
        shown = folded(lines, self._glyphs) if fold else lines
        return self._entry(at, label(parts, self._glyphs), shown, mark, style=style)

    def _entry(
        self,
        at: Wall,
        who: Line,
        lines: list[str],
        mark: Fragment | None = None,
        printed: bool = True,
        style: str = "",
    ) -> list[Line]:
        columns = self._columns()
        ours = who in (_NOTICE, _TROUBLE)
        try:
            moment = datetime.fromtimestamp(float(at))
            time = printable(moment.strftime(self._format)) if self._format else ""
        except (OverflowError, ValueError, OSError):  # a peer's wrong clock
            return rows("??:??", who, lines, columns, self._glyphs, style, mark, ours)
        found: list[Line] = []
        if printed and moment.date() != self._day:
            self._day = moment.date()
            day = f"{moment:%A}, {moment.day} {moment:%B %Y}"
            found.append(rule(printable(day), columns, self._glyphs))
        return found + rows(time, who, lines, columns, self._glyphs, style, mark, ours)

    def _past_mark(self, state: str | None) -> Fragment | None:
        """Return the mark of an own line in the log."""
        if state == "delivered":
            return ("good", self._glyphs.tick)
        words = {
            "waiting": "[queued]",
            "uncertain": "[may not have arrived]",
            "undelivered": "[not delivered]",
        }
        return ("warn", words[state]) if state in words else None

    def _mark(self, line: OwnLine) -> Fragment | None:
        match line.mark:
            case "delivered":
                return ("good", self._glyphs.tick)
            case "waits":
                return ("warn", f"[queued, /unsend {line.id}]" if line.id else "[queued]")
            case "held":
                return ("warn", "[held until your turn]")
            case "failed":
                return ("bad", "[not delivered]")
        return None


def is_past(event: Event) -> bool:
    """Return True for a line of a log or of a room's history that the user knew before, or requested."""
    return isinstance(event, MessageReceived) and bool(event.history) and not event.missed


def past_title(said: Sequence[MessageReceived], event: Event | None) -> str:
    """Return the heading of `said`; `event` followed them: the end of the command that looked them up.

    At the start there is none: the last run of the program may not have shown them.
    """
    count = f"{len(said)} message{'' if len(said) == 1 else 's'}"
    if isinstance(event, CommandOutput) and event.command == "search":
        return f"search: {count}"
    if isinstance(event, CommandOutput) and event.command == "history":
        first = said[0]
        whom = room_name(first.room) if first.room is not None else name(first.to or first.from_)
        return f"history of {whom}: {count}"
    return f"new since you were last here: {count}"


def news_title(event: Event, now: Wall, began: Wall) -> str:
    """Return the heading of lines such as `event` that were sent before the program began; or "".

    Args: now, began: seconds since 1970.
    """
    if not isinstance(event, MessageReceived):
        return ""
    if event.missed and event.room is not None:
        return f"new in {room_name(event.room)}"
    if event.history or event.said is None or event.said >= min(began, now - LATE):
        return ""
    where = room_name(event.room) if event.room is not None else name(event.from_)
    return f"new from {where}, written while you were away"

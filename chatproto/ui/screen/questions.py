"""Questions to the user: calls, files and invitations, protected from accidental answers."""

from __future__ import annotations

from chatproto.client.events import (
    Event,
    FileChanged,
    IncomingCallEvent,
    RoomChanged,
    SessionChanged,
)
from chatproto.ui.file_view import amount
from chatproto.ui.legible import inline, name, room_name
from chatproto.ui.screen.cells import cut, width, wrap
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.keymap import STANDS, Keymap
from chatproto.ui.screen.styles import Line
from chatproto.wire.values import value_class

MOST = 50
"""Largest number of queued questions; further ones are only printed, and /accept answers them."""


@value_class
class Question:
    """`kind`: call, file or invitation. `about`: an id, a number or a room. `text`: printable."""

    kind: str
    about: str
    text: str


class QuestionQueue:
    """Queue of questions, the oldest first. `now` is monotonic seconds. `keys`: keys that answer."""

    def __init__(self, keys: Keymap) -> None:
        self._keys = keys
        self._all: list[Question] = []
        self._since = 0.0  # when the first one was shown, or a key was pressed last

    def __len__(self) -> int:
        return len(self._all)

    @property
    def first(self) -> Question | None:
        """Return the question that is shown now."""
        return self._all[0] if self._all else None

    def heard(self, event: Event, now: float) -> bool:
        """Add or drop a question, as `event` wants it; True for a new one."""
        match event:
            case IncomingCallEvent(ask=True):
                how = "encrypted" if event.encrypted else "open, not encrypted"
                unsure = event.encrypted and not event.confirmed
                doubt = ", not confirmed" if unsure else ""
                about = f"{event.id}?" if unsure else event.id  # name of the conversation
                return self._ask("call", about, f"{name(event.id)} calls ({how}{doubt})", now)
            case SessionChanged() if event.state not in ("ringing", "calling"):
                self._drop("call", event.was or event.id, now)
                self._drop("call", event.id, now)
            case FileChanged(ask=True):
                who = name(event.from_ or "?")
                text = f"{who} offers {inline(event.name)} ({amount(event.size)})"
                return self._ask("file", str(event.id), text, now)
            case FileChanged() if event.state != "offered":
                self._drop("file", str(event.id), now)
            case RoomChanged(change="invited", own=True):
                by = name(event.by) if event.by else "the server's operator"
                text = f"{by} invites you into {room_name(event.room)}"
                return self._ask("invitation", event.room, text, now)
            case RoomChanged(change="joined", own=True):
                self._drop("invitation", event.room, now)
        return False

    def key(self, now: float) -> None:
        """Note that a key was pressed: a single letter counts as an answer only later."""
        self._since = now

    def takes_letter(self, empty: bool, now: float) -> bool:
        """Return True if a single letter answers: the prompt is `empty` and the question was shown long
        enough.
        """
        return bool(self._all) and empty and now >= self._since + STANDS

    def take(self, now: float) -> Question | None:
        """Remove and return the first question, which is being answered."""
        self._since = now
        return self._all.pop(0) if self._all else None

    def lines(self, columns: int, glyphs: Glyphs) -> list[Line]:
        """Return the rows above the prompt; none without a question.

        The keys are always shown in full: a question that is longer than `columns` is cut, and they
        follow in rows of their own.
        """
        if not self._all:
            return []
        first = self._all[0]
        others = f" (1 of {len(self._all)})" if len(self._all) > 1 else ""
        answers = ("accept", "decline", *(("verify",) if first.kind == "call" else ()))
        keys = ", ".join(f"{self._keys.shown(answer)} {answer}" for answer in answers)
        text = f"? {first.text}{others}: "
        if width(text + keys) <= columns:
            return [(("warn", text), ("", keys))]
        room = columns - width(others) - 3
        shown = f"? {cut(first.text, room, glyphs.more)}{others}:"
        asked: Line = (("warn", cut(shown, columns, glyphs.more)),)
        return [asked, *((("", f"  {row}"),) for row in wrap(keys, max(columns - 2, 2)))]

    def _ask(self, kind: str, about: str, text: str, now: float) -> bool:
        if any((one.kind, one.about) == (kind, about) for one in self._all):
            return False
        if len(self._all) >= MOST:
            return True
        if not self._all:
            self._since = now
        self._all.append(Question(kind, about, text))
        return True

    def _drop(self, kind: str, about: str, now: float) -> None:
        first = self.first
        self._all = [one for one in self._all if (one.kind, one.about) != (kind, about)]
        if self.first is not first:
            self._since = now

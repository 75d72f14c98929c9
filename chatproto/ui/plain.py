"""The plain interface: lines in, lines out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from chatproto.client.app import Client
from chatproto.client.events import Delivered, Event, Failed, Notice, RoomChanged, Running, Sent
from chatproto.net.clock import Wall
from chatproto.net.dates import HOURS_AND_MINUTES
from chatproto.ui.commands import (
    TypedText,
    command_behind_blank,
    parse,
    run,
    run_typed,
)
from chatproto.ui.paste import Paste, PasteGuard
from chatproto.ui.view import plain_lines
from chatproto.wire.reasons import Reason


def dropped(count: int) -> Notice:
    return Notice(f"{count} {'line was' if count == 1 else 'lines were'} not printed")


class PlainInterface:
    """Plain interface: one event per line out, one command or text per line in.

    `write_line` takes a line without its end and does not block. `seconds`: the time of day, seconds
    since 1970. `times`: begin each line with it, in the `form` of `strftime`. `clock`: only for a
    terminal, where pasted lines become one message and run no commands unasked. `more`: returns True if
    unread input is waiting.
    """

    def __init__(
        self,
        client: Client,
        write_line: Callable[[str], None],
        seconds: Callable[[], Wall],
        clock: IReactorTime | None = None,
        more: Callable[[], bool] = lambda: False,
        times: bool = False,
        form: str = HOURS_AND_MINUTES,
    ) -> None:
        self._client = client
        self._write_line = write_line
        self._seconds = seconds
        self._times = times
        self._form = form
        self._queued: Counter[str] = (
            Counter()
        )  # texts for each room that are queued until the server is back
        self._paste: Paste | None = None
        self._guard: PasteGuard | None = None
        if clock is not None:
            self._paste = Paste(clock, self._say, more=more)
            self._guard = PasteGuard(
                clock, self._say, self._notify, lambda: client.conversations.target, more
            )

    def tell(self, event: Event) -> None:
        """Show `event`."""
        late = self._said_late(event)
        for line in plain_lines(late or event, self._seconds(), self._times, self._form):
            self._write_line(line)
        if isinstance(event, Running) and self._guard is not None:
            self.tell(Notice("/help lists the commands"))

    def _said_late(self, event: Event) -> Delivered | None:
        """Return the notice that a text for a room, reported as queued, was delivered."""
        match event:
            case Notice(to=str(to), id=None) if to.startswith("#"):
                self._queued[to] += 1
            case RoomChanged(change="parted", own=True):
                del self._queued[event.room]
            case Sent(room=str(room), id=int(id)) if self._queued[room]:
                self._queued[room] -= 1
                return Delivered(room, id, event.text)
        return None

    def dropped_line(self, count: int) -> str:
        """Format the notice that `count` lines were dropped because the output is full."""
        return plain_lines(dropped(count), self._seconds(), self._times, self._form)[0]

    def on_line(self, line: str) -> None:
        """Carry out `line`, or show why it cannot be done."""
        if self._paste is not None and self._paste.begun:
            self._paste.add(line)
        elif self._guard is None or self._paste is None:
            self._run(line)
        elif not self._guard.takes(line):
            command = _is_command(line) or command_behind_blank(line, self._client)
            if self._client.conversations.room and not command:
                said = parse(line)
                if isinstance(said, TypedText):
                    self._paste.add(said.text)
            else:
                carried_out = False
                try:
                    carried_out = self._run(line) and _is_command(line)
                finally:
                    self._guard.done(carried_out)

    def on_refused(self, sentence: str) -> None:
        """Show why a line was not accepted at all."""
        self.tell(Failed(sentence, status=413, code=Reason.TOO_LARGE))
        if self._guard is not None:
            self._guard.done(command=False)

    def on_end(self) -> None:
        """Handle the end of input."""
        self._end_paste()
        self._client.end_of_input()

    def on_interrupt(self) -> None:
        """Handle Ctrl-C as the end of input; pasted lines are sent or reported as discarded."""
        self._end_paste()
        self._client.interrupted()

    def _end_paste(self) -> None:
        if self._paste is not None and self._guard is not None:
            self._paste.end()
            self._guard.end()

    def _run(self, line: str) -> bool:
        """Carry out `line`; return False if it cannot be parsed."""
        shown = run_typed(line, self._client)
        if shown is not None:
            self.tell(shown)
        return not isinstance(shown, Failed)

    def _say(self, text: str) -> None:
        run(TypedText(text), self._client)

    def _notify(self, sentence: str) -> None:
        self.tell(Notice(sentence))


def _is_command(line: str) -> bool:
    return line.startswith("/") and not line.startswith("//")

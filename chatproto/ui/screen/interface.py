"""The full interface except for the terminal itself: what is shown, and the user's actions.

`terminal.py` draws its output and passes on keys; nothing here depends on the drawing library.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from chatproto.client.app import Client
from chatproto.client.conversations import ActiveTarget
from chatproto.client.events import (
    Bridged,
    Delivered,
    Event,
    Failed,
    FileChanged,
    MessageReceived,
    Notice,
    RoomChanged,
    Sent,
    SessionChanged,
    Undelivered,
)
from chatproto.client.targets import Target
from chatproto.net.clock import Wall
from chatproto.ui.commands import (
    BadCommand,
    Command,
    TypedText,
    attempt,
    parse,
    run_for,
    run_line,
)
from chatproto.ui.completion import completions
from chatproto.ui.legible import inline
from chatproto.ui.plain import dropped
from chatproto.ui.screen import folding
from chatproto.ui.screen.attention import Attention
from chatproto.ui.screen.file_bars import FileBars, files_part
from chatproto.ui.screen.glyphs import Glyphs
from chatproto.ui.screen.here import NARROW, Here, here, prompt_line, recipient, status_parts
from chatproto.ui.screen.keymap import USUAL_KEYS, Keymap
from chatproto.ui.screen.own_lines import OwnLine, OwnLines
from chatproto.ui.screen.questions import Question, QuestionQueue
from chatproto.ui.screen.rows import plain_rows
from chatproto.ui.screen.scrollback import END, Scrollback, is_past, news_title, past_title
from chatproto.ui.screen.status import room_beside, status_line
from chatproto.ui.screen.styles import Line
from chatproto.ui.screen.tab import completed, listing
from chatproto.ui.screen.tabs import Tabs
from chatproto.wire.actions import ACTION, marked
from chatproto.wire.reasons import Reason

BACK = 1.0
"""Seconds after the return from a failed call in which an unfinished line may be meant for that call."""
TWICE = 2.0
"""Seconds between two Ctrl-C that quit."""
ROWS = 5000
"""Rows that are queued for a slow terminal; further ones are dropped and counted."""
FULL = 1000
"""Number of rows from which peers are not read until the terminal has taken most of them."""
LAST = 5
"""Latest lines that are shown when a conversation becomes the current one."""
HELD_ROWS = 6
"""Rows above the prompt for own lines whose delivery is not known yet."""

CLEARS = "Ctrl-C clears the line"
"""Next step for a user whose line stays in the prompt."""


class FullInterface:
    """Hold what the screen shows, and carry out what the user types.

    Args: clock: the reactor's. seconds: the time of day. columns, height: of the terminal. changed:
    called when there is something new to draw. on_full: True while too many rows are queued.
    """

    def __init__(
        self,
        client: Client,
        clock: IReactorTime,
        seconds: Callable[[], Wall],
        columns: Callable[[], int],
        height: Callable[[], int],
        glyphs: Glyphs,
        attention: Attention,
        changed: Callable[[], None],
        on_full: Callable[[bool], None],
        time_format: str = "%H:%M",
        keys: Keymap = USUAL_KEYS,
    ) -> None:
        self._client = client
        self._clock = clock
        self._seconds = seconds
        self._columns = columns
        self._glyphs = glyphs
        self._attention = attention
        self._changed = changed
        self._on_full = on_full
        self._scrollback = Scrollback(
            client.context.settings.client_id, columns, height, glyphs, time_format, keys
        )
        self._tabs = Tabs()
        self._own = OwnLines()
        self._questions = QuestionQueue(keys)
        self._bars = FileBars()
        self._rows: list[Line] = []
        self._began = seconds()
        self._past: list[MessageReceived] = []  # earlier messages, until their heading is known
        self._group = ""  # heading of the last printed lines, if they belong together
        self._dropped = 0
        self._full = False
        self._bell: str | None = None
        self._hint = ""
        self._hint_until: float | None = None  # None: until the line changes
        self._listing: list[str] = []  # completions for Tab
        self._waiting = False  # the server looks for a peer to call us
        self._saying: OwnLine | None = None
        self._catching = False  # a text is being sent, and its refusal keeps it in the prompt
        self._refusal: Failed | None = None
        self._intended: Target | None = None
        self._typing = False
        self._asked_for = ""  # the long text about which the user was asked
        self._held = False  # no further lines may be sent for now
        self._tried: tuple[Target, Target] | None = None  # a call, and the target before it
        self._back_from: tuple[Target, float] | None = None  # the failed call, and until when
        self._elsewhere = False  # a question is answered, and the target returns at once
        self._interrupted: float | None = None
        self._ending = False
        client.context.hold_input.listen(self._hold)
        client.context.settled.listen(self._settled)

    # Output to draw.

    def take_rows(self) -> list[Line]:
        """Remove and return the rows for the scrollback that have not been printed yet."""
        now = self._clock.seconds()
        self._print_past(None)
        self._print_own(self._own.ready(now))
        late = self._own.late()
        if late:
            self._put(self._scrollback.late(late, self._seconds()))
        taken, self._rows = self._rows, []
        if self._dropped:
            count, self._dropped = self._dropped, 0
            taken += self._scrollback.event(dropped(count), self._seconds())
        if self._full:
            self._full = False
            self._on_full(False)
        return taken

    @property
    def waits(self) -> bool:
        """Return True while rows are left."""
        return bool(self._rows)

    def finish(self) -> None:
        """Release all held lines for printing: the program ends."""
        self._print_own(self._own.all())

    def take_bell(self) -> str | None:
        """Remove and return the text of a notification that must ring, if there is one."""
        text, self._bell = self._bell, None
        return text

    def next_wait(self) -> float | None:
        """Return the seconds until there is something to print; None: nothing by itself."""
        now = self._clock.seconds()
        waits = [self._own.next_wait(now)]
        if self._hint and self._hint_until is not None:
            waits.append(max(0.0, self._hint_until - now))
        return 0.0 if self._rows else min((one for one in waits if one is not None), default=None)

    def prompt(self, secret: str = "") -> Line:
        """Return the text before the typed line."""
        return prompt_line(self._here(), self._glyphs, self._columns(), secret)

    def above(self) -> list[Line]:
        """Return the rows between the scrollback and the prompt, from the top."""
        columns = self._columns()
        if self._hint_until is not None and self._clock.seconds() >= self._hint_until:
            self._say_hint("")
        held = [
            row
            for line in self._own.held
            for row in self._scrollback.own(line, self._tabs.current, printed=False)
        ]
        found = held[-HELD_ROWS:]
        found += self._questions.lines(columns, self._glyphs)
        if self._hint:
            found += plain_rows([self._hint], columns)
        found += plain_rows(self._listing, columns)
        found += self._bars.lines(columns, self._glyphs)
        before = (status_parts(self._here(), self._glyphs, columns), self._own_away())
        behind = files_part(self._bars.all())
        # The part about files is cut if there is little room: each file has its bar above.
        free = room_beside((*before, behind if columns >= NARROW else ()), columns, self._glyphs)
        parts = (*before, self._tabs.line(self._glyphs, free), behind)
        return [*found, status_line(parts, columns, self._glyphs)]

    def _own_away(self) -> Line:
        return (("warn", "you are away"),) if self._client.directory.away_text else ()

    # Events.

    def tell(self, event: Event) -> None:
        """Show `event`."""
        now = self._clock.seconds()
        if isinstance(event, Failed) and self._catching and event.command == "say":
            self._refusal = event
            return
        if is_past(event):
            assert isinstance(event, MessageReceived)
            self._past.append(event)
            self._changed()
            return
        self._print_past(event)
        self._questions.heard(event, now)
        self._bell = self._attention.heard(event, now) or self._bell
        if not self._follow(event):
            self._before(event)
            at = self._seconds()
            self._put(self._scrollback.event(event, at), news_title(event, at, self._began))
        self._look()
        self._changed()

    def _follow(self, event: Event) -> bool:
        """Update own lines, tabs and files; return True if there is nothing to print."""
        now = self._clock.seconds()
        match event:
            case Sent():
                self._own.sent(event, self._seconds(), now)
                return True
            case Delivered():
                self._own.delivered(event)
                return True
            case Notice(to=str(to), turn=True):
                return self._own.queued(self._saying, to, event.id, "held")
            case Notice(to=str(to), id=int(id)):
                return self._own.queued(self._saying, to, id)
            case Undelivered():
                self._own.failed(event)
            case MessageReceived() if event.missed or not event.history:
                self._tabs.heard(event.room or event.from_)
            case SessionChanged():
                if event.was:
                    self._tabs.rename(event.was, event.id)
                    self._own.rename(event.was, event.id)
                if event.state == "open":
                    self._waiting = False
                    self._tabs.open(event.id)
                elif event.state == "closed" and event.code is Reason.YOU_LEFT:
                    self._tabs.remove(event.id)
                elif event.state == "closed":
                    self._tabs.close(event.id, never_open=event.encrypted is None)
            case Bridged():
                self._waiting = event.id is None
            case RoomChanged(change="joined", own=True):
                self._tabs.open(event.room)
            case RoomChanged(change="parted", own=True, reason=None):
                self._tabs.remove(event.room)
            case RoomChanged(change="parted", own=True):
                self._tabs.close(event.room)
            case FileChanged():
                self._bars.changed(event)
        return False

    def _before(self, event: Event) -> None:
        """Print own lines that were sent before `event`, in the same conversation."""
        if isinstance(event, MessageReceived):
            where = event.room or event.from_
            self._print_own(self._own.ready(self._clock.seconds(), where))
        elif isinstance(event, Undelivered):
            self._print_own(self._own.ready(self._clock.seconds(), event.to))

    def _print_own(self, lines: list[OwnLine]) -> None:
        for line in lines:
            self._put(self._scrollback.own(line, self._tabs.current))

    def _print_past(self, event: Event | None) -> None:
        """Print the earlier messages that preceded `event`."""
        said, self._past = self._past, []
        if said:
            self._put(self._scrollback.past(said, past_title(said, event), self._seconds()))

    def _put(self, rows: list[Line], group: str = "") -> None:
        """Print `rows`; `group`: the line above rows that belong together and are not new."""
        if rows and group != self._group:
            if self._group:
                self._add([self._scrollback.heading(END, "dim")])
            if group:
                self._add([self._scrollback.heading(group)])
            self._group = group
        self._add(rows)

    def _add(self, rows: list[Line]) -> None:
        room = ROWS - len(self._rows)
        if len(rows) > room:
            self._dropped += len(rows) - room
            rows = rows[:room]
        self._rows += rows
        if len(self._rows) > FULL and not self._full:
            self._full = True
            self._on_full(True)

    def _look(self) -> None:
        """Follow the target: show the latest lines of the new one."""
        if self._elsewhere:
            return
        where, before = recipient(self._client), self._tabs.current
        if where == before:
            return
        known = where in self._tabs.names()
        unread = self._tabs.look_at(where)
        if before:
            self._print_own(self._own.all())
        if where and (known or not self._client.conversations.room):
            most = max(LAST, min(unread + 2, 2 * LAST))
            said = list(self._client.messages.last(self._client.conversations.target, most))
            title = f"{inline(where)}: last lines"
            self._put(self._scrollback.last(said, unread, title, self._seconds()))

    def _here(self) -> Here:
        return here(self._client, self._waiting)

    # Actions of the user.

    def typing(self, text: str) -> None:
        """Note the text in the prompt: a line is meant for the target at the time of its first key."""
        if bool(text) is not self._typing:
            self._typing = bool(text)
            self._intended = self._client.conversations.target
            if text and self._back_from is not None:
                failed, until = self._back_from
                if self._clock.seconds() < until:
                    self._intended = failed
        self._listing = []
        if text:
            self._interrupted = None
        if self._hint and text != self._asked_for:
            self._asked_for = ""
            self._say_hint("")

    def pasted(self, text: str) -> None:
        """Note that the line begins with a pasted `text`, which is never a command."""
        if text.startswith("/") and not text.startswith("//"):
            self._say_hint("pasted lines are sent as text, type commands yourself")

    def key(self) -> None:
        """Note that a key was pressed."""
        self._questions.key(self._clock.seconds())

    def enter(self, text: str, pasted: bool = False) -> bool:
        """Send `text`, or carry it out; return False if it was not accepted, and stays in the prompt.

        `pasted`: it begins with pasted text, and so is not a command.
        """
        command = text.startswith("/") and not text.startswith("//") and not pasted
        if not text.strip():
            return True
        self._say_hint("")
        if command and self._close_over(text):
            return True
        if not command and self._ask_first(text):
            return False
        if self._held:
            return self._keep("not sent yet: the messages before are still waiting to be taken")
        said = TypedText(text) if pasted else text
        found = self._here()
        action = command and text.startswith("/me ")
        if found.kind in ("nobody", "ended") or (command and not action):
            return self._run_line(said, None)
        if action:
            shown = marked(text.removeprefix("/me ").strip(), ACTION)
        else:
            shown = text if pasted or not text.startswith("//") else text[1:]  # as it is sent
        line = self._own.typed(found.name, shown, self._seconds(), self._clock.seconds())
        return self._run_line(said, line)

    def _close_over(self, line: str) -> bool:
        """Carry out a /leave of a conversation that has ended already; return False for any other line."""
        try:
            said = parse(line)
        except BadCommand:
            return False
        if not isinstance(said, Command) or said.name != "leave" or not said.arguments[0]:
            return False
        wanted = said.arguments[0]
        if self._client.rooms.has(wanted) or self._client.conversations.called(wanted):
            return False
        closed = next((one for one in (wanted, f"{wanted}?") if one in self._tabs.names()), "")
        if not closed or closed == self._tabs.current:
            return False
        self._tabs.remove(closed)
        self._show(Notice(f"closed {inline(closed)}, which was over already"))
        return True

    def say_wrong(self, sentence: str) -> None:
        """Show a sentence about a defect of this program."""
        self._say_hint(f"!! {sentence}")

    def complete(self, before: str, again: bool) -> str:
        """Return `before`, the text up to the cursor, completed; `again`: a second Tab, which lists."""
        candidates = completions(before, self._client.familiar_names())
        text = completed(before, candidates)
        if again and text == before and len(candidates) > 1:
            self._listing = listing(candidates, self._columns())
        return text

    def take_back(self) -> bool:
        """Handle Esc: cancel the question about a long text, which stays in the prompt."""
        if not self._asked_for:
            return False
        self._asked_for = ""
        self._say_hint("")
        self._changed()
        return True

    def answers(self, empty: bool) -> bool:
        """Return True if a single letter answers the question now; `empty`: the prompt is empty."""
        return self._questions.takes_letter(empty, self._clock.seconds())

    @property
    def asks(self) -> bool:
        """True while there is a question that a key answers."""
        return bool(self._questions)

    def answer(self, word: str, typing: bool) -> None:
        """Answer the first question with `accept`, `decline` or `verify`.

        `typing`: the prompt holds text, and so the target stays unchanged.
        """
        question = self._questions.first
        if question is None:
            return
        if word == "verify":
            if question.kind == "call":
                self._show(run_line(f"/verify {question.about}", self._client))
            return
        self._questions.take(self._clock.seconds())
        if word == "accept" and typing:
            self._elsewhere = True  # the target is another one for a moment, which is not shown
            try:
                ActiveTarget(self._client.conversations).run(lambda: self._accept(question))
            finally:
                self._elsewhere = False
        elif word == "accept":
            self._accept(question)
        elif question.kind != "invitation":
            attempt(
                self._client,
                "decline",
                lambda: self._client.talk.decline(_asked(question)),
            )
        self._look()
        self._changed()

    def switch(self, number: int) -> None:
        """Handle Alt-1 to Alt-9: make another conversation the current one."""
        self._switch(self._tabs.at(number))

    def next_unread(self) -> None:
        """Handle Alt-n: go to the next conversation with unread lines."""
        self._switch(self._tabs.next_unread())

    def interrupt(self) -> None:
        """Handle Ctrl-C, which has cleared the line; twice within `TWICE` seconds ends the program."""
        now = self._clock.seconds()
        if self._ending:
            self._client.stop()
        elif self._interrupted is not None and now < self._interrupted + TWICE:
            self.on_interrupt()
        else:
            self._interrupted = now
            self._asked_for = ""
            self._say_hint("Ctrl-C once more quits", now + TWICE)
            self._changed()

    def on_interrupt(self) -> None:
        """End as at the end of input, with a notice."""
        self._ending = True
        self._client.interrupted()

    def on_end(self) -> None:
        """Handle Ctrl-D on an empty line, or a lost terminal: deliver queued lines, and end."""
        self._ending = True
        self._client.end_of_input()

    # Details.

    def _say_hint(self, sentence: str, until: float | None = None) -> None:
        """Show a sentence above the prompt until the line changes, or at most `until`."""
        self._hint, self._hint_until = sentence, until

    def _ask_first(self, text: str) -> bool:
        asked, self._asked_for = self._asked_for, ""
        question = folding.question(text)
        if not question or asked == text:
            return False
        self._asked_for = text
        self._say_hint(question)
        self._changed()
        return True

    def _run_line(self, said: str | TypedText, line: OwnLine | None) -> bool:
        """Carry out the typed line; `line`: a text, which is shown as ours once it is accepted."""
        text = isinstance(said, TypedText) or not said.startswith("/")
        self._saying, self._catching, self._refusal = line, text or line is not None, None
        before = self._client.conversations.target
        try:
            shown = run_for(self._intended, said, self._client)
        finally:
            self._saying, self._catching = None, False
        failed = self._refusal
        if isinstance(shown, Failed) and (line or text or shown.code is Reason.TARGET_CHANGED):
            failed = shown
        if failed is not None:
            if line is not None:
                self._own.refuse(line)
            return self._keep(failed.text)
        self._remember(before)
        self._show(shown)
        self._look()
        self._changed()
        return True

    def _remember(self, before: Target | None) -> None:
        """Note that the user has started a call while `before` was the target; it may have ended
        already.
        """
        now = self._client.conversations.target
        if now is before or now is None:
            return
        self._tried = self._back_from = None
        if before is not None and before.is_live and not now.room and not now.was_open:
            self._tried = now, before
            self._back(typing=False)

    def _settled(self, _: None) -> None:
        self._back(self._typing)
        self._look()
        self._changed()

    def _back(self, typing: bool) -> None:
        """Return to the target before a call, if the call has failed, the target is open, and not
        `typing`.
        """
        if self._tried is None:
            return
        call, before = self._tried
        now = self._client.conversations.target
        if now is call and call.is_live and not call.was_open:
            return
        self._tried = None
        over = now is not None and not now.is_live and now.name == call.name
        if now is None or not over or call.was_open or typing or not self._is_open(before):
            return
        self._client.conversations.move_to(before)
        self._back_from = now, self._clock.seconds() + BACK
        self._show(Notice(f"what you type goes to {inline(before.name)} again"))

    def _is_open(self, target: Target) -> bool:
        if target.room:
            return self._client.rooms.is_inside(target.room)
        all = self._client.conversations
        return any(one is target and one.state.value in ("open", "broken") for one in all)

    def _keep(self, sentence: str) -> bool:
        """Report why the line stays in the prompt; the next Enter is for the present target."""
        self._say_hint(f"!! {inline(sentence)} ({CLEARS})")
        self._intended = self._client.conversations.target
        self._changed()
        return False

    def _accept(self, question: Question) -> None:
        if question.kind == "invitation":
            attempt(self._client, "join", lambda: self._client.rooms.join(question.about))
        else:
            attempt(
                self._client,
                "accept",
                lambda: self._client.talk.accept(_asked(question)),
            )

    def _switch(self, where: str) -> None:
        if not where or where == self._tabs.current:
            return
        attempt(self._client, "switch", lambda: self._client.messages.switch(where))
        self._intended = self._client.conversations.target
        self._look()
        self._changed()

    def _show(self, event: Event | None) -> None:
        if event is not None:
            self.tell(event)

    def _hold(self, held: bool) -> None:
        self._held = held


def _asked(question: Question) -> str:
    """Return the question in the form that /accept takes: an id of digits has an @."""
    digits = question.kind == "call" and question.about.isdecimal()
    return f"@{question.about}" if digits else question.about

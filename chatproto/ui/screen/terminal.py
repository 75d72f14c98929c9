"""Draw the full interface on a terminal, and read its keys: the only file that uses prompt_toolkit.

One application runs from the start to the end. The prompt and the rows above it are redrawn; messages
are written above them into the terminal's own scrollback. Everything drawn for one event is one write,
framed so that a terminal shows it at once (CSI ? 2026 h/l).
"""

from __future__ import annotations

import asyncio
import atexit
import os
import select
import signal
import termios
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TextIO

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.application.current import set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.processors import (
    BeforeInput,
    ConditionalProcessor,
    PasswordProcessor,
    Processor,
    Transformation,
    TransformationInput,
)
from prompt_toolkit.layout.screen import Screen
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.stdio.output import Output
from chatproto.stdio.printable import printable
from chatproto.stdio.typed import typed
from chatproto.stdio.unexpected import unexpected
from chatproto.ui.screen.bell import bell
from chatproto.ui.screen.burst import Burst
from chatproto.ui.screen.history import TypedHistory
from chatproto.ui.screen.keymap import STANDS, USUAL_KEYS, Keymap
from chatproto.ui.screen.reflow import rows_above, wraps_anew
from chatproto.ui.screen.starting import StartingInterface
from chatproto.ui.screen.styles import Line, Styles

if TYPE_CHECKING:
    from chatproto.ui.screen.interface import FullInterface  # loaded while the prompt is shown

GATHER = 0.05
"""Seconds for which arriving lines are gathered, except the first after a pause."""
PROMPT_ROWS = 8
"""Largest number of rows of the prompt; a longer text scrolls in it."""
_BEGIN_FRAME, _END_FRAME = "\x1b[?2026h", "\x1b[?2026l"
_RESET = "\x1b[0m\x1b[?2004l\x1b[?2026l\x1b[?25h\x1b[?7h"
_DIRECTIONS = dict.fromkeys((1564, 8206, 8207, *range(8234, 8239), *range(8294, 8298)), "�")


def window_size(fd: int) -> Size:
    """Return rows and columns of the terminal `fd`; 24 and 80 if it does not report them."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        columns, rows = 0, 0
    return Size(rows=rows or 24, columns=columns or 80)


class Frames:
    """Collect the output of the drawing library, and pass it on in complete frames."""

    def __init__(self, output: Output, fd: int, encoding: str) -> None:
        self.encoding = encoding
        self._output = output
        self._fd = fd
        self._parts: list[str] = []
        self._held = False

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self._parts.append(text)

    def flush(self) -> None:
        """Pass on the output, unless a frame is being drawn."""
        if not self._held:
            self._pass("".join(self._parts))

    def hold(self) -> None:
        """Begin a frame."""
        self._held = True

    def release(self) -> Deferred[None]:
        """End the frame and pass it on; the result fires when the terminal has it."""
        self._held = False
        text = "".join(self._parts)
        return self._pass(f"{_BEGIN_FRAME}{text}{_END_FRAME}" if text else "")

    def _pass(self, text: str) -> Deferred[None]:
        self._parts.clear()
        self._output.write(text.encode(self.encoding, "replace"))
        return self._output.flush()


class _Directions(Processor):
    """Show direction marks in the prompt instead of applying them."""

    def apply_transformation(self, ti: TransformationInput) -> Transformation:
        shown = [(style, text.translate(_DIRECTIONS), *rest) for style, text, *rest in ti.fragments]
        return Transformation(shown)  # type: ignore[arg-type]


class _History(InMemoryHistory):
    """Pass new lines to the file."""

    def __init__(self, kept: TypedHistory) -> None:
        super().__init__(kept.read())
        self._kept = kept

    def store_string(self, string: str) -> None:
        super().store_string(string)
        self._kept.add(string)


class _Screen(Application[None]):
    """Application that finds its rows after the terminal has re-wrapped them."""

    def _on_resize(self) -> None:
        drawn = self.renderer.last_rendered_screen
        if drawn is not None and wraps_anew(os.environ):
            place = drawn.get_cursor_position(self.layout.current_window)
            widths = [_row_width(drawn, row) for row in range(place.y)]
            more = rows_above(widths, place.x, self.output.get_size().columns) - place.y
            if more > 0:
                self.output.cursor_up(more)
        super()._on_resize()


def _row_width(drawn: Screen, row: int) -> int:
    """Return the columns that a row takes, without the blanks at its end."""
    cells = drawn.data_buffer[row]
    return max((at + cell.width for at, cell in cells.items() if cell.char.strip()), default=0)


class ScreenTerminal:
    """Source of typed lines and output of the screen, for `FullInterface`.

    The prompt may be shown before there is one: `open`, then `show`. Lines are accepted from `start`
    on.

    Args: stdin, stdout: the streams that the program was started with, both terminals. output: writes
    to `stdout` without ever blocking.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        stdin: TextIO,
        stdout: TextIO,
        output: Output,
        interface: FullInterface | StartingInterface,
        styles: Styles,
        history: TypedHistory,
        encoding: str = "utf-8",
        keymap: Keymap = USUAL_KEYS,
    ) -> None:
        self._keymap = keymap
        self._reactor = reactor
        self._stdin = stdin
        self._fd = stdout.fileno()
        self._interface = interface
        self._styles = styles
        self._history = history
        self._term = os.environ.get("TERM", "")
        self._frames = Frames(output, self._fd, encoding)
        self._saved: list[Any] | None = None
        self._app: Application[None] | None = None
        self._buffer = Buffer(multiline=True)
        self.opened: Deferred[None] = Deferred()
        """Fires when the prompt is shown."""
        self._opening = False
        self._ready = False  # the client runs, and accepts lines
        self._early = ExitStack()  # ends the pause of input after an early Enter
        self._entered = False
        self._started = False
        self._stopping = False
        self._ended = False
        self._busy = False  # the terminal has not accepted the last frame yet
        self._away = False  # an editor or a shell has the terminal
        self._timer: Any = None
        self._due = 0.0  # when that timer fires
        self._letter_timer: Any = None  # a single letter may answer a question
        self._drawn = 0.0
        self._height = 0
        self._pasted = False
        self._burst = Burst(reactor.seconds)
        self._listed = ""
        self._secret: tuple[str, Callable[[str], None]] | None = None
        self._wanted: tuple[str, Callable[[str], None]] | None = None  # once the line is empty
        self._flushing: list[Deferred[None]] = []
        self._shown: tuple[int, StyleAndTextTuples] = (-1, [])

    # Called by the program.

    def open(self) -> None:
        """Show the prompt; keys are read from the next turn of the reactor on."""
        if not self._opening:
            self._opening = True
            self._reactor.callLater(0, self._begin)

    def show(self, interface: FullInterface) -> None:
        """Let `interface` provide the output from now on, and receive the unfinished line."""
        self._interface = interface
        self._typed()
        self.changed()

    def start(self) -> None:
        """Accept lines from now on: the client runs. The prompt is shown unless it is there already."""
        self.open()
        self._ready = True
        if self._entered:
            self._entered = False
            self._enter()
        self._early.close()

    def stop(self) -> None:
        """Print the rest, and restore the terminal."""
        if self._stopping:
            return
        self._stopping = True
        self._forget_letter()
        self._early.close()
        self._interface.finish()
        if not self._started:
            self._ended = True
        self._draw()

    def flush(self) -> Deferred[None]:
        """Fires when everything is written and, after `stop`, the terminal is as it was."""
        waiting: Deferred[None] = Deferred(self._flushing.remove)
        self._flushing.append(waiting)
        if self._interface.waits or self._stopping:
            self._draw()
        self._tell_flushed()
        return waiting

    def changed(self) -> None:
        """Draw soon: there is new output."""
        self._later(max(0.0, self._drawn + GATHER - self._reactor.seconds()))

    def ask_secret(self, sentence: str, got: Callable[[str], None]) -> None:
        """Read the next line without echo, and pass it to `got`; an empty one ends it.

        An unfinished line is completed first: nothing of it becomes part of the secret.
        """
        self._wanted = sentence, got
        self._typed()
        self.changed()

    def restore(self) -> None:
        """Restore the terminal at once, as the program ends without `stop`."""
        saved, self._saved = self._saved, None
        if saved is None:
            return
        try:
            termios.tcsetattr(self._stdin.fileno(), termios.TCSANOW, saved)
            if select.select([], [self._fd], [], 0)[1]:  # otherwise the application would never end
                os.write(self._fd, f"\r\x1b[J{_RESET}".encode())
        except (OSError, termios.error):
            pass  # the terminal is gone

    # The application.

    def _begin(self) -> None:
        if self._stopping:
            return
        try:
            self._saved = termios.tcgetattr(self._stdin.fileno())
        except termios.error:
            self._interface.on_end()
            return
        atexit.register(self.restore)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._wrong)
        self._app = self._application()
        self._started = True
        running = Deferred.fromFuture(
            asyncio.ensure_future(
                self._app.run_async(
                    pre_run=lambda: self._later(0.0),  # draw what happened before it ran
                    set_exception_handler=False,
                    handle_sigint=False,
                )
            )
        )
        running.addBoth(self._over)

    def _application(self) -> Application[None]:
        # Without a query of the cursor's position, and up to a second of waiting for its answer.
        output = Vt100_Output(
            self._frames,  # type: ignore[arg-type]
            lambda: window_size(self._fd),
            term=self._term,
            enable_cpr=False,
        )
        self._buffer = Buffer(
            multiline=True,
            history=_History(self._history),
            tempfile_suffix=".txt",
            on_text_changed=lambda _: self._typed(),
        )
        search = SearchToolbar()
        control = BufferControl(
            self._buffer,
            input_processors=[
                _Directions(),
                ConditionalProcessor(PasswordProcessor(), Condition(lambda: bool(self._secret))),
                BeforeInput(self._prompt),
            ],
            search_buffer_control=search.control,
            preview_search=True,
        )
        layout = Layout(
            HSplit(
                [
                    Window(FormattedTextControl(self._above), dont_extend_height=True),
                    Window(
                        control,
                        wrap_lines=True,
                        dont_extend_height=True,
                        height=lambda: Dimension(min=1, max=PROMPT_ROWS),
                    ),
                    search,
                ]
            )
        )
        depths = {0: ColorDepth.DEPTH_1_BIT, 8: ColorDepth.DEPTH_4_BIT}
        app = _Screen(
            layout,
            style=Style.from_dict(self._styles.prompt_styles()),
            include_default_pygments_style=False,
            key_bindings=self._keys(),
            color_depth=depths.get(self._styles.colours, ColorDepth.DEPTH_8_BIT),
            input=Vt100Input(self._stdin),
            output=output,
            erase_when_done=True,
            terminal_size_polling_interval=None,
        )
        app.ttimeoutlen = 0.05
        app.timeoutlen = 0.3
        app.key_processor.before_key_press += lambda _: self._forget_letter()
        app.key_processor.after_key_press += lambda _: self._pressed()
        return app

    def _prompt(self) -> StyleAndTextTuples:
        """Return the text before the line; called several times for each drawing."""
        counter = self._app.render_counter if self._app is not None else 0
        if self._shown[0] != counter:
            secret = self._secret[0] if self._secret else ""
            self._shown = counter, _fragments([self._interface.prompt(secret)])
        return self._shown[1]

    def _above(self) -> StyleAndTextTuples:
        return _fragments(self._interface.above())

    # Drawing.

    def _later(self, wait: float) -> None:
        due = self._reactor.seconds() + wait
        if self._timer is not None:
            if due >= self._due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = self._reactor.callLater(wait, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._draw()

    def _draw(self) -> None:
        """Write new rows above the prompt, and redraw it, in one frame."""
        app = self._app
        if app is not None and app.is_running and not self._busy and not self._away:
            self._drawn = self._reactor.seconds()
            rows = self._interface.take_rows()
            rung = self._interface.take_bell()
            self._frames.hold()
            app.render_counter += 1  # otherwise the rows above the prompt come from a cache
            with set_app(app):
                height = len(self._interface.above())
                if rows or height < self._height or self._stopping:
                    app.renderer.erase()
                self._height = height
                if rows:
                    text = "\r\n".join(map(self._styles.escaped, rows))
                    app.output.write_raw(f"{text}\r\n")
                if rung is not None:
                    app.output.write_raw(bell(printable(rung), self._term))
                if not self._stopping:
                    app.renderer.render(app, app.layout)
            self._busy = True
            self._frames.release().addBoth(self._taken)
            if self._stopping and not app.is_done:
                app.exit()
        self._tell_flushed()

    def _taken(self, _: object) -> None:
        self._busy = False
        if not self.opened.called:
            self.opened.callback(None)
        wait = self._interface.next_wait()
        if wait is not None:
            self._later(max(wait, GATHER))
        self._tell_flushed()

    def _tell_flushed(self) -> None:
        if self._busy or (self._started and self._interface.waits) or self._stopping > self._ended:
            return
        flushing, self._flushing = self._flushing, []
        for waiting in flushing:
            waiting.callback(None)

    def _over(self, result: object) -> None:
        """Handle the end of the application, by `stop`, or because the terminal is gone."""
        self._ended = True
        self._app = None
        self._saved = None
        atexit.unregister(self.restore)
        if isinstance(result, Failure) and result.check(EOFError) is None:
            self.log.failure("the screen", result)
        if not self._stopping:
            self._stopping = True
            self._interface.on_end()
        self._frames.flush()
        self._tell_flushed()

    def _wrong(self, loop: object, context: dict[str, Any]) -> None:
        """Log an error in a callback: on standard error it would be on the screen."""
        error = context.get("exception")
        self.log.error("{message}: {error!r}", message=context.get("message"), error=error)

    # Keys.

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        here = has_focus(self._buffer)

        def bind(*names: str, when: Condition | None = None) -> Callable[[Any], Any]:
            shown = here if when is None else here & when

            def add(work: Callable[[KeyPressEvent], object]) -> object:
                def guarded(event: KeyPressEvent) -> None:
                    try:
                        work(event)
                    except Exception:
                        self._interface.say_wrong(unexpected("that key"))
                    self.changed()

                keys.add(*names, filter=shown)(guarded)
                return work

            return add

        asks = Condition(lambda: self._interface.asks)
        letter = Condition(
            lambda: (
                self._interface.answers(not self._buffer.text)
                and self._secret is None  # the secret may begin with such a letter
                and not self._more()
            )
        )
        bind("enter")(lambda event: self._line_end())
        bind("c-j")(lambda event: self._line_end())
        bind(*self._keymap.pressed("newline"))(lambda event: self._buffer.insert_text("\n"))
        bind("escape")(lambda event: self._interface.take_back())
        bind("c-c")(lambda event: self._interrupt())
        bind("c-d", when=Condition(lambda: not self._buffer.text))(
            lambda event: self._interface.on_end()
        )
        bind("c-z")(lambda event: self._suspend())
        bind(*self._keymap.pressed("editor"))(lambda event: self._edit())
        bind("tab")(lambda event: self._tab())
        bind(Keys.BracketedPaste)(lambda event: self._paste(event.data))
        bind(*self._keymap.pressed("unread"))(lambda event: self._interface.next_unread())
        for number in range(1, 10):
            bind("escape", str(number))(lambda event, number=number: self._interface.switch(number))
        for key, word in (("a", "accept"), ("d", "decline"), ("v", "verify")):
            bind(*self._keymap.pressed(word), when=asks)(
                lambda event, word=word: self._interface.answer(word, bool(self._buffer.text))
            )
            bind(key, when=letter)(lambda event, key=key, word=word: self._letter(key, word))
        return keys

    def _typed(self) -> None:
        text = self._buffer.text
        if not text:
            self._pasted = False
            if self._wanted is not None:
                self._secret, self._wanted = self._wanted, None
        self._listed = ""
        self._interface.typing(text if not self._secret else "")
        if self._wanted is not None:
            self._interface.say_wrong(
                f"{self._wanted[0]}: once this line is empty, Ctrl-C clears it"
            )

    def _letter(self, key: str, word: str) -> None:
        """Insert `key` into the line; it answers with `word` if no other follows within `STANDS`."""
        self._buffer.insert_text(key)
        self._letter_timer = self._reactor.callLater(STANDS + GATHER, self._answer, key, word)

    def _answer(self, key: str, word: str) -> None:
        self._letter_timer = None
        stands = self._interface.answers(empty=True)  # the same question, and no key since
        if self._buffer.text == key and stands and not self._more():
            self._buffer.reset()
            self._typed()
            self._interface.answer(word, False)
            self.changed()

    def _forget_letter(self) -> None:
        if self._letter_timer is not None:
            self._letter_timer.cancel()
            self._letter_timer = None

    def _pressed(self) -> None:
        self._burst.key()
        self._interface.key()

    def _more(self) -> bool:
        """Return True if further keys have arrived already, as after a pasted key."""
        if self._app is not None and self._app.key_processor.input_queue:
            return True
        try:
            return bool(select.select([self._stdin], [], [], 0)[0])
        except (OSError, ValueError):
            return False

    def _line_end(self) -> None:
        """Send the line, or begin another one if the line end was pasted."""
        if self._secret is not None or not self._burst.line_end(self._more()):
            self._enter()
            return
        self._buffer.insert_text("\n")
        self._pasted = True
        self._interface.pasted(self._buffer.text)

    def _enter(self) -> None:
        if not self._ready:
            self._wait_for_client()
            return
        text = typed(self._buffer.text)
        if self._secret is not None:
            (_, got), self._secret = self._secret, None
            self._buffer.reset()
            self._typed()
            if text:
                got(text)
            return
        if self._interface.enter(text, self._pasted):
            self._buffer.append_to_history()
            self._buffer.reset()
            self._typed()

    def _wait_for_client(self) -> None:
        """Read no more keys until the client runs, which then gets the line."""
        if self._app is not None and not self._entered:
            self._entered = True
            self._early.enter_context(self._app.input.detach())

    def _interrupt(self) -> None:
        self._secret = None
        self._buffer.reset()
        self._typed()
        self._interface.interrupt()

    def _paste(self, data: str) -> None:
        self._burst.marked()
        first = not self._buffer.text
        text = typed(data.replace("\r\n", "\n").replace("\r", "\n"))
        self._buffer.insert_text(text)
        if first and text:
            self._pasted = True
            self._interface.pasted(text)

    def _tab(self) -> None:
        before = self._buffer.document.text_before_cursor
        text = self._interface.complete(before, self._listed == before)
        if text != before:
            self._buffer.delete_before_cursor(len(before))
            self._buffer.insert_text(text)
        self._listed = text

    def _edit(self) -> None:
        """Open the line in $EDITOR; afterwards it is in the prompt, and not sent."""
        self._away = True
        self._buffer.open_in_editor().add_done_callback(lambda _: self._back())

    def _suspend(self) -> None:
        self._away = True
        asyncio.ensure_future(run_in_terminal(self._stop_itself)).add_done_callback(
            lambda _: self._back()
        )

    def _stop_itself(self) -> None:
        """Stop, as for Ctrl-Z; and again, if a shell continues us in the background."""
        termios.tcsetattr(self._stdin.fileno(), termios.TCSANOW, self._saved or [])
        while True:
            os.kill(0, signal.SIGTSTP)
            if in_foreground(self._fd):
                return

    def _back(self) -> None:
        self._away = False
        self._height = 0
        self.changed()


def in_foreground(fd: int) -> bool:
    """Return True if the terminal `fd` belongs to our job now, and not to another job of a shell."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True


def _fragments(lines: Sequence[Line]) -> StyleAndTextTuples:
    """Return `lines` in the form of the drawing library."""
    found: StyleAndTextTuples = []
    for number, line in enumerate(lines):
        if number:
            found.append(("", "\n"))
        found += [(f"class:{style}" if style else "", printable(text)) for style, text in line]
    return found

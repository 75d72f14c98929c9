"""The JSON interface: commands in, as objects or typed lines; one JSON object per line out."""

from __future__ import annotations

import json
from collections.abc import Callable

from chatproto.client.app import Client
from chatproto.client.events import Event, Exited, Failed
from chatproto.net.clock import Wall
from chatproto.stdio.typed import NOT_TEXT
from chatproto.ui.arguments import Misused
from chatproto.ui.commands import BadCommand, run_line
from chatproto.ui.plain import dropped
from chatproto.ui.references import Marks, References
from chatproto.ui.values import is_unicode, read_object, reference_in
from chatproto.ui.view import json_object
from chatproto.wire.reasons import Reason


def json_text(written: str) -> str:
    """Read a free text: one that begins with `"` is a JSON string, any other is used unchanged.

    So a program can send any text, with line ends and a leading `/`, and no text that it passes on is
    taken for a command. Raises BadCommand.
    """
    if not written.startswith('"'):
        return written
    try:
        text = json.loads(written)
    except ValueError:
        raise BadCommand('a text that begins with " must be a whole JSON string') from None
    assert isinstance(text, str), "JSON that begins with a quote is a string"
    if not is_unicode(text):
        raise BadCommand("the text has half of a surrogate pair, which stands for no character")
    return text


def run_json(line: str, client: Client, references: References) -> Event | None:
    """Read a line of the JSON interface and run it; return an event to be shown, as `run_line` does.

    An object with `ref` is one of the `references` until it has ended.

    `line` has bytes that are not UTF-8 as lone surrogates. In a path among values they mean themselves;
    a line that is not an object is refused with them.
    """
    try:
        given = read_object(line)
    except Misused as wrong:
        ref = reference_in(line)
        if isinstance(ref, (int, str)):
            references.refuse(ref, str(wrong))
            return None
        return Failed(str(wrong), status=400, code=Reason.MALFORMED)
    if given is not None:
        return references.run_line(given, client)
    if not is_unicode(line):
        return Failed(NOT_TEXT, status=400, code=Reason.MALFORMED)
    command = line.partition(" ")[0].removeprefix("/")
    return references.run_unmarked(command, lambda: run_line(line, client, json_text))


class JsonLines:
    """JSON interface: one object per line out, one command or text per line in.

    `write_line` takes a line without its end and does not block; `seconds` returns the time of day.
    """

    def __init__(
        self, client: Client, write_line: Callable[[str], None], seconds: Callable[[], Wall]
    ) -> None:
        self._client = client
        self._write_line = write_line
        self._seconds = seconds
        self._references = References(self._write)

    def tell(self, event: Event) -> None:
        """Write `event`."""
        if isinstance(event, Exited):
            self._references.stop()
        self._write(event, self._references.of_current(event))

    def _write(self, event: Event, marks: Marks) -> None:
        # ASCII only, so that any terminal or program receives it unchanged, in any locale.
        self._write_line(json.dumps(json_object(event, self._seconds(), marks), default=str))

    def dropped_line(self, count: int) -> str:
        """Format the notice that `count` objects were dropped because the output is full."""
        return json.dumps(json_object(dropped(count), self._seconds()))

    def on_line(self, line: str) -> None:
        """Carry out `line`, or report why it cannot be done."""
        shown = run_json(line, self._client, self._references)
        if shown is not None:
            self.tell(shown)

    def on_refused(self, sentence: str) -> None:
        """Report why a line was not accepted at all."""
        self.tell(Failed(sentence, status=413, code=Reason.TOO_LARGE))

    def on_end(self) -> None:
        """Handle the end of input."""
        self._client.end_of_input()

    def on_interrupt(self) -> None:
        """End as at the end of input."""
        self._client.interrupted()

"""Carry out commands that have a reference, and report their end once.

    {"ref": 7, "do": "msg", "to": "bob", "text": "hi"}

Every event caused by a command carries its `ref`, for the front end that sent it. The last one is

    {"event": "done", "ref": 7, "command": "msg", "code": "delivered", "done": true}

with `code` `ok`, one of `ENDS`, or that of the failure, whose `status` and `text` are then there too.
Later events, such as `delivered` after the code `queued`, still carry the `ref`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chatproto.client.app import Client
from chatproto.client.events import CommandOver, Event, Failed
from chatproto.client.requests import PendingRequest, current, note_failure, telling
from chatproto.ui.arguments import shortened
from chatproto.ui.commands import run_values
from chatproto.ui.values import Values
from chatproto.wire.reasons import (
    BAD_REFERENCE,
    REFERENCE_USED,
    REFERENCES_FULL,
    Cause,
    CodedError,
    Reason,
)

MOST = 1000
"""Largest number of unfinished commands of one front end."""
LONGEST = 64
"""Largest number of characters in a reference that is a string."""
ENDS: dict[str, dict[str, str]] = {
    "msg": {
        "delivered": "it is in the peer's log, or the room's",
        "queued": "it is kept until the peer can be reached, or the server, or until your turn",
        "sent": "it was written to a peer whose program acknowledges nothing",
        "uncertain": "it was sent and may not have arrived",
    },
    "chat": {"open": "the conversation is open", "ok": "it was open already"},
    "send": {"done": "all files arrived"},
}
"""Codes of commands that did not fail, besides `ok`, and their meanings; `me` has those of `msg`."""
Reference = str | int
Marks = Mapping[str, Reference]
"""Additional fields of an event: `ref`, and of an error the failed command and its target."""
NO_MARKS: Marks = {}


class References:
    """Unfinished commands of one front end, each with its reference.

    `tell` is called with the event of each end, and with the result of `of_current` for it. `owner`:
    the front end, if it is not the screen. `ended` is called after the end of each command, also of
    those without a reference.
    """

    def __init__(
        self,
        tell: Callable[[Event, Marks], None],
        owner: object | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.owner = owner
        self._tell = tell
        self._ended = ended
        self._unmarked = 0
        """Number of unfinished commands without a reference."""
        self._open: dict[Reference, _Referenced] = {}
        self.forget = self._open.clear

    def __len__(self) -> int:
        return len(self._open)

    @property
    def are_over(self) -> bool:
        """Return True if no command is in progress, with a reference or without."""
        return not self._open and not self._unmarked

    def run_line(self, given: Values, client: Client) -> Event | None:
        """Carry out a command; return an event to be shown, while its reference is `of_current`.

        A command without `ref` is carried out as well, and has no end event.
        """
        values = {name: value for name, value in given.items() if name != "ref"}
        ref = given.get("ref")
        if ref is None:
            return self.run_unmarked(command_in(given), lambda: run_values(values, client))
        if isinstance(ref, bool) or not isinstance(ref, (str, int)) or len(str(ref)) > LONGEST:
            return Failed.of(CodedError(BAD_REFERENCE(most=LONGEST)), None)
        asked = _Referenced(given, self, ref)
        if ref in self._open:
            self._refuse(asked, REFERENCE_USED())
            return None
        if len(self._open) >= MOST:
            self._refuse(asked, REFERENCES_FULL(most=MOST))
            self._tell_end(asked)
            return None
        self._open[ref] = asked
        begin(
            asked,
            lambda: run_values(values, client),
            lambda event: self._tell(event, asked.marks(event)),
        )
        return None

    def run_unmarked(self, command: str, work: Callable[[], Event | None]) -> Event | None:
        """Carry out a command without a reference; a later answer belongs to this front end too."""
        self._unmarked += 1
        part = PendingRequest(command, self._unmarked_over, self.owner).part()
        with telling(part):
            answer = work()
        part.end()
        return answer

    def refuse(self, ref: Reference, why: str) -> None:
        """Report the end of a command that cannot be parsed."""
        asked = _Referenced({}, self, ref)
        self._refuse(asked, Cause(Reason.MALFORMED, why))
        if ref not in self._open:
            self._tell_end(asked)

    def _tell_end(self, asked: _Referenced) -> None:
        end = CommandOver(asked.command, asked.code, asked.status, asked.text)
        self._tell(end, asked.marks(end))

    def _refuse(self, asked: _Referenced, why: str) -> None:
        error = CodedError(why)
        asked.fail(error.reason, error.status, error.sentence)
        refused = Failed.of(error, asked.command)
        self._tell(refused, asked.marks(refused))

    def of_current(self, event: Event) -> Marks:
        """Return the fields that the present `event` gets from the command that causes it.

        `ref`, and `to` or `room` for an error; none for an event of no command or another front end's.
        """
        part = current()
        asked = part.asked if part is not None else None
        if isinstance(asked, _Referenced) and asked.references is self:
            return asked.marks(event)
        return NO_MARKS

    def stop(self) -> None:
        """End all unfinished commands, because the program ends."""
        for asked in tuple(self._open.values()):
            if asked.command != "quit":
                asked.fail(Reason.STOPPING, None, Reason.STOPPING.sentence)
            asked.end()

    def over(self, asked: _Referenced) -> None:
        """Report the end of a command."""
        if self._open.pop(asked.ref, None) is asked:
            self._tell_end(asked)
            self._ended()

    def _unmarked_over(self, _: PendingRequest) -> None:
        self._unmarked -= 1
        self._ended()


class _Referenced(PendingRequest):
    """Request with the reference that its front end gave it."""

    def __init__(self, given: Values, references: References, ref: Reference) -> None:
        super().__init__(command_in(given), lambda _: references.over(self), references.owner)
        self.references = references
        self.ref = ref
        whom = given.get("room") or given.get("to")
        room = isinstance(whom, str) and whom.startswith("#")
        self._about = {"room" if room else "to": whom} if isinstance(whom, str) and whom else {}

    def marks(self, event: Event) -> Marks:
        """Return the additional fields of an event of this command."""
        if not isinstance(event, Failed):
            return {"ref": self.ref}
        # A part of the command may have failed: a call before the message to the same peer.
        return {"ref": self.ref, **self._about, "command": self.command}


def command_in(given: Values) -> str:
    """Return the name of the command in an object with `do`; empty if it is not a name."""
    name = given.get("do")
    return shortened(name.removeprefix("/")) if isinstance(name, str) else ""


def begin(
    asked: PendingRequest, work: Callable[[], Event | None], tell: Callable[[Event], object]
) -> None:
    """Carry out the command of `asked`; pass the immediate answer of `work` to `tell`."""
    part = asked.part()
    with telling(part):
        event = work()
        if isinstance(event, Failed):
            note_failure(event.code, event.status, event.text)
        if event is not None:
            tell(event)
    part.end()

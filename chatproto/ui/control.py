"""Serve control.sock: the JSON interface for scripts, beside the user's screen.

Commands (or texts as JSON strings) in, one per line; events out, one object per line; several
connections at once. The answer to a command goes only to the connection that sent it, even a late one;
the screen and the other connections receive the events.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime, IReactorUNIX
from twisted.python.failure import Failure

from chatproto.client.events import (
    Bridged,
    CommandOutput,
    Contacts,
    Event,
    Exited,
    Failed,
    MessageReceived,
    Notice,
    RoomChanged,
    SessionChanged,
)
from chatproto.client.requests import PendingRequest, current
from chatproto.net.bounded_output import BoundedOutput
from chatproto.net.clock import Wall
from chatproto.net.private_socket import PrivateSocket
from chatproto.net.timers import Timers
from chatproto.stdio.typed import typed
from chatproto.stdio.unexpected import unexpected
from chatproto.ui.held_connections import HeldConnection, HeldConnections
from chatproto.ui.references import NO_MARKS, Marks, References
from chatproto.ui.view import json_object
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import Reason

CONTROL_UNSENT = 8 * 1024 * 1024
"""Largest number of bytes queued for one script."""
CONTROL_ANSWERS = 10.0
"""Seconds for the remaining answers to a script that has closed its output."""
CONTROL_CONNECTIONS = 16
"""Connections to one `control.sock` at once."""
NAME = "control.sock"

Speaker = Callable[[str, References], Event | None]
"""Function that carries out a line; an event is an answer to the sender of the line."""


READING = ("history", "search")
"""Commands whose answers are messages of the log."""


def is_answer(event: Event, asked: PendingRequest | None) -> bool:
    """Return True if `event` is only for the front end that sent the command.

    Args: asked: the request that caused the event; None: a command of the screen, or no command.
    """
    match event:
        case CommandOutput() | Contacts() | Bridged():
            return True
        case Failed():
            return asked is not None
        case MessageReceived(history=True):
            return asked is not None and asked.command.lower() in READING
    return False


def for_others(event: Event) -> Event | None:
    """Return the event as seen by front ends with other targets than the sender of the command.

    None to hide it.
    """
    if isinstance(event, SessionChanged) and event.current is not None:
        # It describes the target of the sender; that of the others is unchanged.
        return replace(event, current=None) if event.path is not None else None
    if isinstance(event, RoomChanged) and event.change == "current":
        return None
    return event


class ControlConnection(HeldConnection):
    """Connection of one script, closed when it leaves more than `CONTROL_UNSENT` bytes unread.

    No command is read while half of that is unread. A script that closes its output is disconnected
    when its commands have ended, after `CONTROL_ANSWERS` at the latest.
    """

    def __init__(self, control: Control, speaker: Speaker) -> None:
        self._answers = BoundedOutput(CONTROL_UNSENT, self._flow)
        super().__init__(control.limits.control_line, self._answers)
        self._has_said_all = False
        self._control = control
        self._speaker = speaker
        self._timers = Timers(control.clock)
        self.references = References(
            lambda event, marks: self.tell(control.line(event, marks)),
            owner=self,
            ended=self._finish_if_done,
        )

    def tell(self, line: bytes) -> None:
        super().tell(line)
        self._flow()

    @property
    def _full(self) -> bool:
        return self._answers.half_full

    def refuse(self, why: str) -> None:
        self.tell(self._control.line(Failed(why, status=413, code=Reason.TOO_LARGE)))

    def _finish_if_done(self) -> None:
        if self._has_said_all and self.references.are_over:
            self.finish()

    # Called by Twisted.

    def connectionMade(self) -> None:
        super().connectionMade()
        self._control.made(self)

    def lineReceived(self, line: bytes) -> None:
        self._control.run_line(self, self._speaker, line.decode("utf-8", "surrogateescape"))

    def readConnectionLost(self) -> None:
        if not self._has_said_all:
            self._has_said_all = True
            self._timers.after("answers", CONTROL_ANSWERS, self.finish)
            self._finish_if_done()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._timers.stop()
        self.references.forget()
        self._control.lost(self)


class Control(HeldConnections[ControlConnection]):
    """All connections to control.sock; placed between the client, which publishes, and the screen.

    `screen` is called with events that are not answers to scripts. `new_speaker` creates the function
    that carries out the lines of one connection; `seconds` returns the time of day; `clock` is the
    reactor, for timers.
    """

    def __init__(
        self,
        screen: Callable[[Event], None],
        new_speaker: Callable[[], Speaker],
        seconds: Callable[[], Wall],
        limits: ClientLimits,
        clock: IReactorTime,
    ) -> None:
        super().__init__()
        self.limits = limits
        self.clock = clock
        self._screen = screen
        self._new_speaker = new_speaker
        self._seconds = seconds
        self._asking: ControlConnection | None = None
        """Connection whose command is being carried out, with its own target."""

    def buildProtocol(self, addr: IAddress | None) -> ControlConnection | None:
        if len(self._connections) >= CONTROL_CONNECTIONS:
            return None
        return ControlConnection(self, self._new_speaker())

    def tell(self, event: Event) -> None:
        """Show `event`, and write it to all connections."""
        asking, asked = self._asking, _asked_beside_the_screen()
        answer = is_answer(event, asked)
        others = event if asking is None else for_others(event)
        if others is not None and not (answer and asked is not None):
            self._screen(others)
        if not self._connections:
            return
        whole = self.line(event)
        theirs = (
            b"" if answer or others is None else whole if others is event else self.line(others)
        )
        for connection in tuple(self._connections):
            if isinstance(event, Exited):
                connection.references.stop()
            marks = connection.references.of_current(event)
            own = connection is asking or (asked is not None and asked.owner is connection)
            said = self.line(event, marks) if marks else whole if own else theirs
            if said:
                connection.tell(said)

    def finish(self) -> None:
        """Close all connections when everything is written."""
        for connection in tuple(self._connections):
            connection.finish()

    # Called by connections.

    def run_line(self, connection: ControlConnection, speaker: Speaker, line: str) -> None:
        """Carry out one command line of a connection."""
        self._asking = connection
        try:
            answer = speaker(typed(line), connection.references)
            if answer is not None:
                connection.tell(self.line(answer))
        except Exception:
            connection.tell(
                self.line(Failed(unexpected("a command"), status=500, code=Reason.INTERNAL))
            )
        finally:
            self._asking = None

    def line(self, event: Event, marks: Marks = NO_MARKS) -> bytes:
        """Return `event` as a line, with the `marks` for one connection."""
        shown = json.dumps(json_object(event, self._seconds(), marks), default=str)
        return shown.encode("ascii") + b"\n"


def _asked_beside_the_screen() -> PendingRequest | None:
    """Return the request that causes the present event, unless the screen sent it."""
    part = current()
    return part.asked if part is not None and part.asked.owner is not None else None


class ControlSocket(PrivateSocket):
    """The socket in `home`, from `start` to `stop`; only its owner can connect to it."""

    def __init__(self, reactor: IReactorUNIX, home: Path, control: Control) -> None:
        super().__init__(reactor, home / NAME, control, self._tell)
        self._control = control

    def stop(self) -> Deferred[None]:
        """Stop listening, and close each connection when it has read everything."""
        self._control.finish()
        return super().stop()

    def _tell(self, why: str) -> None:
        self._control.tell(Notice(f"scripts cannot reach this program, {why}"))

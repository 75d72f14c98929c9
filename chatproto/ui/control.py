"""Serve control.sock: the JSON interface for scripts, beside the user's screen.

Commands (or texts as JSON strings) in, one per line; events out, one object per line; several
connections at once. The result of a command goes only to the connection that gave it; the screen and
the other connections receive the events.
"""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IListeningPort,
    IPushProducer,
    IReactorUNIX,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from chatproto.client.events import (
    CommandOutput,
    Event,
    Exited,
    Failed,
    Notice,
    RoomChanged,
    SessionChanged,
)
from chatproto.net.clock import Wall
from chatproto.net.text_connection import TextConnection
from chatproto.stdio.typed import typed
from chatproto.stdio.unexpected import unexpected
from chatproto.ui.references import NO_MARKS, Marks, References
from chatproto.ui.view import json_object
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import Reason

NAME = "control.sock"

Speaker = Callable[[str, References], Event | None]
"""Carries out a line; an event is an answer for whoever wrote it."""


def for_others(event: Event) -> Event | None:
    """Return the event as seen by those who did not give the command; None to hide it."""
    if isinstance(event, CommandOutput | Failed):
        return None
    if isinstance(event, SessionChanged) and event.current is not None:
        # Where the asker's next line goes; theirs goes where it went before.
        return replace(event, current=None) if event.path is not None else None
    if isinstance(event, RoomChanged) and event.change == "current":
        return None
    return event


@implementer(IHalfCloseableProtocol)
class ControlConnection(TextConnection):
    """The connection of one script, dropped when it leaves more than `limits.unsent` bytes unread."""

    def __init__(self, control: Control, speaker: Speaker) -> None:
        self.MAX_LENGTH = control.limits.control_line
        self._control = control
        self._speaker = speaker
        self._outflow = _BoundedOutput(control.limits.unsent)
        self.references = References(lambda event, marks: self.tell(control.line(event, marks)))

    def tell(self, line: bytes) -> None:
        """Write `line`, or keep it until there is room."""
        self._outflow.write(line)

    def hold(self, held: bool) -> None:
        """Carry out no more for now, or go on."""
        if held:
            self.pauseProducing()
        elif self.paused:
            self.resumeProducing()

    def drop(self) -> None:
        """End it now."""
        self.transport.abortConnection()

    def finish(self) -> None:
        """End it when all is written."""
        self._outflow.finish()

    # What Twisted calls.

    def connectionMade(self) -> None:
        self._outflow.start(self.transport)
        self._control.made(self)

    def lineReceived(self, line: bytes) -> None:
        self._control.carry_out(self, self._speaker, line.decode("utf-8", "surrogateescape"))

    def lineLengthExceeded(self, line: bytes) -> None:
        self._control.refuse(self, f"a line has at most {self.MAX_LENGTH} bytes")
        self.finish()
        self.setRawMode()

    def rawDataReceived(self, data: bytes) -> None:
        """Ignore what follows a line that was too long."""

    def readConnectionLost(self) -> None:
        self.finish()  # a script that has said all it had to say may still read the answer

    def writeConnectionLost(self) -> None:
        self.drop()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.references.forget()
        self._control.lost(self)


@implementer(IPushProducer)
class _BoundedOutput:
    """Bounded queue of output for one connection."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._paused = False
        self._finished = False
        self._transport: Any = None

    def start(self, transport: Any) -> None:
        """Write to `transport` from now on."""
        self._transport = transport
        transport.registerProducer(self, True)

    def write(self, line: bytes) -> None:
        """Write `line`; a connection with too much unread is closed."""
        if self._finished:
            return
        if not self._paused:
            self._transport.write(line)
        elif self._bytes > self._most:
            self.stopProducing()
            self._transport.abortConnection()
        else:
            self._waiting.append(line)
            self._bytes += len(line)

    def finish(self) -> None:
        """Close when everything is written; a connection that does not read is dropped."""
        self._finished = True
        if not self._waiting:
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        while self._waiting and not self._paused:
            line = self._waiting.popleft()
            self._bytes -= len(line)
            self._transport.write(line)
        if self._finished and not self._waiting:
            self.finish()

    def stopProducing(self) -> None:
        self._finished = True
        self._waiting.clear()
        self._bytes = 0


class Control(Factory):
    """Every connection to control.sock; stands between the node, which tells, and the screen.

    `screen` is told what is not an answer to a script. `new_speaker` makes what carries out the
    lines of one connection; `seconds` returns the time of day.
    """

    noisy = False

    def __init__(
        self,
        screen: Callable[[Event], None],
        new_speaker: Callable[[], Speaker],
        seconds: Callable[[], Wall],
        limits: ClientLimits,
    ) -> None:
        self.limits = limits
        self._screen = screen
        self._new_speaker = new_speaker
        self._seconds = seconds
        self._connections: dict[ControlConnection, None] = {}
        self._asking: ControlConnection | None = None
        self._held = False

    def __len__(self) -> int:
        return len(self._connections)

    def buildProtocol(self, addr: IAddress | None) -> ControlConnection | None:
        if len(self._connections) >= self.limits.control_connections:
            return None
        return ControlConnection(self, self._new_speaker())

    def tell(self, event: Event) -> None:
        """Show `event`, and write it to all connections."""
        asking = self._asking
        others = event if asking is None else for_others(event)
        if others is not None:
            self._screen(others)
        if not self._connections:
            return
        line = self.line(event)
        theirs = line if others is event else b"" if others is None else self.line(others)
        for connection in tuple(self._connections):
            if isinstance(event, Exited):
                connection.references.stop()
            marks = connection.references.of_current(event)
            said = line if connection is asking else theirs
            if marks:
                said = self.line(event, marks)
            if said:
                connection.tell(said)

    def hold(self, held: bool) -> None:
        """Carry out nothing for now, or go on."""
        self._held = held
        for connection in tuple(self._connections):
            connection.hold(held)

    def finish(self) -> None:
        """End all connections when what was told is written."""
        for connection in tuple(self._connections):
            connection.finish()

    def drop(self) -> None:
        """End those that are still there."""
        for connection in tuple(self._connections):
            connection.drop()

    # What a connection tells.

    def made(self, connection: ControlConnection) -> None:
        """Add a new connection."""
        self._connections[connection] = None
        if self._held:
            connection.hold(True)

    def lost(self, connection: ControlConnection) -> None:
        """Remove a closed connection."""
        self._connections.pop(connection, None)

    def carry_out(self, connection: ControlConnection, speaker: Speaker, line: str) -> None:
        """Carry out one command line of a connection."""
        self._asking = connection
        try:
            answer = speaker(typed(line), connection.references)
            if answer is not None:
                self.tell(answer)
        except Exception:
            connection.tell(
                self.line(Failed(unexpected("a command"), status=500, code=Reason.INTERNAL))
            )
        finally:
            self._asking = None

    def refuse(self, connection: ControlConnection, why: str) -> None:
        """Answer a line that cannot be a command, such as one that is too long."""
        connection.tell(self.line(Failed(why, status=413, code=Reason.TOO_LARGE)))

    def line(self, event: Event, marks: Marks = NO_MARKS) -> bytes:
        """Return the line about `event`, with the `marks` for one connection."""
        shown = json.dumps(json_object(event, self._seconds(), marks), default=str)
        return shown.encode("ascii") + b"\n"


class ControlSocket:
    """The socket in `home`, from `start` to `stop`; nobody but its owner may connect to it.

    The home is locked by us, so a socket that lies there is of a program that was killed.
    """

    def __init__(self, reactor: IReactorUNIX, home: Path, control: Control) -> None:
        self._reactor = reactor
        self._path = home.absolute() / NAME
        self._control = control
        self._port: IListeningPort | None = None

    def start(self) -> None:
        """Listen; where that cannot be, say why, for all else works without it."""
        try:
            if stat.S_ISSOCK(self._path.lstat().st_mode):
                self._path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            self._complain(error.strerror or str(error))
            return
        before = os.umask(0o177)  # so that it is 0600 from its first moment
        try:
            self._port = self._reactor.listenUNIX(str(self._path), self._control, mode=0o600)
        except CannotListenError as error:
            trouble: Any = error.socketError
            self._complain(getattr(trouble, "strerror", None) or str(trouble))
        finally:
            os.umask(before)

    def stop(self) -> Deferred[None]:
        """Listen no more, and end each connection when it has read what it was told."""
        port, self._port = self._port, None
        self._control.finish()
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallback(lambda _: None)

    def _complain(self, why: str) -> None:
        self._control.tell(Notice(f"scripts cannot reach this program, {self._path}: {why}"))

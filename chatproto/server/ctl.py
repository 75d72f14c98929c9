"""Serve ctl.sock: the commands of the operator's terminal for `chatserver ctl`.

Input is one command per line. Output is one JSON object per line: `{"line": TEXT}` for each line that the
terminal would show, then `{"done": true, "code": CODE}`. The code is `ok` or that of a `Reason`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from chatproto.net.bounded_output import BoundedOutput
from chatproto.net.private_socket import PrivateSocket
from chatproto.net.script_connection import ScriptConnection
from chatproto.server.terminal import Operated, Terminal
from chatproto.server.work_queue import Use, WorkQueue
from chatproto.wire.limits import ServerLimits
from chatproto.wire.reasons import Reason

NAME = "ctl.sock"
DONE = "ok"
"""Code of a command that succeeded."""


class CtlConnection(ScriptConnection):
    """Connection of one `chatserver ctl`, with a terminal of its own.

    Its next command is queued until a list is written, and the list pauses while the script does not read.
    The connection is dropped if the script does not read for `limits.ctl_stall` seconds, or if more than
    `limits.unsent` bytes are queued. `host`, `use`, `take_turn` and `failed` are for the work queue.
    """

    host = ""

    def __init__(self, ctl: Ctl, clock: Any, limits: ServerLimits) -> None:
        super().__init__(limits.ctl_line, _WatchedOutput(self, clock, limits))
        self.use = Use()
        self._ctl = ctl
        self._terminal = Terminal(ctl.server, self._write_line, self._list, self._done)
        self._step: Callable[[], bool] | None = None  # writes the next line of a list
        self._said_all = False  # the script has closed its side

    def refuse(self, why: str, reason: Reason = Reason.TOO_LARGE) -> None:
        """Answer that the command was refused, and why."""
        self._write_line(f"* {why}")
        self._done(reason)

    def resume(self) -> None:
        """Continue writing a list, if there is one: the output has room."""
        if self._step is not None:
            self._ctl.turns.ask(self)

    def take_turn(self, over: Callable[[], bool]) -> bool:
        """Write lines of a list until `over()`; return True if more can be written now."""
        while self._step is not None and not self._output.paused and not self._output.finished:
            step, self._step = self._step, None
            if step():
                self._step = step
            if over():
                return self._step is not None
        return False

    def failed(self) -> None:
        """Drop the connection: the list could not be produced."""
        self.drop()

    # Called by Twisted.

    def connectionMade(self) -> None:
        super().connectionMade()
        if not self._ctl.made(self):
            self.refuse("too many ctl connections, try again later", Reason.TOO_MANY)
            self.finish()

    def lineReceived(self, line: bytes) -> None:
        if not self._output.finished:
            self._terminal.on_line(line.decode("utf-8", "replace"))
            if self._terminal.busy:
                self.pauseProducing()

    def readConnectionLost(self) -> None:
        self._said_all = True
        if not self._terminal.busy:
            self.finish()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._step = None
        self._output.stopProducing()
        self._ctl.lost(self)

    # Called by the terminal.

    def _write_line(self, text: str) -> None:
        self._write({"line": text})

    def _list(self, step: Callable[[], bool]) -> None:
        self._step = step
        self._ctl.turns.ask(self)

    def _done(self, reason: Reason | None) -> None:
        self._write({"done": True, "code": reason.code if reason is not None else DONE})
        if self.paused:
            self.resumeProducing()
        if self._said_all and not self._terminal.busy:
            self.finish()

    def _write(self, shown: dict[str, Any]) -> None:
        self.tell(json.dumps(shown).encode("ascii") + b"\n")


class _WatchedOutput(BoundedOutput):
    """Output of `connection`: resumes its list when there is room, drops it if the script does not read."""

    def __init__(self, connection: CtlConnection, clock: Any, limits: ServerLimits) -> None:
        super().__init__(limits.unsent)
        self._connection = connection
        self._clock = clock
        self._stall = limits.ctl_stall
        self._timer: Any = None

    def pauseProducing(self) -> None:
        super().pauseProducing()
        if self._timer is None:
            self._timer = self._clock.callLater(self._stall, self._connection.drop)

    def resumeProducing(self) -> None:
        self._rest()
        super().resumeProducing()
        self._connection.resume()

    def stopProducing(self) -> None:
        self._rest()
        super().stopProducing()

    def _rest(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class Ctl(Factory):
    """Connections to ctl.sock, at most `limits.ctl_connections`; `server` runs their commands."""

    noisy = False

    def __init__(
        self, clock: Any, server: Operated, turns: WorkQueue, limits: ServerLimits
    ) -> None:
        self.server = server
        self.turns = turns
        self._clock = clock
        self._limits = limits
        self._connections: dict[CtlConnection, None] = {}
        self._emptied: Deferred[None] | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def buildProtocol(self, addr: IAddress | None) -> CtlConnection:
        return CtlConnection(self, self._clock, self._limits)

    def finish(self) -> Deferred[None]:
        """End each connection when its output is sent, and fire when none is left.

        Connections still open after `limits.farewell_wait` seconds are dropped.
        """
        if not self._connections:
            return succeed(None)
        emptied: Deferred[None] = Deferred()
        cut = self._clock.callLater(self._limits.farewell_wait, self._drop)

        def ended(_: None) -> None:
            if cut.active():
                cut.cancel()

        self._emptied = emptied.addCallback(ended)
        for connection in tuple(self._connections):
            connection.finish()
        return emptied

    def _drop(self) -> None:
        for connection in tuple(self._connections):
            connection.drop()

    # Called by connections.

    def made(self, connection: CtlConnection) -> bool:
        """Add a new connection; return False if there are too many."""
        if len(self._connections) >= self._limits.ctl_connections:
            return False
        self._connections[connection] = None
        return True

    def lost(self, connection: CtlConnection) -> None:
        """Remove a closed connection."""
        self._connections.pop(connection, None)
        emptied = self._emptied
        if emptied is not None and not self._connections:
            self._emptied = None
            emptied.callback(None)


class CtlService(Service):
    """Listens on ctl.sock in `home`; `complain` receives one sentence if that fails.

    Args: group: id of a group that may connect besides the server's user and root, or None.
    """

    def __init__(
        self,
        reactor: Any,
        home: Path,
        ctl: Ctl,
        complain: Callable[[str], None],
        group: int | None = None,
    ) -> None:
        self._ctl = ctl
        self._socket = PrivateSocket(
            reactor,
            home / NAME,
            ctl,
            lambda why: complain(f"chatserver ctl does not work, {why}"),
            group,
        )

    def startService(self) -> None:
        """Listen."""
        self._socket.start()
        super().startService()

    def stopService(self) -> Deferred[Any]:
        """Remove the socket, and end each connection when its output is sent."""
        super().stopService()
        return DeferredList([self._socket.stop(), self._ctl.finish()])

"""Carries out the work of a one-shot command: with the client that runs, or by being one for a while."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

from chatproto.cli.client_options import InUse, Options
from chatproto.cli.client_program import control, make_client, own_port
from chatproto.cli.embedded import NoKeyboard
from chatproto.cli.exit_codes import COULD_NOT_START, WRONG_OPTIONS
from chatproto.cli.options import RotatedLog, WrongOption, descriptor, log_observer
from chatproto.client.app import Client
from chatproto.client.events import Event
from chatproto.client.service import ChatClient
from chatproto.net.clock import wall
from chatproto.net.text_connection import TextConnection
from chatproto.stdio.output import Output
from chatproto.ui.commands import carry_out_values
from chatproto.ui.control import NAME, Control, ControlSocket
from chatproto.ui.oneshot import DONE, NOT_DONE, AtServer, Over, Said, Step, Work
from chatproto.ui.oneshot_files import ListRegistered, Receive
from chatproto.ui.plain import dropped
from chatproto.ui.progress import ProgressLines
from chatproto.ui.values import Values
from chatproto.ui.view import json_object
from chatproto.wire.errors import CannotStart

LONGEST = 4 * 1024 * 1024
"""Bytes of an event of our own client; a list of transfers may be long."""
HOME_WAIT, LOOK_AGAIN = 30.0, 0.2
"""Seconds for another one-shot command to be done with the home, and between two looks at it."""
PROGRESS_AFTER, PROGRESS_AGAIN = 2.0, 3.0
"""Seconds until it is told what is waited for, and between two looks."""
OLDER = "the running client is an older version: restart it"
LINE, ROWS = 80, 24
"""Columns and rows of a terminal that says nothing of its size; of a wider one no more are used."""


class ControlSocketClient(TextConnection):
    """Our connection to the client that runs.

    `lost` is called at its end, and with one sentence if that client cannot be used.
    """

    MAX_LENGTH = LONGEST

    def __init__(self, told: Callable[[Said], None], lost: Callable[[str], None]) -> None:
        self._told = told
        self._lost = lost
        self._understood = False

    def command(self, given: Values) -> None:
        """Have it carried out."""
        self.sendLine(json.dumps(given).encode("ascii"))

    def lineReceived(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            self._lost("the running client sent invalid JSON: restart it")
            return
        match event:
            case {"event": "answer" | "contacts"}:
                self._understood = True
            case {"event": "error", "command": "say"} if not self._understood:
                self._lost(
                    OLDER
                )  # it took our first command for a text, and there is nobody to say it to
                return
        match event:
            case {"event": "error" | "undelivered" | "bye"} | {
                "event": "session",
                "state": "closed",
                "reason": _,
            } if "code" not in event:
                self._lost(OLDER)  # its ends and failures are sentences only
                return
        self._told(event)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._lost("")


class OneShotRunner:
    """Run one-shot `work` from the start of the program to its exit code. Raises OSError."""

    def __init__(self, reactor: Any, options: Options, work: Work) -> None:
        self._reactor = reactor
        self._options = options
        self._work = work
        self._json = bool(options["json"])
        self._shows = sys.stderr is not None and sys.stderr.isatty() and not self._json
        self._progress = ProgressLines(simple=os.environ.get("TERM", "dumb") == "dumb")
        self._code: int | None = None
        self._began = 0.0
        self._guest: ControlSocketClient | None = None
        self._client: Client | None = None
        self._service: ChatClient | None = None
        self._control: Control | None = None
        self._stopped = False
        self._screen = Output(
            reactor,
            descriptor(sys.__stdout__, os.O_WRONLY),
            dropped_line=lambda count: json.dumps(json_object(dropped(count), wall())),
        )
        self._late: IDelayedCall | None = None
        self._again: IDelayedCall | None = None
        self._looking: IDelayedCall | None = None  # for progress
        self._doing = ""

    def run(self) -> int:
        """The exit code, when all is over."""
        self._began = self._reactor.seconds()
        timeout = self._options["timeout"]
        if timeout is not None:
            why = f"not done within {timeout:g} s"
            self._late = self._reactor.callLater(timeout, self._stop, why)
        self._reactor.callWhenRunning(self._find)
        if self._work.calls and not self._json:
            self._reactor.callLater(PROGRESS_AFTER, self._look)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shut_down)
        self._reactor.run()
        assert self._code is not None
        if self._screen.dropped and self._code == DONE:
            self._say(f"{self._screen.dropped} lines of output could not be written")
            return NOT_DONE
        return self._code

    # Who does it.

    def _find(self) -> None:
        """Hand it to the client that runs; if none does, be one."""
        if self._code is not None:
            return
        path = self._options["home"].absolute() / NAME
        try:
            there = path.is_socket()
        except OSError:
            there = False
        if not there:
            self._be_one()
            return
        guest = ControlSocketClient(self._told, self._left_alone)
        found = connectProtocol(UNIXClientEndpoint(self._reactor, str(path)), guest)
        found.addCallbacks(self._found, lambda _: self._be_one())

    def _found(self, guest: ControlSocketClient) -> None:
        self._guest = guest
        self._do(self._work.begin())

    def _left_alone(self, why: str) -> None:
        """The client that ran has ended, or, for the reason `why`, cannot do it."""
        guest, self._guest = self._guest, None
        if self._code is not None:
            return
        if why:
            assert guest is not None and guest.transport is not None
            guest.transport.loseConnection()
            self._end(Over(COULD_NOT_START, why))
            return
        if isinstance(self._work, Receive):
            self._find()  # what is not there yet will come to whoever is there next
        else:
            self._stop("the client has stopped")

    def _be_one(self) -> None:
        if self._code is not None:
            return
        options = self._options
        try:
            RotatedLog.path = options.prepare().absolute() / options.logs_to
            globalLogBeginner.beginLoggingTo([log_observer()], redirectStandardIO=False)
        except InUse as error:
            if self._reactor.seconds() - self._began < HOME_WAIT:
                self._reactor.callLater(LOOK_AGAIN, self._find)
            else:
                self._end(Over(COULD_NOT_START, f"cannot start: {error}"))
            return
        except WrongOption as error:
            self._end(Over(WRONG_OPTIONS, str(error)))
            return
        except (CannotStart, OSError) as error:
            self._end(Over(COULD_NOT_START, f"cannot start: {error}"))
            return
        self._start()

    def _start(self) -> None:
        options = self._options
        client = make_client(self._reactor, options)
        client.program.finished.listen(self._finished)
        socket: ControlSocket | None = None
        if isinstance(self._work, Receive):  # which may last: others can have it do their work
            self._control = control(client, self._heard)
            socket = ControlSocket(self._reactor, options["home"], self._control)
        client.context.publish.listen(
            self._control.tell if self._control is not None else self._heard
        )
        self._service = ChatClient(
            self._reactor,
            client,
            own_port(self._reactor, options),
            options["opened"],
            NoKeyboard(),
            self._screen,
            self._cannot_start,
            self._reactor.stop,
            socket,
        )
        self._client = client
        if options["server"] is not None:
            # Who only asks need not be known to the server.
            when = ("running",) if isinstance(self._work, ListRegistered) else ()
            self._work = AtServer(self._work, *when)
        self._service.startService()
        self._do(self._work.begin())

    def _cannot_start(self, error: CannotStart) -> None:
        self._client = None
        self._end(Over(COULD_NOT_START, f"cannot start: {error}"))

    # What is said and done.

    def _heard(self, event: Event) -> None:
        """Our own client's news; what follows comes after it has done what it is doing."""
        self._reactor.callLater(0, self._told, json_object(event, wall()))

    def _told(self, event: Said) -> None:
        if self._code is not None:
            return
        if self._json and event["event"] != "exit":
            self._screen.write_line(json.dumps(event, default=str))
        if self._shows and event["event"] == "file" and self._work.concerns(event):
            self._show(event)
        if self._looking is not None and (event["event"], event.get("command")) == (
            "answer",
            "who",
        ):
            self._tell_progress(event)
        self._do(self._work.heard(event))

    def _do(self, step: Step) -> None:
        for command in step.commands:
            self._command(command)
        for line in step.lines if not self._json else ():
            self._screen.write_line(line)
        for note in step.notes:
            self._say(note)
        if step.over is not None:
            self._end(step.over)
        elif step.wait is not None:
            self._again = self._reactor.callLater(step.wait, self._go_on)

    def _go_on(self) -> None:
        if self._code is None:
            self._do(self._work.again())

    def _look(self) -> None:
        """Ask for the state of the call from time to time, to report it."""
        if self._code is None:
            self._looking = self._reactor.callLater(PROGRESS_AGAIN, self._look)
            self._command({"do": "who"})

    def _tell_progress(self, event: Said) -> None:
        doing = self._work.doing(event)
        if doing and doing != self._doing:
            self._doing = doing
            self._say(doing)

    def _command(self, given: Values) -> None:
        if self._guest is not None:
            self._guest.command(given)
        elif self._client is not None:
            answer = carry_out_values(given, self._client)
            if answer is not None:
                self._heard(answer)

    def _show(self, event: Said) -> None:
        """Write the progress of a file over the line of before."""
        try:
            columns, rows = os.get_terminal_size(sys.stderr.fileno())
        except (OSError, ValueError):
            columns = rows = 0
        columns = min(columns or LINE, LINE) - 1
        self._write(self._progress.told(event, columns, (rows or ROWS) - 1))

    def _say(self, sentence: str) -> None:
        said = " ".join(sentence.split())
        self._write(f"{self._progress.left()}{self._options.program}: {said}\n")

    def _write(self, text: str) -> None:
        try:
            if sys.stderr is not None:
                sys.stderr.write(text)
                sys.stderr.flush()
        except (OSError, ValueError, UnicodeError):
            pass  # nobody to tell

    # The end.

    def _stop(self, why: str) -> None:
        """End the command early, because of a timeout or a signal."""
        if self._code is None:
            self._end(self._work.stopped(why, goes_on=self._guest is not None))

    def _end(self, how: Over) -> None:
        if self._code is not None:
            return
        self._code = how.code
        for timer in (self._late, self._again, self._looking):
            if timer is not None and timer.active():
                timer.cancel()
        if how.sentence:
            self._say(how.sentence)
        if self._json:
            told = {"event": "exit", "time": _now(), "code": how.code}
            self._screen.write_line(json.dumps(told))
        # What was told last has not been answered to the other side before this turn is over.
        self._reactor.callLater(0, self._close)

    def _close(self) -> None:
        if self._stopped:
            return
        if self._client is not None:
            self._wait_for_guests(self._reactor.seconds() + self._client.context.limits.end_wait)
            return
        self._flush().addBoth(lambda _: self._leave())

    def _wait_for_guests(self, until: float) -> None:
        """Give scripts that use our control socket some time to finish, then stop."""
        assert self._client is not None
        if self._control is not None and len(self._control) and self._reactor.seconds() < until:
            self._reactor.callLater(LOOK_AGAIN, self._wait_for_guests, until)
        else:
            self._client.program.stop(self._code or 0)

    def _finished(self, code: int) -> None:
        """The client has ended by itself, or because we said so."""
        self._stop("the client has stopped")
        self._stopped = True

    def _flush(self) -> Deferred[None]:
        shown = self._screen.flush()
        return shown.addTimeout(2.0, self._reactor)

    def _leave(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._reactor.stop()

    def _shut_down(self) -> Deferred[None]:
        """An interrupt, or all is over."""
        self._stopped = True
        self._stop("interrupted")
        if self._service is None or self._client is None:
            return self._flush().addErrback(lambda _: None)
        return self._service.stopService()


def _now() -> str:
    return str(json_object(Event(), wall())["time"])

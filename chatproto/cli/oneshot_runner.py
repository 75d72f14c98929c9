"""Carry out the work of a one-shot command, with the running client or by starting one."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.api.asking import Fields
from chatproto.api.connection import ANSWERS
from chatproto.api.errors import Refused
from chatproto.api.inside import InsideClient
from chatproto.api.twisted import AttachedClient, attach
from chatproto.cli.client_options import Options
from chatproto.cli.exit_codes import COULD_NOT_START, WRONG_OPTIONS
from chatproto.cli.options import descriptor
from chatproto.client.app import END_WAIT
from chatproto.client.events import Exited
from chatproto.net.clock import wall
from chatproto.net.timers import Timers
from chatproto.stdio.output import Output
from chatproto.ui.control import NAME
from chatproto.ui.oneshot import DONE, NOT_DONE, REFUSED, Over, Said, Step, Work
from chatproto.ui.oneshot_files import Receive
from chatproto.ui.plain import dropped
from chatproto.ui.progress import ProgressLines
from chatproto.ui.values import Values
from chatproto.ui.view import json_object
from chatproto.wire.reasons import Reason

log = Logger()
HOME_WAIT, LOOK_AGAIN = 30.0, 0.2
"""Seconds for another one-shot command to release the home, and between two attempts."""
PROGRESS_AFTER, PROGRESS_AGAIN = 2.0, 3.0
"""Seconds until progress is reported, and between two reports."""
LINE, ROWS = 80, 24
"""Columns and rows of a terminal that does not report its size; more columns are not used."""


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
        self._me: InsideClient | AttachedClient | None = None
        self._inside = False  # True if the client is this program
        self._begun = False
        self._stopped = False
        self._screen = Output(
            reactor,
            descriptor(sys.__stdout__, os.O_WRONLY),
            dropped_line=lambda count: json.dumps(json_object(dropped(count), wall())),
        )
        self._timers = Timers(reactor)
        self._looks = False  # for progress
        self._doing = ""

    def run(self) -> int:
        """Run the work and return the exit code."""
        self._began = self._reactor.seconds()
        timeout = self._options["timeout"]
        if timeout is not None:
            why = f"not done within {timeout:g} s"
            self._timers.after("late", timeout, lambda: self._stop(why))
        self._reactor.callWhenRunning(self._find)
        if self._work.calls and not self._json:
            self._timers.after("look", PROGRESS_AFTER, self._look)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shut_down)
        self._reactor.run()
        assert self._code is not None
        if self._screen.dropped and self._code == DONE:
            self._say(f"{self._screen.dropped} lines of output could not be written")
            return NOT_DONE
        return self._code

    # Choice of the client.

    def _find(self) -> None:
        """Use the running client; if there is none, start one."""
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
        found = attach(self._reactor, self._options["home"].absolute(), wait=None)
        found.addCallbacks(self._found, self._not_found).addErrback(self._mistaken)

    def _found(self, me: AttachedClient) -> None:
        """Use the running client `me`."""
        self._follow(me)
        self._begin()

    def _not_found(self, failure: Failure) -> None:
        failure.trap(Refused)
        error: Any = failure.value
        if error.code == Reason.NOT_FOUND.code:
            self._be_one()
        elif error.code == Reason.STOPPING.code:
            self._left_alone(error)
        else:
            self._end(Over(COULD_NOT_START, error.text))

    def _be_one(self) -> None:
        if self._code is not None:
            return
        # A client for `receive` may last: other commands can use it.
        me = InsideClient(self._reactor, self._options, isinstance(self._work, Receive))
        self._inside = True
        self._follow(me)
        begun = me.start(None)
        begun.addCallbacks(lambda _: self._begin(), self._not_begun).addErrback(self._mistaken)

    def _not_begun(self, failure: Failure) -> None:
        """Handle the failed start of our own client."""
        failure.trap(Refused)
        error: Any = failure.value
        taken = error.code == Reason.BUSY.code
        if taken and self._reactor.seconds() - self._began < HOME_WAIT:
            self._me, self._inside = None, False
            self._reactor.callLater(LOOK_AGAIN, self._find)
        elif error.code == Reason.MALFORMED.code:
            self._end(Over(WRONG_OPTIONS, error.text))
        else:
            self._end(Over(COULD_NOT_START, f"cannot start: {error.text}"))

    def _follow(self, me: InsideClient | AttachedClient) -> None:
        """Subscribe to the events of `me`."""
        self._me = me

        async def listen() -> None:
            async for event in me.events():
                if event.fields:
                    self._told(event.fields)
            if me is self._me and self._begun:
                self._left_alone(me.why_gone)

        Deferred.fromCoroutine(listen()).addErrback(self._mistaken)

    def _left_alone(self, why: Refused | None) -> None:
        """Handle the end of the client, or that it cannot be used any more."""
        if self._code is not None:
            return
        if not self._inside:
            self._me, self._begun = None, False
        if why is not None and why.code != Reason.STOPPING.code:
            self._end(Over(COULD_NOT_START, why.text))
        elif isinstance(self._work, Receive) and not self._inside:
            self._find()  # missing files will go to the next client
        else:
            self._stop("the client has stopped")

    # Commands and events.

    def _begin(self) -> None:
        if self._code is None:
            self._begun = True
            self._do(self._work.begin())

    def _told(self, event: Fields) -> None:
        if self._code is not None:
            return
        said = dict(event)
        if self._json and said["event"] not in ("exit", "done"):
            shown = {name: value for name, value in said.items() if name != "ref"}
            self._screen.write_line(json.dumps(shown))
        if self._inside and (said["event"], said.get("command")) == ("error", "register"):
            self._end(Over(REFUSED, said["text"]))
        if not self._begun or self._code is not None:
            return
        if self._shows and said["event"] == "file" and self._work.concerns(said):
            self._show(said)
        if self._looks and (said["event"], said.get("command")) == ("answer", "who"):
            self._tell_progress(said)
        self._do(self._work.heard(said))

    def _answered(self, event: Fields) -> None:
        """Handle an event that only we receive; the others are also passed to `_follow`."""
        if event["event"] in ANSWERS:
            self._told(event)

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
            self._timers.after("again", step.wait, lambda: self._do(self._work.again()))

    def _look(self) -> None:
        """Request the state of the call from time to time, to report it."""
        self._looks = True
        self._timers.after("look", PROGRESS_AGAIN, self._look)
        self._command({"do": "who"})

    def _tell_progress(self, event: Said) -> None:
        doing = self._work.doing(event)
        if doing and doing != self._doing:
            self._doing = doing
            self._say(doing)

    def _command(self, given: Values) -> None:
        if self._me is not None:
            asked = self._me.ask(given, lambda outcome: outcome.code, None, self._answered)
            asked.addCallbacks(
                lambda code: self._over(given, code), lambda failure: self._refused(given, failure)
            )
            asked.addErrback(self._mistaken)

    def _over(self, given: Values, code: str, text: str = "") -> None:
        """Pass the end of a command to the work."""
        self._told({"event": "done", "command": given["do"], "code": code, "text": text})

    def _refused(self, given: Values, failure: Failure) -> None:
        failure.trap(Refused)
        error: Any = failure.value
        if error.code != Reason.STOPPING.code:  # `_left_alone` handles that
            self._over(given, error.code, error.text)

    def _show(self, event: Said) -> None:
        """Write the progress of a file over the previous line."""
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
            pass  # there is no reader

    # The end.

    def _stop(self, why: str) -> None:
        """End the command early, because of a timeout or a signal."""
        if self._code is None:
            self._end(self._work.stopped(why, goes_on=not self._inside and self._me is not None))

    def _end(self, how: Over) -> None:
        if self._code is not None:
            return
        self._code = how.code
        self._timers.stop()
        if how.sentence:
            self._say(how.sentence)
        if self._json:
            self._screen.write_line(json.dumps(json_object(Exited(how.code), wall())))
        # The last messages are acknowledged to the peer only after this turn.
        self._reactor.callLater(0, self._close)

    def _close(self) -> None:
        if self._stopped:
            return
        wait = END_WAIT if self._inside else 0.0
        self._wait_for_scripts(self._reactor.seconds() + wait)

    def _wait_for_scripts(self, until: float) -> None:
        """Give scripts that use our control socket some time to finish, then stop."""
        me = self._me
        scripts = me.scripts if isinstance(me, InsideClient) else 0
        if scripts and self._reactor.seconds() < until:
            self._reactor.callLater(LOOK_AGAIN, self._wait_for_scripts, until)
        else:
            self._closed().addBoth(lambda _: self._leave())

    async def _close_and_flush(self) -> None:
        if self._me is not None:
            await self._me.close()
        await self._screen.flush().addTimeout(2.0, self._reactor)

    def _closed(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._close_and_flush())

    def _leave(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._reactor.stop()

    def _shut_down(self) -> Deferred[None]:
        """Shut down after an interrupt, or when all is done."""
        self._stopped = True
        self._stop("interrupted")
        return self._closed().addErrback(lambda _: None)  # a failed flush had its time

    def _mistaken(self, failure: Failure) -> None:
        """End because of a defect of this program."""
        log.failure("a one-shot command", failure)
        self._end(Over(NOT_DONE, "internal error, the log has details"))

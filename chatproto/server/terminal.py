"""Commands of the operator: lists, /kick, /free, moderation of rooms, /reload, /drain, /quit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from chatproto.server.room_orders import USAGE
from chatproto.stdio.printable import printable
from chatproto.wire.reasons import CodedError, Reason

T = TypeVar("T")

HELD_LINES = 100
"""Lines of input that are queued while a list is written."""
USAGES = {
    "/info": "/info [prefix]: list registered clients and their addresses",
    "/rooms": "/rooms: list the rooms",
    "/kick": "/kick ID [ROOM [REASON]]: disconnect a client, or remove it from one room",
    **{command: usage for command, usage in USAGE.items() if command != "/kick"},
    "/free": "/free ID: free an id, so that another key can register it",
    "/reload": "/reload: read accounts, keys and passwords again",
    "/drain": "/drain [TIME]: take no new connections, end when all have closed or after TIME",
    "/quit": "/quit: end the server",
    "/help": "/help: show this list",
}
"""Usage of each command."""


class Operated(Protocol):
    """Server as used by the operator's commands."""

    def info_lines(self, prefix: str) -> Deferred[Iterator[str]]:
        """Fire with `<clientID> <ip>:<port>` for each registered client; at least those with `prefix`.

        Fails with CodedError.
        """

    def rooms(self) -> Deferred[Iterator[str]]:
        """Fire with one line for each room. Fails with CodedError."""

    def kick(self, client_id: str) -> Deferred[bool]:
        """Remove a client from the directory and from its rooms; fire with False if there is none.

        Fails with CodedError.
        """

    def order(self, command: str, rest: str) -> Deferred[str]:
        """Carry out an order about a room; fire with a confirmation of one sentence.

        Raises CodedError with one sentence, or fails with it.
        """

    def free(self, client_id: str) -> Deferred[bool]:
        """Take an id from its key or classic client; fire with False if it has neither.

        Fails with CodedError.
        """

    def reload(self) -> Iterable[str]:
        """Read files again; yield a line for each. Raises CodedError at the end if some failed."""

    def drain(self, time: str) -> str:
        """Accept no more connections and end when none is left; return one line about it.

        Args: time: duration after which the server ends in any case; empty: `drain_wait`. Raises CodedError.
        """

    def stop(self) -> object:
        """End the program."""


class Terminal:
    """Runs one line of input at a time; its output is passed to `write_line`.

    The lines of /info are those of the assignment; all other output begins with `* `. A list is written
    by a step that writes one line. `work` calls the step until it returns False, with other work between.
    Input that arrives while a list is written, or a store is asked, is queued, at most HELD_LINES lines.

    Each line of input ends with one call of `done` after its output: None for success, or the reason of
    the refusal. A blank line succeeds at once.
    """

    def __init__(
        self,
        server: Operated,
        write_line: Callable[[str], None],
        work: Callable[[Callable[[], bool]], None],
        done: Callable[[Reason | None], None] = lambda _: None,
    ) -> None:
        self._server = server
        self._write_line = write_line
        self._work = work
        self._done = done
        self.busy = False
        """True while a list is written, or a store is asked."""
        self._held: deque[str] = deque()
        self._commands: dict[str, Callable[[str], bool | None]] = {
            **{command: self._order(command) for command in USAGE},
            "/info": self._info,
            "/rooms": self._rooms,
            "/kick": self._kick,
            "/free": self._free,
            "/reload": self._reload,
            "/drain": self._drain,
            "/quit": self._quit,
            "/help": self._help,
        }

    def on_line(self, line: str) -> None:
        """Run `line`, or write one sentence about why not."""
        if not self.busy:
            self._run_line(line)
        elif len(self._held) < HELD_LINES:
            self._held.append(line)
        else:
            self._say(f"ignored, as a list is still being printed: {line}")
            self._done(Reason.TOO_MANY)

    def _run_line(self, line: str) -> None:
        command, _, argument = line.strip().partition(" ")
        if not command:
            self._done(None)
            return
        found = self._commands.get(command.lower())
        try:
            if found is None:
                raise CodedError(self._unknown(command), Reason.MALFORMED)
            if not found(argument.strip()):
                self._done(None)
        except CodedError as error:
            self._refuse(error)

    def on_end(self) -> None:
        """Do nothing at the end of input: the server continues."""

    def _refuse(self, error: CodedError) -> None:
        self._say(str(error))
        self._done(error.reason)

    def _say(self, text: str) -> None:
        self._write_line(f"* {printable(text)}")

    def _unknown(self, command: str) -> str:
        slashed = "/" + command.lstrip("/").lower()
        near = get_close_matches(slashed, self._commands, n=1)
        if not near:
            return f"unknown command {command}: /help lists the commands"
        return f"unknown command {command}: did you mean {near[0]}?"

    # Commands: each returns True if it calls `done` by itself, now or later.

    def _info(self, prefix: str) -> bool:
        none = f'nobody whose id begins with "{prefix}"' if prefix else "no clients are registered"
        return self._wait(
            self._server.info_lines(prefix),
            lambda lines: self._list(lines, prefix, self._write_line, none),
        )

    def _rooms(self, _: str) -> bool:
        return self._wait(
            self._server.rooms(),
            lambda lines: self._list(lines, "", self._say, "there are no rooms"),
        )

    def _wait(self, asked: Deferred[T], then: Callable[[T], bool | None]) -> bool:
        """Call `then` with the result of `asked`; it returns True as a command does."""

        def came(result: T) -> None:
            self.busy = False
            if not then(result):
                self._done(None)
            self._go_on()

        def failed(failure: Failure) -> None:
            self.busy = False
            failure.trap(CodedError)
            error: Any = failure.value
            self._refuse(error)
            self._go_on()

        self.busy = True
        asked.addCallbacks(came, failed)
        return True

    def _go_on(self) -> None:
        """Run the queued lines of input."""
        while self._held and not self.busy:
            self._run_line(self._held.popleft())

    def _list(
        self, lines: Iterable[str], prefix: str, write: Callable[[str], None], none: str
    ) -> bool:
        """Write the `lines` that begin with `prefix`, or `none` if there are none."""
        left, found = iter(lines), False

        def step() -> bool:
            nonlocal found
            trouble = None
            try:
                line = next(left, None)
            except CodedError as error:
                line, trouble = None, error
            if line is None:
                self.busy = False
                if trouble is not None:
                    self._refuse(trouble)
                else:
                    if not found:
                        self._say(none)
                    self._done(None)
                self._go_on()
                return False
            if line.startswith(prefix):
                found = True
                write(printable(line))
            return True

        self.busy = True
        self._work(step)
        return True

    def _kick(self, client_id: str) -> bool:
        if not client_id:
            raise CodedError("name a client: /kick ID (/info lists the ids)", Reason.MALFORMED)
        if " " in client_id:
            return self._order("/kick")(client_id)
        nobody = f'no client has the id "{client_id}": /info lists them'
        done = f'"{client_id}" is disconnected and no longer registered'
        return self._wait(
            self._server.kick(client_id), lambda found: self._end(found, done, nobody)
        )

    def _end(self, found: bool, done: str, nobody: str) -> bool:
        """Write `done`, or refuse with `nobody`."""
        if found:
            self._say(done)
        else:
            self._refuse(CodedError(nobody, Reason.NOT_FOUND))
        return not found

    def _order(self, command: str) -> Callable[[str], bool]:
        def order(rest: str) -> bool:
            return self._wait(self._server.order(command, rest), self._say)

        return order

    def _free(self, client_id: str) -> bool:
        if not client_id:
            raise CodedError("name an id: /free ID", Reason.MALFORMED)
        unowned = f'no key and no classic client has the id "{client_id}": nothing to free'
        done = f'"{client_id}" is free: any key can register it now'
        return self._wait(
            self._server.free(client_id), lambda found: self._end(found, done, unowned)
        )

    def _reload(self, _: str) -> None:
        for line in self._server.reload():
            self._say(line)

    def _drain(self, time: str) -> None:
        self._say(self._server.drain(time))

    def _quit(self, _: str) -> None:
        self._server.stop()

    def _help(self, _: str) -> None:
        for text in USAGES.values():
            self._say(text)

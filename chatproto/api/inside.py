"""Run a client inside this program: its options, its start, its commands and events, its end."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from twisted.internet.defer import Deferred, succeed
from twisted.python.usage import UsageError

from chatproto.api.asking import WAIT, Fields, refused
from chatproto.api.deferred import DeferredConnection
from chatproto.api.errors import Refused, closed, home_taken, not_started, wrong_option
from chatproto.cli.client_options import InUse, Options
from chatproto.cli.embedded import Embedded
from chatproto.client.conversations import ActiveTarget
from chatproto.client.events import Event, Exited
from chatproto.net.clock import wall
from chatproto.ui.jsonlines import run_json
from chatproto.ui.references import NO_MARKS, Marks, References
from chatproto.ui.view import json_object
from chatproto.wire.errors import CannotStart


class InsideClient(DeferredConnection):
    """A client in this program, from `start` to `close`; `async with` calls both.

    Args: options: of chatclient, checked. serves: scripts may use it by control.sock.
    """

    def __init__(self, reactor: Any, options: Options, serves: bool = True) -> None:
        super().__init__(reactor, known=True, id=options["id"])
        self._options = options
        self._serves = serves
        self._running: _Running | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    def start(self, wait: float | None = WAIT) -> Deferred[None]:
        """Start; done when the client is registered, or its server cannot be reached.

        Args: wait: seconds, None for no limit. Fails: Refused: the home or the port cannot be used, or
        the server refuses to register the client.
        """
        return Deferred.fromCoroutine(self._start(wait))

    async def _start(self, wait: float | None) -> None:
        if self._running is not None or self.why_gone is not None:
            raise closed("a client starts once")
        try:
            self._running = _Running(self._reactor, self._options, self._serves, self._heard)
        except InUse as error:
            raise home_taken(str(error)) from None
        except CannotStart as error:
            raise not_started(str(error)) from None
        except UsageError as error:  # the password file is empty
            raise wrong_option(str(error)) from None
        try:
            await self.limited(self._running.start(), wait)
        except BaseException:  # also if cancelled: the home must not stay locked
            await self.close()
            raise

    def close(self) -> Deferred[None]:
        """Leave every conversation, end the client, and end all requests.

        The Deferred fires when the home can be used again.
        """
        self.end(closed("the client was closed"))
        return succeed(None) if self._running is None else self._running.stop()

    @property
    def scripts(self) -> int:
        """Number of programs that use this client by control.sock."""
        return 0 if self._running is None else self._running.scripts

    def write(self, line: str) -> None:
        if self._running is None:
            raise closed("the client has not been started")
        self._running.run_line(line)

    def _heard(self, fields: Fields) -> None:
        self.tell(fields)
        if fields["event"] == "exit":
            self.end(closed("the client has ended"))


class _Running:
    """The client itself.

    `tell` is called with its events as JSON objects, after the turn in which they happened, so that the
    program's reactions never interrupt the client's work. Raises: CannotStart.
    """

    def __init__(
        self, reactor: Any, options: Options, serves: bool, tell: Callable[[Fields], object]
    ) -> None:
        self._reactor = reactor
        self._tell = tell
        self._told: deque[Fields] = deque()
        self._held = False
        self._lines: deque[str] = deque()
        self._references = References(self._note)
        self._embedded = Embedded(
            reactor,
            options,
            serves,
            lambda event: self._note(event, self._references.of_current(event)),
            lambda why: self._ready_or(not_started(str(why))),
        )
        self._client, self._service = self._embedded.client, self._embedded.service
        self._client.context.hold_input.listen(self._hold)
        self._target = ActiveTarget(self._client.conversations)
        # A client that only sends requests is not registered, nor is one with --plain by default.
        registers = not options["plain"] and not options.get("only-asks")
        self._asks_server = options["server"] is not None and registers
        self._ready: Deferred[None] | None = Deferred()
        self._ended: Deferred[None] | None = None
        self._trigger: Any = None

    def start(self) -> Deferred[None]:
        """Start. Returns: fires when the client is registered or cannot be; fails with Refused."""
        assert self._ready is not None
        ready = self._ready
        self._trigger = self._reactor.addSystemEventTrigger("before", "shutdown", self._shut_down)
        self._service.startService()
        return ready

    def stop(self) -> Deferred[None]:
        """End. Returns: fires when the home is free."""
        if self._ended is None:
            trigger, self._trigger = self._trigger, None
            if trigger is not None:
                self._reactor.removeSystemEventTrigger(trigger)
            self._ended = self._service.stopService()
        waiter: Deferred[None] = Deferred()
        self._ended.addBoth(lambda _: waiter.callback(None))
        return waiter

    @property
    def scripts(self) -> int:
        """Number of connections to control.sock."""
        return len(self._embedded.scripts)

    def run_line(self, line: str) -> None:
        """Carry out a command, at once or when the client accepts input again."""
        if self._held:
            self._lines.append(line)  # at most as many as unfinished requests
            return
        shown = self._target.run(lambda: run_json(line, self._client, self._references))
        if shown is not None:
            self._note(shown, NO_MARKS)

    def _hold(self, held: bool) -> None:
        self._held = held
        if not held and self._lines:
            self._reactor.callLater(0, self._go_on)

    def _go_on(self) -> None:
        while self._lines and not self._held:
            self.run_line(self._lines.popleft())

    def _shut_down(self) -> Deferred[None]:
        """The reactor stops: leave first."""
        self._trigger = None
        return self.stop()

    def _note(self, event: Event, marks: Marks) -> None:
        if isinstance(event, Exited):
            self._references.stop()
        self._told.append(json.loads(json.dumps(json_object(event, wall(), marks), default=str)))
        if len(self._told) == 1:
            self._reactor.callLater(0, self._tell_all)

    def _tell_all(self) -> None:
        told, self._told = self._told, deque()
        for fields in told:
            self._tell(fields)
            match fields:
                case {"event": "running"} if not self._asks_server:
                    self._ready_or(None)
                case {"event": "registered"} | {"event": "notice", "code": str()}:
                    self._ready_or(None)
                case {"event": "error", "command": "register"}:
                    self._ready_or(refused(fields))

    def _ready_or(self, error: Refused | None) -> None:
        """Complete `start`, at the first call."""
        ready, self._ready = self._ready, None
        if ready is not None and not ready.called:
            ready.callback(None) if error is None else ready.errback(error)

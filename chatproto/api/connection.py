"""Match a client's events to the requests of a program, and pass them to its loops.

Both kinds of client share this; each adds its connection to the client, and how a coroutine waits.
"""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from platformdirs import user_data_path

from chatproto.api.asking import Fields, Form, Outcome, refusal
from chatproto.api.commands import Commands
from chatproto.api.errors import Refused, too_long, too_many, too_old
from chatproto.api.events import Event, Lagged, Message, parse
from chatproto.wire.limits import CLIENT_DEFAULTS

ATTACH_WAIT = 10.0
"""Seconds for the first answer of a running client."""
LONGEST = 16 * 1024 * 1024
"""Largest size of one event in bytes: a list of many clients is long."""
MOST_OPEN = 1000
"""Largest number of unfinished requests."""
MOST_WAITING = 1000
"""Largest number of unread events of a program; the oldest are dropped for new ones."""
ANSWERS = ("answer", "contacts", "error", "done")
"""Events that are passed only to the request that caused them."""
Over = Callable[[Outcome, BaseException | None], object]
"""Function that is called at the end of a request: its outcome, and the error if it failed."""


def control_socket(home: str | os.PathLike[str] | None, id: str | None) -> Path:
    """Return the socket of the client in `home`, or in the usual home of `id`.

    Raises: ValueError: neither or both are given.
    """
    if (home is None) == (id is None):
        raise ValueError("give either home or id")
    where = Path(home) if home is not None else user_data_path("chatproto") / str(id)
    return where / "control.sock"


class Request:
    """Unfinished command, and its events so far."""

    def __init__(self, over: Over, progress: Callable[[Fields], object] | None) -> None:
        self._outcome = Outcome()
        self._over: Over | None = over
        self._progress = progress

    def tell(self, fields: Fields) -> None:
        """Process an event of the command; the last one ends it."""
        name = fields["event"]
        self._outcome.last[name] = fields
        if name == "done":
            self._outcome.code = str(fields.get("code"))
            self.end(refusal(fields))
        elif self._progress is not None and self._over is not None:
            try:
                self._progress(fields)
            except (
                Exception
            ) as mistake:  # an error in the caller's code: it is raised to the caller
                self.end(mistake)

    def end(self, error: BaseException | None) -> None:
        """End the request, at the first call."""
        over, self._over = self._over, None
        if over is not None:
            over(self._outcome, error)


class EventQueue:
    """Queue of the newest `most` events, with the number of dropped ones.

    Pure. A program that reads too slowly misses events and learns how many; it delays nothing else.
    """

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting: deque[Event] = deque()
        self._lost = 0

    def __len__(self) -> int:
        return len(self._waiting) + bool(self._lost)

    def put(self, event: Event) -> None:
        """Add `event`, and drop the oldest one if there are too many."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(event)

    def take(self) -> Event | None:
        """Remove and return the next event; None if the queue is empty.

        `Lagged` precedes the first event after dropped ones.
        """
        if self._lost:
            lost, self._lost = self._lost, 0
            return Lagged(lost)
        return self._waiting.popleft() if self._waiting else None


Waiter = Callable[[], tuple[Awaitable[None], Callable[[], object]]]
"""Function that returns an awaitable for a loop, and a function that ends the wait."""


class Listening:
    """Events for one loop over them."""

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self._wake: Callable[[], object] = lambda: None
        self._queue = EventQueue()
        self._ended = False

    def put(self, event: Event) -> None:
        """Add an event."""
        self._queue.put(event)
        self._wake()

    def end(self) -> None:
        """Accept no more events; those in the queue are still yielded."""
        self._ended = True
        self._wake()

    async def next(self) -> Event | None:
        """Return the next event; None when the client has ended."""
        while True:
            event = self._queue.take()
            if event is not None or self._ended:
                return event
            waiting, self._wake = self._waiter()
            await waiting


class Connection(Commands):
    """A client that a program uses: its unfinished requests, and its loops.

    Args: known: the client is of this version; otherwise its first answer shows that it supports `ref`.
    id: of the client, if it is known before the client answers.
    """

    def __init__(self, known: bool = False, id: str = "") -> None:
        self._known = known
        self._id = id
        self._gone: Refused | None = None
        self._references = 0
        self._open: dict[int, Request] = {}
        self._early: Listening | None = Listening(self.waiter)
        self._listening = {self._early}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @abstractmethod
    def close(self) -> Awaitable[None]:
        """Close the connection, and end all requests."""

    @abstractmethod
    def waiter(self) -> tuple[Awaitable[None], Callable[[], object]]:
        """Return an awaitable for a coroutine, and a function that ends the wait."""

    @abstractmethod
    def write(self, line: str) -> None:
        """Send one line of the JSON interface to the client."""

    @property
    def id(self) -> str:
        """The id of the client."""
        return self._id

    async def learn_id(self, wait: float | None) -> None:
        """Request the id of a running client; close the connection if that fails."""
        try:
            id = await self.ask({"do": "id"}, lambda outcome: outcome.field("answer", "id"), wait)
        except BaseException:  # also if cancelled: no other code can close it
            await self.close()
            raise
        self._id = id if isinstance(id, str) else ""

    @property
    def why_gone(self) -> Refused | None:
        """The error for new requests, if the client has ended."""
        return self._gone

    def events(self) -> AsyncGenerator[Event, None]:
        """Yield all events, until the client ends.

        Every loop has its own queue. That of the first call begins with the connection, that of a later
        one with the call. At most 1,000 events are queued, then `Lagged` gives the number of dropped
        ones.
        """
        listening, self._early = self._early, None
        if listening is None:
            listening = Listening(self.waiter)
            if self._gone is None:
                self._listening.add(listening)
            else:
                listening.end()
        return self._yielded(listening)

    async def messages(self, of: str | None = None) -> AsyncGenerator[Message, None]:
        """Yield new messages: all, those in the room `of`, or those of the peer `of`.

        See `events`, which also yields messages from the log, and dropped ones. The queue begins with
        the first step of the loop.
        """
        async with aclosing(self.events()) as events:
            async for event in events:
                if isinstance(event, Message) and not event.past:
                    here = event.sender if event.room is None else event.room
                    if of is None or of == here:
                        yield event

    async def _yielded(self, listening: Listening) -> AsyncGenerator[Event, None]:
        try:
            while (event := await listening.next()) is not None:
                yield event
        finally:
            self._listening.discard(listening)

    # Called by the two kinds.

    def begin(
        self, form: Form, over: Over, progress: Callable[[Fields], object] | None
    ) -> Callable[[], None]:
        """Start `form`. Returns: a function that forgets the request.

        Raises: Refused. ValueError: `form` has no command.
        """
        if not isinstance(form.get("do"), str):
            raise ValueError('a command has "do"')
        if self._gone is not None:
            raise self._gone.again()
        if len(self._open) >= MOST_OPEN:
            raise too_many(MOST_OPEN)
        self._references += 1
        ref = self._references
        line = json.dumps({**form, "ref": ref})
        if len(line) >= CLIENT_DEFAULTS.control_line:
            raise too_long(CLIENT_DEFAULTS.control_line)
        self._open[ref] = Request(over, progress)
        try:
            self.write(line)
        except BaseException:
            del self._open[ref]
            raise
        return lambda: self._forget(ref)

    def _forget(self, ref: int) -> None:
        self._open.pop(ref, None)

    def tell(self, fields: Any) -> None:
        """Handle a line of the client: an event for a request, for the loops, or for both."""
        if not isinstance(fields, dict) or not isinstance(fields.get("event"), str):
            return
        ref = fields.get("ref")
        if ref is not None:
            self._known = True
        elif not self._known and _is_misread(fields):
            self.end(too_old())
        request = self._open.get(ref) if isinstance(ref, int) else None
        if request is not None:
            request.tell(fields)
        late = request is None and fields["event"] == "error"  # it arrived after the end
        if ref is None or late or fields["event"] not in ANSWERS:
            event = parse(fields, self)
            for listening in tuple(self._listening):
                listening.put(event)

    def end(self, why: Refused) -> None:
        """End all requests and loops; the first reason counts."""
        if self._gone is not None:
            return
        self._gone = why
        for request in tuple(self._open.values()):
            request.end(why.again())
        for listening in tuple(self._listening):
            listening.end()


def _is_misread(fields: Fields) -> bool:
    """Return True for the answer of a client that does not support `ref`.

    Version 0.2.0 takes `ref` for a wrong field; an older one takes the whole line for a text.
    """
    wrong = fields.get("status") == 400 or fields.get("command") == "say"
    return fields["event"] == "error" and wrong

"""Use a client that runs already, by its control.sock, from a program of asyncio.

async with await attach(id="echo") as me:
    async for message in me.messages("#tea"):
        await message.reply(message.text)
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from chatproto.api.asking import WAIT, Fields, Form, Outcome, Result, refusal
from chatproto.api.commands import Commands
from chatproto.api.errors import Refused, closed, no_client, too_late, too_long, too_many
from chatproto.api.events import Event, Message, parse
from chatproto.api.queue import EventQueue
from chatproto.wire.limits import CLIENT_DEFAULTS

ATTACH_WAIT = 10.0
"""Seconds for the running client to answer for the first time."""
LONGEST = 16 * 1024 * 1024
"""Bytes of one event: a list of many clients is long."""
MOST_OPEN = 1000
"""Requests that are not over."""
ANSWERS = ("answer", "contacts", "error", "done")
"""Events that only the request sees of which they come."""


async def attach(
    home: str | os.PathLike[str] | None = None,
    id: str | None = None,
    wait: float = ATTACH_WAIT,
    longest: int = LONGEST,
) -> Client:
    """Connect to the client that runs in `home`, or in the usual home of `id`.

    Args: wait: seconds. longest: bytes of one event; a longer one ends the connection.
    Raises: Refused: `not-found` if no client runs there. ValueError: neither or both are given.
    """
    if (home is None) == (id is None):
        raise ValueError("give either home or id")
    where = Path(home) if home is not None else user_data_path("chatproto") / str(id)
    try:
        async with asyncio.timeout(wait):
            reader, writer = await asyncio.open_unix_connection(
                str(where / "control.sock"), limit=longest
            )
    except TimeoutError:
        raise too_late(wait) from None
    except OSError as error:
        raise no_client(where, error) from None
    client = Client(reader, writer, longest)
    try:
        await client.ask({"do": "id"}, lambda outcome: None, wait)
    except BaseException:  # cancelled as well: nobody else can close it
        await client.close()
        raise
    return client


class _Request:
    """A command that is not over, and what it has told until now."""

    def __init__(self, progress: Callable[[Fields], object] | None) -> None:
        self.outcome = Outcome()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._progress = progress

    def tell(self, fields: Fields) -> None:
        """Note an event of it; the last one ends it."""
        name = fields["event"]
        self.outcome.last[name] = fields
        if self.over.done():
            return
        if name == "done":
            self.outcome.code = str(fields.get("code"))
            error = refusal(fields)
            if error is None:
                self.over.set_result(None)
            else:
                self.over.set_exception(error)
        elif self._progress is not None:
            try:
                self._progress(fields)
            except Exception as mistake:  # one of the caller's code: it belongs to the caller
                self.over.set_exception(mistake)


class _Listening:
    """Events for one loop over them."""

    def __init__(self) -> None:
        self._queue = EventQueue()
        self._changed = asyncio.Event()
        self._ended = False

    def put(self, event: Event) -> None:
        """Add an event."""
        self._queue.put(event)
        self._changed.set()

    def end(self) -> None:
        """Add no more; those that wait are still yielded."""
        self._ended = True
        self._changed.set()

    async def next(self) -> Event | None:
        """Return the next event; None when the connection has ended."""
        while True:
            event = self._queue.take()
            if event is not None or self._ended:
                return event
            self._changed.clear()
            await self._changed.wait()


class Client(Commands):
    """A connection to a running client, made by `attach`. It ends with `close`, or with the client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, longest: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._longest = longest
        self._ended: Refused | None = None
        self._references = 0
        self._open: dict[int, _Request] = {}
        self._early: _Listening | None = _Listening()
        self._listening = {self._early}
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection, and whatever is asked. The client itself goes on."""
        self._end(closed())
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def ask(
        self,
        form: Form,
        read: Callable[[Outcome], Result],
        wait: float | None = WAIT,
        progress: Callable[[Fields], object] | None = None,
    ) -> Result:
        """As `Asker.ask`; any command of docs/json.md is possible. Time that is over stops no command."""
        if self._ended is not None:
            raise self._ended
        if len(self._open) >= MOST_OPEN:
            raise too_many(MOST_OPEN)
        self._references += 1
        line = json.dumps({**form, "ref": self._references}).encode("ascii") + b"\n"
        if len(line) > CLIENT_DEFAULTS.control_line:
            raise too_long(CLIENT_DEFAULTS.control_line)
        ref, request = self._references, _Request(progress)
        self._open[ref] = request
        try:
            async with asyncio.timeout(wait) as limit:
                self._writer.write(line)
                await request.over
        except TimeoutError:
            if not limit.expired():
                raise
            raise too_late(wait or 0.0) from None
        finally:
            del self._open[ref]
        return read(request.outcome)

    def events(self) -> AsyncGenerator[Event, None]:
        """Yield all events, until the connection ends.

        Every loop has a queue of its own. That of the first call begins with the connection, that of
        a later one with the call. At most 1,000 events wait, then `Lagged` tells how many were dropped.
        """
        listening, self._early = self._early, None
        if listening is None:
            listening = _Listening()
            if self._ended is None:
                self._listening.add(listening)
            else:
                listening.end()
        return self._yielded(listening)

    async def messages(self, of: str | None = None) -> AsyncGenerator[Message, None]:
        """Yield new messages: all, those in the room `of`, or those of the peer `of`.

        As `events`, which also tells of messages from the log, and of those that were dropped; a call
        is here the first step of the loop.
        """
        async with aclosing(self.events()) as events:
            async for event in events:
                if isinstance(event, Message) and not event.past:
                    here = event.sender if event.room is None else event.room
                    if of is None or of == here:
                        yield event

    async def _yielded(self, listening: _Listening) -> AsyncGenerator[Event, None]:
        try:
            while (event := await listening.next()) is not None:
                yield event
        finally:
            self._listening.discard(listening)

    async def _read(self) -> None:
        """Read events until the connection ends."""
        why = closed()
        try:
            while line := await self._reader.readline():
                try:
                    fields = json.loads(line)
                except (ValueError, RecursionError):
                    why = closed("the client sent a line that is no JSON")
                    break
                self._tell(fields)
        except ValueError:  # of readline: the line is too long
            why = too_long(self._longest)
        except OSError as error:
            why = closed(f"the connection to the client broke ({error})")
        finally:
            self._end(why)

    def _tell(self, fields: Any) -> None:
        if not isinstance(fields, dict) or not isinstance(fields.get("event"), str):
            return
        ref = fields.get("ref")
        if isinstance(ref, int) and ref in self._open:
            self._open[ref].tell(fields)
        if ref is None or fields["event"] not in ANSWERS:
            event = parse(fields, self)
            for listening in self._listening:
                listening.put(event)

    def _end(self, why: Refused) -> None:
        """End all that waits; the first reason counts."""
        if self._ended is not None:
            return
        self._ended = why
        self._writer.close()
        for request in self._open.values():
            if not request.over.done():
                request.over.set_exception(why)
        for listening in self._listening:
            listening.end()

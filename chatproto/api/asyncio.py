"""Use a client that runs already, by its control.sock, from a program of asyncio.

async with await attach(id="echo") as me:
    async for message in me.messages("#tea"):
        await message.reply(message.text)
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

from chatproto.api.asking import WAIT, Fields, Form, Outcome, Result
from chatproto.api.connection import ATTACH_WAIT, LONGEST, Connection, control_socket
from chatproto.api.errors import closed, no_client, not_json, too_late, too_long


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
    path = control_socket(home, id)
    try:
        async with asyncio.timeout(wait):
            reader, writer = await asyncio.open_unix_connection(str(path), limit=longest)
    except TimeoutError:
        raise too_late(wait) from None
    except OSError as error:
        raise no_client(path.parent, error) from None
    client = Client(reader, writer, longest)
    await client.learn_id(wait)
    return client


class Client(Connection):
    """A connection to a running client, made by `attach`. It ends with `close`, or with the client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, longest: int
    ) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer
        self._longest = longest
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def close(self) -> None:
        """Close the connection, and end all requests. The client itself continues."""
        self.end(closed())
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def ask(
        self,
        form: Form,
        read: Callable[[Outcome], Result],
        wait: float | None = WAIT,
        progress: Callable[[Fields], object] | None = None,
    ) -> Result:
        """See `Asker.ask`; any command of docs/json.md is allowed. A timeout stops no command."""
        result: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def over(outcome: Outcome, error: BaseException | None) -> None:
            if not result.done():
                result.set_result(outcome) if error is None else result.set_exception(error)

        forget = self.begin(form, over, progress)
        try:
            async with asyncio.timeout(wait) as limit:
                return read(await result)
        except TimeoutError:
            if not limit.expired():
                raise
            raise too_late(wait or 0.0) from None
        finally:
            forget()

    async def settled(self) -> None:
        """Do nothing."""

    def waiter(self) -> tuple[asyncio.Future[None], Callable[[], object]]:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return waiting, lambda: None if waiting.done() else waiting.set_result(None)

    def write(self, line: str) -> None:
        self._writer.write(line.encode("ascii") + b"\n")

    async def _read(self) -> None:
        """Read events until the connection ends."""
        why = closed()
        try:
            while line := await self._reader.readline():
                try:
                    fields = json.loads(line)
                except (ValueError, RecursionError):
                    why = not_json()
                    break
                self.tell(fields)
        except ValueError:  # from readline: the line is too long
            why = too_long(self._longest)
        except OSError as error:
            why = closed(f"the connection to the client broke ({error})")
        finally:
            self.end(why)
            self._writer.close()

"""The same REGISTER on asyncio's streams, the usual way: no checks, no limits."""

from __future__ import annotations

import asyncio
import sys

clients: dict[str, tuple[str, int]] = {}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: requests in, answers out."""
    try:
        while True:
            block = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, *lines = block.split("\r\n")[:-2]
            headers = dict(line.split(": ", 1) for line in lines)
            if method == "REGISTER":
                clients[headers["clientID"]] = headers["IP"], int(headers["Port"])
                answer = ["REGACK", *lines, "Status: registered", "", ""]
                writer.write("\r\n".join(answer).encode())
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Listen until ended."""
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

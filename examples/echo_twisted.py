"""Echo what is said in a room, as a client of its own: python echo_twisted.py SERVER ROOM."""

import sys
from typing import Any

from twisted.internet.task import react

from chatproto.api.twisted import Client


async def main(reactor: Any, server: str, room: str) -> None:
    async with Client(reactor, id="echo", server=server) as me:
        tea = await me.join(room)
        async for message in tea.messages():
            await message.reply(f"echo: {message.text}")
            print(f"answered {message.sender}", flush=True)


if len(sys.argv) != 3:
    sys.exit(__doc__)
react(main, sys.argv[1:])

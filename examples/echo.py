"""Echo what is said in a room, with the client that runs in a home: python echo.py HOME ROOM."""

import asyncio
import sys

from chatproto.api.asyncio import attach


async def main(home: str, room: str) -> None:
    async with await attach(home=home) as me:
        tea = await me.join(room)
        async for message in tea.messages():
            await message.reply(f"echo: {message.text}")
            print(f"answered {message.sender}", flush=True)


if len(sys.argv) != 3:
    sys.exit(__doc__)
asyncio.run(main(*sys.argv[1:]))

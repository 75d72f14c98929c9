"""Moderate a room: python moderator.py SERVER ROOM [WORD...].

A member who says one of the words is removed. One who says five things within ten seconds is muted for
a minute. Start it first: who opens a room owns it.
"""

import sys
from collections import defaultdict, deque
from typing import Any

from twisted.internet.task import react

from chatproto.api.errors import Refused
from chatproto.api.twisted import Client

MANY, SECONDS, MUTED = 5, 10, 60


async def main(reactor: Any, server: str, name: str, *words: str) -> None:
    times: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MANY))
    async with Client(reactor, id="moderator", server=server) as me:
        room = await me.join(name)
        print(f"moderating {name}", flush=True)
        async for message in room.messages():
            said = times[message.sender]
            said.append(reactor.seconds())
            try:
                if any(word.lower() in message.text.lower() for word in words):
                    await room.kick(message.sender)
                elif len(said) == MANY and said[-1] - said[0] < SECONDS:
                    said.clear()
                    await room.mute(message.sender, MUTED)
            except Refused as error:  # they have left, or another moderator was faster
                print(f"{message.sender}: {error}", flush=True)


if len(sys.argv) < 3:
    sys.exit(__doc__)
react(main, sys.argv[1:])

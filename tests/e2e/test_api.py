"""The library of asyncio, and its examples, with a real server and real clients."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from chatproto.api.asyncio import Client, attach
from chatproto.api.errors import Refused
from chatproto.api.events import FileChanged, Joined, Message
from tests.e2e.harness import LIMIT, Program, Stage
from tests.e2e.scripts import Person

EXAMPLES = Path(__file__).parents[2] / "examples"
ECHO = EXAMPLES / "echo.py"


def test_an_echo_bot_answers_in_a_room_and_the_rest_of_the_library_works(stage: Stage) -> None:
    _, port = stage.server()
    alice, bob = Person(stage, "alice", port), Person(stage, "bob", port)
    hers = alice.client("--answer", "all", "--accept", "known")
    bob.client()

    async def begin(me: Client) -> None:
        room = await me.join("#tea")
        assert room.members == ("bob",)
        await room.topic("oolong")
        assert {"alice", "bob"} <= {one.id for one in await me.info()}

    async def talk(me: Client) -> None:
        events = me.events()  # before the message, so that the echo is among them
        assert not (await me.send("#tea", "hello")).queued
        async for event in events:
            if isinstance(event, Message):
                assert (event.sender, event.text) == ("alice", "echo: hello")
                break
        assert not (await me.send("alice", "hi")).queued
        hers.event("message", text="hi")
        steps: list[FileChanged] = []
        await me.send_file("alice", ECHO, progress=steps.append)
        assert steps[-1].state == "done"
        assert (alice.downloads / "echo.py").read_bytes() == ECHO.read_bytes()
        assert "alice" in str(await me.who())
        with pytest.raises(Refused) as refused:
            await me.send("nobody", "hi")
        assert refused.value.code == "not-found"

    def bot(name: str, *words: str) -> Program:
        line = [sys.executable, str(EXAMPLES / name), *words]
        stage.programs.append(program := Program(line, stage.place(name), []))
        return program

    async def talk_with_twisted(me: Client) -> None:
        other = bot("echo_twisted.py", f"127.0.0.1:{port}", "#den")
        await me.join("#den")
        async for event in me.events():
            if isinstance(event, Joined) and event.id == "echo":
                break
        said = me.messages("#den")
        answer = asyncio.ensure_future(anext(said))
        await me.send("#den", "hello")
        assert (await answer).text == "echo: hello"
        other.signal(signal.SIGTERM)
        await asyncio.to_thread(other.wait)

    async def main() -> None:
        async with asyncio.timeout(LIMIT), await attach(home=bob.home) as me:
            await begin(me)
            echo = bot("echo.py", str(alice.home), "#tea")
            async for event in me.events():
                if isinstance(event, Joined) and event.id == "alice":
                    break
            await talk(me)
            await talk_with_twisted(me)
            hers.signal(signal.SIGTERM)
            await asyncio.to_thread(hers.wait)
            assert await asyncio.to_thread(echo.wait) == 0
            assert (await me.send("alice", "later")).queued

    asyncio.run(main())

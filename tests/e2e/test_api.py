"""The library of asyncio, and its examples, with a real server and real clients."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from chatproto.api.asyncio import Client, attach
from chatproto.api.errors import Refused
from chatproto.api.events import FileChanged, Joined, Message
from tests.e2e.harness import LIMIT, Program, Stage
from tests.e2e.scripts import Person

EXAMPLES = Path(__file__).parents[2] / "examples"
ECHO = EXAMPLES / "echo.py"


def example(stage: Stage, name: str, *words: str) -> Program:
    """Start one of the examples."""
    line = [sys.executable, str(EXAMPLES / name), *words]
    stage.programs.append(program := Program(line, stage.place(name), []))
    return program


def play(talk: Iterable[str], made: socket.socket) -> None:
    """Have a talk of netcat.txt: type its lines, and read on until each answer has come."""
    made.settimeout(LIMIT)
    heard = made.makefile("r", encoding="utf-8")
    for line in talk:
        mark, text = line[:1], line[2:]
        if mark == ">":
            made.sendall(f"{text}\n".encode())
        elif mark == "<":
            wanted = re.compile(".*".join(map(re.escape, text.split("…"))))
            assert any(wanted.fullmatch(one.rstrip("\r\n")) for one in heard), (
                f"{text} did not come"
            )


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

    async def talk_with_twisted(me: Client) -> None:
        other = example(stage, "echo_twisted.py", f"127.0.0.1:{port}", "#den")
        await me.join("#den")
        async for event in me.events():
            if isinstance(event, Joined) and event.id == "echo":
                break
        said = me.messages("#den")
        answer = asyncio.ensure_future(anext(said))
        await me.send("#den", "hello")
        assert (await answer).text == "echo: hello"
        await asyncio.to_thread(other.expect, "answered bob")  # the server has acknowledged it
        other.signal(signal.SIGTERM)
        await asyncio.to_thread(other.wait)

    async def main() -> None:
        async with asyncio.timeout(LIMIT), await attach(home=bob.home) as me:
            await begin(me)
            echo = example(stage, "echo.py", str(alice.home), "#tea")
            async for event in me.events():
                if isinstance(event, Joined) and event.id == "alice":
                    break
            await talk(me)
            await talk_with_twisted(me)
            await asyncio.to_thread(echo.expect, "answered bob")
            hers.signal(signal.SIGTERM)
            await asyncio.to_thread(hers.wait)
            assert await asyncio.to_thread(echo.wait) == 0
            assert (await me.send("alice", "later")).queued

    asyncio.run(main())


def test_the_other_examples(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    _, port = stage.server()
    bob = Person(stage, "bob", port)
    his = bob.client()

    moderator = example(stage, "moderator.py", f"127.0.0.1:{port}", "#quiet", "spam")
    moderator.expect("moderating #quiet")
    for said, change in ((["buy SPAM"], "kicked"), ([f"line {n}" for n in range(5)], "muted")):
        his.send_line("/join quiet")
        his.event("room", room="#quiet", change="joined", own=True)
        for text in said:
            his.send_line(json.dumps({"do": "msg", "to": "#quiet", "text": text}))
        his.event("room", room="#quiet", change=change, by="moderator")
        if change == "kicked":  # until he is out, /join lists who is in
            his.event("room", room="#quiet", change="parted", own=True)

    make = stage.place("bin") / "make"
    make.write_text("#!/bin/sh\nexit 3\n")
    make.chmod(0o700)
    monkeypatch.setenv("PATH", f"{make.parent}{os.pathsep}{os.environ['PATH']}")
    notify = example(stage, "make_notify.py", str(bob.home), "#ci", "test")
    assert notify.wait() == 3
    assert his.event("sent", room="#ci")["text"].startswith("make test failed with exit code 3")

    _, classic, by_json = (EXAMPLES / "netcat.txt").read_text(encoding="utf-8").split("\n$ nc ")
    with socket.create_connection(("127.0.0.1", port)) as made:
        play(classic.splitlines(), made)
    with socket.socket(socket.AF_UNIX) as made:
        made.connect(str(bob.home / "control.sock"))
        play(by_json.splitlines(), made)


@pytest.mark.parametrize("name", sorted(one.name for one in EXAMPLES.glob("*.py")))
def test_an_example_without_arguments_tells_its_use(name: str) -> None:
    line = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f": python {name} " in done.stderr and "Traceback" not in done.stderr

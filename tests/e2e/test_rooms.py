"""Rooms from end to end: real programs, a real server, and its lobby's port."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import JsonClient, Program, Stage, free_port
from tests.e2e.proxy import Proxy


def member(stage: Stage, name: str, server: int, room: str = "#den", **how: Any) -> JsonClient:
    """A client that is in `room`."""
    arguments = (
        "--id", name, "--port", "tcp:0:interface=127.0.0.1",
        "--server", f"127.0.0.1:{server}", "--ui", "json",
    )  # fmt: skip
    client: JsonClient = stage.start("chatclient", *arguments, kind=JsonClient, **how)
    client.start()
    client.event("registered")
    client.send_line(f"/join {room}")
    client.event("room", room=room, change="joined", own=True)
    return client


def test_what_is_said_comes_once_and_in_one_order_to_all(stage: Stage) -> None:
    _, port = stage.server()
    people = [member(stage, name, port) for name in ("alice", "bob", "carol")]
    for number in range(5):
        for one in people:
            one.send_line(f"{one.id} {number}")
    seen = []
    for one in people:
        one.wait_for(lambda one=one: len(spoken(one)) == 15, "all that was said")
        seen.append(spoken(one))
    assert seen[0] == seen[1] == seen[2]
    assert [number for number, _, _ in seen[0]] == sorted({number for number, _, _ in seen[0]})


def spoken(client: JsonClient) -> list[tuple[int, str, str]]:
    """Number, speaker and text of all that was said in rooms, its own too, in the order it was told."""
    return [
        (event["id"], event.get("from", client.id), event["text"])
        for event in client.events()
        if event["event"] in ("message", "sent") and "room" in event
    ]

"""Strangers do their worst to a client at once; a friend gets through, and every bound holds."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatproto.client.strangers import RING_BURST, RING_RATE
from tests.e2e.harness import JsonClient, Stage
from tests.e2e.test_encryption import person, talk
from tests.limits import DEFAULTS

MIB = 2**20
ROOT = Path(__file__).parent.parent.parent
GROWTH = 40 * MIB
"""More than is to be expected (bench/strangers.py measures it), less than what was kept before."""


@pytest.fixture
def friends(stage: Stage) -> tuple[JsonClient, JsonClient]:
    """Two who know each other, and do not talk just now."""
    _, port = stage.server()
    alice, bob = person(stage, "alice", port), person(stage, "bob", port)
    talk(alice, bob)
    bob.send_line("/quit")
    alice.event("bye", id="bob")
    for one in (alice, bob):
        one.forget()
    return alice, bob


@pytest.fixture
def rude(friends: tuple[JsonClient, JsonClient], tmp_path: Path) -> Iterator[None]:
    """Strangers at alice's port, who have come far enough to be refused."""
    command = [sys.executable, "-m", "tests.e2e.rude", str(friends[0].port), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as going:
        try:
            assert going.stdout is not None
            assert going.stdout.readline() == b"going\n"
            deadline = time.monotonic() + 60
            while status(friends[0])["refused"] < 50 and time.monotonic() < deadline:
                time.sleep(0.1)
            yield
        finally:
            going.kill()


def status(client: JsonClient) -> dict[str, Any]:
    """Return what strangers hold of the client."""
    client.send_line("/status")
    found: dict[str, Any] = client.event("answer", command="status")["strangers"]
    return found


def test_a_friend_gets_through_and_every_bound_holds(
    friends: tuple[JsonClient, JsonClient], rude: None, tmp_path: Path
) -> None:
    alice, bob = friends
    before = alice.resident()
    bob.send_line("/chat alice")
    bob.event("session", id="alice", state="open")
    bob.send_line("/msg @alice through all of them")
    alice.event("message", from_="bob", text="through all of them")
    alice.send_line("/msg @bob and back")
    bob.event("message", from_="alice", text="and back")
    gift = tmp_path / "gift"
    gift.write_bytes(b"x" * MIB)
    bob.send_line(f"/send {gift}")
    offered = alice.event("file", name="gift", state="offered")
    alice.send_line(f"/accept {offered['id']}")
    alice.event("file", name="gift", state="done")
    held = status(alice)
    assert held["refused"] >= 50
    assert held["connections"] <= DEFAULTS.callers_per_address
    assert held["known_connections"] <= DEFAULTS.callers_known
    assert held["ringing"] <= DEFAULTS.ringing
    strangers = [one for one in alice.events() if one["event"] == "incoming" and one["id"] != "bob"]
    assert len(strangers) <= RING_BURST + 60 * RING_RATE
    assert alice.resident() - before < GROWTH

"""Servers of two builds and with different limits, side by side over one Redis, as in a rolling upgrade.

The newer build is a copy of this one that writes one more field into what is shared, and reads it.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatproto.cli.older_log import OLDER_SERVERS
from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.e2e.harness import LIMIT, Program, Stage, free_port
from tests.e2e.roamer import ROOM, Ear
from tests.long import LONG
from tests.redis_process import Redis
from tests.test_contract import old_source

__all__ = ["old_source"]  # a fixture

ROOT = Path(__file__).parents[2]
MOOD = "newer"
CHANGES = (
    ("group_text.py", '{"since": one.since,', '{"mood": "newer", "since": one.since,'),
    ("group_text.py", "since, until = (", 'fields.pop("mood", None)\n    since, until = ('),
    ("room_text.py", '"name": policy.name}', '"name": policy.name, "mood": "newer"}'),
)
"""Files of `stores/redis`, what stands there, and what the newer build has in its place."""
STRICTER = (
    ("group_text.py", "PROTOCOL = 4", "PROTOCOL = 5"),
    ("group_text.py", "LEAST = 4", "LEAST = 5"),
)
"""What a build has that older ones may not write after."""


def build(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """Copy this version to `folder`, and change it; each change must be possible."""
    for part in ("chatproto", "twisted"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name, before, after in changes:
        file = folder / "chatproto" / "stores" / "redis" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1, before
        file.write_text(text.replace(before, after), encoding="utf-8")
    return folder


class Upgraded:
    """Servers with one key over one Redis, each of a build and with options of its own."""

    def __init__(self, stage: Stage, redis: Redis) -> None:
        self.stage = stage
        self.redis = redis
        self.home: Path | None = None

    def start(self, source: Path | None, *options: str) -> tuple[Program, int]:
        home, port = self.stage.place("upgraded"), free_port()
        if self.home is None:
            self.home = home
        else:
            shutil.copy(self.home / "key.pem", home)
        before = [] if source is None else ["env", f"PYTHONPATH={source}"]
        where = ("--port", f"tcp:{port}:interface=127.0.0.1", "--store", self.redis.url)
        server: Program = self.stage.start("chatserver", *where, *options, home=home, before=before)
        server.expect(f"Server listening on 127.0.0.1:{port}")
        return server, port


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    folder = tmp_path / "redis"
    folder.mkdir()
    one = Redis(folder)
    yield one
    one.kill()


def stored(redis: Redis, key: str, name: str) -> dict[str, Any]:
    """Return a field of a hash in Redis, which is a JSON object."""
    _, text, *_ = redis.ask("HGET", f"chatproto:{{{key}}}", name).split(b"\r\n")
    found: dict[str, Any] = json.loads(text)
    return found


def group(redis: Redis, folded: str) -> dict[str, Any]:
    """Return what is stored of the ids that fold to `folded`."""
    return stored(redis, f"i:{folded}", "data")


def insist(ear: Ear, message: Any) -> Any:
    """Ask until a server is there for it."""
    deadline = time.monotonic() + LIMIT
    while True:
        answer = ear.ask(message)
        if not isinstance(answer, Error) or answer.status != 503:
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)


def test_servers_of_two_versions_write_the_same_and_lose_nothing(
    stage: Stage, redis: Redis, tmp_path: Path
) -> None:
    newer = build(tmp_path / "newer", *CHANGES)
    servers = Upgraded(stage, redis)
    old, old_port = servers.start(None, "--limits", "names-per-key=2", "--lease", "600")
    _, new_port = servers.start(newer, "--limits", "names-per-key=3", "--lease", "900")
    ann = Ear(new_port, tmp_path)
    assert insist(ann, bcp2_server.Register(1, "ann", 5000)).expires == 900
    bob = Ear(old_port, tmp_path)
    assert insist(bob, bcp2_server.Register(1, "bob", 5000)).expires == 600
    assert group(redis, "ann")["ids"]["ann"]["mood"] == MOOD
    assert "mood" not in group(redis, "bob")["ids"]["bob"]
    # The old version writes what the newer one wrote: bob watches ann, and is told of her.
    assert isinstance(bob.ask(bcp2_server.Watch(2, "ann")), bcp2_server.WatchAck)
    assert bob.push(bcp2_server.Presence).status == "online"
    watched = group(redis, "ann")
    assert watched["ids"]["ann"]["mood"] == MOOD and len(watched["watching"]) == 1
    ann.ask(bcp2_server.Register(3, "ann", 5000, away="tea"))
    assert bob.push(bcp2_server.Presence).away == "tea"
    called = bob.ask(bcp2_server.Bridge(4, "ann"))
    assert ann.push(bcp2_server.Introduce).call == called.call
    # A room of the newer version, which the old one changes.
    for one in (ann, bob):
        assert isinstance(insist(one, bcp2_rooms.Join(5, ROOM)), bcp2_rooms.JoinAck)
    insist(ann, bcp2_rooms.Op(6, ROOM, "bob"))
    insist(bob, bcp2_rooms.Topic(6, ROOM, "with milk"))
    policy = stored(redis, f"r:{ROOM}", "policy")
    assert (policy["topic"], policy["mood"]) == ("with milk", MOOD)
    # The upgrade goes on: the last old server ends, and bob comes back to a newer one.
    bob.close()
    old.end()
    _, last_port = servers.start(newer)
    again = Ear(last_port, tmp_path)
    taken = insist(again, bcp2_server.Register(1, "b0b", 5000))
    assert isinstance(taken, Error) and taken.status == 409
    assert insist(again, bcp2_server.Register(2, "carl", 5000)).client_id == "carl"
    assert again.ask(bcp2_server.Bridge(3, "ann")).client_id == "ann"


def test_older_version_is_refused_newer_data_by_name(
    stage: Stage, redis: Redis, tmp_path: Path
) -> None:
    servers = Upgraded(stage, redis)
    _, old_port = servers.start(None)
    _, new_port = servers.start(build(tmp_path / "stricter", *STRICTER))
    ann = Ear(new_port, tmp_path)
    assert insist(ann, bcp2_server.Register(1, "ann", 5000)).client_id == "ann"
    bob = Ear(old_port, tmp_path)
    insist(bob, bcp2_server.Register(1, "bob", 5000))
    refused = bob.ask(bcp2_server.Register(2, "ann", 5000))
    assert isinstance(refused, Error) and refused.status == 503
    assert servers.home is not None
    log = servers.home / "chatserver.log"
    assert "a newer version has written what looks like ann" in log.read_text()
    assert group(redis, "ann")["least"] == 5
    # Others are none the worse for it, and the newer version writes what the old one wrote.
    found = ann.ask(bcp2_server.Bridge(2, "bob"))
    assert bob.push(bcp2_server.Introduce).call == found.call


@LONG
def test_old_redis_data_are_copied(
    stage: Stage, redis: Redis, tmp_path: Path, old_source: Path
) -> None:
    servers = Upgraded(stage, redis)
    old, port = servers.start(old_source)
    ann = Ear(port, tmp_path)
    assert insist(ann, bcp2_server.Register(1, "ann", 5000)).client_id == "ann"
    assert isinstance(insist(ann, bcp2_rooms.Join(2, ROOM)), bcp2_rooms.JoinAck)
    said = insist(ann, bcp2_rooms.Say(3, ROOM, "hello")).id
    new, port = servers.start(None)
    new.expect(f"* {OLDER_SERVERS}, clients are told to reconnect later")
    bob = Ear(port, tmp_path)
    assert bob.ask(bcp2_server.Register(1, "bob", 5000)).status == 503
    assert insist(ann, bcp2_rooms.Say(4, ROOM, "still here")).id > said
    ann.close()
    old.end()
    assert insist(bob, bcp2_server.Register(2, "bob", 5000)).client_id == "bob"
    assert bob.ask(bcp2_server.Register(3, "ann", 5000)).status == 409
    assert isinstance(bob.ask(bcp2_rooms.Join(4, ROOM)), bcp2_rooms.JoinAck)
    bob.ask(bcp2_rooms.History(5, ROOM))
    assert bob.lines == ["hello", "still here"]

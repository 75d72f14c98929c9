"""`kill -9` of servers that share a Redis, and of Redis, in the middle of their work: nothing acknowledged
is lost, and a room keeps one order. Few times, many with `--long`."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.e2e.harness import LIMIT, Stage
from tests.e2e.roamer import Roamer
from tests.e2e.several import Several
from tests.e2e.test_store_kills import FAST, Asker, Load, registered, said_since
from tests.redis_process import Redis

KILLS, LONG_KILLS = 3, 200
CLIENTS, LONG_CLIENTS = 12, 300
TEXTS = 20
SEED = 88
LIMITS = [word for limit in FAST.split() for word in ("--limits", limit)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    folder = tmp_path / "redis"
    folder.mkdir()
    one = Redis(folder)
    yield one
    one.kill()


def test_acknowledged_changes_survive_kill_9_of_a_server_or_of_redis(
    stage: Stage, redis: Redis, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chance = random.Random(SEED)
    two = Several(stage, redis, 2, *LIMITS)
    for number in range(LONG_KILLS if pytestconfig.getoption("--long") else KILLS):
        who = number % 2
        load = Load(two.ports[who], f"r{number}", tmp_path)
        load.start()
        load.wait(chance.randrange(1, 500), chance.randrange(1, 5), chance.randrange(1, 50))
        two.kill(who)
        if number % 5 == 4:
            redis.kill()
            redis.start()
        load.join()
        other = two.ports[1 - who]
        with Asker(other, tmp_path) as asker:
            back(asker, f"r{number}x")  # this server knows then all that was asked before
            assert set(load.classic) - registered(two.servers[1 - who], f"r{number}c") == set()
            for client_id in load.keyed:
                taken = asker.ask(bcp2_server.Register(2, client_id, 5000))
                assert isinstance(taken, Error) and taken.status == 409, (client_id, taken)
        if load.said:
            lost = set(load.said) - said_since(other, tmp_path, load.said[0][0] - 1)
            assert lost == set()
        two.again(who)


def test_a_room_keeps_its_order_while_a_server_is_killed_and_its_clients_move(
    stage: Stage, redis: Redis, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    count = LONG_CLIENTS if pytestconfig.getoption("--long") else CLIENTS
    three = Several(stage, redis, 3, *LIMITS)
    people = [Roamer(f"p{number}", three.ports, number, tmp_path, TEXTS) for number in range(count)]
    for one in people:
        one.start()
    wait(people, lambda: sum(len(one.said) for one in people) > count * TEXTS // 3)
    three.kill(1)
    for one in people:
        assert one.done.wait(10 * LIMIT), one.said
    for one in people:
        one.end.set()
    for one in people:
        one.join(10 * LIMIT)  # hundreds read thousands of lines each
        assert not one.is_alive() and one.wrong is None, one.wrong
    assert sum(one.moves for one in people) >= count // 3
    order = people[0].heard | {}
    for one in people:
        order |= one.heard
        assert set(one.said.values()) == {f"{one.name} {number}" for number in range(TEXTS)}
    texts = [order[number] for number in sorted(order) if order[number]]
    assert len(texts) == len(set(texts)) == count * TEXTS
    for one in people:
        own = [text for text in texts if text.startswith(f"{one.name} ")]
        assert own == [f"{one.name} {number}" for number in range(TEXTS)]
        first = min(one.heard)
        assert one.heard == {number: text for number, text in order.items() if number >= first}


def back(asker: Asker, name: str) -> None:
    """Until the server can write again."""
    while not isinstance(asker.ask(bcp2_server.Register(1, name, 5000)), bcp2_server.RegAck):
        pass


def wait(people: list[Roamer], fact: object) -> None:
    """Until `fact` holds."""
    tick = threading.Event()
    for _ in range(int(LIMIT * 10)):
        if fact():  # type: ignore[operator]
            return
        wrong = [one.wrong for one in people if one.wrong]
        assert not wrong, wrong
        tick.wait(0.1)
    raise AssertionError(re.sub(r"\s+", " ", str([len(one.said) for one in people])))

"""Measure what servers over one Redis cost, each and together: the part `growth` of `bench/scale.py`.

1, 3 and 10 servers, each group in a database of its own of one Redis that loses nothing, bear the same load
in turns, so that what else the machine does hits all alike. CPU is that of the server processes, without
what they use while nobody asks anything. Then very many are registered elsewhere (`many_registered.py`).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.many_registered import (
    BRIDGE,
    INFO,
    REGISTER,
    Probe,
    ask,
    cost,
    fill,
    register,
    told,
)
from bench.measure import CannotMeasure, Subject, built_loadgen, cpu, median, run_loadgen
from bench.requests import MODES
from bench.room_members import Member, Ours, Room
from bench.rooms import UNLIMITED, tls
from bench.servers import resident, running, subject
from chatproto.wire import bcp2_rooms
from chatproto.wire.strict import encode
from tests.redis_process import FOUND, Redis

COUNTS = (1, 3, 10)
PEOPLE = 30
"""Clients with keys who come and go in turns; each is always at the same server, and in no room."""
ROOMS, AUDIENCE, RATE = 2, 30, 100.0
"""Rooms, members of each, who are at all servers alike, and lines a second in all."""
MEMBERS = ROOMS * AUDIENCE
SETTLE = 0.3
"""Seconds that servers have for what is left after a load."""
SOME = 100
"""Requests of each kind that are measured beside very many ids."""
REST = 2.0
"""Seconds in which each server says several times that it is there."""
NEW_IDS = r"REGISTER\r\nclientID: x%p.%n\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
LIMITS = (*UNLIMITED, "new-rooms-per-address", "registrations", "room-burst", "room-rate")
OTHERS = "% of its CPU that the others spend when {count} servers, one asked: "
SESSION = "CPU a session, of one server's: {count} servers, "
ALONE = "CPU a session, of one server's: 3 servers that share nothing, together"
"""What the machine costs: three processes have colder caches than one."""
LINE = "CPU a line in a room, of one server's: {count} servers, "
MEMORY = "MiB that a server grows while they register elsewhere"
START = "seconds until the next server answers"
STALL = "ms of CPU of a server and Redis in the longest wait for an answer"
GOALS = {
    **{
        OTHERS.format(count=count) + what: 3.0
        for count in (3, 10)
        for what in ("known ids", "new ids")
    },
    SESSION.format(count=3) + "together": 1.2,
    SESSION.format(count=10) + "together": 1.2,
    SESSION.format(count=3) + "each": 1 / 2.8,
    LINE.format(count=3) + "each": 1 / 2.4,
    MEMORY: 2.0,
    START: 2.0,
    STALL: 100.0,
}
"""What each figure may be at most."""
Costs = list[float]
"""Seconds of CPU of each server of a group."""


class RoomMember(Ours):
    """One of the members of one of the rooms."""

    def __init__(self, number: int, port: int, context: ssl.SSLContext) -> None:
        self._room = f"#bench{number % ROOMS}"
        super().__init__(number, port, context)

    def join(self) -> None:
        self.register()
        self.enter(encode(bcp2_rooms.Join(2, self._room)), b"JOINACK")

    def say(self, text: str) -> None:
        self.wire.sendall(encode(bcp2_rooms.Say(3, self._room, text)))


class Person(Ours):
    """Somebody who registers, and goes."""

    def join(self) -> None:
        self.register()


@dataclass
class Group:
    """Servers over one database. `idle`: seconds of CPU a second of each that nobody asks anything."""

    servers: list[Subject]
    idle: Costs

    def rest(self, seconds: float) -> None:
        """Measure how much they use for themselves."""
        self.idle = [0.0 for _ in self.servers]
        self.idle = [cost / seconds for cost in self.spent(partial(time.sleep, seconds))]

    def spent(self, load: Callable[[], object]) -> Costs:
        """Measure what each spends under `load` more than without any."""
        before, begun = [cpu(one.pid) for one in self.servers], time.perf_counter()
        load()
        took = time.perf_counter() - begun
        return [
            cpu(one.pid) - early - idle * took
            for one, early, idle in zip(self.servers, before, self.idle, strict=True)
        ]

    def port(self, number: int) -> int:
        """Return the port of the server of client `number`."""
        return self.servers[number % len(self.servers)].port


@contextmanager
def own_redis(place: Path) -> Iterator[Redis]:
    """Run a Redis on a free port with all its files in `place`. Raises CannotMeasure."""
    if FOUND is None:
        raise CannotMeasure("redis-server or valkey-server is needed for several servers")
    redis = Redis(place, "--auto-aof-rewrite-percentage", "0")
    try:
        yield redis
    finally:
        redis.kill()


def server(place: Path, redis: Redis, count: int, number: int) -> Subject:
    """Make the server `number` of the group of `count`."""
    store = f"redis://127.0.0.1:{redis.port}/{COUNTS.index(count)}"
    return without_limits(place, f"g{count}-{number}", store)


def without_limits(place: Path, name: str, store: str) -> Subject:
    """Make a server without limits on how much one address may ask for."""
    limits = [f"--limits={one}=10000000" for one in LIMITS if one != "new-ids-per-address"]
    return subject(place, name, store, *limits)


def asked(group: Group, loadgen: Path, request: str | None, seconds: float) -> float:
    """Saturate the first server with classic REGISTERs; return what the others spend, in % of its CPU."""
    first = group.servers[0]
    if request is not None:
        first = replace(first, request=request)
    words = [*MODES["pipelined"], "--keys", "1000"]
    its, *others = group.spent(partial(run_loadgen, loadgen, first, words, seconds))
    return max(sum(others), 0.0) / its * 100


def sessions(group: Group, keys: list[ssl.SSLContext], seconds: float) -> Costs:
    """Measure a session with a key: TLS, REGISTER, end. Returns the seconds of CPU of each server for one."""
    done = 0

    def load() -> None:
        nonlocal done
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            number = MEMBERS + done % PEOPLE
            Person(number, group.port(number), keys[number]).wire.close()
            done += 1
        time.sleep(SETTLE)

    return [cost / done for cost in group.spent(load)]


def lines(group: Group, keys: list[ssl.SSLContext], seconds: float) -> Costs:
    """Measure a line in a room with its deliveries. Returns the seconds of CPU of each server for one."""
    members: list[Member] = [
        RoomMember(number, group.port(number // ROOMS), keys[number]) for number in range(MEMBERS)
    ]
    room = Room(members, AUDIENCE)
    room.say_evenly(len(members), RATE, SETTLE)

    def load() -> None:
        room.forget()
        room.say_evenly(len(members), RATE, seconds)

    costs = group.spent(load)
    said = room.deliveries / (AUDIENCE - 1)
    room.finish()
    room.close()
    return [cost / said for cost in costs]


def one_round(
    groups: dict[int, Group],
    apart: list[Group],
    loadgen: Path,
    keys: list[ssl.SSLContext],
    seconds: float,
) -> dict[str, float]:
    """Measure everything once. All groups are measured in turns; `apart`: 1 and 3 that share nothing."""
    found: dict[str, float] = {}
    for group in (*groups.values(), *apart):
        group.rest(max(seconds, REST))
    found["ms of CPU a second that one of ten uses for itself"] = median(groups[10].idle) * 1e3
    for what, request in (("known ids", None), ("new ids", NEW_IDS)):
        for count in (3, 10):
            name = OTHERS.format(count=count) + what
            found[name] = asked(groups[count], loadgen, request, seconds)
    for name, measure, unit in ((SESSION, sessions, "session"), (LINE, lines, "line in a room")):
        costs = {count: measure(group, keys, seconds) for count, group in groups.items()}
        (alone,) = costs.pop(1)
        found[f"us of CPU a {unit}: 1 server"] = alone * 1e6
        for count, each in costs.items():
            found[name.format(count=count) + "together"] = sum(each) / alone
            found[name.format(count=count) + "each"] = sum(each) / count / alone
    one, three = (sum(sessions(group, keys, seconds)) for group in apart)
    found[ALONE] = three / one
    return found


def many(
    place: Path, redis: Redis, group: Group, registered: int, seconds: float
) -> dict[str, float]:
    """Measure servers beside `registered` ids that others have registered. The first one ends."""
    first, other, *others = group.servers
    loadgen, number = built_loadgen(place), int(told(redis, "server", "process_id"))
    before = [resident(one) for one in (other, *others)]
    size = int(told(redis, "memory", "used_memory"))
    fill(redis, COUNTS.index(len(group.servers)), first.port, registered)
    size = int(told(redis, "memory", "used_memory")) - size
    asked(group, loadgen, NEW_IDS, seconds)
    grown = [resident(one) - early for one, early in zip((other, *others), before, strict=True)]
    costs = {}
    for name, text in (("REGISTER", REGISTER), ("BRIDGE", BRIDGE), ("INFO", INFO)):

        def request(count: int, text: str = text) -> bytes:
            return ask(other.port, text.format(count))

        costs[name] = cost(other, number, request, SOME)
    probe = Probe(other, number)
    try:
        late = server(place, redis, len(group.servers), len(group.servers))
        begun = time.perf_counter()
        with running(place, late):
            register(late.port, "late")
            took, used = time.perf_counter() - begun, cpu(late.pid)
            for text in (INFO, BRIDGE.format("late")):
                ask(other.port, text)
            first.stop()
            time.sleep(REST)
    finally:
        probe.end()
    return {
        "registered elsewhere": registered,
        "MiB of Redis for them": size / 2**20,
        MEMORY: max(grown) / 2**20,
        START: took,
        "of it seconds of its CPU": used,
        **{f"us of CPU of a server and Redis, {name}": each * 1e6 for name, each in costs.items()},
        STALL: probe.busy * 1e3,
        "ms of the longest wait": probe.longest * 1e3,
    }


def beside(place: Path, seconds: float, registered: int) -> dict[str, float]:
    """Measure three servers beside `registered` ids alone. Raises CannotMeasure."""
    with own_redis(place) as redis:
        group = Group([server(place, redis, 3, number) for number in range(3)], [0.0] * 3)
        with running(place, *group.servers):
            return many(place, redis, group, registered, seconds)


def growth(place: Path, seconds: float, rounds: int, registered: int) -> dict[str, float]:
    """Measure in `rounds` rounds, and then beside `registered` ids; return the medians.

    Raises: CannotMeasure.
    """
    loadgen = built_loadgen(place)
    keys = [tls(place, "bcp/2") for _ in range(MEMBERS + PEOPLE)]
    found: dict[str, list[float]] = {}
    with own_redis(place) as redis:
        groups = {
            count: Group([server(place, redis, count, number) for number in range(count)], [])
            for count in COUNTS
        }
        apart = [
            Group([without_limits(place, f"a{count}-{n}", "memory:") for n in range(count)], [])
            for count in (1, 3)
        ]
        both = (*groups.values(), *apart)
        with running(place, *(one for group in both for one in group.servers)):
            for _ in range(rounds):
                for name, value in one_round(groups, apart, loadgen, keys, seconds).items():
                    found.setdefault(name, []).append(value)
            last = many(place, redis, groups[3], registered, seconds)
    found |= {name: [value] for name, value in last.items()}
    return {name: median(values) for name, values in found.items()}

"""Measure how costs grow with what a server holds: `python bench/growth.py`.

A pipelined REGISTER that repeats a registration, beside 100 to 200,000 registered ids; a delivery
to a member of one of 10 to 1,000 rooms. The goal is 1.3 times the cost of the smallest number.
"""

from __future__ import annotations

import argparse
import ssl
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import Subject, built_loadgen, compare, machine, median, run_loadgen, table
from bench.requests import MODES, REGISTER, REGISTERED, ask_all
from bench.room_members import Member, Ours, Room
from bench.rooms import UNLIMITED, measured, tls
from chatproto.wire import bcp2_rooms
from chatproto.wire.strict import encode
from tests.ports import free_port

IDS = (100, 1_000, 10_000, 100_000, 200_000)
ROOMS = (10, 100, 1_000)
CLIENTS = 100
AUDIENCE = 3
"""Members of each room, so that none of the clients is in more rooms than a client may be."""
SENDERS, IN_FLIGHT = 1, 1
GOAL = 1.3
Figures = dict[str, dict[str, list[float]]]


def server(place: Path, name: str, *more: str) -> Subject:
    """Make a server of ours in memory, without limits on how much one address may ask for."""
    port = free_port()
    limits = [f"--limits={one}=1000000" for one in (*UNLIMITED, "new-rooms-per-address")]
    twistd = str(Path(sys.executable).with_name("twistd"))
    command = [sys.executable, twistd, "-n", "--pidfile=", "chatserver", "--quiet", *limits, *more]
    command += ["--port", f"tcp:{port}:interface=127.0.0.1", f"--home={place / name}"]
    return Subject(name, [*command, "--store=memory:"], port, REGISTER, REGISTERED)


def requests(place: Path, count: int, seconds: float) -> float:
    """Measure a request beside `count` registered ids, in microseconds."""
    loadgen, subject = built_loadgen(place), server(place, f"ids-{count}")
    subject.start(place)
    try:
        ask_all(loadgen, subject, count)
        asked = [*MODES["pipelined"], "--keys", str(count)]
        return run_loadgen(loadgen, subject, asked, seconds)["server_us_per_req"]
    finally:
        subject.stop()


class Visitor(Ours):
    """One of `clients` clients, in its share of `rooms` rooms; speaks in one after the other."""

    def __init__(
        self, rooms: int, clients: int, number: int, port: int, context: ssl.SSLContext | None
    ) -> None:
        self._rooms = [room for room in range(rooms) if (number - room) % clients < AUDIENCE]
        self._turn = 0
        super().__init__(number, port, context)

    def join(self) -> None:
        self.register()
        for room in self._rooms:
            self.enter(encode(bcp2_rooms.Join(2, f"#bench{room}")), b"JOINACK")

    def say(self, text: str) -> None:
        self._turn += 1
        room = self._rooms[self._turn % len(self._rooms)]
        self.wire.sendall(encode(bcp2_rooms.Say(3, f"#bench{room}", text)))


def deliveries(place: Path, count: int, seconds: float) -> float:
    """Measure a delivery on a server with `count` rooms, in microseconds."""
    subject = server(place, f"rooms-{count}")
    subject.start(place)
    try:
        clients = min(CLIENTS, count)
        members: list[Member] = [
            Visitor(count, clients, number, subject.port, tls(place, "bcp/2"))
            for number in range(clients)
        ]
        room = Room(members, AUDIENCE)
        cost = measured(subject, room, partial(room.keep_saying, SENDERS, IN_FLIGHT), seconds)
        room.close()
        return cost
    finally:
        subject.stop()


PARTS = {"ids": (requests, IDS), "rooms": (deliveries, ROOMS)}


def main() -> int:
    """Measure, print the tables, and write the numbers to a file if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one window")
    parser.add_argument("--rounds", type=int, default=3, help="windows for each number")
    parser.add_argument("--most", type=int, default=max(IDS), help="leave out larger numbers")
    return compare(parser, measure, show)


def measure(place: Path, options: argparse.Namespace) -> Figures:
    """Measure each part beside each number, in turns."""
    figures: Figures = {}
    for number in range(options.rounds):
        for part, (cost, counts) in PARTS.items():
            for count in (one for one in counts if one <= options.most):
                own = place / f"{part}-{count}-{number}"
                own.mkdir()
                found = figures.setdefault(part, {}).setdefault(str(count), [])
                found.append(cost(own, count, options.seconds))
    return figures


def show(figures: Figures, options: argparse.Namespace) -> None:
    """Print a table for each part."""
    print(f"server CPU in us beside so many: median of {options.rounds} rounds; {machine()}\n")
    for part, costs in figures.items():
        first = median(next(iter(costs.values())))
        rows = [
            [count, f"{median(each):.2f}", f"{median(each) / first:.2f}"]
            for count, each in costs.items()
        ]
        print(table([part, "us", "times"], [*rows, ["goal", "", f"{GOAL:.2f}"]]))
        print()


if __name__ == "__main__":
    sys.exit(main())

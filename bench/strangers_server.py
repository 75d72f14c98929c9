"""Delays of a quiet client while strangers do their worst to a server: `python bench/strangers_server.py`.

Strangers are other processes on this machine. With `--pin` the server has one core for itself, and the
strangers share another with the quiet client, which goes before them: else it is measured how full the
machine is. The quiet client asks PROBE on a connection of its own,
PING inside TLS and INFO for one id, one after another. Goal: 99 % of its requests are answered within 50 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Ping
from chatproto.wire.strict import encode
from tests.e2e.roamer import Ear
from tests.ports import free_port

GOAL = 0.050
REGISTER = "REGISTER\r\nclientID: s{}\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
READ = 1 << 20
LIMITS = ("new-ids-per-address=100000",)


def pump(port: int, block: bytes) -> None:
    """Send `block` in plain text again and again, and read what comes."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as one:
            one.settimeout(30)
            while True:
                one.sendall(block)
                if not one.recv(READ):
                    break


def plain_info(port: int, _: Path) -> None:
    """Pipelined INFO, where thousands are registered."""
    pump(port, b"INFO\r\n\r\n" * 8192)


def rubbish(port: int, _: Path) -> None:
    """Small blocks that are no requests."""
    pump(port, b"X\r\n\r\n" * 13_000)


def plain_register(port: int, _: Path) -> None:
    """New classic registrations."""
    number = 0
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall("".join(REGISTER.format(number + n) for n in range(700)).encode())
            number = (number + 700) % 100_000
            one.settimeout(5)
            one.recv(READ)


def handshakes(port: int, folder: Path) -> None:
    """TLS handshakes of one key."""
    ear = None
    while True:
        with contextlib.suppress(OSError, EOFError):
            ear = Ear(port, folder)
            ear.close()


def inside(port: int, folder: Path, block: bytes) -> None:
    """Send `block` inside TLS again and again, and read what comes."""
    while True:
        with contextlib.suppress(OSError, EOFError):
            ear = Ear(port, folder)
            ear.ask(bcp2_server.Register(1, f"t{secrets.token_hex(4)}", 5000))
            ear._connection.settimeout(30)
            while True:
                ear._connection.sendall(block)
                ear._connection.recv(65536)


def tls_info(port: int, folder: Path) -> None:
    """Pipelined INFO inside TLS."""
    inside(port, folder, encode(bcp2_server.Info(1)) * 3000)


def tls_rooms(port: int, folder: Path) -> None:
    """ROOMS, HISTORY and NAMES as fast as they come."""
    join = encode(bcp2_rooms.Join(1, "#crowd"))
    more = encode(bcp2_rooms.Names(1, "#crowd")) + encode(bcp2_rooms.History(1, "#crowd"))
    inside(port, folder, join + (more + encode(bcp2_rooms.Rooms(1))) * 500)


def tls_register(port: int, folder: Path) -> None:
    """REGISTER of two own ids in turn, which others watch."""
    inside(
        port,
        folder,
        (
            encode(bcp2_server.Register(1, "flip", 5000))
            + encode(bcp2_server.Register(1, "flop", 5000))
        )
        * 300,
    )


WORST: tuple[Callable[[int, Path], None], ...] = (
    *(plain_info, rubbish, plain_register, handshakes, tls_info, tls_rooms, tls_register),
)


def quiet(port: int, folder: Path, seconds: float) -> list[float]:
    """Ask one thing after another for so long; how long each answer took."""
    ear = Ear(port, folder)
    ear.ask(bcp2_server.Register(1, "quiet", 5000))
    took, end = [], time.monotonic() + seconds

    def probe() -> None:
        with socket.create_connection(("127.0.0.1", port), 30) as one:
            one.sendall(b"PROBE\r\n\r\n")
            one.recv(1000)

    while time.monotonic() < end:
        for ask in (probe, lambda: ear.ask(Ping(2)), lambda: ear.ask(bcp2_server.Info(3, "quiet"))):
            begun = time.monotonic()
            ask()
            took.append(time.monotonic() - begun)
            time.sleep(0.005)
    return took


def fill(port: int, count: int) -> None:
    """Register so many classic clients."""
    with socket.create_connection(("127.0.0.1", port), 60) as one:
        for begin in range(0, count, 500):
            one.sendall("".join(REGISTER.format(n) for n in range(begin, begin + 500)).encode())
            left = 500
            while left > 0:
                left -= one.recv(READ).count(b"Status: registered")


def main() -> None:
    """Print a line for each stranger alone, and for all at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--registered", type=int, default=20_000)
    parser.add_argument("--only", help="one of the strangers, or all")
    parser.add_argument("--pin", action="store_true", help="a core for the server alone (for root)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, port = Path(folder), free_port()
        where = (f"--port=tcp:{port}:interface=127.0.0.1", f"--home={place / 'home'}")
        limits = [word for one in LIMITS for word in ("--limits", one)]
        program = str(Path(sys.executable).with_name("chatserver"))
        server = subprocess.Popen(
            [program, "--quiet", *where, "--store", "memory:", *limits], stdin=subprocess.DEVNULL
        )
        try:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
            fill(port, options.registered)
            if options.pin:
                first, *others = sorted(os.sched_getaffinity(0))
                os.sched_setaffinity(server.pid, {first})
                os.sched_setaffinity(0, others or {first})
                os.setpriority(os.PRIO_PROCESS, 0, -10)
            report(port, place, options.seconds, options.only)
        finally:
            server.terminate()
            server.wait()


def politely(stranger: Callable[[int, Path], None], port: int, folder: Path) -> None:
    """Run `stranger` behind the quiet client, if that goes before others."""
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    stranger(port, folder)


def report(port: int, place: Path, seconds: float, only: str | None) -> None:
    """One line for each: the median, the 99th percentile, the longest, and how many were within the goal."""
    print("| strangers | requests | median | 99 % | longest | within 50 ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    rounds = [("nobody", ()), *((one.__name__, (one,)) for one in WORST), ("all", WORST)]
    for name, strangers in rounds:
        if only not in (None, name):
            continue
        running = [
            multiprocessing.Process(target=politely, args=(one, port, place), daemon=True)
            for one in strangers
        ]
        for one in running:
            one.start()
        time.sleep(1.0)  # all of them are at work
        try:
            took = sorted(quiet(port, place, seconds))
        finally:
            for one in running:
                one.kill()
                one.join()
        time.sleep(1.0)  # the server has seen their connections end
        last = took[int(len(took) * 0.99)]
        within = sum(one <= GOAL for one in took) / len(took)
        cells = (statistics.median(took), last, took[-1])
        shown = " | ".join(f"{1000 * one:.1f} ms" for one in cells)
        print(f"| {name} | {len(took)} | {shown} | {within:.2%} |", flush=True)


if __name__ == "__main__":
    main()

"""Measure the full interface as a person at the terminal meets it: `python bench/face.py`.

Start-up until a key typed at the prompt is shown, beside `chatclient --version`; the time from a key to
its echo while lines arrive; CPU of the client for each line; memory after many lines. Real programs on a
pty of 80 by 24.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import workplace
from tests.e2e.harness import JsonClient, Stage, staged
from tests.e2e.screens import ScreenClient

LOOPBACK = ("--port", "tcp:0:interface=127.0.0.1")
KEYS = b"qwxzvy"
"""Typed in turn: letters that stand in no arriving line, name, time or escape sequence."""
LINE = b"0123456789 " * 4
BETWEEN_KEYS = 0.05
GOALS = {"start": 1.6, "median": 20.0, "99 %": 60.0, "memory": 120.0}


class Terminal(ScreenClient):
    """A screen that is read without an emulator, which would be slower than what is measured."""

    def take(self, wait: float) -> bytes:
        """Return what is written within `wait` seconds."""
        before = len(self.raw)
        self.read(wait)
        taken, self.raw = self.raw[before:], self.raw[-4096:]
        return taken

    def see(self, data: bytes) -> None:
        """Leave the emulator out."""

    def cpu(self) -> float:
        """Return the seconds of CPU that the client has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """Return the memory that the client holds, in MiB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def start_up(stage: Stage, rounds: int) -> dict[str, float]:
    """Return the median seconds until the prompt shows a typed key, and those of `--version`."""
    home, shown, version = stage.place("start"), [], []
    options = ("--id", "alice", "--server", "none", *LOOPBACK)
    for _ in range(rounds + 1):  # the first one makes the key
        begun = time.perf_counter()
        client = ScreenClient(home, *options)
        client.expect("to nobody>")
        client.type("x")
        client.expect("to nobody> x")
        shown.append(time.perf_counter() - begun)
        client.end()
        begun = time.perf_counter()
        script = Path(sys.executable).with_name("chatclient")
        subprocess.run([script, "--version"], check=True, stdout=subprocess.DEVNULL)
        version.append(time.perf_counter() - begun)
    return {"prompt": statistics.median(shown[1:]), "version": statistics.median(version[1:])}


def talkers(stage: Stage) -> tuple[Terminal, JsonClient]:
    """Alice at her terminal, and bob, in a conversation."""
    _, port = stage.server()
    bob = stage.open_client("bob", f"127.0.0.1:{port}", "--answer", "all")
    bob.event("registered")
    options = ("--id", "alice", "--server", f"127.0.0.1:{port}", *LOOPBACK)
    alice = Terminal(stage.place("alice"), *options)
    alice.wait_for(lambda: b"registered with" in alice.raw, "registered")
    alice.type("/chat bob\r")
    alice.wait_for(lambda: "🔒".encode() in alice.raw, "the prompt for bob")
    return alice, bob


def arrive(bob: JsonClient, rate: float, count: int, stop: threading.Event) -> threading.Thread:
    """Have bob say `count` lines, `rate` a second (0: as fast as he can)."""

    def work() -> None:
        begun = time.monotonic()
        for number in range(count):
            if stop.is_set():
                return
            wait = begun + number / rate - time.monotonic() if rate else 0.0
            if wait > 0:
                time.sleep(wait)
            bob.send_line(f"{number} {LINE.decode()}.")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def key_to_screen(
    alice: Terminal, bob: JsonClient, rate: float, seconds: float
) -> dict[str, float]:
    """Return the milliseconds from a key to its echo while lines arrive, and the CPU of a line."""
    stop, delays, lines = threading.Event(), [], 0
    while alice.take(0.5):
        pass
    used, begun = alice.cpu(), time.monotonic()
    sender = arrive(bob, rate, int(rate * seconds), stop)
    number = 0
    while time.monotonic() < begun + seconds:
        key = KEYS[number % len(KEYS) :][:1]
        pressed = time.perf_counter()
        alice.raw = b""
        alice.type(key)  # which reads too, and so may have the echo already
        lines += alice.raw.count(LINE)
        echoed = key in alice.raw
        while not echoed and time.perf_counter() < pressed + 10:
            taken = alice.take(0.5)
            lines += taken.count(LINE)
            echoed = key in taken
        delays.append((time.perf_counter() - pressed) * 1000)
        number += 1
        if number % len(KEYS) == 0:
            alice.type("\x15")  # the line is cleared, and its keys may come again
        until = time.monotonic() + BETWEEN_KEYS
        while time.monotonic() < until:
            lines += alice.take(max(0.0, until - time.monotonic())).count(LINE)
    stop.set()
    sender.join()
    delays.sort()
    return {
        "rate": lines / (time.monotonic() - begun),
        "median": statistics.median(delays),
        "99 %": delays[min(len(delays) - 1, len(delays) * 99 // 100)],
        "most": delays[-1],
        "cpu": (alice.cpu() - used) / max(lines, 1) * 1000,
    }


def memory(alice: Terminal, bob: JsonClient, lines: int) -> dict[str, float]:
    """Return MiB before and after `lines` lines, and how many were taken a second."""
    before, begun = alice.resident(), time.monotonic()
    sender = arrive(bob, 0.0, lines, threading.Event())
    last = f"{lines - 1} 0123456789".encode()
    seen = b""
    while last not in seen:
        seen = seen[-200:] + alice.take(10.0)
    sender.join()
    return {
        "before": before,
        "after": alice.resident(),
        "rate": lines / (time.monotonic() - begun),
    }


def main() -> int:
    """Measure, print the figures beside their goals, and write them to a file if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="starts")
    parser.add_argument("--seconds", type=float, default=15.0, help="of typing at each rate")
    parser.add_argument("--rates", default="10,100,1000", help="lines a second")
    parser.add_argument("--lines", type=int, default=100_000, help="lines for the memory; 0: none")
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with workplace() as folder, staged(Path(folder)) as stage:
        start = figures["start"] = start_up(stage, options.rounds)
        print(
            f"start to prompt {start['prompt']:.2f} s, --version {start['version']:.2f} s:"
            f" {start['prompt'] / start['version']:.2f} times (goal {GOALS['start']})"
        )
        alice, bob = talkers(stage)
        try:
            print("lines/s      key to screen, ms: median  99 %  most      CPU a line, ms")
            for rate in map(float, options.rates.split(",")):
                found = figures[f"{rate:g}"] = key_to_screen(alice, bob, rate, options.seconds)
                print(
                    f"{rate:>7g}  (was {found['rate']:>5.0f}) {found['median']:>19.1f} {found['99 %']:>5.1f}"
                    f" {found['most']:>5.1f} {found['cpu']:>19.3f}"
                )
            print(f"   goal {GOALS['median']:>32.1f} {GOALS['99 %']:>5.1f}")
            if options.lines:
                held = figures["memory"] = memory(alice, bob, options.lines)
                print(
                    f"memory {held['before']:.0f} MiB, after {options.lines:,} more lines"
                    f" {held['after']:.0f} MiB (goal {GOALS['memory']:.0f}); {held['rate']:.0f} lines/s"
                )
        finally:
            alice.end()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

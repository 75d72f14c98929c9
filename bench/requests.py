"""Server CPU a REGISTER, ours beside others in one run: `python bench/requests.py`.

`own`: a connection for each request, 32 at a time. `pipelined`: 10 connections with 16 requests in
flight on each. `other ids`: the same with 20,000 ids, all registered before. Rounds are interleaved, so
that what else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import (
    HERE,
    CannotMeasure,
    Subject,
    built_loadgen,
    compare,
    machine,
    median,
    run_loadgen,
    table,
)
from tests.ports import free_port

REGISTER = r"REGISTER\r\nclientID: u%06k\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
REGISTERED = r"Status: registered\r\n\r\n"
SIP = (
    r"REGISTER sip:127.0.0.1 SIP/2.0\r\n"
    r"Via: SIP/2.0/TCP 127.0.0.1:5061;branch=z9hG4bK%p.%n;rport\r\n"
    r"From: <sip:u%06k@127.0.0.1>;tag=%n\r\nTo: <sip:u%06k@127.0.0.1>\r\n"
    r"Call-ID: u%06k-%p@bench\r\nCSeq: %n REGISTER\r\n"
    r"Contact: <sip:u%06k@127.0.0.1:3000>\r\nExpires: 3600\r\n"
    r"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
SIP_REGISTERED = r";expires=3600\r\nContent-Length: 0\r\n\r\n"
MODES = {"own": ["short", "-c", "32"], "pipelined": ["pipe", "-c", "10", "-d", "16"]}
OTHER_IDS = "other ids"
"""As `pipelined`, with so many registered ids that whatever remembers requests gains nothing."""
LOADS = {**MODES, OTHER_IDS: MODES["pipelined"]}
MANY_IDS = 20_000
GOALS = {"own": 0.9, "pipelined": 0.35, OTHER_IDS: 0.35}
"""Of Kamailio's CPU a request."""
YARDSTICK = "kamailio"
LONGEST = 300.0
"""Seconds within which all ids of a measurement are registered."""
ALLOCATORS = {"kamailio": ["-x", "fm", "-X", "fm"], "kamailio as packaged": []}
"""The package's default is an allocator that helps debugging and costs a multiple of the others; the
yardstick is Kamailio at its best."""


def subjects(place: Path) -> list[Subject]:
    """List the subjects that can be measured on this machine."""
    found = []

    def add(name: str, *command: str, port: int, sip: bool = False) -> None:
        asked = (SIP, SIP_REGISTERED) if sip else (REGISTER, REGISTERED)
        found.append(Subject(name, command, port, *asked))

    twistd = str(Path(sys.executable).parent / "twistd")
    for name, more in (("chatproto", []), ("chatproto --quiet", ["--quiet"])):
        port = free_port()
        home = str(place / name.replace(" ", ""))
        where = ["--port", f"tcp:{port}:interface=127.0.0.1", "--home", home]
        add(name, twistd, "-n", "--pidfile=", "chatserver", *where, *more, port=port)
    for name in ("twisted", "asyncio"):
        port = free_port()
        program = str(HERE / "peers" / f"{name}_server.py")
        add(name, sys.executable, program, str(port), port=port)
    yardstick = kamailio()
    if yardstick is None:
        return found
    text = (HERE / "peers" / "kamailio.cfg").read_text(encoding="utf-8")
    for name, allocator in ALLOCATORS.items():
        port = free_port()
        folder = place / name.replace(" ", "-")
        folder.mkdir()
        config = folder / "kamailio.cfg"
        config.write_text(text.replace("PORT", str(port)), encoding="utf-8")
        options = ["-DD", "-E", "-f", str(config), "-w", str(folder), "-Y", str(folder)]
        add(name, yardstick, *options, "-m", "512", *allocator, port=port, sip=True)
    return found


def main() -> int:
    """Measure, print the table, and write the numbers to a file if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one window")
    parser.add_argument("--rounds", type=int, default=5, help="windows for each")
    parser.add_argument("--keys", type=int, default=1000, help="ids that take turns")
    parser.add_argument("--cold", action="store_true", help="register no ids before")
    parser.add_argument("--only", action="append", help="measure this one; may be repeated")
    return compare(parser, measure, show)


def measure(place: Path, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Microseconds of server CPU a request, a number for each round, by subject and mode."""
    loadgen = built_loadgen(place)
    found = subjects(place)
    names = [one.name for one in found]
    for name in options.only or ():
        if name not in names:
            raise CannotMeasure(f"{name!r} is not to be had here, only {', '.join(names)}")
    chosen = [one for one in found if not options.only or one.name in options.only]
    figures: dict[str, dict[str, list[float]]] = {
        one.name: {mode: [] for mode in LOADS} for one in chosen
    }
    try:
        for subject in chosen:
            subject.start(place)
            if not options.cold:
                ask_all(loadgen, subject, MANY_IDS)
        for number in range(options.rounds):
            turn = number % len(chosen)  # nobody is always first, or always after the same
            for mode, arguments in LOADS.items():
                for subject in chosen[turn:] + chosen[:turn]:
                    keys = MANY_IDS if mode == OTHER_IDS else options.keys
                    asked = [*arguments, "--keys", str(keys)]
                    report = run_loadgen(loadgen, subject, asked, options.seconds)
                    figures[subject.name][mode].append(report["server_us_per_req"])
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    finally:
        for subject in chosen:
            subject.stop()
    return figures


def ask_all(loadgen: Path, subject: Subject, count: int) -> None:
    """Register `count` ids; the load generator goes through them in order, anew in each window."""
    window, asked = 1.0, 0.0
    while asked < count:
        if window > LONGEST:
            raise CannotMeasure(f"{subject.name} did not register {count} ids in {LONGEST} s")
        words = [*MODES["pipelined"], "--keys", str(count)]
        asked = run_loadgen(loadgen, subject, words, window)["req_per_s"] * window
        window *= 2


def show(figures: dict[str, dict[str, list[float]]], options: argparse.Namespace) -> None:
    """The table."""
    print(f"server CPU a REGISTER in us: median (least to most) of {options.rounds} rounds")
    print(f"{machine()}; {options.keys} ids; loopback\n")
    head = ["", *(f"{mode}{part}" for mode in LOADS for part in ("", " / kamailio"))]
    rows = []
    for name, modes in figures.items():
        row = [name]
        for mode, costs in modes.items():
            row.append(f"{median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f})")
            known = figures.get(YARDSTICK)
            row.append(f"{median(costs) / median(known[mode]):.2f}" if known else "-")
        rows.append(row)
    rows.append(["goal", *(cell for mode in LOADS for cell in ("", f"{GOALS[mode]:.2f}"))])
    print(table(head, rows))
    if YARDSTICK not in figures:
        print(f"\n{no_ratios()}")


def no_ratios() -> str:
    """Return why nothing is compared with the yardstick."""
    if kamailio() is None:
        return f"{YARDSTICK} is not installed here: no ratios"
    return f"{YARDSTICK} was left out (--only): no ratios"


def kamailio() -> str | None:
    """Return the program of the yardstick; None if it is not installed."""
    return shutil.which(YARDSTICK, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")


if __name__ == "__main__":
    sys.exit(main())

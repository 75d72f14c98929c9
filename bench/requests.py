"""Server CPU a REGISTER, ours beside others in one run: `python bench/requests.py`.

`own`: a connection for each request, 32 at a time. `pipelined`: 10 connections with 16 requests in
flight on each. Rounds are interleaved, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import (
    HERE,
    CannotMeasure,
    Subject,
    built_loadgen,
    free_port,
    machine,
    median,
    run_loadgen,
    table,
    workplace,
)

REGISTER = r"REGISTER\r\nclientID: u%06k\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
SIP = (
    r"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5061;branch=z9hG4bK%n;rport\r\n"
    r"From: <sip:u%06k@127.0.0.1>;tag=%n\r\nTo: <sip:u%06k@127.0.0.1>\r\nCall-ID: %n@bench\r\n"
    r"CSeq: 1 REGISTER\r\nContact: <sip:u%06k@127.0.0.1:3000>\r\nExpires: 3600\r\n"
    r"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
MODES = {"own": ["short", "-c", "32"], "pipelined": ["pipe", "-c", "10", "-d", "16"]}
GOALS = {"own": 0.8, "pipelined": 0.2}
"""Of Kamailio's CPU a request."""
YARDSTICK = "kamailio"


def subjects(place: Path) -> list[Subject]:
    """Those that can be measured on this machine."""
    twistd = str(Path(sys.executable).parent / "twistd")
    found = []
    for name, more in (("chatproto", []), ("chatproto --quiet", ["--quiet"])):
        port = free_port()
        home = str(place / name.replace(" ", ""))
        endpoint = f"tcp:{port}:interface=127.0.0.1"
        server = [twistd, "-n", "chatserver", "--port", endpoint, "--home", home, *more]
        found.append(Subject(name, server, port))
    for name in ("twisted", "asyncio"):
        port = free_port()
        program = str(HERE / "peers" / f"{name}_server.py")
        found.append(Subject(name, [sys.executable, program, str(port)], port))
    if shutil.which(YARDSTICK):
        port = free_port()
        config = place / "kamailio.cfg"
        text = (HERE / "peers" / "kamailio.cfg").read_text(encoding="utf-8")
        config.write_text(text.replace("PORT", str(port)), encoding="utf-8")
        options = ["-DD", "-E", "-f", str(config), "-w", str(place), "-Y", str(place), "-m", "512"]
        found.append(Subject(YARDSTICK, [YARDSTICK, *options], port))
    return found


def main() -> int:
    """Measure, print the table, and write the numbers to a file if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one window")
    parser.add_argument("--rounds", type=int, default=5, help="windows for each")
    parser.add_argument("--keys", type=int, default=1000, help="ids that take turns")
    parser.add_argument("--only", action="append", help="measure this one; may be repeated")
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()
    with workplace() as folder:
        place = Path(folder)
        try:
            figures = measure(place, options)
        except CannotMeasure as error:
            print(error, file=sys.stderr)
            return 1
    show(figures, options)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=1))
    return 0


def measure(place: Path, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Microseconds of server CPU a request, a number for each round, by subject and mode."""
    loadgen = built_loadgen(place)
    chosen = [one for one in subjects(place) if not options.only or one.name in options.only]
    figures: dict[str, dict[str, list[float]]] = {
        one.name: {mode: [] for mode in MODES} for one in chosen
    }
    try:
        for subject in chosen:
            subject.start(place)
        for number in range(options.rounds):
            for mode, arguments in MODES.items():
                for subject in chosen:
                    request = SIP if subject.name == YARDSTICK else REGISTER
                    windows = ["-r", "1", "-t", str(options.seconds), "-w", "0.5"]
                    keys = ["--keys", str(options.keys)]
                    end = ["--req", request, "--until", r"\r\n\r\n"]
                    report = run_loadgen(loadgen, subject, [*arguments, *windows, *keys, *end])
                    cost = report["summary"]["server_us_per_req"][1]
                    figures[subject.name][mode].append(cost)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    finally:
        for subject in chosen:
            subject.stop()
    return figures


def show(figures: dict[str, dict[str, list[float]]], options: argparse.Namespace) -> None:
    """The table."""
    print(f"server CPU a REGISTER in us: median (least to most) of {options.rounds} rounds")
    print(f"{machine()}; {options.keys} ids; loopback\n")
    head = ["", *(f"{mode}{part}" for mode in MODES for part in ("", " / kamailio"))]
    rows = []
    for name, modes in figures.items():
        row = [name]
        for mode, costs in modes.items():
            row.append(f"{median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f})")
            known = figures.get(YARDSTICK)
            row.append(f"{median(costs) / median(known[mode]):.2f}" if known else "-")
        rows.append(row)
    rows.append(["goal", "", f"{GOALS['own']:.2f}", "", f"{GOALS['pipelined']:.2f}"])
    print(table(head, rows))
    if YARDSTICK not in figures:
        print("\nkamailio is not installed here: no ratios")


if __name__ == "__main__":
    sys.exit(main())

"""Measure the CPU time and rate of a file, ours beside other programs: `python bench/files.py`.

Every subject carries the same file over loopback, encrypted, to the same disk. CPU is that of all
processes at both ends from their kernel counters; the cost of a file of one byte (start, rendezvous,
handshake) is measured as well and subtracted. Rounds are interleaved.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.carrier import Carrier, Cost
from bench.carriers import carriers
from bench.measure import CannotMeasure, compare, machine, median, table

MIB = 1024 * 1024
GOALS = {"magic-wormhole": 0.55, "scp": 1.2}
"""Of their CPU a byte, both ends together."""
SPEED_GOAL = 500.0  # MB/s
Figures = dict[str, dict[str, list[float]]]


def main() -> int:
    """Measure, print the table, and write the numbers to a file if wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file")
    parser.add_argument("--rounds", type=int, default=3, help="files for each")
    parser.add_argument("--only", action="append", help="measure this one; may be repeated")
    parser.add_argument("--sshd", default="sshd", help="the sshd program, for scp")
    parser.add_argument("--install", action="store_true", help="magic-wormhole, if it is missing")
    return compare(parser, measure, show)


def measure(place: Path, options: argparse.Namespace) -> Figures:
    """Of each subject and round: CPU seconds a GiB at either end and of both, and MB/s."""
    big, tiny = place / "big.bin", place / "tiny.bin"
    tiny.write_bytes(b"!")
    size = options.size * MIB
    with big.open("wb") as file:
        for _ in range(options.size):
            file.write(os.urandom(MIB))
    found, missing = carriers(place, options.sshd, options.install)
    for sentence in missing if not options.only else ():
        print(sentence, file=sys.stderr)
    names = [one.name for one in found]
    for name in options.only or ():
        if name not in names:
            raise CannotMeasure(f"{name!r} is not to be had here, only {', '.join(names)}")
    chosen = [one for one in found if not options.only or one.name in options.only]
    figures: Figures = {
        one.name: {"sender": [], "receiver": [], "both": [], "speed": []} for one in chosen
    }
    started: list[Carrier] = []
    try:
        for one in chosen:
            started.append(one)
            one.start()
        for number in range(options.rounds):
            turn = number % len(chosen)  # nobody is always first, or always after the same
            for one in chosen[turn:] + chosen[:turn]:
                add(figures[one.name], one.carry(big), one.carry(tiny), size)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    finally:
        for one in started:
            one.stop()
    return figures


def add(figures: dict[str, list[float]], whole: Cost, start: Cost, size: int) -> None:
    """One round more, without what has nothing to do with the size."""
    gib = size / 1024 / MIB
    sender = max(0.0, whole.sender - start.sender) / gib
    receiver = max(0.0, whole.receiver - start.receiver) / gib
    figures["sender"].append(sender)
    figures["receiver"].append(receiver)
    figures["both"].append(sender + receiver)
    figures["speed"].append(size / 1e6 / max(1e-3, whole.seconds - start.seconds))


def show(figures: Figures, options: argparse.Namespace) -> None:
    """The table."""
    print(f"a file of {options.size} MiB: median (least to most) of {options.rounds} rounds")
    print(f"CPU seconds a GiB at each end; {machine()}; loopback\n")
    ours = figures.get("chatproto")
    head = ["", "sender", "receiver", "both", "ours / theirs", "goal", "MB/s"]
    rows = []
    for name, values in figures.items():
        both = values["both"]
        ratio = f"{median(ours['both']) / max(1e-9, median(both)):.2f}" if ours else "-"
        rows.append(
            [
                name,
                f"{median(values['sender']):.2f}",
                f"{median(values['receiver']):.2f}",
                f"{median(both):.2f} ({min(both):.2f} to {max(both):.2f})",
                ratio,
                f"{GOALS[name]:.2f}" if name in GOALS else "",
                f"{median(values['speed']):.0f}",
            ]
        )
    rows.append(["goal", "", "", "", "", "", f"{SPEED_GOAL:.0f}"])
    print(table(head, rows))


if __name__ == "__main__":
    sys.exit(main())

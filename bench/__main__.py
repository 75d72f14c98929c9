"""Run every benchmark and write its tables to `bench/README.md`: `python -m bench [--quick] [NAME...]`.

Beside each table, a picture of it is written to `bench/pictures/NAME.svg`. With `--quick` each has fewer
and shorter windows, so that all take some ten minutes, and its table says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.measure import HERE, median, workplace

README = HERE / "README.md"
PICTURES = HERE / "pictures"
OPTIONS: dict[str, list[str]] = {
    "requests": [],
    "growth": [],
    "growth_commits": [],
    "rooms": [],
    "scale": [],
    "files": ["--install"],
    "start": [],
    "face": [],
    "strangers": [],
    "strangers_server": [],
    "turns": [],
    "commits": [],
}
"""Every benchmark, and what it is asked for beside its defaults."""
QUICK: dict[str, list[str]] = {
    "requests": ["--seconds=0.5", "--rounds=3"],
    "growth": ["--seconds=0.5", "--rounds=1", "--most=100000"],
    "growth_commits": ["--seconds=0.5", "--rounds=2"],
    "rooms": ["--seconds=1", "--rounds=3"],
    "scale": [
        *("--seconds=0.5", "--rounds=2", "--names=50000"),
        *("--clients=5000", "--restarted=1000", "--pace=200", "--silence=5"),
        "--registered=20000",
    ],
    "files": ["--size=256", "--rounds=3"],
    "start": ["--rounds=5"],
    "face": ["--rounds=3", "--seconds=5", "--lines=2000"],
    "strangers": ["--rounds=5", "--seconds=5"],
    "strangers_server": ["--only=all", "--seconds=5", "--registered=5000"],
    "turns": ["--clients", "50000", "--connections=2000"],
    "commits": ["--seconds=0.5", "--rounds=2", "--clients=300", "--size=128"],
}
"""What each is asked for in a quick run."""
NO_FIGURES = ("strangers_server", "turns")
"""They write no numbers to a file, so they have no picture."""
PEERS = {
    "kamailio": ["kamailio", "-v"],
    "ngircd": ["ngircd", "--version"],
    "OpenSSH": ["ssh", "-V"],
    "socat": ["socat", "-V"],
}
"""The programs that ours are measured beside, and how each tells its version."""
VERSION = re.compile(r"\d+\.\d[\w.]*")
BAR, LINE, LABEL, SHOWN = 360, 16, 260, 60
"""Pixels: the longest bar, a line of text, the space left of the bars; and bars in a picture."""


def main() -> int:
    """Run the benchmarks that were asked for, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(OPTIONS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter windows")
    options = parser.parse_args()
    for name in options.names:
        if name not in OPTIONS:
            print(f"there is no benchmark {name!r}, only {', '.join(OPTIONS)}", file=sys.stderr)
            return 1
    failed = []
    for name in options.names or OPTIONS:
        begun = time.monotonic()
        if not run(name, options.quick):
            failed.append(name)
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str, quick: bool) -> bool:
    """Run one benchmark and write what it printed; return False if it could not measure."""
    with workplace() as folder:
        figures = Path(folder) / "figures.json"
        wanted = OPTIONS[name] + (QUICK[name] if quick else [])
        if name not in NO_FIGURES:
            wanted = [*wanted, "--json", str(figures)]
        command = [sys.executable, str(HERE / f"{name}.py"), *wanted]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            return False
        when = f"{time.strftime('%Y-%m-%d')}, {machine()}{', a quick run' if quick else ''}"
        found = json.loads(figures.read_text()) if figures.exists() else {}
    bars = list(leaves(found.get("figures", found)))
    if bars:
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"{name}.svg").write_text(picture(f"{name}, {when}", bars), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    README.write_text(replaced(text, name, when, done.stdout, bool(bars)), encoding="utf-8")
    return True


def machine() -> str:
    """Describe the system, its load and the peers in a few words; each table names our versions."""
    load = Path("/proc/loadavg").read_text().split()[0]
    system = f"{platform.system()} {platform.release()}, load {load} at the end"
    return ", ".join([system, *(f"{name} {number}" for name, number in peers().items())])


def peers() -> dict[str, str]:
    """Return the versions of the peers that are installed."""
    found = {}
    for name, command in PEERS.items():
        program = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        if program is None:
            continue
        told = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
        number = VERSION.search(told.stdout + told.stderr)
        found[name] = number[0] if number else "of an unknown version"
    return found


def replaced(text: str, name: str, when: str, table: str, has_picture: bool) -> str:
    """Return the page `text` with the table of benchmark `name` replaced, or added to its section.

    Raises: ValueError: the page has no section for it.
    """
    begin, end = f"<!-- table of {name} -->\n", f"<!-- end of {name} -->\n"
    lines = "".join(f"    {line}".rstrip() + "\n" for line in table.strip("\n").splitlines())
    shown = f"![{name}](pictures/{name}.svg)\n\n" if has_picture else ""
    block = f"{begin}{shown}{when}:\n\n{lines}{end}"
    before, found, rest = text.partition(begin)
    if found:
        return before + block + rest.partition(end)[2]
    before, found, rest = text.partition(f"## {name}.py\n\n")
    if not found:
        raise ValueError(f"no section for {name}")
    return f"{before}{found}{block}\n{rest}"


def leaves(figures: Any, path: str = "") -> list[tuple[str, float]]:
    """List the medians in `figures` with their names, from the outermost to the innermost."""
    if isinstance(figures, dict):
        return [
            leaf
            for name, inner in figures.items()
            for leaf in leaves(inner, f"{path}, {name}" if path else str(name))
        ]
    if isinstance(figures, list) and figures and not isinstance(figures[0], list | dict):
        return [(path, float(median(figures)))]
    if isinstance(figures, list) and figures and isinstance(figures[0], list):
        columns = zip(*figures, strict=True)
        return [(f"{path}, {n + 1}", float(median(each))) for n, each in enumerate(columns)]
    return [(path, float(figures))] if isinstance(figures, int | float) else []


def picture(title: str, bars: list[tuple[str, float]]) -> str:
    """Draw `bars` as an SVG; a bar's length is its share of the largest of the same kind.

    Bars are of one kind, and stand together, if their names end in the same word, such as `pipelined`.
    """
    most: dict[str, float] = {}
    for name, value in bars:
        kind = name.rpartition(", ")[2]
        most[kind] = max(most.get(kind, 0.0), value)
    kinds = [*most]
    bars = sorted(bars, key=lambda bar: kinds.index(bar[0].rpartition(", ")[2]))[:SHOWN]
    drawn = []
    for number, (name, value) in enumerate(bars):
        y = (number + 2) * LINE
        length = round(BAR * value / (most[name.rpartition(", ")[2]] or 1.0))
        drawn.append(
            f'<text x="{LABEL - 8}" y="{y}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{LABEL}" y="{y - 10}" width="{length}" height="11" fill="#4a7a9c"/>'
            f'<text x="{LABEL + length + 6}" y="{y}">{value:.4g}</text>'
        )
    width, height = LABEL + BAR + 80, (len(bars) + 3) * LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' font-family="sans-serif" font-size="11">\n<text x="4" y="{LINE}">{escape(title)}</text>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    sys.exit(main())

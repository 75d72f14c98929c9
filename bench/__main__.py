"""Run every benchmark and write its tables to `bench/README.md`: `python -m bench [NAME...]`.

Beside each table, a picture of it is written to `bench/pictures/NAME.svg`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.measure import HERE, median, workplace

README = HERE / "README.md"
PICTURES = HERE / "pictures"
ALL = ("requests", "growth", "rooms", "scale", "files", "face", "strangers", "strangers_server")
NO_FIGURES = "strangers_server"
"""It writes no numbers to a file, so it has no picture."""
OPTIONS = {"files": ["--install"]}
BAR, LINE, LABEL, SHOWN = 360, 16, 260, 60
"""Pixels: the longest bar, a line of text, the space left of the bars; and bars in a picture."""


def main() -> int:
    """Run the benchmarks that were asked for, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ALL))
    options = parser.parse_args()
    for name in options.names or ALL:
        if name not in ALL:
            print(f"there is no benchmark {name!r}, only {', '.join(ALL)}", file=sys.stderr)
            return 1
    failed = False
    for name in options.names or ALL:
        failed |= not run(name)
    return 1 if failed else 0


def run(name: str) -> bool:
    """Run one benchmark and write what it printed; return False if it could not measure."""
    with workplace() as folder:
        figures = Path(folder) / "figures.json"
        wanted = [] if name == NO_FIGURES else ["--json", str(figures), *OPTIONS.get(name, [])]
        command = [sys.executable, str(HERE / f"{name}.py"), *wanted]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            print(f"{name} was not measured", file=sys.stderr)
            return False
        when = f"{time.strftime('%Y-%m-%d')}, {machine()}"
        found = json.loads(figures.read_text()) if figures.exists() else {}
    bars = list(leaves(found.get("figures", found)))
    if bars:
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"{name}.svg").write_text(picture(f"{name}, {when}", bars), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    README.write_text(replaced(text, name, when, done.stdout, bool(bars)), encoding="utf-8")
    return True


def machine() -> str:
    """Describe the system and its load in a few words; each table names the versions itself."""
    load = Path("/proc/loadavg").read_text().split()[0]
    return f"{platform.system()} {platform.release()}, load {load} at the end"


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

    Bars are of one kind if their names end in the same word, such as `pipelined`.
    """
    bars = bars[:SHOWN]
    most: dict[str, float] = {}
    for name, value in bars:
        kind = name.rpartition(", ")[2]
        most[kind] = max(most.get(kind, 0.0), value)
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

"""Make the pictures of the full interface in docs/pictures: `python misc/pictures.py [FOLDER]`.

The real programs run on terminals of their own. An emulator (pyte) keeps what a person would see, and
each screen is written as SVG, cell by cell.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.e2e.harness import JsonClient, Stage, staged  # noqa: E402
from tests.e2e.screens import ScreenClient  # noqa: E402

WIDE, HIGH = 8.4, 18
"""Pixels of one cell, for a font of 14 pixels."""
MARGIN = 12
BACK, FORE = "#16181d", "#d9dce3"
NAMED = {
    "black": "#3b4048",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#d19a66",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": "#d9dce3",
}
"""Colours of the palette of 8, by the emulator's names; others come as six hex digits."""
LOOPBACK = ("--port", "tcp:0:interface=127.0.0.1")
NOTES = "oven 230 °C, 25 minutes\n"


def colour(name: str, default: str) -> str:
    """Return the SVG colour for a colour of the emulator."""
    if name == "default":
        return default
    return NAMED.get(name.removeprefix("bright"), f"#{name}")


def svg(screen: Any, title: str) -> str:
    """Return `screen`, of the emulator, as SVG; empty rows at the bottom are left out.

    Cells of one style are one text, which is given its width, so that columns stand one below the
    other in any font.
    """
    rows = [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]
    last = max(
        (y for y, row in enumerate(rows) if any(cell.data.strip() for cell in row)), default=0
    )
    width, height = screen.columns * WIDE + 2 * MARGIN, (last + 1) * HIGH + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
        f' width="{width:g}" height="{height:g}" role="img" aria-label={quoteattr(title)}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>',
        '<g font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace"'
        ' font-size="14" xml:space="preserve">',
    ]
    for y, row in enumerate(rows[: last + 1]):
        parts += _row(row, y)
    x, y = screen.cursor.x, screen.cursor.y
    if not screen.cursor.hidden and y <= last:
        parts.append(
            f'<rect x="{MARGIN + x * WIDE:g}" y="{MARGIN + y * HIGH + 2:g}"'
            f' width="{WIDE:g}" height="{HIGH - 3}" fill="{FORE}" opacity="0.7"/>'
        )
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _row(row: list[Any], y: int) -> list[str]:
    """Return the texts of one row. The second cell of a wide character is empty."""

    def style(at: int) -> tuple[str, bool, bool]:
        cell = row[at]
        wide = not cell.data.isascii() and row[at + 1 : at + 2] and not row[at + 1].data
        # A wide character, and a picture, is a text of its own: fonts differ in its width.
        return colour(cell.fg, FORE), cell.bold, bool(wide)

    found = []
    cells = [x for x in range(len(row)) if row[x].data]
    for (fill, bold, wide), group in itertools.groupby(cells, style):
        for run in [[x] for x in group] if wide else [list(group)]:
            text = "".join(row[x].data for x in run)
            before = len(text) - len(text.lstrip(" "))
            shown = text.strip(" ")
            if not shown:
                continue
            weight = "bold" if bold else "normal"
            columns = 2 if wide else len(text.rstrip(" ")) - before
            found.append(
                f'<text x="{MARGIN + (run[0] + before) * WIDE:g}" y="{MARGIN + y * HIGH + 14:g}"'
                f' textLength="{columns * WIDE:g}" lengthAdjust="spacingAndGlyphs" fill="{fill}"'
                f' font-weight="{weight}">{escape(shown)}</text>'
            )
    return found


class Player:
    """A person at a terminal, whose screen is kept as a picture."""

    def __init__(self, stage: Stage, name: str, port: int, columns: int, rows: int) -> None:
        self.terminal = ScreenClient(
            stage.place(name),
            *("--id", name, "--server", f"127.0.0.1:{port}", "--time-format", "17:28", *LOOPBACK),
            columns=columns,
            rows=rows,
        )

    def picture(self, path: Path, title: str) -> None:
        """Write the screen to `path`."""
        self.terminal.settle()
        path.write_text(svg(self.terminal.screen, title), encoding="utf-8")
        print(path)


def two_people(stage: Stage, port: int, bob: JsonClient, folder: Path) -> None:
    """Bob calls, they talk, and he offers a file."""
    alice = Player(stage, "alice", port, 80, 24)
    terminal = alice.terminal
    try:
        terminal.expect("registered with")
        bob.send_line("/chat alice")
        terminal.expect("? bob calls")
        terminal.type("\x1ba")
        terminal.wait_for(lambda: "to bob 🔒>" in terminal.prompt, "the prompt for bob")
        bob.send_line("hello alice, do you still have the recipe?")
        terminal.expect("the recipe?")
        terminal.enter("hi! yes, it is this one:")
        terminal.expect("this one: ✓")
        terminal.paste("500 g flour\n350 g water\n10 g salt")
        terminal.type("\r")
        terminal.expect("10 g salt ✓")
        bob.send_line(json.dumps("thank you! and this is mine,\nwith the photo you asked for"))
        terminal.expect("you asked for")
        notes = stage.folder / "notes.txt"
        notes.write_text(NOTES)
        bob.send_line(f"/send {notes}")
        terminal.expect("? bob offers notes.txt")
        terminal.type("that is a good one, let me")
        alice.picture(folder / "two-people.svg", "Two people talking")
        terminal.type("\x03")
        bob.send_line("/quit")
        terminal.expect("bob left")
    finally:
        terminal.end()


def room(stage: Stage, port: int, others: list[JsonClient], folder: Path) -> None:
    """Three people in a room, on a wide and on a narrow terminal; bob writes in private too."""
    bob, carl = others
    players = [Player(stage, "dora", port, 80, 20), Player(stage, "emil", port, 40, 20)]
    try:
        for player in players:
            player.terminal.expect("registered with")
            player.terminal.enter("/join tea")
            player.terminal.expect("in #tea, with")
        for other in others:
            other.send_line("/join tea")
            other.event("room", room="#tea", change="joined")
        dora, emil = (player.terminal for player in players)
        carl.send_line("who has the key to the kitchen?")
        dora.expect("the kitchen?")
        dora.enter("I have it, I am in the garden")
        emil.expect("garden")
        bob.send_line("/me puts the kettle on")
        dora.expect("the kettle on")
        carl.send_line("good, then there is tea in five minutes for everybody who wants some")
        for name, player in zip(("dora", "emil"), players, strict=True):
            player.terminal.expect("everybody")
            player.terminal.type("on my way")  # so that answering the call leaves it for the room
            bob.send_line(f"/msg @{name} shall we bring cake?")
            player.terminal.expect("? bob calls")
            player.terminal.type("\x1ba")
            player.terminal.expect("we bring cake?")
        players[0].picture(folder / "room.svg", "A room, with a private message unread")
        players[1].picture(folder / "narrow.svg", "The same room on 40 columns")
    finally:
        for player in players:
            player.terminal.end()


def main() -> int:
    """Play the scenes and write the pictures."""
    parser = argparse.ArgumentParser(description="make the pictures of docs/pictures")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / "docs" / "pictures", help="where to"
    )
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, staged(Path(place)) as stage:
        _, port = stage.server()
        others = []
        for name in ("bob", "carl"):
            others.append(stage.open_client(name, f"127.0.0.1:{port}"))
            others[-1].event("registered")
        two_people(stage, port, others[0], folder)
        room(stage, port, others, folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Run the commands that a page of docs/ shows, and compare what they print with the page.

A block is a piece of indented text, or a part of it that begins with a `$`: one terminal. A test
takes the blocks in the order of the page and says which lines a person types; all others must be
printed, these and no more up to the last one shown, in this order.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent

from tests import redis_process
from tests.e2e.harness import Program, Stage

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"(?:^(?: {4,}.*)?\n)+", re.MULTILINE)
PASSWORD = "correct horse battery"
"""Typed where a page says that a password is asked for."""
FOUND = {
    "nc": [sys.executable, str(Path(__file__).with_name("netcat.py"))],
    "redis-server": [redis_process.FOUND or "redis-server"],
    "mkdir": ["mkdir"],
    "cp": ["cp"],
}
"""Programs of pages that are not our own, and how they are started here."""
KEY = re.compile(r"sha256:[A-Z2-7]{52}")
MASKS = (
    (r"for clients:", r"for clients(?: on this machine only)?:"),
    (r"sha256:[A-Z2-7]{52}", r"sha256:[A-Z2-7]{52}"),
    (r"sha256:[A-Z2-7]{4}…", r"sha256:[A-Z2-7]{52}"),
    (r"10\.77\.0\.\d|192\.0\.2\.\d|0\.0\.0\.0|\[::\]", r"\S+"),
    (r"/home/alice/\.local/share/", r"/\S+/"),
    (
        r"(?:(?<=calling heidi )|(?<=from ivan )|(?<=[0-9] heidi ))127\.0\.0\.1",
        r"\S+",
    ),  # or of another interface
    (r"(?<=Addresses: )[\d.:]+", r"[^|]+?"),
    (r"(?<=:)[3-6]\d{4}\b", r"\d{4,5}"),  # a port that the system chose
    (r"\b(?:\d{5} ){5}\d{5}\b", r"(?:\d{5} ){5}\d{5}"),
    (r"until \d\d:\d\d", r"until (?:\d{4}-\d\d-\d\d )?\d\d:\d\d"),
    (r"\(encrypted(?:, same network)?\)", r"\(encrypted(?:, same network)?\)"),
    (r"(?<=ID: )\d+", r"\d+"),
    (r"(?<=Call: )[0-9a-f]+", r"[0-9a-f]+"),
    (r"(?<=Date: )\S+", r"\S+"),
    (r"\(\d+ bytes\)", r"\(\d+ bytes\)"),
    (r"within \d+ ms", r"within \d+ ms"),
    (r"…", r".*"),
)
"""Parts of a shown line that differ from run to run, and what may stand there instead."""


def blocks(text: str) -> Iterator[list[str]]:
    """Yield the lines of each indented block, without the indent; each `$` begins another."""
    for found in BLOCK.finditer(text):
        for part in re.split(r"^(?=\$ )", dedent(found[0]).strip("\n"), flags=re.MULTILINE):
            if part:
                yield [line.rstrip() for line in part.rstrip("\n").split("\n")]


def commands(text: str) -> list[str]:
    """Return each command that the page shows behind a `$`, in its order."""
    return [line[2:] for block in blocks(text) for line in block if line.startswith("$ ")]


def masked(line: str) -> re.Pattern[str]:
    """Return a pattern for the line, in which the MASKS stand for what differs."""
    parts, at = [], 0
    which = "|".join(f"({shown})" for shown, _ in MASKS)
    for found in re.finditer(which, line):
        assert found.lastindex is not None
        parts += [re.escape(line[at : found.start()]), MASKS[found.lastindex - 1][1]]
        at = found.end()
    return re.compile("".join([*parts, re.escape(line[at:])]))


class Shown:
    """One terminal: a program, and the lines of its blocks that are yet to come."""

    def __init__(self, program: Program, lines: list[str], typed: Collection[str]) -> None:
        self.program = program
        self._lines = lines
        self._typed = typed
        self._read = 0

    def go_on(self, lines: list[str], *typed: str, requests: bool = False) -> Shown:
        """Continue with another block; `typed` and `requests` as in `Page.open`."""
        assert not self._lines, self._lines
        self._lines, self._typed = _as_requests(lines) if requests else (lines, typed)
        return self

    def until(self, stop: str) -> Shown:
        """Type and compare all lines before the one that begins with `stop`."""
        while not self._lines[0].startswith(stop):
            self._step(self._lines.pop(0))
        return self

    def rest(self) -> Shown:
        """Type and compare all lines."""
        while self._lines:
            self._step(self._lines.pop(0))
        return self

    def key(self) -> str:
        """Return the key in the line of a server for its clients."""
        return next(found[0] for line in self.program.lines if (found := KEY.search(line)))

    def find(self, lines: list[str]) -> None:
        """Wait for these lines, in this order, among others."""
        for line in lines:
            self.program.expect(masked(line))

    def _step(self, line: str) -> None:
        if line == "^C":
            self.program.signal(signal.SIGINT)
        elif line in self._typed or line.startswith("/"):
            self.program.send_line(line)
        elif line:
            self._compare(line)

    def _compare(self, line: str) -> None:
        def printed() -> list[str]:
            return [one.rstrip() for one in self.program.lines if one.strip()]

        self.program.wait_for(lambda: len(printed()) > self._read, f"the line {line!r}")
        there = printed()[self._read]
        self._read += 1
        assert masked(line).fullmatch(there), (
            f"the page shows {line!r}, printed was {there!r}\n{self.program.transcript()}"
        )


class Page:
    """A page whose blocks are taken one after the other.

    Args: numbers: the ports on it, with those that stand for them. hosts: likewise its addresses.
    """

    def __init__(
        self,
        stage: Stage,
        name: str,
        numbers: Mapping[str, int],
        hosts: Mapping[str, str] | None = None,
    ) -> None:
        text = (DOCS / name).read_text(encoding="utf-8")
        shown = commands(text)
        for number, port in numbers.items():
            text = re.sub(rf"\b{number}\b", str(port), text)
        for host, ours in (hosts or {}).items():
            text = re.sub(rf"\b{re.escape(host)}\b", ours, text)
        self.left = dict(zip(commands(text), shown, strict=True))
        """The commands that were not run, as they were changed and as the page has them."""
        self.key = ""
        """The server's key, which stands in commands for that on the page."""
        self.folder = stage.place(name)
        self._stage = stage
        self.server = numbers["5555"]
        self._blocks = blocks(text)

    def block(self, begin: str) -> list[str]:
        """Return the next block of the page whose first line begins so."""
        return next(block for block in self._blocks if block[0].startswith(begin))

    def run(
        self, begin: str, *typed: str, requests: bool = False, before: Sequence[str] = ()
    ) -> Shown:
        """Run the command of the next block that begins with `$ ` and `begin`."""
        return self.open(self.block(f"$ {begin}"), *typed, requests=requests, before=before)

    def open(
        self, lines: list[str], *typed: str, requests: bool = False, before: Sequence[str] = ()
    ) -> Shown:
        """Run the command of a block, its first line.

        Args: typed: its lines that are typed, besides those that begin with `/`. requests: every
        other paragraph is typed, with the empty line that ends it. before: a command that runs the
        rest of its line, such as one that enters another network.
        """
        command = lines[0].removeprefix("$ ")
        self.left.pop(command, None)
        command = re.sub(r"sha256:\w+|KEY", self.key, command.replace("10.77.0.1", "127.0.0.1"))
        shown = Shown(self._start(command, before), [], ())
        return shown.go_on(lines[1:], *typed, requests=requests)

    def _start(self, command: str, before: Sequence[str]) -> Program:
        program, *words = shlex.split(command)
        if program == "chatclient" and "--server" not in words:
            words += ["--server", f"127.0.0.1:{self.server}"]  # where the page has the default
        scripts = Path(sys.executable).parent
        known = FOUND.get(program) or [str(scripts / program)]
        data = self.folder / "data"
        ours = [
            "env",
            f"CHATPROTO_PASSWORD={PASSWORD}",
            f"XDG_DATA_HOME={data}",
            f"HOME={self.folder}",
            f"PATH={scripts}:{os.defpath}",
        ]
        started = Program([*before, *ours, *known, *words], self.folder, [self.folder])
        self._stage.programs.append(started)
        if words[0] == "-l":
            started.wait_for(lambda: bool(started.errors.lines), "that it listens")
        return started


def _as_requests(lines: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Join each request to one line to type; return all lines and which of them are typed."""
    paragraphs = "\n".join(lines).split("\n\n")
    shown: list[str] = []
    typed = []
    for place, paragraph in enumerate(paragraphs):
        if place % 2 == 0 and paragraph != "^C":
            typed.append(f"{paragraph}\n")
            shown.append(typed[-1])
        else:
            shown += paragraph.split("\n")
    return shown, tuple(typed)

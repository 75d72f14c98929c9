"""The line that says how far a file is."""

from __future__ import annotations

from typing import Any
from unicodedata import combining, east_asian_width

import pyte
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.printable import printable
from chatproto.ui.progress import ProgressLines, progress_line


def moving(**fields: Any) -> dict[str, Any]:
    told = {"name": "film.mkv", "state": "moving", "offset": 1, "size": 2, "progress": True}
    return told | fields


class ProgressTests(SynchronousTestCase):
    def test_says_name_percent_rate_and_time_left(self) -> None:
        line = progress_line(moving(rate=12_345_678, left=65.2), 40)
        self.assertEqual(line.rstrip(), "film.mkv 50% 12.3 MB/s 1:05")
        line = progress_line(moving(rate=10, left=3725.0), 40)
        self.assertEqual(line.rstrip(), "film.mkv 50% 10 B/s 1:02:05")
        self.assertEqual(progress_line(moving(state="done", offset=2), 40).split()[1], "100%")

    def test_is_below_100_percent_before_the_end(self) -> None:
        self.assertIn(" 99%", progress_line(moving(offset=2), 40))

    def screen(self, lines: ProgressLines, *events: dict[str, Any]) -> list[str]:
        """Return the terminal's content after the lines for `events`."""
        for event in events:
            self.feed(lines.told(event, 39, 5))
        return [row.rstrip() for row in self.terminal.display if row.strip()]

    def feed(self, text: str) -> None:
        pyte.Stream(self.terminal).feed(text.replace("\n", "\r\n"))

    def test_each_file_has_a_line_until_its_end(self) -> None:
        self.terminal = pyte.Screen(40, 12)
        self.feed("$ chatclient receive\n")
        lines = ProgressLines(simple=False)
        one, two, three = (moving(id=n, name=f"f{n}", rate=2000) for n in (1, 2, 3))
        told = self.screen(lines, one, two, three | {"state": "offered", "progress": False})
        self.assertEqual(told[1:], ["f1 50% 2.0 KB/s", "f2 50% 2.0 KB/s", "f3 50% offered"])
        told = self.screen(lines, two | {"state": "done", "progress": False})
        self.assertEqual(told[1:], ["f2 100% done"])
        self.feed("/downloads/f2\n")
        told = self.screen(lines, three, one | {"rate": 3})
        self.assertEqual(
            told,
            [
                "$ chatclient receive", "f2 100% done", "/downloads/f2", "f1 50% 3 B/s",
                "f3 50% 2.0 KB/s",
            ],
        )  # fmt: skip
        self.feed(f"{lines.left()}interrupted\n")
        self.assertEqual(self.screen(lines)[-2:], ["f3 50% 2.0 KB/s", "interrupted"])
        self.assertEqual(lines.left(), "")

    def test_lines_are_limited_and_moving_files_come_first(self) -> None:
        self.terminal = pyte.Screen(40, 6)
        lines = ProgressLines(simple=False)
        waiting = [moving(id=n, name=f"f{n}", state="offered", progress=False) for n in range(9)]
        told = self.screen(lines, *waiting, *waiting, moving(id=7, name="f7"))
        self.assertEqual(len(told), 5)
        self.assertEqual(told[:2], ["f7 50% 0 B/s", "f0 50% offered"])

    def test_a_simple_terminal_has_one_line_for_all(self) -> None:
        lines = ProgressLines(simple=True)
        line = progress_line(moving(id=1), 39)
        self.assertEqual(lines.told(moving(id=1), 39, 5), f"\r{line}")
        self.assertEqual(lines.left(), "\n")
        over = moving(id=1, state="done")
        self.assertEqual(lines.told(over, 39, 5), f"\r{progress_line(over, 39)}\n")
        self.assertEqual(lines.left(), "")

    @given(
        st.text(max_size=60), st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2**60),
        st.none() | st.floats(0, 1e12), st.integers(40, 79), st.booleans(),
        st.sampled_from(["moving", "verifying", "cancelled", "stalled"]),
    )  # fmt: skip
    def test_fills_its_columns_exactly(
        self, name: str, offset: int, size: int, rate: int, left: float | None, columns: int,
        progress: bool, state: str,
    ) -> None:  # fmt: skip
        told = moving(name=name, offset=offset, size=max(offset, size), rate=rate, left=left)
        line = progress_line(told | {"progress": progress, "state": state}, columns)
        wide = sum(
            0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in line
        )
        self.assertEqual(wide, columns)
        self.assertEqual((printable(line), line.splitlines()), (line, [line]))

"""The line that says how far a file is."""

from __future__ import annotations

from typing import Any
from unicodedata import combining, east_asian_width

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.printable import printable
from chatproto.ui.progress import progress_line


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

    def test_is_not_whole_before_it_is_done(self) -> None:
        self.assertIn(" 99%", progress_line(moving(offset=2), 40))

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

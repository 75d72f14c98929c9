"""Files that move have a bar each, and are summed up in the status line."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import FileChanged
from chatproto.ui.screen.cells import width
from chatproto.ui.screen.file_bars import MOST, FileBars, files_part
from chatproto.ui.screen.glyphs import UNICODE


def moving(number: int = 1, **changes: Any) -> FileChanged:
    known: dict[str, Any] = {"state": "moving", "offset": 63, "size": 100, "to": "bob"}
    return FileChanged(id=number, **{"name": "film.mkv", **known, **changes})


class FileBarTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bars = FileBars()

    def rows(self, columns: int = 80) -> list[str]:
        return ["".join(text for _, text in line) for line in self.bars.lines(columns, UNICODE)]

    def test_moving_file_has_a_bar_until_it_ends(self) -> None:
        self.bars.changed(moving(state="offered", offset=0))
        self.assertEqual(self.rows(), [])
        self.bars.changed(moving(rate=4_100_000, left=12.0))
        [row] = self.rows()
        self.assertRegex(row, r"^film\.mkv to bob +███████░░░░░  63% 4\.1 MB/s 0:12$")
        self.bars.changed(moving(state="done", offset=100))
        self.assertEqual((self.rows(), self.bars.all()), ([], []))

    def test_status_line_sums_up(self) -> None:
        self.bars.changed(moving(1, rate=4_000_000, left=12.0))
        self.bars.changed(moving(2, rate=100_000, left=3.0))
        self.bars.changed(moving(3, state="queued"))
        self.assertEqual(files_part(self.bars.all()), (("", "files 2: 63% 4.1 MB/s 0:12"),))
        self.assertEqual(files_part([]), ())

    def test_bars_are_bounded(self) -> None:
        for number in range(MOST + 3):
            self.bars.changed(moving(number))
        self.assertEqual(len(self.rows()), MOST)

    @given(st.text(max_size=80), st.text(max_size=30), st.integers(40, 130))
    def test_bar_fits_and_shows_hostile_names_legibly(
        self, called: str, who: str, columns: int
    ) -> None:
        self.bars.changed(moving(name=called, to=who, rate=999_999_999_999, left=86399.0))
        [row] = self.rows(columns)
        self.assertLessEqual(width(row), columns)
        self.assertNotIn("\x1b", row)
        self.assertNotIn("\u202e", row)

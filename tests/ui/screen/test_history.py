"""Typed lines are there at the next start, for their owner only."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.screen.history import KEPT, LONGEST, TypedHistory


class HistoryTests(SynchronousTestCase):
    """The file of typed lines."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_lines_are_kept_in_order_in_a_private_file(self) -> None:
        history = TypedHistory(self.path)
        self.assertEqual(history.read(), [])
        for line in ("/chat bob", "two\nlines \u202e", " "):
            history.add(line)
        self.assertEqual(TypedHistory(self.path).read(), ["/chat bob", "two\nlines \u202e"])
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_history_is_bounded(self) -> None:
        history = TypedHistory(self.path)
        for number in range(2 * KEPT + 1):
            history.add(str(number))
        history.add("x" * (LONGEST + 1))
        found = TypedHistory(self.path).read()
        self.assertEqual((len(found), found[-1]), (KEPT, str(2 * KEPT)))
        self.assertEqual(len(self.path.read_text().splitlines()), KEPT)

    def test_a_pasted_book_is_not_written(self) -> None:
        history = TypedHistory(self.path)
        history.add("x" * (LONGEST + 1))
        self.assertFalse(self.path.exists())
        history.add("x" * LONGEST)
        self.assertEqual(history.read(), ["x" * LONGEST])

    def test_damaged_lines_are_skipped(self) -> None:
        self.path.write_bytes(b'"one"\n{"a": 1}\nnonsense\n\xff\xfe\n"two"\n')
        self.assertEqual(TypedHistory(self.path).read(), ["one", "two"])

    def test_nothing_is_written_without_a_file(self) -> None:
        history = TypedHistory(None)
        history.add("secret")
        self.assertEqual(history.read(), [])

    def test_file_that_cannot_be_written_is_no_error(self) -> None:
        self.path.write_text("no folder")
        history = TypedHistory(self.path / "history")
        history.add("one")
        self.assertEqual(history.read(), [])

"""The package keeps to the rules of its layout: no circles, no twins, no private names, plain words.

`python -m tests.house` prints these measures and the others, `python -m tests.house all` each finding.
"""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from chatproto.net import fast_tls
from tests import house
from tests.journeys import JOURNEYS, measures, message, register, typed_line


class HouseTests(SynchronousTestCase):
    """Measures of the package that are kept at 0, or below a limit."""

    def setUp(self) -> None:
        self.files = house.sources()

    def test_no_files_of_a_folder_import_each_other_in_a_circle(self) -> None:
        self.assertEqual(house.import_circles(self.files), [])

    def test_no_class_name_stands_in_two_files(self) -> None:
        self.assertEqual(house.classes_named_twice(self.files), [])

    def test_private_names_of_other_objects_are_used_in_two_files_only(self) -> None:
        self.assertEqual(house.foreign_private_names(self.files), [])

    def test_no_docstring_begins_with_a_pronoun(self) -> None:
        self.assertEqual(house.pronoun_docstrings(self.files), [])

    def test_a_line_and_a_message_pass_at_most_ten_files(self) -> None:
        if fast_tls.WHY_PLAIN:
            raise SkipTest("with the library's own TLS a line is written in a later turn")
        line = typed_line()
        self.assertLessEqual(len(line.files), 10, line.files)
        self.assertLessEqual(line.folder_changes, 4, line.visits)
        received = message()
        self.assertLessEqual(len(received.files), 10, received.files)

    def test_a_registration_is_answered_in_few_calls(self) -> None:
        found = register()
        self.assertLessEqual(len(found.visits), 21, found.visits)
        self.assertLessEqual(len(found.files), 6, found.files)
        self.assertLessEqual(found.folder_changes, 8, found.visits)

    def test_prints_all_measures(self) -> None:
        """Seen with `pytest -s`."""
        print()
        for name, count in house.table(self.files):
            print(f"{name:45} {count:>7,}")
        lines = list(measures())
        print(*lines, sep="\n")
        self.assertEqual(len(lines), len(JOURNEYS) + 1)

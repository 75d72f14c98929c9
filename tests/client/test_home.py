"""Tests of the folder that is one person's."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.home import Home, HomeTrouble


class HomeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "chatproto" / "alice"

    def test_home_is_created_private(self) -> None:
        home = Home(self.path)
        home.open()
        self.addCleanup(home.close)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o700)

    def test_a_second_program_is_refused_until_the_first_has_ended(self) -> None:
        first, second = Home(self.path), Home(self.path)
        first.open()
        error = self.assertRaises(HomeTrouble, second.open)
        self.assertIn("another chatclient", str(error))
        first.close()
        second.open()
        second.close()

    def test_invalid_home_is_one_sentence(self) -> None:
        self.path.parent.mkdir(parents=True)
        self.path.write_text("a file")
        error = self.assertRaises(HomeTrouble, Home(self.path).open)
        self.assertIn(str(self.path), str(error))

"""The six journeys of docs/architecture.md pass the files that the page names, in that order."""

from __future__ import annotations

import re

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from chatproto.net import fast_tls
from tests.journeys import BEGIN, END, PACKAGE, PAGE, section


class JourneyTests(SynchronousTestCase):
    """docs/architecture.md."""

    def test_page_shows_the_traced_journeys(self) -> None:
        if fast_tls.WHY_PLAIN:
            raise SkipTest("the page shows the way of the faster TLS")
        _, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        shown, end, _ = rest.partition(END)
        self.assertTrue(end, f"the page lacks {BEGIN.strip()} or {END}")
        self.assertEqual(shown, section(), "run python -m tests.journeys --write")

    def test_files_named_on_the_page_exist(self) -> None:
        text = PAGE.read_text(encoding="utf-8")
        named = set(re.findall(r"`((?:\w+/)+\w+\.py)`", text))
        package, root = PAGE.parent.parent / PACKAGE, PAGE.parent.parent
        gone = [one for one in named if not ((package / one).exists() or (root / one).exists())]
        self.assertGreater(len(named), 100)
        self.assertEqual(gone, [])

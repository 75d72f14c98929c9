"""Test the safety number as a QR code."""

from __future__ import annotations

import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import CommandOutput
from chatproto.ui.qr import MISSING, TOO_SMALL, qr_lines

NUMBER = " ".join(f"{group:05d}" for group in range(12))


def verify(verified: bool = False) -> CommandOutput:
    return CommandOutput("verify", (), {"id": "bob", "number": NUMBER, "verified": verified})


class QrTests(SynchronousTestCase):
    def test_the_code_has_the_digits_and_a_border(self) -> None:
        import segno

        shown = qr_lines(verify(), 80, 17)
        self.assertLessEqual(len(shown), 17)
        self.assertEqual({len(line) for line in shown}, {len(shown[0])})
        self.assertLessEqual(len(shown[0]), 38)
        halves = {" ": (1, 1), "▄": (1, 0), "▀": (0, 1), "█": (0, 0)}
        rows: list[list[int]] = []
        for line in shown:
            rows += [[halves[one][0] for one in line], [halves[one][1] for one in line]]
        wanted = segno.make_qr(NUMBER.replace(" ", ""), error="l")
        drawn = [list(row) for row in wanted.matrix_iter(1, 2)]
        self.assertEqual(rows[: len(drawn)], drawn)

    def test_no_code_without_room(self) -> None:
        self.assertEqual(qr_lines(verify(), 28, 24), [TOO_SMALL])
        self.assertEqual(qr_lines(verify(), 80, 12), [TOO_SMALL])
        self.assertEqual(qr_lines(verify(verified=True), 80, 24), [])
        self.assertEqual(qr_lines(CommandOutput("id", ("alice",)), 80, 24), [])

    def test_without_segno_a_line_says_so(self) -> None:
        modules: dict[str, Any] = sys.modules
        before = modules.pop("segno", None)
        modules["segno"] = None
        try:
            self.assertEqual(qr_lines(verify(), 80, 24), [MISSING])
        finally:
            del modules["segno"]
            if before is not None:
                modules["segno"] = before

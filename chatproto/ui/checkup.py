"""Format the findings of `chatclient doctor`: result, check and next step."""

from __future__ import annotations

import textwrap

from chatproto.client.diagnostics import Finding
from chatproto.ui.legible import split

STATE_WIDTH = 6
NARROWEST = 20


def finding_lines(finding: Finding, columns: int = 0) -> list[str]:
    """Return `finding` in lines of at most `columns`, if that is not 0; the next step follows an arrow."""
    lines = _wrapped(f"{finding.state:{STATE_WIDTH}}", f"{finding.check}: {finding.text}", columns)
    if finding.advice:
        lines += _wrapped(f"{'':{STATE_WIDTH}}-> ", finding.advice, columns)
    return lines


def _wrapped(head: str, text: str, columns: int) -> list[str]:
    safe = " ".join(split(text))
    if not columns:
        return [head + safe]
    return textwrap.wrap(
        safe,
        max(columns, NARROWEST),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=True,
        break_on_hyphens=False,
    )

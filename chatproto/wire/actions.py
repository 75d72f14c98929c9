"""Mark a text as an action (/me): `Kind: action` on the wire, one mark before the text everywhere else.

Logs, outboxes and the histories of rooms keep texts only, in files that older programs read as well. The
mark is the beginning of IRC's CTCP ACTION, which nobody types.
"""

from __future__ import annotations

ACTION = "action"
"""Value of the header `Kind`; a text of any other kind is a usual one."""
MARK = "\x01ACTION "


def marked(text: str, kind: str) -> str:
    """Return `text` with the mark of its kind."""
    return MARK + text if kind == ACTION else text


def split_mark(text: str) -> tuple[str, str]:
    """Return a text without its mark, and its kind: `action`, or empty for a usual text."""
    if text.startswith(MARK):
        return text.removeprefix(MARK), ACTION
    return text, ""


def spoken(text: str) -> str:
    """Return `text` for readers who know no kinds: an action becomes `* waves`."""
    said, kind = split_mark(text)
    return f"* {said}" if kind else said

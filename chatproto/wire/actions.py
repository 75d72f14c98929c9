"""Mark a text as an action (/me): `Kind: action` on the wire, a prefix of the text everywhere else.

Logs, outboxes and room histories store texts only, in files that older programs read as well. The
prefix is the beginning of IRC's CTCP ACTION, which no user types.
"""

from __future__ import annotations

ACTION = "action"
"""Value of the header `Kind` for an action; a text of any other kind is an ordinary message."""
MARK = "\x01ACTION "


def marked(text: str, kind: str) -> str:
    """Return `text` with the prefix of its `kind`."""
    return MARK + text if kind == ACTION else text


def split_mark(text: str) -> tuple[str, str]:
    """Return a text without its prefix, and its kind: `action`, or empty for an ordinary message."""
    if text.startswith(MARK):
        return text.removeprefix(MARK), ACTION
    return text, ""


def spoken(text: str) -> str:
    """Return `text` for readers that do not know kinds: an action becomes `* waves`."""
    said, kind = split_mark(text)
    return f"* {said}" if kind else said

"""Complete commands and their arguments when Tab is pressed."""

from __future__ import annotations

from collections.abc import Sequence

from chatproto.ui.commands import ROWS


def completions(text: str, ids: Sequence[str] = ()) -> list[str]:
    """List the lines that `text` can be completed to, best first; `ids`: known peers.

    A command is completed by its name, an argument by the words and ids that its row allows.
    """
    if not text.startswith("/") or text.startswith("//"):
        return []
    name, blank, rest = text[1:].partition(" ")
    if not blank:
        return [
            f"/{known} " if _takes(known) else f"/{known}"
            for known in ROWS
            if known.startswith(name.lower())
        ]
    row = ROWS.get(name.lower())
    if row is None:
        return []
    begun, _, last = rest.rpartition(" ")
    if row.name == "msg" and begun.strip():
        return []  # a text is nobody's to guess
    words = list(ROWS) if row.name == "help" else list(row.words)
    if row.ids is not None:
        words += [row.ids + known for known in ids]
    before = text[: len(text) - len(last)]
    return [before + word for word in words if word.startswith(last) and word != last]


def _takes(name: str) -> bool:
    """Return True if the command takes arguments."""
    return " " in ROWS[name].usage

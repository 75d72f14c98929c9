"""Ring the bell of the terminal, with a notification if the terminal supports it."""

from __future__ import annotations


def bell(text: str, environ_term: str) -> str:
    """Return BEL, and OSC 9 with `text` unless the terminal would print it."""
    if environ_term.startswith(("linux", "vt", "dumb")):
        return "\a"
    return f"\a\x1b]9;{text}\x1b\\"

"""Make text from peers safe to show: remove control codes and invisible characters."""

from __future__ import annotations

import re

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
_PICTURES |= {0x7F: "\u2421", 0x2028: "\u2424", 0x2029: "\u2424"}

_BIDIRECTIONAL = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Marks, embeddings, overrides and isolates, which change the order of the text after them."""

_INVISIBLE = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters that Unicode calls default ignorable: they have no width and could hide text."""

_TAB_STOP = 8
"""Columns between two tab stops, counted from the beginning of a line of text."""

_CONTROLS = "\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb\ud800-\udfff"

_BASE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf"
    "\u2934\u2935\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_PERSON = f"{_BASE}[\U0001f3fb-\U0001f3ff]?[\ufe0e\ufe0f]?"
_EMOJI = (
    "\U0001f3f4[\U000e0020-\U000e007e]{2,8}\U000e007f"  # a flag spelled in tags
    f"|{_PERSON}(?:\u200d{_PERSON})*"
    "|[0-9#*]\ufe0f\u20e3"  # a keycap
)

_INVISIBLES = re.compile(f"({_EMOJI})|[{_INVISIBLE}]+")
_VISIBLE = re.compile(f"[{_CONTROLS}{_BIDIRECTIONAL}]")
_REPLACED = {
    code: _PICTURES.get(code, "\ufffd")
    for code in (
        *range(0xA0),
        *range(0x2000, 0x2070),
        0x61C,
        *range(0xFFF9, 0xFFFC),
        *range(0xD800, 0xE000),
    )
    if _VISIBLE.match(chr(code))
}
"""Replacement for each control character and direction mark."""
_REPLACED_IN_LINE = {code: shown for code, shown in _REPLACED.items() if code != 0x0A}


def _without_invisible(found: re.Match[str]) -> str:
    return found[1] or ""


def printable(text: str, lines: bool = False) -> str:
    """Return `text` without characters that control a terminal or are invisible.

    Tabs become spaces up to the next tab stop. Other C0 controls and DEL become their pictures (from
    U+2400), line and paragraph separators U+2424. C1 and bidirectional controls and lone surrogates
    become U+FFFD. Characters without a width are removed, unless they belong to an emoji. `lines`
    preserves "\\n". A second application changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    if _VISIBLE.search(text):
        text = text.translate(_REPLACED_IN_LINE if lines else _REPLACED)
    if not text.isascii():
        text = _INVISIBLES.sub(_without_invisible, text)
    return text.expandtabs(_TAB_STOP) if "\t" in text else text

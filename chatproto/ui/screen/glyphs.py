"""Signs that the full interface draws with, and ASCII ones for terminals without UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Mapping

from chatproto.wire.values import value_class


@value_class
class Glyphs:
    """Drawing signs, each one column wide except the lock."""

    lock: str = "🔒"
    tick: str = "✓"
    rule: str = "─"
    bar: str = "│"
    more: str = "…"
    inside: str = "┊"
    dot: str = "·"
    full: str = "█"
    empty: str = "░"


UNICODE = Glyphs()
ASCII = Glyphs("", "ok", "-", "|", "~", ":", "-", "#", ".")


def charset_of(environ: Mapping[str, str]) -> str:
    """Return the character set of the locale; empty for C and POSIX, which have none.

    Python itself sets LC_CTYPE to C.UTF-8 if the locale is C (PEP 538), so LANG=C counts then.
    """
    coerced = environ.get("LC_CTYPE") == "C.UTF-8" and not environ.get("LC_ALL")
    ctype = "" if coerced else environ.get("LC_CTYPE", "")
    name = environ.get("LC_ALL") or ctype or environ.get("LANG", "")
    if name in ("C", "POSIX"):
        return ""
    _, dot, charset = name.partition(".")
    return charset.partition("@")[0].lower() if dot else "utf-8"


def glyphs_for(environ: Mapping[str, str]) -> Glyphs:
    """Choose by the locale: C, POSIX and those with another character set get ASCII."""
    return UNICODE if charset_of(environ).replace("-", "") == "utf8" else ASCII


def encoding_for(environ: Mapping[str, str]) -> str:
    """Return the encoding of output to the terminal.

    In C and POSIX it is ASCII, and other characters become question marks: a terminal with another
    character set would take single bytes of UTF-8 for control characters.
    """
    charset = charset_of(environ) or "ascii"
    try:  # some locales write iso885915
        return codecs.lookup(charset.replace("iso8859", "iso8859-").replace("--", "-")).name
    except LookupError:
        return "ascii"

"""Signs that the full interface draws with, and plain ones where the terminal has no UTF-8."""

from __future__ import annotations

from collections.abc import Mapping

from chatproto.wire.values import value_class


@value_class
class Glyphs:
    """Drawing signs, each one column wide but for the lock."""

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


def glyphs_for(environ: Mapping[str, str]) -> Glyphs:
    """Choose by the locale: C, POSIX and those that name another character set get ASCII.

    Python itself sets LC_CTYPE to C.UTF-8 where the locale is C (PEP 538), so LANG=C counts then.
    """
    coerced = environ.get("LC_CTYPE") == "C.UTF-8" and not environ.get("LC_ALL")
    ctype = "" if coerced else environ.get("LC_CTYPE", "")
    name = environ.get("LC_ALL") or ctype or environ.get("LANG", "")
    if name in ("C", "POSIX"):
        return ASCII
    _, dot, charset = name.partition(".")
    folded = charset.partition("@")[0].lower().replace("-", "")
    return ASCII if dot and folded != "utf8" else UNICODE

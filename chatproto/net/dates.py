"""Show moments to people: short, in their own time zone.

Programs and logs get RFC 3339 in UTC instead (`wire.room_fields.date_of`).
"""

from __future__ import annotations

from datetime import datetime, tzinfo


def short_time(at: float, now: float, zone: tzinfo | None = None) -> str:
    """Return the moment `at` as `17:08`, or, on another day than `now`, as `2026-11-28 17:08`.

    Args: `at`, `now`: seconds since 1970. `zone`: the reader's time zone; None is this machine's.
    A moment that no calendar has, which only a peer's wrong clock tells, is `????-??-?? ??:??`.
    """
    try:
        moment, today = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    except (OverflowError, ValueError, OSError):
        return "????-??-?? ??:??"
    same_day = moment.date() == today.date()
    return f"{moment:%H:%M}" if same_day else moment.isoformat(" ", "minutes")[:16]

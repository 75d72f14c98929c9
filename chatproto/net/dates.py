"""Format dates: RFC 3339 in UTC for programs and logs, short and in the local time zone for users."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import lru_cache

from chatproto.net.clock import Wall
from chatproto.wire.bcp2_common import write_moment


@lru_cache(maxsize=64)
def date_of(at: Wall) -> str:
    """Return `at` as a date such as `2026-11-29T17:08:34.159Z`.

    The date of a room message is formatted once for SAID and SAYACK.
    """
    return write_moment(float(at))


def moment_of(date: str) -> Wall:
    """Return the moment of `date`; the clock of its author may be wrong."""
    return Wall(datetime.fromisoformat(date).timestamp())


HOURS_AND_MINUTES = "%H:%M"


def short_time(
    at: Wall, now: Wall, zone: tzinfo | None = None, form: str = HOURS_AND_MINUTES
) -> str:
    """Return the moment `at` as `17:08`, or, on another day than `now`, as `2026-11-28 17:08`.

    Args: zone: the reader's time zone; None is this machine's. form: format of the time of day, as for
    `strftime`. A moment outside the calendar, from a peer with a wrong clock, is `????-??-?? ??:??`.
    """
    try:
        moment, today = (
            datetime.fromtimestamp(float(at), zone),
            datetime.fromtimestamp(float(now), zone),
        )
    except (OverflowError, ValueError, OSError):
        return "????-??-?? ??:??"
    same_day = moment.date() == today.date()
    time = moment.strftime(form)
    return time if same_day else f"{moment.date().isoformat()} {time}"

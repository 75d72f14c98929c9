"""Shorten addresses in log lines, so that they name a network instead of a client."""

from __future__ import annotations

import re

from twisted.logger import ILogObserver, LogEvent, eventAsText
from zope.interface import provider

_IPV4 = re.compile(r"(?<![\w.])(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])(?=[0-9A-Fa-f]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]+(?:\.[0-9.]+)?")


def blurred(line: str) -> str:
    """Return `line` with the last part of each IPv4 address, and all but two of an IPv6 one, as `x`."""
    line = _IPV6.sub(_short, line) if line.count(":") > 1 else line
    return _IPV4.sub(r"\1.x", line)


@provider(ILogObserver)
def blur_event(event: LogEvent) -> None:
    """Blur the fields and the text of a log event before other observers receive it.

    Registered as the first observer, it applies to all log files and formats. A failure becomes the text
    of its traceback.
    """
    if "log_failure" in event or "log_legacy" in event or "message" in event:
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        for key in ("log_failure", "log_legacy", "failure", "why", "isError", "message", "format"):
            event.pop(key, None)
        event["log_format"], event["log_text"] = "{log_text}", text
    for key, value in event.items():
        if not isinstance(value, int | float | None) and key not in _OWN:
            event[key] = blurred(value if isinstance(value, str) else str(value))


_OWN = ("log_logger", "log_source", "log_namespace", "log_level", "log_format", "log_trace")
"""Fields that name the origin of an event, and the format of its text; they contain no addresses."""


def _short(found: re.Match[str]) -> str:
    groups = found[0].split(":")
    return ":".join([*groups[:2], "x"])

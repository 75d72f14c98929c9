"""Addresses in lines that are kept, shortened so that they name a network and not a person."""

from __future__ import annotations

import re

_IPV4 = re.compile(r"(?<![\w.])(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])(?=[0-9A-Fa-f]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]+(?:\.[0-9.]+)?")


def blurred(line: str) -> str:
    """`line` with the last part of each IPv4 address and all but two of an IPv6 one as `x`."""
    line = _IPV6.sub(_short, line) if line.count(":") > 1 else line
    return _IPV4.sub(r"\1.x", line)


def _short(found: re.Match[str]) -> str:
    groups = found[0].split(":")
    return ":".join([*groups[:2], "x"])

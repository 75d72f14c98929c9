"""Choose the protocol of a connection by its first bytes."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from functools import cache
from typing import Any

from twisted.internet.interfaces import IProtocol

from chatproto.wire.plain_blocks import Kind, start_line
from chatproto.wire.strict import TLS_CLIENT_HELLO


class FirstBytes(Enum):
    """Kinds of first bytes of a connection."""

    TLS = auto()
    """A TLS handshake (RFC 8446, section 5.1)."""
    BLOCK = auto()
    """The complete start line of an expected block, such as PUNCH or RELAY."""
    UNDECIDED = auto()
    """The beginning of such a start line; more bytes decide."""
    TEXT = auto()
    """Anything else: the classic dialect, or raw text."""


def sniff(data: bytes, kinds: tuple[type[Kind], ...]) -> FirstBytes:
    """Classify a connection by all bytes received so far, at least one.

    Args: kinds: blocks that the connection may begin with; empty for none.
    """
    if data[0] == TLS_CLIENT_HELLO:
        return FirstBytes.TLS
    starts, longest = _start_lines(kinds)
    if data.startswith(starts):
        return FirstBytes.BLOCK
    if len(data) < longest and any(start.startswith(data) for start in starts):
        return FirstBytes.UNDECIDED
    return FirstBytes.TEXT


@cache
def _start_lines(kinds: tuple[type[Kind], ...]) -> tuple[tuple[bytes, ...], int]:
    """Return the start lines of `kinds`, of which a program has two or three, and the length of the
    longest.
    """
    starts = tuple(start_line(kind) for kind in kinds)
    return starts, max(map(len, starts), default=0)


def hand_over(
    transport: Any, protocol: IProtocol, data: bytes, begin: Callable[[], None] | None = None
) -> None:
    """Hand `transport` over to `protocol`, which then reads `data`, the bytes received so far.

    `begin`: called once `protocol` has the transport. If it begins TLS there or in its
    `connectionMade`, `data` belongs to the handshake.
    """
    transport.protocol = protocol
    protocol.makeConnection(transport)
    if begin is not None:
        begin()
    if data:
        transport.protocol.dataReceived(data)

"""Read and write the plain-text block that may precede TLS or a relayed connection.

PUNCH assigns a connection to a rendezvous, before TLS; RELAY requests one end of a relay pipe. They are
read strictly, like all of BCP/2 (CRLF, known messages only), and written by
`chatproto.wire.strict.encode`.
"""

from __future__ import annotations

from typing import TypeVar

from chatproto.wire.bcp2_common import CALL, TICKET, Bcp2Message
from chatproto.wire.blocks import Policy, read_headers, read_start, read_values
from chatproto.wire.classic import Header, read_status, write_status
from chatproto.wire.errors import RemoteError
from chatproto.wire.values import value_class

MOST = 256
"""Largest size of such a block in bytes; the longest that we write has 85."""


@value_class
class Punch(Bcp2Message):
    """Name the rendezvous that a new connection belongs to, before its TLS.

        PUNCH
        Call: k3

    Sent by the peer that dialled, after an introduction with the same `Call`.
    """

    method = "PUNCH"
    headers = (CALL._replace(needed=True),)
    call: str


@value_class
class Relay(Bcp2Message):
    """Ask a server to relay this connection to the other holder of `Ticket`.

        RELAY
        Ticket: t5

    Sent on a connection of its own. Answered by RELAYACK, or ERROR.
    """

    method = "RELAY"
    headers = (TICKET._replace(needed=True),)
    ticket: str


@value_class
class RelayAck(Bcp2Message):
    """Report that the other holder of the ticket is connected: the connection now carries its bytes.

        RELAYACK

    Sent by servers. Answers RELAY.
    """

    method = "RELAYACK"


@value_class
class RelayError(Bcp2Message):
    """Refuse to relay; the connection ends.

        ERROR
        Status: 404 no such client

    Sent by servers. Answers RELAY.
    """

    method = "ERROR"
    headers = (Header("Status", "status", read_status, write_status),)
    status: int


TO_PEER: tuple[type[Punch], ...] = (Punch,)
"""First messages that a peer may send."""
TO_SERVER: tuple[type[Relay], ...] = (Relay,)
"""First messages that a client may send to a server."""
FROM_RELAY: tuple[type[RelayAck] | type[RelayError], ...] = (RelayAck, RelayError)
"""Answers of a server to RELAY."""

Kind = TypeVar("Kind", bound=Bcp2Message)


def may_begin(data: bytes, kinds: tuple[type[Kind], ...]) -> bool:
    """Return True if `data` may be the beginning of one of `kinds`."""
    for kind in kinds:
        start = start_line(kind)
        if data.startswith(start) or start.startswith(data):
            return True
    return False


def start_line(kind: type[Bcp2Message]) -> bytes:
    """Return the start line of every block of `kind`, with its line end."""
    return kind.method.encode() + b"\r\n"


def read_first(data: bytes, kinds: tuple[type[Kind], ...]) -> tuple[Kind, bytes] | None:
    """Return the block at the start of `data` and the bytes after it; None if it is incomplete.

    Raises RemoteError: 405 for a block that is not one of `kinds`, 400 for a malformed one or a
    repeated header, 413 for more than `MOST` bytes. Unknown headers are ignored.
    """
    if not may_begin(data, kinds):
        raise RemoteError(405, f"not one of {', '.join(kind.method for kind in kinds)}")
    head, end, rest = data[:MOST].partition(b"\r\n\r\n")
    if not end:
        if len(data) >= MOST:
            raise RemoteError(413, f"a block of more than {MOST} bytes")
        return None
    text = head.decode("latin-1")
    if not (text.isascii() and text.replace("\r\n", "").isprintable()):
        raise RemoteError(400, "not printable ASCII")
    method, lines = read_start(head.split(b"\r\n"))
    kind = next(one for one in kinds if one.method == method)
    headers, twice = read_headers(lines, Policy.STRICT)
    if twice:
        raise RemoteError(400, f"twice: {', '.join(twice)}")
    return kind(**read_values(kind.headers, headers, twice)), rest + data[MOST:]

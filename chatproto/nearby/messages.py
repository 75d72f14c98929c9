"""Datagrams by which peers on a local network find each other (PROTOCOL.md, Nearby)."""

from __future__ import annotations

import re

from chatproto.net.addresses import LEAST_PORT
from chatproto.wire.bcp2_common import CLIENT_ID, KEY_OF, Bcp2Message, matching
from chatproto.wire.classic import Header
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import read_port
from chatproto.wire.plain_blocks import read_first
from chatproto.wire.values import value_class

TOKEN = re.compile(r"[0-9a-f]{16}")


def read_open_port(text: str) -> int:
    """Parse a port from 1024 on; no client listens below. Raises RemoteError 400."""
    port = read_port(text)
    if port < LEAST_PORT:
        raise RemoteError(400, f"a port below {LEAST_PORT}: {port}")
    return port


@value_class
class Beacon(Bcp2Message):
    """Announce the sender's `client_id` and `key`, and the `port` of its address that accepts calls.

    The claim is not proved until TLS has shown the key.
    """

    method = "BEACON"
    headers = (
        CLIENT_ID,
        KEY_OF._replace(needed=True),
        Header("Port", "port", read_open_port),
    )
    client_id: str
    key: str
    port: int


@value_class
class Seek(Bcp2Message):
    """Ask all peers on the local network to send their beacons.

    It does not name the sender; a program recognises its own datagram by `token` (16 hex digits).
    """

    method = "SEEK"
    headers = (Header("Token", "token", matching(TOKEN, "token")),)
    token: str


KINDS: tuple[type[Beacon] | type[Seek], ...] = (Beacon, Seek)


def read_datagram(data: bytes, most: int) -> Beacon | Seek:
    """Parse a datagram of at most `most` bytes. Raises RemoteError, and nothing else."""
    if len(data) > most:
        raise RemoteError(413, f"a datagram of more than {most} bytes")
    found = read_first(data, KINDS)
    if found is None:
        raise RemoteError(400, "a datagram without its end")
    message, rest = found
    if rest:
        raise RemoteError(400, "more than one message in a datagram")
    assert isinstance(message, Beacon | Seek)
    return message

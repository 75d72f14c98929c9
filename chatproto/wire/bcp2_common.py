"""Read and write the header values and bodies that several BCP/2 messages have."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, ClassVar, NamedTuple

from chatproto.wire.classic import HOST_NAME, ClassicMessage, Header, read_status, write_status
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import (
    Contact,
    host_port,
    read_client_id,
    read_host_port,
    read_ip,
)
from chatproto.wire.values import distinct, value_class

ADDRESSES = 8
"""Largest number of addresses in one message."""
LINES = 5000
"""Largest number of lines in one body that lists clients, members or rooms."""
KEY = re.compile(r"sha256:[A-Z2-7]{52}")
"""Canonical form of a key's name, which is sent and stored; on receipt the case does not matter."""
STREAM = re.compile(r"[0-9a-f]{16}")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
TOKEN = re.compile(r"[A-Za-z0-9]{1,64}")
USER = re.compile(r"[!-9;-~]{1,64}")
"""Name of an account: ASCII without blanks and colons, which separate the fields of password files."""

Address = tuple[str, int]


@distinct
class Body(NamedTuple):
    """Body of a message: its attribute, its reader and writer, and the name of its size limit.

    A `secret` body is never shown in a trace, and neither is its length.
    """

    attribute: str
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    limit: str
    secret: bool = False


def read_count(text: str, least: int = 0) -> int:
    """Read a number from `least` to 2**53, decimal digits only. Raises RemoteError 400."""
    if text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= 2**53:
        return int(text)
    raise RemoteError(400, f"no number from {least} on: {text!r}")


read_number = partial(read_count, least=1)
"""Read a number from 1 to 2**53: the position of a message in its stream. Raises RemoteError 400."""


SURE = frozenset((read_count, read_number))
"""Readers that accept every number from 1 to below `FIFTEEN_DIGITS`, as `str` writes it."""
FIFTEEN_DIGITS = 10**15
"""Smallest number with more than 15 digits; all numbers below it are less than 2**53."""


def read_key(text: str) -> str:
    """Read the name of a key; return it in the form of `KEY`. Raises RemoteError 400."""
    key = f"{text[:7].lower()}{text[7:].upper()}" if text.isascii() else ""
    if KEY.fullmatch(key):
        return key
    raise RemoteError(400, f"no key: {text!r}")


def read_keys(text: str) -> tuple[str, ...]:
    """Read names of keys, separated by commas. Raises RemoteError 400."""
    return tuple(read_key(part.strip()) for part in text.split(",")) if text else ()


@lru_cache(maxsize=4096)
def plain_ip(host: str) -> str:
    """Return the address literal `host` in canonical form, an IPv4-mapped IPv6 address as IPv4.

    Otherwise a test for loopback would miss `::ffff:127.0.0.1`. Raises RemoteError 400, also for a
    scope (`%eth0`), which is valid on one machine only.
    """
    usual = _usual_ip(host)
    if usual:
        return usual
    if "%" in host:
        raise RemoteError(400, f"an address with a scope: {host!r}")
    address = read_ip(host)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _usual_ip(host: str) -> str:
    """Return the canonical form by the C library, which is fast enough for long lists; "" if undecided."""
    try:
        if ":" in host:
            spelt = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
            return "" if "." in spelt else spelt  # contains an IPv4 address
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        return ""
    return host


AWAY_BYTES = 200
"""Largest size in bytes of the text of /away."""


def read_away(text: str) -> str:
    """Read the text of `Away`, at most `AWAY_BYTES` bytes. Raises RemoteError 400."""
    if len(text.encode("utf-8", "replace")) > AWAY_BYTES:
        raise RemoteError(400, "the text of Away is too long")
    return text


def read_address(text: str) -> Address:
    """Read `ip:port`; `ip` is an address literal. Raises RemoteError 400."""
    host, port = read_host_port(text)
    return plain_ip(host), port


def read_relay(text: str) -> Address:
    """Read `host:port`; `host` is an address literal or a host name. Raises RemoteError 400."""
    host, port = read_host_port(text)
    return (host if HOST_NAME.fullmatch(host) else plain_ip(host)), port


def read_addresses(text: str) -> tuple[Address, ...]:
    """Read at most `ADDRESSES` addresses, separated by commas. Raises RemoteError 400."""
    parts = text.split(",") if text else []
    if len(parts) > ADDRESSES:
        raise RemoteError(400, f"more than {ADDRESSES} addresses")
    return tuple(read_address(part.strip()) for part in parts)


def write_address(address: Address) -> str:
    """Write an address as text, without its scope. Raises LocalError 400 for a host name."""
    host, port = address
    try:
        return host_port(plain_ip(host.partition("%")[0]), port)
    except RemoteError as error:
        raise LocalError(400, error.detail) from None


def write_relay(address: Address) -> str:
    """Write a host (an address literal or a name) and a port as text."""
    return host_port(*address)


def write_addresses(addresses: tuple[Address, ...]) -> str:
    """Write addresses as text, separated by commas."""
    return ", ".join(map(write_address, addresses))


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader that accepts one of `words`."""

    def read(text: str) -> str:
        if text in words:
            return text
        raise RemoteError(400, f"not one of {', '.join(words)}: {text!r}")

    return read


def matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    """Return a reader that accepts text which `pattern` matches as a whole; `what` names it in errors."""

    def read(text: str) -> str:
        if pattern.fullmatch(text):
            return text
        raise RemoteError(400, f"no {what}: {text!r}")

    return read


def read_yes(text: str) -> bool:
    """Read `yes` or `no`. Raises RemoteError 400."""
    return one_of("yes", "no")(text.lower()) == "yes"


def write_yes(value: bool) -> str:
    """Write `yes` or `no`."""
    return "yes" if value else "no"


def read_have(text: str) -> tuple[str, int]:
    """Read `<stream> <highest number>`, or `- 0` for no stream. Raises RemoteError 400."""
    stream, _, highest = text.partition(" ")
    count = read_count(highest)
    if stream == "-" and count == 0:
        return "", 0
    if STREAM.fullmatch(stream) is None:
        raise RemoteError(400, f"no stream: {stream!r}")
    return stream, count


def write_have(have: tuple[str, int]) -> str:
    """Write a stream and the highest number received of it."""
    return f"{have[0] or '-'} {have[1]}"


def read_date(text: str) -> str:
    """Read an RFC 3339 date in UTC that exists in the calendar. Raises RemoteError 400."""
    try:
        if DATE.fullmatch(text) and datetime.fromisoformat(text):
            return text
    except ValueError:
        pass
    raise RemoteError(400, f"no date: {text!r}")


def read_moment(text: str) -> float:
    """Read a date as `read_date` does, as seconds since 1970. Raises RemoteError 400."""
    return datetime.fromisoformat(read_date(text)).timestamp()


LATEST = "9999-12-31T23:59:59.000Z"
"""Date that stands for every later moment."""


def write_moment(at: float) -> str:
    """Write `at`, seconds since 1970, as a date such as `2026-11-29T17:08:34.159Z`."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat("T", "milliseconds")[:23] + "Z"
    except (OverflowError, ValueError, OSError):
        return LATEST


def read_text(data: bytes) -> str:
    """Decode UTF-8. Raises RemoteError 400."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RemoteError(400, "a text that is not UTF-8") from None


def read_secret(data: bytes) -> str:
    """Decode UTF-8 without quoting it in errors. Raises RemoteError 400, also for an empty body."""
    if not data:
        raise RemoteError(400, "an empty secret")
    return read_text(data)


def read_listing(data: bytes) -> tuple[Contact, ...]:
    """Read lines `clientID ip:port key-or-dash`, each with its CRLF. Raises RemoteError 400 or 413."""
    return tuple(map(_read_contact, read_lines(data)))


def read_lines(data: bytes, most: int = LINES) -> list[str]:
    """Split a body into at most `most` lines, each with its CRLF.

    Raises RemoteError: 400; 413 for more lines, before any line is parsed.
    """
    if data.count(b"\n") > most:
        raise RemoteError(413, f"more than {most} lines")
    *lines, rest = read_text(data).split("\r\n")
    if rest:
        raise RemoteError(400, "a line without its end")
    return lines


def write_lines(lines: list[str], values: object, read: Callable[[bytes], object]) -> bytes:
    """Write the lines of a body. Raises LocalError 400 unless `read` returns `values` for them."""
    data = "".join(f"{line}\r\n" for line in lines).encode()
    if not data:
        return data
    try:
        again = read(data)
    except RemoteError as error:
        raise LocalError(400, error.detail) from None
    if again != values:
        raise LocalError(400, "a line that would be read as something else")
    return data


def _read_contact(line: str) -> Contact:
    name, _, rest = line.partition(" ")
    where, _, key = rest.partition(" ")
    host, port = read_address(where)
    return Contact(read_client_id(name), host, port, None if key == "-" else read_key(key))


def write_listing(contacts: tuple[Contact, ...]) -> bytes:
    """Write contacts as lines. Raises LocalError 400 for values that would be read differently."""
    return "".join(map(_write_contact, contacts)).encode()


def _write_contact(contact: Contact) -> str:
    line = f"{contact.client_id} {write_address((contact.host, contact.port))} {contact.key or '-'}"
    try:
        _read_contact(line)
    except RemoteError as error:
        raise LocalError(400, error.detail) from None
    return f"{line}\r\n"


CSEQ = Header("CSeq", "cseq", read_count)
CLIENT_ID = Header("clientID", "client_id", read_client_id)
PEER_ID = Header("peerID", "peer_id", read_client_id)
KEY_OF = Header("Key", "key", read_key, needed=False)
ADDRESSES_OF = Header("Addresses", "addresses", read_addresses, write_addresses, needed=False)
CALL = Header("Call", "call", matching(TOKEN, "call"), needed=False)
TICKET = Header("Ticket", "ticket", matching(TOKEN, "ticket"), needed=False, secret=True)
RELAY = Header("Relay", "relay", read_relay, write_relay, needed=False)
USER_OF = Header("User", "user", matching(USER, "user"))
ID = Header("ID", "id", read_count)
AWAY = Header("Away", "away", read_away, needed=False)
KIND = Header("Kind", "kind", needed=False)
MODE = Header("Mode", "mode", one_of("full", "half"))
RETRY_AFTER = Header("Retry-After", "retry_after", read_count)


@value_class
class Bcp2Message(ClassicMessage):
    """Base class of BCP/2 messages, which may have a body."""

    body: ClassVar[Body | None] = None


@value_class
class OfRequest(Bcp2Message):
    """Base class of a client's requests, and of their answers, which have the same `CSeq`."""

    headers: ClassVar[tuple[Header, ...]] = (CSEQ,)
    cseq: int


@value_class
class Ping(Bcp2Message):
    """Test whether the other end answers.

        PING
        CSeq: 7

    Sent by all sides. Only a client's request has a CSeq. Answered by PINGACK.
    """

    method = "PING"
    headers = (CSEQ._replace(needed=False),)
    cseq: int | None = None


@value_class
class PingAck(Bcp2Message):
    """Answer PING.

        PINGACK
        CSeq: 7

    Has the CSeq of the PING, if there was one.
    """

    method = "PINGACK"
    headers = (CSEQ._replace(needed=False),)
    cseq: int | None = None


@value_class
class Error(Bcp2Message):
    """Refuse a request.

        ERROR
        CSeq: 7
        Status: 404 no such client

    Answers a request with its CSeq. Between peers, `For` and `ID` name the refused message. In answers
    to JOIN, `Why` is `banned`, or what the room requires: `invitation` or `key`.
    """

    method = "ERROR"
    headers = (
        CSEQ._replace(needed=False),
        Header("Status", "status", read_status, write_status),
        Header("For", "about", matching(re.compile("[A-Z]{1,16}"), "method"), needed=False),
        ID._replace(needed=False),
        RETRY_AFTER._replace(needed=False),
        Header("Why", "why", matching(re.compile("[a-z][a-z-]{0,31}"), "cause"), needed=False),
    )
    status: int
    cseq: int | None = None
    about: str = ""
    id: int | None = None
    retry_after: int | None = None
    why: str = ""

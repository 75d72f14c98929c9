"""Read and write header values and bodies of BCP/2; messages used by all sides."""

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
"""Addresses that a message may tell."""
LINES = 5000
"""Lines of one body that lists people, members or rooms."""
KEY = re.compile(r"sha256:[A-Z2-7]{52}")
"""The one spelling that is sent and kept; on receipt the case does not matter."""
STREAM = re.compile(r"[0-9a-f]{16}")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
TOKEN = re.compile(r"[A-Za-z0-9]{1,64}")
USER = re.compile(r"[!-9;-~]{1,64}")
"""An account's name: ASCII without blanks and colons, which password files put between their fields."""

Address = tuple[str, int]


@distinct
class Body(NamedTuple):
    """The body of a message: its attribute, its reader and writer, and the name of its size limit.

    What is `secret` is never shown in a trace, nor how long it is.
    """

    attribute: str
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    limit: str
    secret: bool = False


def read_count(text: str, least: int = 0) -> int:
    """A number from `least` to 2**53, decimal digits only. Raises RemoteError 400."""
    if text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= 2**53:
        return int(text)
    raise RemoteError(400, f"no number from {least} on: {text!r}")


read_number = partial(read_count, least=1)
"""Read a number from 1 to 2**53: a message's place in its stream. Raises RemoteError 400."""


SURE = frozenset((read_count, read_number))
"""Readers that take every number from 1 up to `FIFTEEN_DIGITS`, exclusive, as `str` writes it."""
FIFTEEN_DIGITS = 10**15
"""The least number of more than 15 digits; all below it are less than 2**53."""


def read_key(text: str) -> str:
    """The name of a key, in the spelling of `KEY`. Raises RemoteError 400."""
    key = f"{text[:7].lower()}{text[7:].upper()}" if text.isascii() else ""
    if KEY.fullmatch(key):
        return key
    raise RemoteError(400, f"no key: {text!r}")


def read_keys(text: str) -> tuple[str, ...]:
    """Names of keys, with commas between. Raises RemoteError 400."""
    return tuple(read_key(part.strip()) for part in text.split(",")) if text else ()


@lru_cache(maxsize=4096)
def plain_ip(host: str) -> str:
    """The literal `host` in its one spelling, an IPv4 address in IPv6's clothes as IPv4.

    Otherwise `::ffff:127.0.0.1` would be no loopback to whoever asks. Raises RemoteError 400, also
    for a scope (`%eth0`), which means something on one machine only.
    """
    usual = _usual_ip(host)
    if usual:
        return usual
    if "%" in host:
        raise RemoteError(400, f"an address with a scope: {host!r}")
    address = read_ip(host)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _usual_ip(host: str) -> str:
    """The same by the C library, for a list has thousands; empty for what it cannot decide."""
    try:
        if ":" in host:
            spelt = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
            return "" if "." in spelt else spelt  # an IPv4 address inside
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        return ""
    return host


AWAY_BYTES = 200
"""Bytes of the text with which a client says that it is away."""


def read_away(text: str) -> str:
    """Read the text of `Away`, at most `AWAY_BYTES` bytes. Raises RemoteError 400."""
    if len(text.encode("utf-8", "replace")) > AWAY_BYTES:
        raise RemoteError(400, "the text of Away is too long")
    return text


def read_address(text: str) -> Address:
    """`ip:port`, a literal. Raises RemoteError 400."""
    host, port = read_host_port(text)
    return plain_ip(host), port


def read_relay(text: str) -> Address:
    """`host:port`, a literal or a name. Raises RemoteError 400."""
    host, port = read_host_port(text)
    return (host if HOST_NAME.fullmatch(host) else plain_ip(host)), port


def read_addresses(text: str) -> tuple[Address, ...]:
    """At most `ADDRESSES` addresses, with commas between. Raises RemoteError 400."""
    parts = text.split(",") if text else []
    if len(parts) > ADDRESSES:
        raise RemoteError(400, f"more than {ADDRESSES} addresses")
    return tuple(read_address(part.strip()) for part in parts)


def write_address(address: Address) -> str:
    """An address as text, without a scope. Raises LocalError 400 for what is no literal."""
    host, port = address
    try:
        return host_port(plain_ip(host.partition("%")[0]), port)
    except RemoteError as error:
        raise LocalError(400, error.detail) from None


def write_relay(address: Address) -> str:
    """A literal or a name, and a port, as text."""
    return host_port(*address)


def write_addresses(addresses: tuple[Address, ...]) -> str:
    """Addresses as text."""
    return ", ".join(map(write_address, addresses))


def one_of(*words: str) -> Callable[[str], str]:
    """Reads one of `words`."""

    def read(text: str) -> str:
        if text in words:
            return text
        raise RemoteError(400, f"not one of {', '.join(words)}: {text!r}")

    return read


def matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    """Reads what `pattern` matches whole."""

    def read(text: str) -> str:
        if pattern.fullmatch(text):
            return text
        raise RemoteError(400, f"no {what}: {text!r}")

    return read


def read_yes(text: str) -> bool:
    """`yes` or `no`. Raises RemoteError 400."""
    return one_of("yes", "no")(text.lower()) == "yes"


def write_yes(value: bool) -> str:
    """`yes` or `no`."""
    return "yes" if value else "no"


def read_have(text: str) -> tuple[str, int]:
    """`<stream> <highest>`, or `- 0` where nothing is known. Raises RemoteError 400."""
    stream, _, highest = text.partition(" ")
    count = read_count(highest)
    if stream == "-" and count == 0:
        return "", 0
    if STREAM.fullmatch(stream) is None:
        raise RemoteError(400, f"no stream: {stream!r}")
    return stream, count


def write_have(have: tuple[str, int]) -> str:
    """Write the stream and the highest number received of it."""
    return f"{have[0] or '-'} {have[1]}"


def read_date(text: str) -> str:
    """A moment of RFC 3339 in UTC, one that the calendar has. Raises RemoteError 400."""
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
"""The date of every moment beyond it."""


def write_moment(at: float) -> str:
    """Write `at`, seconds since 1970, as a date such as `2026-11-29T17:08:34.159Z`."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat("T", "milliseconds")[:23] + "Z"
    except (OverflowError, ValueError, OSError):
        return LATEST


def read_text(data: bytes) -> str:
    """UTF-8. Raises RemoteError 400."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RemoteError(400, "a text that is not UTF-8") from None


def read_secret(data: bytes) -> str:
    """UTF-8, of which an error tells nothing. Raises RemoteError 400 also for none at all."""
    if not data:
        raise RemoteError(400, "an empty secret")
    return read_text(data)


def read_listing(data: bytes) -> tuple[Contact, ...]:
    """Lines `clientID ip:port key-or-dash`, each with its CRLF. Raises RemoteError 400, or 413."""
    return tuple(map(_read_contact, read_lines(data)))


def read_lines(data: bytes, most: int = LINES) -> list[str]:
    """At most `most` lines, each with its CRLF.

    Raises RemoteError: 400, and 413 for more, before anything is made of them.
    """
    if data.count(b"\n") > most:
        raise RemoteError(413, f"more than {most} lines")
    *lines, rest = read_text(data).split("\r\n")
    if rest:
        raise RemoteError(400, "a line without its end")
    return lines


def write_lines(lines: list[str], values: object, read: Callable[[bytes], object]) -> bytes:
    """Write the lines of a body. Raises LocalError 400 unless `read` makes `values` of them."""
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
    """Contacts as lines. Raises LocalError 400 for what would be read as something else."""
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
    """Ask whether the other side is there.

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

    Answers a request with its CSeq. Between peers, `For` and `ID` name the message that is refused.
    To JOIN, `Why` says what a room asks for: `banned`, `invitation` or `key`.
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

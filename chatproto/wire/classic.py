"""Define the classic messages, and list those that each side may send.

A message is an immutable value; its `headers` define its form on the wire, in the order in which they
are sent. To add one: a dataclass, an entry in `SAYS`, a `case` where it is answered, and a test for
each. `chatproto.wire.codec` encodes and decodes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, ClassVar, NamedTuple, TypeAlias

from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import (
    Contact,
    host_port,
    read_client_id,
    read_host_port,
    read_ip,
    read_port,
)
from chatproto.wire.statuses import status_line
from chatproto.wire.values import distinct, value_class

OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = re.compile(rf"{OCTET}\.{OCTET}\.{OCTET}\.{OCTET}")
HOST_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]|\.(?=[A-Za-z0-9])){0,252}")
STATUS = re.compile(r"([1-6][0-9]{2})(?: .*)?")


class Sender(Enum):
    """Sides that may send a message."""

    CLIENT = auto()
    SERVER = auto()
    PEER = auto()


@distinct
class Header(NamedTuple):
    """Header of a message: its name on the wire, its attribute, its reader and writer.

    `read` raises RemoteError 400. `write` returns the value as text. A header that is not `needed` may
    be missing, and is left out when the value is the attribute's default. A `secret` header is never
    shown in a trace.
    """

    name: str
    attribute: str
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] | None = None
    needed: bool = True
    secret: bool = False


@distinct
class LineField(NamedTuple):
    """Attribute that holds, as a tuple, the lines of a message that are not headers.

    `attribute` None: the lines are ignored.
    """

    attribute: str | None
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str


def read_claimed_ip(text: str) -> str:
    """Return `text` if it is an address literal or a host name, which some programs send.

    It is only repeated to the client that sent it. Raises RemoteError 400.
    """
    if IPV4.fullmatch(text) is None and HOST_NAME.fullmatch(text) is None:
        read_ip(text)
    return text


def read_optional_id(text: str) -> str:
    """Read an id, or nothing. Raises RemoteError 400."""
    return read_client_id(text) if text else ""


def read_optional_ip(text: str) -> str:
    """Read an address, or nothing. Raises RemoteError 400."""
    return read_claimed_ip(text) if text else ""


def read_optional_port(text: str) -> int | None:
    """Read a port, or nothing. Raises RemoteError 400."""
    return read_port(text) if text else None


def read_status(text: str) -> int:
    """Return the number of a status such as `404 no such client`; the words are ignored. Raises
    RemoteError 400.
    """
    match = STATUS.fullmatch(text)
    if match is None:
        raise RemoteError(400, f"no status: {text!r}")
    return int(match[1])


def write_status(status: int) -> str:
    """Write a status: its number and its words."""
    return status_line(status)


def read_contact(line: str) -> Contact:
    """Read a line of INFOACK, `<clientID> <ip>:<port>`. Raises RemoteError 400."""
    name, _, where = line.partition(" ")
    host, port = read_host_port(where.strip())
    return Contact(read_client_id(name), host, port)


def write_contact(contact: Contact) -> str:
    """Write a contact as a line of INFOACK."""
    return f"{contact.client_id} {host_port(contact.host, contact.port)}"


CLIENT_ID = Header("clientID", "client_id", read_client_id)
IP = Header("IP", "ip", read_claimed_ip)
PORT = Header("Port", "port", read_port)


@value_class
class ClassicMessage:
    """Base class of messages: a method, and the headers or lines of the block."""

    method: ClassVar[str]
    headers: ClassVar[tuple[Header, ...]] = ()
    lines: ClassVar[LineField | None] = None


@distinct
class Claim(NamedTuple):
    """Values of REGISTER.

    Named tuples, because creating these two is half of a server's work: 0.2 µs instead of 0.45 µs. They
    are also the arguments of the templates of their messages.
    """

    client_id: str
    ip: str
    port: int


@distinct
class Confirmation(NamedTuple):
    """Values of REGACK."""

    client_id: str
    ip: str
    port: int
    status: str = "registered"


class ClassicRegister(Claim):
    """Announce where a client accepts calls.

        REGISTER
        clientID: alice
        IP: 192.0.2.7
        Port: 3000

    Sent by clients. Answered by REGACK, or ERROR 409 (id taken).
    """

    __slots__ = ()
    method: ClassVar[str] = "REGISTER"
    headers: ClassVar[tuple[Header, ...]] = (CLIENT_ID, IP, PORT)
    lines: ClassVar[LineField | None] = None


class ClassicRegAck(Confirmation):
    """Confirm a registration, with the values of the request.

        REGACK
        clientID: alice
        IP: 192.0.2.7
        Port: 3000
        Status: registered

    Sent by servers. Answers REGISTER.
    """

    __slots__ = ()
    method: ClassVar[str] = "REGACK"
    headers: ClassVar[tuple[Header, ...]] = (CLIENT_ID, IP, PORT, Header("Status", "status"))
    lines: ClassVar[LineField | None] = None


@value_class
class ClassicBridge(ClassicMessage):
    """Request a peer.

        BRIDGE
        clientID: alice

    Sent by clients, with their own id. Answered by BRIDGEACK.
    """

    method = "BRIDGE"
    headers = (CLIENT_ID,)
    client_id: str


@value_class
class ClassicBridgeAck(ClassicMessage):
    """Name the peer to call.

        BRIDGEACK
        clientID: bob
        IP: 192.0.2.7
        Port: 3000

    Sent by servers. All three values are empty if no peer is available.
    """

    method = "BRIDGEACK"
    headers = (
        Header("clientID", "client_id", read_optional_id),
        Header("IP", "ip", read_optional_ip),
        Header("Port", "port", read_optional_port, lambda port: "" if port is None else str(port)),
    )
    client_id: str = ""
    ip: str = ""
    port: int | None = None


@value_class
class ClassicInfo(ClassicMessage):
    """Request the list of registered clients.

        INFO

    Sent by clients. A line without a colon may follow the method; it is ignored.
    """

    method = "INFO"
    lines = LineField(None)


@value_class
class ClassicInfoAck(ClassicMessage):
    """List the registered clients, one `<clientID> <ip>:<port>` a line.

        INFOACK
        alice 192.0.2.7:3000
        bob 192.0.2.8:3001

    Sent by servers. Answers INFO.
    """

    method = "INFOACK"
    lines = LineField("contacts", read_contact, write_contact)
    contacts: tuple[Contact, ...] = ()


@value_class
class ClassicProbe(ClassicMessage):
    """Test whether a server answers.

        PROBE

    Sent by clients. They accept any answer; ours is PROBEACK.
    """

    method = "PROBE"


@value_class
class ProbeAck(ClassicMessage):
    """Answer PROBE.

        PROBEACK

    Sent by servers.
    """

    method = "PROBEACK"


@value_class
class Unregister(ClassicMessage):
    """End a registration.

        UNREGISTER
        clientID: alice

    Sent by clients. Answered by UNREGACK, or ERROR 403 (from another address), 404 (not registered).
    """

    method = "UNREGISTER"
    headers = (CLIENT_ID,)
    client_id: str


@value_class
class UnregAck(ClassicMessage):
    """Confirm that a registration has ended.

        UNREGACK

    Sent by servers.
    """

    method = "UNREGACK"


@value_class
class ClassicQuit(ClassicMessage):
    """End a registration or a conversation.

        QUIT
        clientID: alice

    Sent to a server with the id whose registration ends, and to a peer without an id.
    """

    method = "QUIT"
    headers = (Header("clientID", "client_id", read_optional_id, needed=False),)
    client_id: str = ""


@value_class
class QuitAck(ClassicMessage):
    """Confirm QUIT.

        QUITACK

    Sent by servers.
    """

    method = "QUITACK"


@value_class
class ClassicChat(ClassicMessage):
    """Call a peer, and announce where the caller accepts calls (dialect canon).

        CHAT
        clientID: alice
        IP: 192.0.2.7
        Port: 3000

    Sent by the peer that calls.
    """

    method = "CHAT"
    headers = (CLIENT_ID, IP, PORT)
    client_id: str
    ip: str
    port: int


@value_class
class ClassicError(ClassicMessage):
    """Refuse a request with one of the codes of `wire/reasons.py`.

        ERROR
        Status: 409 id taken

    Sent by servers.
    """

    method = "ERROR"
    headers = (Header("Status", "status", read_status, write_status),)
    status: int


Message: TypeAlias = ClassicMessage | ClassicRegister | ClassicRegAck


SAYS: dict[Sender, tuple[type[Message], ...]] = {
    Sender.CLIENT: (
        ClassicRegister,
        ClassicBridge,
        ClassicInfo,
        ClassicProbe,
        Unregister,
        ClassicQuit,
    ),
    Sender.SERVER: (
        ClassicRegAck,
        ClassicBridgeAck,
        ClassicInfoAck,
        ProbeAck,
        UnregAck,
        QuitAck,
        ClassicError,
    ),
    Sender.PEER: (ClassicQuit, ClassicChat),
}
"""Messages that each side may send."""

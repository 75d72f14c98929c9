"""Define the BCP/2 messages between client and server (PROTOCOL.md section 3).

Each request has a `CSeq` that its answer repeats; pushes have none. `chatproto.wire.strict` encodes and
decodes them.
"""

from __future__ import annotations

from dataclasses import field

from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import (
    ADDRESSES_OF,
    AWAY,
    CALL,
    CLIENT_ID,
    CSEQ,
    KEY_OF,
    PEER_ID,
    RELAY,
    RETRY_AFTER,
    TICKET,
    USER_OF,
    Address,
    Bcp2Message,
    Body,
    Error,
    OfRequest,
    Ping,
    PingAck,
    one_of,
    read_address,
    read_count,
    read_date,
    read_keys,
    read_listing,
    read_secret,
    read_yes,
    write_address,
    write_listing,
    write_yes,
)
from chatproto.wire.classic import Header
from chatproto.wire.fields import Contact, read_client_id, read_port
from chatproto.wire.values import value_class


@value_class
class OfPeer(OfRequest):
    """Base class of requests and answers that only name a peer."""

    headers = (*OfRequest.headers, PEER_ID)
    peer_id: str


# Client to server.


@value_class
class Login(OfRequest):
    """Log in to an account, before REGISTER.

        LOGIN
        CSeq: 7
        User: alice
        Content-Length: 6

        sesame

    Sent by clients; the body is the password. Answered by LOGINACK, or ERROR 403.
    """

    method = "LOGIN"
    headers = (CSEQ, USER_OF)
    body = Body("password", read_secret, str.encode, "password", secret=True)
    user: str
    password: str = field(repr=False)


@value_class
class Register(OfRequest):
    """Register an id and the addresses where the client accepts calls.

        REGISTER
        CSeq: 7
        clientID: alice
        Port: 5556
        Addresses: 192.0.2.7:5556
        Expires: 90
        Listed: no
        Allow: sha256:UZYY4QXURXT5KCOULUNI5C3RGHXYKCQEH3DF2W63KC7NHHS6OOWA
        Open: yes
        Away: back at five

    Sent by clients. The registration lasts as long as the connection; `Expires: 0` ends it. `Listed:
    no` hides the id from lists, and only the keys in `Allow` find it. `Open: yes` allows calls in plain
    text too. The server can read `Away`, and sends it to watchers in PRESENCE, until a REGISTER without
    it. Answered by REGACK, or ERROR 409 (id taken).
    """

    method = "REGISTER"
    headers = (
        CSEQ,
        CLIENT_ID,
        Header("Port", "port", read_port),
        ADDRESSES_OF,
        Header("Expires", "expires", read_count, needed=False),
        Header("Listed", "listed", read_yes, write_yes, needed=False),
        Header("Allow", "allow", read_keys, ", ".join, needed=False),
        Header("Open", "open", read_yes, write_yes, needed=False),
        AWAY,
    )
    client_id: str
    port: int
    addresses: tuple[Address, ...] = ()
    expires: int | None = None
    listed: bool = True
    allow: tuple[str, ...] = ()
    open: bool = False
    away: str = ""


@value_class
class Bridge(OfRequest):
    """Request the peer `peerID`, or without it any client that waits for a peer.

        BRIDGE
        CSeq: 7
        peerID: bob

    Sent by clients. Answered by BRIDGEACK.
    """

    method = "BRIDGE"
    headers = (CSEQ, Header("peerID", "peer_id", read_client_id, needed=False))
    peer_id: str = ""


@value_class
class Info(OfRequest):
    """Request registered ids that begin with `Prefix` and follow `After`.

        INFO
        CSeq: 7
        Prefix: al
        After: alice
        Limit: 100

    Sent by clients. At most `Limit` ids are listed. Answered by INFOACK.
    """

    method = "INFO"
    headers = (
        CSEQ,
        Header("Prefix", "prefix", read_client_id, needed=False),
        Header("After", "after", read_client_id, needed=False),
        Header("Limit", "limit", read_count, needed=False),
    )
    prefix: str = ""
    after: str = ""
    limit: int | None = None


@value_class
class Watch(OfPeer):
    """Subscribe to the presence of `peerID`.

        WATCH
        CSeq: 7
        peerID: bob

    Sent by clients. Answered by WATCHACK; PRESENCE messages follow.
    """

    method = "WATCH"


@value_class
class Unwatch(OfPeer):
    """End WATCH for `peerID`.

        UNWATCH
        CSeq: 7
        peerID: bob

    Sent by clients. Answered by UNWATCHACK.
    """

    method = "UNWATCH"


@value_class
class Observe(OfRequest):
    """Request our address as the server sees it; needs no REGISTER.

        OBSERVE
        CSeq: 7

    Sent by clients. Answered by OBSERVEACK.
    """

    method = "OBSERVE"


# Server to client.


@value_class
class LoginAck(OfRequest):
    """Confirm that the connection belongs to the account `User`.

        LOGINACK
        CSeq: 7
        User: alice

    Sent by servers. Answers LOGIN.
    """

    method = "LOGINACK"
    headers = (CSEQ, USER_OF)
    user: str


@value_class
class RegAck(OfRequest):
    """Confirm a registration for `Expires` seconds.

        REGACK
        CSeq: 7
        clientID: alice
        Expires: 90
        Observed: 192.0.2.7:40000

    Sent by servers. `Observed` is the client's address as the server sees it.
    """

    method = "REGACK"
    headers = (
        CSEQ,
        CLIENT_ID,
        Header("Expires", "expires", read_count),
        Header("Observed", "observed", read_address, write_address),
    )
    client_id: str
    expires: int
    observed: Address


@value_class
class ObserveAck(OfRequest):
    """Report the client's address as the server sees it, and the server's time.

        OBSERVEACK
        CSeq: 7
        Observed: 192.0.2.7:40000
        Date: 2026-11-21T05:00:00Z

    Sent by servers. Answers OBSERVE.
    """

    method = "OBSERVEACK"
    headers = (
        CSEQ,
        Header("Observed", "observed", read_address, write_address),
        Header("Date", "date", read_date),
    )
    observed: Address
    date: str


@value_class
class BridgeAck(OfRequest):
    """Name the peer to call, its key and its addresses.

        BRIDGEACK
        CSeq: 7
        clientID: alice
        Key: sha256:UZYY4QXURXT5KCOULUNI5C3RGHXYKCQEH3DF2W63KC7NHHS6OOWA
        Addresses: 192.0.2.7:5556
        Call: k3
        Ticket: t5
        Relay: 192.0.2.1:3003

    Sent by servers. Without `clientID` no peer is available. Without `Key` the peer speaks plain
    text only.
    """

    method = "BRIDGEACK"
    headers = (
        CSEQ,
        Header("clientID", "client_id", read_client_id, needed=False),
        KEY_OF,
        ADDRESSES_OF,
        CALL,
        TICKET,
        RELAY,
    )
    client_id: str = ""
    key: str = ""
    addresses: tuple[Address, ...] = ()
    call: str = ""
    ticket: str = ""
    relay: Address | None = None


@value_class
class InfoAck(OfRequest):
    """List registered clients, one `clientID ip:port key` a line; `-` stands for no key.

        INFOACK
        CSeq: 7
        Next: carol
        Content-Length: 82

        alice 192.0.2.7:5556 sha256:UZYY4QXURXT5KCOULUNI5C3RGHXYKCQEH3DF2W63KC7NHHS6OOWA

    Sent by servers. `Next` is there if more clients follow after that id.
    """

    method = "INFOACK"
    headers = (CSEQ, Header("Next", "next", read_client_id, needed=False))
    body = Body("contacts", read_listing, write_listing, "body_from_server")
    contacts: tuple[Contact, ...] = ()
    next: str = ""


@value_class
class WatchAck(OfPeer):
    """Confirm WATCH; a PRESENCE with the current status follows.

        WATCHACK
        CSeq: 7
        peerID: bob

    Sent by servers.
    """

    method = "WATCHACK"


@value_class
class UnwatchAck(OfPeer):
    """Confirm UNWATCH.

        UNWATCHACK
        CSeq: 7
        peerID: bob

    Sent by servers.
    """

    method = "UNWATCHACK"


@value_class
class Introduce(Bcp2Message):
    """Report that the peer `clientID` asked for this client and may call.

        INTRODUCE
        clientID: alice
        Key: sha256:UZYY4QXURXT5KCOULUNI5C3RGHXYKCQEH3DF2W63KC7NHHS6OOWA
        Addresses: 192.0.2.7:5556
        Call: k3
        Ticket: t5
        Relay: 192.0.2.1:3003

    Pushed by servers.
    """

    method = "INTRODUCE"
    headers = (CLIENT_ID, KEY_OF._replace(needed=True), ADDRESSES_OF, CALL, TICKET, RELAY)
    client_id: str
    key: str
    addresses: tuple[Address, ...] = ()
    call: str = ""
    ticket: str = ""
    relay: Address | None = None


@value_class
class Presence(Bcp2Message):
    """Report that `peerID` is online or offline.

        PRESENCE
        peerID: bob
        Status: online
        Away: back at five

    `Away` is the text of its last REGISTER. Pushed by servers, to clients that sent WATCH.
    """

    method = "PRESENCE"
    headers = (PEER_ID, Header("Status", "status", one_of("online", "offline")), AWAY)
    peer_id: str
    status: str
    away: str = ""


@value_class
class Closing(Bcp2Message):
    """Report that the server stops; reconnect after `Retry-After` seconds.

        CLOSING
        Retry-After: 30

    Pushed by servers.
    """

    method = "CLOSING"
    headers = (RETRY_AFTER,)
    retry_after: int


@value_class
class Replaced(Bcp2Message):
    """Report that the same key or user registered the id on another connection; do not reconnect.

        REPLACED

    Pushed by servers.
    """

    method = "REPLACED"


FROM_CLIENT: tuple[type[Bcp2Message], ...] = (
    Login,
    Register,
    Bridge,
    Info,
    Watch,
    Unwatch,
    Observe,
    Ping,
    PingAck,
    *bcp2_rooms.FROM_CLIENT,
)
"""Messages that a client may send."""
FROM_SERVER: tuple[type[Bcp2Message], ...] = (
    LoginAck,
    RegAck,
    BridgeAck,
    InfoAck,
    WatchAck,
    UnwatchAck,
    ObserveAck,
    Ping,
    PingAck,
    Error,
    Introduce,
    Presence,
    Closing,
    Replaced,
    *bcp2_rooms.FROM_SERVER,
)
"""Messages that a server may send."""

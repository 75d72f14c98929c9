"""BCP/2 between client and server, message by message (protocol section 3).

Each request has a `CSeq` that its answer repeats; pushes have none. Bytes are the matter of
`chatproto.wire.strict`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chatproto.wire import bcp2_rooms, bcp2_rooms_told
from chatproto.wire.bcp2_common import (
    ADDRESSES_OF,
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

# Client to server.


@dataclass(frozen=True, slots=True)
class Login(Bcp2Message):
    """I have the account `User`, and this is its password; before REGISTER."""

    method = "LOGIN"
    headers = (CSEQ, USER_OF)
    body = Body("password", read_secret, str.encode, "password", secret=True)
    cseq: int
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Register(Bcp2Message):
    """I am `clientID` and can be called here; the connection renews it, `Expires: 0` takes it back.

    `Listed: no`: in no list, and to be found only by the keys in `Allow`. `Open: yes`: callable in
    plain text too, so that classic clients are told of it.
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
    )
    cseq: int
    client_id: str
    port: int
    addresses: tuple[Address, ...] = ()
    expires: int | None = None
    listed: bool = True
    allow: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Bridge(Bcp2Message):
    """Give me `peerID`; without it the classic question, anybody who waits."""

    method = "BRIDGE"
    headers = (CSEQ, Header("peerID", "peer_id", read_client_id, needed=False))
    cseq: int
    peer_id: str = ""


@dataclass(frozen=True, slots=True)
class Info(Bcp2Message):
    """Who is registered: ids that begin with `Prefix` and come after `After`, at most `Limit`."""

    method = "INFO"
    headers = (
        CSEQ,
        Header("Prefix", "prefix", read_client_id, needed=False),
        Header("After", "after", read_client_id, needed=False),
        Header("Limit", "limit", read_count, needed=False),
    )
    cseq: int
    prefix: str = ""
    after: str = ""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Watch(Bcp2Message):
    """Tell me when `peerID` comes and goes."""

    method = "WATCH"
    headers = (CSEQ, PEER_ID)
    cseq: int
    peer_id: str


@dataclass(frozen=True, slots=True)
class Unwatch(Bcp2Message):
    """Tell me no more."""

    method = "UNWATCH"
    headers = (CSEQ, PEER_ID)
    cseq: int
    peer_id: str


@dataclass(frozen=True, slots=True)
class Observe(Bcp2Message):
    """How do you see me? It needs no REGISTER."""

    method = "OBSERVE"
    headers = (CSEQ,)
    cseq: int


# Server to client.


@dataclass(frozen=True, slots=True)
class LoginAck(Bcp2Message):
    """This connection is `User`'s."""

    method = "LOGINACK"
    headers = (CSEQ, USER_OF)
    cseq: int
    user: str


@dataclass(frozen=True, slots=True)
class RegAck(Bcp2Message):
    """Registered for `Expires` seconds; `Observed` is where the server sees the connection from."""

    method = "REGACK"
    headers = (
        CSEQ,
        CLIENT_ID,
        Header("Expires", "expires", read_count),
        Header("Observed", "observed", read_address, write_address),
    )
    cseq: int
    client_id: str
    expires: int
    observed: Address


@dataclass(frozen=True, slots=True)
class ObserveAck(Bcp2Message):
    """From this address, and by my clock it is `Date`."""

    method = "OBSERVEACK"
    headers = (
        CSEQ,
        Header("Observed", "observed", read_address, write_address),
        Header("Date", "date", read_date),
    )
    cseq: int
    observed: Address
    date: str


@dataclass(frozen=True, slots=True)
class BridgeAck(Bcp2Message):
    """Call this one; without a `clientID` nobody is to be had. Without `Key`: only in the open."""

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
    cseq: int
    client_id: str = ""
    key: str = ""
    addresses: tuple[Address, ...] = ()
    call: str = ""
    ticket: str = ""
    relay: Address | None = None


@dataclass(frozen=True, slots=True)
class InfoAck(Bcp2Message):
    """These are registered; `Next` where more follow after that id."""

    method = "INFOACK"
    headers = (CSEQ, Header("Next", "next", read_client_id, needed=False))
    body = Body("contacts", read_listing, write_listing, "body_from_server")
    cseq: int
    contacts: tuple[Contact, ...] = ()
    next: str = ""


@dataclass(frozen=True, slots=True)
class WatchAck(Bcp2Message):
    """You will be told; a PRESENCE with how it stands now follows."""

    method = "WATCHACK"
    headers = (CSEQ, PEER_ID)
    cseq: int
    peer_id: str


@dataclass(frozen=True, slots=True)
class UnwatchAck(Bcp2Message):
    """You will not."""

    method = "UNWATCHACK"
    headers = (CSEQ, PEER_ID)
    cseq: int
    peer_id: str


@dataclass(frozen=True, slots=True)
class Introduce(Bcp2Message):
    """A push: `clientID`, who has `Key`, asked for you and may call from these addresses."""

    method = "INTRODUCE"
    headers = (CLIENT_ID, KEY_OF._replace(needed=True), ADDRESSES_OF, CALL, TICKET, RELAY)
    client_id: str
    key: str
    addresses: tuple[Address, ...] = ()
    call: str = ""
    ticket: str = ""
    relay: Address | None = None


@dataclass(frozen=True, slots=True)
class Presence(Bcp2Message):
    """A push: `peerID` is online or offline."""

    method = "PRESENCE"
    headers = (PEER_ID, Header("Status", "status", one_of("online", "offline")))
    peer_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Closing(Bcp2Message):
    """A push: the server stops; come back after `Retry-After` seconds."""

    method = "CLOSING"
    headers = (RETRY_AFTER,)
    retry_after: int


@dataclass(frozen=True, slots=True)
class Replaced(Bcp2Message):
    """A push: another connection with your key has taken your place; do not come back by yourself."""

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
"""What a client may say."""
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
    *bcp2_rooms_told.FROM_SERVER,
)
"""What a server may say."""

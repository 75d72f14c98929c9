"""Define all limits of the protocol with their defaults (docs/PROTOCOL.md, section 6).

Without a limit a remote party could make a program wait, count or store without end. A limit that an
operator can change, or that several files use, belongs here; any other is a constant beside the code
that it bounds. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Self

from chatproto.wire.fields import read_number
from chatproto.wire.values import mixed_value_class


@mixed_value_class
class Limits:
    """Limits of both server and client: messages, handshakes, unsent output."""

    line: int = 1024  # a start line or a header line, without its line end
    headers: int = 32  # header lines in one block
    header_block: int = 8 * 1024  # start line and headers together
    body_to_server: int = 8 * 1024  # a body towards the server, a lobby message
    body_from_server: int = 256 * 1024
    message: int = 64 * 1024  # MSG, and a raw text message
    chunk: int = 64 * 1024  # DATA
    offer: int = 1024 * 1024
    line_wait: float = 30.0  # plain text: between two lines of a block
    block_wait: float = 120.0  # plain text: from a block's first byte to its last
    certificate: int = 16 * 1024  # the certificate of the other end in TLS
    handshake_wait: float = 10.0  # TLS handshake; and again the first request after it
    text_silence: float = 0.1  # ends a raw text message
    frame_gap: float = 0.05  # between two frames to a classic peer
    unsent: int = 256 * 1024  # queued for one connection
    terminal_unsent: int = 1024 * 1024  # queued for the terminal
    ping_wait: float = 90.0  # inside TLS: without a byte, then the server pings
    rooms_per_client: int = 32
    room_members: int = 10_000
    history_page: int = 1000  # messages in one answer to HISTORY
    password: int = 1024
    ticket_wait: float = 60.0  # lifetime of a ticket, and of a pipe that has only one end
    farewell_wait: float = 2.0  # for the other end to close after our farewell

    def with_values(
        self, settings: list[str], others: Mapping[str, type[int | float]] = MappingProxyType({})
    ) -> Self:
        """Return these limits with each `NAME=VALUE` of `settings` applied, dashes for underscores.

        Args: others: limits of another program by name, which are accepted and change nothing.
        Raises: ValueError with one sentence: unknown name, not a number, or negative.
        """
        own = self.kinds()
        known = {**others, **own}
        changes: dict[str, int | float] = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            key = name.strip().replace("-", "_")
            if key not in known:
                raise ValueError(f"there is no limit named {name.strip()!r}")
            try:
                read_number(text)
                value = known[key](text)
            except ValueError:
                raise ValueError(f"limit {name.strip()} wants a number, not {text!r}") from None
            if not 0 <= value < float("inf"):
                raise ValueError(f"limit {name.strip()} cannot be {text}")
            if key in own:
                changes[key] = value
        return replace(self, **changes)  # type: ignore[arg-type]

    def kinds(self) -> dict[str, type[int | float]]:
        """Return the type of each limit."""
        return {field.name: type(getattr(self, field.name)) for field in fields(self)}


@mixed_value_class
class ServerLimits(Limits):
    """Limits of a server; `chatserver --limits NAME=VALUE` changes one."""

    tls_block_wait: float = 10.0  # inside TLS: a whole block
    body_pause: float = 30.0  # inside TLS: pause within a body
    unfinished_wait: float = 0.4  # a REGISTER or BRIDGE that lacks only its blank line
    connections: int = 0  # in all; 0: what the file limit allows, less 100 or half
    connections_per_address: int = 256  # IPv6 by /64, loopback not counted
    new_burst: int = 600  # new connections from one address at once
    new_rate: float = 60.0  # and then in a second
    info_lines: int = 1000  # in one classic INFOACK
    registrations: int = 200_000
    registrations_per_address: int = 2000  # loopback not counted
    classic_lease: float = 12 * 3600.0  # after the last request of that client
    lease: int = 3600  # for a client with a key that requests none
    lease_least: int = 60
    lease_most: int = 7200
    keep_names: float = 30 * 86400.0  # an id belongs to its key this long after its last use
    names: int = 1_000_000  # ids that belong to keys
    names_per_key: int = 3
    new_ids_per_address: int = 500  # new ids of one address, at once and per hour
    keep_unused: float = 86400.0  # an id that was only registered, after its connection's end
    presence_grace: float = (
        30.0  # a client is reported offline this long after its connection's end
    )
    introductions_from: int = 6  # of one key, in a minute
    introductions_to: int = 60  # of all keys to one, in a minute
    introductions_vain: int = 30  # of one key, in a minute, for clients that are not here
    introductions_to_per_address: int = 20  # of these, by one address
    introductions_reserve: int = 20  # of these, reserved for clients whose key the peer knows
    gone_wait: float = 150.0  # and then the connection is closed
    takeover_wait: float = 60.0  # silence before another address may take over an id
    partner_wait: float = 600.0  # time in which BRIDGE returns the previous partner again
    rooms: int = 10_000
    rooms_per_owner: int = 32
    room_ops: int = 64  # of one room
    room_bans: int = 256
    room_mutes: int = 256
    room_invited: int = 256
    topic: int = 400  # bytes of a room's topic
    keep_rooms: float = 7 * 86400.0  # a room without members is removed after this time
    room_burst: int = 128  # room requests other than SAY, at once
    room_rate: float = 4.0  # and then in a second
    secret_tries: int = 5  # wrong keys of one room in a minute, of one key and of one address
    new_rooms_per_address: int = 200  # at once and in an hour
    room_history: int = 2048  # messages stored for a room
    room_history_age: float = 7 * 86400.0  # and their age
    history_bytes: int = 64 * 1024 * 1024  # of all rooms, if they are stored in memory
    server_beat: float = 1.0  # interval of the heartbeats of a server in a group
    server_lapse: float = 10.0  # silence after which such a server is removed
    log_waiting: int = 20_000  # unfinished requests about ids
    history_page_bytes: int = 128 * 1024
    lobby_members: int = 10_000
    ctl_connections: int = 8  # to a server's ctl.sock at once
    ctl_line: int = 16 * 1024  # bytes of a command on one
    ctl_stall: float = 300.0  # without a byte of an answer read, then the connection is closed
    drain_wait: float = 300.0  # after /drain for connections to close, then the server ends
    say_burst: int = 10  # messages to a room or the lobby at once; further ones are read later
    say_rate: float = 5.0  # and then in a second
    say_bytes: float = 16 * 1024.0  # in a second, and at once
    watches: int = 256
    login_tries: int = 3  # wrong passwords in a minute, of one address
    login_tries_per_user: int = 30  # and for one user, by all keys that do not own the id
    logins: int = 4  # passwords checked at once
    logins_waiting: int = 64  # and queued for that
    logins_waiting_per_address: int = 8  # queued by one address
    tickets: int = 16
    relay_idle: float = 120.0  # without a byte, then a pipe is closed
    relay_rate: float = 1024.0 * 1024  # bytes per second through one pipe; 0: no limit
    relay_rate_all: float = 8 * 1024.0 * 1024  # and through all pipes; 0: no limit


@mixed_value_class
class ClientLimits(Limits):
    """Limits of a client that several of its parts use; no option changes them."""

    peer_ping: float = 30.0  # silence of a peer before it is pinged
    person_log: int = 256 * 1024 * 1024  # bytes stored of one peer's messages in the log
    paste_gap: float = 0.05  # longest gap between two pasted lines
    ringing: int = 8  # calls from unknown peers that ring at once; as many more from pinned ones
    ring_wait: float = 60.0  # then a call counts as not answered
    answer_ring: float = 70.0  # for the peer to answer or refuse our call
    request_wait: float = 15.0  # for a server's answer to a request inside TLS
    listed: int = 20_000  # clients, members or rooms shown of one answer
    retry_most: float = 3600.0  # longest time before a reconnect, whatever the server requests
    callers: int = 256  # connections from unknown peers at once on a client's port
    callers_per_address: int = 64  # of these, from one address
    callers_known: int = 64  # further connections, from peers whose key is pinned
    beacon: int = 256  # bytes of a beacon on the local network
    control_line: int = 512 * 1024  # a command on a control connection
    dial_wait: float = 30.0  # for a connection to a peer
    waiting_messages: int = 500  # queued for one peer or room
    history_lines: int = 1000  # shown at once
    broken_wait: float = 600.0  # for a reconnection with a peer whose key is not pinned


DEFAULTS = Limits()
SERVER_DEFAULTS = ServerLimits()
CLIENT_DEFAULTS = ClientLimits()

"""Explanations of the server's limits, for `chatserver --limits explain` and docs/reference.md.

`GROUPS` has every field of `ServerLimits` once; a test compares them. Names have dashes here, as on the
command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill
from typing import NamedTuple

from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import distinct


@distinct
class LimitHelp(NamedTuple):
    """Explanation of one limit.

    `unit`: of its value. `bounds`: a phrase for what it bounds. `reached`: a sentence for what happens
    at the limit. `change`: a sentence for when to change it; empty for never.
    """

    unit: str
    bounds: str
    reached: str
    change: str = ""


SILENT = "The server answers 408 and closes the connection."
ADDRESS = "Raise it for a school or company behind one address."
COUNT_429 = "The request is answered 429."
COUNT_413 = "The request is answered 413."
TOO_LONG = "The server answers 413 and closes the connection."
MALICE = "Lower it if a server is being abused."

GROUPS: dict[str, dict[str, LimitHelp]] = {
    "Connections": {
        "connections": LimitHelp(
            "connections",
            "open connections in all, of the lobby at most half; 0 is the limit of open files less 100,"
            " or half of it if that is more",
            "The oldest connection that has sent no request is closed; then, in plain text, the one "
            "idle longest. Else the new one is refused with 503.",
            "Raise LimitNOFILE (ulimit -Hn) instead; lower this to save memory.",
        ),
        "connections-per-address": LimitHelp(
            "connections",
            "open connections of one address (IPv6: a /64; not loopback)",
            "A new one is refused with 429.",
            ADDRESS,
        ),
        "new-burst": LimitHelp(
            "connections",
            "new connections of one address at once",
            "A new one is refused with 429.",
            ADDRESS,
        ),
        "new-rate": LimitHelp(
            "per second",
            "new connections of one address after the burst",
            "A new one is refused with 429.",
            ADDRESS,
        ),
        "handshake-wait": LimitHelp(
            "s",
            "time for a TLS handshake, and again for the first request after it",
            "The connection is closed.",
            "Raise it for clients on very slow networks.",
        ),
        "certificate": LimitHelp(
            "bytes",
            "certificates that a client shows in the TLS handshake",
            "The handshake is refused.",
        ),
        "line-wait": LimitHelp(
            "s",
            "time between two lines of a request in plain text",
            SILENT,
            "Raise it if people type slowly into netcat.",
        ),
        "block-wait": LimitHelp(
            "s",
            "time for a whole request in plain text",
            SILENT,
            "Raise it if people type slowly into netcat.",
        ),
        "unfinished-wait": LimitHelp(
            "s",
            "wait for the blank line of a complete REGISTER or BRIDGE",
            "The request is answered without it.",
            "Raise it if home-made clients send headers in several parts.",
        ),
        "tls-block-wait": LimitHelp("s", "time for the headers of a request inside TLS", SILENT),
        "body-pause": LimitHelp("s", "pause within a body inside TLS", SILENT),
        "ping-wait": LimitHelp(
            "s",
            "silence of a connection inside TLS before the server sends PING",
            "The server sends PING.",
            "Lower it if a router in between forgets silent connections sooner.",
        ),
        "gone-wait": LimitHelp(
            "s",
            "silence of a connection inside TLS, answers to PING included",
            SILENT,
            "Change it together with ping-wait, and keep it larger.",
        ),
        "farewell-wait": LimitHelp(
            "s",
            "time for a client to read what is queued when the server stops or closes a connection",
            "The connection is closed.",
        ),
        "drain-wait": LimitHelp(
            "s",
            "time that /drain waits for connections to close",
            "The server ends.",
            "/drain TIME sets another time once.",
        ),
    },
    "Memory": {
        "unsent": LimitHelp(
            "bytes",
            "data waiting to be sent to one connection",
            "In plain text the server stops reading from it. Inside TLS, in the lobby and on "
            "ctl.sock, the connection is closed.",
            "It counts for every client that does not read: lower it to save memory.",
        ),
        "terminal-unsent": LimitHelp(
            "bytes",
            "output of the server that nobody has read yet",
            "Further lines are dropped and counted.",
        ),
        "info-lines": LimitHelp(
            "lines",
            "clients, rooms or members in one answer (inside TLS at most 5000)",
            "A classic INFO shows the first ones. Inside TLS the client asks for the next page.",
        ),
        "watches": LimitHelp("ids", "ids whose presence one client watches", COUNT_413),
    },
    "Registrations and ids": {
        "registrations": LimitHelp(
            "registrations",
            "registrations in all",
            "The one that was silent longest and has no connection is removed. If all are "
            "connected, a new one is answered 503.",
            "Raise it for a very large server; each takes about 0.7 KiB.",
        ),
        "registrations-per-address": LimitHelp(
            "registrations",
            "registrations of one address (not loopback)",
            "The one of that address that was silent longest and has no connection is removed. If all "
            "are connected, a new one is answered 503.",
            ADDRESS,
        ),
        "classic-lease": LimitHelp(
            "s",
            "lifetime of a classic registration after its client's last request",
            "The registration expires.",
            "Use --classic-lease.",
        ),
        "takeover-wait": LimitHelp(
            "s",
            "silence of a classic client after which another address can register its id",
            "Until then the other address is answered 409.",
            "Raise it to protect ids of silent classic clients longer.",
        ),
        "partner-wait": LimitHelp(
            "s",
            "time in which BRIDGE without a name returns the previous partner",
            "BRIDGE returns the next free client.",
        ),
        "lease": LimitHelp(
            "s",
            "lifetime of a keyed registration without a connection, if its client asks for none",
            "The registration expires.",
            "Use --lease.",
        ),
        "lease-least": LimitHelp(
            "s", "shortest lifetime that a keyed client can ask for", "It gets this one."
        ),
        "lease-most": LimitHelp(
            "s", "longest lifetime that a keyed client can ask for", "It gets this one."
        ),
        "presence-grace": LimitHelp(
            "s",
            "time after the end of its connection in which a client still counts as online",
            "Clients that watch it are told that it is offline.",
        ),
        "keep-names": LimitHelp(
            "s",
            "time for which an id belongs to its key after its last use",
            "Another key can register the id.",
            "Use --keep-names.",
        ),
        "keep-unused": LimitHelp(
            "s",
            "the same for an id that was registered and never used for anything else",
            "Another key can register the id.",
        ),
        "names": LimitHelp(
            "ids",
            "ids that belong to keys, in all; the last tenth is for addresses that own none",
            "A new id is answered 503.",
            "Raise it for a very large server.",
        ),
        "names-per-key": LimitHelp("ids", "ids of one key", "A new id is answered 403."),
        "new-ids-per-address": LimitHelp(
            "ids",
            "new ids of one address (IPv6: a /64), at once and in an hour",
            "A new id is answered 429. Each of several servers counts its own.",
            ADDRESS,
        ),
    },
    "Introductions": {
        "introductions-from": LimitHelp(
            "per minute", "introductions that one key asks for", COUNT_429, MALICE
        ),
        "introductions-to": LimitHelp(
            "per minute", "introductions of all keys to one client", COUNT_429, MALICE
        ),
        "introductions-reserve": LimitHelp(
            "per minute",
            "part of introductions-to that is kept for keys which the client watches or allows",
            "Strangers are answered 429.",
        ),
        "introductions-to-per-address": LimitHelp(
            "per minute",
            "introductions to one client that strangers of one address ask for",
            COUNT_429,
        ),
        "introductions-vain": LimitHelp(
            "per minute",
            "requests of one key for clients that are away or unknown",
            COUNT_429,
        ),
    },
    "Accounts": {
        "password": LimitHelp("bytes", "length of a password", "The login is refused."),
        "login-tries": LimitHelp(
            "per minute",
            "wrong passwords from one address",
            "Further logins from it are answered 429.",
            ADDRESS,
        ),
        "login-tries-per-user": LimitHelp(
            "per minute",
            "wrong passwords for one user, from keys that do not own the id",
            "Further logins of that user with such a key are answered 429.",
        ),
        "logins": LimitHelp(
            "logins",
            "passwords that are checked at once",
            "Further logins wait.",
            "Each takes 64 MiB of memory while it is checked: lower it on a small machine.",
        ),
        "logins-waiting": LimitHelp(
            "logins",
            "logins that wait; a quarter of the places is for keys that own the id",
            "A new login is answered 429; chatproto's clients retry.",
        ),
        "logins-waiting-per-address": LimitHelp(
            "logins", "logins of one address that wait", "A new login is answered 429."
        ),
    },
    "Rooms and the lobby": {
        "rooms": LimitHelp(
            "rooms",
            "rooms in all",
            "A new room replaces an empty one of its owner, or one in which nothing was said. "
            "Else it is answered 503.",
        ),
        "rooms-per-client": LimitHelp("rooms", "rooms that one client is in", COUNT_413),
        "rooms-per-owner": LimitHelp("rooms", "rooms that one key owns", COUNT_413),
        "new-rooms-per-address": LimitHelp(
            "rooms",
            "new rooms of one address (IPv6: a /64), at once and in an hour",
            COUNT_429,
            ADDRESS,
        ),
        "room-members": LimitHelp("clients", "clients in one room", "JOIN is answered 503."),
        "lobby-members": LimitHelp(
            "clients", "clients in the raw-text lobby", "A new one is told that it is full."
        ),
        "room-ops": LimitHelp("keys", "operators of one room", COUNT_413),
        "room-bans": LimitHelp("bans", "bans of one room that have not ended", COUNT_413),
        "room-mutes": LimitHelp("mutes", "mutes of one room that have not ended", COUNT_413),
        "room-invited": LimitHelp("keys", "invitations to one room", COUNT_413),
        "topic": LimitHelp("bytes", "length of a topic", COUNT_413),
        "keep-rooms": LimitHelp(
            "s",
            "time for which an empty room is kept",
            "The room is removed with its history.",
            "Raise it for a club that meets once a month.",
        ),
        "room-burst": LimitHelp(
            "requests",
            "requests about rooms of one key at once, except SAY; of one address 16 times as many",
            COUNT_429,
        ),
        "room-rate": LimitHelp("per second", "the same after the burst", COUNT_429),
        "secret-tries": LimitHelp(
            "per minute",
            "wrong keys of one room, by one key and by one address",
            "JOIN is answered 429; the room's owner and operators in it are told who it was.",
        ),
        "say-burst": LimitHelp(
            "messages",
            "messages of one client to rooms or the lobby at once",
            "The server reads the next ones later.",
            "Raise it for bots.",
        ),
        "say-rate": LimitHelp(
            "per second",
            "the same after the burst",
            "The server reads the next ones later.",
            "Raise it for bots.",
        ),
        "say-bytes": LimitHelp(
            "bytes per second",
            "bytes of these messages",
            "The server reads the next ones later.",
            "Raise it for bots.",
        ),
    },
    "History of rooms": {
        "room-history": LimitHelp(
            "messages",
            "messages that are kept of one room",
            "The oldest is removed.",
            "Lower it to keep less.",
        ),
        "room-history-age": LimitHelp(
            "s",
            "age of a message that is kept",
            "The message is removed.",
            "Lower it to keep less.",
        ),
        "history-bytes": LimitHelp(
            "bytes",
            "messages of all rooms that are held in memory (`memory:`)",
            "The room with most loses half of its messages.",
            "Fit it to the machine's memory.",
        ),
        "history-page": LimitHelp(
            "messages", "messages in one answer to HISTORY", "The client asks for the next page."
        ),
        "history-page-bytes": LimitHelp(
            "bytes", "text in one answer to HISTORY", "The client asks for the next page."
        ),
    },
    "The relay": {
        "relay-rate": LimitHelp(
            "bytes per second",
            "one relayed stream, both directions together; 0 is no limit",
            "The stream is slowed down.",
            "Use --relay on:RATE.",
        ),
        "relay-rate-all": LimitHelp(
            "bytes per second",
            "all relayed streams together; 0 is no limit",
            "All streams are slowed down.",
            "Set it to what your network can spare.",
        ),
        "relay-idle": LimitHelp("s", "silence of a relayed stream", "The stream is closed."),
        "tickets": LimitHelp(
            "tickets",
            "unused relay tickets for calls of one key, two for each call",
            "The call is introduced without the relay.",
        ),
        "ticket-wait": LimitHelp(
            "s",
            "lifetime of a ticket, and wait of its owner for the other client",
            "The ticket expires, or the waiting connection is closed.",
        ),
    },
    "Several servers on one Redis": {
        "server-beat": LimitHelp(
            "s",
            "time between two signs of life of one server",
            "The server sends one.",
            "Keep it well below server-lapse.",
        ),
        "server-lapse": LimitHelp(
            "s",
            "silence of a server",
            "The others give it up, and its clients leave their rooms.",
            "Raise it if servers are given up while they are only busy.",
        ),
        "log-waiting": LimitHelp(
            "requests",
            "requests about ids that one server carries out in Redis",
            "Further ones are answered 503.",
        ),
    },
    "Operator commands": {
        "ctl-connections": LimitHelp(
            "connections", "connections to ctl.sock", "A new one is closed."
        ),
        "ctl-line": LimitHelp("bytes", "length of a command", "The connection is closed."),
        "ctl-stall": LimitHelp(
            "s", "time in which nothing of an answer is read", "The connection is closed."
        ),
    },
    "The protocol": {
        "line": LimitHelp("bytes", "start line or header line, without its line end", TOO_LONG),
        "headers": LimitHelp("lines", "header lines of one request", TOO_LONG),
        "header-block": LimitHelp("bytes", "start line and headers together", TOO_LONG),
        "body-to-server": LimitHelp(
            "bytes", "body of a request, such as a room message, and a lobby line", TOO_LONG
        ),
        "body-from-server": LimitHelp(
            "bytes", "answer of a server", "The client reports an error."
        ),
        "text-silence": LimitHelp(
            "s", "silence that ends a lobby line without a line end", "The line is complete."
        ),
        "frame-gap": LimitHelp(
            "s",
            "time between two lines to a lobby client that uses no line ends",
            "Lines that follow sooner get a line end in between.",
        ),
        "message": LimitHelp(
            "bytes", "message between two clients", "Clients decide; it changes nothing here."
        ),
        "chunk": LimitHelp(
            "bytes", "one piece of a file", "Clients decide; it changes nothing here."
        ),
        "offer": LimitHelp(
            "bytes",
            "list of the files of an offered folder",
            "Clients decide; it changes nothing here.",
        ),
    },
}


def explanation(limits: ServerLimits) -> Iterator[str]:
    """Yield the lines of `--limits explain` for the values of `limits`."""
    for group, explained in GROUPS.items():
        yield f"{group}:"
        for name, one in explained.items():
            value = f"{getattr(limits, name.replace('-', '_')):.12g}"
            text = (
                f"{one.bounds[0].upper()}{one.bounds[1:]}. At the limit: {one.reached} {one.change}"
            )
            yield f"  {name}={value} ({one.unit})"
            yield fill(text.rstrip(), 96, initial_indent="    ", subsequent_indent="    ")
        yield ""

"""Turn the observations of `chatclient doctor` into findings, one per check.

Pure. Whether peers can call is concluded from addresses, not tested, and the finding says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from ipaddress import ip_address, ip_network

from chatproto.identity.pins import Pin
from chatproto.net.clock import Wall
from chatproto.wire.bcp2_common import Address
from chatproto.wire.fields import host_port
from chatproto.wire.reasons import (
    NO_ACCOUNTS,
    SERVER_SAYS_NO,
    SERVER_WANTS_LOGIN,
    WRONG_PASSWORD,
    Reason,
)
from chatproto.wire.values import value_class

OK, NOTE, FAIL, SKIP = "ok", "note", "fail", "skip"
"""States: no problem, a hint, a problem, and not checked because of another problem."""
CLOCK_WRONG = 5.0
"""Seconds by which two clocks may differ, besides half the response time."""
LITTLE_SPACE = 1024 * 1024
"""Free bytes on a disk below which a client may fail to start."""
SHARED = ip_network("100.64.0.0/10")
"""Carrier-grade NAT addresses, shared by customers of a provider (RFC 6598)."""
REFUSED, NOT_DONE = 3, 5
"""Exit codes, as in other one-shot commands."""


@value_class
class Finding:
    """Result of `check`: one sentence, advice if any, and the figures.

    `refused`: a server refuses us, or we refuse its key. `code`: reason of the problem, if known.
    """

    check: str
    state: str
    text: str
    advice: str = ""
    data: dict[str, object] = field(default_factory=dict)
    refused: bool = False
    code: Reason | None = None


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 without a problem, 3 if a server refuses us or shows another key, else 5."""
    wrong = [one for one in findings if one.state == FAIL]
    if not wrong:
        return 0
    return REFUSED if any(one.refused for one in wrong) else NOT_DONE


def key_found(server: str, key: str, named: bool, pin: Pin | None) -> Finding:
    """Report the accepted `key` of a server; `named`: it is the key in --server."""
    data: dict[str, object] = {"server": server, "key": key}
    if named:
        return Finding("key", OK, "the server's key is the one in --server", data=data)
    if pin is not None:
        return Finding("key", OK, "the server has its pinned key", data=data)
    return Finding(
        "key",
        NOTE,
        f"first contact with this server, its key is {key}",
        f"ask its operator for the key, then start with --server {server}/KEY",
        data,
    )


def key_refused(server: str, key: str, why: str) -> Finding:
    """Report that a server showed another key than the expected one."""
    return Finding(
        "key",
        FAIL,
        why,
        "ask the server's operator over another channel before you accept the new key",
        {"server": server, "key": key},
        refused=True,
        code=Reason.OTHER_KEY,
    )


def address_seen(observed: Address, local: Address) -> Finding:
    """Report the address at which the server sees us, `observed`; our end is `local`."""
    data: dict[str, object] = {"observed": host_port(*observed), "local": host_port(*local)}
    if observed[0] == local[0]:
        return Finding(
            "address", OK, f"the server sees this machine's own address, {observed[0]}", data=data
        )
    text = f"the server sees you at {observed[0]}; this machine's address is {local[0]}"
    return Finding("address", OK, f"{text}, so a router is in between", data=data)


def account_refused(status: int, server: str, user: str | None) -> Finding:
    """Report that a server refused, with `status`, our login as `user` or a request without login."""
    if status == 401 and user is None:
        text, advice = SERVER_WANTS_LOGIN(server=server), "ask its operator for an account"
    elif status == 403:
        text, advice = WRONG_PASSWORD(), "check the password of --user, or ask the operator"
    elif status == 405:
        text, advice = SERVER_SAYS_NO(why=NO_ACCOUNTS()), "start without --user"
    else:
        text, advice = SERVER_SAYS_NO(why=Reason.of(status).sentence), "try again in a minute"
    return Finding("account", FAIL, text, advice, refused=True, code=text.reason)


def id_taken(client_id: str, key: str | None) -> Finding:
    """Report that our id `client_id` is registered by `key` (None: by a classic client)."""
    who = f"with the key {key}" if key else "by a client in plain text"
    text = f"{client_id} is registered {who}"
    advice = "choose another --id, or ask the operator to free this one"
    return Finding("id", FAIL, text, advice, {"key": key}, refused=True, code=Reason.ID_TAKEN)


def disk(what: str, folder: str, free: int, trouble: str) -> Finding | None:
    """Report a `folder` with too few `free` bytes, or that cannot be written because of `trouble`.

    Args: what: `home`, without which a client does not start, or `downloads`.
    """
    if trouble:
        text = f"cannot write to {folder}: {trouble}"
        advice = f"make it writable, or use another --{what}"
    elif free < LITTLE_SPACE:
        text = f"the disk of {folder} is full: {free // 1024} KiB are free"
        advice = f"make room, or use another --{what}"
    else:
        return None
    state = FAIL if what == "home" else NOTE
    return Finding(what, state, text, advice, {"folder": folder}, code=Reason.FILE_TROUBLE)


def calls_in(observed: Address, local: Address, announced: str = "") -> Finding:
    """Conclude from addresses whether peers can call us; no call was tested."""
    seen = ip_address(observed[0])
    if announced:
        return Finding(
            "calls",
            NOTE,
            f"peers are told to call {announced}, which was not tested from outside",
            "ask a peer outside to call you; if it fails, check the port forwarding",
        )
    if seen.is_loopback:
        return Finding(
            "calls",
            NOTE,
            "the server is on this machine and cannot tell how other networks see you",
            "for peers outside this network use a server elsewhere: --server HOST:PORT",
        )
    if observed[0] == local[0] and seen.is_private:
        return Finding(
            "calls",
            OK,
            "peers in the server's network can call you, unless a firewall here blocks them; "
            "other networks were not tested",
        )
    if observed[0] == local[0]:
        return Finding(
            "calls",
            OK,
            "this machine has a public address: every peer can call you, unless a firewall "
            "blocks them (not tested)",
        )
    if seen.is_private or (seen.version == 4 and seen in SHARED):
        behind = "a router, with the server in the network of your provider or company"
    else:
        behind = "a router"
    keeps = observed[1] == local[1]
    ports = (
        "it kept the port number, which helps direct connections"
        if keeps
        else "it changed the port number, which makes direct connections less likely"
    )
    return Finding(
        "calls",
        NOTE,
        f"you are behind {behind}, so peers cannot call you without help; {ports}",
        "a server with introductions or a relay makes calls work; for direct calls forward a TCP "
        "port and start with --port N --announce HOST:N",
        {"keeps_port": keeps},
    )


def clock(theirs: Wall, asked: Wall, answered: Wall) -> Finding:
    """Compare our clock with the server's `theirs`, read between our `asked` and `answered`."""
    offset = asked + (answered - asked) / 2 - theirs
    data: dict[str, object] = {"offset": round(offset, 3)}
    if abs(offset) <= CLOCK_WRONG + (answered - asked) / 2:
        return Finding("clock", OK, "your clock and the server's agree", data=data)
    side = "ahead of" if offset > 0 else "behind"
    return Finding(
        "clock",
        NOTE,
        f"your clock is {_span(abs(offset))} {side} the server's",
        "correct the wrong clock: chats still work, but times look wrong",
        data,
    )


def beacons(
    networks: Sequence[str], came_back: bool, neighbours: Sequence[str], trouble: str, wanted: bool
) -> Finding:
    """Report the answers to a SEEK on `networks` (interfaces other than loopback).

    `came_back`: our own SEEK was received on one. `neighbours`: ids that answered. `wanted`: --beacon.
    """
    data: dict[str, object] = {"interfaces": list(networks), "people": list(neighbours)}
    bad = FAIL if wanted else NOTE
    if neighbours:
        count = "1 peer is" if len(neighbours) == 1 else f"{len(neighbours)} peers are"
        return Finding("beacon", OK, f"{count} nearby: {', '.join(neighbours)}", data=data)
    if not networks:
        why = trouble or "this machine is not on a network"
        return Finding(
            "beacon",
            bad,
            f"no peers nearby can be found: {why}",
            "connect to a network; without one only peers on this machine are found",
            data,
        )
    where = ", ".join(networks)
    if not came_back:
        return Finding(
            "beacon",
            bad,
            f"beacons sent on {where} are not received on this machine",
            "allow UDP port 5555 in this machine's firewall",
            data,
        )
    return Finding(
        "beacon",
        OK,
        f"beacons can be sent and received on {where}, but no peer answered",
        "if a peer here runs with --beacon, the network isolates its clients from each other",
        data,
    )


def _span(seconds: float) -> str:
    """Return a time span in its largest unit."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:.0f} seconds"

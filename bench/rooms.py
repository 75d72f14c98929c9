"""Measure the cost and delay of a delivery to a room member, ours beside ngircd.

A room of 100 members, in three ways: one line in flight; saturated, with 10 senders and 4 lines in
flight each; and 100 lines a second. The raw-text lobby is compared with ngircd in plain text, and a
BCP/2 room, always inside TLS, with ngircd inside TLS. `--ngircd FILE` names its program.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import ssl
import sys
import typing
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import serialization

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.measure import HERE, CannotMeasure, Subject, cpu, machine, median, table, workplace
from bench.room_members import Bare, Irc, Member, Ours, Room
from chatproto.identity.keys import new_identity
from tests.ports import free_port

MEMBERS, SENDERS, IN_FLIGHT, RATE = 100, 10, 4, 100
WARM_UP = 0.5
PLAIN, SECURE = "ngircd, plain", "ngircd, TLS"
GOALS = {
    "goal, plain": ("", "1.00", "", "0.80", "", "1.05", "3"),
    "goal, TLS": ("", "1.25", "", "", "", "1.70", "3"),
}
"""Of ngircd's CPU a delivery, and milliseconds."""
UNLIMITED = (
    "new-ids-per-address",
    "say-burst",
    "say-rate",
    "say-bytes",
    "connections-per-address",
    "new-burst",
    "new-rate",
)
IRC_SETTINGS = """[Global]
Name = irc.example.net
Info = bench
Listen = 127.0.0.1
Ports = {port}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
PingTimeout = 600
[SSL]
CertFile = {place}/it.crt
KeyFile = {place}/it.key
Ports = {tls_port}
[Options]
DNS = no
Ident = no
PAM = no
"""


def measured(subject: Subject, room: Room, load: Callable[[float], None], seconds: float) -> float:
    """Microseconds of CPU a delivery under `load`."""
    load(WARM_UP)
    room.forget()
    before = cpu(subject.pid)
    load(seconds)
    spent, deliveries = cpu(subject.pid) - before, room.deliveries
    room.finish()
    return spent / deliveries * 1e6


def run(case: Case, seconds: float) -> list[float]:
    """The CPU a delivery with one line in flight, saturated and at a rate, and the p99 of the last."""
    room = Room([case.kind(number, case.subject.port, case.context()) for number in range(MEMBERS)])
    loads: list[Callable[[float], None]] = [
        partial(room.keep_saying, 1, 1),
        partial(room.keep_saying, SENDERS, IN_FLIGHT),
        partial(room.say_evenly, SENDERS, RATE),
    ]
    found = [measured(case.subject, room, load, seconds) for load in loads]
    late = sorted(room.late)
    room.close()
    return [*found, late[int(len(late) * 0.99)] * 1e3]


def certificate(place: Path) -> None:
    """A certificate of a new Ed25519 key, as ours wants one and as ngircd takes one too, in `place`."""
    identity = new_identity()
    pem = serialization.Encoding.PEM
    kind, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (place / "it.crt").write_bytes(identity.certificate.public_bytes(pem))
    (place / "it.key").write_bytes(identity.private.private_bytes(pem, kind, nothing))


def tls(place: Path, alpn: str) -> ssl.SSLContext:
    """TLS as a new member speaks it, with a key of its own."""
    certificate(place)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    context.load_cert_chain(place / "it.crt", place / "it.key")
    return context


class Case(typing.NamedTuple):
    """One server as it is measured: how its members speak, which it is compared with."""

    subject: Subject
    kind: type[Member]
    context: Callable[[], ssl.SSLContext | None]
    beside: str


def nothing() -> None:
    """Stand for TLS settings in plain text."""


def cases(place: Path, ngircd: str | None) -> list[Case]:
    """List the cases to measure."""
    port, lobby, bare_port, bare_tls_port, irc_port, tls_port = (free_port() for _ in range(6))
    limits = [f"--limits={name}=1000000" for name in UNLIMITED]
    twistd = str(Path(sys.executable).with_name("twistd"))
    command = [sys.executable, twistd, "-n", "--pidfile=", "chatserver", "--quiet"]
    command += [f"--port=tcp:{port}:interface=127.0.0.1", f"--home={place / 'home'}", *limits]
    command += [
        f"--lobby=tcp:{lobby}:interface=127.0.0.1"
    ]  # a port is reserved at this address only
    members = place / "members"
    members.mkdir()
    found = [
        Case(Subject("lobby, plain", command, lobby, "", ""), Bare, nothing, PLAIN),
        Case(
            Subject("room, TLS", command, port, "", ""),
            Ours,
            partial(tls, members, "bcp/2"),
            SECURE,
        ),
    ]
    certificate(place)
    bare = [sys.executable, str(HERE / "peers" / "twisted_room.py")]
    command = [*bare, str(bare_port)]
    found.append(
        Case(Subject("bare Twisted, plain", command, bare_port, "", ""), Bare, nothing, PLAIN)
    )
    command = [*bare, str(bare_tls_port), str(place / "it.crt")]
    secure = partial(tls, members, "irc")
    found.append(
        Case(Subject("bare Twisted, TLS", command, bare_tls_port, "", ""), Bare, secure, SECURE)
    )
    program = ngircd or shutil.which("ngircd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is not None:
        settings = place / "ngircd.conf"
        settings.write_text(IRC_SETTINGS.format(port=irc_port, tls_port=tls_port, place=place))
        irc = [program, "-n", "-f", str(settings)]
        found += [
            Case(Subject(PLAIN, irc, irc_port, "", ""), Irc, nothing, PLAIN),
            Case(Subject(SECURE, irc, tls_port, "", ""), Irc, secure, SECURE),
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ngircd", help="its program, if it is not installed")
    parser.add_argument("--only", default="", help="only those with this in their names")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, list[list[float]]] = {}
    beside: dict[str, str] = {}
    with workplace() as folder:
        for number in range(options.rounds):
            place = Path(folder) / str(number)  # an id belongs to its key, and these have new ones
            place.mkdir()
            for case in cases(place, options.ngircd):
                if options.only and options.only not in case.subject.name:
                    continue
                try:
                    case.subject.start(place)
                    found = run(case, options.seconds)
                finally:
                    case.subject.stop()
                figures.setdefault(case.subject.name, []).append(found)
                beside[case.subject.name] = case.beside
    if options.json is not None:
        options.json.write_text(json.dumps(figures))
    head = ["", "one, µs", "times", "saturated, µs", "times", "100/s, µs", "times", "p99, ms"]
    middle = {name: [median(c) for c in zip(*f, strict=True)] for name, f in figures.items()}
    rows = []
    for name, found in middle.items():
        yardstick = middle.get(beside[name])
        cells = []
        for column, value in enumerate(found[:3]):
            ratio = f"{value / yardstick[column]:.2f}" if yardstick else "-"
            cells += [f"{value:.2f}", ratio]
        rows.append([name, *cells, f"{found[3]:.2f}"])
    print(machine())
    print(table(head, [*rows, *([name, *cells] for name, cells in GOALS.items())]))


if __name__ == "__main__":
    try:
        main()
    except CannotMeasure as error:
        raise SystemExit(str(error)) from None

"""What a delivery to a member of a room costs a server, and how late it comes: ours beside ngircd.

A room of 100 members, in three ways: one line in flight; saturated, 10 senders with 4 lines in flight
each; and 100 lines a second. Like is beside like: the lobby in bare text beside ngircd in plain text,
and a room of BCP/2, which is always inside TLS, beside ngircd inside TLS. `--ngircd FILE` names its program.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shutil
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import ClientCreator, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import LoopingCall, deferLater, react
from zope.interface import implementer

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.measure import CannotMeasure, Subject, free_port, machine, median, table, workplace
from chatproto.identity.keys import new_identity
from chatproto.identity.tls import Tls
from chatproto.wire import bcp2, bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.strict import encode

MEMBERS, SENDERS, IN_FLIGHT, RATE = 100, 10, 4, 100
MARK = re.compile(rb"@@(\d+) [^;]*;")
PATIENCE = 20.0
"""Seconds that anything may take that is not measured."""
PLAIN, SECURE = "ngircd, plain", "ngircd, TLS"
UNLIMITED = (
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
CertFile = {place}/irc.crt
KeyFile = {place}/irc.key
Ports = {tls_port}
[Options]
DNS = no
Ident = no
PAM = no
"""


class Member(Protocol):
    """One connection; what it hears of the lines that are measured goes to `heard`."""

    transport: Any
    heard: Callable[[Member, int], None]

    def __init__(self, number: int) -> None:
        self.number = number
        self.ready: Deferred[None] = Deferred()
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:
        data = self._rest + data
        end = data.rfind(b";") + 1
        self._rest = data[end:][-4096:]
        for sender in MARK.findall(data, 0, end):
            self.heard(self, int(sender))
        if not self.ready.called and self.is_in(data):
            self.ready.callback(None)

    def is_in(self, data: bytes) -> bool:
        """Whether `data` says that it is in the room."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Say `text` in the room."""
        raise NotImplementedError


@implementer(IHandshakeListener)
class Ours(Member):
    """A member of a BCP/2 server."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.startTLS(Tls(new_identity()).handshake(lambda key: None), True)

    def handshakeCompleted(self) -> None:
        self.send(bcp2.Register(1, f"m{self.number}", 5000), bcp2_rooms.Join(2, "#bench"))

    def is_in(self, data: bytes) -> bool:
        return b"JOINACK" in data

    def say(self, text: str) -> None:
        self.send(bcp2_rooms.Say(3, "#bench", text))

    def send(self, *messages: Bcp2Message) -> None:
        self.transport.write(b"".join(map(encode, messages)))


class Irc(Member):
    """A member of an IRC server."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        nick = f"m{self.number}"
        self.transport.write(f"NICK {nick}\r\nUSER {nick} 0 * :x\r\nJOIN #bench\r\n".encode())

    def is_in(self, data: bytes) -> bool:
        return b" 366 " in data

    def say(self, text: str) -> None:
        self.transport.write(f"PRIVMSG #bench :{text}\r\n".encode())


@implementer(IHandshakeListener)
class SecureIrc(Irc):
    """The same inside TLS."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.startTLS(CertificateOptions())

    def handshakeCompleted(self) -> None:
        nick = f"m{self.number}"
        self.transport.write(f"NICK {nick}\r\nUSER {nick} 0 * :x\r\nJOIN #bench\r\n".encode())


class Bare(Member):
    """A member of our lobby, in bare text."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.write(f"/nick m{self.number}\n".encode())

    def is_in(self, data: bytes) -> bool:
        return b"* you are m" in data

    def say(self, text: str) -> None:
        self.transport.write(f"{text}\n".encode())


class Room:
    """The members of one server's room, and the load on them."""

    def __init__(self, reactor: Any, members: list[Member]) -> None:
        self.reactor = reactor
        self.members = members
        self.deliveries = 0
        self.late: list[float] = []
        self._said: dict[int, tuple[float, int]] = {}
        self._senders: dict[int, int] = {}
        self._next = 0
        self._on = False
        self._again = 0
        for member in members:
            member.heard = self.heard

    def start(self, in_flight: int, senders: int) -> None:
        """Keep `in_flight` lines of each of `senders` under way; 0: none by itself."""
        self._on = True
        self._again = in_flight
        for sender in range(senders):
            for _ in range(in_flight):
                self.say(sender)

    def say(self, sender: int) -> None:
        """One line. It is delivered when all others have it."""
        self._next += 1
        self._said[self._next] = (time.perf_counter(), len(self.members) - 1)
        self._senders[self._next] = sender
        self.members[sender].say(f"@@{self._next} {'x' * 60};")

    def heard(self, member: Member, line: int) -> None:
        begun, missing = self._said[line]
        sender = self._senders[line]
        if member.number == sender:
            return  # one that hears itself
        self.deliveries += 1
        self.late.append(time.perf_counter() - begun)
        if missing > 1:
            self._said[line] = (begun, missing - 1)
            return
        del self._said[line], self._senders[line]
        if self._on and self._again:
            self.say(sender)

    async def stop(self) -> None:
        """Say no more, and wait for what is under way. Raises CannotMeasure if it does not arrive."""
        self._on = False
        deadline = time.monotonic() + PATIENCE
        while self._said:
            if time.monotonic() > deadline:
                raise CannotMeasure(f"{len(self._said)} lines did not reach everybody")
            await deferLater(self.reactor, 0.01)


def cpu(pid: int) -> float:
    """The seconds of CPU that a process has had."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def measured(
    reactor: Any, subject: Subject, room: Room, seconds: float, load: Callable[[], Any]
) -> tuple[float, float]:
    """Microseconds of CPU a delivery, and the 99th percentile of the delay in milliseconds."""
    assert subject.process is not None
    done = load()
    await deferLater(reactor, 0.5)
    room.deliveries, room.late = 0, []
    before = cpu(subject.process.pid)
    await deferLater(reactor, seconds)
    spent, deliveries = cpu(subject.process.pid) - before, room.deliveries
    late = sorted(room.late)
    if done is not None:
        done.stop()
    await room.stop()
    return spent / deliveries * 1e6, late[int(len(late) * 0.99)] * 1e3


async def run(reactor: Any, case: Case, seconds: float) -> list[float]:
    """The CPU a delivery with one line in flight, saturated and at a rate, and the p99 of the last."""
    subject = case.subject
    creators = [ClientCreator(reactor, case.kind, number) for number in range(MEMBERS)]
    members = []
    for creator in creators:
        member = await creator.connectTCP("127.0.0.1", case.port)
        member.heard = lambda *_: None
        members.append(member)
        await member.ready.addTimeout(PATIENCE, reactor)
    room = Room(reactor, members)

    def at_a_rate() -> LoopingCall:
        room.start(0, 0)
        calls = iter(range(10**9))
        loop = LoopingCall(lambda: room.say(next(calls) % SENDERS))
        loop.start(1 / RATE)
        return loop

    alone, _ = await measured(reactor, subject, room, seconds, lambda: room.start(1, 1))
    full, _ = await measured(
        reactor, subject, room, seconds, lambda: room.start(IN_FLIGHT, SENDERS)
    )
    rated, late = await measured(reactor, subject, room, seconds, at_a_rate)
    ends: list[Deferred[None]] = []
    for member in members:
        member.transport.abortConnection()
        ends.append(deferLater(reactor, 0))
    await DeferredList(ends)
    return [alone, full, rated, late]


def certificate(place: Path) -> None:
    """A certificate for ngircd, with a key of the kind that ours has, in `place`."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "irc.example.net")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    pem = serialization.Encoding.PEM
    (place / "irc.crt").write_bytes(made.sign(key, None).public_bytes(pem))
    kind, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (place / "irc.key").write_bytes(key.private_bytes(pem, kind, nothing))


class Case(typing.NamedTuple):
    """One server as it is measured: where members connect, how they speak, which it is compared with."""

    subject: Subject
    port: int
    kind: type[Member]
    beside: str


def cases(place: Path, ngircd: str | None) -> list[Case]:
    """What is measured."""
    port, lobby, irc_port, tls_port = (free_port() for _ in range(4))
    limits = [f"--limits={name}=1000000" for name in UNLIMITED]
    twistd = str(Path(sys.executable).with_name("twistd"))
    command = [sys.executable, twistd, "-n", "--pidfile=", "chatserver", "--quiet"]
    command += [f"--port={port}", f"--lobby={lobby}", f"--home={place / 'home'}", *limits]
    found = [
        Case(Subject("lobby, plain", command, port, "", ""), lobby, Bare, PLAIN),
        Case(Subject("room, TLS", command, port, "", ""), port, Ours, SECURE),
    ]
    program = ngircd or shutil.which("ngircd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is not None:
        certificate(place)
        settings = place / "ngircd.conf"
        settings.write_text(IRC_SETTINGS.format(port=irc_port, tls_port=tls_port, place=place))
        irc = [program, "-n", "-f", str(settings)]
        found += [
            Case(Subject(PLAIN, irc, irc_port, "", ""), irc_port, Irc, PLAIN),
            Case(Subject(SECURE, irc, irc_port, "", ""), tls_port, SecureIrc, SECURE),
        ]
    return found


async def main(reactor: Any) -> None:
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
                    found = await run(reactor, case, options.seconds)
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
    print(table(head, rows))


if __name__ == "__main__":
    try:
        react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
    except CannotMeasure as error:
        raise SystemExit(str(error)) from None

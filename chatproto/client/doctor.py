"""Check the server, the port and the local network, and report findings of `diagnostics`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectionRefusedError, DNSLookupError, TimeoutError
from twisted.internet.task import deferLater

from chatproto.client import diagnostics
from chatproto.client.diagnostics import FAIL, NOTE, OK, SKIP, Finding
from chatproto.directory.answer import ServerRefused
from chatproto.directory.client import ServerUnreachable
from chatproto.directory.reaching import why_unreached
from chatproto.directory.server_connection import ServerConnection
from chatproto.identity.pins import Pins
from chatproto.identity.tls import Tls
from chatproto.identity.trust import changed_key
from chatproto.nearby.messages import Beacon, Seek, read_datagram
from chatproto.nearby.ports import Ports
from chatproto.net.clock import wall
from chatproto.net.dates import moment_of
from chatproto.net.resolver import endpoint_to
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address, Bcp2Message, Error
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import host_port
from chatproto.wire.limits import CLIENT_DEFAULTS, ClientLimits
from chatproto.wire.reasons import (
    KEY_NOT_ADMITTED,
    SERVER_KEY_NOT_NAMED,
    Reason,
)
from chatproto.wire.strict import encode

SEEK_WAIT = 2.0
"""Seconds to wait for beacons after a SEEK."""

MOST_NAMES = 10
"""Most peers nearby that are named."""
SHUT = ("address", "calls", "clock")
"""Checks that are skipped if the server cannot be asked."""


@dataclass(slots=True)
class Patient:
    """Client to be checked: its identity, pins (read from `where`), and the key of --server (`named`).

    `keyed`: the identity is that of its home; else the first start will create another one. `user`: its
    account, with `password`, None if there is none to try.
    """

    client_id: str
    tls: Tls
    pins: Pins
    where: str
    named: str | None = None
    announced: str = ""
    beacon: bool = False
    keyed: bool = True
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    limits: ClientLimits = field(default=CLIENT_DEFAULTS)


class Doctor:
    """Run one check after another; `told` is called with each finding at once.

    It registers nothing and does not announce itself to peers nearby, so a client with the same key
    can run meanwhile.
    """

    def __init__(
        self,
        reactor: Any,
        patient: Patient,
        told: Callable[[Finding], None],
        random: Callable[[int], int],
    ) -> None:
        self._reactor = reactor
        self._patient = patient
        self._told = told
        self._random = random

    async def server(self, host: str, port: int) -> None:
        """Check the server at `host:port`. Never fails: each problem is a finding."""
        line = _Line(self._reactor, host, port, self._patient)
        try:
            await line.connect()
        except ServerUnreachable as error:
            self._told(
                Finding(
                    "server",
                    FAIL,
                    str(error),
                    line.advice,
                    {"server": line.name},
                    code=error.reason,
                )
            )
            self._skip("key", *SHUT)
            return
        text = f"{line.name} answers within {line.took * 1000:.0f} ms"
        self._told(Finding("server", OK, text, data={"server": line.name}))
        try:
            await self._ask(line)
        finally:
            line.connection.close()

    async def _ask(self, line: _Line) -> None:
        patient = self._patient
        try:
            await line.tls
        except ServerUnreachable as error:
            if line.shown is not None:
                self._told(diagnostics.key_refused(line.name, line.shown, str(error)))
            else:
                advice = "check host and port; for a classic server start the client with --plain"
                self._told(Finding("key", FAIL, str(error), advice, code=error.reason))
            self._skip(*SHUT)
            return
        assert line.shown is not None
        pin = patient.pins.server(line.name)
        self._told(diagnostics.key_found(line.name, line.shown, patient.named is not None, pin))
        asked = wall()
        try:
            answer = await line.ask(bcp2_server.Observe, bcp2_server.ObserveAck)
            assert isinstance(answer, bcp2_server.ObserveAck)
        except ServerRefused as error:
            self._refused(line, error)
        except ServerUnreachable as error:
            self._told(Finding("address", FAIL, str(error), "try again later", code=error.reason))
            self._skip(*SHUT[1:])
        else:
            self._told(diagnostics.address_seen(answer.observed, line.local))
            self._told(diagnostics.calls_in(answer.observed, line.local, patient.announced))
            self._told(diagnostics.clock(moment_of(answer.date), asked, wall()))
            await self._account(line)

    async def _account(self, line: _Line) -> None:
        """Check that the server lets us log in and answers, and that no other key has our id."""
        patient = self._patient
        user, password, name = patient.user, patient.password, patient.client_id
        if user is not None and password is None:
            return  # reported as a finding already
        try:
            if user is not None:
                assert password is not None
                await line.ask(
                    lambda cseq: bcp2_server.Login(cseq, user, password), bcp2_server.LoginAck
                )
                self._told(Finding("account", OK, f"{user} can log in"))
            listed = await line.ask(
                lambda cseq: bcp2_server.Info(cseq, prefix=name, limit=1), bcp2_server.InfoAck
            )
        except ServerRefused as error:
            self._told(diagnostics.account_refused(error.status or 0, line.name, user))
        except ServerUnreachable as error:
            self._told(Finding("account", FAIL, str(error), "try again later", code=error.reason))
        else:
            assert isinstance(listed, bcp2_server.InfoAck)
            owners = [one.key for one in listed.contacts if one.client_id == name]
            if owners and owners[0] != patient.tls.identity.name:
                self._told(diagnostics.id_taken(name, owners[0]))

    def _refused(self, line: _Line, error: ServerRefused) -> None:
        if error.status == 405:
            text = "the server is older than this program and cannot tell how it sees you"
            self._told(Finding("address", NOTE, text))
        else:
            patient = self._patient
            advice = f"ask its operator to allow your key: {patient.tls.identity.name}"
            if not patient.keyed:
                advice = "start the client once: its key is made then; then ask for the key to be allowed"
            text = str(error)
            if error.status == 403:
                text = KEY_NOT_ADMITTED(server=line.name)
            self._told(Finding("address", FAIL, text, advice, refused=True, code=error.reason))
        self._skip(*SHUT[1:])

    async def port(self, endpoint: Any, factory: Any, what: str) -> None:
        """Check that our own port can be opened; `what` describes it in words."""
        try:
            opened = await endpoint.listen(factory)
        except Exception as error:  # endpoints of plugins raise any exception
            why = getattr(getattr(error, "socketError", error), "strerror", None) or error
            advice = "this is fine if your own client uses it; else choose another --port"
            self._told(Finding("port", NOTE, f"{what} cannot be opened: {why}", advice))
        else:
            await opened.stopListening()
            self._told(Finding("port", OK, f"{what} can be opened for incoming calls"))

    async def nearby(self) -> None:
        """Check which peers answer on the local networks."""
        limits = self._patient.limits
        token = f"{self._random(64):016x}"
        back: set[str] = set()
        neighbours: dict[str, None] = {}

        def heard(data: bytes, host: str) -> None:
            try:
                message = read_datagram(data, limits.beacon)
            except RemoteError:
                return
            match message:
                case Seek():
                    back.update([host] if message.token == token else [])
                case Beacon(client_id, key) if len(neighbours) < MOST_NAMES:
                    own = key == self._patient.tls.identity.name
                    neighbours[f"{client_id} (you)" if own else client_id] = None

        ports = Ports(self._reactor, heard, limits.beacon)
        ports.look()
        ports.say(encode(Seek(token)))
        await deferLater(self._reactor, SEEK_WAIT)
        networks = ports.networks
        ports.close()
        outside = [one.partition("%")[0] for one in back]
        self._told(
            diagnostics.beacons(
                networks,
                any(not ip_address(one).is_loopback for one in outside),
                sorted(neighbours),
                ports.trouble,
                self._patient.beacon,
            )
        )

    def _skip(self, *checks: str) -> None:
        for check in checks:
            self._told(Finding(check, SKIP, "not checked: the server could not be asked"))


def _advice(error: Exception) -> str:
    """Return advice for a connection that failed with `error`."""
    match error:
        case ConnectionRefusedError():
            return "start the server, or check host and port in --server"
        case DNSLookupError():
            return "check the name in --server, and that this machine is online"
        case TimeoutError():
            return "check the address, and for a firewall on the path"
    return "check that this machine is online"


class _Line:
    """Connection to a server, made step by step."""

    def __init__(self, reactor: Any, host: str, port: int, patient: Patient) -> None:
        self.name = host_port(host, port)
        self.advice = ""
        self.shown: str | None = None  # key of the server
        self.took = 0.0
        self.local: Address = ("", 0)
        self._reactor = reactor
        self._at = host, port
        self._patient = patient
        self.tls: Deferred[None] = Deferred()
        """Fires when the server's key was accepted; fails with ServerUnreachable."""
        self._refusal: ServerRefused | None = None
        self.connection = ServerConnection(
            self, reactor, patient.tls.handshake(self._judge), patient.limits
        )

    async def connect(self) -> None:
        """Connect. Raises ServerUnreachable; then `advice` tells what to do."""
        began = self._reactor.seconds()
        endpoint = endpoint_to(self._reactor, *self._at, self._patient.limits.handshake_wait)
        try:
            await connectProtocol(endpoint, self.connection)
        except Exception as error:  # systems raise many kinds of errors here
            self.advice = _advice(error)
            raise ServerUnreachable(why_unreached(error, self.name)) from None
        self.took = self._reactor.seconds() - began
        end = self.connection.transport.getHost()
        self.local = str(end.host).removeprefix("::ffff:"), end.port

    async def ask(
        self, request: Callable[[int], Bcp2Message], wanted: type[Bcp2Message]
    ) -> Bcp2Message:
        """Send a request; return the answer. Raises ServerRefused, ServerUnreachable."""
        try:
            return await self.connection.ask(request, wanted)
        except ServerUnreachable:
            if self._refusal is not None:
                raise self._refusal from None
            raise

    def _judge(self, key: str) -> str | None:
        self.shown = key
        patient, pin = self._patient, self._patient.pins.server(self.name)
        if patient.named is not None:
            wrong = key != patient.named
            return SERVER_KEY_NOT_NAMED(shown=key) if wrong else None
        if pin is None or pin.key == key:
            return None
        accept = f"start with --server {self.name}/{key}"
        return changed_key(pin, patient.where, f"the server {self.name}", accept)

    # Called by the connection.

    def connection_made(self, connection: ServerConnection) -> None:
        self.tls.callback(None)

    def connection_pushed(self, push: Bcp2Message) -> None:
        if isinstance(push, Error):
            self._refusal = ServerRefused(Reason.of(push.status).sentence, push.status)

    def connection_lost(self, connection: ServerConnection | None, why: str, final: bool) -> None:
        if not self.tls.called:
            self.tls.errback(ServerUnreachable(why))

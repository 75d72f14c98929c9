"""Looks at everything between this machine and others, and hands what it saw to `findings`."""

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
from chatproto.directory.server_connection import ServerConnection
from chatproto.identity.pins import Pins
from chatproto.identity.tls import Tls
from chatproto.identity.trust import changed_key
from chatproto.nearby.messages import Beacon, Seek, read_datagram
from chatproto.nearby.ports import Ports
from chatproto.net.clock import Wall, wall
from chatproto.net.connect_errors import connect_trouble
from chatproto.net.dates import moment_of
from chatproto.net.resolver import endpoint_to
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address, Bcp2Message, Error
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import host_port
from chatproto.wire.limits import CLIENT_DEFAULTS, ClientLimits
from chatproto.wire.reasons import (
    NO_SERVER_AT,
    SERVER_HOST_UNKNOWN,
    SERVER_KEY_NOT_NAMED,
    SERVER_NOT_REACHED,
    SERVER_SILENT,
    Reason,
)
from chatproto.wire.strict import encode

SEEK_WAIT = 2.0
"""Seconds for beacons, where somebody has asked for them."""

MOST_NAMES = 10
"""People nearby who are named."""
SHUT = ("address", "calls", "clock")
"""Checks whose result is not known of a server that cannot be asked."""


@dataclass(slots=True)
class Patient:
    """Client to be checked: its identity, pins (read from `where`), and the key of --server (`named`)."""

    tls: Tls
    pins: Pins
    where: str
    named: str | None = None
    announced: str = ""
    beacon: bool = False
    limits: ClientLimits = field(default=CLIENT_DEFAULTS)


class Doctor:
    """Looks at one thing after another; `told` gets each finding as soon as there is one.

    Registers nobody and says to people nearby nothing of who asks, so that a client with the same key
    may run meanwhile. `clock` returns the time of day.
    """

    def __init__(
        self,
        reactor: Any,
        patient: Patient,
        told: Callable[[Finding], None],
        random: Callable[[int], int],
        clock: Callable[[], Wall] = wall,
        ports: Callable[..., Any] = Ports,
    ) -> None:
        self._reactor = reactor
        self._patient = patient
        self._told = told
        self._random = random
        self._clock = clock
        self._ports = ports

    async def server(self, host: str, port: int) -> None:
        """Look at the server at `host:port`. Fails with nothing: what is wrong is a finding."""
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
            await line.tls()
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
        asked = self._clock()
        try:
            answer = await line.observe()
        except ServerRefused as error:
            self._refused(error)
        except ServerUnreachable as error:
            self._told(Finding("address", FAIL, str(error), "try again later", code=error.reason))
            self._skip(*SHUT[1:])
        else:
            self._told(diagnostics.address_seen(answer.observed, line.local))
            self._told(diagnostics.calls_in(answer.observed, line.local, patient.announced))
            self._told(diagnostics.clock(moment_of(answer.date), asked, self._clock()))

    def _refused(self, error: ServerRefused) -> None:
        if error.status == 405:
            text = "the server is older than this program and cannot tell how it sees you"
            self._told(Finding("address", NOTE, text))
        else:
            key = self._patient.tls.identity.name
            advice = f"ask its operator to allow your key: {key}"
            text = f"the server refused: {error}"
            self._told(Finding("address", FAIL, text, advice, refused=True, code=error.reason))
        self._skip(*SHUT[1:])

    async def port(self, endpoint: Any, factory: Any, what: str) -> None:
        """Check that our own port can be opened; `what` describes it in words."""
        try:
            opened = await endpoint.listen(factory)
        except Exception as error:  # endpoints of plugins raise what they like
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
        people: dict[str, None] = {}

        def heard(data: bytes, host: str) -> None:
            try:
                message = read_datagram(data, limits.beacon)
            except RemoteError:
                return
            if isinstance(message, Seek):
                back.update([host] if message.token == token else [])
            elif isinstance(message, Beacon) and len(people) < MOST_NAMES:
                own = message.key == self._patient.tls.identity.name
                people[f"{message.client_id} (you)" if own else message.client_id] = None

        ports = self._ports(self._reactor, heard, limits.beacon)
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
                sorted(people),
                ports.trouble,
                self._patient.beacon,
            )
        )

    def _skip(self, *checks: str) -> None:
        for check in checks:
            self._told(Finding(check, SKIP, "not checked: the server could not be asked"))


class _Line:
    """Connection to a server, made step by step."""

    def __init__(self, reactor: Any, host: str, port: int, patient: Patient) -> None:
        self.name = host_port(host, port)
        self.advice = ""
        self.shown: str | None = None  # its key
        self.took = 0.0
        self.local: Address = ("", 0)
        self._reactor = reactor
        self._at = host, port
        self._patient = patient
        self._made: Deferred[None] = Deferred()
        self._refusal: ServerRefused | None = None
        self.connection = ServerConnection(
            self, reactor, patient.tls.handshake(self._judge), patient.limits
        )

    async def connect(self) -> None:
        """Raises Unreachable, and then `advice` says what to do."""
        began = self._reactor.seconds()
        endpoint = endpoint_to(self._reactor, *self._at, self._patient.limits.handshake_wait)
        try:
            await connectProtocol(endpoint, self.connection)
        except ConnectionRefusedError:
            self.advice = "start the server, or check host and port in --server"
            raise ServerUnreachable(NO_SERVER_AT(server=self.name)) from None
        except DNSLookupError:
            self.advice = "check the name in --server, and that this machine is online"
            raise ServerUnreachable(SERVER_HOST_UNKNOWN(host=self._at[0])) from None
        except TimeoutError:
            self.advice = "check the address, and for a firewall on the path"
            raise ServerUnreachable(SERVER_SILENT(server=self.name)) from None
        except Exception as error:  # every other way in which a system says that it cannot
            self.advice = "check that this machine is online"
            raise ServerUnreachable(
                SERVER_NOT_REACHED(server=self.name, error=connect_trouble(error))
            ) from None
        self.took = self._reactor.seconds() - began
        end = self.connection.transport.getHost()
        self.local = str(end.host).removeprefix("::ffff:"), end.port

    def tls(self) -> Deferred[None]:
        """Fires when its key is known and right; fails with Unreachable."""
        return self._made

    async def observe(self) -> bcp2_server.ObserveAck:
        """Raises Refused or Unreachable."""
        try:
            answer = await self.connection.ask(bcp2_server.Observe, bcp2_server.ObserveAck)
        except ServerUnreachable:
            if self._refusal is not None:
                raise self._refusal from None
            raise
        assert isinstance(answer, bcp2_server.ObserveAck)
        return answer

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
        self._made.callback(None)

    def connection_pushed(self, push: Bcp2Message) -> None:
        if isinstance(push, Error):
            self._refusal = ServerRefused(Reason.of(push.status).sentence, push.status)

    def connection_lost(self, connection: ServerConnection | None, why: str, final: bool) -> None:
        if not self._made.called:
            self._made.errback(ServerUnreachable(why))

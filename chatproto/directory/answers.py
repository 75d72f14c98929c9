"""Answer classic requests, and format the lines that the server's terminal shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.group import Group
from chatproto.directory.id_owners import IdOwners
from chatproto.directory.pairing import bridge
from chatproto.directory.registry import Registry
from chatproto.wire.classic import (
    ClassicBridge,
    ClassicBridgeAck,
    ClassicError,
    ClassicInfo,
    ClassicInfoAck,
    ClassicProbe,
    ClassicQuit,
    ClassicRegAck,
    ClassicRegister,
    Message,
    ProbeAck,
    QuitAck,
    UnregAck,
    Unregister,
)
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact, host_port
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

if TYPE_CHECKING:
    from chatproto.directory.keyed import KeyedDirectory


class Directory:
    """Rules of the classic requests over a registry; `now` is passed in, in seconds.

    `names`: ids that belong to keys, which no classic client can register.
    """

    def __init__(
        self,
        registry: Registry,
        limits: ServerLimits = SERVER_DEFAULTS,
        names: IdOwners | None = None,
    ) -> None:
        self.registry = registry
        self.open: KeyedDirectory | None = None
        """Clients with a key that also accept plain-text calls."""
        self._names = names
        self.limits = limits

    def begin(self, registry: Registry, names: IdOwners) -> None:
        """Continue with another store."""
        self.registry = registry
        self._names = names

    def answer(self, message: Message, source: Origin, now: float) -> Message:
        """Answer one request from `source`; a refusal is an Error message."""
        try:
            match message:
                case ClassicRegister():
                    return self._register(message, source, now)
                case ClassicBridge():
                    return self._bridge(message, source, now)
                case ClassicInfo():
                    return ClassicInfoAck(self._listed(source))
                case ClassicProbe():
                    return ProbeAck()
                case Unregister():
                    self._forget(message.client_id, source)
                    return UnregAck()
                case ClassicQuit():
                    self._forget(message.client_id, source)
                    return QuitAck()
        except RemoteError as error:  # a store that is full, or fails
            return ClassicError(error.status)
        return ClassicError(405)

    def _listed(self, source: Origin) -> tuple[Contact, ...]:
        most = self.limits.info_lines
        found = [lease.contact() for lease in self.registry.listed(most)]
        if self.open is not None and len(found) < most:
            found += self.open.open_contacts(source, most - len(found))
        return tuple(found)

    def register(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        """Store a registration that is new, or that a former connection made; return False if `answer`
        must decide.

        Short cut for nearly all registrations: `answer` has the same result.
        """
        registry, names, (client_id, ip, port) = self.registry, self._names, message
        try:
            if names is not None and names.owner(client_id) is not None:
                return False
            if registry.find(client_id) is not None:
                return registry.renew(message, source, now)
            ip = source.host if ip == source.host else source.claimed(ip)
            registry.keep(ClassicRegistration(client_id, ip, port, source), now)
        except RemoteError:  # the store is full or fails: `answer` reports it
            return False
        return True

    def _register(self, message: ClassicRegister, source: Origin, now: float) -> Message:
        """Store the registration, or refuse it with 409 if another client holds the id."""
        if self.registry.confirm(message, source, now):
            return ClassicRegAck(*message)
        client_id, ip, port = message
        owner = self._names.owner(client_id) if self._names is not None else None
        if owner is None and self.registry.renew(message, source, now):
            return ClassicRegAck(*message)
        lease = self.registry.find(client_id)
        group = Group(owner, classic={client_id: lease} if lease is not None else {})
        heard, wait = self.registry.heard_at(client_id), self.limits.takeover_wait
        made = group.decide_classic(client_id, source.claimed(ip), port, source, heard, now, wait)
        self.registry.keep(made, now)
        return ClassicRegAck(*message)

    def _bridge(self, message: ClassicBridge, source: Origin, now: float) -> Message:
        """Introduce a peer; counts as a request of the asker if it is sent from the asker's address."""
        asker = message.client_id
        lease = self.registry.find(asker)
        if lease is not None and lease.source.is_same_host(source):
            self.registry.touch(asker, now)
        peer = bridge(self.registry, asker, now, self.limits.partner_wait, waits=False)
        contact = peer.contact() if peer is not None else None
        if contact is None and self.open is not None:
            contact = self.open.next_open(asker, source)
        if contact is None:
            self.registry.wait(asker)
            return ClassicBridgeAck()
        return ClassicBridgeAck(contact.client_id, contact.host, contact.port)

    def _forget(self, client_id: str, source: Origin) -> None:
        """Remove `client_id` for `source`. Raises RemoteError as `check_forget` does."""
        check_forget(client_id, self.registry.find(client_id), source)
        self.registry.forget(client_id)

    def line(self, message: Message, reply: Message, source: Origin) -> str | None:
        """Format the terminal's line for a request and its reply, as the assignment prescribes."""
        match message, reply:
            case ClassicRegister(), ClassicRegAck():
                return register_line(message)
            case ClassicBridge(), ClassicBridgeAck():
                return bridge_line(message, reply, self.registry.find(message.client_id), source)
        return None

    def info_lines(self) -> Iterator[str]:
        """Format every registration as `<clientID> <ip>:<port>`, for the server's terminal.

        Yields them one by one, of the registrations that exist at that time.
        """
        for lease in self.registry.listed(len(self.registry)):
            one = lease.contact()
            yield f"{one.client_id} {host_port(one.host, one.port)}"


def check_forget(client_id: str, lease: ClassicRegistration | None, source: Origin) -> None:
    """Check that a client registered from `source`, which may therefore end its registration.

    Raises: RemoteError: 400 for no id, 404 for an unknown client, 403 from another address.
    """
    if not client_id:
        raise RemoteError(400, "name an id")
    if lease is None:
        raise RemoteError(404, "that is not registered here")
    if lease.key is not None or not lease.source.is_same_host(source):
        raise RemoteError(403, "another client registered that id")


def bridge_line(
    message: ClassicBridge,
    reply: ClassicBridgeAck,
    lease: ClassicRegistration | None,
    source: Origin,
) -> str:
    """Format the terminal's line for an introduction. `lease`: the asker's registration, or None."""
    host, port = (lease.ip, lease.port) if lease else (source.host, source.port)
    asker = f"BRIDGE: {message.client_id} {host_port(host, port)}"
    if reply.port is None:
        return asker
    return f"{asker} {reply.client_id} {host_port(reply.ip, reply.port)}"


def register_line(message: ClassicRegister) -> str:
    """Format the terminal's line for a registration."""
    client_id, ip, port = message
    where = host_port(ip, port) if ":" in ip else f"{ip}:{port}"  # most are IPv4
    return f"REGISTER: {client_id} from {where} received"

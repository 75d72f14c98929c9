"""Handle messages that a BCP/2 server pushes without a request."""

from __future__ import annotations

from dataclasses import field

from chatproto.client.calls.rendezvous import Rendezvous
from chatproto.client.context import Context, Signal
from chatproto.client.events import Failed, Notice, Registered
from chatproto.directory.secure_client import SecureServer
from chatproto.identity.pins import PinTrouble
from chatproto.wire import bcp2_server, reasons
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.fields import Contact
from chatproto.wire.reasons import Reason, reason_of
from chatproto.wire.values import value_class

SAYS: dict[int | None, reasons.Sentence] = {
    401: reasons.SERVER_WANTS_LOGIN,
    409: reasons.SERVER_ID_TAKEN,
}
"""Sentences for final refusals, after which a server is not retried, by status."""


@value_class
class ServerEvents:
    """Signals about the server, for the parts of a client that they concern.

    `registered`: a registration succeeded, the first or a later one. `lost`: the connection has ended;
    False: it is not retried. `introduced`: a peer asked for us and may call. `contact_online`: a watched
    contact is online, by the server or a local beacon. `pushed`: a message about a room.
    """

    registered: Signal[None] = field(default_factory=Signal)
    lost: Signal[bool] = field(default_factory=Signal)
    introduced: Signal[Rendezvous] = field(default_factory=Signal)
    contact_online: Signal[str] = field(default_factory=Signal)
    pushed: Signal[Bcp2Message] = field(default_factory=Signal)


class ServerNews:
    """Publish the server's messages as events, and store the keys and addresses in them.

    The server is at one of `addresses`, which share one directory and so one key: the first one pinned.
    `named`: the user has given the key, so it is not reported as new."""

    def __init__(
        self,
        context: Context,
        events: ServerEvents,
        *addresses: str,
        named: bool = False,
    ) -> None:
        self._named = named
        self._known = known = context.trust
        pins = [known.file.pins.server(address) for address in addresses]
        pin = next((one for one in pins if one is not None), None)
        known.server_key = pin.key if pin is not None else None
        self.where = pin.name if pin is not None else addresses[0]
        """Address at which the server's key was pinned; the first of `addresses` if none was."""
        self._then = "trying the next" if len(addresses) > 1 else "retrying"
        self._context = context
        self._events = events
        self._trying = False

    def server_registered(self, server: SecureServer, expires: int) -> None:
        """Handle a successful registration, the first or a later one."""
        known, key = self._known, server.key
        assert key is not None
        known.server_key, self.where = key, server.name
        self._context.own_addresses.found(server.at, server.observed, server.near)
        self._trying = False
        try:
            first = known.pin_server(server.name, key) and not self._named
        except PinTrouble as error:
            self._context.publish(Failed(str(error), code=error.reason))
            first = False
        self._context.publish(Registered(server.name, expires, key, first))
        self._events.registered(None)

    def server_lost(self, server: SecureServer, why: str) -> None:
        """Handle a lost or failed connection; report only the first of many attempts.

        A user who was never registered at this server is shown what to do, unless the server answered
        with 429.
        """
        if not self._trying:
            self._trying = True
            if server.name not in why:
                why = reasons.SERVER_NEWS.around(why, server=server.name)
            news = reasons.SERVER_AWAY.around(why, then=self._then)
            self._context.publish(Notice(news, code=news.reason))
            answered = news.reason is Reason.RATE_LIMITED
            never = not answered and self._known.file.pins.server(server.name) is None
            if self._context.settings.typed and never:
                hint = reasons.NO_SERVER_YET()
                self._context.publish(Notice(hint, code=hint.reason))
        self._events.lost(True)

    def server_refused(self, server: SecureServer, why: str, status: int | None) -> None:
        """Handle a final refusal, by the server or because of its key."""
        code = reason_of(why, Reason.of(status))
        code = Reason.LOGIN_REFUSED if server.login_refused else code
        if server.name not in why:
            says = reasons.SERVER_NEWS if status is None else reasons.SERVER_REFUSED
            why = SAYS.get(status, says)(server=server.name, why=why)
        self._context.publish(Failed(why, status=status, command="register", code=code))
        self._events.lost(False)

    def server_left_out(self, server: SecureServer, why: str) -> None:
        """Report that one of several servers is no longer used."""
        self._context.publish(
            Failed(
                reasons.SERVER_LEFT_OUT(server=server.name, why=why),
                command="register",
                code=reason_of(why, Reason.SERVER_UNREACHABLE),
            )
        )

    def introduced(self, server: SecureServer, push: bcp2_server.Introduce) -> None:
        """Handle INTRODUCE: a peer asked the server for us and may call."""
        self._known.introduce(push.client_id, push.key)
        self._events.introduced(
            Rendezvous(push.client_id, push.key, push.addresses, push.call, push.ticket, push.relay)
        )
        if push.addresses:
            host, port = push.addresses[0]
            contact = Contact(push.client_id, host, port, push.key)
            self._context.address_book.remember(contact, push.addresses)

    def present(self, server: SecureServer, push: bcp2_server.Presence) -> None:
        """Handle PRESENCE: a watched contact is online."""
        self._context.address_book.set_away(push.peer_id, push.away)
        self._events.contact_online(push.peer_id)

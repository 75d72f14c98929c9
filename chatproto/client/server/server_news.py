"""Handle what a BCP/2 server tells without a request."""

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
"""Sentences for the refusals after which a server is not tried again, by status."""


@value_class
class ServerEvents:
    """Signals about the server, for the parts of a client that they concern.

    `registered`: the server knows us now, or again. `lost`: the connection has ended; False: it is not
    tried again. `introduced`: a peer asked for us and may call. `came`: a watched contact is there; a
    beacon on the local network counts too. `pushed`: a message about a room.
    """

    registered: Signal[None] = field(default_factory=Signal)
    lost: Signal[bool] = field(default_factory=Signal)
    introduced: Signal[Rendezvous] = field(default_factory=Signal)
    came: Signal[str] = field(default_factory=Signal)
    pushed: Signal[Bcp2Message] = field(default_factory=Signal)


class ServerNews:
    """Turns it into events, and keeps the keys and addresses that it tells; the server is at one of
    `addresses`, which have one directory, and so one key: the first that is known of theirs. `named`:
    the person has named the key, and is not told that it is new."""

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
        """Address of the server at which the key was pinned; the first of `addresses` if none was."""
        self._then = "trying the next" if len(addresses) > 1 else "retrying"
        self._context = context
        self._events = events
        self._trying = False

    def server_registered(self, server: SecureServer, expires: int) -> None:
        """Handle a registration that succeeded, also again."""
        known, key = self._known, server.key
        assert key is not None
        known.server_key, self.where = key, server.name
        self._context.place.found(server.at, server.observed, server.near)
        self._trying = False
        try:
            first = known.pin_server(server.name, key) and not self._named
        except PinTrouble as error:
            self._context.publish(Failed(str(error), code=error.reason))
            first = False
        self._context.publish(Registered(server.name, expires, key, first))
        self._events.registered(None)

    def server_lost(self, server: SecureServer, why: str) -> None:
        """The connection is gone, or was not to be had: one line for the first of many tries.

        A person who has never been registered there is told what to do about it, unless the server
        has answered: with 429.
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
        """Handle a final refusal, by the server or of its key."""
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
            self._context.people.remember(contact, push.addresses)

    def present(self, server: SecureServer, push: bcp2_server.Presence) -> None:
        """Handle PRESENCE: a watched contact is online."""
        self._context.people.set_away(push.peer_id, push.away)
        self._events.came(push.peer_id)

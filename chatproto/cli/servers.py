"""Build the connection to the server, and decide whether to accept its key."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from chatproto.cli.asking import account_password
from chatproto.cli.options import WrongOption
from chatproto.client.app import ServerAccess
from chatproto.client.context import Context
from chatproto.client.events import Notice
from chatproto.client.server.introducers import ClassicIntroducer, SecureIntroducer
from chatproto.client.server.server_news import ServerEvents, ServerNews
from chatproto.directory.client import ClassicServer
from chatproto.directory.room_client import RoomClient
from chatproto.directory.secure_client import SecureServer
from chatproto.identity.trust import changed_key
from chatproto.wire import bcp2_server, reasons
from chatproto.wire.errors import CannotStart
from chatproto.wire.fields import host_port
from chatproto.wire.limits import CLIENT_DEFAULTS


def connect(
    reactor: Any,
    options: Mapping[str, Any],
    context: Context,
    events: ServerEvents,
) -> ServerAccess:
    """Create the client's side of the server, or of several with one directory, for `options`.

    Args: events: receive what a server pushes.
    """
    (host, port), *others = options["servers"]
    known = context.trust
    if not known.own_key:
        servers = (ClassicServer(reactor, *one) for one in options["servers"])
        return ServerAccess(ClassicIntroducer(*servers))
    wanted = options["server-key"]
    addresses = (host_port(*one) for one in options["servers"])
    named = wanted is not None
    news = ServerNews(context, events, *addresses, named=named)

    def judge(key: str) -> str | None:
        address = server.name
        pin = known.file.pins.server(address)
        if wanted is not None and key != wanted:
            return reasons.SERVER_KEY_NOT_NAMED(shown=key)
        if pin is not None and pin.key != key and wanted is None:
            accept = f"start with --server {address}/{key}"
            return changed_key(pin, known.path, f"the server {address}", accept)
        if wanted is None and known.server_key not in (None, key):
            return reasons.OTHER_DIRECTORY(first=news.where, shown=key)
        return None

    jitter = random.SystemRandom().random
    login = None
    if options["user"] is not None:
        login = _login(options)
    server = SecureServer(
        reactor,
        host,
        port,
        lambda: known.handshake(judge),
        news,
        jitter,
        CLIENT_DEFAULTS,
        login,
        others,
        registers=not options.get("only-asks"),
        renewed=partial(_renewed, options),
        pushed=events.pushed,
        own_port=lambda: context.own_addresses.own_port,
        is_known=lambda: wanted is not None or known.file.pins.server(server.name) is not None,
        silent=lambda why: context.publish(Notice(why, code=reasons.reason_of(why))),
    )
    introducer = SecureIntroducer(
        server,
        not options["unlisted"],
        tuple(options["allow"]),
        context.own_addresses.addresses,
        bool(options["open"]),
    )
    return ServerAccess(introducer, RoomClient(server))


def _login(options: Mapping[str, Any]) -> Callable[[int], bcp2_server.Login]:
    """Return a factory of LOGIN messages with the password known at the time of the call."""
    return lambda cseq: bcp2_server.Login(cseq, options["user"], options["password"])


def _renewed(options: Any) -> str:
    """Read the password again; return why it would be the refused one again, or ""."""
    file, former = options["password-file"], options["password"]
    if options.get("typed-password"):
        options["typed-password"] = False
        return ""
    if file is None:
        return reasons.SAME_PASSWORD()
    try:
        options["password"] = account_password(options["user"], file)
    except (WrongOption, CannotStart) as error:
        return str(error)
    return reasons.SAME_PASSWORD_FILE(file=file) if options["password"] == former else ""

"""Serve IRC clients (--irc): the face, and where they connect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService

from chatproto.cli.client_options import Options
from chatproto.cli.options import cannot_start
from chatproto.client.app import Client
from chatproto.client.events import Event
from chatproto.ui.irc.commands import take
from chatproto.ui.irc.face import IrcFace
from chatproto.ui.irc.listening import PortListener, SocketListener, read_password
from chatproto.ui.irc.nick_file import NAME, NickFile
from chatproto.ui.irc.people import People
from chatproto.wire.errors import CannotStart


def serve_irc(
    reactor: Any,
    options: Options,
    client: Client,
    tell: Callable[[Event], None],
    program: MultiService,
) -> Callable[[Event], None]:
    """Add the IRC face to `program`; return what shows events to the other interface beside it."""
    home, path = options["home"], options["irc-socket"]
    people = People(client, NickFile(None if options["plain"] else home / NAME))
    password = ""
    if path is None:
        try:
            password = read_password(home)
        except CannotStart as error:
            cannot_start(error)
    face = IrcFace(client, people, take, password, lambda: listener.where())

    def complain(why: str) -> None:
        cannot_start(CannotStart(why))

    listener: PortListener | SocketListener
    if path is None:
        listener = PortListener(reactor, options["irc"], face, home, complain)
    else:
        listener = SocketListener(reactor, path, face, complain)
    listener.setServiceParent(program)
    client.context.publish.listen(face.tell)
    client.context.hold_input.listen(face.hold)
    return face.beside(tell, spoken=options["ui"] == "plain")

"""Serve IRC clients (--irc): the face, and its port or socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService

from chatproto.cli.client_options import Options
from chatproto.client.app import Client
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
    program: MultiService,
    cannot_start: Callable[[CannotStart], None],
) -> IrcFace:
    """Add the listener for IRC clients to `program`; return the face, which is not subscribed to events
    yet.

    `cannot_start` ends the program if it cannot listen.
    """
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
    return face

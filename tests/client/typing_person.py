"""A client in memory, and what a person can type there, as calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random, SystemRandom
from typing import Any

from chatproto.client.app import Client, Connect, Storage, build_client, no_server
from chatproto.client.context import Context
from chatproto.client.own_addresses import OwnAddresses
from chatproto.client.settings import ClientSettings
from chatproto.client.trust_store import TrustStore
from chatproto.net.clock import Wall
from chatproto.session.ledger import Ledger
from chatproto.ui.commands import ROWS, Command, TypedText, run
from tests.limits import DEFAULTS, Limits

ALIASES = {"acquaintances": "trust", "reactor": "clock"}
ROW_OF = {
    "list_files": "files",
    "list_waiting": "outbox",
    "unignore": "ignore",
    "list_ignored": "ignore",
}
"""Rows with another name than the method of `TypingPerson`."""


def made(
    clock: Any,
    settings: ClientSettings,
    limits: Limits = DEFAULTS,
    trust: TrustStore | None = None,
    ledger: Ledger | None = None,
    random: Random | None = None,
    *,
    connect: Connect = no_server,
    storage: Storage | None = None,
    now: Callable[[], Wall] | None = None,
    **parts: Any,
) -> Any:
    """Build a client and return a `TypingPerson`; without `now` the time of day is that of `clock`."""
    now = now or (lambda: Wall(clock.seconds()))
    own_addresses = OwnAddresses(settings.announce)
    context = Context(
        settings, limits, clock, now, random or SystemRandom(), own_addresses=own_addresses
    )
    if trust is not None:
        context = replace(context, trust=trust)
    client = build_client(
        context,
        connect=connect,
        ledger=ledger,
        storage=storage,
        **parts,
    )
    return TypingPerson(client)


class TypingPerson:
    """Type commands: `person.chat("bob")` is `/chat bob`, `person.say("hi")` a text.

    What is no command is an attribute of the client, or of its context.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        if name == "say":
            return self._say
        if (
            name not in ("rooms", "me")
            and ROW_OF.get(name, name) in ROWS
            and name not in ("files", "help")
        ):
            return lambda *given: self._type(name, *given)
        name = ALIASES.get(name, name)
        client = self.client
        for part in (client, client.context, client.calls, client.conversations):
            if hasattr(part, name):
                return getattr(part, name)
        raise AttributeError(name)

    def _say(self, text: str) -> None:
        run(TypedText(text), self.client)

    def _type(self, name: str, *given: Any) -> None:
        match name, given:
            case "send", (paths, *to):
                given = (to[0] if to else "", *paths)
            case "ignore", _:
                given = (*given, "no")
            case "unignore", _:
                given = (*given, "yes")
            case "list_ignored", _:
                given = ("", "no")
        run(Command(ROW_OF.get(name, name), tuple(given)), self.client)

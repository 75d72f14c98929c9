"""Build a client that runs inside another program, from the options of chatclient."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python import usage

from chatproto.cli.client_options import OF_INTERFACE, Options
from chatproto.cli.client_program import chat_service, make_client, remembered_rooms, shown
from chatproto.cli.options import WrongOption
from chatproto.client.app import Client
from chatproto.client.events import Event
from chatproto.net.clock import use_monotonic_time
from chatproto.net.resolver import use_system_resolver
from chatproto.wire.errors import CannotStart

Value = str | int | float | os.PathLike[str] | Sequence[str] | None
"""Value of an option; True for one that takes none, a sequence for one that is given several times."""
KEPT_BACK = frozenset({"help", "version", "config", "completion", *OF_INTERFACE}) - {
    *("autojoin", "rejoin")
}
"""Options that concern a user's terminal or file."""


class EmbeddedOptions(Options):
    """Options of chatclient as values. Nothing is read from the command line, a file or a terminal."""

    interactive = False

    def __init__(self, values: Mapping[str, Value]) -> None:
        """Check `values`: names as on the command line, with `_` instead of `-`. Raises UsageError."""
        super().__init__()
        words = [word for name, value in values.items() for word in self._words(name, value)]
        usage.Options.parseOptions(self, words)  # ProgramOptions would end the process

    def postOptions(self) -> None:
        self["ui"] = "json"  # as for a script: only rooms that it names are joined
        self.check()
        if self["user"] is not None and self["password-file"] is None:
            raise WrongOption("user needs password_file")

    def _words(self, name: str, value: Value) -> Iterator[str]:
        option = name.replace("_", "-")
        known = {one.removesuffix("=") for one in self.longOpt}
        if option not in known or option in KEPT_BACK:
            raise WrongOption(f"there is no option {name}")
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        for one in values:
            if one is True:
                yield f"--{option}"
            elif one is not None and one is not False:
                yield f"--{option}={one if isinstance(one, str | int | float) else os.fspath(one)}"


class NoKeyboard:
    """Keyboard of a program that reads no input."""

    def start(self) -> None:
        """Do nothing: there is no input."""

    def stop(self) -> None:
        """Do nothing: there is no input."""


class NoScreen:
    """Screen of a program that shows nothing."""

    def flush(self) -> Deferred[None]:
        """Return a fired Deferred."""
        return succeed(None)


class Embedded:
    """A client in its opened home, and the service that runs it, which is not started.

    Args: serves: scripts may use it by control.sock. tell: gets every event. cannot_start: called if the
    port cannot be opened. Raises: CannotStart: the home cannot be used. WrongOption: the file of the
    password has none.
    """

    def __init__(
        self,
        reactor: Any,
        options: Options,
        serves: bool,
        tell: Callable[[Event], None],
        cannot_start: Callable[[CannotStart], None],
    ) -> None:
        use_monotonic_time(reactor)
        use_system_resolver(reactor)
        try:
            options.prepare()
        except BaseException:
            options["opened"].close()
            raise
        self.client: Client = make_client(reactor, options, remembered=remembered_rooms(options))
        self.scripts = shown(self.client, tell)
        self.service = chat_service(
            reactor,
            options,
            self.client,
            self.scripts if serves else None,
            NoKeyboard(),
            NoScreen(),
            cannot_start,
            lambda: None,
        )

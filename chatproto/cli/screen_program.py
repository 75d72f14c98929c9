"""Start the client with the full interface: the prompt stands first, then the client is loaded.

Half of a start is the import of the client's modules. They are imported one in each turn of the
reactor, so that typed keys are shown meanwhile. Nothing of `chatproto.client.app` is imported here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import CooperativeTask, TaskStopped, cooperate
from twisted.python.failure import Failure

from chatproto.cli.client_options import Options
from chatproto.cli.collector import without_collector
from chatproto.cli.hang_up import HangUp
from chatproto.cli.interrupt import Interrupt
from chatproto.cli.options import cannot_start
from chatproto.cli.signals import handle_signals_later
from chatproto.net.clock import use_monotonic_time, wall
from chatproto.stdio.output import Output
from chatproto.ui.screen.glyphs import encoding_for, glyphs_for
from chatproto.ui.screen.history import TypedHistory
from chatproto.ui.screen.keymap import USUAL_KEYS
from chatproto.ui.screen.starting import StartingInterface
from chatproto.ui.screen.styles import Styles, colours_of, colours_wanted
from chatproto.ui.screen.terminal import ScreenTerminal, window_size
from chatproto.wire.errors import CannotStart

if TYPE_CHECKING:
    from chatproto.ui.screen.interface import FullInterface

MODULES = (
    "chatproto.client.events",
    "chatproto.session.effects",
    "chatproto.wire.bcp2_rooms",
    "chatproto.wire.bcp2_server",
    "chatproto.session.secure_connection",
    "chatproto.session.session",
    "chatproto.transfer.context",
    "chatproto.client.conversation",
    "chatproto.client.calls.calls",
    "chatproto.client.app",
    "chatproto.ui.commands",
    "chatproto.ui.screen.interface",
    "chatproto.cli.client_program",
)
"""Modules of the client in the order in which they are imported, each with those that it needs."""


class ScreenProgram(MultiService):
    """The client with the full interface, which is built once the prompt stands.

    Both standard streams are terminals.
    """

    def __init__(self, reactor: Any, options: Options) -> None:
        super().__init__()
        assert sys.__stdin__ is not None and sys.__stdout__ is not None
        self._reactor = reactor
        self._options = options
        self._fd = fd = sys.__stdout__.fileno()
        self._keymap = options["keys"] or USUAL_KEYS
        self._glyphs = glyphs_for(os.environ)
        colours = colours_wanted(options["color"], os.environ, lambda: colours_of(fd))
        self._ui: StartingInterface | FullInterface = StartingInterface(
            self._columns, self._glyphs, reactor.stop
        )
        self._terminal = ScreenTerminal(
            reactor,
            sys.__stdin__,
            sys.__stdout__,
            Output(reactor, fd),
            self._ui,
            Styles(colours, options["colors"]),
            TypedHistory(None if options["no-log"] else options["home"] / "history"),
            encoding_for(os.environ),
            self._keymap,
        )
        self._loading: CooperativeTask[Iterator[None]] | None = None
        self._built = False
        Interrupt(reactor, self._interrupted, self._end_at_once).setServiceParent(self)
        HangUp(reactor).setServiceParent(self)

    def startService(self) -> None:
        super().startService()
        self._terminal.opened.addCallback(self._load)
        self._terminal.open()

    def stopService(self) -> Deferred[list[Any]]:
        ended: Deferred[list[Any]] = super().stopService()
        if self._built:
            return ended  # the client has ended the screen
        if self._loading is not None:
            self._loading.stop()
        self._terminal.stop()
        return gatherResults([ended, self._terminal.flush()])

    def _load(self, _: object) -> None:
        if self.running:
            self._loading = cooperate(self._steps())
            self._loading.whenDone().addErrback(self._wrong)

    def _steps(self) -> Iterator[None]:
        """Import one module after another, then build the client; the collector waits for the end."""
        with without_collector():
            for module in MODULES:
                import_module(module)
                yield
            self._build()

    def _build(self) -> None:
        """Build the client, and give it the screen."""
        from chatproto.cli.client_program import (
            ask_password_again,
            joined_parts,
            make_client,
            remembered_rooms,
        )
        from chatproto.net.resolver import use_system_resolver
        from chatproto.ui.screen.attention import Attention
        from chatproto.ui.screen.interface import FullInterface

        reactor, options, terminal = self._reactor, self._options, self._terminal
        use_system_resolver(reactor)
        client = make_client(
            reactor,
            options,
            typed=not options["plain"],
            flushed=terminal.flush,
            remembered=remembered_rooms(options),
        )
        ui = self._ui = FullInterface(
            client,
            reactor,
            wall,
            self._columns,
            lambda: window_size(self._fd).rows,
            self._glyphs,
            Attention(options["id"], on=not options["no-bell"]),
            terminal.changed,
            client.connections.hold,
            options["time-format"],
            self._keymap,
        )
        terminal.show(ui)
        service = joined_parts(
            reactor, options, client, ui.tell, terminal, terminal, self._cannot_start
        )
        if options["user"] is not None:
            ask_password_again(client, options, terminal.ask_secret)
        self._built = True
        service.setServiceParent(self)

    def _columns(self) -> int:
        return window_size(self._fd).columns

    def _interrupted(self) -> None:
        self._ui.on_interrupt()

    def _end_at_once(self, code: int) -> None:
        self._terminal.restore()
        os._exit(code)

    def _cannot_start(self, error: CannotStart) -> None:
        self._terminal.restore()
        cannot_start(error)

    def _wrong(self, failure: Failure) -> None:
        """End with a traceback, as the client could not be built; a program that ends stops it."""
        if failure.check(TaskStopped):
            return
        if failure.check(CannotStart):
            self._cannot_start(failure.value)  # type: ignore[arg-type]  # checked above
        self._terminal.restore()
        failure.printTraceback(sys.__stderr__)
        os._exit(1)


def screen_program(options: Options) -> ScreenProgram:
    """The client with the full interface as `options` want it."""
    from twisted.internet import reactor

    use_monotonic_time(reactor)
    handle_signals_later(reactor)
    return ScreenProgram(reactor, options)

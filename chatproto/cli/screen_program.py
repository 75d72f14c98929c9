"""Start the client with the full interface: show the prompt first, then load the client.

Two thirds of a start are the import of the reactor and of the client's modules. They are imported while
an asyncio loop shows the prompt, one in each turn of it, so that typed keys are shown meanwhile. Then
the reactor is installed on that loop. This module imports neither of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from twisted.application.service import MultiService

from chatproto.cli.client_options import Options
from chatproto.cli.interface_choice import event_loop, install_reactor
from chatproto.cli.options import cannot_start
from chatproto.cli.signals import (
    EarlySignals,
    HangUp,
    Interrupt,
    handle_signals_later,
    keep_wakeups,
)
from chatproto.net.clock import use_monotonic_time, wall
from chatproto.stdio.loop import LoopReactor
from chatproto.stdio.output import Output
from chatproto.ui.screen.glyphs import encoding_for, glyphs_for
from chatproto.ui.screen.history import TypedHistory
from chatproto.ui.screen.keymap import USUAL_KEYS
from chatproto.ui.screen.starting import StartingInterface
from chatproto.ui.screen.styles import Styles, colours_of, colours_wanted
from chatproto.ui.screen.terminal import ScreenTerminal, window_size
from chatproto.wire.errors import CannotStart

if TYPE_CHECKING:
    from twisted.application.service import IService

MODULES = (
    "chatproto.client.events",
    "chatproto.session.effects",
    "chatproto.wire.bcp2_rooms",
    "chatproto.wire.bcp2_server",
    "cryptography.hazmat.bindings._rust",
    "cryptography.x509",
    "OpenSSL.SSL",
    "twisted.internet.base",
    "twisted.internet.ssl",
    "twisted.internet.asyncioreactor",
    "chatproto.session.session",
    "chatproto.session.secure_connection",
    "chatproto.transfer.context",
    "chatproto.client.conversation",
    "chatproto.client.calls.calls",
    "chatproto.client.app",
    "chatproto.ui.commands",
    "chatproto.ui.screen.interface",
    "chatproto.cli.client_files",
    "chatproto.cli.client_program",
)
"""Modules of the client in the order of their import, each with those that it needs."""


def typed_history(options: Options) -> TypedHistory:
    """Return the history of typed lines in the home; with --no-log it is kept in memory only."""
    return TypedHistory(None if options["no-log"] else options["home"] / "history")


class ScreenStart:
    """Start of a client with the full interface. Both standard streams are terminals."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: Options) -> None:
        assert sys.__stdin__ is not None and sys.__stdout__ is not None
        self._loop = loop
        self._options = options
        self._fd = fd = sys.__stdout__.fileno()
        self._keymap = options["keys"] or USUAL_KEYS
        self._glyphs = glyphs_for(os.environ)
        self._over = asyncio.Event()  # the user has ended the program
        colours = colours_wanted(options["color"], os.environ, lambda: colours_of(fd))
        reactor = LoopReactor(loop)
        self.terminal = ScreenTerminal(
            reactor,
            sys.__stdin__,
            sys.__stdout__,
            Output(reactor, fd),
            StartingInterface(self._columns, self._glyphs, self._over.set),
            Styles(colours, options["colors"]),
            typed_history(options),
            encoding_for(os.environ),
            self._keymap,
        )

    async def load(self) -> bool:
        """Show the prompt, and import one module after another meanwhile.

        Returns: False if the user has ended the program, and the terminal is restored.
        """
        self.terminal.open()
        opened = self.terminal.opened.asFuture(self._loop)
        over = self._loop.create_task(self._over.wait())
        await asyncio.wait((opened, over), return_when=asyncio.FIRST_COMPLETED)
        for module in MODULES:
            await asyncio.sleep(0)
            if self._over.is_set():
                self.terminal.stop()
                await self.terminal.flush().asFuture(self._loop)
                return False
            import_module(module)
        over.cancel()
        return True

    def build(self) -> MultiService:
        """Build the client, which uses the screen from now on. Raises CannotStart."""
        from twisted.internet import reactor

        from chatproto.cli.client_program import (
            ask_password_again,
            joined_parts,
            make_client,
            remembered_rooms,
        )
        from chatproto.net.resolver import use_system_resolver
        from chatproto.ui.screen.attention import Attention
        from chatproto.ui.screen.interface import FullInterface

        options, terminal = self._options, self.terminal
        options.open_files()
        use_monotonic_time(reactor)
        handle_signals_later(reactor, lambda number, _: self._end_at_once(128 + number))
        keep_wakeups(reactor)
        use_system_resolver(reactor)
        client = make_client(
            reactor,
            options,
            typed=not options["plain"],
            flushed=terminal.flush,
            remembered=remembered_rooms(options),
        )
        ui = FullInterface(
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
        program = MultiService()
        Interrupt(reactor, ui.on_interrupt, self._end_at_once).setServiceParent(program)
        HangUp(reactor).setServiceParent(program)
        service = joined_parts(
            reactor, options, client, ui.tell, terminal, terminal, self.cannot_start
        )
        if options["user"] is not None:
            ask_password_again(client, options, terminal.ask_secret)
        service.setServiceParent(program)
        return program

    def cannot_start(self, error: CannotStart) -> None:
        """Restore the terminal, print why the program cannot start, and end it."""
        self.terminal.restore()
        cannot_start(error)

    def _columns(self) -> int:
        return window_size(self._fd).columns

    def _end_at_once(self, code: int) -> None:
        self.terminal.restore()
        os._exit(code)


def screen_program(options: Options) -> IService:
    """Show the prompt, load the client meanwhile, and return the client for `options`.

    Raises: SystemExit: the user has ended the program before it was loaded.
    """
    loop = event_loop()
    start = ScreenStart(loop, options)
    signals = EarlySignals(start.terminal.restore)
    try:
        if not loop.run_until_complete(start.load()):
            options["opened"].close()
            raise SystemExit(0)
        install_reactor(loop)
        program = start.build()
    except CannotStart as error:
        start.cannot_start(error)
        raise  # in a test that has replaced the end of the process
    except BaseException:
        start.terminal.restore()
        raise
    whole = MultiService()
    for part in (signals, program):
        part.setServiceParent(whole)
    return whole

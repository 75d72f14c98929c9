"""Hand twistd the server: its options, and the program only when it is to run."""

from __future__ import annotations

from twisted.application.service import IService

from chatproto.cli.collector import without_collector
from chatproto.cli.server_options import ServerOptions as Options

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """The server as `options` want it."""
    with without_collector():
        from chatproto.cli.server_program import server_program

        return server_program(options)

"""Plugin of the server for twistd: its options; the program is imported only when it runs."""

from __future__ import annotations

from twisted.application.service import IService

from chatproto.cli.collector import without_collector
from chatproto.cli.server_options import ServerOptions as Options

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """Return the server for `options`."""
    with without_collector():
        from chatproto.cli.server_program import server_program

        return server_program(options)

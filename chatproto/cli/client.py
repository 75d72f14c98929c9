"""Plugin of the client for twistd: its options; the program is imported only when it runs."""

from __future__ import annotations

from twisted.application.service import IService

from chatproto.cli.client_options import Options
from chatproto.cli.collector import without_collector

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """Return the client for `options`."""
    with without_collector():
        if options["ui"] == "full":
            from chatproto.cli.screen_program import screen_program

            return screen_program(options)
        from chatproto.cli.client_program import client_program

        return client_program(options)

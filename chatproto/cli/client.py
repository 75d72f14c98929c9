"""Hand twistd the client: its options, and the program only when it is to run."""

from __future__ import annotations

from twisted.application.service import IService

from chatproto.cli.client_options import Options
from chatproto.cli.collector import without_collector

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """The client as `options` want it."""
    with without_collector():
        if options["ui"] == "full":
            from chatproto.cli.screen_program import screen_program

            return screen_program(options)
        from chatproto.cli.client_program import client_program

        return client_program(options)

"""What `twistd` and `twist` can start."""

from __future__ import annotations

from twisted.application.service import ServiceMaker

chatserver = ServiceMaker(
    "chatproto server",
    "chatproto.cli.server",
    "A chat server: introduces people to each other and gets out of the way.",
    "chatserver",
)

chatclient = ServiceMaker(
    "chatproto client",
    "chatproto.cli.client",
    "A chat client for a terminal: people talk directly to each other.",
    "chatclient",
)

"""Settings of one client."""

from __future__ import annotations

from chatproto.wire.values import value_class


@value_class
class ClientSettings:
    """Options of the command line that the client acts on (commands.md explains them).

    `accept`: `ask`, `known`, `verified` or `none`; `rate`: bytes of files per second, 0 for no limit.
    `answer`: `all`, `known` or `none`; `announce`: hosts and ports given to peers instead of our own.
    `path`: `direct`, `relay` or `auto`.
    `dialect_chosen`: the user named `dialect`, so an address without a known key is called in it.
    `farewells`: additional words that end a raw conversation; we send the first one.
    `unread`: no user reads the messages; they are stored and shown at another start. `typed`: lines are
    typed at a terminal. `config`: file of options, and `configured`: the options in it, with their
    values. `time_format`: of times of day in answers, as for `strftime`.
    """

    client_id: str
    plain: bool = False
    open: bool = False
    dialect: str = "canon"
    dialect_chosen: bool = False
    farewells: tuple[str, ...] = ()
    half_duplex: bool = False
    answer: str = "known"
    announce: tuple[tuple[str, int], ...] = ()
    path: str = "auto"
    accept: str = "ask"
    rate: float = 0.0
    unread: bool = False
    typed: bool = False
    config: str = ""
    configured: tuple[tuple[str, str], ...] = ()
    time_format: str = "%H:%M"

"""Settings of one client."""

from __future__ import annotations

from chatproto.wire.values import value_class


@value_class
class ClientSettings:
    """The choices of the command line that the node acts upon (commands.md's words for them).

    `accept`: `ask`, `known`, `verified` or `none`; `rate`: bytes of files a second, 0 for no limit.
    `answer`: `all`, `known` or `none`; `announce`: hosts and ports to tell others instead of our own.
    `path`: `direct`, `relay` or `auto`.
    `dialect_chosen`: the person named `dialect`, so that an address of which no key is known is called
    in it. `farewells`: words that end a raw talk besides the usual ones; the first is said by us.
    `unread`: nobody reads what is heard, which is kept to be shown at another start. `typed`:
    lines come from a person at a terminal. `config`: the file of options, and `configured`: the options
    that came from it, with their values. `time_format`: of times of day in answers, as for `strftime`.
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

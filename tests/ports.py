"""Ports of loopback for programs that must be told theirs before they start."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def free_port(host: str = "127.0.0.1") -> int:
    """Reserve a port of `host` until this process ends; return its number."""
    _held.append(reserved(host))
    return int(_held[-1].getsockname()[1])


def reserved(host: str = "127.0.0.1") -> socket.socket:
    """Reserve a port of `host` as long as the returned socket, which never listens, is open.

    The system gives the port to nobody else, not even between two lives of a server. A program that sets
    SO_REUSEADDR before it binds, as servers do, can listen there.
    """
    holder = socket.socket()
    # Two that ask for any port with SO_REUSEADDR set may both be given the same one.
    holder.bind((host, 0))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return holder

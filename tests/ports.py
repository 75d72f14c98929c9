"""Ports of loopback for programs that must be told theirs before they start."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def free_port(host: str = "127.0.0.1") -> int:
    """Reserve a port of `host` until this process ends; return its number.

    A socket stays bound to it, so that the system gives the port to nobody else, not even between two
    lives of a server. A program that sets SO_REUSEADDR before it binds, as servers do, can listen there.
    """
    holder = socket.socket()
    holder.bind((host, 0))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _held.append(holder)
    return int(holder.getsockname()[1])

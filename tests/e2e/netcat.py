"""As much of netcat as the pages use: `nc HOST PORT`, and `nc -l PORT` for one connection."""

from __future__ import annotations

import os
import socket
import sys
import threading


def connected(words: list[str]) -> socket.socket:
    """Return the connection that the command line names."""
    if words[0] != "-l":
        return socket.create_connection((words[0], int(words[1])))
    with socket.create_server(("127.0.0.1", int(words[1]))) as listening:
        print("listening", file=sys.stderr, flush=True)
        return listening.accept()[0]


def send(connection: socket.socket) -> None:
    """Send what is typed."""
    while data := os.read(0, 65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def main() -> None:
    """Print what comes, until the other side closes or Ctrl-C."""
    connection = connected(sys.argv[1:])
    threading.Thread(target=send, args=[connection], daemon=True).start()
    while data := connection.recv(65536):
        os.write(1, data)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        os._exit(130)

"""Strangers that do their worst to a client's port, as a program of its own.

    python -m tests.e2e.rude PORT FOLDER [KIND ...]

Each kind runs in a thread until the program is ended: `half` (TLS handshakes that are begun), `punch`
(connections that name introductions nobody has made), `early` (a flood of PING before CHAT, and no
answer read), `ring` (calls that ring), `hang-up` (calls with new keys, one after another), `rubbish`
(what belongs into no ringing call), `offers` (folders of files in a call that rings). Used by
tests/e2e/test_strangers.py and bench/strangers.py.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.tls_wires import dial

HALF = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
HELD = 400
"""Connections that one kind holds at once."""


def chat(name: str) -> bytes:
    """Return the call of somebody new who says to be `name`."""
    lines = (f"clientID: {name}", "Mode: full", f"Stream: {secrets.token_hex(8)}", "Have: - 0")
    return "".join(f"{line}\r\n" for line in ("CHAT", *lines, "")).encode()


def hold(port: int, first: Callable[[], bytes], pause: float) -> None:
    """Open connections that begin with `first`, and keep the last `HELD` of them."""
    held: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            sock = socket.create_connection(("127.0.0.1", port), 5)
            held.append(sock)
            sock.sendall(first())
        if len(held) > HELD:
            held.pop(0).close()
        time.sleep(pause)


def half(port: int, folder: Path) -> None:
    hold(port, lambda: HALF, 0.005)


def punch(port: int, folder: Path) -> None:
    hold(port, lambda: f"PUNCH\r\nCall: {secrets.token_hex(16)}\r\n\r\n".encode(), 0.005)


def early(port: int, folder: Path) -> None:
    while True:
        with contextlib.suppress(OSError), dial(port, folder) as wire:
            wire.settimeout(2)
            while True:
                wire.sendall(b"PING\r\n\r\n" * 4096)


def ring(port: int, folder: Path) -> None:
    held: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            wire = dial(port, folder)
            wire.sendall(chat(f"stranger{len(held)}"))
            held.append(wire)
        time.sleep(0.02 if len(held) < 30 else 1.0)


def hang_up(port: int, folder: Path) -> None:
    while True:
        with contextlib.suppress(OSError), dial(port, folder) as wire:
            wire.sendall(chat("nobody"))
            wire.sendall(b"QUIT\r\n\r\n")
            wire.settimeout(1)
            wire.recv(1000)


def rubbish(port: int, folder: Path) -> None:
    while True:
        with contextlib.suppress(OSError), dial(port, folder) as wire:
            wire.sendall(chat("rubbish"))
            wire.settimeout(2)
            while True:
                wire.sendall(b"NONSENSE\r\nX: y\r\n\r\n" * 1000)


def offers(port: int, folder: Path) -> None:
    files = b"".join(b"1 %s/%d\r\n" % (b"d/" * 20, number) for number in range(10_000))
    lines = ("ID: 1", "Name: x", "Size: 10000", "Modified: 2026-01-02T03:04:05Z", "Type: folder")
    head = "".join(f"{line}\r\n" for line in ("OFFER", *lines, f"Content-Length: {len(files)}", ""))
    while True:
        with contextlib.suppress(OSError), dial(port, folder) as wire:
            wire.sendall(chat("generous"))
            wire.settimeout(2)
            while True:
                wire.sendall(head.encode() + files)


KINDS = {
    "half": half,
    "punch": punch,
    "early": early,
    "ring": ring,
    "hang-up": hang_up,
    "rubbish": rubbish,
    "offers": offers,
}


def main(port: int, folder: Path, kinds: list[str]) -> None:
    """Do all of `kinds` at once, for ever."""
    for kind in kinds or list(KINDS):
        place = folder / kind
        place.mkdir()
        threading.Thread(target=KINDS[kind], args=(port, place), daemon=True).start()
    print("going", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

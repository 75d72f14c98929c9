"""Report the state of the program to systemd: `Type=notify` in its unit, sd_notify(3)."""

from __future__ import annotations

import os
import socket
import time

from twisted.logger import Logger

VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Send states to the datagram socket at `address`; empty: none.

    A socket that cannot be reached is one line in the log.
    """

    log = Logger()

    def __init__(self, address: str) -> None:
        # A name in the abstract namespace begins with @ there and with NUL in the kernel.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Report that the program has started, or has read its files again."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Report that files are being read again; `ready` ends it."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def status(self, text: str) -> None:
        """Report one sentence for `systemctl status`."""
        self._send(f"STATUS={text}")

    def stopping(self) -> None:
        """Report that the program ends."""
        self._send("STOPPING=1", "STATUS=closing connections")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            self.log.error("cannot tell systemd {state}: {why}", state=lines[0], why=error)
            self._address = ""


def notifier() -> Notifier:
    """Return a notifier for the socket in the environment, and remove that for programs started later."""
    return Notifier(os.environ.pop(VARIABLE, ""))

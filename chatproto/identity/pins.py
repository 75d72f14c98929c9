"""Whose key is whose, as this program has come to know it: the file `known_peers` in the home.

A line is one of

    server HOST:PORT KEY                 a server and its key
    SERVER-KEY ID KEY [verified]         somebody at a server, for an id means something only there

`-` stands for the server of those who were called without one. `verified`: the two have compared
their safety number. Lines that begin with `#` and blank ones are left as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from chatproto.identity.files import write_secret

KEY = re.compile(r"sha256:[A-Z2-7]{52}")
NO_SERVER = "-"
MOST_LINES = 100_000


class PinTrouble(Exception):
    """The file cannot be read or written; its text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A key and whose it is: `name` an id or, where `server` is `server`, its `host:port`."""

    server: str
    name: str
    key: str
    verified: bool = False
    line: int = 0

    def text(self) -> str:
        """The line in the file."""
        mark = " verified" if self.verified else ""
        return f"{self.server} {self.name} {self.key}{mark}"


class Pins:
    """The pins, in memory; `lines` are the file's, so that what a person wrote there stays."""

    def __init__(self, text: str = "", where: str = "known_peers") -> None:
        self.where = where
        self._lines: list[str] = text.splitlines()
        self._pins: dict[tuple[str, str], Pin] = {}
        if len(self._lines) > MOST_LINES:
            raise PinTrouble(f"{where} has more than {MOST_LINES} lines")
        for number, line in enumerate(self._lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                pin = _read(line, number, where)
                self._pins[pin.server, pin.name] = pin

    def server(self, address: str) -> Pin | None:
        """The pin of the server at `host:port`."""
        return self._pins.get(("server", address))

    def person(self, server: str, client_id: str) -> Pin | None:
        """The pin of `client_id` at the server with the key `server`."""
        return self._pins.get((server, client_id))

    def ids_of(self, key: str) -> list[Pin]:
        """Everybody who has `key`."""
        return [pin for pin in self._pins.values() if pin.key == key and pin.server != "server"]

    def put(self, pin: Pin) -> Pin:
        """Keep `pin` in place of what was there; raises PinTrouble when the file is full."""
        known = self._pins.get((pin.server, pin.name))
        if known is not None:
            pin = replace(pin, line=known.line)
            self._lines[known.line - 1] = pin.text()
        elif len(self._lines) >= MOST_LINES:
            raise PinTrouble(f"{self.where} is full: more than {MOST_LINES} lines")
        else:
            self._lines.append(pin.text())
            pin = replace(pin, line=len(self._lines))
        self._pins[pin.server, pin.name] = pin
        return pin

    def text(self) -> str:
        """The whole file."""
        return "".join(f"{line}\n" for line in self._lines)


class PinFile:
    """`known_peers` on the disk: read once, and written whole at every change, 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            text = ""
        except (OSError, UnicodeDecodeError) as error:
            raise PinTrouble(f"cannot read {path}: {error}") from None
        self.pins = Pins(text, str(path))

    def put(self, pin: Pin) -> Pin:
        """Keep `pin`, on the disk too. Raises PinTrouble."""
        pin = self.pins.put(pin)
        try:
            write_secret(self.path, self.pins.text().encode())
        except OSError as error:
            raise PinTrouble(f"cannot write {self.path}: {error.strerror}") from None
        return pin


def _read(line: str, number: int, where: str) -> Pin:
    parts = line.split()
    verified = len(parts) == 4 and parts[3] == "verified"
    if not (len(parts) == 3 or verified) or KEY.fullmatch(parts[2]) is None:
        raise PinTrouble(f"{where}, line {number}: not a line of known keys; mend or remove it")
    return Pin(parts[0], parts[1], parts[2], verified, number)

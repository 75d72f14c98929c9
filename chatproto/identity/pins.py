"""Pinned keys of servers and contacts: the file `known_peers` in the home.

Each line is one of

    server HOST:PORT KEY                 a server and its key
    SERVER-KEY ID KEY [verified]         a contact; an id has a meaning only at one server

`-` stands for the server of contacts that were called without one. `verified`: the two users have
compared their safety number. Blank lines and comments (`#`) are preserved. Two comments have a meaning,
which older programs ignore:

    #ignored KEY NAME                    /ignore: calls from KEY, then named NAME, are refused
    #ignored-id SERVER-KEY ID            the same for an id whose key was not known

A file with any other line is refused: the line may be a damaged pin, without which an impostor would
be accepted.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from chatproto.identity.files import write_secret
from chatproto.net.private_files import check_file, stamp
from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class

KEY = re.compile(r"sha256:[A-Z2-7]{52}")
SERVER = "server"
NO_SERVER = "-"
MOST_LINES = 100_000
MOST_BYTES = 200 * MOST_LINES


class PinTrouble(CodedError):
    """The file of known keys cannot be read or written."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Reason.PINS_TROUBLE)


@value_class
class Pin:
    """Key of a contact or a server.

    `name` is the contact's id at `server`, a key; or, where `server` is the word `server`, the server's
    `host:port`. `line` is its number in the file, 0 before it is written.
    """

    server: str
    name: str
    key: str
    verified: bool = False
    line: int = 0

    def text(self) -> str:
        """Return the line in the file."""
        mark = " verified" if self.verified else ""
        return f"{self.server} {self.name} {self.key}{mark}"


@value_class
class Ignored:
    """Contact whose calls are refused: a key and its name at that time, or an id at a server."""

    name: str
    key: str = ""
    server: str = ""

    def text(self) -> str:
        """Return the line in the file."""
        return (
            f"#ignored {self.key} {self.name}"
            if self.key
            else f"#ignored-id {self.server} {self.name}"
        )

    def same(self, other: Ignored) -> bool:
        """Return True if both are about the same key, or about the same id at the same server."""
        if self.key or other.key:
            return self.key == other.key
        return (self.server, self.name) == (other.server, other.name)


class Pins:
    """Pins in memory, with all lines of the file, so that comments are preserved.

    Args: text: content of the file. where: its path, for messages. Raises: PinTrouble.
    """

    def __init__(self, text: str = "", where: str = "known_peers") -> None:
        self.where = where
        self._lines: list[str] = text.removesuffix("\n").split("\n") if text else []
        self._pins: dict[tuple[str, str], Pin] = {}
        self.ignored: list[Ignored] = []
        self._by_name: dict[str, dict[str, Pin]] = {}  # then by server
        self._by_key: dict[str, dict[tuple[str, str], Pin]] = {}
        if len(self._lines) > MOST_LINES:
            raise PinTrouble(f"{where} has more than {MOST_LINES} lines: remove some")
        for number, line in enumerate(self._lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                pin = _read(line, number, where)
                before = self._pins.get((pin.server, pin.name))
                if before is not None:
                    raise PinTrouble(
                        f"{where}, line {number}: same id as line {before.line}, remove the wrong one"
                    )
                self._keep(pin)
            elif (ignored := _ignored(line)) is not None:
                self.ignored.append(ignored)

    def server(self, address: str) -> Pin | None:
        """Return the pin of the server at `host:port`."""
        return self._pins.get((SERVER, address))

    def person(self, server: str, client_id: str) -> Pin | None:
        """Return the pin of `client_id` at the server with the key `server`."""
        return self._pins.get((server, client_id))

    def ids_of(self, key: str) -> list[Pin]:
        """Return the pins of contacts with `key`, in the order of the file."""
        known = self._by_key.get(key, {}).values()
        return sorted((pin for pin in known if pin.server != SERVER), key=lambda pin: pin.line)

    def named(self, client_id: str) -> list[Pin]:
        """Return the pins of the id `client_id`, one for each server where it is pinned."""
        known = self._by_name.get(client_id, {}).values()
        return [pin for pin in known if pin.server != SERVER]

    def names(self) -> list[str]:
        """Return the ids of all pinned contacts, the most recent first."""
        return [name for server, name in reversed(self._pins) if server != SERVER]

    def address_of(self, key: str) -> str | None:
        """Return the `host:port` of the first server whose key is `key`."""
        known = self._by_key.get(key, {}).values()
        return next((pin.name for pin in known if pin.server == SERVER), None)

    def put(self, pin: Pin) -> Pin:
        """Add `pin`, or replace the pin of the same name; return it with its line.

        Raises PinTrouble if the file is full, ValueError if its line would not be parsed as `pin`.
        """
        if _parse(pin.text(), pin.line) != pin:
            raise ValueError(f"no line of known keys: {pin}")
        known = self._pins.get((pin.server, pin.name))
        if known is not None:
            pin = replace(pin, line=known.line)
            self._lines[known.line - 1] = pin.text()
        elif len(self._lines) >= MOST_LINES:
            raise PinTrouble(f"{self.where} is full: at most {MOST_LINES} lines, remove some")
        else:
            self._lines.append(pin.text())
            pin = replace(pin, line=len(self._lines))
        if known is not None:
            del self._by_key[known.key][known.server, known.name]
        self._keep(pin)
        return pin

    def _keep(self, pin: Pin) -> None:
        who = pin.server, pin.name
        self._pins[who] = pin
        self._by_name.setdefault(pin.name, {})[pin.server] = pin
        self._by_key.setdefault(pin.key, {})[who] = pin

    def ignoring(self, one: Ignored, on: bool) -> Pins:
        """Return these pins with `one` ignored or, with `on` False, no longer.

        Raises PinTrouble if the file is full, ValueError if its line would not be parsed as `one`.
        """
        if _ignored(one.text()) != one:
            raise ValueError(f"no line of ignored people: {one}")
        lines = [line for line in self._lines if not _is_about(line, one)]
        if on:
            lines.append(one.text())
        return Pins("".join(f"{line}\n" for line in lines), self.where)

    def text(self) -> str:
        """Return the whole file."""
        return "".join(f"{line}\n" for line in self._lines)


class PinFile:
    """Store of pins in the file `known_peers`, mode 0600.

    The whole file is written at every change. If it was edited meanwhile, it is read again before the
    change, so that the edit is not undone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = stamp(path)
        self.pins = _load(path)

    def put(self, pin: Pin) -> Pin:
        """Add or replace `pin`, also in the file. Raises PinTrouble; then nothing has changed."""
        self._look_again()
        before = self.pins.text()
        pin = self.pins.put(pin)
        self._write(before)
        return pin

    def ignore(self, one: Ignored, on: bool) -> None:
        """Start or stop ignoring `one`, also in the file. Raises PinTrouble; then nothing has changed."""
        self._look_again()
        before = self.pins.text()
        self.pins = self.pins.ignoring(one, on)
        self._write(before)

    def _look_again(self) -> None:
        """Read the file again if it was edited."""
        now = stamp(self.path)
        if now != self._seen:
            self.pins, self._seen = _load(self.path), now

    def _write(self, before: str) -> None:
        try:
            write_secret(self.path, self.pins.text().encode())
        except OSError as error:
            self.pins = Pins(before, str(self.path))
            raise PinTrouble(f"cannot write {self.path}: {error.strerror}") from None
        self._seen = stamp(self.path)


def _load(path: Path) -> Pins:
    try:
        check_file(path)
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8")
    except FileNotFoundError:
        return Pins("", str(path))
    except UnicodeDecodeError:
        raise PinTrouble(f"cannot read {path}: it is not UTF-8 text, restore a copy") from None
    except OSError as error:
        raise PinTrouble(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise PinTrouble(f"{path} is too large: at most {MOST_BYTES} bytes are read")
    return Pins(text, str(path))


def _parse(line: str, number: int) -> Pin | None:
    parts = line.split()
    verified = len(parts) == 4 and parts[3] == "verified"
    if not (len(parts) == 3 or verified) or KEY.fullmatch(parts[2]) is None:
        return None
    if parts[0] not in (SERVER, NO_SERVER) and KEY.fullmatch(parts[0]) is None:
        return None
    return Pin(parts[0], parts[1], parts[2], verified, number)


def _read(line: str, number: int, where: str) -> Pin:
    pin = _parse(line, number)
    if pin is None:
        raise PinTrouble(f"{where}, line {number}: not a line of known keys, correct or remove it")
    return pin


def _ignored(line: str) -> Ignored | None:
    """Return the contact that `line` ignores, or None for another line."""
    parts = line.split(" ")
    if len(parts) != 3 or not parts[2]:
        return None
    if parts[0] == "#ignored" and KEY.fullmatch(parts[1]) is not None:
        return Ignored(parts[2], key=parts[1])
    server = parts[1] == NO_SERVER or KEY.fullmatch(parts[1]) is not None
    if parts[0] == "#ignored-id" and server:
        return Ignored(parts[2], server=parts[1])
    return None


def _is_about(line: str, one: Ignored) -> bool:
    known = _ignored(line)
    return known is not None and known.same(one)

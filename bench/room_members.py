"""The members of a room under load: bare sockets in one thread, so that their own delay is small.

They are read with `epoll`, and what they hear is counted by the marks in it; a line is delivered when
every other member has it.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from bench.measure import CannotMeasure
from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.strict import encode

MARK = re.compile(rb"@@(\d+) [^;]*;")
PATIENCE = 20.0
"""Seconds that anything may take that is not measured."""


class Member:
    """One connection, inside TLS where there is a `context`. It has joined when it is made.

    Raises CannotMeasure if it is not let in.
    """

    def __init__(self, number: int, port: int, context: ssl.SSLContext | None) -> None:
        self.number = number
        self.wire: Any = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.wire = context.wrap_socket(self.wire)
        self._rest = b""
        self.join()

    def join(self) -> None:
        """Come in."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Say `text` in the room."""
        raise NotImplementedError

    def enter(self, request: bytes, answer: bytes) -> None:
        """Ask for `request`, and wait for what has `answer` in it. Raises CannotMeasure."""
        self.wire.settimeout(PATIENCE)
        data = b""
        try:
            self.wire.sendall(request)
            while answer not in data and (more := self.wire.recv(65536)):
                data += more
        except TimeoutError:
            pass
        if answer not in data:
            raise CannotMeasure(f"member {self.number} was not let in: {data[-200:]!r}")
        self.wire.setblocking(False)

    def read(self) -> list[bytes]:
        """The marks in what has come. Raises CannotMeasure if it is the end."""
        try:
            data = self.wire.recv(65536)
        except ssl.SSLWantReadError:  # a part of a record
            return []
        if not data:
            raise CannotMeasure(f"member {self.number} was put out")
        data = self._rest + data
        end = data.rfind(b";") + 1
        self._rest = data[end:][-4096:]
        found: list[bytes] = MARK.findall(data, 0, end)
        return found


class Ours(Member):
    """A member of a BCP/2 server."""

    def register(self) -> None:
        """Register an id, as those must who join a room."""
        self.enter(encode(bcp2_server.Register(1, f"m{self.number}", 5000)), b"REGACK")

    def join(self) -> None:
        self.register()
        self.enter(encode(bcp2_rooms.Join(2, "#bench")), b"JOINACK")

    def say(self, text: str) -> None:
        self.wire.sendall(encode(bcp2_rooms.Say(3, "#bench", text)))


class Irc(Member):
    """A member of an IRC server."""

    def join(self) -> None:
        nick = f"m{self.number}"
        self.enter(f"NICK {nick}\r\nUSER {nick} 0 * :x\r\nJOIN #bench\r\n".encode(), b" 366 ")

    def say(self, text: str) -> None:
        self.wire.sendall(f"PRIVMSG #bench :{text}\r\n".encode())


class Bare(Member):
    """A member of our lobby, in bare text."""

    def join(self) -> None:
        # Not the name of a member inside TLS, whose key owns it.
        self.enter(f"/nick raw{self.number}\n".encode(), b"* you are raw")

    def say(self, text: str) -> None:
        self.wire.sendall(f"{text}\n".encode())


class Room:
    """The members of one server's room, or of several with `audience` members each, and the load on them."""

    def __init__(self, members: list[Member], audience: int | None = None) -> None:
        self.members = members
        self._audience = len(members) if audience is None else audience
        self.deliveries = 0
        self.late: list[float] = []
        self._said: dict[bytes, tuple[float, int]] = {}  # by mark: when, and by whom
        self._missing: dict[bytes, int] = {}
        self._next = 0
        self._again = False
        self._poll = select.epoll()
        self._by_file = {member.wire.fileno(): member for member in members}
        for file in self._by_file:
            self._poll.register(file, select.EPOLLIN)

    def say(self, sender: int) -> None:
        """One line of the member `sender`."""
        self._next += 1
        mark = b"%d" % self._next
        self._said[mark] = (time.perf_counter(), sender)
        self._missing[mark] = self._audience - 1
        self.members[sender].say(f"@@{self._next} {'x' * 60};")

    def keep_saying(self, senders: int, in_flight: int, seconds: float) -> None:
        """Have `in_flight` lines of each of `senders` under way for `seconds`."""
        self._again = True
        if not self._said:
            for sender in [*range(senders)] * in_flight:
                self.say(sender)
        self._until(lambda: 1.0, seconds)

    def say_evenly(self, senders: int, rate: float, seconds: float) -> None:
        """`rate` lines a second for `seconds`, of `senders` in turn."""
        self._again = False
        due = time.perf_counter()

        def wait() -> float:
            nonlocal due
            while (now := time.perf_counter()) >= due:
                self.say(self._next % senders)
                due += 1 / rate
            return due - now

        self._until(wait, seconds)

    def forget(self) -> None:
        """Count from now on."""
        self.deliveries, self.late = 0, []

    def finish(self) -> None:
        """Say no more, and wait for what is under way. Raises CannotMeasure if it does not arrive."""
        self._again = False
        deadline = time.monotonic() + PATIENCE
        while self._said:
            if time.monotonic() > deadline:
                raise CannotMeasure(f"{len(self._said)} lines did not reach everybody")
            self._read(0.1)

    def close(self) -> None:
        """All leave."""
        self._poll.close()
        for member in self.members:
            member.wire.close()

    def _until(self, wait: Callable[[], float], seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(min(left, wait()))

    def _read(self, seconds: float) -> None:
        for file, _ in self._poll.poll(seconds):
            member = self._by_file[file]
            marks = member.read()
            now = time.perf_counter()
            for mark in marks:
                begun, sender = self._said[mark]
                if sender == member.number:
                    continue  # one that hears itself
                self.deliveries += 1
                self.late.append(now - begun)
                self._missing[mark] -= 1
                if not self._missing[mark]:
                    del self._said[mark], self._missing[mark]
                    if self._again:
                        self.say(sender)

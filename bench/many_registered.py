"""A Redis with very many classic registrations, and how servers over it bear them.

To register a million one by one would take a quarter of an hour, so one is registered by a server, and Redis
copies all that this one has left in it under other ids.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.measure import CannotMeasure, Subject, cpu
from tests.redis_process import Redis

MODEL = "qqqqqqqq"
"""The id that is copied; the others are `q` and seven of the letters s to z, which look like no others."""
AT_ONCE = 1_000
"""Ids that Redis makes in one step, in which it answers nobody."""
PATIENCE = 60.0
WRITTEN_WAIT = 600.0
"""Seconds within which Redis has written its file anew."""
REGISTER = "REGISTER\r\nclientID: {}\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
BRIDGE = "BRIDGE\r\nclientID: {}\r\n\r\n"
INFO = "INFO\r\n\r\n"
EVERY = 0.005
"""Seconds between an answer and the next request of a probe."""
FIND = """
local groups, lists = {}, {}
for _, key in ipairs(redis.call('KEYS', 'chatproto:*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' and string.find(key, ARGV[1], 1, true) then
    groups[#groups + 1] = {key, redis.call('PTTL', key), redis.call('HGETALL', key)}
  elseif kind == 'zset' then
    local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for at = 1, #entries, 2 do
      if string.find(entries[at], ARGV[1], 1, true) then
        lists[#lists + 1] = {key, entries[at + 1], entries[at]}
      end
    end
  end
end
return cjson.encode({groups = groups, lists = lists})
"""
"""Return what tells of an id: hashes with their life and fields, and entries of lists with their scores."""
COPY = """
local found = cjson.decode(ARGV[2])
for number = tonumber(ARGV[3]), tonumber(ARGV[4]) - 1 do
  local id = 'q' .. string.gsub(string.format('%07o', number), '%d',
    function(digit) return string.char(string.byte(digit) + 67) end)
  local function renamed(text) return (string.gsub(text, ARGV[1], id)) end
  for _, group in ipairs(found.groups) do
    local fields = {}
    for at, text in ipairs(group[3]) do fields[at] = renamed(text) end
    redis.call('HSET', renamed(group[1]), unpack(fields))
    redis.call('PEXPIRE', renamed(group[1]), group[2])
  end
  for _, entry in ipairs(found.lists) do
    redis.call('ZADD', entry[1], entry[2], renamed(entry[3]))
  end
end
return 'done'
"""
"""Copy what `FIND` has found for the ids of a range of numbers."""


def register(port: int, client_id: str) -> float:
    """Register at the server on `port` as soon as it grants that; return the seconds.

    Raises: CannotMeasure.
    """
    begun = time.perf_counter()
    while time.perf_counter() < begun + PATIENCE:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as wire:
            if b"Status: registered" in _answer(wire, client_id):
                return time.perf_counter() - begun
        time.sleep(EVERY)
    raise CannotMeasure(f"the server on port {port} registers nobody")


def fill(redis: Redis, database: int, port: int, count: int) -> None:
    """Have `count` ids registered in `database`, whose server on `port` registers one.

    Raises: CannotMeasure.
    """
    register(port, MODEL)
    time.sleep(1.0)  # the end of its connection is told to Redis too
    with socket.create_connection(("127.0.0.1", redis.port), PATIENCE) as wire:
        _ask(wire, "SELECT", str(database))
        found = found_of(wire, MODEL)
        if not all(json.loads(found).values()):
            raise CannotMeasure(f"a registration is no group and no entries of lists: {found}")
        with _without_file(redis, wire):
            for first in range(0, count, AT_ONCE):
                last = min(first + AT_ONCE, count)
                _ask(wire, "EVAL", COPY, "0", MODEL, found, str(first), str(last))


def found_of(wire: socket.socket, client_id: str) -> str:
    """Return as JSON what Redis, which is connected to `wire`, holds of an id."""
    return _ask(wire, "EVAL", FIND, "0", client_id)


@contextmanager
def _without_file(redis: Redis, wire: socket.socket) -> Iterator[None]:
    """Have Redis write its file once, at the end: a line for each change would be gigabytes."""
    _ask(wire, "CONFIG", "SET", "appendonly", "no")
    yield
    _ask(wire, "CONFIG", "SET", "appendonly", "yes")
    deadline = time.monotonic() + WRITTEN_WAIT
    while told(redis, "persistence", "aof_rewrite_in_progress") != "0":
        if time.monotonic() > deadline:
            raise CannotMeasure("Redis does not end with its file")
        time.sleep(EVERY)


def told(redis: Redis, section: str, name: str) -> str:
    """Return what the INFO of Redis says as `name`."""
    lines = redis.ask("INFO", section).decode().split()
    return dict(line.split(":", 1) for line in lines if ":" in line)[name]


class Probe:
    """Somebody who registers again and again at `subject`, and looks how long an answer takes.

    `longest`: seconds of the longest wait. `busy`: the most CPU that the server and Redis, with the process
    id `redis`, used in a wait, so that other work of the machine does not count.
    """

    def __init__(self, subject: Subject, redis: int) -> None:
        self.longest = self.busy = 0.0
        self._pids = subject.pid, redis
        self._ended = threading.Event()
        self._wire = socket.create_connection(("127.0.0.1", subject.port), PATIENCE)
        _answer(self._wire, "probe")
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        """Stop. Raises CannotMeasure if an answer did not come."""
        self._ended.set()
        self._thread.join()
        self._wire.close()
        if not self.longest:
            raise CannotMeasure("the server answered no probe")

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            used, begun = sum(map(cpu, self._pids)), time.perf_counter()
            _answer(self._wire, "probe")
            self.longest = max(self.longest, time.perf_counter() - begun)
            self.busy = max(self.busy, sum(map(cpu, self._pids)) - used)


def cost(subject: Subject, redis: int, request: Callable[[int], object], count: int) -> float:
    """Return the seconds of CPU that `subject` and Redis use for one of `count` requests.

    Args: redis: its process id. request: makes the request of a number, and waits for the answer.
    """
    used = cpu(subject.pid) + cpu(redis)
    for number in range(count):
        request(number)
    return (cpu(subject.pid) + cpu(redis) - used) / count


def ask(port: int, request: str) -> bytes:
    """Ask the server on `port` something on a connection of its own; return the whole answer."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as wire:
        wire.sendall(request.encode())
        wire.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: wire.recv(65536), b""))


def _answer(wire: socket.socket, client_id: str) -> bytes:
    wire.sendall(REGISTER.format(client_id).encode())
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = wire.recv(65536)
        if not more:
            return b""
        data += more
    return data


def _ask(wire: socket.socket, *words: str) -> str:
    """Return the text that Redis answers. Raises CannotMeasure."""
    sent = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    wire.sendall(f"*{len(words)}\r\n{''.join(sent)}".encode())
    with wire.makefile("rb") as answer:
        line = answer.readline().decode().strip()
        if line.startswith("$"):
            return answer.read(int(line[1:]) + 2).decode().strip()
    if not line.startswith("+"):
        raise CannotMeasure(f"Redis: {line}")
    return line[1:]

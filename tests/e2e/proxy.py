"""A network between the programs under test that counts, records, stalls and cuts at exact places."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator

from tests.e2e.program import LIMIT
from tests.e2e.ways import Door, Flow, Pair
from tests.ports import reserved

_HELD = 64 * 1024  # bytes on their way in one direction of one connection; then its source waits
_RECORDED = 64 << 20  # bytes of which a copy is kept, in each direction
_UNDER_WAY = (0, errno.EINPROGRESS)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing throws everything away and sends RST


class Proxy:
    """A free port of 127.0.0.1, `port`, that passes everything on to `target_host:target_port`.

    Cuts are made at once (`cut`) or planned at a count of bytes (`after`), and are the same in every
    run for the same bytes. All that is done to it is done when the method returns. Where the target
    cannot be reached, the connection to us is reset. Counters: `connections` ever taken, `passed`
    bytes in both directions, `cuts` that hit a connection.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self.connections = self.passed = self.cuts = 0
        self.towards, self.back = bytearray(), bytearray()
        self._doors: list[Door] = []
        self._pairs: list[Pair] = []
        self._ending: set[socket.socket] = set()  # cut gently: read until they close too
        self._places: deque[tuple[int, bool]] = deque()
        self._since = 0  # bytes since the last planned cut, or since the first was planned
        self._stalled = self._refusing = self._stopped = False
        self._orders: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self.port = self._open_door(target_host, target_port)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # What a test wants of it.

    def also(self, target_host: str, target_port: int) -> int:
        """Another free port that leads to another target; counted, cut and stalled together."""
        ports: list[int] = []
        self._do(lambda: ports.append(self._open_door(target_host, target_port)))
        return ports[0]

    def lead(self, target_host: str, target_port: int) -> None:
        """New connections to `port` go there from now on."""
        self._doors[0].target = target_host, target_port

    def cut(self, reset: bool = False) -> int:
        """End all connections there are now, by RST or by FIN; what is on its way is lost. How many."""
        hit: list[int] = []
        self._do(lambda: hit.append(self._cut(reset)))
        return hit[0]

    def after(self, count: int, reset: bool = False) -> None:
        """Cut when `count` more bytes have passed, in both directions together.

        A second call plans another: its count begins with the cut before it.
        """
        assert count > 0

        def plan() -> None:
            if not self._places:
                self._since = 0
            self._places.append((count, reset))

        self._do(plan)

    def hurry(self) -> bool:
        """Make the cut that is planned next now; whether there was one, and a connection to be cut."""
        done: list[bool] = []

        def now() -> None:
            possible = bool(self._places and self._pairs)
            if possible:
                self._planned_cut()
            done.append(possible)

        self._do(now)
        return done[0]

    @property
    def planned(self) -> int:
        """Number of planned cuts still to come."""
        return len(self._places)

    @property
    def open(self) -> int:
        """Number of connections."""
        return len(self._pairs)

    def stall(self) -> None:
        """Move no byte until `go`; nothing is closed, and new connections are still taken."""
        self._do(lambda: setattr(self, "_stalled", True))

    def go(self) -> None:
        """Move bytes again."""
        self._do(lambda: setattr(self, "_stalled", False))

    def refuse(self, refusing: bool) -> None:
        """Refuse connections on our ports, or accept them again; open ones stay."""
        self._do(lambda: self._refuse(refusing))

    def saw(self, word: str | bytes) -> bool:
        """Return True if these bytes passed, in one direction and in a row."""
        sought = word.encode() if isinstance(word, str) else word
        return sought in self.towards or sought in self.back

    def wait_for(self, fact: Callable[[], bool], name: str, timeout: float = LIMIT) -> None:
        """Wait until `fact()` holds of this proxy."""
        with self._changed:
            happened = self._changed.wait_for(fact, timeout)
        assert happened, f"{name} did not come in {timeout:g} s"

    def wait_until_passed(self, count: int) -> None:
        """Wait until so many bytes have passed, in both directions together, since it was made."""
        self.wait_for(lambda: self.passed >= count, f"byte {count:,}")

    def close(self) -> None:
        """End everything."""
        self._do(lambda: setattr(self, "_stopped", True))
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()

    # In its own thread.

    def _do(self, order: Callable[[], None]) -> None:
        """Have the thread carry out `order`, and wait until it has."""
        done = threading.Event()

        def run_line() -> None:
            order()
            done.set()

        self._orders.append(run_line)
        # A full pipe wakes it too, and one that is closed has: the last order was carried out already.
        with contextlib.suppress(OSError):
            self._wake.send(b"!")
        assert done.wait(LIMIT), "the proxy's thread does not answer"

    def _run(self) -> None:
        while not self._stopped:
            self._watch()
            ready = self._selector.select()
            with self._changed:
                for key, events in ready:
                    self._turn(key.fileobj, events)
                while self._orders:
                    self._orders.popleft()()
                self._changed.notify_all()
        for sock in [*self._ending, *(one for pair in self._pairs for one in pair.both)]:
            sock.close()
        for door in self._doors:
            door.holder.close()
            if door.listening is not None:
                door.listening.close()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _watch(self) -> None:
        """Tell the selector what is wanted of every socket now."""
        wanted: dict[socket.socket, int] = {self._woken: selectors.EVENT_READ}
        for door in self._doors:
            if door.listening is not None:
                wanted[door.listening] = selectors.EVENT_READ
        for sock in self._ending:
            wanted[sock] = selectors.EVENT_READ
        for pair in self._pairs:
            if not pair.connected:
                wanted[pair.far] = selectors.EVENT_WRITE
            elif not self._stalled:
                for flow in pair.flows:
                    if not flow.read_all and len(flow.held) < _HELD:
                        wanted[flow.source] = wanted.get(flow.source, 0) | selectors.EVENT_READ
                    if flow.held:
                        wanted[flow.sink] = wanted.get(flow.sink, 0) | selectors.EVENT_WRITE
        for key in tuple(self._selector.get_map().values()):
            if key.fileobj not in wanted:
                self._selector.unregister(key.fileobj)
        for sock, events in wanted.items():
            try:
                if self._selector.get_key(sock).events != events:
                    self._selector.modify(sock, events)
            except KeyError:
                self._selector.register(sock, events)

    def _turn(self, sock: object, events: int) -> None:
        """Something can be done with `sock`, if what was done before has not closed it."""
        if sock is self._woken:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            return
        for door in self._doors:
            if sock is door.listening:
                self._accept(door)
                return
        for ending in self._ending:
            if sock is ending:
                self._drain(ending)
                return
        for pair in self._pairs:
            if sock in pair.both:
                try:
                    self._move(pair, sock, events)
                except OSError:
                    self._close(pair, reset=True)
                return

    def _accept(self, door: Door) -> None:
        assert door.listening is not None
        try:
            near = door.listening.accept()[0]
        except OSError:
            return
        near.setblocking(False)
        far = socket.socket()
        far.setblocking(False)
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        flows = Flow(near, far, self.towards), Flow(far, near, self.back)
        pair = Pair(near, far, flows)
        self._pairs.append(pair)
        if far.connect_ex(door.target) not in _UNDER_WAY:
            self._close(pair, reset=True)

    def _move(self, pair: Pair, sock: object, events: int) -> None:
        """Read and write what can be. Raises OSError."""
        if not pair.connected:
            error = pair.far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "the target cannot be reached")
            pair.connected = True
            return
        if self._stalled:
            return
        for flow in pair.flows:
            if events & selectors.EVENT_READ and sock is flow.source and not flow.read_all:
                data = flow.source.recv(_HELD)
                flow.held += data
                flow.read_all = not data
        for flow in pair.flows:
            if flow.held and not self._write(flow):
                return
            if flow.read_all and not flow.held and not flow.wrote_all:
                flow.wrote_all = True
                flow.sink.shutdown(socket.SHUT_WR)
        if all(flow.wrote_all for flow in pair.flows):
            self._close(pair, reset=False)

    def _write(self, flow: Flow) -> bool:
        """Pass on what is held, up to the next planned cut; False: it came. Raises OSError."""
        most = len(flow.held)
        if self._places:
            most = min(most, self._places[0][0] - self._since)
        try:
            count = flow.sink.send(flow.held[:most])
        except BlockingIOError:
            return True
        if len(flow.record) < _RECORDED:
            flow.record += flow.held[:count]
        del flow.held[:count]
        self.passed += count
        self._since += count
        if self._places and self._since >= self._places[0][0]:
            self._planned_cut()
            return False
        return True

    def _planned_cut(self) -> None:
        reset = self._places.popleft()[1]
        self._since = 0
        self._cut(reset)

    def _cut(self, reset: bool) -> int:
        pairs, self._pairs = self._pairs, []
        self.cuts += bool(pairs)
        for pair in pairs:
            for sock in pair.both:
                self._end(sock, reset)
        return len(pairs)

    def _end(self, sock: socket.socket, reset: bool) -> None:
        """Close it by RST, or send FIN and read on: to close with something unread would be an RST."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(sock)
        try:
            if not reset:
                sock.shutdown(socket.SHUT_WR)
                self._ending.add(sock)
                return
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass  # it was not connected, or they were quicker
        sock.close()

    def _drain(self, sock: socket.socket) -> None:
        try:
            if sock.recv(_HELD):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # reset by them: it is over as well
        self._ending.discard(sock)
        self._selector.unregister(sock)
        sock.close()

    def _close(self, pair: Pair, reset: bool) -> None:
        """The pair is over by itself; where one side was reset, so is the other."""
        self._pairs.remove(pair)
        for sock in pair.both:
            with contextlib.suppress(KeyError):
                self._selector.unregister(sock)
            if reset:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()

    def _open_door(self, host: str, port: int) -> int:
        door = Door(reserved(), (host, port))
        if not self._refusing:
            door.listen()
        self._doors.append(door)
        return door.port

    def _refuse(self, refusing: bool) -> None:
        self._refusing = refusing
        for door in self._doors:
            if not refusing:
                door.listen()
            elif door.listening is not None:
                self._selector.unregister(door.listening)
                door.listening.close()
                door.listening = None


@contextlib.contextmanager
def proxied(target_port: int) -> Iterator[Proxy]:
    """A proxy in front of a port of 127.0.0.1."""
    made = Proxy("127.0.0.1", target_port)
    try:
        yield made
    finally:
        made.close()

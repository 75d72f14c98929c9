"""The proxy between programs: it passes every byte, and does what it is told to at exact places."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.program import LIMIT
from tests.e2e.proxy import Proxy, proxied
from tests.ports import free_port


class Listener:
    """The target: a listening socket whose connections a test takes one by one."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(LIMIT)
        self.port = int(self.listening.getsockname()[1])

    def accept(self) -> socket.socket:
        taken = self.listening.accept()[0]
        taken.settimeout(LIMIT)
        return taken


@pytest.fixture
def target() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.listening.close()


@pytest.fixture
def proxy(target: Listener) -> Iterator[Proxy]:
    with proxied(target.port) as made:
        yield made


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), LIMIT)


def receive(sock: socket.socket, count: int) -> bytes:
    """So many bytes, or all until the end."""
    data = b""
    while len(data) < count and (chunk := sock.recv(count - len(data))):
        data += chunk
    return data


def test_proxy_passes_data_and_half_closes_both_ways(target: Listener, proxy: Proxy) -> None:
    with dial(proxy.port) as near, target.accept() as far:
        near.sendall(b"there")
        assert receive(far, 5) == b"there"
        near.shutdown(socket.SHUT_WR)
        assert far.recv(1) == b""
        far.sendall(b"and back")
        assert receive(near, 8) == b"and back"
        assert proxy.open == 1
        far.shutdown(socket.SHUT_WR)
        assert near.recv(1) == b""
        proxy.wait_for(lambda: proxy.open == 0, "the end")
    assert (proxy.connections, proxy.passed, proxy.cuts) == (1, 13, 0)
    assert proxy.saw("there") and proxy.saw("and back") and not proxy.saw("thereand")


def test_slow_reader_is_waited_for(target: Listener, proxy: Proxy) -> None:
    whole = bytes(range(256)) * 65536  # 16 MiB: more than all buffers in between
    with dial(proxy.port) as near, target.accept() as far:
        sending = threading.Thread(target=near.sendall, args=(whole,), daemon=True)
        sending.start()
        assert receive(far, 1 << 20) == whole[: 1 << 20]
        assert sending.is_alive()
        assert proxy.passed < len(whole)
        assert receive(far, len(whole) - (1 << 20)) == whole[1 << 20 :]
        sending.join(LIMIT)
        assert not sending.is_alive()


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_ends_both_sides(target: Listener, proxy: Proxy, reset: bool) -> None:
    with dial(proxy.port) as near, target.accept() as far:
        near.sendall(b"x")
        assert receive(far, 1) == b"x"
        assert proxy.cut(reset) == 1
        for sock in (near, far):
            if reset:
                with pytest.raises(ConnectionResetError):
                    sock.recv(1)
            else:
                assert sock.recv(1) == b""
    assert (proxy.open, proxy.cuts) == (0, 1)
    assert proxy.cut(reset) == 0
    assert proxy.cuts == 1


def test_gentle_cut_causes_no_reset(target: Listener, proxy: Proxy) -> None:
    with dial(proxy.port) as near, target.accept() as far:
        near.sendall(b"x")
        receive(far, 1)
        proxy.cut()
        near.sendall(b"into the void" * 1000)
        assert near.recv(1) == b""
        assert far.recv(1) == b""
        near.sendall(b"still")


@pytest.mark.parametrize("reset", [False, True])
def test_planned_cut_happens_at_its_byte(target: Listener, proxy: Proxy, reset: bool) -> None:
    proxy.after(1000, reset)
    proxy.after(3)
    with dial(proxy.port) as near, target.accept() as far:
        far.sendall(bytes(400))
        assert receive(near, 400) == bytes(400)
        near.sendall(bytes(999))
        arrived = bytearray()
        try:
            while chunk := far.recv(65536):
                arrived += chunk
        except ConnectionResetError:
            assert reset
        assert len(arrived) == 600 or reset
    proxy.wait_for(lambda: proxy.cuts == 1, "the cut")
    assert (proxy.passed, proxy.planned) == (1000, 1)
    with dial(proxy.port) as near, target.accept() as far:
        near.sendall(b"abcdef")
        assert receive(far, 6) == b"abc"
    assert (proxy.passed, proxy.planned, proxy.cuts) == (1003, 0, 2)
    assert not proxy.hurry()


def test_the_next_planned_cut_can_be_made_at_once(target: Listener, proxy: Proxy) -> None:
    proxy.after(1000)
    proxy.after(2)
    assert not proxy.hurry()
    with dial(proxy.port) as near, target.accept() as far:
        near.sendall(b"abc")
        assert receive(far, 3) == b"abc"
        assert proxy.hurry()
        assert near.recv(1) == far.recv(1) == b""
    with dial(proxy.port) as near, target.accept() as far:
        near.sendall(b"abc")
        assert receive(far, 3) == b"ab"
    assert (proxy.planned, proxy.cuts) == (0, 2)


def test_a_stall_closes_nothing_and_loses_nothing(target: Listener, proxy: Proxy) -> None:
    with dial(proxy.port) as near, target.accept() as far:
        proxy.stall()
        near.sendall(b"first")
        with dial(proxy.port) as other, target.accept() as other_far:
            other.sendall(b"second")
            proxy.wait_for(lambda: proxy.open == 2, "another connection")
            assert proxy.passed == 0
            proxy.go()
            assert receive(other_far, 6) == b"second"
        assert receive(far, 5) == b"first"


def test_a_stalled_connection_can_be_cut(target: Listener, proxy: Proxy) -> None:
    with dial(proxy.port) as near, target.accept() as far:
        proxy.stall()
        near.sendall(b"lost")
        proxy.cut()
        assert near.recv(1) == far.recv(1) == b""
    assert proxy.passed == 0


def test_proxy_refuses_and_accepts_again_on_the_same_port(target: Listener, proxy: Proxy) -> None:
    with dial(proxy.port) as near, target.accept() as far:
        proxy.refuse(True)
        with pytest.raises(ConnectionRefusedError):
            dial(proxy.port)
        near.sendall(b"still")
        assert receive(far, 5) == b"still"
        proxy.refuse(False)
        with dial(proxy.port) as again, target.accept() as far_again:
            again.sendall(b"again")
            assert receive(far_again, 5) == b"again"


def test_two_ports_are_one_network(target: Listener, proxy: Proxy) -> None:
    second = Listener()
    port = proxy.also("127.0.0.1", second.port)
    proxy.after(5)
    with (
        dial(proxy.port) as one, target.accept() as one_far,
        dial(port) as two, second.accept() as two_far,
    ):  # fmt: skip
        one.sendall(b"ab")
        assert receive(one_far, 2) == b"ab"
        two.sendall(b"cdefg")
        assert receive(two_far, 5) == b"cde"
        assert one.recv(1) == one_far.recv(1) == two.recv(1) == b""
    assert proxy.cuts == 1
    second.listening.close()


def test_target_may_start_later(proxy: Proxy) -> None:
    port = free_port()
    proxy.lead("127.0.0.1", port)
    with pytest.raises(ConnectionResetError), dial(proxy.port) as nobody:
        nobody.recv(1)
    with (
        socket.create_server(("127.0.0.1", port)) as late,
        dial(proxy.port) as near,
        late.accept()[0] as far,
    ):
        near.sendall(b"hello")
        assert receive(far, 5) == b"hello"


def test_a_reset_is_passed_on(target: Listener, proxy: Proxy) -> None:
    with dial(proxy.port) as near:
        far = target.accept()
        near.sendall(b"x")
        receive(far, 1)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        far.close()
        with pytest.raises(ConnectionResetError):
            near.recv(1)

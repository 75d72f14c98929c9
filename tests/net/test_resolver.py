"""Names of hosts: the system's resolver decides, and every lookup comes to an end."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import TCP6ClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.fast_tcp import AnyHostnameEndpoint
from chatproto.net.resolver import SystemResolver, endpoint_to, look_up

NEVER = """
from threading import Event
from twisted.internet import reactor
from chatproto.net.resolver import in_lookup_thread

begun = Event()
in_lookup_thread(reactor, lambda: (begun.set(), Event().wait()))
begun.wait()
reactor.callWhenRunning(reactor.stop)
reactor.run()
"""
"""Program that ends while a lookup is under way which never returns."""


class Threads:
    """A reactor and its pool, both at once: what is called in a thread is called here."""

    def callInThreadWithCallback(self, on_result: Any, func: Any, *args: Any) -> None:
        on_result(True, func(*args))

    def callFromThread(self, func: Any, *args: Any) -> None:
        func(*args)


class Receiver:
    """Record the results of a lookup."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.complete = 0

    def resolutionBegan(self, resolution: object) -> None: ...

    def addressResolved(self, address: object) -> None:
        self.found.append(address)

    def resolutionComplete(self) -> None:
        self.complete += 1


class ResolverTests(SynchronousTestCase):
    def resolve(self, name: str) -> Receiver:
        receiver: Any = Receiver()
        threads = Threads()
        SystemResolver(threads, threads).resolveHostName(receiver, name, 80)
        self.assertEqual(receiver.complete, 1)
        found: Receiver = receiver
        return found

    def test_an_address_is_itself(self) -> None:
        self.assertEqual(self.resolve("127.0.0.1").found, [IPv4Address("TCP", "127.0.0.1", 80)])
        self.assertEqual(self.resolve("::1").found, [IPv6Address("TCP", "::1", 80)])

    def test_an_address_needs_no_thread(self) -> None:
        receiver: Any = Receiver()
        SystemResolver(None, threads=object()).resolveHostName(receiver, "127.0.0.1", 80)
        self.assertEqual(receiver.complete, 1)

    def test_a_lookup_that_never_ends_holds_no_program_up(self) -> None:
        subprocess.run([sys.executable, "-c", NEVER], check=True, timeout=60)

    def test_invalid_name_has_no_address(self) -> None:
        for name in ("::1%lo", "a\0b", "", "\ud800", "\u00fc..x"):
            if name:
                self.assertEqual(self.resolve(name).found, [], name)

    def test_names_are_passed_to_the_system_unchanged(self) -> None:
        self.patch(socket, "getaddrinfo", lambda host, *_, **__: [host])
        for name in ("a..b", "x" * 64 + ".example", "my_host", "-x-"):
            self.assertEqual(look_up(name, 1), [name.encode()])

    def test_the_endpoint_leaves_it_to_the_resolver(self) -> None:
        for name in ("a..b", "x" * 64, "my_host"):
            self.assertIsInstance(
                endpoint_to(MemoryReactorClock(), name, 1, 5), AnyHostnameEndpoint
            )
            self.assertIn(name, repr(endpoint_to(MemoryReactorClock(), name, 1, 5)))
        self.assertIsInstance(
            endpoint_to(MemoryReactorClock(), "fe80::1%eth0", 1, 5), TCP6ClientEndpoint
        )
        self.assertIsInstance(endpoint_to(MemoryReactorClock(), "a%b", 1, 5), AnyHostnameEndpoint)

    @given(st.text())
    def test_no_name_raises(self, name: str) -> None:
        self.patch(socket, "getaddrinfo", lambda host, *_, **__: [])
        look_up(name, 1)
        endpoint_to(MemoryReactorClock(), name, 1, 5)

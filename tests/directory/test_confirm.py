"""The store's short cuts for an unchanged registration answer what the rules answer."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire.classic import (
    ClassicBridge,
    ClassicError,
    ClassicRegAck,
    ClassicRegister,
    Message,
    Unregister,
)
from tests.contracts.registry import image

HOSTS = ("127.0.0.1", "127.0.0.2", "192.0.2.1", "192.0.2.2", "192.0.2.9")
SERVER = "192.0.2.9"
CONNECTED = (*HOSTS, "192.0.2.1")
"""Hosts of the connections; one host has two."""
LOCAL = ("127.0.0.1", "127.0.0.2", SERVER)
names = st.sampled_from(["alice", "bob", "carol"])
requests = st.one_of(
    st.builds(ClassicRegister, names, st.sampled_from(HOSTS), st.sampled_from([3000, 3001])),
    st.builds(ClassicBridge, names),
    st.builds(Unregister, names),
)
steps = st.lists(
    st.tuples(
        st.integers(0, len(CONNECTED) - 1), st.one_of(requests, st.none()), st.floats(0.0, 90.0)
    ),
    max_size=40,
)
"""A connection, the request that it makes or None for its end, and the seconds that pass."""


def origin(host: str) -> Origin:
    """Return the origin of a new connection from `host`."""
    return Origin(host, 4000, host in LOCAL, server=SERVER)


class Unconfirming(MemoryRegistry):
    """Registry without the short cuts."""

    def confirm(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        return False

    renew = confirm


class ConfirmTests(SynchronousTestCase):
    @given(steps)
    def test_answers_and_state_are_those_of_the_rules(
        self, asked: list[tuple[int, Message | None, float]]
    ) -> None:
        found = []
        for registry in (MemoryRegistry(), Unconfirming()):
            directory, now = Directory(registry), 1000.0
            origins = [origin(host) for host in CONNECTED]
            answers = []
            for number, message, pause in asked:
                now += pause
                if message is None:
                    origins[number].alive = False
                    origins[number] = origin(CONNECTED[number])
                else:
                    answers.append(directory.answer(message, origins[number], now))
            found.append((answers, image(registry)))
        self.assertEqual(*found)

    def test_registration_belongs_to_the_latest_connection(self) -> None:
        message, directory = ClassicRegister("alice", HOSTS[2], 3000), Directory(MemoryRegistry())
        first, second, other = (origin(host) for host in (HOSTS[2], HOSTS[2], HOSTS[3]))
        for source in (first, second):
            self.assertEqual(directory.answer(message, source, 1.0), ClassicRegAck(*message))
        first.alive = False
        self.assertEqual(directory.answer(message, other, 100.0), ClassicError(409))
        second.alive = False
        self.assertEqual(directory.answer(message, other, 100.0), ClassicRegAck(*message))

    def test_the_answers_to_first_requests_are_those_of_the_rules(self) -> None:
        """Each request on a connection of its own, and whatever has been registered before."""
        for before, host, ip in product(HOSTS, HOSTS, HOSTS):
            renewed = []
            for registry in (MemoryRegistry(), Unconfirming()):
                directory, message = Directory(registry), ClassicRegister("alice", ip, 3000)
                first = origin(before)
                directory.answer(message, first, 1.0)
                first.alive = False
                short = directory.register(message, origin(host), 2.0)
                answer = ClassicRegAck(*message) if short else None
                renewed.append(
                    (
                        answer or directory.answer(message, origin(host), 2.0),
                        image(registry),
                    )
                )
            self.assertEqual(*renewed)

    def test_registration_is_not_renewed_if_a_key_owns_a_similar_id(self) -> None:
        names = MemoryNames()
        directory, message = Directory(MemoryRegistry(), names=names), ClassicRegister("al", "x", 1)
        first = origin(HOSTS[2])
        directory.answer(message, first, 1.0)
        first.alive = False
        self.assertTrue(directory.register(message, origin(HOSTS[2]), 2.0))
        found = directory.registry.find("al")
        assert found is not None
        found.source.alive = False
        names.keep("a1", "a key", 3.0)
        self.assertFalse(directory.register(message, origin(HOSTS[2]), 4.0))
        self.assertEqual(directory.answer(message, origin(HOSTS[2]), 4.0), ClassicError(409))

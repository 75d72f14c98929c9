"""The store's short cut for an unchanged registration answers what the rules answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.stores.memory import MemoryRegistry
from chatproto.wire.classic import ClassicBridge, ClassicRegister, Message, Unregister

HOSTS = ("127.0.0.1", "192.0.2.1", "192.0.2.2")
names = st.sampled_from(["alice", "bob", "carol"])
requests = st.one_of(
    st.builds(ClassicRegister, names, st.sampled_from(HOSTS), st.sampled_from([3000, 3001])),
    st.builds(ClassicBridge, names),
    st.builds(Unregister, names),
)
steps = st.lists(
    st.tuples(st.integers(0, 2), st.one_of(requests, st.none()), st.floats(0.0, 90.0)), max_size=40
)
"""A host, the request that its connection makes or None for its end, and the seconds that pass."""


class Unconfirming(MemoryRegistry):
    """Registry without the short cut."""

    def confirm(self, message: ClassicRegister, source: Origin, now: float) -> bool:
        return False


class ConfirmTests(SynchronousTestCase):
    @given(steps)
    def test_answers_and_state_are_those_of_the_rules(
        self, asked: list[tuple[int, Message | None, float]]
    ) -> None:
        found = []
        for registry in (MemoryRegistry(), Unconfirming()):
            directory, now = Directory(registry), 1000.0
            origins = [
                Origin(host, 4000, host == "127.0.0.1", server="192.0.2.9") for host in HOSTS
            ]
            answers = []
            for number, message, pause in asked:
                now += pause
                if message is None:
                    origins[number].alive = False
                    origins[number] = Origin(
                        HOSTS[number], 4000, HOSTS[number] == "127.0.0.1", server="192.0.2.9"
                    )
                else:
                    answers.append(directory.answer(message, origins[number], now))
            found.append((answers, registry.image(lambda origin: [origin.host, origin.alive])))
        self.assertEqual(*found)

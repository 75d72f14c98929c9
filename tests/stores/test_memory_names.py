"""Names in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.id_owners import IdOwners
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire.fields import fold
from tests.contracts.names import NamesContract, key
from tests.limits import Limits

ids = st.sampled_from(["alice", "Alice", "a1ice", "bob", "b0b", "corn", "com", "dave"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), ids, st.integers(1, 3)),
        st.tuples(st.just("free"), ids, st.just(0)),
        st.tuples(st.just("expire"), st.just(""), st.integers(0, 30)),
    ),
    max_size=40,
)


class NamesInMemory(NamesContract, SynchronousTestCase):
    def make(self, limits: Limits) -> IdOwners:
        return MemoryNames()

    @given(steps)
    def test_agree_with_themselves_whatever_is_done(self, some: list[tuple[str, str, int]]) -> None:
        names = MemoryNames()
        for now, (what, client_id, number) in enumerate(some):
            if what == "keep":
                names.keep(client_id, key(number), float(now))
                self.assertEqual(names.owner(client_id), key(number))
            elif what == "free":
                names.free(client_id)
            else:
                names.expire(float(number))
        owned = {name: key(n) for n in range(4) for name in names.owned(key(n))}
        self.assertEqual({name: names.owner(name) for name in owned}, owned)
        owners: dict[str, set[str]] = {}
        for name, owner in owned.items():
            owners.setdefault(fold(name), set()).add(owner)
        self.assertTrue(all(len(one) == 1 for one in owners.values()))
        names.expire(float("inf"))
        kept = (names._used, names._owners, names._ids)
        self.assertEqual([len(one) for one in kept], [0] * 3)

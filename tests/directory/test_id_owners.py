"""Test which ids look alike, and which a key may claim."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.group import Group
from chatproto.directory.id_owners import ids_of, owned_alike
from chatproto.directory.registrations import ClientConnection
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire.bcp2_server import Register
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import fold
from tests.contracts.names import ONE, OTHER
from tests.limits import DEFAULTS

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


class IdsThatLookAlike(SynchronousTestCase):
    def test_are_one(self) -> None:
        for one, other in (
            ("Bob", "b0B"),
            ("alice", "aL1Ce"),
            ("Ian", "lan"),
            ("1an", "Ian"),
            ("corn", "com"),
            ("CORN", "com"),
            ("0live", "OlIve"),
        ):
            self.assertEqual(fold(one), fold(other), (one, other))

    def test_are_not_all(self) -> None:
        for one, other in (("bob", "bobo"), ("a.b", "ab"), ("a-b", "a_b"), ("5am", "sam")):
            self.assertNotEqual(fold(one), fold(other), (one, other))

    @given(ids)
    def test_in_case_are_always_one(self, client_id: str) -> None:
        self.assertEqual(fold(client_id.upper()), fold(client_id))
        self.assertEqual(fold(fold(client_id)), fold(client_id))


class AClaim(SynchronousTestCase):
    def setUp(self) -> None:
        self.names = MemoryNames()

    def claim(self, client_id: str, key: str, now: float = 0.0) -> None:
        group = Group(*owned_alike(self.names, client_id))
        ids = ids_of(self.names, key, client_id, "", DEFAULTS)
        client = ClientConnection(key, "192.0.2.1", 1)
        group.decide_register(Register(1, client_id, 1), client, ids, DEFAULTS)
        self.names.keep(client_id, key, now)

    def refused(self, client_id: str, key: str) -> int:
        before = self.names.owned(key)
        error = self.assertRaises(RemoteError, self.claim, client_id, key)
        self.assertEqual(self.names.owned(key), before)
        status: int = error.status
        return status

    def test_is_taken_once_and_again_from_the_same_key(self) -> None:
        for now in (0.0, 1.0):
            self.claim("alice", ONE, now)
        self.assertEqual(self.names.owned(ONE), ("alice",))

    def test_of_an_id_similar_to_another_key_s_is_409(self) -> None:
        self.claim("alice", ONE)
        for client_id in ("alice", "ALICE", "a1ice", "allce"):
            self.assertEqual(self.refused(client_id, OTHER), 409)

    def test_of_an_id_similar_to_an_own_one_counts_separately(self) -> None:
        for client_id in ("alice", "Alice", "a1ice"):
            self.claim(client_id, ONE)
        self.assertEqual(self.refused("ALICE", ONE), 403)

    def test_of_a_fourth_is_403_until_one_is_free(self) -> None:
        for client_id in ("a", "b", "c"):
            self.claim(client_id, ONE)
        self.assertEqual(self.refused("d", ONE), 403)
        self.claim("a", ONE)
        self.names.free("b")
        self.claim("d", ONE)

    def test_counts_as_a_use(self) -> None:
        self.claim("alice", ONE, 0.0)
        self.claim("alice", ONE, 100.0)
        self.assertEqual(self.names.expire(100.0), 0)

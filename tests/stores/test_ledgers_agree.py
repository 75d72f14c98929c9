"""Both ledgers answer the same, whatever is done with them and however often the file is opened again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from chatproto.session.ledger import (
    DELIVERED,
    MODE,
    MSG,
    TURN,
    UNCERTAIN,
    UNDELIVERED,
    Ledger,
    LedgerTrouble,
    StreamEntry,
)
from chatproto.stores.sqlite_ledger import SqliteLedger
from tests.stores.memory_ledger import MemoryLedger

keys = st.sampled_from(["k1", "k2", "k3"])
rooms = st.sampled_from(["#tea", "#den"])
streams = st.sampled_from(["s1", "s2", "s3"])
names = st.sampled_from(["bob", "carol", ""])
ids = st.integers(0, 12)
said = st.lists(
    st.sampled_from(
        ["foo", "Foo", "bar", "é", "É", "foo-bar", "...", '"', "AND", "NOT", "(", "*", "x"]
    ),
    max_size=4,
).map(" ".join)
kinds = st.sampled_from([MSG, MSG, MSG, TURN, MODE])
states = st.sampled_from([DELIVERED, UNCERTAIN, UNDELIVERED])
entries = st.builds(StreamEntry, ids, kinds, st.floats(0, 2e9), said)


class Both(RuleBasedStateMachine):
    """The same calls on a ledger in memory and one in a file."""

    log = True

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.memory: Ledger = MemoryLedger(log=self.log)
        self.file: Ledger = self.opened()

    def opened(self) -> Ledger:
        return SqliteLedger(self.folder / "ledger", log=self.log)

    def teardown(self) -> None:
        self.file.close()
        shutil.rmtree(self.folder)

    def same(self, call: Callable[[Ledger], object]) -> None:
        """`call` answers, or refuses, alike."""
        assert _answer(call, self.file) == _answer(call, self.memory)

    @rule(key=keys, stream=streams)
    def begin(self, key: str, stream: str) -> None:
        self.same(lambda ledger: ledger.begin(key, stream))

    @rule(key=keys, name=names, entry=entries)
    def add(self, key: str, name: str, entry: StreamEntry) -> None:
        self.same(lambda ledger: ledger.add(key, name, entry))

    @rule(key=keys, id=ids)
    def wrote(self, key: str, id: int) -> None:
        self.same(lambda ledger: ledger.wrote(key, id))

    @rule(key=keys, some=st.lists(ids, max_size=4), state=states)
    def settle(self, key: str, some: list[int], state: str) -> None:
        self.same(lambda ledger: ledger.settle(key, tuple(some), state))

    @rule(key=keys, id=ids)
    def withdraw(self, key: str, id: int) -> None:
        self.same(lambda ledger: ledger.withdraw(key, id))

    @rule(key=keys, stream=streams)
    def meet(self, key: str, stream: str) -> None:
        self.same(lambda ledger: ledger.meet(key, stream))

    @rule(key=keys, name=names, entry=entries)
    def store_incoming(self, key: str, name: str, entry: StreamEntry) -> None:
        self.same(lambda ledger: ledger.store_incoming(key, name, entry))

    @rule(room=rooms, name=names, entry=entries, most=st.integers(0, 20))
    def overheard(self, room: str, name: str, entry: StreamEntry, most: int) -> None:
        self.same(lambda ledger: ledger.overheard(room, name, entry, most))

    @rule(key=keys, turn=st.sampled_from(["mine", "theirs", ""]))
    def set_turn(self, key: str, turn: str) -> None:
        self.same(lambda ledger: ledger.set_turn(key, turn))

    @rule(number=st.integers(0, 12))
    def shown(self, number: int) -> None:
        self.same(lambda ledger: ledger.shown(number))

    @rule(key=keys | rooms, most=st.integers(-1, 9), before=st.integers(-1, 12))
    def history(self, key: str, most: int, before: int) -> None:
        self.same(lambda ledger: ledger.history(key, most, before))

    @rule(words=said, most=st.integers(-1, 9))
    def search(self, words: str, most: int) -> None:
        self.same(lambda ledger: ledger.search(words, most))

    @invariant()
    def agree(self) -> None:
        for key in ("k1", "k2", "k3"):
            self.same(lambda ledger, key=key: (ledger.state(key), ledger.entries(key)))  # type: ignore[misc]
        self.same(lambda ledger: (ledger.waiting(), ledger.unshown()))


class BothWithALog(Both):
    @rule()
    def open_again(self) -> None:
        self.file.close()
        self.file = self.opened()


class BothWithoutALog(Both):
    log = False


def _answer(call: Callable[[Ledger], object], ledger: Ledger) -> object:
    try:
        return call(ledger)
    except LedgerTrouble as error:
        return str(error)


class LedgerTests(SynchronousTestCase):
    def test_agree_with_a_log(self) -> None:
        run_state_machine_as_test(BothWithALog, settings=settings(max_examples=30, deadline=None))

    def test_agree_without_a_log(self) -> None:
        run_state_machine_as_test(
            BothWithoutALog, settings=settings(max_examples=15, deadline=None)
        )

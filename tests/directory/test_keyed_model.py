"""Any coming and going, beside a small model of it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.introducing import Introductions
from chatproto.directory.registrations import ClientConnection, Dismiss
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.contracts.names import key
from tests.directory.hall import HOST, Hall

IDS = ("ann", "Ann", "bob", "b0b", "carl", "dora")
KEYS = (1, 2, 3)


class Comings(RuleBasedStateMachine):
    """Any coming and going, beside what should be known: who owns what, who is here, until when."""

    def __init__(self) -> None:
        super().__init__()
        self.hall = Hall(keep_names=500.0, presence_grace=30.0)
        self.here: dict[str, ClientConnection] = {}
        self.listed: dict[str, bool] = {}
        self.until: dict[str, float] = {}  # of those who have left
        self.expires: dict[str, int] = {}
        self.clients: list[ClientConnection] = []

    @rule(number=st.sampled_from(KEYS), client_id=st.sampled_from(IDS), listed=st.booleans(),
          expires=st.sampled_from([60, 100, 300]), reuse=st.booleans())  # fmt: skip
    def register(
        self, number: int, client_id: str, listed: bool, expires: int, reuse: bool
    ) -> None:
        mine = [one for one in self.clients if one.key == key(number)]
        client = mine[-1] if reuse and mine else ClientConnection(key(number), HOST, 1)
        if client not in self.clients:
            self.clients.append(client)
        answer = self.hall.register(client, client_id, listed=listed, expires=expires)
        if isinstance(answer, Error):
            assert answer.status in (403, 409)
            return
        former = self.here.get(client_id)
        if former is not None and former is not client:
            assert Dismiss(former, bcp2_server.Replaced()) in self.hall.others
        for name in [name for name, one in self.here.items() if one is client]:
            del self.here[name]
        self.here[client_id], self.listed[client_id] = client, listed
        self.expires[client_id] = expires
        self.until.pop(client_id, None)

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        if not self.clients:
            return
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)
        self.hall.directory.lost(client, self.hall.now)
        for name in [name for name, one in self.here.items() if one is client]:
            del self.here[name]
            self.until[name] = self.hall.now + self.expires[name]

    @rule(client_id=st.sampled_from(IDS), free=st.booleans())
    def expel(self, client_id: str, free: bool) -> None:
        if free:
            self.hall.directory.free(client_id)
        else:
            self.hall.directory.expel(client_id)
        self.here.pop(client_id, None)
        self.until.pop(client_id, None)

    @rule(seconds=st.sampled_from([1, 29, 30, 61, 200, 600]))
    def wait(self, seconds: int) -> None:
        self.hall.pass_time(seconds)
        self.until = {name: end for name, end in self.until.items() if end > self.hall.now}

    @rule(client_id=st.sampled_from(IDS))
    def call(self, client_id: str) -> None:
        self.hall.directory.introducer._introductions = Introductions(self.hall.limits)
        caller = ClientConnection(key(9), HOST, 1)
        self.hall.register(caller, "caller")
        answer = self.hall.ask(caller, bcp2_server.Bridge(1, client_id))
        listed = self.listed.get(client_id, False)
        if client_id in self.here and listed:
            assert answer.key == self.here[client_id].key
            assert [one.client for one in self.hall.others] == [self.here[client_id]]
        else:
            away = client_id in self.until and listed
            assert answer == Error(480 if away else 404, 1), answer
        self.hall.register(caller, "caller", expires=0)

    @invariant()
    def is_as_it_should(self) -> None:
        shown = sorted(name for name in self.here if self.listed[name])
        assert self.hall.listed() == shown
        directory = self.hall.directory
        known = [one for one in IDS if directory.knows(one)]
        assert known == [one for one in IDS if one in self.here or one in self.until]
        for name, one in self.here.items():
            assert one.client_id == name
            assert self.hall.names.owner(name) == one.key
        holders = [one.client_id for one in self.here.values()]
        assert len(holders) == len(set(holders))
        assert set(directory._leaving) <= set(self.until)


class AnyComingAndGoing(SynchronousTestCase):
    def test_agrees_with_a_small_model(self) -> None:
        run_state_machine_as_test(Comings, settings=settings(max_examples=50, deadline=None))

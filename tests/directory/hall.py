"""A directory for clients with keys, with the time and all that is said in the test's hands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.introducing import NewTickets, no_tickets
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection, Effect
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.contracts.names import key
from tests.limits import Limits

HOST = "198.41.0.4"


class Hall:
    """A directory, the time, and what was said to whom."""

    def __init__(self, new_tickets: NewTickets = no_tickets, **limits: float) -> None:
        self.limits = Limits(**limits)  # type: ignore[arg-type]
        self.names = MemoryNames()
        self.registry = MemoryRegistry(self.limits)
        self.calls = 0
        self.directory = KeyedDirectory(
            self.names, self.registry, self.new_call, self.limits, new_tickets
        )
        self.now = 1000.0
        self.others: list[Effect] = []

    def new_call(self) -> str:
        self.calls += 1
        return f"call{self.calls}"

    def ask(self, client: ClientConnection, message: Any) -> Any:
        """The answer; what else was said is in `others`."""
        effects = self.directory.answer(message, client, self.now)
        number = getattr(message, "cseq", None)
        own = [
            one.message
            for one in effects
            if one.client is client and getattr(one.message, "cseq", None) == number
        ]
        assert len(own) == 1, effects
        self.others = [one for one in effects if one.message is not own[0]]
        return own[0]

    def come(self, client_id: str, number: int, host: str = HOST, **how: Any) -> ClientConnection:
        """Register a new client with key `number` as `client_id`."""
        client = ClientConnection(key(number), host, 40000 + number)
        answer = self.register(client, client_id, **how)
        assert isinstance(answer, bcp2_server.RegAck), answer
        return client

    def register(self, client: ClientConnection, client_id: str, **how: Any) -> Any:
        return self.ask(client, bcp2_server.Register(7, client_id, 5000, **how))

    def status(self, client: ClientConnection, message: Any) -> int:
        """Return the status with which a request is refused."""
        answer = self.ask(client, message)
        assert isinstance(answer, Error), answer
        assert answer.cseq == message.cseq
        assert not self.others, self.others
        return answer.status

    def classic(self, client_id: str, host: str = HOST) -> None:
        """Register a classic client."""
        self.registry.keep(
            ClassicRegistration(client_id, host, 3000, Origin(host, 1, False)), self.now
        )

    def pass_time(self, seconds: float) -> list[Effect]:
        """Let time pass and return the effects."""
        self.now += seconds
        return self.directory.due(self.now)

    def listed(self, **how: Any) -> list[str]:
        anybody = ClientConnection(key(99), HOST, 1)
        answer = self.ask(anybody, bcp2_server.Info(1, **how))
        assert isinstance(answer, bcp2_server.InfoAck)
        return [one.client_id for one in answer.contacts]


def news(effects: Iterable[Effect]) -> list[tuple[str, str]]:
    """The PRESENCEs among `effects`."""
    return [
        (one.message.peer_id, one.message.status)
        for one in effects
        if isinstance(one.message, bcp2_server.Presence)
    ]


class Hosted(SynchronousTestCase):
    def setUp(self) -> None:
        self.hall = Hall()

    def assertStatus(self, status: int, client: ClientConnection, message: Any) -> None:
        self.assertEqual(self.hall.status(client, message), status, message)

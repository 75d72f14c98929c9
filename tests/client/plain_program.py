"""Alice's program without a server and without a key, for tests of what it does with conversations."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.calls.plain_calls import PlainPeerFactory
from chatproto.client.events import (
    Event,
)
from chatproto.client.settings import ClientSettings
from tests.client.codes import coded
from tests.client.typing_person import made
from tests.limits import DEFAULTS, Limits
from tests.net import Net, Wire, joined

BOB = "127.0.0.1:5002"


class Case(SynchronousTestCase):
    """Alice's program without a server."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, limits: Limits = DEFAULTS, **settings: Any) -> Any:
        self.net = Net()
        self.events: list[Event] = []
        self.codes: list[int] = []
        values: dict[str, Any] = {"plain": True, "dialect": "lobby"} | settings
        chosen = ClientSettings("alice", **values)
        self.node: Any = made(self.net, chosen, limits)
        self.node.finished.listen(self.codes.append)
        self.node.publish.listen(lambda event: self.events.append(coded(event)))
        self.node.start("127.0.0.1", 5001)
        return self.node

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    def talking(self) -> Wire:
        """Call a peer by address; return our connection."""
        self.node.chat(BOB)
        return self.net.accept()

    def called(
        self, name: str, port: int = 5003, host: str = "127.0.0.1", says: str = "127.0.0.1"
    ) -> Wire:
        """Call the program from `host`, claiming to accept calls at `says`."""
        factory = PlainPeerFactory(self.node.plain_calls, self.net, self.node.limits)
        wire = joined(factory.buildProtocol(None), Wire(host, 40000 + port))
        wire.says(f"CHAT\r\nclientID: {name}\r\nIP: {says}\r\nPort: {port}\r\n\r\n".encode())
        return wire

    def spent(self, wire: Wire) -> list[bytes]:
        """Return everything written after a second."""
        self.net.wait(1)
        return wire.writes

    def closed(self, wire: Wire) -> None:
        """Close the far end, after our side has half-closed."""
        self.net.wait(0.2)
        self.assertTrue(wire.half_closed)
        wire.ends()

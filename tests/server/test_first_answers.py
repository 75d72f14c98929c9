"""The server's answers to connections without a protocol are those of its protocol."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answers import Directory
from chatproto.net.arrivals import Refused
from chatproto.server.counters import Counters
from chatproto.server.factory import REFUSALS_AT_ONCE, ChatFactory
from chatproto.stores.memory import MemoryRegistry
from chatproto.stores.memory_names import MemoryNames
from chatproto.wire.errors import StoreTrouble
from tests.contracts.registry import image
from tests.limits import Limits
from tests.server.ends import End, connect, lose

REGISTER = b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"
REGACK = b"REGACK\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\nStatus: registered\r\n\r\n"
BRIDGE = b"BRIDGE\r\nclientID: alice\r\n\r\n"
END = b""
REQUESTS = (
    REGISTER,
    REGISTER.replace(b"3000", b"3001"),
    REGISTER.replace(b"alice", b"bob"),
    REGISTER.replace(b"127.0.0.1", b"192.0.2.9"),
    REGISTER + BRIDGE,
    BRIDGE,
    b"UNREGISTER\r\nclientID: alice\r\n\r\n",
    REGISTER[:20],
    b"RELAY",
    END,
)
SERVER = "192.0.2.9"
HOSTS = ("127.0.0.1", "192.0.2.1", "192.0.2.2", "127.0.0.2", SERVER)
OURS = (SERVER, "192.0.2.8")
Visit = tuple[str, str, tuple[bytes, ...], bool]
"""Host of a connection, our own there, the chunks that it brings, and whether it ends then."""
chunks = st.one_of(st.just(REGISTER), st.sampled_from(REQUESTS))
visits = st.tuples(
    st.sampled_from(HOSTS), st.sampled_from(OURS), st.tuples(chunks, chunks), st.booleans()
)
OF_SERVER = REGISTER.replace(b"127.0.0.1", SERVER.encode())


class Visitor:
    """Connection that gets a protocol only if it needs one, as `net.arrivals` has it.

    `is_direct` False: it gets one at once, as from Twisted's own port.
    """

    def __init__(
        self, factory: ChatFactory, host: str, is_direct: bool, ours: str = SERVER
    ) -> None:
        self.factory = factory
        self.ours = ours
        self.end = End(host, ours=ours)
        self.has_ended = self.was_answered = False
        if is_direct:
            self.visit = factory.arrive(host, 40000)
            self.connection = None
        else:
            self.connection = connect(factory, self.end)

    def receive(self, data: bytes) -> None:
        """Take what the client sends, or its end."""
        if self.has_ended:
            return
        if self.connection is None:
            if data == END:
                self.lose()
                return
            answer = None
            if not self.was_answered:
                answer = self.factory.answer(self.visit, lambda: self.ours, data)
            if answer is not None:
                self.was_answered = True
                self.end.write(answer)
                return
            self.resume()
        assert self.connection is not None
        if data != END:
            self.connection.dataReceived(data)
            return
        self.connection.readConnectionLost()
        if self.end.disconnecting:
            self.lose()

    def resume(self) -> None:
        """Get a protocol."""
        if self.connection is None and not self.has_ended:
            self.connection = self.factory.make_protocol(self.visit, self.was_answered)
            self.connection.makeConnection(self.end)

    def lose(self) -> None:
        """End the connection."""
        if self.has_ended:
            return
        self.has_ended = True
        if self.connection is None:
            self.factory.depart(self.visit)
        else:
            lose(self.connection)


class FirstAnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.said: list[str] = []

    def make(self, most: int = 1000, **limits: float) -> ChatFactory:
        values = Limits(**limits)  # type: ignore[arg-type]
        self.names = MemoryNames()
        directory = Directory(MemoryRegistry(values), values, self.names)
        return ChatFactory(self.clock, directory, values, most, self.said.append)

    def registered(self, factory: ChatFactory) -> None:
        """Have alice registered, by a connection that has ended."""
        first = Visitor(factory, HOSTS[0], is_direct=False)
        first.receive(REGISTER)
        first.lose()

    @given(st.lists(visits, min_size=1, max_size=4))
    @example([(HOSTS[0], SERVER, (REGISTER,), True), (HOSTS[0], SERVER, (REGISTER,) * 2, False)])
    @example([(HOSTS[1], SERVER, (REGISTER,), True), (HOSTS[1], SERVER, (REGISTER, END), False)])
    @example([(HOSTS[1], OURS[1], (OF_SERVER,), True), (HOSTS[1], SERVER, (OF_SERVER,), False)])
    def test_first_data_are_answered_as_by_a_protocol(self, came: list[Visit]) -> None:
        """Whatever former connections brought, and whether they have ended."""
        plain = self.served(came, is_direct=False, is_counted=True)
        self.assertEqual(self.served(came, is_direct=False), plain)
        self.assertEqual(self.served(came, is_direct=True), plain)

    def served(self, visits: list[Visit], is_direct: bool, is_counted: bool = False) -> object:
        """Return all that is to be seen of `visits`. `is_counted`: there are no short cuts."""
        self.said, answers = [], []
        factory = self.make()
        if is_counted:
            factory.counters = Counters()
        came = [Visitor(factory, host, is_direct, ours) for host, ours, _, _ in visits]
        for client, (_, _, chunks, ended) in zip(came, visits, strict=True):
            for chunk in chunks:
                client.receive(chunk)
            if ended:
                client.lose()
            self.assertEqual(len(factory), sum(not one.has_ended for one in came))
        for client in came:
            client.resume()
            answers.append((client.end.value(), client.end.writes, client.has_ended))
        registry = factory.directory.registry
        assert isinstance(registry, MemoryRegistry)
        held = image(registry)
        places = len(factory.silent), len(factory.passing), len(factory.spoken)
        uses = len(factory.addresses), factory.taken
        return answers, self.said, held, places, uses

    def test_a_repeated_registration_is_answered_without_a_protocol(self) -> None:
        factory = self.make()
        self.registered(factory)
        client = Visitor(factory, HOSTS[0], is_direct=True)
        client.receive(REGISTER)
        self.assertEqual((client.end.value(), client.connection), (REGACK, None))

    def test_other_input_gets_a_protocol(self) -> None:
        def count(factory: ChatFactory) -> None:
            factory.counters = Counters()

        def trace(factory: ChatFactory) -> None:
            factory.trace = self.said.append

        def refuse(factory: ChatFactory) -> None:
            factory.tls_only = True

        def queue(factory: ChatFactory) -> None:
            factory.turns.is_free = False

        for change in (count, trace, refuse, queue):
            factory = self.make()
            self.registered(factory)
            change(factory)
            client = Visitor(factory, HOSTS[0], is_direct=True)
            client.receive(REGISTER)
            self.assertIsNotNone(client.connection)

    def test_with_a_store_in_trouble_the_rules_say_503(self) -> None:
        factory = self.make()
        self.registered(factory)

        def fail(client_id: str) -> str:
            raise StoreTrouble("a test wants it")

        self.patch(self.names, "owner", fail)
        client = Visitor(factory, HOSTS[0], is_direct=True)
        client.receive(REGISTER)
        self.assertEqual(client.end.value(), b"ERROR\r\nStatus: 503 unavailable\r\n\r\n")

    def test_arrivals_count_as_connections_of_their_address(self) -> None:
        factory = self.make(most=2, connections_per_address=1)
        first = Visitor(factory, HOSTS[1], is_direct=True)
        self.assertEqual(self.status(factory, HOSTS[1]), 429)
        second = Visitor(factory, HOSTS[0], is_direct=True)
        self.assertEqual((len(factory), factory.taken), (2, 2))
        self.assertEqual(self.status(factory, HOSTS[2]), 503)
        first.lose()
        self.assertIsNone(self.status(factory, HOSTS[1]))
        second.lose()
        self.assertEqual(len(factory), 1)

    def test_arrivals_make_room_before_clients_with_a_hello(self) -> None:
        factory = self.make(most=2)
        friend = Visitor(factory, HOSTS[0], is_direct=False)
        assert friend.connection is not None
        friend.connection.greeted = True
        self.assertEqual(factory.room, 0)
        arrival = Visitor(factory, HOSTS[0], is_direct=True)
        self.assertEqual((self.status(factory, HOSTS[0]), friend.end.aborted), (503, False))
        arrival.resume()
        self.assertIsNone(self.status(factory, HOSTS[0]))
        self.assertEqual((arrival.end.aborted, friend.end.aborted), (True, False))

    def test_half_of_the_places_are_for_connections_with_a_protocol(self) -> None:
        factory = self.make(most=4)
        for room in (2, 1, 0, -1):
            self.assertEqual(factory.room, room)
            Visitor(factory, HOSTS[0], is_direct=True)

    def status(self, factory: ChatFactory, host: str) -> int | None:
        """Return why a connection from `host` is refused; None if it is not."""
        try:
            factory.arrive(host, 40000)
        except Refused as refused:
            return getattr(refused.protocol, "status", None)
        return None

    def test_a_flood_of_refused_arrivals_is_closed_without_an_answer(self) -> None:
        factory = self.make(connections_per_address=0)
        told = [self.status(factory, HOSTS[1]) for _ in range(REFUSALS_AT_ONCE + 1)]
        self.assertEqual(told, [429] * REFUSALS_AT_ONCE + [None])

    def test_the_last_departure_empties_the_server(self) -> None:
        factory, emptied = self.make(), []
        factory.on_empty = lambda: emptied.append(len(factory))
        Visitor(factory, HOSTS[0], is_direct=True).lose()
        self.assertEqual(emptied, [0])

"""Build the parts of a client in order, start them, and shut them down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.connections import Connections
from chatproto.client.calls.dialer import Dialer
from chatproto.client.calls.outgoing import OutgoingCalls
from chatproto.client.calls.plain_calls import PlainCalls
from chatproto.client.calls.rendezvous import ServerAnswers
from chatproto.client.calls.rendezvous_table import RendezvousTable
from chatproto.client.calls.secure_calls import SecureCalls
from chatproto.client.calls.secure_dialer import SecureDialer
from chatproto.client.contact_keys import ContactKeys
from chatproto.client.context import Context, Signal
from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.conversations import Conversations
from chatproto.client.deliveries import Deliveries
from chatproto.client.events import Exited, Notice, Running
from chatproto.client.familiar_names import FamiliarNames, familiar_names
from chatproto.client.files import Files
from chatproto.client.known_dialects import KnownDialects
from chatproto.client.messages import Messages
from chatproto.client.name_resolver import NameResolver
from chatproto.client.nearby import Neighbours
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.outbox import Outbox
from chatproto.client.requests import Requests
from chatproto.client.rooms.joined_rooms import JoinedRooms
from chatproto.client.rooms.member_keys import MemberKeys
from chatproto.client.rooms.remembered_rooms import RememberedRooms
from chatproto.client.rooms.room_orders import RoomOrders
from chatproto.client.server.introducers import Introducer
from chatproto.client.server.server_news import ServerEvents
from chatproto.client.server.server_queries import ServerQueries
from chatproto.client.status_report import StatusReport
from chatproto.client.strangers import Strangers
from chatproto.client.trust_store import TrustStore
from chatproto.directory.room_client import RoomClient
from chatproto.session.ledger import Ledger
from chatproto.session.state import SessionState
from chatproto.transfer.context import DiskWorker
from chatproto.wire.dialects import Me
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import NO_BEACON, NO_FILES_IN_PLAIN
from chatproto.wire.values import value_class

END_WAIT = 10.0
"""Seconds after the end of input in which queued messages can still be delivered."""
ENDS_WITH_PEER = "with --plain the program ends with its conversation: start it again for the next"
NAMED = 3
"""Most open conversations and rooms that are named after a /quit."""


@value_class
class ServerAccess:
    """Access to the server and its rooms; None if there is no server, or no rooms."""

    server: Introducer | None = None
    rooms: RoomClient | None = None


NO_SERVER = ServerAccess()


@value_class
class Storage:
    """Folders of a client, and the worker that runs blocking disk jobs."""

    worker: DiskWorker
    home: Path
    downloads: Path


def no_server(context: Context, events: ServerEvents) -> ServerAccess:
    """Return no server (--server none)."""
    return NO_SERVER


Connect = Callable[[Context, ServerEvents], ServerAccess]
Beacons = Callable[[Context, Signal[str]], Neighbours]


@dataclass(eq=False)
class Client:
    """Parts of a client, with the methods for the user's commands.

    Methods for commands raise an exception with one sentence; `requests.attempt` publishes it.
    `finished` fires once with the exit code, when all connections have closed.
    """

    context: Context
    requests: Requests
    trust: TrustStore | None
    conversations: Conversations
    calls: Calls
    connections: Connections
    rendezvous: RendezvousTable
    plain_calls: PlainCalls
    outgoing: OutgoingCalls
    talk: ConversationOrders
    messages: Messages
    contacts: ContactKeys
    outbox: Outbox
    files: Files | None
    rooms: JoinedRooms
    in_room: RoomOrders
    member_keys: MemberKeys
    server: Introducer | None
    directory: ServerQueries
    neighbours: Neighbours | None
    status: StatusReport
    finished: Signal[int] = field(default_factory=Signal)
    _input_ended: IDelayedCall | None = None
    _exit_code: int | None = None

    def __post_init__(self) -> None:
        self.calls.left.listen(self._left)

    def familiar_names(self) -> FamiliarNames:
        """Return the names that Tab can complete."""
        joined = [row["room"] for row in self.rooms.rows()]
        here = self.rooms.members(self.conversations.room)
        ids = chain(
            here,
            (one.name for one in self.conversations),
            self.context.trust.file.pins.names(),
            self.neighbours.ids() if self.neighbours is not None else (),
            chain.from_iterable(map(self.rooms.members, joined)),
            self.context.address_book.ids(),
        )
        return familiar_names(here, ids, (*joined, *self.in_room.listed))

    def need_files(self) -> Files:
        """Return the file transfers. Raises LocalError with --plain."""
        if self.files is None:
            raise LocalError(405, NO_FILES_IN_PLAIN())
        return self.files

    def need_neighbours(self) -> Neighbours:
        """Return the part for the local network. Raises LocalError without --beacon."""
        if self.neighbours is None:
            raise LocalError(405, NO_BEACON())
        return self.neighbours

    def start(self, host: str, port: int) -> None:
        """Start all parts; `host:port` is the address of our port as announced to peers."""
        me = self.context.own_addresses.me = Me(self.context.settings.client_id, host, port)
        if not self.context.own_addresses.listening[1]:  # the announced address may differ
            self.context.own_addresses.listening = host, port
        self.context.publish(Running(me.client_id, host, port, self.context.trust.own_key or None))
        self.outbox.start()
        if self.files is not None:
            self.files.start()
        if self.server is not None:
            self.server.start(me)

    def listens(self, host: str, port: int) -> None:
        """Announce our port on the local network; it listens at `host:port`."""
        if self.neighbours is not None and self._exit_code is None:
            self.neighbours.start(host, port)

    def stop(self, code: int = 0) -> None:
        """Leave every conversation; finish when all farewells are written, or after a timeout."""
        if self._exit_code is not None:
            return
        self._exit_code = code
        if self._input_ended is not None and self._input_ended.active():
            self._input_ended.cancel()
        self.messages.stop()
        self.outbox.stop()
        if self.files is not None:
            self.files.stop()
        self.rooms.stop()
        if self.neighbours is not None:
            self.neighbours.stop()
        if self.server is not None:
            self.server.stop()
        self.calls.leave_all()
        self.rendezvous.stop()
        self.connections.close_all(lambda: self._exit(code))

    def quit(self) -> None:
        """Leave the current conversation or room; outside both, end the program.

        At a terminal it also leaves an away contact. The user is told that a second /quit ends the
        program if other conversations are open, or if the target was an away contact.
        """
        typed = self.context.settings.typed
        away = self.calls.all.away if typed else None
        if room := self.calls.all.room:
            self.rooms.part()
        elif away is not None:
            self.talk.leave_away(away)
        elif not self.talk.quit_current() or (
            self.context.settings.plain and not len(self.calls.all)
        ):
            self.stop()
            return
        left = self._open(room)
        if typed and (left or away is not None):
            more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
            still = f" (still open: {', '.join(left[:NAMED])}{more})" if left else ""
            self.context.publish(Notice(f"/quit once more ends the program{still}"))

    def _open(self, room: str) -> list[str]:
        """List the open conversations and rooms, except `room`, which is being left."""
        live = (SessionState.OPEN, SessionState.BROKEN)
        rooms = (row["room"] for row in self.rooms.rows())
        return [
            *(one.name for one in self.calls.all if one.state in live),
            *(one for one in rooms if one != room),
        ]

    def leave(self, what: str = "") -> None:
        """Leave the conversation or room `what`, or the current one.

        Raises: LocalError: there is none.
        """
        away = self.calls.all.away
        if what.startswith("#") or (not what and self.calls.all.room):
            self.rooms.part(what)
        elif away is not None and what in ("", away.name):
            self.talk.leave_away(away)
        elif what:
            self.talk.leave(what)
        elif not self.talk.quit_current():
            raise LocalError(404, "you are in no conversation and no room: /quit ends the program")

    def end_of_input(self) -> None:
        """End when all messages are delivered or reported, or after `END_WAIT`: no input follows."""
        if self._input_ended is None and self._exit_code is None:
            wait = END_WAIT
            self._input_ended = self.context.clock.callLater(wait, self.stop)
            self.context.settled.listen(self._settle)
            self._settle()

    def interrupted(self) -> None:
        """End as at the end of input, with a notice: the user pressed Ctrl-C."""
        self.end_of_input()
        if self._exit_code is None:
            wait = END_WAIT
            text = f"delivering messages for up to {wait:g} s (Ctrl-C again ends at once)"
            self.context.publish(Notice(text))

    def _exit(self, code: int) -> None:
        self.outbox.end()
        self.context.publish(Exited(code))
        self.finished(code)

    def _settle(self, _: None = None) -> None:
        """End if the input has ended and nothing is queued or pending."""
        if not len(self.requests) and not self.calls.all.unsent and not self.rooms.outbox.unsent:
            self.stop()

    def _left(self, _: None) -> None:
        """End the program with --plain, if the peer has left the only conversation."""
        busy = len(self.calls.all) or len(self.requests)
        ends = self._exit_code is not None or self._input_ended is not None
        if self.context.settings.plain and not busy and not ends:
            self.context.publish(Notice(ENDS_WITH_PEER))
            self.stop()


def build_client(
    context: Context,
    *,
    connect: Connect = no_server,
    ledger: Ledger | None = None,
    storage: Storage | None = None,
    beacons: Beacons | None = None,
    dialects: KnownDialects | None = None,
    remembered: RememberedRooms | None = None,
) -> Client:
    """Build the parts of a client, each from those before it.

    Args: connect: makes the server's side. ledger, storage: None with --plain, which has no key, log or
    files. beacons: makes the part for the local network (--beacon). dialects: the dialect that worked
    with each contact. remembered: the rooms to join again.
    """
    streams = files = neighbours = None
    keyed = bool(context.trust.own_key)
    if keyed and ledger is not None:
        streams = OutboundStreams(context, ledger)
    events = ServerEvents()
    requests = Requests(context.publish, context.settled)
    conversations = Conversations(context.trust, context.clock.seconds, context.settings.typed)
    access = connect(context, events)
    server = access.server
    if keyed and beacons is not None:
        neighbours = beacons(context, events.contact_online)
    answers = ServerAnswers(context.clock)
    resolver = NameResolver(context, conversations, answers, server, events, neighbours)
    if keyed and storage is not None:
        worker, home, downloads = storage.worker, storage.home, storage.downloads
        files = Files(context, context.trust, conversations.new_number, worker, home, downloads)
    strangers = Strangers(context.clock, context.limits, context.publish)
    calls = Calls(
        context,
        conversations,
        strangers,
        requests,
        resolver,
        events,
        streams,
        files,
    )
    connections = Connections(context, calls, ledger)
    dialer = Dialer(context)
    secure = SecureCalls(context, calls, connections, resolver)
    rendezvous = RendezvousTable(context, calls, connections, secure, dialer, answers, events)
    plain = PlainCalls(context, calls, connections, secure, rendezvous)
    secure_dialer = SecureDialer(context, calls, connections, answers, rendezvous)
    outgoing = OutgoingCalls(
        context,
        dialects or KnownDialects(),
        requests,
        resolver,
        calls,
        connections,
        plain,
        dialer,
        secure_dialer,
    )
    deliveries = Deliveries(context, streams, server, calls.has_conversation_with, outgoing.deliver)
    outbox = Outbox(context, calls, streams, deliveries, resolver, events)
    member_keys = MemberKeys(context, access.rooms)
    rooms = JoinedRooms(
        context,
        conversations,
        requests,
        access.rooms,
        strangers,
        streams,
        events,
        remembered or RememberedRooms(),
        lambda: context.trust.current_server,
        member_keys,
    )
    in_room = RoomOrders(context, requests, rooms)
    talk = ConversationOrders(context, calls, files)
    messages = Messages(context, server, calls, outgoing, talk, rooms, in_room, outbox)
    return Client(
        context=context,
        requests=requests,
        trust=context.trust if keyed else None,
        conversations=conversations,
        calls=calls,
        connections=connections,
        rendezvous=rendezvous,
        plain_calls=plain,
        outgoing=outgoing,
        talk=talk,
        messages=messages,
        contacts=ContactKeys(context, calls, outbox),
        outbox=outbox,
        files=files,
        rooms=rooms,
        in_room=in_room,
        member_keys=member_keys,
        server=server,
        directory=ServerQueries(context, requests, resolver),
        neighbours=neighbours,
        status=StatusReport(context, server, calls, rendezvous, rooms),
    )

"""Build the parts of one user's program, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chatproto.client.address_book import AddressBook
from chatproto.client.calls.calls import Calls
from chatproto.client.calls.connections import Connections
from chatproto.client.calls.dialer import Dialer
from chatproto.client.calls.outgoing import OutgoingCalls
from chatproto.client.calls.plain_calls import PlainCalls
from chatproto.client.calls.rendezvous import ServerAnswers
from chatproto.client.calls.rendezvous_table import RendezvousTable
from chatproto.client.calls.secure_calls import SecureCalls
from chatproto.client.calls.secure_dialer import Redials, SecureDialer
from chatproto.client.contact_keys import ContactKeys
from chatproto.client.context import Context, Signal
from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.conversations import Conversations
from chatproto.client.deliveries import Deliveries
from chatproto.client.familiar_names import FamiliarNames, familiar_names
from chatproto.client.files import Files
from chatproto.client.known_dialects import KnownDialects
from chatproto.client.messages import Messages
from chatproto.client.name_resolver import NameResolver
from chatproto.client.nearby import Neighbours
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.outbox import Outbox
from chatproto.client.own_addresses import OwnAddresses
from chatproto.client.program import Program
from chatproto.client.questions import Questions
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
from chatproto.transfer.context import DiskWorker
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import NO_BEACON, NO_FILES_IN_PLAIN
from chatproto.wire.values import value_class


@value_class
class ServerAccess:
    """The server, and its rooms; either is None where there is none."""

    server: Introducer | None = None
    rooms: RoomClient | None = None


NO_SERVER = ServerAccess()


@value_class
class Storage:
    """Folders of a client and the worker that waits for the disk: for files of others and our own."""

    worker: DiskWorker
    home: Path
    downloads: Path


def no_server(
    context: Context, people: AddressBook, place: OwnAddresses, events: ServerEvents
) -> ServerAccess:
    """Use no server (--server none)."""
    return NO_SERVER


Connect = Callable[[Context, AddressBook, OwnAddresses, ServerEvents], ServerAccess]
Beacons = Callable[[Context, TrustStore, Signal[str]], Neighbours]


@value_class
class Client:
    """Parts of one user's program, each with what a person can ask of it.

    Methods that a person asks for raise an exception with one sentence; `requests.attempt` publishes it.
    """

    context: Context
    program: Program
    requests: Requests
    place: OwnAddresses
    trust: TrustStore | None
    people: AddressBook
    conversations: Conversations
    calls: Calls
    connections: Connections
    rendezvous: RendezvousTable
    plain_calls: PlainCalls
    outgoing: OutgoingCalls
    talk: ConversationOrders
    messages: Messages
    questions: Questions
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

    def familiar_names(self) -> FamiliarNames:
        """Return the names that a person may mean when they press Tab."""
        return familiar_names(
            self.conversations,
            self.trust,
            self.people,
            self.neighbours,
            self.rooms,
            self.in_room.listed,
        )

    def need_files(self) -> Files:
        """Return the transfers. Raises LocalError with --plain."""
        if self.files is None:
            raise LocalError(405, NO_FILES_IN_PLAIN())
        return self.files

    def need_neighbours(self) -> Neighbours:
        """Return the part for the local network. Raises LocalError without --beacon."""
        if self.neighbours is None:
            raise LocalError(405, NO_BEACON())
        return self.neighbours


def build_client(
    context: Context,
    *,
    place: OwnAddresses,
    connect: Connect = no_server,
    trust: TrustStore | None = None,
    ledger: Ledger | None = None,
    storage: Storage | None = None,
    beacons: Beacons | None = None,
    dialects: KnownDialects | None = None,
    remembered: RememberedRooms | None = None,
) -> Client:
    """Build the parts of a client, each from those before it.

    Args: place: our addresses. connect: makes the server's side.
    trust, ledger, storage: None with --plain, where there are neither keys nor a log nor files.
    beacons: makes the part for the local network (--beacon). dialects: what worked with whom. remembered: the
    rooms to be in again.
    """
    context = replace(context, place=place)
    posts = files = neighbours = None
    if trust is not None:
        context = replace(context, trust=trust)
        if ledger is not None:
            posts = OutboundStreams(context, ledger)
    people, events = context.people, ServerEvents()
    requests = Requests(context.publish, context.settled)
    conversations = Conversations(context.trust, context.clock.seconds, context.settings.typed)
    access = connect(context, people, place, events)
    server = access.server
    if beacons is not None and trust is not None:
        neighbours = beacons(context, trust, events.came)
    answers = ServerAnswers(context.clock)
    resolver = NameResolver(context, conversations, answers, server, events, neighbours)
    if trust is not None and storage is not None:
        worker, home, downloads = storage.worker, storage.home, storage.downloads
        files = Files(context, trust, conversations.new_number, worker, home, downloads)
    strangers = Strangers(context.clock, context.limits, context.publish)
    calls = Calls(
        context,
        conversations,
        strangers,
        requests,
        resolver,
        events,
        posts,
        files,
    )
    connections = Connections(context, calls, ledger)
    dialer = Dialer(context.clock, context.limits, lambda: place.own_port)
    secure = SecureCalls(context, calls, connections, resolver)
    rendezvous = RendezvousTable(context, calls, connections, secure, dialer, answers, events)
    plain = PlainCalls(context, calls, connections, secure, rendezvous)
    secure_dialer = SecureDialer(context, calls, answers, rendezvous)
    Redials(context, calls, connections, secure_dialer)
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
    deliveries = Deliveries(context, posts, server, calls.talks_with, outgoing.deliver)
    outbox = Outbox(context, calls, posts, deliveries, resolver, events)
    member_keys = MemberKeys(context, access.rooms)
    rooms = JoinedRooms(
        context,
        conversations,
        requests,
        access.rooms,
        strangers,
        posts,
        events,
        remembered or RememberedRooms(),
        lambda: context.trust.here,
        member_keys,
    )
    in_room = RoomOrders(context, requests, rooms)
    talk = ConversationOrders(context, calls, files)
    messages = Messages(context, server, calls, outgoing, talk, rooms, in_room, outbox)
    program = Program(
        context,
        server,
        neighbours,
        requests,
        calls,
        connections,
        rendezvous,
        talk,
        messages,
        rooms,
        files,
        outbox,
    )
    return Client(
        context=context,
        program=program,
        requests=requests,
        place=place,
        trust=trust,
        people=people,
        conversations=conversations,
        calls=calls,
        connections=connections,
        rendezvous=rendezvous,
        plain_calls=plain,
        outgoing=outgoing,
        talk=talk,
        messages=messages,
        questions=Questions(conversations, talk, files),
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

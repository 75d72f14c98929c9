"""One user's program: who we are, whom we talk to, and what the person asked for."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from chatproto.client.active_target import ActiveTarget
from chatproto.client.address_book import AddressBook
from chatproto.client.calls import Calls
from chatproto.client.conversation import Conversation
from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.events import CommandOutput, Event, Exited, Notice, PresenceChanged, Running
from chatproto.client.files import Files
from chatproto.client.forgotten_at import refusal
from chatproto.client.held_input import HeldInput
from chatproto.client.inquiries import Inquiries
from chatproto.client.introducers import Introducer
from chatproto.client.known_dialects import KnownDialects
from chatproto.client.name_resolver import NameResolver
from chatproto.client.nearby import Neighbours
from chatproto.client.outbound_streams import OutboundStreams, Random
from chatproto.client.outbox import Outbox
from chatproto.client.own_addresses import OwnAddresses
from chatproto.client.questions import Questions
from chatproto.client.requests import Requests
from chatproto.client.room_orders import RoomOrders
from chatproto.client.rooms import JoinedRooms
from chatproto.client.settings import ClientSettings
from chatproto.client.status_report import StatusReport
from chatproto.client.trust_store import TrustStore
from chatproto.identity.names import NameBook
from chatproto.identity.pins import KEY, Pins
from chatproto.identity.recipient import FirstContact, Recipient
from chatproto.net.clock import Wall
from chatproto.session.delivery import Delivery
from chatproto.session.ledger import Ledger
from chatproto.session.state import SessionState
from chatproto.wire.dialects import BCP2, DIALECTS, Me
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import Contact, read_host_port
from chatproto.wire.limits import Limits
from chatproto.wire.reasons import CodedError


class App:
    """Carries out what the person asks for and tells what happens.

    Requests to the server are carried out one after another; what asks nobody runs at once. The
    methods return at once, and what came of them arrives as events: `tell` is the user interface's,
    set before the start. `finished` is called once, with the exit code, when all is over.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        settings: ClientSettings,
        limits: Limits,
        acquaintances: TrustStore | None,
        finished: Callable[[int], None],
        ledger: Ledger | None = None,
        random: Random | None = None,
        now: Callable[[], Wall] | None = None,
    ) -> None:
        self.settings = settings
        self.acquaintances = acquaintances
        self.server: Introducer | None = None
        self.place = OwnAddresses(settings.announce)
        self.limits = limits
        self.neighbours: Neighbours | None = None
        self.people = AddressBook()
        self.dialects = KnownDialects()
        # Ids of people who were called and were away, and their names: the person hears when they come.
        self.expected: dict[str, str] = {}
        self.me = Me(settings.client_id, "127.0.0.1", 0)
        self.tell: Callable[[Event], None] = _unheard
        self.reactor = reactor
        self.random: Random = random or SystemRandom()
        self.now: Callable[[], Wall] = now or (lambda: Wall(reactor.seconds()))
        self.posts: OutboundStreams | None = None
        if acquaintances is not None and ledger is not None:
            self.posts = OutboundStreams(ledger, acquaintances, self.random, limits)
        self.files: Files | None = None
        self.hold_input: Callable[[bool], None] = _unheld
        self.flushed: Callable[[], Deferred[None]] = _at_once
        self._finished = finished
        self.requests = Requests(lambda event: self.tell(event), self.settle)
        self._input_ended: IDelayedCall | None = None
        self._exit_code: int | None = None
        self.names = NameBook(
            lambda: acquaintances.pins if acquaintances is not None else NO_PINS,
            lambda: acquaintances.server_key if acquaintances is not None else None,
            lambda name: self.calls.all.recipient_of(name),
        )
        self.calls = Calls(self, reactor)
        self.rooms = JoinedRooms(self)
        self.in_room = RoomOrders(self, self.rooms)
        self.talk = ConversationOrders(self, self.calls)
        self._finder = NameResolver(self)
        self._inquiries = Inquiries(self, self._finder)
        self._questions = Questions(self.calls, self.talk)
        self._outbox = Outbox(self)
        self._held = HeldInput(self)
        self._overview = StatusReport(self)

    # Its life.

    def start(self, host: str, port: int) -> None:
        """Our own port is open at `host:port`, as others are told."""
        self.me = Me(self.settings.client_id, host, port)
        if not self.place.listening[1]:  # what is announced may be elsewhere
            self.place.listening = host, port
        known = self.acquaintances
        self.tell(Running(self.me.client_id, host, port, known.own_key if known else None))
        self._outbox.start()
        if self.files is not None:
            self.files.start()
        if self.server is not None:
            self.server.start(self.me)

    def listens(self, host: str, port: int) -> None:
        """Our own port is open there, whatever others are told: what those nearby are to know."""
        if self.neighbours is not None and self._exit_code is None:
            self.neighbours.start(host, port)

    def stop(self, code: int = 0) -> None:
        """Leave every conversation, and when all farewells are out, or after a while, finish."""
        if self._exit_code is not None:
            return
        self._exit_code = code
        if self._input_ended is not None and self._input_ended.active():
            self._input_ended.cancel()
        self._held.stop()
        self._outbox.stop()
        if self.files is not None:
            self.files.stop()
        self.rooms.stop()
        if self.neighbours is not None:
            self.neighbours.stop()
        if self.server is not None:
            self.server.stop()
        self.calls.leave_all(lambda: self._exit(code))

    def _exit(self, code: int) -> None:
        self._outbox.end()
        self.tell(Exited(code))
        self._finished(code)

    def end_of_input(self) -> None:
        """Nothing more will be typed: deliver or report what was said, for at most `end_wait`, and end."""
        if self._input_ended is None and self._exit_code is None:
            self._input_ended = self.reactor.callLater(self.limits.end_wait, self.stop)
            self.settle()

    def interrupted(self) -> None:
        """The person wants the program to end; as at the end of input, what was said goes out first."""
        self.end_of_input()
        if self._exit_code is None:
            wait = self.limits.end_wait
            self.tell(
                Notice(
                    f"delivering what was said, for {wait:g} s at most; Ctrl-C again ends at once"
                )
            )

    def settle(self) -> None:
        """Something was finished: if the input has ended and nothing is left to do, end."""
        self._held.go_on()
        if self._input_ended is None or len(self.requests):
            return
        if not self.calls.all.unsent and not self.rooms.unsent:
            self.stop()

    @property
    def target(self) -> object:
        """Whoever gets the next line."""
        return self.calls.all.target

    def room_is_current(self, name: str) -> None:
        """Say that the next line goes to the room `name`."""
        self.rooms.tell_current(name)

    # What the person asks for and nobody else needs to answer.

    def id(self) -> None:
        """Show who we are."""
        self.tell(CommandOutput("id", (self.me.client_id,), {"id": self.me.client_id}))

    def say(self, text: str) -> None:
        """Say `text` in the current conversation or room."""
        self.requests.attempt("say", lambda: self._say(text))

    def msg(self, text: str, to: str = "", word: str = "") -> None:
        """Say `text` to somebody or in a room (`#room`), or where what is typed goes.

        `word`: the first of several words typed without `to`. The text is refused if it is a name.
        """
        self.requests.attempt("msg", lambda: self._msg(text, to, word))

    def _msg(self, text: str, to: str, word: str) -> None:
        if word and (why := refusal(self, word)):
            raise LocalError(400, why)
        self._say(text, to)

    def _say(self, text: str, to: str = "") -> None:
        if to.startswith("#") or (not to and self.calls.all.room):
            self.rooms.say(text, to)
            return
        if to and self.rooms.rows() and self._is_stranger(to):
            # Whoever is in a room with us is called for it, and what is typed goes where it went.
            ActiveTarget(self.calls.all).run(lambda: self.chat(to))
        self._held.say(text, to)

    def _is_stranger(self, name: str) -> bool:
        """Whether we neither talk with `name` nor know a key of theirs, and could call them."""
        if self.acquaintances is None or self.server is None or self.settings.plain:
            return False
        recipient = self.names.resolve(name)
        known = self.calls.all.with_recipient(recipient)
        return isinstance(recipient, FirstContact) and known is None

    def unsend(self, number: str, to: str = "") -> None:
        """Take back a message that has not arrived: to `to`, or in the current conversation."""
        self.requests.attempt("unsend", lambda: self._outbox.unsend(int(number), to))

    def history(self, most: str = "20", who: str = "") -> None:
        """Show the latest `most` messages with `who`, an id or `#room`, or where lines go now."""
        if who.startswith("#") or (not who and self.calls.all.room):
            self.in_room.history(int(most), who)
        else:
            self.requests.attempt("history", lambda: self._outbox.history(int(most), who))

    def outbox(self) -> None:
        """Show what waits to be delivered."""
        self.requests.attempt("outbox", lambda: self.tell(self._outbox.listed()))

    def search(self, words: str) -> None:
        """Show what was said that has all of `words` in it."""
        self.requests.attempt("search", lambda: self._outbox.search(words))

    def accept(self, what: str = "") -> None:
        """Say yes to what was asked last, or to `what`: a call or a file, by name or number."""
        self.requests.attempt("accept", lambda: self._questions.answer(self.files, what, True))

    def decline(self, what: str = "") -> None:
        """Say no to it."""
        self.requests.attempt("decline", lambda: self._questions.answer(self.files, what, False))

    def send(self, paths: list[str], to: str = "") -> None:
        """Send files and folders to `to`, or to the one of the current conversation."""
        self.requests.attempt("send", lambda: self.talk.send(paths, to))

    def list_files(self) -> None:
        """Show every transfer that has not ended."""
        self.requests.attempt("files", lambda: self._need_files().list())

    def cancel(self, number: str) -> None:
        """End a transfer."""
        self.requests.attempt("cancel", lambda: self._need_files().cancel(int(number)))

    def switch(self, what: str) -> None:
        """Make another conversation or room the current one."""
        switch = self.rooms.switch if what.startswith("#") else self.talk.switch
        self.requests.attempt("switch", lambda: switch(what))

    def mode(self, which: str) -> None:
        """Take turns (`half`) in the current conversation, or no more (`full`)."""
        self.requests.attempt("mode", lambda: self.talk.set_half(which == "half"))

    def over(self) -> None:
        """Pass the turn without saying anything."""
        self.requests.attempt("over", self.talk.over)

    def ignore(self, peer: str) -> None:
        """Take no calls from `peer` any more, or take them again."""
        self.requests.attempt("ignore", lambda: self.talk.ignore(peer))

    def unignore(self, peer: str) -> None:
        """Take calls from `peer` again."""
        self.requests.attempt("ignore", lambda: self.talk.unignore(peer))

    def list_ignored(self) -> None:
        """Show whose calls are not taken."""
        self.tell(self.talk.list_ignored())

    def resend(self, peer: str) -> None:
        """Say to `peer` what was said for a key that they had before."""
        self.requests.attempt(
            "resend", lambda: self._outbox.resend(peer, lambda text: self._held.say(text, peer))
        )

    def who(self, peer: str = "") -> None:
        """Show the conversations, and whom `peer` means."""
        self.requests.attempt("who", lambda: self.tell(self._overview.who(peer)))

    def status(self) -> None:
        """Show who and where we are, and with which server."""
        self.tell(self._overview.status())

    def path(self, peer: str = "") -> None:
        """Show how `peer`, or the one of the current conversation, is reached, and why not better."""
        self.requests.attempt("path", lambda: self.tell(self._overview.path(peer)))

    def nearby(self) -> None:
        """Show who is nearby."""
        self.requests.attempt("nearby", lambda: self.tell(self._need_neighbours().answer()))

    def quit(self) -> None:
        """End the current conversation, leave the current room, or, outside both, end the program."""
        if self.calls.all.room:
            self.rooms.part()
            return
        ended = self.talk.quit_current()
        if not ended or (self.settings.plain and not len(self.calls.all)):
            self.stop()

    # What a server has to answer.

    def register(self) -> None:
        """Tell the server where we can be called."""
        self.requests.ask("register", self._inquiries.register)

    def info(self, prefix: str = "") -> None:
        """Ask who is registered, those whose id begins with `prefix`."""
        self.requests.ask("info", lambda: self._inquiries.info(prefix))

    def bridge(self, peer: str = "") -> None:
        """Ask the server for somebody to talk to."""
        self.requests.ask("bridge", lambda: self._inquiries.bridge(peer))

    def chat(self, target: str = "", dialect: str = "") -> None:
        """Call somebody: an id, `host:port`, or whom the server answered with last."""
        if dialect and dialect not in DIALECTS:
            known = ", ".join(sorted(DIALECTS))
            why = f"there is no dialect {dialect}; there are {known}"
            self.requests.fail("chat", LocalError(400, why))
            return
        plain = dialect or self._plain_dialect(target)
        if not plain and self.acquaintances is None:
            self.requests.fail("chat", LocalError(405, "there is no key to call with"))
            return
        manner = DIALECTS[plain] if plain else BCP2
        try:
            conversation = self.calls.caller.prepare(target, manner)
        except LocalError as error:
            self.requests.fail("chat", error, target)
            return
        if conversation is not None:
            chosen = bool(dialect) or self.settings.dialect_chosen
            self.requests.ask("chat", lambda: self._chat(conversation, chosen))

    def _plain_dialect(self, target: str) -> str:
        """Return the dialect in which `target` is called in plain text; empty: inside TLS.

        Without --plain an address is called in plain text only if the person named a dialect, and no
        key of somebody there is known.
        """
        settings = self.settings
        if settings.plain:
            return settings.dialect
        if not _is_address(target):
            return ""
        if settings.dialect_chosen and not self._has_key(target):
            return settings.dialect
        if settings.open and not self._has_key(target):
            plainly = f"/chat --as {settings.dialect} {target} calls in plain text"
            self.tell(Notice(f"{target} is called inside TLS; {plainly}"))
        return ""

    def _has_key(self, address: str) -> bool:
        """Return True if somebody with a key is known to be at `address`, `host:port`."""
        try:
            contact = self.people.at(*read_host_port(address))
        except RemoteError:
            return False
        return contact is not None and contact.key is not None

    async def locate(self, client_id: str) -> Contact | None:
        """Where the server says that `client_id` is; see `NameResolver.locate`."""
        return await self.requests.then(lambda: self._finder.locate(client_id))

    async def whereabouts(self, client_id: str, key: str | None) -> Contact | None:
        """Where the server says that `client_id` is; None if it does not, and then we watch them."""
        return await self.requests.then(lambda: self._finder.whereabouts(client_id, key))

    async def confirm(self, client_id: str, key: str) -> bool:
        """Whether the server says that `client_id` has `key`."""
        return await self._finder.confirm(client_id, key)

    async def _chat(self, conversation: Conversation, chosen: bool = False) -> None:
        """The requests before it are answered now, so that whom it means can be found out.

        `chosen`: the person named the dialect; else one that worked with them before is taken.
        """
        if conversation.state is not SessionState.CALLING:
            return
        try:
            contact = await self._finder.find(conversation)
        except CodedError as error:
            conversation.refusal = error
            conversation.perform(conversation.session.unreachable(error.cause))
        else:
            if conversation.state is SessionState.CALLING:  # they may have called meanwhile
                known = self.dialects.get(contact.client_id)
                if known and not chosen and not conversation.session.dialect.numbered:
                    conversation.session.mirror(DIALECTS[known], calling=True)
                self.calls.caller.place(conversation, contact)

    # What the server tells, and what waits for whom.

    def at_server(self) -> None:
        """The server knows us, or again."""
        self._outbox.deliveries.look()
        self.rooms.resume()

    def away(self, again: bool) -> None:
        """The connection to the server is gone; `again`: it is tried again."""
        self.rooms.lost()
        if not again:
            self.rooms.refused()

    def came(self, client_id: str) -> None:
        """Somebody is there."""
        name = self.expected.pop(client_id, None)
        if name is not None:
            self.tell(PresenceChanged(name, "online"))
        self.calls.came(client_id)
        self._outbox.deliveries.came(client_id)

    def left_by_peer(self) -> None:
        """A peer said farewell: with --plain the end of the only conversation is that of the program."""
        busy = len(self.calls.all) or len(self.requests)
        if self.settings.plain and not busy and self._input_ended is None:
            self.stop()

    def talked(self, conversation: Conversation) -> None:
        """A talk in plain text went both ways: its dialect is taken for the next call."""
        dialect = conversation.session.dialect.name
        if conversation.contact is not None:
            self.dialects.worked(conversation.contact.client_id, dialect)
        elif conversation.named:
            self.dialects.worked(conversation.id, dialect)

    def talks_with(self, key: str) -> bool:
        """Whether there is a conversation with `key`."""
        return self.calls.talks_with(key)

    def deliver(self, key: str) -> None:
        """Call somebody for whom something waits."""
        conversation = self.calls.caller.deliver(key)
        if conversation is not None:
            self.requests.ask("msg", lambda: self._chat(conversation))

    def ids_of(self, key: str) -> list[str]:
        """The ids under which `key` is pinned, the one at our server first."""
        return self.acquaintances.ids_of(key) if self.acquaintances is not None else []

    def is_elsewhere(self, key: str) -> None:
        """The server knows somebody else under the id of `key`."""
        self._outbox.deliveries.is_elsewhere(key)

    def leave_for(self, recipient: Recipient, text: str) -> bool:
        """Keep `text` for somebody we know; whether we do."""
        return self._outbox.leave_for(recipient, text)

    def left_over(self, post: Delivery, quiet: bool) -> None:
        """A conversation is over, and this may not have arrived; `quiet`: nothing of it was shown."""
        self._outbox.left_over(post, quiet, ending=self._exit_code is not None)

    def shown(self, line: int) -> None:
        """What is in line `line` of the log was told."""
        self._outbox.shown(line)

    # Keys.

    def verify(self, peer: str = "", same: str = "") -> None:
        """Show the number to compare with `peer`, or, with `same`, keep that it was the same."""
        self.requests.attempt(
            "verify", lambda: self.tell(self._finder.verified(self._whom(peer), same == "yes"))
        )

    def _need_files(self) -> Files:
        if self.files is None:
            raise LocalError(405, "there are no files with --plain")
        return self.files

    def _need_neighbours(self) -> Neighbours:
        if self.neighbours is None:
            raise LocalError(
                405, "that wants --beacon, which also tells everybody on the network who you are"
            )
        return self.neighbours

    def new_number(self) -> int:
        """A number for something that the person may be asked about."""
        return self.calls.all.new_number()

    def _whom(self, peer: str) -> str:
        targets = self.calls.all
        if peer or targets.current is not None:
            return peer or targets.target_name
        return targets.away.name if targets.away is not None else ""

    def trust(self, peer: str, key: str) -> None:
        """Keep `key` as that of `peer`, in place of another."""
        self.requests.attempt("trust", lambda: self._trust(peer, key))

    def _trust(self, peer: str, key: str) -> None:
        answer, old = self._finder.trusted(peer, key)
        self.tell(answer)
        theirs = [one for one in self.calls.all if one.key in old]
        talking = {one.key for one in theirs if one.state is SessionState.OPEN}
        self._outbox.replaced([one for one in old if one not in talking], key, peer)
        self._outbox.tell_others(peer.partition("@")[0], {key, *old})
        for one in theirs:
            if one.state is not SessionState.OPEN:
                one.perform(one.session.leave())
        self.calls.names_changed()


NO_PINS = Pins()
"""The pins of a program without keys (--plain)."""


def _is_address(target: str) -> bool:
    """Return True for `host:port`, as opposed to the name of a person that has a colon in it."""
    return ":" in target and "@" not in target and KEY.fullmatch(target) is None


def _unheld(held: bool) -> None:
    """Where there is no input to hold."""


def _at_once() -> Deferred[None]:
    """When there is no screen, all is shown as soon as it is told."""
    return succeed(None)


def _unheard(event: Event) -> None:
    """Where events go until the user interface is there."""

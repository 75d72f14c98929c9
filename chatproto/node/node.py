"""One user's program: who we are, whom we talk to, and what the person asked for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from chatproto.directory.answer import Refused
from chatproto.directory.client import Unreachable
from chatproto.directory.secure_client import SecureServer
from chatproto.identity.pins import PinTrouble
from chatproto.identity.trust import changed_key
from chatproto.node.acquaintances import Acquaintances
from chatproto.node.calls import Calls
from chatproto.node.conversation import Conversation
from chatproto.node.events import (
    Answer,
    Bridged,
    Contacts,
    Event,
    Exited,
    Failed,
    Notice,
    Presence,
    Registered,
    Running,
)
from chatproto.node.introducers import Introducer
from chatproto.node.people import People
from chatproto.node.settings import Settings
from chatproto.peer.session import SECURE, State
from chatproto.wire import bcp2
from chatproto.wire.bcp2_common import read_key
from chatproto.wire.dialects import DIALECTS, Dialect, Me
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import Contact, host_port, read_client_id, read_host_port
from chatproto.wire.limits import Limits

log = Logger()


class Trouble(Exception):
    """What was asked for cannot be done; its text is one sentence for a person."""


TROUBLES = (Trouble, LocalError, RemoteError, Refused, Unreachable)
"""What can be in the way of something that was asked for; each says it in one sentence."""


class Node:
    """Carries out what the person asks for and tells what happens.

    Requests to the server are carried out one after another; what asks nobody runs at once. The
    methods return at once, and what came of them arrives as events: `tell` is the user interface's,
    set before the start. `finished` is called once, with the exit code, when all is over.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        settings: Settings,
        limits: Limits,
        acquaintances: Acquaintances | None,
        finished: Callable[[int], None],
    ) -> None:
        self.settings = settings
        self.acquaintances = acquaintances
        self.server: Introducer | None = None
        self.limits = limits
        self.people = People()
        self.me = Me(settings.client_id, "127.0.0.1", 0)
        self.tell: Callable[[Event], None] = _unheard
        self.reactor = reactor
        self._finished = finished
        self._trying = False
        self._requests = DeferredLock()
        self._pending = 0
        self._input_ended: IDelayedCall | None = None
        self._exit_code: int | None = None
        self.calls = Calls(self, reactor)

    # Its life.

    def start(self, host: str, port: int) -> None:
        """Our own port is open at `host:port`, as others are told."""
        self.me = Me(self.settings.client_id, host, port)
        known = self.acquaintances
        self.tell(Running(self.me.client_id, host, port, known.own_key if known else None))
        if self.server is not None:
            self.server.start(self.me)

    def stop(self, code: int = 0) -> None:
        """Leave every conversation, and when all farewells are out, or after a while, finish."""
        if self._exit_code is not None:
            return
        self._exit_code = code
        if self._input_ended is not None and self._input_ended.active():
            self._input_ended.cancel()
        if self.server is not None:
            self.server.stop()
        self.calls.leave_all(lambda: self._exit(code))

    def _exit(self, code: int) -> None:
        self.tell(Exited(code))
        self._finished(code)

    def end_of_input(self) -> None:
        """Nothing more will be typed: deliver or report what was said, for at most `end_wait`, and end."""
        if self._input_ended is None and self._exit_code is None:
            self._input_ended = self.reactor.callLater(self.limits.end_wait, self.stop)
            self.settle()

    def settle(self) -> None:
        """Something was finished: if the input has ended and nothing is left to do, end."""
        if self._input_ended is not None and self._pending == 0 and self.calls.all.unsent == 0:
            self.stop()

    # What the person asks for and nobody else needs to answer.

    def id(self) -> None:
        """Show who we are."""
        self.tell(Answer("id", (self.me.client_id,), {"id": self.me.client_id}))

    def say(self, text: str) -> None:
        """Say `text` in the current conversation."""
        self._try("say", lambda: self.calls.say(text))

    def msg(self, text: str, to: str = "") -> None:
        """Say `text` to somebody, or in the current conversation."""
        self._try("msg", lambda: self.calls.say(text, to))

    def accept(self, what: str = "") -> None:
        """Take the call that was asked about last, or the one of `what`."""
        self._try("accept", lambda: self.calls.accept(what))

    def decline(self, what: str = "") -> None:
        """Refuse it."""
        self._try("decline", lambda: self.calls.decline(what))

    def switch(self, what: str) -> None:
        """Make another conversation the current one."""
        self._try("switch", lambda: self.calls.switch(what))

    def mode(self, which: str) -> None:
        """Take turns (`half`) in the current conversation, or no more (`full`)."""
        self._try("mode", lambda: self.calls.set_half(which == "half"))

    def over(self) -> None:
        """Pass the turn without saying anything: the plain dialects have no such message."""
        self._try("over", self.calls.over)

    def ignore(self, peer: str) -> None:
        """Take no calls from `peer` any more, or take them again."""
        self._try("ignore", lambda: self.calls.ignore(peer))

    def who(self) -> None:
        """Show the conversations."""
        rows = self.calls.all.rows()
        lines = tuple(_row_line(row) for row in rows) or ("no conversation",)
        self.tell(Answer("who", lines, {"conversations": rows}))

    def status(self) -> None:
        """Show who and where we are, and with which server."""
        server = self.server.name if self.server else None
        registered = self.server is not None and self.server.registered
        lines = (
            f"{self.me.client_id} at {host_port(self.me.host, self.me.port)}",
            f"server {server}, {'registered' if registered else 'not registered'}"
            if server
            else "no server",
        )
        data = {
            "id": self.me.client_id,
            "host": self.me.host,
            "port": self.me.port,
            "server": server,
            "registered": registered,
            "key": self.acquaintances.own_key if self.acquaintances else None,
        }
        self.tell(Answer("status", lines, data))

    def quit(self) -> None:
        """End the current conversation, or, outside one, the program."""
        ended = self.calls.quit_current()
        if not ended or (self.settings.plain and not len(self.calls.all)):
            self.stop()

    # What a server has to answer.

    def register(self) -> None:
        """Tell the server where we can be called."""
        self._ask("register", self._register)

    def info(self, prefix: str = "") -> None:
        """Ask who is registered, those whose id begins with `prefix`."""
        self._ask("info", lambda: self._info(prefix))

    def bridge(self, peer: str = "") -> None:
        """Ask the server for somebody to talk to."""
        self._ask("bridge", lambda: self._bridge(peer))

    def chat(self, target: str = "", dialect: str = "") -> None:
        """Call somebody: an id, `host:port`, or whom the server answered with last."""
        if dialect and dialect not in DIALECTS:
            known = ", ".join(sorted(DIALECTS))
            self._fail("chat", f"there is no dialect {dialect}; there are {known}")
            return
        plain = dialect or (self.settings.dialect if self.settings.plain else "")
        if not plain and self.acquaintances is None:
            self._fail("chat", "there is no key to call with")
            return
        conversation = self.calls.prepare(target, DIALECTS[plain] if plain else SECURE)
        if conversation is not None:
            self._ask("chat", lambda: self._chat(conversation, target))

    async def _register(self) -> None:
        if await self._introducer.register():
            self.tell(Registered(self._introducer.name))

    async def _info(self, prefix: str) -> None:
        chosen = await self._introducer.info(prefix)
        for contact in chosen:
            self.people.remember(contact)
        keys = ("id", "host", "port", "key")
        rows = [(c.client_id, c.host, c.port, c.key) for c in chosen]
        self.tell(Contacts(tuple(dict(zip(keys, row, strict=True)) for row in rows)))

    async def _bridge(self, peer: str) -> None:
        contact = await self._ask_for(peer)
        self.people.bridged = contact
        if contact is None:
            self.tell(Bridged(None, None, None))
        else:
            self.tell(Bridged(contact.client_id, contact.host, contact.port, contact.key))

    async def _ask_for(self, peer: str) -> Contact | None:
        """Whom the server answers with; remembered, and believed for a while."""
        callee = await self._introducer.bridge(peer)
        if callee is None:
            return None
        contact = callee.contact()
        self.people.remember(contact, callee.addresses)
        if contact.key is not None and self.acquaintances is not None:
            self.acquaintances.introduce(contact.client_id, contact.key)
        return contact

    async def locate(self, client_id: str) -> Contact | None:
        """Where the server says that `client_id` is, if it answers with them; None if it does not.

        For one who called and told no address: the server gives a caller and a called to each other.
        """

        async def ask() -> Contact | None:
            try:
                contact = await self._ask_for("")
            except TROUBLES as error:
                log.info("no address for {name}: {error}", name=client_id, error=error)
                return None
            return contact if contact is not None and contact.client_id == client_id else None

        return await self._requests.run(lambda: Deferred.fromCoroutine(ask()))

    async def confirm(self, client_id: str, key: str) -> bool:
        """Whether the server says that `client_id` has `key`."""
        if self.server is None or self.settings.plain or not self.server.registered:
            return False
        try:
            callee = await self.server.bridge(client_id)
        except TROUBLES:
            return False
        return callee is not None and callee.key == key

    async def _chat(self, conversation: Conversation, target: str) -> None:
        """The requests before it are answered now, so that whom it means can be found out."""
        if conversation.state is not State.CALLING:
            return
        try:
            contact = await self._find(conversation, target)
        except TROUBLES as error:
            reason = getattr(error, "detail", "") or str(error)
            conversation.perform(conversation.session.unreachable(reason))
        else:
            self.calls.place(conversation, contact)

    async def _find(self, conversation: Conversation, target: str) -> Contact:
        """Whom `target` means, and how to call them. Raises what is in TROUBLES."""
        people, me = self.people, self.me
        plain = isinstance(conversation.session.dialect, Dialect)
        if ":" in target:
            host, port = read_host_port(target)
            contact = people.at(host, port) or Contact(target, host, port)
        elif not target:
            if people.bridged is None:
                raise Trouble("whom? /bridge asks the server, /chat host:port calls directly")
            contact = people.bridged
        elif plain or self.server is None:
            found = people.named(target)
            if found is None:
                raise Trouble(f"no address for {target}: /info or /bridge may tell it")
            contact = found
        else:
            asked = await self._ask_for(target)
            if asked is None:
                raise Trouble(f"the server knows no {target}")
            contact = asked
        if contact.port == me.port and contact.host in (me.host, "localhost", "127.0.0.1", "::1"):
            raise Trouble("that is your own address")
        return contact if plain else self._secured(conversation, contact)

    def _secured(self, conversation: Conversation, contact: Contact) -> Contact:
        """`contact` with the key that they must have; or the open, where it is wanted and right."""
        known = self.acquaintances
        assert known is not None
        pin = known.pinned(contact.client_id)
        if pin is not None and contact.key not in (None, pin.key):
            accept = f"/trust {contact.client_id} {contact.key}"
            lines = changed_key(pin, str(contact.key), known.where, contact.client_id, accept)
            raise Trouble("; ".join(lines))
        if contact.key is None and pin is not None:
            return replace(contact, key=pin.key)
        if contact.key is None and ":" not in contact.client_id:
            if not self.settings.open:
                raise Trouble(
                    f"{contact.client_id} has no key: --open, or /chat --as canon, calls in the open"
                )
            conversation.session.dialect = DIALECTS[self.settings.dialect]
        elif contact.key is not None:
            conversation.pins = contact.client_id
        return contact

    # What a server of our own kind tells.

    def server_registered(self, server: SecureServer, expires: int) -> None:
        """It knows us now, or again."""
        known, key = self.acquaintances, server.key
        assert known is not None and key is not None
        known.server_key = key
        self._trying = False
        try:
            first = known.pin_server(server.name, key)
        except PinTrouble as error:
            self.tell(Failed(str(error)))
            first = False
        self.tell(Registered(server.name, expires, key, first))

    def server_lost(self, server: SecureServer, why: str, again: bool) -> None:
        """The connection is gone, or was not to be had: one line for the first of many tries."""
        if not self._trying:
            self._trying = True
            self.tell(Notice(f"server {server.name}: {why}; it is tried again"))

    def server_refused(self, server: SecureServer, why: str, status: int | None) -> None:
        """It does not want us, or we do not want it."""
        self.tell(Failed(f"server {server.name}: {why}", status=status, command="register"))

    def introduced(self, server: SecureServer, push: bcp2.Introduce) -> None:
        """Somebody asked it for us and may call."""
        assert self.acquaintances is not None
        self.acquaintances.introduce(push.client_id, push.key)

    def present(self, server: SecureServer, push: bcp2.Presence) -> None:
        """Somebody watched has come or gone."""
        self.tell(Presence(push.peer_id, push.status))

    # Keys.

    def verify(self, peer: str = "", same: str = "") -> None:
        """Show the number to compare with `peer`, or, with `same`, keep that it was the same."""
        self._try("verify", lambda: self._verify(peer, same))

    def _verify(self, peer: str, same: str) -> None:
        known = self.acquaintances
        name = peer or (self.calls.current.name if self.calls.current else "")
        if known is None or not name:
            raise Trouble("whom? /verify id" if known else "nothing is encrypted with --plain")
        conversation, pin = self.calls.all.called(name), known.pinned(name)
        key = conversation.key if conversation is not None else pin.key if pin is not None else None
        if key is None:
            raise Trouble(f"no key of {name} is known")
        number = known.safety_number(key)
        if same == "yes":
            known.pin(name.rstrip("?"), key, verified=True)
            if conversation is not None:
                conversation.show(encrypted=True, security=conversation.security())
        line = f"if {name} sees the same digits: /verify {name} yes"
        lines = (number, f"{name} is verified" if same == "yes" else line)
        data = {"id": name, "key": key, "number": number, "verified": same == "yes"}
        self.tell(Answer("verify", lines, data))

    def trust(self, peer: str, key: str) -> None:
        """Keep `key` as that of `peer`, in place of another."""
        self._try("trust", lambda: self._trust(peer, key))

    def _trust(self, peer: str, key: str) -> None:
        if self.acquaintances is None:
            raise Trouble("nothing is encrypted with --plain")
        self.acquaintances.pin(read_client_id(peer), read_key(key))
        self.tell(Answer("trust", (f"{peer} has {key}",), {"id": peer, "key": key}))

    @property
    def _introducer(self) -> Introducer:
        if self.server is None:
            raise Trouble("there is no server (--server none): /chat host:port calls directly")
        return self.server

    def _ask(self, command: str, work: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> None:
        self._pending += 1

        def answered(_: object) -> None:
            self._pending -= 1
            self.settle()

        done = self._requests.run(lambda: Deferred.fromCoroutine(self._guard(command, work)))
        done.addBoth(answered)

    async def _guard(
        self, command: str, work: Callable[[], Coroutine[Deferred[Any], Any, None]]
    ) -> None:
        """One thing that went wrong is one sentence; our own mistakes go to the log as well."""
        try:
            await work()
        except TROUBLES as error:
            self._fail(command, error)
        except Exception as error:
            log.failure("{command} failed", command=command)
            self._fail(command, f"that failed: {error!r}")

    def _try(self, command: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (*TROUBLES, PinTrouble) as error:
            self._fail(command, error)
        self.settle()

    def _fail(self, command: str, error: Exception | str) -> None:
        status = getattr(error, "status", None)
        detail = getattr(error, "detail", "") or str(error)
        self.tell(Failed(detail, status=status, command=command))


def _unheard(event: Event) -> None:
    """Where events go until the user interface is there."""


def _row_line(row: dict[str, Any]) -> str:
    marks = ["talking" if row["state"] == State.OPEN.value else row["state"]]
    if row["state"] == State.OPEN.value:
        marks += [
            row["security"],
            {"mine": "your turn", "theirs": "their turn"}.get(row["turn"], ""),
        ]
    if row["current"]:
        marks.append("current")
    where = f" {host_port(row['host'], row['port'])}" if row["host"] else ""
    where = "" if where.strip() == row["id"] else where
    return f"{row['id']}{where}: {', '.join(filter(None, marks))}"

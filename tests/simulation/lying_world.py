"""A world in which a second server and one peer lie: what was said for a key is heard by it or by nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, cast

from chatproto.client.events import (
    Delivered,
    Event,
    MessageReceived,
    Sent,
    Uncertain,
    Undelivered,
)
from chatproto.identity.pins import SERVER as SERVERS
from chatproto.identity.pins import Pin
from chatproto.wire.bcp2_common import Address
from chatproto.wire.fields import host_port
from tests.limits import Limits
from tests.simulation.invariants import Books, Message, hold
from tests.simulation.lies import LyingPeer, LyingServer
from tests.simulation.person import LIMITS, PEOPLE_PORT, PORT, SERVER, Person
from tests.simulation.world import NAMES, Rules, World

LIARS_SERVER, LIARS_HOST = "10.0.0.2", "10.0.0.66"
LIAR = "mal"
MOST_DIALS = 64
"""Connections that a lying server may have a program make at once."""
NOBODY = "nobody"
"""In place of a key, where a name may mean two."""
TEXT = re.compile(r"[a-z]+>[a-z]* \d+ \d+\.*")
"""What every text of the simulation looks like, so that it is found in whatever is written."""


class KeyBooks(Books):
    """Every message with the key that it was said for, and who was shown or told it."""

    def __init__(self, world: LyingWorld) -> None:
        super().__init__()
        self.leaks: list[str] = []
        """What broke a rule inside a program, whose code may have caught what was raised there."""
        self.lies: dict[str, str | None] = {}
        """The texts of the liar, with the key that they were said with."""
        self._places: dict[str, int] = {}  # which text was said before which
        self._latest: dict[tuple[str, str, str], int] = {}  # place of what was shown last
        self._shown: list[Message] = []  # in order, without those that came in plain text
        self._first: set[str] = set()  # said to an id of which no key was known
        self._plain: set[str] = set()  # said in a conversation in plain text
        self._world = world

    def begin(self, sender: str, receiver: str, text: str, pinned: bool = False) -> None:
        """`sender` is about to say `text` for whoever `receiver` is to them."""
        super().begin(sender, receiver, text, pinned)
        self._places[text] = len(self._places)
        person = self._world.person(sender)
        self.messages[text].key = self._world.said_for(person, receiver)
        if self._world.is_first_contact(person, receiver):
            self._first.add(text)
        elif self._world.is_plain(person, receiver):
            self._plain.add(text)

    def goes_to(self, key: str | None, text: str) -> None:
        super().goes_to(key, text)
        if key is not None:
            self._first.discard(text)

    def told(self, who: str, event: Event) -> None:
        """The program of `who` told `event`."""
        try:
            match event:
                case MessageReceived():
                    self._received(who, event)
                case Sent(text, id, to) if id is not None and to is not None:
                    self._sent(who, text, id, to)
                case Sent(text) if text in self.messages:
                    # Written in plain text, which nobody acknowledges: it may not arrive.
                    self.messages[text].uncertain = True
                case Delivered() | Uncertain() | Undelivered():
                    self._became(who, event)
                case _:
                    super().told(who, event)
        except AssertionError as error:
            self.leaks.append(str(error))

    def written(self, who: str, key: str | None, data: bytes) -> None:
        """The program of `who` writes `data` to the owner of `key`, or in plain text."""
        for text in TEXT.findall(data.decode(errors="replace")):
            message = self.messages.get(text)
            if message is None or message.sender != who:
                continue
            allowed = self._allowed(message)
            if allowed is not None and key not in allowed:
                where = "in plain text" if key is None else f"to {self._world.owner(key)}"
                self.leaks.append(f"written {where}: {message}")

    def _allowed(self, message: Message) -> set[str | None] | None:
        """The keys that `message` may be written to, None in it for plain text; None: any."""
        if message.key is not None:
            return {message.key}
        if message.text in self._plain:
            return {None}
        if message.text not in self._first:
            return None
        sender = self._world.person(message.sender)
        in_plain_text = [None] if sender.settings.open else []
        return {*self._world.told_of(message.receiver), *in_plain_text}

    def heard_by_liar(self, key: str | None, data: str) -> None:
        """The liar read `data` with `key`."""
        for text in TEXT.findall(data):
            message = self.messages.get(text)
            if message is not None:
                if message.key not in (None, key):
                    self.leaks.append(f"the liar heard: {message}")
                message.received = True

    def heard(self, sender: str, receiver: str) -> list[Message]:
        """List the messages of `sender` that `receiver` was shown inside TLS, in that order.

        What was said before a key was known may come after what was said for that key.
        """
        return [one for one in self._shown if (one.sender, one.receiver) == (sender, receiver)]

    def excuse(self, who: str, to: str) -> None:
        """Allow that messages of `who` to `to` are reported instead of delivered."""
        for one in self.messages.values():
            if (one.sender, one.receiver) == (who, to) and not one.received:
                one.taken_back = True

    def _received(self, who: str, event: MessageReceived) -> None:
        world = self._world
        message = self.messages.get(event.text)
        if message is None and ":" in event.from_ and TEXT.search(event.text) is None:
            return  # a PUNCH that came so slowly that it was taken for plain text
        if message is None:
            lie = self._lie_with(event.text)
            hold(lie is not None, f"{who} received what nobody said: {event}")
            key = self.lies[lie or ""]
        else:
            key = world.key_of(message.sender)
            hold(
                message.key in (None, world.key_of(who)),
                f"{who} received what was for another: {message}",
            )
        if event.history:
            return
        self._check_name(who, event.from_, key)
        if message is None:
            return
        hold(not message.received, f"received twice: {message}")
        hold(not message.undelivered, f"received after it was reported: {message}")
        if message.key is not None:
            self._keep_order(message, who)
        message.receiver = who  # of what was said before it was known for whom
        message.received = True
        if event.id is not None:
            self._shown.append(message)

    def _keep_order(self, message: Message, who: str) -> None:
        """Check that messages for one key come in the order in which they were said.

        Those of a first contact may come after others, said for a key that was learnt meanwhile.
        """
        first_contact = message.receiver if message.text in self._first else ""
        line = message.sender, who, first_contact
        place, last = self._places[message.text], self._latest.get(line, -1)
        hold(last < place, f"received after a later one: {message}")
        self._latest[line] = place

    def _lie_with(self, text: str) -> str | None:
        """Return the lie that was shown as `text`.

        Plain text has no frames: a lie may come in pieces, and several at once as one message.
        """
        if text in self.lies:
            return text
        plain = [lie for lie, key in self.lies.items() if key is None]
        whose = [next((lie for lie in plain if line in lie), None) for line in text.splitlines()]
        return whose[0] if whose and None not in whose else None

    def _check_name(self, who: str, shown: str, key: str | None) -> None:
        """A name without a doubt reaches the key by which the message came."""
        if ":" in shown or "?" in shown or "~" in shown:
            return  # an address, a doubt, or one of several
        known = self._world.meant(self._world.person(who), shown)
        other = self._world.owner(known) if known is not None else ""
        hold(
            known in (None, key),
            f"{who} was shown {shown} as the sender of what {self._world.owner(key)} said;"
            f" {shown} reaches {other}",
        )

    def _sent(self, who: str, text: str, id: int | str, to: str) -> None:
        """Keep which text has a number; two of a name with one number are told apart by nobody."""
        before = self._ids.get((who, to, id))
        same = before is None or self._key_of(before) == self._key_of(text)
        self._ids[who, to, id] = text if same else ""

    def _key_of(self, text: str) -> str | None:
        message = self.messages.get(text)
        return message.key if message is not None else None

    def _meant(self, who: str, event: Any) -> Message | None:
        text = getattr(event, "text", None) or self._ids.get((who, event.to, event.id), "")
        return self.messages.get(text)

    def _became(self, who: str, event: Any) -> None:
        message = self._meant(who, event)
        if message is None or message.sender != who:
            return
        match event:
            case Delivered():
                if message.key not in (None, *self._world.liar.keys):
                    hold(message.received, f"told as delivered and never received: {message}")
                message.delivered = True
            case Uncertain():
                message.uncertain = True
            case Undelivered():
                hold(not message.received, f"received and yet reported: {message}")
                hold(not message.undelivered, f"reported twice: {message}")
                message.undelivered = True


class LyingWorld(World):
    """An honest server, a lying one, a lying peer, and people who move between the two."""

    books: KeyBooks

    def __init__(self, seed: int, rules: Rules) -> None:
        super().__init__(seed, rules)
        self.peaceful = False
        self.limits: Limits = LIMITS
        self.books = KeyBooks(self)
        self.dials = MOST_DIALS
        self.calm = 3.0
        random = Random(f"{seed} liar")
        keys = self.new_key(), self.new_key()
        self._keys[LIAR] = keys[0]
        self._names.keep(LIAR, keys[0], self.clock.seconds())
        self.liar = LyingPeer(self.network, LIARS_HOST, PEOPLE_PORT, keys, self, random)
        self.second = LyingServer(
            self.network, LIARS_SERVER, PORT, self.new_key(), self, self.liar, random
        )
        third = self.new_key()  # a server of long ago, where the liar had the ids of others
        for person in self.people:
            if self.random.random() < 0.4:
                person.server = LIARS_SERVER
            for other in self.people:
                if person is not other and self.random.random() < 0.2:
                    person.pins.put(Pin(self.second.key, other.name, other.key))
                if person is not other and self.random.random() < 0.1:
                    person.pins.put(Pin(third, other.name, keys[1]))

    def _make_people(self) -> list[Person]:
        """As there, but nobody is a stranger, and some let plain text in."""
        most = 3 if self.rules.short else len(NAMES)
        people = [one for one in super()._make_people() if one.name in NAMES[:most]]
        for person in people:
            person.settings = replace(person.settings, open=self.random.random() < 0.3)
        return people

    def __enter__(self) -> LyingWorld:
        self.second.start()
        super().__enter__()
        self.liar.start((SERVER, PORT))
        return self

    # What liars know.

    def addresses(self) -> dict[str, Address]:
        return {one.name: (one.host, PEOPLE_PORT) for one in self.people}

    def key_of(self, name: str) -> str:
        return self._keys[name]

    def liar_heard(self, key: str | None, data: str) -> None:
        self.books.heard_by_liar(key, data)

    def liar_says(self, victim: str, key: str | None) -> str:
        text = f"{LIAR}>{victim} {len(self.books.lies)} {len(self.trace)}"
        self.books.lies[text] = key
        return text

    # Who is who.

    def person(self, name: str) -> Person:
        return next(one for one in self.people if one.name == name)

    def owner(self, key: str | None) -> str:
        """Name the owner of a key."""
        names = {one: name for name, one in self._keys.items()}
        names |= {
            self.liar.keys[1]: f"{LIAR} with another key",
            self.second.key: "the liars' server",
        }
        return names.get(key, str(key)) if key is not None else "somebody in plain text"

    def meant(self, person: Person, name: str) -> str | None:
        """The key that `name` means to `person`: that at this server, else the only one anywhere.

        `NOBODY`: there are several, so that nothing may be said; None: nothing is known.
        """
        pins = person.pins.pins
        server = pins.server(host_port(person.server, PORT))
        here = pins.person(server.key if server is not None else "-", name)
        if here is not None:
            return here.key
        keys = {
            pin.key for pin in pins._pins.values() if pin.name == name and pin.server != SERVERS
        }
        return NOBODY if len(keys) > 1 else next(iter(keys), None)

    def said_for(self, person: Person, name: str) -> str | None:
        """The key that a text for `name` is for: the pinned one, or that of the conversation there is.

        Whoever the honest server answers with has their own key, so that a first contact there is
        for that key as well.
        """
        key = self.meant(person, name)
        if key is not None:
            return key
        if self.is_first_contact(person, name):
            return self.key_of(name) if person.server == SERVER else None
        found = self._named(person, name)
        return found.key if found is not None else None

    def is_first_contact(self, person: Person, name: str) -> bool:
        """Return True if `name` has no known key here, so that the server says who is called.

        A caller who only claims the id is `name?`, which is another name.
        """
        if person.node is None or self.meant(person, name) is not None:
            return False
        found = self._named(person, name)
        return found is None or (found.key is None and found.session.dialect.numbered)

    def is_plain(self, person: Person, name: str) -> bool:
        """Return True if `name` is that of a conversation in plain text."""
        found = self._named(person, name)
        return found is not None and found.in_plain_text and self.meant(person, name) is None

    def _named(self, person: Person, name: str) -> Any:
        return person.node.calls.all.named(name) if person.node is not None else None

    def told_of(self, name: str) -> set[str]:
        """The keys that a server has named for the id `name`; none of them: it has no key."""
        return {self.key_of(name), *self.second.told.get(name, ())} - {""}

    def tap_of(self, person: Person) -> Callable[[str | None, bytes], None]:
        return lambda key, data: self.books.written(person.name, key, data)

    # What people do.

    def say(self, person: Person, to: str, text: str) -> None:
        """Send a text to the peer that `to` names for this person."""
        person.say(to, text)

    def pinned(self, sender: Person, receiver: str) -> bool:
        """Return True if a message sent now must be delivered."""
        return self.meant(sender, receiver) == self.key_of(receiver)

    def reply(self, person: Person) -> None:
        """Send a text in the current conversation."""
        node = person.node
        if node is None or person.held is not None or node.calls.all.current is None:
            return
        current = node.calls.all.current
        key = current.key
        called = key is None and not current.in_plain_text
        other = current.client_id if called else LIAR
        to = next((one.name for one in self.people if one.key == key), other)
        text = f"{person.name}>{to} {len(self.books.messages)} {len(self.trace)}"
        person.reply(to, text, key)

    def trust(self, person: Person, other: Person, key: str) -> None:
        """Accept `key` as that of `other`; texts queued for the old key are reported."""
        assert person.node is not None
        if self.meant(person, other.name) != key:
            self.books.excuse(person.name, other.name)
        person.node.trust(other.name, key)

    def ignore(self, person: Person, other: Person) -> None:
        """Ignore another person, or no longer."""
        if person.node is None:
            return
        if other.name in person.ignoring:
            cast(Any, person.node).unignore(other.name)
            person.ignoring.discard(other.name)
        else:
            person.node.ignore(other.name)
            person.ignoring.add(other.name)
        for one, two in ((person, other), (other, person)):
            self.books.excuse(one.name, two.name)

    def whereabouts(self, caller: Person, callee: Person) -> str:
        return callee.name

    # The end.

    def finish(self) -> None:
        """Let nobody lie any more, and all be at the honest server: then what is owed must arrive."""
        self.liar.quiet = True
        self.second.kill()
        for person in self.people:
            if person.server != SERVER:
                person.kill()
                person.server = SERVER
        super().finish()

    def _wake(self) -> None:
        """All are there: nobody is ignored any more, and whoever believed a liar is told better.

        The liar is gone: it may never pass a turn, and what waits for that turn is then reported.
        """
        self.liar.leave()
        for person in self.people:
            assert person.node is not None
            for name in sorted(person.ignoring):
                cast(Any, person.node).unignore(name)
            person.ignoring.clear()
            for other in self.people:
                if other is not person and self.meant(person, other.name) != other.key:
                    self.books.excuse(person.name, other.name)
                    person.node.trust(other.name, other.key)

    def _lost(self) -> list[Any]:
        """Messages that were lost; those for a liar's key may wait for it for ever."""
        waiting = {
            entry.text
            for person in self.people
            for key, _, _ in person.ledger.waiting()
            if key not in self._honest
            for entry in person.ledger.entries(key)
        }
        return [one for one in super()._lost() if one.text not in waiting]

    def _waiting(self) -> list[tuple[str, str]]:
        """For whom something still waits, but for liars."""
        return [
            (one.name, name)
            for one in self.people
            for key, name, _ in one.ledger.waiting()
            if key in self._honest
        ]

    @property
    def _honest(self) -> set[str]:
        return {one.key for one in self.people}

    def check(self) -> None:
        """Check the invariants. Raises Broken."""
        super().check()
        hold(not self.books.leaks, "; ".join(self.books.leaks[:3]))

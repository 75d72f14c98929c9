"""The rules of whom a message is for: what was said for a key reaches that key or nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity.names import NameBook
from chatproto.identity.pins import NO_SERVER, Pin, Pins
from chatproto.identity.recipient import (
    Dialled,
    FirstContact,
    KeyedPerson,
    Mismatch,
    OpenPeer,
    Recipient,
    answered,
    caller,
    carried,
)
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import Reason


def key(letter: str) -> str:
    return "sha256:" + letter * 52


BOB, MALLORY = key("B"), key("M")
OURS = OpenPeer(1)


def refused(decide: Callable[[], Recipient]) -> Reason:
    try:
        decide()
    except Mismatch as wrong:
        return wrong.reason
    raise AssertionError("it was taken")


class AnswerTests(SynchronousTestCase):
    def test_first_contact_takes_the_key_of_the_first_answer(self) -> None:
        found = answered(FirstContact(None, "bob"), "bob", "bob", BOB, None)
        self.assertEqual(found, KeyedPerson(BOB))

    def test_keyed_person_stays_with_and_without_a_key_in_the_answer(self) -> None:
        for shown in (BOB, None):
            person = KeyedPerson(BOB)
            self.assertEqual(answered(person, "bob", "bob", shown, OURS), person)

    def test_another_key_is_refused(self) -> None:
        self.assertIs(
            refused(lambda: answered(KeyedPerson(BOB), "bob", "bob", MALLORY, OURS)),
            Reason.OTHER_KEY,
        )

    def test_another_id_than_asked_for_is_refused(self) -> None:
        recipients: tuple[Recipient, ...] = (KeyedPerson(BOB), FirstContact(None, "bob"))
        for recipient in recipients:
            found = refused(partial(answered, recipient, "bob", "mallory", BOB, OURS))
            self.assertIs(found, Reason.OTHER_ID)

    def test_first_contact_refuses_another_id_that_nobody_was_asked_for(self) -> None:
        for shown in (BOB, None):
            bob = FirstContact(None, "bob")
            found = refused(partial(answered, bob, "", "mallory", shown, OURS))
            self.assertIs(found, Reason.OTHER_ID)

    def test_an_answer_without_a_key_is_taken_only_where_plain_text_is_allowed(self) -> None:
        bob = FirstContact(None, "bob")
        self.assertEqual(answered(bob, "bob", "bob", None, OURS), OURS)
        self.assertIs(refused(lambda: answered(bob, "bob", "bob", None, None)), Reason.NO_KEY)


class ConnectionTests(SynchronousTestCase):
    def test_tls_makes_a_dialled_address_a_keyed_person(self) -> None:
        self.assertEqual(carried(Dialled("10.0.0.1", 1), BOB, OURS), KeyedPerson(BOB))
        self.assertEqual(carried(Dialled("10.0.0.1", 1), None, OURS), OURS)

    def test_only_its_own_connections_carry_a_conversation(self) -> None:
        cases: tuple[tuple[Recipient, str | None], ...] = (
            (KeyedPerson(BOB), MALLORY),
            (KeyedPerson(BOB), None),
            (OURS, BOB),
            (OpenPeer(2), None),
            (FirstContact(None, "bob"), BOB),
            (FirstContact(None, "bob"), None),
        )
        for recipient, shown in cases:
            self.assertIs(refused(partial(carried, recipient, shown, OURS)), Reason.NOT_THEIRS)

    def test_an_incoming_call_is_its_key(self) -> None:
        self.assertEqual(caller(BOB, OURS), KeyedPerson(BOB))
        self.assertEqual(caller(None, OURS), OURS)

    def test_recipients_of_different_kinds_are_never_equal(self) -> None:
        self.assertNotEqual(KeyedPerson("a"), FirstContact("a", ""))
        self.assertNotEqual(Dialled("a", 1), FirstContact("a", "1"))
        self.assertNotEqual(OpenPeer(1), (1,))


IDS = st.sampled_from(["al", "bo"])
KEYS = st.sampled_from([key(letter) for letter in "ABC"])
SERVERS = st.sampled_from([key("S"), key("T"), None])


@dataclass
class Talk:
    """A conversation of the model: what is said there, and for whom when it was said."""

    number: int
    name: str
    recipient: Recipient
    said: list[Recipient] = field(default_factory=list)


class RecipientMachine(RuleBasedStateMachine):
    """Servers, names, keys, answers and crashes in any order.

    `heard` is told for each message that a connection takes: whom it was for, and who is there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pins = Pins()
        self.server: str | None = None
        self.open = False
        self.talks: list[Talk] = []
        self.count = 0
        self.book = self.new_book()
        self.kept: list[KeyedPerson] = []

    def new_book(self) -> NameBook:
        return NameBook(lambda: self.pins, lambda: self.server, self.live)

    def live(self, name: str) -> Recipient | None:
        return next((one.recipient for one in self.talks if one.name == name), None)

    def name(self, talk: Talk, wanted: str) -> None:
        others = [one.name for one in self.talks if one.recipient != talk.recipient]
        talk.name = self.book.name_for(talk.recipient, wanted, others.__contains__)

    def rename(self) -> None:
        """As the program does after a change of the pins."""
        for talk in self.talks:
            if self.means(talk.name) != talk.recipient:
                self.name(talk, talk.name.partition("~")[0].partition("@")[0])

    def means(self, name: str) -> Recipient | None:
        try:
            return self.book.resolve(name)
        except LocalError:
            return None

    def begin(self, recipient: Recipient, wanted: str) -> Talk:
        self.count += 1
        if isinstance(recipient, OpenPeer):
            recipient = OpenPeer(self.count)
        talk = Talk(self.count, "", recipient)
        self.name(talk, wanted)
        self.talks.append(talk)
        return talk

    @rule(server=SERVERS)
    def start(self, server: str | None) -> None:
        """Crash, and start with a server: only what waits for pinned keys is left."""
        self.server, self.book = server, self.new_book()
        for talk in self.talks:
            for one in talk.said:
                if isinstance(one, KeyedPerson) and self.pins.ids_of(one.key):
                    self.kept.append(one)
        self.talks.clear()

    @rule(client_id=IDS, key=KEYS, server=SERVERS)
    def pin(self, client_id: str, key: str, server: str | None) -> None:
        """A conversation opened, or the person said /trust."""
        self.pins.put(Pin(server or NO_SERVER, client_id, key))
        self.rename()

    @rule(client_id=IDS, key=st.none() | KEYS)
    def chat(self, client_id: str, key: str | None) -> None:
        """The person names somebody, by an id or a key."""
        recipient = self.means(client_id if key is None else key)
        if recipient is not None and self.live_talk(recipient) is None:
            self.begin(recipient, client_id)

    @rule(port=st.integers(1, 2))
    def dial(self, port: int) -> None:
        name = f"h:{port}"
        recipient = self.means(name)
        if recipient is not None and self.live_talk(recipient) is None:
            self.begin(recipient, name)

    @rule(client_id=IDS, key=st.none() | KEYS)
    def is_called(self, client_id: str, key: str | None) -> None:
        """Receive a call under any id."""
        recipient = caller(key, OpenPeer(0))
        talk = self.live_talk(recipient) if key else None
        self.connect(talk or self.begin(recipient, client_id), key)

    @precondition(lambda self: self.talks)
    @rule(data=st.data())
    def say(self, data: st.DataObject) -> None:
        talk = data.draw(st.sampled_from(self.talks))
        talk.said.append(talk.recipient)

    @precondition(lambda self: self.talks)
    @rule(data=st.data(), client_id=IDS, key=st.none() | KEYS, allowed=st.booleans())
    def answer(self, data: st.DataObject, client_id: str, key: str | None, allowed: bool) -> None:
        """A server answers, truthfully or not."""
        talk = data.draw(st.sampled_from(self.talks))
        asked = talk.recipient.client_id if isinstance(talk.recipient, FirstContact) else ""
        ours = OpenPeer(talk.number)
        plain = ours if allowed and not self.book.has_pin(client_id) else None
        try:
            talk.recipient = answered(talk.recipient, asked, client_id, key, plain)
        except Mismatch:
            return
        self.name(talk, client_id)

    @precondition(lambda self: self.talks)
    @rule(data=st.data(), key=st.none() | KEYS)
    def reach(self, data: st.DataObject, key: str | None) -> None:
        """Connect a conversation to a peer with any key."""
        self.connect(data.draw(st.sampled_from(self.talks)), key)

    def live_talk(self, recipient: Recipient) -> Talk | None:
        return next((one for one in self.talks if one.recipient == recipient), None)

    def connect(self, talk: Talk, key: str | None) -> None:
        try:
            talk.recipient = carried(talk.recipient, key, OpenPeer(talk.number))
        except Mismatch:
            return
        waiting = [one for one in self.kept if one == talk.recipient]
        for was in talk.said + waiting:
            if isinstance(was, KeyedPerson):
                assert key == was.key, f"{was} was heard by {key}"
            if isinstance(was, OpenPeer):
                assert key is None
        talk.said.clear()
        self.name(talk, talk.name.partition("~")[0].partition("@")[0])

    @invariant()
    def every_shown_name_reaches_the_one_it_is_shown_for(self) -> None:
        for talk in self.talks:
            if isinstance(talk.recipient, KeyedPerson | OpenPeer):
                assert self.means(talk.name) == talk.recipient, (talk, self.means(talk.name))


RecipientTest = RecipientMachine.TestCase
RecipientTest.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

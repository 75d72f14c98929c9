"""What a session wants of one connection: each effect that names one, as a call of that link."""

from __future__ import annotations

from chatproto.session.effects import (
    AcceptCall,
    Acknowledge,
    Call,
    Drop,
    Effect,
    Leave,
    ProbeConnection,
    Refuse,
    SendChat,
    SendEntry,
    Speak,
)
from chatproto.session.plain import PlainLink
from chatproto.session.secure import SecureLink
from chatproto.wire.dialects import Me

AnyLink = PlainLink | SecureLink
"""A link as what it is: to the session it is opaque."""


def carry_out(effect: Effect, me: Me) -> None:
    """Do what `effect` wants of its connection, in the name of `me`; one that names none is nothing."""
    match effect:
        case Call(PlainLink() as link):
            link.write_opener(me)
        case Speak(PlainLink() as link, text):
            link.write_text(me, text)
        case SendChat(SecureLink() as secure, opening):
            secure.ask(me, opening)
        case AcceptCall(SecureLink() as secure, opening):
            secure.answer(me, opening)
        case SendEntry(SecureLink() as secure, entry):
            secure.write_entry(entry)
        case Acknowledge(SecureLink() as secure, id):
            secure.acknowledge(id)
        case ProbeConnection(SecureLink() as secure):
            secure.probe()
        case Refuse(SecureLink() as secure, status):
            secure.refuse(status)
        case Leave(PlainLink() | SecureLink() as any_link, word):
            any_link.write_farewell(me, word)
        case Drop(PlainLink() | SecureLink() as any_link):
            any_link.drop()

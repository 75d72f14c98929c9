"""Run one-shot commands (`chatclient send` and others): events in, commands out, until done.

Pure: `begin` and `heard` return a `Step` for the caller to carry out. Events and commands are objects
of the JSON interface; the client may be this process, or one behind control.sock. An event caused by
one of these commands has a `ref`, and the last one of each command is `done`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from chatproto.ui.values import Values
from chatproto.wire.values import value_class

Said = dict[str, Any]
"""Event as an object of the JSON interface."""
Commands = tuple[Values, ...]
"""Commands as objects of the JSON interface: `{"do": "chat", "to": "bob"}`."""

DONE, WRONG, REFUSED, LATER, NOT_DONE = 0, 1, 3, 4, 5
"""Exit codes: done; unknown or ambiguous name; refused; not done yet, but queued or resumable; failed."""


@value_class
class Over:
    """End of the work: `code`, and one sentence for standard error; none after success."""

    code: int
    sentence: str = ""


@value_class
class Step:
    """Next actions: `commands` to send, `lines` for standard output, `notes` for standard error.

    `wait`: seconds after which the work continues by itself (`Work.again`).
    """

    commands: Commands = ()
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    over: Over | None = None
    wait: float | None = None


NOTHING = Step()
FOR_NOW = frozenset({"timeout", "rate-limited", "unavailable"})
"""Codes of refusals after which a retry may succeed."""
RETRY_AFTER = 5.0
"""Seconds until a retry, if the refusal has none."""
MOST_WAITED = 150.0
"""Total seconds of waiting for retries, without --timeout."""


def retrying(sentence: str, seconds: float) -> str:
    """Return the note about a retry in `seconds`, after a refusal with `sentence`."""
    return f"{sentence.removesuffix(f': try again in {seconds:g} s')}, retrying in {seconds:g} s"


def over(code: int, sentence: str = "") -> Step:
    """Return the step that ends the work with an exit code."""
    return Step(over=Over(code, sentence))


class Work(ABC):
    """Rules of one one-shot command. `calls`: it waits for a call, and says so."""

    calls = False

    @abstractmethod
    def begin(self) -> Step:
        """Start: the client is ready."""

    @abstractmethod
    def heard(self, event: Said) -> Step:
        """Handle an event of the client."""

    def again(self) -> Step:
        """Continue after the wait that a step requested."""
        return self.begin()

    def doing(self, event: Said) -> str:
        """Describe in one sentence the wait that an answer to `who` shows; empty if there is none."""
        return ""

    @abstractmethod
    def stopped(self, why: str, goes_on: bool) -> Over:
        """Return the end because of `why`; `goes_on`: the client keeps running without us."""

    def concerns(self, event: Said) -> bool:
        """Return True if `event` reports progress of a file of this work."""
        return False


@value_class
class Unreached:
    """Why there is no conversation: a code (docs/operations.md, Codes) and a sentence."""

    code: str
    sentence: str

    @property
    def is_for_now(self) -> bool:
        """Return True for a refusal that may pass: a rate limit, or a busy server."""
        return self.code in FOR_NOW

    @property
    def is_away(self) -> bool:
        """Return True if the server says that the peer is away; an unanswered call does not count."""
        return self.code == "away"

    def end(self, to: str) -> Over:
        """Return the end of a command about `to`."""
        match self.code:
            case "away":
                return Over(NOT_DONE, f"{to} is away")
            case "peer-left":
                return Over(NOT_DONE, f"{to} ended the conversation")
            case "declined":
                return Over(REFUSED, f"{to} declined the call")
            case "other-id" | "other-key":
                return Over(REFUSED, self.sentence)
            case "refused":
                return Over(REFUSED, f"{to} refuses calls from your key")
            case "not-found":
                return Over(
                    REFUSED, f'the server knows no "{to}": chatclient info lists registered clients'
                )
            case "not-answered":
                return Over(NOT_DONE, f"{to} did not answer")
            case "no-key":
                return Over(
                    NOT_DONE, f"{to} has no key: only a client with --open calls in plain text"
                )
        return Over(NOT_DONE, f"no conversation with {to}: {self.sentence}")


DOING = {
    "asking": "waiting for {} to accept the call …",
    "calling": "calling {} …",
    "broken": "connection to {} lost, reconnecting …",
}
"""Sentences about a wait, by the state of a conversation."""


class ReachPeer:
    """Have a conversation with `to`: use the present one, or call.

    `open`: there is one; `their_turn`: the two take turns, and it is the peer's turn. `why`: why it
    ended, or the call failed.
    """

    def __init__(self, to: str, patient: bool = False) -> None:
        self.to = to
        self.open = False
        self.their_turn = False
        self.why: Unreached | None = None
        self._patient = patient
        self.waiting = False
        self._waited = 0.0

    def heard(self, event: Said) -> Commands:
        """Return the commands that follow from `event`."""
        if event["event"] == "answer" and event["command"] == "who" and event.get("name"):
            self.to = event["name"]
        elif event["event"] == "session" and event.get("was") == self.to:
            self.to = event["id"]
        match event:
            case {"event": "answer", "command": "who", "conversations": list(known)}:
                states = [one["state"] for one in known if one["id"] == self.to]
                self.open = "open" in states
                turns = [one.get("turn") for one in known if one["id"] == self.to]
                self.their_turn = "theirs" in turns
                if not set(states) & {"open", "calling", "asking", "broken"}:
                    return (self.call,)
            case {"event": "session", "id": self.to, "state": "open"}:
                self.open, self.why = True, None
                if "turn" in event:
                    self.their_turn = event["turn"] == "theirs"
            case {"event": "session", "id": self.to, "state": "broken"}:
                self.open = False
            case {"event": "session", "id": self.to, "state": "closed", "current": True}:
                pass  # it only changes the current target, and ends nothing
            case {"event": "session", "id": self.to, "state": "closed", "code": str(code)}:
                self.open, self.why = False, Unreached(code, event.get("reason", ""))
            case {"event": "error", "command": "who"} | {
                "event": "error",
                "command": "chat",
                "id": self.to,
            }:
                self.open, self.why = False, Unreached(event["code"], event["text"])
        return ()

    def refused_for_now(self, event: Said) -> Step | None:
        """Return the next actions if `event` says that the peer cannot be called now, else None."""
        match event:
            case {"event": "error", "command": "chat", "id": self.to, "text": str(sentence)}:
                ...
            case {"event": "session", "id": self.to, "state": "closed", "reason": str(sentence)}:
                ...
            case _:
                return None
        why = Unreached(event["code"], sentence)
        seconds = float(event.get("retry_after") or RETRY_AFTER)
        if self.waiting or not self.may_wait(why, seconds):
            return None
        self.waiting = True
        self._waited += seconds
        return Step(notes=(retrying(sentence, seconds),), wait=seconds)

    def may_wait(self, why: Unreached, seconds: float = RETRY_AFTER) -> bool:
        """Return True if `why` is a refusal for now, and there is time for a retry."""
        enough = self._patient or self._waited + seconds <= MOST_WAITED
        return enough and why.is_for_now

    def again(self) -> Commands:
        """Return the commands after the wait."""
        self.waiting = False
        if self.open:
            return ()
        self.why = None
        return (self.call,)

    def doing(self, event: Said) -> str:
        """Return the state of the call in an answer to `who`."""
        if self.open:
            return f"waiting for {self.to} to pass the turn …" if self.their_turn else ""
        states = [one["state"] for one in event["conversations"] if one["id"] == self.to]
        for state, sentence in DOING.items():
            if state in states:
                return sentence.format(self.to)
        return ""

    @property
    def who(self) -> Values:
        """Return the command that requests the peer's name and the state of the conversation."""
        return {"do": "who", "id": self.to}

    @property
    def call(self) -> Values:
        """Return the command that calls the peer."""
        return {"do": "chat", "to": self.to}

    @property
    def is_away(self) -> bool:
        """Return True if there is no conversation because the peer is away."""
        return self.why is not None and self.why.is_away

    def came(self, event: Said) -> bool:
        """Return True if `event` says that the peer is back."""
        here = event["event"] == "presence" and event["id"] == self.to
        return here and event["status"] == "online" and self.is_away


class WorkWithPeer(Work):
    """Work that needs a conversation with `to`. `patient`: wait for a peer that is away."""

    calls = True

    def __init__(self, to: str, patient: bool) -> None:
        self._patient = patient
        self._reach = ReachPeer(to, patient)
        self._to = to
        self._begun = False

    def begin(self) -> Step:
        return Step((self._reach.who,))

    def doing(self, event: Said) -> str:
        return self._reach.doing(event)


class SendText(WorkWithPeer):
    """Send `text` to `to`; done when the peer has stored it."""

    def __init__(self, to: str, text: str, patient: bool = False) -> None:
        super().__init__(to, patient)
        self._text = text
        self._said = False
        self._id: int | None = None  # number in the outbox
        self._queued = False  # `msg` has ended
        self._sent = False
        self._lost: Unreached | None = None  # why it was not delivered

    def heard(self, event: Said) -> Step:
        if event["event"] == "answer" and event["command"] == "who":
            if self._begun:  # for progress
                return NOTHING
            self._begun = True
            return self._say(self._reach.heard(event))
        self._reach.heard(event)
        if (later := self._reach.refused_for_now(event)) is not None:
            return later
        if event["event"] == "error" and event["command"] == "who":
            return over(WRONG, event["text"])
        if self._patient and self._id is None and self._reach.came(event):
            return self._say((self._reach.call,))
        if not self._said:
            return NOTHING
        match event:
            case {"event": "done", "command": "msg", "code": str(code)}:
                return self._ended(code, event.get("text", ""))
            case {"event": "sent", "ref": _}:
                self._sent = True
                self._id = event.get("id")
            case {"event": "notice", "ref": _, "id": int(id)}:
                self._id = id
            case {"event": "undelivered", "ref": _, "code": str(code), "reason": str(reason)}:
                self._lost = Unreached(code, reason)
                return self._ended(code, reason) if self._queued else NOTHING
            case {"event": "delivered" | "uncertain" as code, "ref": _} if self._queued:
                return self._ended(code, "")
            case {"event": "session" | "error"}:
                return self._judged()
        return NOTHING

    def again(self) -> Step:
        call = self._reach.again()
        return Step(call) if self._said else self._say(call)

    def stopped(self, why: str, goes_on: bool) -> Over:
        if self._id is not None:
            return Over(LATER, f"{why}: {self._kept}")
        if goes_on and self._said and self._reach.why is None:
            return Over(LATER, f"{why}: the running client sends it if {self._to} answers")
        return Over(NOT_DONE, f"{why}: not delivered to {self._to}")

    @property
    def _kept(self) -> str:
        return f"queued until you and {self._to} are both online"

    def _say(self, call: Commands) -> Step:
        self._said, self._reach.why = True, None
        return Step((*call, {"do": "msg", "to": self._to, "text": self._text}))

    def _judged(self) -> Step:
        """Decide what a failed call means for the text.

        It waits until the client has reported whether the text is queued.
        """
        why = self._reach.why
        if self._queued and self._reach.open and self._reach.their_turn and not self._sent:
            when = f"queued until {self._to} passes the turn"
            return NOTHING if self._patient else over(LATER, when)
        if why is None or not self._queued or self._reach.waiting:
            return NOTHING
        end = why.end(self._to)
        if end.code == REFUSED:
            taken_back = {"do": "unsend", "id": self._id, "to": self._to}
            return Step((taken_back,), over=end)
        return NOTHING if self._patient else over(LATER, f"{end.sentence}: {self._kept}")

    def _ended(self, code: str, why: str) -> Step:
        """Continue after the end of `msg`, or after the later outcome of a queued text; `why`: of a
        failure.
        """
        match code:
            case "delivered" | "sent":  # in plain text it is only known to be sent
                return over(DONE)
            case "queued":
                self._queued = True
                return self._judged()
            case "uncertain":
                return over(
                    NOT_DONE,
                    f"the message may not have arrived at {self._to}: ask before you send it again",
                )
        if self._id is not None:
            return over(NOT_DONE, f"not delivered to {self._to}: {why}")
        return self._given_up(self._lost or self._reach.why, why)

    def _given_up(self, why: Unreached | None, otherwise: str) -> Step:
        """Handle a text that the client could not queue."""
        self._reach.why = why
        if why is None:
            return over(NOT_DONE, otherwise)
        self._said = False
        if self._reach.may_wait(why):
            return NOTHING  # the refusal itself follows, with the time to wait
        return NOTHING if self._patient and why.is_away else Step(over=why.end(self._to))

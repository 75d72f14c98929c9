"""What must hold of a room that several servers share, whatever the network does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any

from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message, Error
from tests.simulation.invariants import hold
from tests.simulation.shared.server import Visit

UNCERTAIN = 503
"""Every other refusal says that nothing was done."""


@dataclass(slots=True)
class Line:
    """A line that was to be said, and the answer: its number, or the status of a refusal."""

    speaker: str
    number: int | None = None
    refused: int | None = None


@dataclass(slots=True, eq=False)
class Barred:
    """A BAN or UNBAN of a key: between which events it was under way, and whether it was acknowledged."""

    bans: bool
    asked: int
    answered: int = 0
    status: int = 0


class RoomBooks:
    """One order of all lines, each client's place in it, and who is banned. Texts are unique."""

    def __init__(self) -> None:
        self._events = count(1)
        self._barred: dict[str, list[Barred]] = {}
        self._under_way: dict[tuple[Visit, int], Barred] = {}
        self.lines: dict[str, Line] = {}
        self.order: dict[int, tuple[str, str]] = {}

    def asked(self, visit: Visit, message: Bcp2Message) -> None:
        """Note a request."""
        if isinstance(message, bcp2_rooms.Say):
            self.lines[message.text] = Line(visit.name)
        elif isinstance(message, (bcp2_rooms.Ban, bcp2_rooms.Unban)):
            one = Barred(isinstance(message, bcp2_rooms.Ban), next(self._events))
            self._barred.setdefault(message.key, []).append(one)
            self._under_way[visit, message.cseq] = one

    def told(self, visit: Visit, message: Any) -> None:
        """Check what a client is told. Raises Broken."""
        request = None
        if not isinstance(message, bcp2_rooms.Said) and getattr(message, "cseq", None) is not None:
            hold(message.cseq in visit.asked, f"{visit.name} is answered twice: {message}")
            request = visit.asked.pop(message.cseq)
        match message:
            case bcp2_rooms.JoinAck():
                hold(not message.next, "the room is larger than the books can follow")
                visit.members = {one.id for one in message.members}
                visit.last = message.last
                hold(visit.name in visit.members, f"{visit.name} is in, and not among the members")
            case bcp2_rooms.PartAck():
                visit.members = None
            case bcp2_rooms.Parted(peer_id=gone):
                if gone == visit.name:
                    visit.members = None
                elif visit.members is not None:
                    hold(gone in visit.members, f"{gone} left, who was not there for {visit.name}")
                    visit.members.discard(gone)
            case bcp2_rooms.Joined(peer_id=came):
                if visit.members is not None:
                    hold(came not in visit.members, f"{came} came twice to {visit.name}")
                    visit.members.add(came)
            case bcp2_rooms.Said(sender=sender, id=number, text=text, cseq=cseq):
                self._is(number, sender, text)
                if cseq is None:  # else it is a line of a page of the history
                    self._follows(visit, number)
            case bcp2_rooms.SayAck(id=number):
                assert isinstance(request, bcp2_rooms.Say)
                line = self.lines[request.text]
                line.number = number
                self._is(number, visit.name, request.text)
                self._follows(visit, number)
            case Error(status=status) if isinstance(request, bcp2_rooms.Say):
                self.lines[request.text].refused = status
        if request is not None and (visit, message.cseq) in self._under_way:
            one = self._under_way.pop((visit, message.cseq))
            one.answered, one.status = next(self._events), getattr(message, "status", 0)

    def _is(self, number: int, sender: str, text: str) -> None:
        """Check that `number` is the same line for all."""
        known = self.order.setdefault(number, (sender, text))
        hold(known == (sender, text), f"{number} is {known}, and {sender}: {text}")
        hold(text in self.lines, f"nobody said: {text}")
        hold(self.lines[text].speaker == sender, f"{sender} is shown as the speaker of {text}")

    def _follows(self, visit: Visit, number: int) -> None:
        """Check that a client is told all lines in their order while it is in the room."""
        if visit.members is not None:
            hold(number == visit.last + 1, f"{visit.name} is told {number} after {visit.last}")
            visit.last = number

    def check_banned(self, banned: set[str]) -> None:
        """Compare with the keys that are banned in the end. Raises Broken.

        Of requests that were under way at one moment nobody knows which was the last, nor of one without
        an answer when it was carried out, if it was.
        """
        for key, requests in self._barred.items():
            done = [one for one in requests if not one.status]
            if not done or any(not one.answered or one.status == UNCERTAIN for one in requests):
                continue
            last = max(done, key=lambda one: one.asked)
            if all(one.bans == last.bans for one in done if one.answered > last.asked):
                hold((key in banned) == last.bans, f"{last} holds no more for {key}")

    def check_kept(self, kept: list[tuple[int, str, str]]) -> None:
        """Compare with the lines (number, sender, text) that Redis has in the end. Raises Broken."""
        numbers = [number for number, _, _ in kept]
        if numbers:
            wanted = list(range(numbers[0], numbers[0] + len(numbers)))
            hold(numbers == wanted, f"the numbers have gaps: {numbers}")
        texts = [text for _, _, text in kept]
        twice = sorted({text for text in texts if texts.count(text) > 1})
        hold(not twice, f"said twice: {twice}")
        found = {number: (sender, text) for number, sender, text in kept}
        for number, line in self.order.items():
            hold(found.get(number) == line, f"{number} was {line}, and is {found.get(number)}")
        for text, one in self.lines.items():
            if one.number is not None:
                hold(found.get(one.number) == (one.speaker, text), f"acknowledged and lost: {text}")
            if one.refused is not None and one.refused != UNCERTAIN:
                hold(text not in texts, f"refused with {one.refused} and said: {text}")

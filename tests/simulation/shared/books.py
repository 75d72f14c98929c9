"""What must hold of a room that several servers share, whatever the network does."""

from __future__ import annotations

from dataclasses import dataclass
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


class RoomBooks:
    """One order of all lines, and each client's place in it. Texts are unique."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.order: dict[int, tuple[str, str]] = {}

    def asked(self, visit: Visit, message: Bcp2Message) -> None:
        """Note a request."""
        if isinstance(message, bcp2_rooms.Say):
            self.lines[message.text] = Line(visit.name)

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

"""What is said to and fro with one key: what goes out when, whose turn it is, what was heard.

How a conversation begins, breaks and ends is `secure_session`'s; this outlives its connections.
"""

from __future__ import annotations

from chatproto.net.clock import Wall
from chatproto.session.delivery import Delivery, Outcome
from chatproto.session.effects import (
    Acknowledge,
    Effect,
    Link,
    MessageOutcome,
    Opening,
    Queued,
    Received,
    SendEntry,
    TurnPassed,
)
from chatproto.session.floor import Floor, TurnHolder
from chatproto.session.ledger import MODE, MSG, TURN, StreamEntry
from chatproto.wire.errors import LocalError


class Exchange:
    """The messages, turns and changes of mode of one conversation (protocol section 4).

    `post` is what must not be lost; `floor` is the session's own, and goes on as `post` remembers it.
    `half`: whether turns are wanted, by whoever said so last. Nothing goes out without a `link`.
    """

    def __init__(self, post: Delivery, floor: Floor, half: bool) -> None:
        self.post = post
        self.floor = floor
        self.half = half
        self.link: Link | None = None
        self._void = 0  # what we said up to here was said before a mode of theirs
        if post.turn:
            floor.turn = TurnHolder(post.turn)

    # How it begins on a connection, and ends.

    def opening(self) -> Opening:
        """What a call of ours tells."""
        return self._opening(self.floor.half if self.post.turn else self.half)

    def answer(self, theirs: Opening) -> Opening:
        """What a yes to their call tells, once that call was met."""
        resumes = self._resumes(theirs)
        return self._opening(self.floor.half if resumes else self.half or theirs.half)

    def meet(self, theirs: Opening) -> list[Effect]:
        """They are there again, and this is what they have of ours. Raises LedgerTrouble."""
        return _became(self.post.meet(theirs.stream, theirs.have), "")

    def begin(self, link: Link, theirs: Opening, half: bool, mine: bool) -> list[Effect]:
        """Go on with it on `link`, or, where either has ended it, begin; they were met.

        `half` is what our call or our yes tells, `mine`: we are who called. Raises LedgerTrouble.
        """
        post = self.post
        came_back = post.turn_came_back() and theirs.turn == self.floor.turn.value
        if not self._resumes(theirs):
            self.half = half or theirs.half
            self.floor.begin(half=self.half, mine=mine)
            post.start_anew()
        elif self._gives_way(theirs.turn):
            self.floor.turn = TurnHolder.THEIRS
        elif came_back and self.floor.half:
            self.floor.turn = TurnHolder.MINE
        self.link = link
        self._keep_turn()
        repeated = [SendEntry(link, entry) for entry in post.released]
        said = self._speak()
        turn = [TurnPassed(self.floor.turn)] if self.floor.half else []
        return [*repeated, *said, *turn]

    def stop(self) -> None:
        """There is no connection for it now."""
        self.link = None

    def end(self) -> None:
        """The conversation is over; what has not arrived stays. Raises LedgerTrouble."""
        self.link = None
        self.post.keep_turn("")

    # What our own side says.

    def say(self, text: str, at: Wall) -> list[Effect]:
        """Say `text`, of the moment `at`, now or in its turn. Raises LocalError 429, LedgerTrouble."""
        before = self.floor.turn
        entry = self.post.say(MSG, text, at)
        return self._speak_since(before) or [Queued(text, entry.id)]

    def set_half(self, half: bool, at: Wall) -> list[Effect]:
        """Take turns from now on, or no more; they are told. Raises LocalError, LedgerTrouble."""
        self.half = half
        if half is self.floor.half:
            return []
        before = self.floor.turn
        self.post.say(MODE, "half" if half else "full", at)
        self.floor.set_half(half)
        return self._speak_since(before)

    def over(self, at: Wall) -> list[Effect]:
        """Pass the turn without a word. Raises LocalError if it is not ours, LedgerTrouble."""
        if not self.floor.half:
            raise LocalError(400, "you both may talk at any time: /mode half takes turns")
        if not self.floor.may_speak:
            raise LocalError(400, "it is not your turn")
        before = self.floor.turn
        self.post.say(TURN, "", at)
        return self._speak_since(before)

    def unsend(self, id: int) -> list[Effect]:
        """Take a message back. Raises LocalError 404 if nothing of that number waits, LedgerTrouble."""
        became = _became(self.post.take_back(id), "taken back")
        before = self.floor.turn
        if self.post.turn_came_back() and before is TurnHolder.THEIRS:
            self.floor.turn = TurnHolder.MINE
            self._keep_turn()
        return [*became, *self._speak_since(before)]

    def go_on(self) -> list[Effect]:
        """Something waits that was not said here: say it if it may go out."""
        return self._speak_since(self.floor.turn)

    # What becomes of it, and what they say.

    def still_says(self, entry: StreamEntry) -> bool:
        """Whether `entry`, which waited for its connection, is still to be written."""
        return self.post.waits(entry.id)

    def spoke(self, entry: StreamEntry) -> bool:
        """A connection takes `entry` now; whether for the first time. Raises LedgerTrouble."""
        first = self.post.wrote(entry.id)
        if self.link is not None:
            self._keep_turn()
        return first

    def arrived(self, id: int) -> list[Effect]:
        """They have everything up to `id`. Raises LedgerTrouble."""
        return _became(self.post.arrived(id), "")

    def heard(self, link: Link, entry: StreamEntry) -> list[Effect]:
        """They said something on `link`, or passed the turn, or changed the mode. Raises LedgerTrouble."""
        post = self.post
        if not post.is_new(entry.id):
            return [Acknowledge(link, post.have[1])]
        before = self.floor.turn
        crossed = post.mode_in_flight(self._void)
        if entry.kind == MODE and not (crossed and post.smaller):
            self.half = entry.text == "half"
            self.floor.changed(self.half)
            self._void = post.last
            post.drop_modes()
        elif not crossed:  # or it was said before they knew of our mode
            under_way = post.turn_in_flight(self._void)
            self.floor.heard(crossed=under_way, smaller=post.smaller)
        # The turn first: should we be killed between the two, they repeat what they said.
        self._keep_turn()
        number = post.received(entry)
        news: list[Effect] = []
        if entry.kind == MSG:
            news.append(Received(entry.text, entry.id, number, entry.at))
        return [*news, Acknowledge(link, entry.id), *self._speak_since(before)]

    # How it follows.

    def _opening(self, half: bool) -> Opening:
        turn = self.floor.turn.value if self.post.turn else ""
        return Opening(half, self.post.stream, self.post.have, turn)

    def _resumes(self, theirs: Opening) -> bool:
        """Whether neither has ended it."""
        return bool(theirs.turn) and bool(self.post.turn)

    def _gives_way(self, turn: str) -> bool:
        """Both believe that it is their turn; a change of mode of ours that is repeated tells them better."""
        post = self.post
        both = self.floor.turn is TurnHolder.MINE and turn == TurnHolder.MINE.value
        return both and not post.smaller and not post.mode_in_flight(self._void)

    def _keep_turn(self) -> None:
        """Whose turn it is; what no connection has taken does not pass it, should we be killed now."""
        turn = self.floor.turn
        if turn is TurnHolder.THEIRS and self.post.turn_unwritten:
            turn = TurnHolder.MINE
        self.post.keep_turn(turn.value)

    def _speak_since(self, before: TurnHolder) -> list[Effect]:
        """Say what may go out, and tell the turn if it was another `before`."""
        said = self._speak()
        return [*said, TurnPassed(self.floor.turn)] if self.floor.turn is not before else said

    def _speak(self) -> list[Effect]:
        effects: list[Effect] = []
        post = self.post
        while self.link is not None and post.next is not None:
            free = post.mode_waits  # of a change of mode that was made after this was said
            if not free and not self.floor.may_speak:
                break
            entry = post.release()
            effects.append(SendEntry(self.link, entry))
            if entry.kind == MODE:
                self.floor.set_half(entry.text == "half")
            elif not free:
                self.floor.said()
        return effects


def _became(outcomes: list[Outcome], reason: str) -> list[Effect]:
    return [MessageOutcome(one.id, one.state, one.text, reason) for one in outcomes]

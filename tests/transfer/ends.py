"""Two ends of a conversation with files between them, and the work for the disk done when a test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from chatproto.net.rate_limiter import RateLimiter
from chatproto.net.receivers import StrictReceiver
from chatproto.transfer.hashes import OWN
from chatproto.transfer.rates import byte_rate
from chatproto.transfer.records import Record, Records, of
from chatproto.transfer.state import TransferState
from chatproto.transfer.transfer import Transfer
from chatproto.transfer.transfers import OFFERS_BYTES, Transfers
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS, Limits


def shown(data: bytes) -> bytes:
    """`data`, or what tells it from other data where it is too long to be looked at."""
    return data if len(data) < 100 else b"%d %s" % (len(data), sha256(data).hexdigest().encode())


KEY = "sha256:" + "A2" * 26


class Steps:
    """Does jobs one by one: in the order in which they came, or, as threads may, in any (`chance`)."""

    def __init__(self, chance: Random | None = None) -> None:
        self.chance = chance
        self.jobs: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.jobs.append((job, done))

    def step(self) -> bool:
        """Do one; whether there was one."""
        if not self.jobs:
            return False
        if self.chance is not None:
            self.jobs.rotate(self.chance.randrange(len(self.jobs)))
        job, done = self.jobs.popleft()
        try:
            result = job()
        except Exception as error:
            result = error
        done(result)
        return True


@dataclass(frozen=True)
class Told:
    """A transfer as it was when the person was told of it, and the sentence; none: it was not begun."""

    text: str
    number: int = 0
    outgoing: bool = True
    state: TransferState | None = None
    files: int = 0
    path: str = ""


def told(transfer: Transfer, text: str) -> Told:
    """What the person is told of `transfer`."""
    files = len(transfer.offer.files)
    return Told(text, transfer.number, transfer.outgoing, transfer.state, files, transfer.path)


class End:
    """One program's files with the other: its folders below `home`, what it was told, its connection."""

    def __init__(
        self,
        home: Path,
        limits: Limits = DEFAULTS,
        limiter: RateLimiter | None = None,
        chance: Random | None = None,
    ) -> None:
        self.home = home
        self.chance = chance
        self.downloads = home / "downloads"
        self.limits = limits
        self.limiter = limiter or byte_rate(0)
        self.records = Records(home / "transfers")
        self.hashes = OWN
        self.told: list[Told] = []
        self.numbers = 0
        self.held = False
        self.woken = 0
        self.may_pull = False  # woken, and `pull` has had something each time since
        self.now = 1000.0
        self.start()

    def start(self, kept: Iterable[Record] | None = None) -> None:
        """The program begins; the one before was killed, with all that it meant to do."""
        self.work = Steps(self.chance)
        kept = of(self.records.load(), KEY) if kept is None else kept
        self.held = False
        self.transfers = Transfers(
            self,
            self.work,
            self.records,
            self.limits,
            KEY,
            self.downloads,
            kept,
            self.limiter,
            lambda: OFFERS_BYTES,
            self.home,
            self.hashes,
        )
        self.decoder = StrictReceiver(Sender.PEER, self.limits)

    def transfer_changed(self, transfer: Transfer, text: str) -> None:
        self.told.append(told(transfer, text))

    def transfer_trouble(self, text: str, path: str = "") -> None:
        self.told.append(Told(text, path=path))

    def transfer_wake(self) -> None:
        self.woken += 1
        self.may_pull = True

    def transfer_hold(self, held: bool) -> None:
        self.held = held

    def transfer_number(self) -> int:
        self.numbers += 1
        return self.numbers

    def offer(self, *paths: Path) -> None:
        self.transfers.offer(paths, self.now)
        self.settle()

    def settle(self) -> None:
        """Do all that waits for the disk."""
        while self.work.step():
            pass

    def pull(self) -> Bcp2Message | None:
        message = self.transfers.pull(self.now)
        self.may_pull = message is not None
        return message

    def hear(self, message: Bcp2Message) -> None:
        """Take it as the other sent it, through its bytes."""
        for found in self.decoder.read(encode(message, self.limits)):
            assert not isinstance(found, RemoteError), found
            assert self.transfers.message(found, self.now), found

    @property
    def states(self) -> list[TransferState]:
        """The states that the person was shown, one after the other."""
        found = list[TransferState]()
        for news in self.told:
            if news.state is not None and news.state not in found[-1:]:
                found.append(news.state)
        return found

    @property
    def texts(self) -> list[str]:
        return [news.text for news in self.told if news.text]

    @property
    def last(self) -> Told:
        return [news for news in self.told if news.state is not None][-1]

    @property
    def landed(self) -> dict[str, bytes]:
        """Every file below the download folder, by its path, as `shown`."""
        return {
            str(path.relative_to(self.downloads)): shown(path.read_bytes())
            for path in sorted(self.downloads.rglob("*"))
            if path.is_file()
        }


def _is_asked(news: Told | Transfer) -> bool:
    """Return True for an offer that was received and waits for the person."""
    return not news.outgoing and news.state is TransferState.OFFERED


class Pair:
    """Two ends; `a` sends, `b` agrees to what it is offered."""

    def __init__(
        self,
        folder: Path,
        limits: Limits = DEFAULTS,
        accept: bool = True,
        chance: Random | None = None,
    ) -> None:
        self.a = End(folder / "a", limits, chance=chance)
        self.b = End(folder / "b", limits, chance=chance)
        self.accept = accept
        self.asked = set[int]()
        self.looked_at = 0  # so many of b's events
        self.seen: list[Bcp2Message] = []

    def connect(self) -> None:
        for end in (self.a, self.b):
            end.decoder = StrictReceiver(Sender.PEER, end.limits)
            end.transfers.resumed(end.now)

    def cut(self) -> None:
        for end in (self.a, self.b):
            end.transfers.lost()

    def step(self) -> bool:
        """Something of each: a piece of work, a message; whether there was anything."""
        went = False
        for end, other in ((self.a, self.b), (self.b, self.a)):
            went |= end.work.step()
            if end.may_pull and not other.held and (message := end.pull()) is not None:
                self.seen.append(message)
                other.hear(message)
                went = True
        if self.accept and len(self.b.told) != self.looked_at:
            fresh = self.b.told[self.looked_at :]
            self.looked_at = len(self.b.told)
            if any(_is_asked(news) for news in fresh):
                for news in filter(_is_asked, self.b.transfers.listing(self.b.now)):
                    self.b.transfers.accept(news.number, self.b.now)
                    went = True
        return went

    def run(self, steps: int = 200_000) -> int:
        """Go on until nothing more happens; how many steps that took."""
        for count in range(steps):
            if not self.step():
                return count
        raise AssertionError("it does not end")

    def kinds(self) -> list[str]:
        """The methods that went over the wire, each run of the same once."""
        found = list[str]()
        for message in self.seen:
            if message.method not in found[-1:]:
                found.append(message.method)
        return found

"""The tries to connect a conversation again that broke."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall


@dataclass(slots=True)
class RedialState:
    """`broke` is when it did, `dials` how often was dialled since, `failures` how often in vain of late;
    `next` is the try that is due, `elsewhere` that they came again and where was not asked since.
    """

    broke: float = 0.0
    dials: int = 0
    failures: int = 0
    next: IDelayedCall | None = None
    elsewhere: bool = False

    def stop(self) -> None:
        """No other try: it is open again, or over."""
        self.wait_for(None)

    def wait_for(self, call: IDelayedCall | None) -> None:
        """`call` is the next try, in place of the one that was due."""
        due, self.next = self.next, call
        if due is not None:
            due.cancel()

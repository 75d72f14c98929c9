"""In place of TLS: a channel that names both keys, in the order in which TLS 1.3 shows them.

The caller says hello, the called shows its key, the caller judges it and shows its own, and is done;
then the called judges that. Everything after it goes as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IHandshakeListener
from twisted.python.failure import Failure

from chatproto.net.handshake import Handshake, Judge
from chatproto.wire.reasons import Cause, Reason, reason_of

HELLO, SHOWN, ALERT = b"\x16hello", b"\x16", b"\x15refused"
"""How the lines of a handshake begin."""


class ChannelError(Exception):
    """The handshake failed."""


@dataclass(frozen=True, slots=True)
class Name:
    """Identity without a key: only the key's name."""

    name: str


class SimTls:
    """One identity's way of opening channels; it stands for `identity.tls.Tls`."""

    def __init__(self, key: str) -> None:
        self.identity = Name(key)

    def handshake(self, judge: Judge) -> SimHandshake:
        """Make the argument of `startTLS` for one connection."""
        return SimHandshake(self.identity.name, judge)


class SimHandshake(Handshake):
    """Result of one handshake; stands for `net.handshake.Handshake`."""

    def __init__(self, own_key: str, judge: Judge) -> None:
        self.own_key = own_key
        self._judge = judge

    def accepted(self) -> bool:
        """Return True if the peer showed a key that was not refused."""
        if self.refusal is None and self.peer_key is None:
            self.refusal = "the other program showed no certificate"
        return self.refusal is None

    def judge_key(self, key: str) -> str | None:
        """Why `key` is refused, or None."""
        self.peer_key = key
        self.refusal = self._judge(key)
        return self.refusal

    def trouble(self, reason: Failure) -> Cause:
        """Why the connection ended before anything was said."""
        if self.refusal is not None:
            return Cause(reason_of(self.refusal, Reason.BAD_KEY), self.refusal)
        if reason.check(ChannelError):
            return Cause(Reason.TLS_FAILED, str(reason.value))
        return Cause(Reason.TLS_BROKEN_OFF)


class Channel:
    """Layer between a transport and its protocol after `startTLS`."""

    def __init__(
        self, transport: Any, protocol: Any, handshake: SimHandshake, client: bool
    ) -> None:
        self.done = False
        self._transport = transport
        self._protocol = protocol
        self._handshake = handshake
        self._client = client
        self._greeted = client
        self._read = b""
        self._early = b""

    def begin(self) -> None:
        """The caller speaks first."""
        if self._client:
            self._transport.send(HELLO + b"\n")

    @property
    def early(self) -> bool:
        """True if data is waiting for the end of the handshake."""
        return bool(self._early)

    def write(self, data: bytes) -> None:
        """Send `data`, when the handshake is done."""
        if self.done:
            self._transport.tapped(self._handshake.peer_key, data)
            self._transport.send(data)
        else:
            self._early += data

    def dataReceived(self, data: bytes) -> None:
        if self.done:
            self._protocol.dataReceived(data)
            return
        self._read += data
        while b"\n" in self._read and self._transport.connected and not self.done:
            line, _, self._read = self._read.partition(b"\n")
            self._take(line)
        if self.done and self._read:
            rest, self._read = self._read, b""
            self._protocol.dataReceived(rest)

    def connectionLost(self, reason: Failure) -> None:
        self._protocol.connectionLost(reason)

    def _take(self, line: bytes) -> None:
        if line == ALERT:
            self._transport.fail(ChannelError("the other program refused our key"))
        elif not self._greeted and line == HELLO:
            self._greeted = True
            self._show()
        elif self._greeted and line.startswith(SHOWN):
            if self._handshake.judge_key(line[1:].decode()) is not None:
                self._transport.send(ALERT + b"\n")
                self._transport.fail(ChannelError("refused"))
                return
            if self._client:
                self._show()
            self._finish()
        else:
            self._transport.fail(ChannelError("the other program does not speak TLS"))

    def _show(self) -> None:
        self._transport.send(SHOWN + self._handshake.own_key.encode() + b"\n")

    def _finish(self) -> None:
        self.done = True
        early, self._early = self._early, b""
        if early:
            self._transport.tapped(self._handshake.peer_key, early)
            self._transport.send(early)
        if IHandshakeListener.providedBy(self._protocol):
            self._protocol.handshakeCompleted()

"""Codes of everything that ends, fails or is refused, each with its sentence where that is fixed.

Programs decide by the code, in logic, exit codes and the JSON interface (`code`); people read the
sentence. A code is never renamed: scripts depend on it.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """A code, the status that stands for it in the protocol or None, and its fixed words.

    Words that are empty are made where the code is given, for they name a person, host or file.
    """

    code: str
    status: int | None
    words: str

    def __new__(cls, code: str, status: int | None, words: str) -> Reason:
        """Make a member whose value is `code`."""
        member = object.__new__(cls)
        member._value_ = member.code = code
        member.status = status
        member.words = words
        return member

    # The statuses of the protocol, with SIP's code where SIP has one (RFC 3261, section 21).
    MALFORMED = "malformed", 400, "malformed"
    NOT_REGISTERED = "not-registered", 401, "register or log in first"
    REFUSED = "refused", 403, "refused"
    NOT_FOUND = "not-found", 404, "no such client"
    NOT_ALLOWED = "not-allowed", 405, "method not allowed"
    TIMEOUT = "timeout", 408, "too slow"
    ID_TAKEN = "id-taken", 409, "id taken"
    TOO_LARGE = "too-large", 413, "too large"
    RATE_LIMITED = "rate-limited", 429, "slow down"
    HASH_DIFFERS = "hash-differs", 460, "hash differs"
    AWAY = "away", 480, "known but away"
    BUSY = "busy", 486, "busy"
    CANCELLED = "cancelled", 487, "cancelled"
    INTERNAL = "internal-error", 500, "internal error"
    UNAVAILABLE = "unavailable", 503, "unavailable"
    DECLINED = "declined", 603, "declined"

    # A session ends or its connection breaks.
    YOU_LEFT = "you-left", None, "you left"
    PEER_LEFT = "peer-left", None, "they left"
    PEER_GONE = "peer-gone", None, ""
    """The connection ended where no other can take its place."""
    CONNECTION_LOST = "connection-lost", None, "the connection ended"
    NOT_ANSWERED = "not-answered", None, "they do not answer"
    MISSED = "missed", None, "not answered in time"
    NOT_A_PERSON = "not-a-person", None, "that is a server, not a person: --server names one"
    OLD_STATE = "old-state", None, "your folder is older than what they have"
    """The peer has messages of ours that this home does not know: it was set back."""

    # A call reaches nobody, or somebody else than was meant.
    UNREACHABLE = "unreachable", None, "there is no way to them"
    NO_HOST = "no-host", None, ""
    CONNECTION_REFUSED = "connection-refused", None, ""
    NOT_TLS = "not-tls", None, "they do not speak TLS"
    TLS_BROKEN_OFF = (
        "tls-broken-off",
        None,
        "they ended the connection in the middle of the TLS handshake",
    )
    TLS_FAILED = "tls-failed", None, ""
    """The other side does not speak TLS as the protocol wants it."""
    BAD_KEY = "bad-key", None, ""
    """The other side shows no key, one that cannot be read, or our own."""
    NO_ADDRESS = "no-address", None, ""
    OTHER_ID = "other-id", None, "another id than the one asked for"
    OTHER_KEY = "other-key", None, "another key than theirs"
    NO_KEY = "no-key", None, "no key, and plain text is not allowed"
    UNKNOWN_NAME = "unknown-name", None, ""
    AMBIGUOUS = "ambiguous", None, ""
    """Several people, or several servers' clients, have that name."""
    NOT_THEIRS = "not-theirs", None, "a connection of somebody else"

    # A message does not arrive.
    TAKEN_BACK = "taken-back", None, "taken back"
    EXPIRED = "expired", None, "it has waited too long"
    STOPPING = "stopping", None, "the program ends"
    NOT_IN_ROOM = "not-in-room", None, "you are not in that room"

    TARGET_CHANGED = "target-changed", None, ""
    """The line was typed for another conversation or room, or for one that has ended."""

    TOO_MANY = "too-many", None, ""
    """A bound of this program's is reached; see docs/PROTOCOL.md, section 6."""

    # A server.
    LOGIN_REFUSED = "login-refused", None, ""
    SERVER_UNREACHABLE = "server-unreachable", None, ""
    SERVER_STOPPING = "server-stopping", None, "it stops for a moment"
    NO_SERVER = "no-server", None, ""
    REPLACED = "replaced", None, "another connection with your key has taken your place"

    # This machine.
    FILE_TROUBLE = "file-trouble", None, ""
    LOG_TROUBLE = "log-trouble", None, ""
    PINS_TROUBLE = "pins-trouble", None, ""
    KEY_TROUBLE = "key-trouble", None, ""
    HOME_TROUBLE = "home-trouble", None, ""

    @classmethod
    def of(cls, status: int | None) -> Reason:
        """Return the code of a status of the protocol; REFUSED for None and an unknown one."""
        return _OF_STATUS.get(status or 0, cls.REFUSED)


STATUS_WORDS: dict[int, str] = {one.status: one.words for one in Reason if one.status is not None}
"""Every status of the protocol with its words."""

_OF_STATUS = {one.status: one for one in Reason if one.status is not None}


def status_line(status: int, otherwise: str = "error") -> str:
    """Return a status with its words, `404 no such client`; `otherwise`: words of an unknown one."""
    return f"{status} {STATUS_WORDS.get(status, otherwise)}"


NO_TLS = (Reason.NOT_TLS, Reason.TLS_BROKEN_OFF, Reason.TLS_FAILED)
"""Failures after which the other side may speak plain text only."""


class Cause(str):
    """The sentence about an end, a failure or a refusal, with its code in `reason`.

    A sentence on its way from where something happened to the screen keeps its code this way.
    """

    reason: Reason

    def __new__(cls, reason: Reason, sentence: str = "") -> Cause:
        """Make one of `sentence`, or of the fixed words of `reason`."""
        made = super().__new__(cls, sentence or reason.words)
        made.reason = reason
        return made


def reason_of(sentence: str, otherwise: Reason = Reason.CONNECTION_LOST) -> Reason:
    """Return the code of a sentence, or `otherwise` for one that carries none."""
    return sentence.reason if isinstance(sentence, Cause) else otherwise


class CodedError(Exception):
    """An exception with a code and one sentence for a person.

    `status`: the protocol's, where a server refused. `retry_after`: seconds after which the request
    may be repeated, where the server told them.
    """

    status: int | None = None
    retry_after: int | None = None

    def __init__(self, text: str, reason: Reason) -> None:
        super().__init__(text)
        self.reason = reason

    @property
    def sentence(self) -> str:
        """The text, or the words of the status, and when to try again."""
        words = self.args[0] or str(self)
        seconds = self.retry_after
        return words if seconds is None else f"{words}: try again in {seconds} s"

    @property
    def cause(self) -> Cause:
        """The sentence with the code."""
        return Cause(self.reason, self.sentence)

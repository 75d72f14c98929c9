"""Parse the answers of classic servers, in every form that course programs send."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chatproto.wire.blocks import Policy, read_headers
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact, read_host_port, read_port
from chatproto.wire.padding import BYTE_ORDER_MARK
from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.statuses import STATUS_WORDS
from chatproto.wire.values import value_class

_STATUS = re.compile(r"([1-6]\d\d)\b")
_METHOD = re.compile(r"[A-Z]{3,16}")
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_HOST = re.compile(r"[\w.:%-]{1,255}")
_WHY = 200  # characters of a server's own words that are shown to the user


class ServerRefused(CodedError):
    """The server refused a request.

    Args: sentence: for the user. status: of the protocol; None if a classic server sent none.
    retry_after: seconds after which a retry may succeed, if the server sent them. why: distinguishes
    causes of one status.
    """

    def __init__(
        self,
        sentence: str,
        status: int | None = None,
        retry_after: int | None = None,
        why: str = "",
    ) -> None:
        super().__init__(sentence, Reason.of(status))
        self.status = status
        self.retry_after = retry_after
        self.why = why


class NoAnswer(Exception):
    """Answer that cannot be parsed; its text continues "the server at host:port …"."""


@value_class
class ServerAnswer:
    """A start line, its headers by lower-cased name, and its lines in their original form."""

    method: str
    headers: dict[str, str]
    lines: tuple[str, ...]

    def check(self, wanted: str) -> None:
        """Check the kind of answer. Raises ServerRefused for a refusal, NoAnswer for anything else."""
        status = self.headers.get("status", "")
        refused = self.method in ("ERROR", "REGNACK") or status.lower().startswith("error")
        if refused:
            code = _STATUS.match(status)
            why = (status or " ".join(self.lines) or self.method)[:_WHY]
            if code and int(code[1]) in STATUS_WORDS:
                why = Reason.of(int(code[1])).sentence
            raise ServerRefused(why, int(code[1]) if code else None)
        if self.method != wanted:
            raise NoAnswer(f"answered {self.method} instead of {wanted}")


def read_answer(lines: Sequence[bytes], ended: bool) -> ServerAnswer | None:
    """Parse the answer at the start of `lines`; return None if it is incomplete.

    The last of `lines` has not ended yet; it may be empty. An answer ends at an empty line or at a NUL,
    since a server in C may send its whole buffer. With `ended`, no more input follows, by end of input
    or silence. Line ends alone are not an answer.

    Raises: NoAnswer: no chat server answers like this.
    """
    block: list[bytes] = []
    for number, line in enumerate(lines):
        text, nul, _ = line.partition(b"\x00")
        if not block:
            text = text.lstrip(b"\r")
        if not text and block and not nul and number < len(lines) - 1:
            ended = True
            break
        if text or block:
            block.append(text)
        if nul:
            ended = True
            break
    if not block:
        return None
    if block[0][:1] in (b"\x15", b"\x16"):
        raise NoAnswer("speaks TLS only, leave --plain out")
    if block[0].startswith((b"HTTP/", b"<")):
        raise NoAnswer("is a web server, not a chat server")
    if not ended:
        return None
    start, *rest = [line.decode("utf-8", "replace").strip() for line in block]
    start = start.removeprefix(BYTE_ORDER_MARK)
    if not _METHOD.fullmatch(start):
        raise NoAnswer("is not a chat server, its answer is not of the protocol")
    headers, _ = read_headers(rest, Policy.LOOSE)
    return ServerAnswer(start, headers, tuple(line for line in rest if line))


def contact(answer: ServerAnswer, own_id: str) -> Contact | None:
    """Return the peer in BRIDGEACK.

    None if a value is missing, blank or `None`, or if the id is our own. Characters that are not
    allowed in our ids are removed; if none are left, the id is `peer`.
    """
    client_id = answer.headers.get("clientid", "")
    host = answer.headers.get("ip", "").strip("[]")
    try:
        port = read_port(answer.headers.get("port", ""))
    except RemoteError:
        return None
    if client_id in ("", "None", own_id) or host == "None" or not _HOST.fullmatch(host):
        return None
    return Contact(_cleaned(client_id), host, port)


def contacts(answer: ServerAnswer) -> tuple[Contact, ...]:
    """Return the clients in INFOACK; lines that cannot be parsed are skipped."""
    found = []
    for line in answer.lines:
        name, _, where = line.rpartition(" ")
        try:
            host, port = read_host_port(where)
        except RemoteError:
            continue
        if name and _HOST.fullmatch(host):
            found.append(Contact(_cleaned(name), host, port))
    return tuple(found)


def _cleaned(client_id: str) -> str:
    """Return `client_id` with only the characters that `ID` allows."""
    return _OTHER.sub("", client_id).lstrip("._-")[:64] or "peer"

"""List every reason for which something ends, fails or is refused: its code and its sentence.

Programs decide by the code, in logic, exit codes and the JSON interface (`code`). A code is never
renamed, because scripts depend on it. Users read the sentence. It contains no status of the protocol,
no line end and no full stop, since it may stand in brackets or before `: try again in 5 s`.

`Reason` holds the codes, each with its usual sentence. The sentences below it say more, with
placeholders for names, hosts and limits. Sentences about a file on this machine are made where the file
is used, because the system's message is part of them.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """A code, its status in the protocol or None, and the usual sentence."""

    code: str
    status: int | None
    sentence: str

    def __new__(cls, code: str, status: int | None, sentence: str) -> Reason:
        """Create a member whose value is `code`."""
        member = object.__new__(cls)
        member._value_ = member.code = code
        member.status = status
        member.sentence = sentence
        return member

    # Statuses of the protocol, with SIP's code where SIP has one (RFC 3261, section 21).
    MALFORMED = "malformed", 400, "the request was not understood"
    NOT_REGISTERED = "not-registered", 401, "you are not registered or not logged in"
    REFUSED = "refused", 403, "refused"
    NOT_FOUND = "not-found", 404, "not found"
    NOT_ALLOWED = "not-allowed", 405, "the other program does not support this"
    TIMEOUT = "timeout", 408, "the connection was too slow"
    ID_TAKEN = "id-taken", 409, "that id belongs to another key"
    TOO_LARGE = "too-large", 413, "too large"
    RATE_LIMITED = "rate-limited", 429, "too many requests in a short time"
    HASH_DIFFERS = "hash-differs", 460, "the data arrived damaged"
    AWAY = "away", 480, "not online now"
    BUSY = "busy", 486, "busy"
    CANCELLED = "cancelled", 487, "cancelled"
    INTERNAL = "internal-error", 500, "internal error"
    UNAVAILABLE = "unavailable", 503, "not available at the moment"
    DECLINED = "declined", 603, "declined"

    # A session ends or its connection fails.
    YOU_LEFT = "you-left", None, "you left"
    PEER_LEFT = "peer-left", None, "the peer left"
    PEER_GONE = "peer-gone", None, "connection lost"
    """The connection ended, and no other can replace it."""
    CONNECTION_LOST = "connection-lost", None, "connection lost"
    NOT_ANSWERED = "not-answered", None, "no answer"
    MISSED = "missed", None, "you did not answer in time"
    NOT_A_PERSON = "not-a-person", None, "that is a server: start with --server HOST:PORT to use it"
    OLD_STATE = "old-state", None, "your home folder is older than the messages that the peer has"
    """The peer has messages of ours that are not in this home: it was restored from a backup."""

    # A call does not reach the peer, or reaches another one.
    UNREACHABLE = "unreachable", None, "no connection to the peer is possible"
    NO_HOST = "no-host", None, "no such host"
    CONNECTION_REFUSED = "connection-refused", None, "connection refused"
    NOT_TLS = "not-tls", None, "the other program does not speak TLS"
    TLS_BROKEN_OFF = "tls-broken-off", None, "the connection was closed during the TLS handshake"
    TLS_FAILED = "tls-failed", None, "the TLS handshake failed"
    """The other end does not speak TLS as the protocol requires."""
    BAD_KEY = "bad-key", None, "no valid key was shown"
    """The other end has no key, an unreadable one, or our own."""
    NO_ADDRESS = "no-address", None, "no address to call is known"
    OTHER_ID = "other-id", None, "another id than the one you asked for"
    OTHER_KEY = "other-key", None, "another key than the known one"
    NO_KEY = "no-key", None, "the peer shows no key, and plain text is not allowed"
    UNKNOWN_NAME = "unknown-name", None, "unknown name"
    AMBIGUOUS = "ambiguous", None, "the name means several peers"
    """Several peers, or clients of several servers, have that name."""
    NOT_THEIRS = "not-theirs", None, "another peer answered"

    # A message is not delivered.
    TAKEN_BACK = "taken-back", None, "cancelled with /unsend"
    EXPIRED = "expired", None, "queued for too long"
    STOPPING = "stopping", None, "the program is stopping"
    NOT_IN_ROOM = "not-in-room", None, "you are not in that room"

    TARGET_CHANGED = "target-changed", None, "typed for another conversation or room"
    """The line was typed for another conversation or room, or for one that has ended."""

    TOO_MANY = "too-many", None, "too many at once"
    """A limit of this program is reached; see docs/PROTOCOL.md, section 6."""

    # A server.
    LOGIN_REFUSED = "login-refused", None, "login refused"
    SERVER_UNREACHABLE = "server-unreachable", None, "the server cannot be reached"
    SERVER_STOPPING = "server-stopping", None, "shutting down"
    NO_SERVER = "no-server", None, "no server"
    REPLACED = (
        "replaced",
        None,
        "another program with your key, or with another key and your password, registered in your place "
        "(not yours? change the password), /register takes it back",
    )

    # This machine.
    FILE_TROUBLE = "file-trouble", None, "a file cannot be read or written"
    LOG_TROUBLE = "log-trouble", None, "the log cannot be read or written"
    PINS_TROUBLE = "pins-trouble", None, "the known keys cannot be read or written"
    KEY_TROUBLE = "key-trouble", None, "the identity key cannot be read or written"
    HOME_TROUBLE = "home-trouble", None, "the home folder cannot be used"

    @classmethod
    def of(cls, status: int | None) -> Reason:
        """Return the code of a status of the protocol; REFUSED for None and an unknown one."""
        return _OF_STATUS.get(status or 0, cls.REFUSED)


_OF_STATUS = {one.status: one for one in Reason if one.status is not None}


class Cause(str):
    """Sentence about an end, a failure or a refusal, with its code in `reason`.

    It keeps the code with the sentence from the place of the failure to the screen.
    """

    reason: Reason

    def __new__(cls, reason: Reason, sentence: str = "") -> Cause:
        """Create one from `sentence`, or from the usual sentence of `reason`."""
        made = super().__new__(cls, sentence or reason.sentence)
        made.reason = reason
        return made


def reason_of(sentence: str, otherwise: Reason = Reason.CONNECTION_LOST) -> Reason:
    """Return the code of a sentence, or `otherwise` for one without a code."""
    return sentence.reason if isinstance(sentence, Cause) else otherwise


class Sentence:
    """Sentence with named placeholders; calling it fills them.

        Sentence(Reason.NO_HOST, "no host named {host}")(host="example.net")

    Values are inserted unchanged. The interfaces make them safe to show, like all text of others.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        self.reason = reason
        self.text = text

    def __call__(self, **gaps: object) -> Cause:
        """Return the sentence with its code. Raises KeyError if a value is missing."""
        return Cause(self.reason, self.text.format(**gaps))

    def around(self, why: str, **gaps: object) -> Cause:
        """Return the sentence with `why` inserted, and the code of `why` if that has one."""
        return Cause(reason_of(why, self.reason), self.text.format(why=why, **gaps))


class CodedError(Exception):
    """Exception with a code and one sentence for the user.

    Args: text: the sentence; a `Cause` brings its code. reason: the code of any other text. status: of
    the protocol, if a server refused. retry_after: seconds after which the request may be repeated, if
    the server sent them. why: the server's word that distinguishes causes of one status.
    """

    status: int | None = None
    retry_after: int | None = None
    why: str = ""

    def __init__(self, text: str, reason: Reason | None = None) -> None:
        super().__init__(text)
        self.reason = reason or reason_of(text, Reason.REFUSED)

    @property
    def sentence(self) -> str:
        """Return the text, or the usual sentence of the code, and when to retry."""
        words = self.args[0] or self.reason.sentence
        seconds = self.retry_after
        return words if seconds is None else f"{words}: try again in {seconds} s"

    @property
    def cause(self) -> Cause:
        """Return the sentence with the code."""
        return Cause(self.reason, self.sentence)


NO_TLS = (Reason.NOT_TLS, Reason.TLS_BROKEN_OFF, Reason.TLS_FAILED)
"""Failures after which the other end may speak plain text only."""


# Connections to any program.

HOST_UNKNOWN = Sentence(Reason.NO_HOST, "no host named {host}")
NOBODY_LISTENS = Sentence(
    Reason.CONNECTION_REFUSED, "no program listens at {where} (connection refused)"
)
NO_ANSWER_WITHIN = Sentence(Reason.NOT_ANSWERED, "no answer from {where} within {seconds:g} s")
NO_ROUTE = Sentence(Reason.UNREACHABLE, "no route from this machine to {where}")
DIAL_FAILED = Sentence(Reason.UNREACHABLE, "{where} cannot be reached ({error})")
DIAL_CANCELLED = Sentence(Reason.CANCELLED, "the call to {where} was cancelled")
SILENCE = Sentence(Reason.CONNECTION_LOST, "nothing received for {seconds:g} s")
MOVE_FAILED = Sentence(Reason.CONNECTION_LOST, "the move to a better path failed")
NO_SIGN_OF_LIFE = Sentence(Reason.CONNECTION_LOST, "the connection does not respond")
HANDSHAKE_TIMEOUT = Sentence(Reason.TLS_FAILED, "the TLS handshake timed out")
HANDSHAKE_ERROR = Sentence(Reason.TLS_FAILED, "the TLS handshake failed ({words})")
NO_BCP2 = Sentence(Reason.TLS_FAILED, "the other program speaks TLS, but not bcp/2")
OLD_TLS = Sentence(Reason.TLS_FAILED, "the other program has no TLS 1.3")
NO_CERTIFICATE = Sentence(Reason.BAD_KEY, "the other program showed no certificate")
NO_COMMON_CIPHER = Sentence(Reason.BAD_KEY, "no TLS cipher in common with the other program")
WANTS_CERTIFICATE = Sentence(Reason.BAD_KEY, "the other program demands a certificate")
LARGE_CERTIFICATE = Sentence(Reason.BAD_KEY, "the certificate of the other program is too large")
NOT_ED25519 = Sentence(Reason.BAD_KEY, "the certificate is not one of an Ed25519 key")
NOT_SELF_SIGNED = Sentence(Reason.BAD_KEY, "the certificate is signed by a third party")
KEY_NOT_JUDGED = Sentence(Reason.BAD_KEY, "the key could not be checked, the log has details")
OUR_KEY_REFUSED = Sentence(Reason.BAD_KEY, "the other program refused our key")
OWN_KEY = Sentence(Reason.BAD_KEY, "your own key answered")
KEY_OF_ANOTHER = Sentence(
    Reason.NOT_THEIRS, "the key {shown} at that address is not the key of {peer}"
)
NOT_BCP2 = Sentence(Reason.MALFORMED, "data that is not BCP/2 was received")
BAD_BCP2 = Sentence(Reason.MALFORMED, "data that is not BCP/2 was received ({why})")
TOO_EARLY = Sentence(Reason.MALFORMED, "the peer sent data before the call was accepted")
NOT_A_CHAT = Sentence(Reason.MALFORMED, "data that is no chat was received ({why})")
TOO_MANY_CALLERS = Sentence(Reason.TOO_MANY, "too many callers at once")

# A call.

NO_WAY = Sentence(Reason.UNREACHABLE, "no path to the peer works")
NO_PATH_AGAIN = Sentence(Reason.UNREACHABLE, "the peer cannot be reached again")
RELAY_NOT_WANTED = Sentence(Reason.UNREACHABLE, "not tried (--path direct)")
NO_RELAY = Sentence(Reason.UNREACHABLE, "the server relays nothing for this call")
NO_ANSWER = Sentence(Reason.NOT_ANSWERED, "no answer")
NO_SERVER_TO_RELAY = Sentence(Reason.NO_SERVER, "no server to relay")
CALL_REFUSED_KEY = Sentence(
    Reason.REFUSED, "refused: the peer knows your id with another key, or ignores you"
)
NOT_IN_PLAIN_TEXT = Sentence(Reason.NOT_THEIRS, "{peer} is not called in plain text")
HAS_KEY = Sentence(
    Reason.REFUSED,
    "{peer} has a key and is not called in plain text: /chat {peer} calls inside TLS",
)
HAS_NO_KEY = Sentence(
    Reason.NO_KEY, "{peer} has no key: use --open, or /chat --as canon, to call in plain text"
)
LOST_KEY = Sentence(Reason.OTHER_KEY, "refused: {peer} has a key, but the server names none")
ANOTHER_ANSWERED = Sentence(Reason.NOT_THEIRS, "another peer answered at that address")
SPEAKS_PLAIN = Sentence(Reason.NOT_TLS, "{why} (/chat --as canon calls in plain text)")
WRONG_ANSWER = Sentence(
    Reason.OTHER_ID, 'refused: the server {server} was asked for "{peer}" and named "{other}"'
)
SERVER_NAMES_ANOTHER = Sentence(
    Reason.OTHER_KEY, "{peer} at {server} has another key now, {key}: it is not called"
)
KEY_CHANGED = Sentence(
    Reason.OTHER_KEY,
    "refused: the key of {peer} has changed (a new installation, or an attack). "
    "Known: {known} ({file}, line {line}). If {peer} confirms the new one, {accept}",
)
AWAY_WATCHED = Sentence(Reason.AWAY, "{peer} is away, you will be notified when they are online")
NOT_CALLABLE = Sentence(
    Reason.NO_ADDRESS, "{peer} called you and told no address to call: wait for the next call"
)
OWN_ADDRESS = Sentence(Reason.NOT_ALLOWED, "that is your own address")
CALL_WHOM = Sentence(
    Reason.MALFORMED,
    "no peer to call: /bridge asks the server for one, /chat HOST:PORT calls an address",
)
KEY_NOT_FOUND = Sentence(
    Reason.NO_ADDRESS, "nobody with the key {key} is known: try /info or /nearby"
)
NO_ADDRESS_PLAIN = Sentence(
    Reason.NO_ADDRESS,
    'no address of "{peer}" is known: /info lists who takes calls in plain text. '
    "Without --plain this client can call the others",
)
NO_ADDRESS_NO_SERVER = Sentence(
    Reason.NO_ADDRESS, 'no address of "{peer}" is known: call with /chat HOST:PORT'
)
NOT_NEARBY = Sentence(
    Reason.NO_ADDRESS, '"{peer}" is not nearby: see /nearby, or call with /chat HOST:PORT'
)
SEVERAL_NEARBY = Sentence(
    Reason.AMBIGUOUS,
    '{count} peers nearby use the id "{peer}": /chat HOST:PORT with one of {where}',
)
SERVER_KNOWS_NOBODY = Sentence(
    Reason.NOT_FOUND, 'the server knows no "{peer}": /info lists registered clients'
)
SERVER_KNOWS_ANOTHER = Sentence(
    Reason.NOT_FOUND, 'the server knows no "{peer}": did you mean {other}?'
)
BRIDGE_TO_YOURSELF = Sentence(Reason.REFUSED, '"{peer}" is your own id')
SERVERLESS = Sentence(
    Reason.NO_SERVER, "no server is used (--server none): call with /chat HOST:PORT"
)
NO_BRIDGE_BY_NAME = Sentence(
    Reason.NOT_ALLOWED, "a classic server picks the peer itself: /bridge without an id"
)
NO_KEY_OF_OURS = Sentence(Reason.NOT_ALLOWED, "this client has no key to call with")
NO_DIALECT = Sentence(Reason.MALFORMED, 'no dialect "{name}": choose one of {known}')
NAME_UNKNOWN = Sentence(Reason.UNKNOWN_NAME, 'no peer is called "{name}": see /who and /info')
KEY_NOT_KNOWN_AT = Sentence(Reason.UNKNOWN_NAME, 'no key of "{peer}" at {server} is known')
SEVERAL_SERVERS = Sentence(Reason.AMBIGUOUS, '"{peer}" is known at several servers: write {names}')

# A conversation.

IN_CONVERSATION = Sentence(Reason.MALFORMED, "you are in a conversation with them already")
NOT_CALLED = Sentence(Reason.MALFORMED, "the peer has not called")
NO_CALL = Sentence(Reason.MALFORMED, "there is no call to answer")
CONVERSATION_ENDED = Sentence(Reason.MALFORMED, "the conversation has ended")
NOT_OPEN = Sentence(Reason.MALFORMED, "the conversation is not open yet")
NOT_NOW = Sentence(Reason.MALFORMED, "that is not possible now")
TOO_MUCH_EARLY = Sentence(Reason.TOO_LARGE, "the peer sent too much before the call was accepted")
NO_TURN_SIGN = Sentence(
    Reason.NOT_ALLOWED, "the dialect {dialect} passes the turn only with a message"
)
NO_TURNS = Sentence(
    Reason.MALFORMED, "no turns are taken here, both can send at any time: /mode half takes turns"
)
NOT_YOUR_TURN = Sentence(Reason.MALFORMED, "it is not your turn")
CALL_HINT = "/chat ID calls a peer"
"""Next step for a user without a conversation; the `hint` of `NO_CURRENT`."""
NO_CURRENT = Sentence(Reason.NOT_FOUND, "you are in no conversation: {hint}")
NOT_SENT_ENDED = Sentence(
    Reason.NOT_FOUND, "not sent: the conversation with {target} has ended ({hint})"
)
NOT_SENT_LEFT = Sentence(Reason.NOT_FOUND, "not sent: you are no longer in {target} ({hint})")
NOT_SENT_NOW_TO = Sentence(
    Reason.TARGET_CHANGED, "not sent: what you type goes to {now} now, Enter sends it there"
)
NOT_SENT_TYPED_FOR = Sentence(
    Reason.TARGET_CHANGED,
    "not sent: typed for {target}, and what you type goes to {now} now. Enter sends it there",
)
FOR_ONE_PEER = Sentence(
    Reason.NOT_FOUND, "{room} is a room: this command is for a conversation with one peer"
)
PEER_AWAY = Sentence(Reason.NOT_FOUND, "{peer} is away")
NO_CALLS = Sentence(Reason.NOT_FOUND, "nobody is calling")
NO_CALL_OF = Sentence(Reason.NOT_FOUND, '"{what}" is not calling')
NOT_IN_CONVERSATION = Sentence(
    Reason.NOT_FOUND, 'no conversation with "{peer}": start one with /chat {peer}'
)
CANNOT_SWITCH = Sentence(
    Reason.NOT_FOUND, 'no conversation with "{peer}": /chat {call} calls, /who lists yours'
)
UNCONFIRMED_NAME = Sentence(
    Reason.NOT_FOUND,
    "{peer}? may be another person: /msg @{peer}? TEXT writes to them, /chat {peer} calls {peer}",
)
MEANT_COMMAND = Sentence(Reason.MALFORMED, "not queued for {peer}: did you mean {command}?")
AWAY_WITHOUT_LOG = Sentence(Reason.NOT_FOUND, "not sent: {peer} is away and has no pinned key")
FORGOT_AT = Sentence(
    Reason.MALFORMED, 'not sent: "{peer}" is a name. /msg @{peer} TEXT writes to {peer}{otherwise}'
)
MSG_IN_ROOM = Sentence(
    Reason.MALFORMED,
    'not sent: "{word}" is no name known here, {hint}. Without /msg the line goes to {room}',
)
BLANK_BEFORE = Sentence(
    Reason.MALFORMED,
    "not sent: a blank stands before {command}. Without it the command is carried out, "
    "/{command} sends it as text",
)

NICK_UNKNOWN = Sentence(Reason.UNKNOWN_NAME, "nobody is called {nick}")
NICK_GONE = Sentence(Reason.UNKNOWN_NAME, "nobody you know has the key of {nick} any more{now}")

# A message.

MESSAGE_TOO_LARGE = Sentence(Reason.TOO_LARGE, "a message has at most {most} bytes: use /send")
ROOM_MESSAGE_TOO_LARGE = Sentence(
    Reason.TOO_LARGE, "a message to a room has at most {most} bytes: send it in parts"
)
QUEUE_FULL = Sentence(
    Reason.TOO_MANY, "not sent: {count} messages are queued already, wait until some are delivered"
)
FRAME_TOO_LARGE = Sentence(
    Reason.TOO_LARGE,
    "not sent: {size} bytes in the dialect {dialect}, the other program may take only {most}. "
    "Shorten it, or send it again as it is",
)
OVER_BEFORE = Sentence(Reason.PEER_LEFT, "the conversation ended")
NOT_ARRIVED = Sentence(Reason.CONNECTION_LOST, "the connection ended before it arrived")
FOR_OLD_KEY = Sentence(
    Reason.OTHER_KEY, "written for the old key of {peer}: /resend {peer} sends it to the new one"
)
NOT_QUEUED = Sentence(Reason.NOT_FOUND, "no message {id} is queued: /outbox lists them")
NOT_QUEUED_FOR = Sentence(
    Reason.NOT_FOUND, "no message {id} is queued for {peer}: /outbox lists them"
)
NOTHING_QUEUED_FOR = Sentence(Reason.NOT_FOUND, 'nothing is queued for "{peer}"')
UNSEND_WHAT = Sentence(Reason.NOT_FOUND, "name the peer too: /unsend n id")
NO_UNSEND = Sentence(Reason.NOT_ALLOWED, "a message in plain text cannot be cancelled")
NO_LOG_IN_PLAIN = Sentence(Reason.NOT_FOUND, "messages in plain text are not kept")
NO_LOG_OF = Sentence(Reason.NOT_FOUND, 'no messages with "{peer}" are kept: no key is known')
NOTHING_TO_RESEND = Sentence(Reason.NOT_FOUND, 'there is nothing to send again to "{peer}"')
BAD_REFERENCE = Sentence(
    Reason.MALFORMED, "ref must be a number or a string of at most {most} characters"
)
REFERENCE_USED = Sentence(Reason.MALFORMED, "a command with this ref is not over yet")
REFERENCES_FULL = Sentence(
    Reason.TOO_MANY, "{most} commands with a ref are not over: wait for the end of one"
)
REQUESTS_FULL = Sentence(
    Reason.TOO_MANY, "{count} requests are waiting for the server: try again when it has answered"
)

# Keys.

NOTHING_ENCRYPTED = Sentence(Reason.NOT_ALLOWED, "nothing is encrypted with --plain")
VERIFY_WHOM = Sentence(Reason.MALFORMED, "name a peer: /verify id")
KEY_UNKNOWN = Sentence(Reason.UNKNOWN_NAME, 'no key of "{peer}" is known: call them first')
TOLD_NO_ID = Sentence(Reason.UNKNOWN_NAME, "{peer} has told no id: call them first")
SERVER_KEY_UNKNOWN = Sentence(Reason.UNKNOWN_NAME, 'no key of a server "{server}" is known')
OTHER_KEY_IN_ROOM = Sentence(
    Reason.OTHER_KEY,
    "{peer} in {room} may be another person: the key is not the one that you know of {peer}",
)
PINNED_TO_ANOTHER = Sentence(
    Reason.ID_TAKEN, "{peer} is pinned to another key: /trust {peer} {key} replaces it"
)
SEVERAL_IGNORED = Sentence(Reason.ID_TAKEN, 'several called "{peer}" are ignored: name {keys}')
NOT_IGNORED = Sentence(Reason.NOT_FOUND, '"{peer}" is not ignored: /ignore lists who is')
IGNORED_FULL = Sentence(Reason.TOO_LARGE, "at most {most} peers can be ignored")

# A server.

NO_SERVER_AT = Sentence(Reason.SERVER_UNREACHABLE, "no server at {server} (connection refused)")
SERVER_HOST_UNKNOWN = Sentence(Reason.SERVER_UNREACHABLE, "no host named {host}")
SERVER_SILENT = Sentence(Reason.SERVER_UNREACHABLE, "no answer from the server at {server}")
SERVER_NOT_REACHED = Sentence(
    Reason.SERVER_UNREACHABLE, "the server at {server} cannot be reached ({error})"
)
NO_HOST_NAME = Sentence(Reason.SERVER_UNREACHABLE, '"{host}" is not the name of a host')
SERVER_TROUBLE = Sentence(Reason.SERVER_UNREACHABLE, "the server at {server} {why}")
SERVER_LOST = Sentence(Reason.SERVER_UNREACHABLE, "the server at {server}: {why}")
REGISTER_LATER = Sentence(
    Reason.UNAVAILABLE, "the server at {server} does not register you yet ({why})"
)
SERVER_SLOW = Sentence(Reason.NOT_TLS, "the server {server} does not answer yet")
SERVER_NOT_YET = Sentence(Reason.SERVER_UNREACHABLE, "not connected to the server at {server} yet")
SERVER_NOT_NOW = Sentence(Reason.SERVER_UNREACHABLE, "no connection to the server at {server}")
SERVER_NOT_NOW_WHY = Sentence(
    Reason.SERVER_UNREACHABLE, "no connection to the server{where}: {why}"
)
SERVER_GIVEN_UP = Sentence(
    Reason.SERVER_UNREACHABLE, "the server at {server} is no longer used: /register tries again"
)
SERVER_GIVEN_UP_WHY = Sentence(
    Reason.SERVER_UNREACHABLE,
    "you are not registered at {server} ({why}): /register tries again",
)
CONNECTION_TO_SERVER_LOST = Sentence(
    Reason.SERVER_UNREACHABLE, "the connection to the server was lost"
)
WRONG_ANSWER_TYPE = Sentence(
    Reason.SERVER_UNREACHABLE,
    "the server at {server} gave an answer that does not fit ({method})",
)
LIST_ENDLESS = Sentence(
    Reason.SERVER_UNREACHABLE, "the server did not end its list within {seconds:g} s"
)
REQUEST_TIMEOUT = Sentence(Reason.CONNECTION_LOST, "no answer within {seconds:g} s")
MAYBE_CLASSIC = Sentence(Reason.NOT_TLS, "{why} (--plain speaks to a classic server)")
BUSY_SERVER = Sentence(Reason.UNAVAILABLE, "it accepts no connection at the moment ({why})")
SERVER_SAYS_NO = Sentence(Reason.REFUSED, "the server refused: {why}")
CLASSIC_ID_TAKEN = Sentence(
    Reason.ID_TAKEN, "the server refused: that id is taken. Choose another with --id"
)
SERVER_ID_TAKEN = Sentence(
    Reason.ID_TAKEN,
    "the server {server} refused: another key owns that id or one that looks like it, or a classic "
    "client registered it. Choose another with --id",
)
SERVER_WANTS_LOGIN = Sentence(
    Reason.NOT_REGISTERED, "the server {server} requires an account: log in with --user NAME"
)
SERVER_REFUSED = Sentence(Reason.REFUSED, "the server {server} refused: {why}")
REGISTER_REFUSED = Sentence(
    Reason.REFUSED, "the server {server} refused to register you: your key owns too many ids"
)
KEY_NOT_ADMITTED = Sentence(
    Reason.REFUSED, "the server {server} does not admit your key: ask its operator to allow it"
)
DISCONNECTED_BY_OPERATOR = Sentence(
    Reason.REFUSED, "the operator disconnected you from {server}: /register connects again"
)
SERVER_NEWS = Sentence(Reason.SERVER_UNREACHABLE, "server {server}: {why}")
SERVER_AWAY = Sentence(Reason.SERVER_UNREACHABLE, "{why}, {then}")
NO_SERVER_YET = Sentence(
    Reason.SERVER_UNREACHABLE,
    "chatserver starts one on this machine, --server HOST:PORT names another",
)
SERVER_LEFT_OUT = Sentence(Reason.SERVER_UNREACHABLE, "server {server}: {why}, no longer used")
NO_ACCOUNTS = Sentence(Reason.NOT_ALLOWED, "it has no accounts, start without --user")
WRONG_PASSWORD = Sentence(Reason.LOGIN_REFUSED, "unknown user or wrong password")
TOO_MANY_LOGINS = Sentence(Reason.RATE_LIMITED, "too many tries to log in")
SAME_PASSWORD = Sentence(
    Reason.REFUSED, "that password was refused before: start again with another one"
)
SAME_PASSWORD_FILE = Sentence(
    Reason.REFUSED, "{file} still has the password that was refused: change it first"
)
SERVER_KEY_NOT_NAMED = Sentence(
    Reason.OTHER_KEY, "refused: its key {shown} is not the one that --server names"
)
OTHER_DIRECTORY = Sentence(
    Reason.OTHER_KEY, "its key {shown} differs from that of {first}: another directory"
)

# The relay of a server.

RELAY_HERE = Sentence(Reason.UNREACHABLE, "the server named this machine as its relay")
RELAY_GARBLED = Sentence(Reason.UNREACHABLE, "the answer of the relay was not understood ({why})")
RELAY_LOST = Sentence(Reason.UNREACHABLE, "the connection to the relay was lost")
RELAY_SILENT = Sentence(Reason.UNREACHABLE, "the relay does not answer")
RELAY_TICKET = Sentence(Reason.UNREACHABLE, "the relay refused the ticket")
RELAY_OFF = Sentence(Reason.UNREACHABLE, "the server has no relay")
RELAY_ALONE = Sentence(Reason.UNREACHABLE, "the peer did not come to the relay")
RELAY_REFUSED = Sentence(Reason.UNREACHABLE, "the relay refused: {why}")

# A room.

NO_ROOMS = Sentence(Reason.NOT_ALLOWED, "rooms need a server, and do not work with --plain")
BAD_ROOM_NAME = Sentence(
    Reason.MALFORMED, "a room's name is # and at most 64 of A-Z, a-z, 0-9, dot, dash and underscore"
)
WHICH_ROOM = Sentence(Reason.NOT_FOUND, "name a room: /join #room enters one")
WHICH_OF_ROOMS = Sentence(
    Reason.NOT_FOUND, "name a room, or choose one with /switch: you are in {rooms}"
)
NOT_A_MEMBER = Sentence(Reason.NOT_FOUND, "you are not in {room}: /join {room}")
TOO_MANY_ROOMS = Sentence(Reason.TOO_LARGE, "you are in {count} rooms: /part leaves one")
NOT_ASKED = Sentence(Reason.TOO_MANY, "too many requests are waiting: try again in a moment")
SERVER_GONE = Sentence(Reason.SERVER_UNREACHABLE, "the server is no longer used")
PUT_OUT = Sentence(Reason.NOT_IN_ROOM, "you were removed")
TOPIC_OF_ROOM = Sentence(
    Reason.MALFORMED, "not done: to set the topic of {room}, write /topic @{room} TEXT"
)
MAY_NOT_JOIN = Sentence(
    Reason.REFUSED,
    "you may not join {room}: it needs a key (/join {room} key=KEY) or an invitation, "
    "or you are banned",
)
BANNED_FROM = Sentence(
    Reason.REFUSED, "you are banned from {room}: only its moderators can lift that"
)
NOT_INVITED = Sentence(
    Reason.REFUSED, "{room} is by invitation only: ask a moderator for one (/invite)"
)
ROOM_KEY_WANTED = Sentence(Reason.REFUSED, "{room} needs a key: /join {room} key=KEY")
ROOM_KEY_WRONG = Sentence(Reason.REFUSED, "that is not the key of {room}: /join {room} key=KEY")
ROOM_ID_TAKEN = Sentence(
    Reason.ID_TAKEN, "another room looks like {room}, or a member's name looks like yours"
)
ROOMS_FULL = Sentence(
    Reason.TOO_LARGE, "you are in too many rooms, or opened too many: /part leaves one"
)
ROOM_REQUESTS = Sentence(
    Reason.RATE_LIMITED, "too many requests about rooms: try again in a moment"
)
ROOM_FULL = Sentence(
    Reason.UNAVAILABLE, "{room} is full, or the server can store nothing now: try again later"
)
MUTED = Sentence(Reason.REFUSED, "you are muted here")
ROOM_NOT_STORED = Sentence(
    Reason.UNAVAILABLE, "the server can store nothing now: send it again in a moment"
)
NOT_MODERATOR = Sentence(Reason.REFUSED, "you may not do that here, or not to them")
NOT_IN_THIS_ROOM = Sentence(Reason.NOT_FOUND, "you are not in that room any more")
NOBODY_TO_KICK = Sentence(Reason.NOT_FOUND, '"{peer}" is not in the room: see /names')
NO_SUCH_BAN = Sentence(Reason.NOT_FOUND, "no ban of {peer} is in force in the room")
NO_ID = Sentence(Reason.MALFORMED, '"{peer}" is no id: see /names')
NOT_BARRED = Sentence(Reason.MALFORMED, '"{peer}" is no id, key or address')
BAN_OF_NO_TIME = Sentence(Reason.MALFORMED, "a ban of no time is none: /unban {peer} lifts one")
BAN_OVER = Sentence(
    Reason.MALFORMED,
    "by the server's clock that ban would be over already: set your clock, or ban for longer",
)
ROOM_TEXT_LINES = Sentence(Reason.MALFORMED, "a topic or a reason is one line of text")
ROOM_TOO_MUCH = Sentence(Reason.TOO_LARGE, "that is too long, or the room's list is full")
ROOM_STORE = Sentence(Reason.UNAVAILABLE, "the server can store nothing now: try again in a moment")

# A file.

NO_FILES_IN_PLAIN = Sentence(Reason.NOT_ALLOWED, "files cannot be sent with --plain")
NO_FILES_IN_DIALECT = Sentence(
    Reason.NOT_ALLOWED, "{peer} uses the dialect {dialect}, which cannot carry files"
)
NO_FILES_YET = Sentence(
    Reason.NOT_FOUND, "{peer} has not answered yet: send it once you are connected"
)
NO_TRANSFER = Sentence(Reason.NOT_FOUND, "no transfer {number}: /files lists them")
NOT_ACCEPTABLE = Sentence(Reason.MALFORMED, "transfer {number} is not waiting for /accept")
FOLDER_FOR_NO_FILE = Sentence(
    Reason.MALFORMED, "a folder is given, but no file is offered: /files lists the offers"
)
FOLDER_IN_THE_WAY = Sentence(Reason.FILE_TROUBLE, "cannot use {folder}: {file} is not a folder")
FOLDER_STAYS = Sentence(Reason.MALFORMED, "transfer {number} has begun in {folder} and stays there")
NOT_DECLINABLE = Sentence(
    Reason.MALFORMED, "transfer {number} is not waiting for an answer: /cancel {number} ends it"
)
TRANSFER_ENDED = Sentence(Reason.MALFORMED, "transfer {number} has ended already")
WRONG_DATA = Sentence(Reason.MALFORMED, "the peer sent data that does not fit the file")
HASH_WRONG_TWICE = Sentence(
    Reason.HASH_DIFFERS, "the data arrived damaged twice: check both disks, then send it again"
)
FILE_GOES_ON = Sentence(
    Reason.PEER_GONE, "it goes on in your next conversation, /chat {peer} calls"
)
FILE_NEEDS_CONVERSATION = Sentence(
    Reason.NOT_FOUND,
    "not offered: you are in no conversation with {peer}, and files are not queued. "
    "/chat {peer} calls, then send it again",
)
CANCELLED_BY_PEER = Sentence(Reason.CANCELLED, "the peer cancelled it")
OFFER_UNANSWERED = Sentence(Reason.CANCELLED, "the peer did not answer the offer")
KEEPS_CHANGING = Sentence(
    Reason.FILE_TROUBLE, "{name} keeps changing: send it when nothing writes to it"
)
DISK_LOST_DATA = Sentence(
    Reason.FILE_TROUBLE,
    "the disk has lost data of {path} ({why}): check it before the file is sent again",
)
PEER_REFUSED_FILE = Sentence(Reason.REFUSED, "the peer refused it: {why}")

# Commands.

NOTHING_PASTED = Sentence(Reason.NOT_FOUND, "no pasted lines are waiting for an answer")
NO_BEACON = Sentence(Reason.NOT_ALLOWED, "start with --beacon to find peers on this network")

"""Map between the peers of one client and their nicknames, and to the names in commands."""

from __future__ import annotations

from collections.abc import Hashable

from chatproto.client.app import Client
from chatproto.identity.recipient import Dialled, FirstContact, KeyedPerson, OpenPeer
from chatproto.ui.irc.lines import CHAT, CHAT_SOURCE, FACE
from chatproto.ui.irc.nick_file import NickFile
from chatproto.ui.irc.nicks import NOBODY, Given, Nicks, folded, is_id, wanted
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import ID
from chatproto.wire.reasons import NICK_GONE, NICK_UNKNOWN

OWN = "own"
"""Owner of our own nickname."""


class People:
    """Nicknames of all peers of `client`; those of keys are stored in `file`."""

    def __init__(self, client: Client, file: NickFile) -> None:
        self.own_id = client.context.settings.client_id
        """Our id, which is our nickname."""
        self._client = client
        self._names = client.conversations.names
        self._shown: dict[Hashable, str] = {}  # by owner, the name that the program showed last
        known: list[tuple[str, Hashable]] = [
            (nick, KeyedPerson(key)) for nick, key in file.read() if nick != self.own_id
        ]
        self._nicks = Nicks([(self.own_id, OWN), *known], _key_of, file.add)

    @property
    def own_source(self) -> str:
        """Source of our own messages."""
        return f"{self.own_id}!{self.own_id}@{FACE}"

    def of_name(self, name: str) -> str:
        """Return the nickname of the peer that the program shows as `name`."""
        if name == self.own_id:
            return name
        who = self._who(name)
        self._shown[who] = name
        return self._nicks.of(who, self._wished(who, name), lambda owner: self._passes(owner, who))

    def of_member(self, client_id: str) -> str:
        """Return the nickname of a room member whose id at our server is `client_id`.

        A member with another key than the one pinned to the id is unconfirmed.
        """
        if client_id == self.own_id:
            return client_id
        if client_id in self._client.member_keys.others:
            return self._nicks.of(("room", client_id), f"{client_id}?")
        server = self._names.server
        if ID.fullmatch(client_id) is None:
            return self._nicks.of(("room", client_id), client_id)
        who = self._who(client_id if server is None else f"{client_id}@{server}")
        self._shown.setdefault(who, client_id)
        return self._nicks.of(who, client_id, lambda owner: self._passes(owner, who))

    def call_of(self, name: str) -> int | None:
        """Return the number of the conversation that is shown as `name`, None if there is none."""
        found = self._client.conversations.named(name)
        return found.number if found is not None else None

    def source(self, nick: str) -> str:
        """Return `nick` as the source of a line."""
        if nick == CHAT:
            return CHAT_SOURCE
        return f"{nick}!{self.user(nick)}@{FACE}"

    def user(self, nick: str) -> str:
        """Return the id in the source of `nick`."""
        given = self._nicks.owner(nick)
        return given.user if given is not None else nick

    def is_own(self, nick: str) -> bool:
        """Return True if `nick` is ours."""
        return folded(nick) == folded(self.own_id)

    def is_known(self, nick: str) -> bool:
        """Return True if `nick` belongs to a peer or to us."""
        return self._nicks.owner(nick) is not None

    def id_here(self, nick: str) -> str:
        """Return the id at our server of the owner of `nick`; an unknown nickname counts as an id."""
        given, trust = self._nicks.owner(nick), self._client.trust
        key = _key_of(given.who) if given is not None else None
        if given is None or trust is None or key is None:
            return given.user if given is not None else nick
        return next(iter(trust.ids_of(key)), given.user)

    def spelling(self, nick: str) -> str:
        """Return `nick` in its stored spelling."""
        given = self._nicks.owner(nick)
        return given.nick if given is not None else nick

    def address(self, nick: str) -> str:
        """Return the name that identifies the owner of `nick` in commands. Raises LocalError."""
        given = self._nicks.owner(nick)
        if given is None:
            return self._address_of_new(nick)
        if given.who == OWN or given.nick == NOBODY:
            return given.nick
        shown = self._shown.get(given.who, "")
        if shown and self._who(shown) == given.who:
            return shown
        match given.who:
            case KeyedPerson(key):
                return key
            case FirstContact(server, client_id) if server is not None:
                return f"{client_id}@{server}"
        raise LocalError(404, NICK_UNKNOWN(nick=nick))

    def _address_of_new(self, nick: str) -> str:
        """Return the same for a nickname without an owner: the user can write to an id at once."""
        if not is_id(nick):
            raise LocalError(404, NICK_UNKNOWN(nick=nick))
        who = self._names.resolve(nick)  # raises an error if the id is known twice
        if self._nicks.of(who, nick) != nick:
            raise LocalError(404, NICK_UNKNOWN(nick=nick))
        self._shown[who] = nick
        return self.address(nick)

    def name(self, nick: str) -> str:
        """Return the name that the program shows for the owner of `nick`; `nick` if there is none."""
        given = self._nicks.owner(nick)
        return self._shown.get(given.who, nick) if given is not None else nick

    def is_stranger(self, address: str) -> bool:
        """Return True if the peer `address` must be called before messages can be sent."""
        who = self._names.resolve(address)
        return who.key is None and self._client.conversations.with_recipient(who) is None

    def gone(self, nick: str) -> LocalError | None:
        """Return why no peer has the key of `nick` any more; None if that is not certain."""
        given = self._nicks.owner(nick)
        key = _key_of(given.who) if given is not None else None
        trust = self._client.trust
        if given is None or key is None or trust is None or trust.knows(key):
            return None
        if self._client.calls.has_conversation_with(key):
            return None
        now = self._nicks_of_id(given)
        return LocalError(
            404, NICK_GONE(nick=given.nick, now=f": they are {now} now" if now else "")
        )

    def _nicks_of_id(self, given: Given) -> str:
        """Return the nickname that has the id of `given` now, if it belongs to another key."""
        trust = self._client.trust
        pin = trust.pinned(given.user) if trust is not None else None
        return self.of_name(given.user) if pin is not None else ""

    def account(self, nick: str) -> str:
        """Return the id of the owner of `nick` if its safety number was compared, else ""."""
        given, trust = self._nicks.owner(nick), self._client.trust
        key = _key_of(given.who) if given is not None else None
        if given is None or key is None or trust is None or not trust.is_verified(key):
            return ""
        return given.user

    def key(self, nick: str) -> str | None:
        """Return the identity key of the owner of `nick`, None if none is known."""
        given = self._nicks.owner(nick)
        if given is not None and given.who == OWN:
            return self._client.trust.own_key if self._client.trust is not None else None
        return _key_of(given.who) if given is not None else None

    def keyed(self) -> list[tuple[str, str]]:
        """Return all keys with a nickname, and the latest nickname of each; the latest first."""
        found = {_key_of(given.who): given.nick for given in self._nicks}
        return [(nick, key) for key, nick in reversed(found.items()) if key is not None]

    def _who(self, name: str) -> Hashable:
        """Return the owner of `name`: a recipient, or a word for a peer that is only a name."""
        try:
            who = self._names.resolve(name)
        except LocalError:
            return "name", name
        match who:
            case OpenPeer():  # a plain-text call proves only a name, and each call counts as another peer
                return "open", wanted(name).base
        return who

    def _wished(self, who: Hashable, name: str) -> str:
        """Return the name from which the nickname of `who` is formed.

        For a plain-text peer that is never the bare id, which may become the nickname of a key.
        """
        match who:
            case ("open", str()) if not self._client.context.settings.plain and "~open" not in name:
                return f"{name}~open"
        return name

    def _passes(self, owner: Hashable, who: Hashable) -> bool:
        """Return True if a nickname passes from an id at a server, or an address, to the key there."""
        trust = self._client.trust
        match owner, who:
            case Dialled(), KeyedPerson():  # the owner that answered there
                return self._who(self._shown.get(owner, "")) == who
            case FirstContact(server, client_id), KeyedPerson(key) if trust is not None:
                here = server in (None, trust.server_key)
                if here and trust.was_introduced(client_id, key):
                    return True
                return server is not None and self._who(f"{client_id}@{server}") == who
        return False


def _key_of(who: Hashable) -> str | None:
    """Return the key of an owner; None for a name without one."""
    match who:
        case KeyedPerson(key):
            return key
    return None

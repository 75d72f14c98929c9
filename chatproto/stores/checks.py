"""Read and check values of a file, which another program may have written."""

from __future__ import annotations

from typing import Any

from chatproto.rooms.policy import BanRecord, RoomPolicy
from chatproto.wire.bcp2_common import read_key
from chatproto.wire.blocks import CONTROL
from chatproto.wire.errors import WireError
from chatproto.wire.fields import read_client_id

LAST_PORT = 65535
_PAIRS = ("ops", "mutes", "invited")


def check_lease(client_id: object, port: object, host: object) -> None:
    """Raise ValueError unless these are an id, a port and a host."""
    if not (is_text(client_id, host) and type(port) is int and 0 <= port <= LAST_PORT):
        raise ValueError("no registration")
    try:
        read_client_id(str(client_id))
    except WireError:
        raise ValueError("no id") from None


def check_key(key: object) -> None:
    """Raise ValueError unless `key` is the name of a key."""
    try:
        read_key(str(key))
    except WireError:
        raise ValueError("no key") from None


def read_text(value: object) -> str:
    """Return `value` if it is a one-line text that can be sent. Raises ValueError."""
    if not isinstance(value, str) or CONTROL.search(value):
        raise ValueError("no text in one line")
    value.encode()  # JSON can contain half of a surrogate pair, which cannot be sent
    return value


def policy_fields(policy: RoomPolicy) -> dict[str, Any]:
    """Return the fields of a policy, without its name and version, as JSON values."""
    fields: dict[str, Any] = {
        "owner": policy.owner,
        "topic": policy.topic,
        "secret": policy.secret,
        "invited_only": policy.invited_only,
        "history": policy.history,
        "used": policy.used,
    }
    for name in _PAIRS:
        fields[name] = list(getattr(policy, name).items())
    fields["bans"] = list(policy.bans.values())
    return fields


def read_policy(name: str, fields: dict[str, Any]) -> RoomPolicy:
    """Create the policy of the room `name` from `policy_fields`.

    Raises: KeyError, TypeError or ValueError: `fields` are not those of a policy.
    """
    pairs = {one: dict(fields[one]) for one in _PAIRS}
    bans = (BanRecord(*ban) for ban in fields["bans"])
    return RoomPolicy(
        name, **{**fields, **pairs, "bans": {(ban.kind, ban.value): ban for ban in bans}}
    )


def check_room(kept: RoomPolicy) -> None:
    """Raise ValueError unless all stored values of a room have the right types."""
    pairs = (*kept.ops.items(), *kept.mutes.items(), *kept.invited.items())
    fine = (
        is_text(kept.name, kept.owner, kept.topic, kept.secret)
        and isinstance(kept.invited_only, bool)
        and isinstance(kept.history, bool)
        and _is_moment(kept.used)
        and all(is_text(who) and _is_moment(until) for who, until in pairs)
        and all(_is_ban(ban) for ban in kept.bans.values())
    )
    if not fine:
        raise ValueError("no room")


def is_line(number: object, sender: object, at: object, text: object) -> bool:
    """Return True if these are a number, a name, a moment and a text."""
    return type(number) is int and _is_moment(at) and is_text(sender, text)


def is_text(*values: object) -> bool:
    """Return True if all `values` are strings."""
    for value in values:  # noqa: SIM110, as all() would take twice the time, for each row of a start
        if not isinstance(value, str):
            return False
    return True


def _is_ban(ban: BanRecord) -> bool:
    return is_text(ban.kind, ban.value, ban.key) and _is_moment(ban.until)


def _is_moment(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

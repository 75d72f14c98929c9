"""Write the policy of a room as JSON values, and read it again."""

from __future__ import annotations

from typing import Any

from chatproto.rooms.policy import BanRecord, RoomPolicy

_PAIRS = ("ops", "mutes", "invited")


def policy_fields(policy: RoomPolicy) -> dict[str, Any]:
    """Return the fields of a policy, but for its name and version, as values of JSON."""
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
    """Make the policy of the room `name` from `policy_fields`.

    Raises: KeyError, TypeError or ValueError: `fields` are not those of a policy.
    """
    pairs = {one: dict(fields[one]) for one in _PAIRS}
    bans = (BanRecord(*ban) for ban in fields["bans"])
    return RoomPolicy(
        name, **{**fields, **pairs, "bans": {(ban.kind, ban.value): ban for ban in bans}}
    )

"""Options that name a Redis and the login data, of the server and of `chatserver passwd`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from chatproto.cli.asking import password_in
from chatproto.cli.options import WrongOption, local_option
from chatproto.net.file_reading import PIPE_WAIT, read_file
from chatproto.net.private_files import OTHERS, make_private
from chatproto.wire.errors import CannotStart

if TYPE_CHECKING:
    from chatproto.stores.redis.url import RedisUrl

MOST_BYTES = 1024 * 1024
"""Bytes of a PEM file that are read."""
SCHEMES = ("redis:", "rediss:")
REDIS_PARAMETERS: list[list[Any]] = [
    ["redis-password-file", None, None, "File with the password of Redis in its first line"],
    ["redis-ca", None, None, "PEM file of the CA for rediss:// (default: the platform's)"],
    [
        "redis-certificate",
        None,
        None,
        "PEM file with the client certificate for rediss:// and its key",
    ],
    [
        "redis-replicas",
        None,
        None,
        "Replicas of Redis to await before a change (not a line in a room) is acknowledged (default: 0)",
    ],
]
REDIS_FILES = "redis-password-file", "redis-ca", "redis-certificate"
REPLICAS = re.compile("[0-9]")


def redis_url(options: Mapping[str, Any], text: str) -> RedisUrl:
    """Return the address `text` with the login data from `options` and the environment.

    Raises: WrongOption or CannotStart, with one sentence that repeats no password.
    """
    if find_spec("txredisapi") is None:
        raise WrongOption("--store redis: needs txredisapi: pip install 'chatproto[redis]'")
    from chatproto.stores.redis.url import PASSWORD_VARIABLE, USER_VARIABLE, RedisUrl

    password = os.environ.pop(PASSWORD_VARIABLE, None)
    user = os.environ.get(USER_VARIABLE)
    replicas = options["redis-replicas"] or "0"
    if REPLICAS.fullmatch(replicas) is None:
        raise WrongOption(f"--redis-replicas takes a number from 0 to 9, not {replicas!r}")
    try:
        return RedisUrl(text, user, *redis_secrets(options, password), int(replicas))
    except ValueError as error:
        raise WrongOption(f"--store: {error}") from None


def redis_secrets(
    options: Mapping[str, Any], password: str | None
) -> tuple[str | None, bytes | None, bytes | None]:
    """Return password (by default `password`), CA and certificate for Redis, from their files.

    Raises WrongOption or CannotStart.
    """
    file = options["redis-password-file"]
    if file is not None:
        password = password_in(local_option("redis-password-file", file))
    return password, _pem(options, "redis-ca"), _pem(options, "redis-certificate", OTHERS)


def refuse_redis_options(options: Mapping[str, Any]) -> None:
    """Raise WrongOption if an option of Redis is given without a Redis."""
    for option, *_ in REDIS_PARAMETERS:
        if options[option] is not None:
            raise WrongOption(f"--{option} needs --store redis://")


def _pem(options: Mapping[str, Any], name: str, others: int = 0) -> bytes | None:
    """Return the content of the file of option `name`, if it is given. Raises CannotStart."""
    if options[name] is None:
        return None
    path = local_option(name, options[name])
    try:
        make_private(path, others)
        return read_file(path, MOST_BYTES, PIPE_WAIT)
    except OSError as error:
        raise CannotStart(f"cannot read {path}: {error.strerror}") from None

"""The options of the chatserver program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from grp import getgrnam
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chatproto.cli.auth import AuthOptions
from chatproto.cli.limit_help import explanation
from chatproto.cli.options import (
    WrongOption,
    blur_log,
    endpoint_text,
    local_option,
    server_home,
)
from chatproto.cli.redis_options import (
    REDIS_FILES,
    REDIS_PARAMETERS,
    SCHEMES,
    redis_secrets,
    redis_url,
    refuse_redis_options,
)
from chatproto.net.private_files import make_private_folder
from chatproto.wire.errors import CannotStart, RemoteError
from chatproto.wire.fields import read_host_port, read_number
from chatproto.wire.limits import CLIENT_DEFAULTS, SERVER_DEFAULTS, ServerLimits
from chatproto.wire.reasons import CodedError, Reason

LIMITS_OF_CLIENTS: dict[str, type[int | float]] = {
    **CLIENT_DEFAULTS.kinds(),
    **dict.fromkeys(
        [
            "beacon_burst",
            "control_connections",
            "ignored",
            "introduced_burst",
            "irc_connections",
            "irc_requests",
            "irc_unsent",
            "missed",
            "nearby",
            "nearby_addresses",
            "nearby_per_host",
            "offer_files",
            "offer_parts",
            "offers",
            "offers_bytes",
            "offers_bytes_all",
            "redial_asks",
            "ring_burst",
            "room_log",
            "says_unanswered",
            "talk_burst",
            "transfers",
            "unwritten",
        ],
        int,
    ),
    **dict.fromkeys(
        [
            "ack_wait",
            "answer_repeat",
            "answer_silence",
            "answer_wait",
            "beacon_every",
            "beacon_gap",
            "beacon_keep",
            "beacon_rate",
            "end_wait",
            "exit_wait",
            "greet_wait",
            "hello_wait",
            "introduced_rate",
            "introduced_wait",
            "irc_wait",
            "keep_parts",
            "offer_wait",
            "outbox_age",
            "pages_wait",
            "probe_wait",
            "punch_wait",
            "redial_jitter",
            "redial_most",
            "redial_other",
            "redial_wait",
            "resume_wait",
            "ring_rate",
            "seek_wait",
            "talk_rate",
            "transfer_stall",
        ],
        float,
    ),
}
"""Limits of a client that are constants now: `--limits` accepted them once, and still does."""
ACCEPTED = {**LIMITS_OF_CLIENTS, "log_bytes": int, "log_silence": float}
"""All limits without effect; those of the log belong to servers before the shared directory."""


def seconds(text: str) -> float:
    """Return `text` in seconds: a number, with an optional unit s, m, h or d.

    Raises ValueError.
    """
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
    value = read_number(text[:-1] if unit else text) * (unit or 1)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def group_id(text: str) -> int:
    """Return the number of the group `text`, a name or itself a number. Raises WrongOption."""
    try:
        return getgrnam(text).gr_gid
    except KeyError:
        if text.isascii() and text.isdigit() and len(text) <= 10:
            return int(text)
        raise WrongOption(f"--ctl-group: there is no group {text!r}") from None


class ServerOptions(AuthOptions):
    """The options of `twistd chatserver`."""

    longdesc = (
        "Introduce clients, which then chat directly. Type /help once it runs. chatserver ctl "
        "--help explains commands to a server in the background, chatserver passwd --help "
        "accounts, chatserver backup --help copies of the store, chatserver convert --help the way "
        "to several servers. chatserver --completion bash "
        "(or zsh, fish) prints what Tab needs."
    )
    logs_to = "chatserver.log"

    optParameters = [
        ["lobby", None, None, "Port or endpoint of a broadcast chat in plain text (default: none)"],
        [
            "store",
            None,
            "sqlite:",
            "sqlite:PATH (default: in the home), redis[s]://HOST:PORT/DB for several servers, "
            "memory: (nothing is kept)",
        ],
        *REDIS_PARAMETERS,
        ["home", None, None, "Folder for key and log (default: the platform's, chatproto/server)"],
        ["key", None, None, "PEM file of the server's key (default: key.pem in the home)"],
        [
            "classic-lease",
            None,
            None,
            "Lifetime of a classic registration after its last request (default: 12h)",
        ],
        [
            "lease",
            None,
            None,
            "Lifetime of a keyed registration without a connection (default: 3600s)",
        ],
        [
            "keep-names",
            None,
            None,
            "Time that an unused id stays reserved for its key (default: 30d)",
        ],
        [
            "metrics",
            None,
            None,
            "Port (of loopback) or endpoint of /metrics for Prometheus and /health (default: none)",
        ],
        [
            "ctl-group",
            None,
            None,
            "Group that may use chatserver ctl, beside the server's user and root (default: none)",
        ],
        [
            "advertise",
            None,
            None,
            "host:port where clients of other servers reach this relay (default: detected)",
        ],
        [
            "relay",
            None,
            "on",
            "on, off, or on:RATE with bytes a second for each stream, such as on:1M",
        ],
    ]
    optFlags = [
        ["durable", None, "Keep acknowledged data through a power failure (sqlite: only, slower)"],
        ["trace", None, "Print every message received and sent"],
        ["quiet", None, "Print nothing but answers to commands"],
        ["blur", None, "Hide the end of addresses in output and log"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["port"] = []
        self["limits"] = []

    def opt_port(self, text: str) -> None:
        """Port or Twisted server endpoint (may be repeated) [default: 5555 on all addresses]"""
        self["port"].append(text)

    opt_p = opt_port

    def opt_limits(self, text: str) -> None:
        """Limit as NAME=VALUE (may be repeated), or list, or explain for what each means"""
        if text == "list":
            for field in fields(SERVER_DEFAULTS):
                print(f"{field.name}={getattr(SERVER_DEFAULTS, field.name):.12g}")
            raise SystemExit(0)
        if text == "explain":
            print(*explanation(SERVER_DEFAULTS), sep="\n")
            raise SystemExit(0)
        self["limits"].append(text)

    def check(self) -> None:
        """Convert the options to values. Raises WrongOption with one sentence."""
        self.refuse_empty()
        self["port"] = self["port"] or ["5555"]
        for text in (*self["port"], self["lobby"], self["metrics"]):
            if text is not None:
                endpoint_text(text)
        self._check_metrics()
        if self["ctl-group"] is not None:
            self["ctl-group"] = group_id(self["ctl-group"])
        try:
            limits = SERVER_DEFAULTS.with_values(self["limits"], ACCEPTED)
        except ValueError as error:
            raise WrongOption(f"{error} (--limits list prints them)") from None
        limits = self._with_times(limits)
        from chatproto.relay.protocol import with_relay

        try:
            relayed = with_relay(limits, self["relay"])
        except ValueError as error:
            raise WrongOption(str(error)) from None
        self["relay"] = relayed is not None
        limits = relayed or limits
        self.check_auth()
        self["limits"] = limits
        self["home"] = server_home(self["home"])
        if self["key"] is not None:
            self["key"] = local_option("key", self["key"])
        self._check_store()
        if self["blur"]:
            blur_log()

    def _check_store(self) -> None:
        self["redis"] = None
        try:
            if self["advertise"] is not None:
                self["advertise"] = read_host_port(self["advertise"])
        except RemoteError as error:
            raise WrongOption(f"--advertise takes host:port: {error.detail}") from None
        if self["store"].startswith(SCHEMES):
            if self["durable"]:
                raise WrongOption(
                    "--durable needs --store sqlite:, a Redis store has settings of its own"
                )
            self["redis"] = redis_url(self, self["store"])
            self["store"] = None
            return
        refuse_redis_options(self)
        from chatproto.stores.open import sqlite_path

        try:
            self["store"] = sqlite_path(self["store"], self["home"])
        except ValueError as error:
            raise WrongOption(f"--store: {error}") from None
        if self["durable"] and self["store"] is None:
            raise WrongOption(
                "--durable needs --store sqlite:, --store memory: keeps nothing on disk"
            )

    def read_again(self) -> Iterator[str]:
        """Read accounts, allowed keys and the secrets for Redis again; yield a sentence for each.

        Raises CodedError after the last one, for those that failed: their former content still applies.
        """
        from chatproto.accounts.files import AccountTrouble

        files, troubles = self.rereads(), []
        for file in files:
            try:
                file.read_again()
                yield f"read again: {file.path}"
            except AccountTrouble as trouble:
                troubles.append(str(trouble))
        secrets = [self[name] for name in REDIS_FILES if self[name] is not None]
        if secrets:
            try:
                self["redis"].renew(*redis_secrets(self, self["redis"].password))
                yield f"read again, for the next connection to Redis: {', '.join(secrets)}"
            except (CannotStart, ValueError, WrongOption) as error:
                troubles.append(f"{error}: the former secrets for Redis still apply")
        if not files and not secrets:
            yield "there is nothing to read again: no option names accounts, keys or secrets"
        if troubles:
            raise CodedError("; ".join(troubles), Reason.FILE_TROUBLE)

    def _check_metrics(self) -> None:
        """Check `--metrics`; a bare number is a loopback port, because the metrics are for operators."""
        text = self["metrics"]
        if text is None:
            return
        if find_spec("prometheus_client") is None:
            raise WrongOption("--metrics needs prometheus_client: pip install 'chatproto[metrics]'")
        if text.isascii() and text.isdigit():
            self["metrics"] = f"{endpoint_text(text)}:interface=127.0.0.1"

    def _with_times(self, limits: ServerLimits) -> ServerLimits:
        """Return `limits` with the options that are times. Raises WrongOption."""
        times: dict[str, Any] = {}
        for option in ("classic-lease", "lease", "keep-names"):
            if self[option] is None:
                continue
            try:
                times[option.replace("-", "_")] = seconds(self[option])
            except ValueError:
                raise WrongOption(
                    f"--{option} takes a time such as 12h or 600s, not {self[option]!r}"
                ) from None
        if "lease" in times:
            lease = times["lease"] = int(times["lease"])
            if not limits.lease_least <= lease <= limits.lease_most:
                raise WrongOption(
                    f"--lease must be from {limits.lease_least} to {limits.lease_most} s, not {lease}"
                )
        return replace(limits, **times)

    def prepare(self) -> Path:
        """Create the home and the key in it. Raises CannotStart."""
        home: Path = self["home"]
        try:
            make_private_folder(home)
        except OSError as error:
            raise CannotStart(f"cannot use --home {home}: {error.strerror}") from None
        from chatproto.identity.keys import KeyTrouble, open_identity, read_identity

        key = self["key"]
        try:
            self["identity"] = open_identity(home) if key is None else read_identity(key)
        except KeyTrouble as error:
            raise CannotStart(str(error)) from None
        self.open_auth()
        return home

"""Network namespaces: a server outside and two homes, each behind a router of some kind.

    server -- wire -- router -- host        host: in the home, 192.168.N.2
                 \\--- router -- host        or on the wire itself, where there is no router

All names are this process's own, and everything goes when the rig is closed. The addresses are real
ones of somebody's: nothing leaves the namespaces, and reserved ones would be taken for private.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import count
from pathlib import Path

WIRE, SERVER = "11.0.0", "11.0.0.1"
WIRE6, SERVER6 = "2606:4700:11", "2606:4700:11::1"
NUMBERS = count(1)


class Kind(Enum):
    """Router between a home and the wire."""

    OPEN = "none: on the wire itself, IPv4 and IPv6"
    CONE = "a full cone: whatever comes goes to the host"
    KEEPS = "keeps ports, drops what it does not expect"
    RANDOM = "random ports, drops what it does not expect"
    RESETS = "keeps ports, answers RST to what it does not expect"
    HAIRPIN = "sends back what its hosts, who do not see each other, say to its own address"
    SIX = "none, and only IPv6"
    SHUT = "a firewall that lets only the server through"


PORTS = (4000, 4001)
"""Where the first and the second host of a home are to listen: a router with forwarded ports knows."""
ALLOWED = "ct state established,related accept"
NAT_RULES = {
    # What goes out of the home, what comes to the router, what comes through it.
    Kind.CONE: ("masquerade", "accept", "accept"),
    Kind.KEEPS: ("masquerade", "drop", "drop"),
    Kind.RANDOM: ("masquerade fully-random", "drop", "drop"),
    Kind.RESETS: ("masquerade", "reject with tcp reset", "drop"),
    Kind.HAIRPIN: ("masquerade", "drop", "drop"),
}


def router_rules(kind: Kind, wide: str, lan: str, forwards: Mapping[int, int]) -> str:
    """The nft rules of a router of `kind`; its ends are `out` with address `wide` and `in` with `lan`.1.

    `forwards`: a port of the router, and the port of the first host that it leads to.
    """
    outwards, to_router, through = NAT_RULES[kind]
    opened, back = "", ""
    if kind is Kind.CONE:
        opened = f"iif out meta l4proto tcp dnat to {lan}.2"
    elif kind is Kind.HAIRPIN:
        opened = "; ".join(
            f"ip daddr {wide} tcp dport {port} dnat to {lan}.{2 + host}"
            for host, port in enumerate(PORTS)
        )
        back = f"ip saddr {lan}.0/24 oif in masquerade"
    for outer, inner in forwards.items():
        opened += f"; iif out tcp dport {outer} dnat to {lan}.2:{inner}"
        through = f"ct status dnat accept; iif out {through}"
    return f"""
        table ip nat {{
            chain pre {{ type nat hook prerouting priority dstnat; {opened}; }}
            chain post {{ type nat hook postrouting priority srcnat; {back}; oif out {outwards}; }}
        }}
        table ip filter {{
            chain input {{ type filter hook input priority 0; {ALLOWED};
                           iif out meta l4proto tcp {to_router}; }}
            chain forward {{ type filter hook forward priority 0; {ALLOWED}; iif out {through}; }}
        }}"""


SHUT_RULES = f"""
    table inet filter {{
        chain input {{ type filter hook input priority 0; policy drop; {ALLOWED}; iif lo accept; }}
        chain output {{ type filter hook output priority 0; policy drop; {ALLOWED}; oif lo accept;
                        ip daddr {SERVER} accept; }}
    }}"""


class NotPermitted(Exception):
    """This machine does not let us make namespaces; why is its text."""


@dataclass(frozen=True, slots=True)
class Home:
    """Home of a client: its namespace, the addresses of its interface, the port to listen on."""

    name: str
    hosts: tuple[str, ...]
    port: int = PORTS[0]


class Rig:
    """A wire with a server on it, and homes; a context. Raises NotPermitted."""

    def __init__(self) -> None:
        self._prefix = f"nat{os.getpid()}x{next(NUMBERS)}"
        self._made: list[str] = []
        self._homes = 0
        if os.geteuid():
            raise NotPermitted("namespaces are for root")
        for program in ("ip", "nft"):
            if shutil.which(program) is None:
                raise NotPermitted(f"there is no program {program} (packages iproute2, nftables)")
        try:
            wire = self._wire = self._namespace("wire")
            self._bridge(wire, "wire")
            self.server = self._namespace("server")
            self._plug(self.server, "out")
            self._address(self.server, "out", 1)
        except NotPermitted:
            self.close()
            raise

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take everything away; whatever still runs in it is ended."""
        for name in self._made:
            found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for pid in found.stdout.split():
                subprocess.run(["kill", "-KILL", pid], capture_output=True)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        self._made = []

    def home(
        self, kind: Kind, beside: Home | None = None, forwards: Mapping[int, int] | None = None
    ) -> Home:
        """A new home behind a router of `kind`; with `beside`, another host in that one's home.

        `forwards`: ports of the router that lead to the host, and to which of its ports.
        """
        self._homes += 1
        number = 10 + self._homes
        host = self._namespace(f"host{self._homes}")
        if beside is not None:
            lan = beside.hosts[0].rpartition(".")[0]
            return self._in_home(host, beside.name.replace("host", "router"), lan, 1, kind)
        if kind in NAT_RULES:
            router = self._namespace(f"router{self._homes}")
            self._plug(router, "out")
            self._address(router, "out", number, six=False)
            lan = f"192.168.{number}"
            self._bridge(router, "in")
            forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
            self._in(router, f"ip address add {lan}.1/24 dev in && {forward}")
            self._nft(router, router_rules(kind, f"{WIRE}.{number}", lan, forwards or {}))
            return self._in_home(host, router, lan, 0, kind)
        self._plug(host, "out")
        hosts = self._address(
            host, "out", number, four=kind is not Kind.SIX, six=kind is not Kind.SHUT
        )
        if kind is Kind.SHUT:
            self._nft(host, SHUT_RULES)
        return Home(host, hosts)

    def part(self, one: Home, other: Home) -> None:
        """From now on nothing passes between the two hosts, and neither is told."""
        for home, far in ((one, other), (other, one)):
            chains = "".join(
                f"chain {hook} {{ type filter hook {hook} priority -10; "
                + "".join(f"ip{'6' * (':' in host)} {side} {host} drop; " for host in far.hosts)
                + "}\n"
                for hook, side in (("input", "saddr"), ("output", "daddr"))
            )
            self._nft(home.name, f"table inet parted {{ {chains} }}")

    def popen(self, name: str, command: list[str], **how: object) -> subprocess.Popen[str]:
        """Run `command` in the namespace `name`."""
        return subprocess.Popen(["ip", "netns", "exec", name, *command], text=True, **how)  # type: ignore[call-overload,no-any-return]

    # How it is made.

    def _in_home(self, host: str, router: str, lan: str, index: int, kind: Kind) -> Home:
        port, number = f"p{index}", 2 + index
        apart = "on" if kind is Kind.HAIRPIN else "off"
        self._run(
            f"ip link add {port} netns {router} type veth peer name out netns {host} && "
            f"ip -n {router} link set {port} master in up && "
            f"ip -n {router} link set {port} type bridge_slave isolated {apart} && "
            f"ip -n {host} link set out up && "
            f"ip -n {host} address add {lan}.{number}/24 dev out && "
            f"ip -n {host} route add default via {lan}.1"
        )
        return Home(host, (f"{lan}.{number}",), PORTS[index])

    def _namespace(self, role: str) -> str:
        name = f"{self._prefix}{role}"
        self._run(f"ip netns add {name}")
        self._made.append(name)
        self._run(f"ip -n {name} link set lo up")
        return name

    def _bridge(self, name: str, bridge: str) -> None:
        """A switch that only switches: what is routed is the rules' matter, not what passes here."""
        self._in(name, f"ip link add {bridge} type bridge && ip link set {bridge} up")
        setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
        self._in(name, f"[ ! -e {setting} ] || echo 0 > {setting}")

    def _plug(self, name: str, interface: str) -> None:
        """A cable from the wire to `name`."""
        port = f"p{len(self._made)}"
        self._run(
            f"ip link add {port} netns {self._wire} type veth peer name {interface} netns {name} && "
            f"ip -n {self._wire} link set {port} master wire up && "
            f"ip -n {name} link set {interface} up"
        )

    def _address(
        self, name: str, interface: str, number: int, four: bool = True, six: bool = True
    ) -> tuple[str, ...]:
        found = []
        if four:
            found.append(f"{WIRE}.{number}")
            self._run(f"ip -n {name} address add {WIRE}.{number}/24 dev {interface}")
        if six:
            found.append(f"{WIRE6}::{number:x}")
            # nodad: usable at once, without asking whether somebody has it already.
            self._run(f"ip -n {name} address add {WIRE6}::{number:x}/64 dev {interface} nodad")
        return tuple(found)

    def _nft(self, name: str, rules: str) -> None:
        self._run(f"ip netns exec {name} nft -f -", re.sub(r"(; *)+", "; ", rules))

    def _in(self, name: str, script: str) -> None:
        self._run(f"ip netns exec {name} sh -ec '{script}'")

    def _run(self, script: str, given: str = "") -> None:
        """Raises NotPermitted with what the program said."""
        done = subprocess.run(
            ["sh", "-ec", script], input=given, capture_output=True, text=True, cwd=Path("/")
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
            raise NotPermitted(f"{said[0]} ({script.split(' && ')[0]})")

"""The number that two people compare to be sure of each other's keys."""

from __future__ import annotations

import hashlib

from chatproto.net.keys import key_bytes

ROUNDS = 5200
"""How often the hash is made again, so that a pair of keys with a like number is dear to look for."""
GROUPS, DIGITS = 12, 5


def safety_number(one: str, other: str) -> str:
    """60 digits in twelve groups of five, the same whichever of the two keys comes first.

    Each key gives thirty: SHA-512 over a tag, and again `ROUNDS` times over itself and the key; six
    groups of 40 bits, each modulo 100,000.
    """
    first, second = sorted((key_bytes(one), key_bytes(other)))
    groups = [*_half(first), *_half(second)]
    return " ".join(f"{group:0{DIGITS}d}" for group in groups)


def _half(key: bytes) -> list[int]:
    digest = b"chatproto safety number 1" + key
    for _ in range(ROUNDS):
        digest = hashlib.sha512(digest + key).digest()
    pieces = (digest[at : at + 5] for at in range(0, 5 * GROUPS // 2, 5))
    return [int.from_bytes(piece) % 10**DIGITS for piece in pieces]

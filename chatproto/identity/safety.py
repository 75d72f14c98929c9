"""Safety number of two keys, which two users compare to verify each other."""

from __future__ import annotations

import hashlib

from chatproto.net.keys import key_bytes

ROUNDS = 5200
"""Repetitions of the hash, which make the search for keys with a similar number expensive."""
GROUPS, DIGITS = 12, 5


def safety_number(one: str, other: str) -> str:
    """Return 60 digits in twelve groups of five, the same for either order of the keys.

    Each key gives 30 digits: `ROUNDS` times SHA-512 of the previous result (at first a tag and the key)
    and the key. The result's first six groups of 40 bits are each taken modulo 100,000.
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

"""Names of identity keys: `sha256:` and a hash, as they appear in messages, files and on screens."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def key_name(key: Ed25519PublicKey) -> str:
    """Return `sha256:` and the unpadded base32 of the SHA-256 of `key`'s SubjectPublicKeyInfo.

    Base32: RFC 4648, section 6. SubjectPublicKeyInfo: RFC 8410, section 4.
    """
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "sha256:" + base64.b32encode(hashlib.sha256(spki).digest()).decode().rstrip("=")


def key_bytes(name: str) -> bytes:
    """Return the 32 bytes of the hash in `name`. They define the order of keys."""
    return base64.b32decode(name.removeprefix("sha256:") + "====")

"""Identity key of a client or a server, created at first start and stored in the home folder.

The TLS certificate is self-signed with it. Peers check only the key in it (PROTOCOL.md section 3), so
a new certificate is made at every start.
"""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from chatproto.identity.files import write_secret
from chatproto.net.keys import key_name
from chatproto.net.private_files import check_file, locked_folder, make_private
from chatproto.wire.reasons import CodedError, Reason
from chatproto.wire.values import value_class

KEY_FILE = "key.pem"


class KeyTrouble(CodedError):
    """Failure to read or create the key; the text is one sentence for the user."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Reason.KEY_TROUBLE)


@value_class
class Identity:
    """Private key, its certificate, and its name (`sha256:` and a hash)."""

    private: Ed25519PrivateKey
    certificate: x509.Certificate
    name: str


def make_identity(private: Ed25519PrivateKey) -> Identity:
    """Return the identity of `private`, with a new certificate."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chatproto")])
    public = private.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .sign(private, None)
    )
    return Identity(private, certificate, key_name(public))


def new_identity() -> Identity:
    """Return an identity with a new key."""
    return make_identity(Ed25519PrivateKey.generate())


def open_identity(home: Path) -> Identity:
    """Return the identity in `home`, created if there is none. Raises KeyTrouble."""
    path = home / KEY_FILE
    data = _read(path)
    return _first(path) if data is None else _load(path, data)


def read_identity(path: Path) -> Identity:
    """Return the identity whose key is the file `path`. Raises KeyTrouble."""
    data = _read(path)
    if data is None:
        raise KeyTrouble(f"cannot read the key {path}: {os.strerror(errno.ENOENT)}")
    return _load(path, data)


def _read(path: Path) -> bytes | None:
    try:
        check_file(path)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyTrouble(f"cannot read the key {path}: {error.strerror}") from None


def _load(path: Path, data: bytes) -> Identity:
    try:
        private = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyTrouble(
            f"the key {path} is damaged: restore a copy, or move it away to start with a new key"
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyTrouble(f"the key {path} is not an Ed25519 key: restore yours, or move it away")
    _keep_secret(path)
    return make_identity(private)


def _first(path: Path) -> Identity:
    """Create a key at `path`, or read the one that another program has just created there.

    The key is on the disk before its name is used. The folder is locked meanwhile: two servers that
    share it and start at once must get the same key. Raises KeyTrouble.
    """
    try:
        with locked_folder(path.parent):
            data = _read(path)
            if data is None:
                private = Ed25519PrivateKey.generate()
                data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                write_secret(path, data)
    except OSError as error:
        raise KeyTrouble(f"cannot write the key {path}: {error.strerror}") from None
    return _load(path, data)


def _keep_secret(path: Path) -> None:
    """Make the key file private if other users can read it; copies are not affected."""
    try:
        make_private(path)
    except OSError:
        pass  # the key was read and can be used

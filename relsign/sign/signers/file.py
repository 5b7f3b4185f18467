"""Ed25519 keys in encrypted files: PKCS#8 PEM, mode 0600, in a folder of mode 0700.

Only the key's owner is trusted to write the file: whoever can replace it can make
this signer use another key, which the roster then refuses, and whoever can read
it can guess passphrases at leisure.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from relsign.errors import HostError, InputError
from relsign.sign.signers.interface import PublicIdentity
from relsign.system.files import (
    host_error,
    make_folder,
    new_file,
    open_regular,
    read_bounded,
    sync_folder,
)
from relsign.system.process import require_program, run_program

MAX_KEY_FILE_BYTES = 16_384
MIN_PASSPHRASE_BYTES = 8
ROUNDS = 1_000_000
"""Rounds of PBKDF2-HMAC-SHA256 between a passphrase and its key: about 0.15 s."""
_OTHERS = 0o077
_HEADER = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class FileSigner:
    """A signer whose decrypted key stays in this process's memory."""

    public: PublicIdentity
    _key: Ed25519PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `message` (RFC 8032)."""
        return self._key.sign(message)


def create_key_file(path: Path, passphrase: bytes) -> bytes:
    """Make a new key, store it encrypted at `path`, and return the 32 raw public bytes.

    The folder is made with mode 0700 if it is missing.  Raises InputError if the
    file exists, the folder is open to others, or the passphrase is shorter than
    8 bytes; HostError if the disk refuses.
    """
    if len(passphrase) < MIN_PASSPHRASE_BYTES:
        raise InputError("passphrase too short", expected=f"at least {MIN_PASSPHRASE_BYTES} bytes")
    make_folder(path.parent, 0o700)
    _check_private(path.parent, "folder", "700")
    key = Ed25519PrivateKey.generate()
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _store_new(path, _encrypted(plain, passphrase))
    return _raw_public(key)


def _encrypted(plain: bytes, passphrase: bytes) -> bytes:
    """Return a PKCS#8 key encrypted under a passphrase that is slow to guess.

    openssl does it because the library fixes PBKDF2 at 2,048 rounds.  Key and
    passphrase reach it through pipes; neither stands in an argument or a file.
    """
    openssl = require_program("openssl", "openssl")
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, passphrase + b"\n")
        os.close(write_end)
        command = [
            openssl, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256",
            "-iter", str(ROUNDS), "-passout", f"fd:{read_end}",
        ]  # fmt: skip
        result = run_program(command, stdin=plain, descriptors=(read_end,), timeout_seconds=60)
    finally:
        os.close(read_end)
    if result.returncode != 0 or not result.stdout.startswith(_HEADER):
        raise HostError("openssl could not encrypt the key", got=ascii(result.stderr[-200:]))
    return result.stdout


def load_file_signer(path: Path, passphrase: bytes) -> FileSigner:
    """Decrypt the key at `path`.

    Raises NotEnoughError if there is none; InputError if the file or its folder is
    open to others, is not an encrypted Ed25519 key, or the passphrase is wrong.
    """
    with open_regular(path):
        _check_private(path, "key file", "600")
    _check_private(path.parent, "folder", "700")
    data = read_bounded(path, MAX_KEY_FILE_BYTES)
    where = os.fspath(path)
    if not data.startswith(_HEADER):
        raise InputError(
            "not an encrypted key", where=where, expected=_HEADER.decode("ascii").strip("-")
        )
    try:
        key = load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError("wrong passphrase, or a damaged key file", where=where) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("not an Ed25519 key", where=where)
    return FileSigner(PublicIdentity("ed25519", _raw_public(key)), key)


def _raw_public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _check_private(path: Path, what: str, mode: str) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise host_error(error, path) from error
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        raise InputError(
            f"{what} is open to other users",
            where=os.fspath(path),
            expected=f"mode {mode}",
            got=f"mode {stat.S_IMODE(status.st_mode):o}",
            hint=f"chmod {mode} {path}",
        )


def _store_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist, whole or not at all.

    A rename would replace a key that appeared meanwhile; a link refuses to.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    with new_file(temporary, 0o600) as stream:
        stream.write(data)
    try:
        path.hardlink_to(temporary)
    except FileExistsError as error:
        raise InputError(
            "key file exists", where=os.fspath(path), hint="choose another name; keys are kept"
        ) from error
    except OSError as error:
        raise host_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)

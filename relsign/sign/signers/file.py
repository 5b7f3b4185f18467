"""Keys in encrypted files: PKCS#8 PEM, mode 0600, in a folder of mode 0700.

Ed25519, ECDSA on P-256, and RSA of 3072 bits; all are encrypted in the same way.

Only the key's owner is trusted to write the file: whoever can replace it can make
this signer use another key, which the roster then refuses, and whoever can read
it can guess passphrases at leisure.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import (
    generate_private_key as generate_rsa,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from relsign.errors import HostError, InputError
from relsign.formats.roster import RsaScheme
from relsign.sign.signers.interface import PSS_SHA256, PublicIdentity, check_signature
from relsign.system.files import host_error, make_folder, new_file, sync_folder
from relsign.system.private import is_private_folder, read_private
from relsign.system.process import require_program, run_program

MAX_KEY_FILE_BYTES = 16_384
MIN_PASSPHRASE_BYTES = 8
ROUNDS = 1_000_000
"""Rounds of PBKDF2-HMAC-SHA256 between a passphrase and its key: about 0.15 s."""
RSA_BITS = 3072
"""Of a new RSA key: about as strong as P-256 (NIST SP 800-57, table 2)."""
_EXPONENT = 65537
_HEADER = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


FileKind = Literal["ed25519", "ecdsa-p256", "rsa"]
_PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey


@dataclass(frozen=True, slots=True)
class FileSigner:
    """A signer whose decrypted key stays in this process's memory."""

    public: PublicIdentity
    _key: _PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, in the form of `Signer.sign`."""
        if isinstance(self._key, Ed25519PrivateKey):
            made = self._key.sign(message)
        elif isinstance(self._key, EllipticCurvePrivateKey):
            made = self._key.sign(message, ECDSA(SHA256()))
        elif self.public.scheme == PSS_SHA256:
            pss = PSS(mgf=MGF1(SHA256()), salt_length=PSS.DIGEST_LENGTH)
            made = self._key.sign(message, pss, SHA256())
        else:
            made = self._key.sign(message, PKCS1v15(), SHA512())
        check_signature(self.public, made, message)
        return made


def create_key_file(path: Path, passphrase: bytes, kind: FileKind = "ed25519") -> bytes:
    """Make a new key, store it encrypted at `path`, and return its public half.

    That is 32 raw bytes for Ed25519, SubjectPublicKeyInfo in DER for the others.  The
    folder is made with mode 0700 if it is missing.  Raises InputError if the file
    exists, the folder is open to others, or the passphrase is shorter than 8 bytes;
    HostError if the disk refuses.
    """
    if len(passphrase) < MIN_PASSPHRASE_BYTES:
        raise InputError(
            "passphrase too short",
            expected=f"at least {MIN_PASSPHRASE_BYTES} bytes",
            hint="choose a longer one: whoever copies the file can guess as often as they like",
        )
    make_folder(path.parent, 0o700)
    is_private_folder(path.parent, "key folder")
    key = _new_key(kind)
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _store_new(path, _encrypted(plain, passphrase))
    return _identity(key, PSS_SHA256).data


def _new_key(kind: FileKind) -> _PrivateKey:
    if kind == "ed25519":
        return Ed25519PrivateKey.generate()
    if kind == "ecdsa-p256":
        return generate_private_key(SECP256R1())
    return generate_rsa(_EXPONENT, RSA_BITS)


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


def load_file_signer(path: Path, passphrase: bytes, scheme: RsaScheme = PSS_SHA256) -> FileSigner:
    """Decrypt the key at `path`; `scheme` is how an RSA key is to sign.

    Raises NotEnoughError if there is none; InputError if the file or its folder is
    open to others or a link, is not an encrypted key of a kind that signs, or the
    passphrase is wrong.
    """
    data = read_private(path, "key file", MAX_KEY_FILE_BYTES)
    is_private_folder(path.parent, "key folder")
    where = os.fspath(path)
    if not data.startswith(_HEADER):
        raise InputError(
            "not an encrypted key",
            where=where,
            expected=_HEADER.decode("ascii").strip("-"),
            hint="encrypt it: `openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 1000000`",
        )
    try:
        key = load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(
            "wrong passphrase, or a damaged key file",
            where=where,
            hint="type it again; then compare the file with your backup",
        ) from error
    if isinstance(key, Ed25519PrivateKey | RSAPrivateKey):
        return FileSigner(_identity(key, scheme), key)
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return FileSigner(_identity(key, scheme), key)
    raise InputError(
        "not an Ed25519, ECDSA P-256 or RSA key",
        where=where,
        hint="make one of these with `relsign key new`",
    )


def _identity(key: _PrivateKey, scheme: RsaScheme) -> PublicIdentity:
    public = key.public_key()
    if isinstance(key, Ed25519PrivateKey):
        return PublicIdentity("ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, EllipticCurvePrivateKey):
        return PublicIdentity("ecdsa-p256", spki)
    return PublicIdentity("rsa", spki, scheme)


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

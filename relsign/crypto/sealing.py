"""Secrets closed to everybody but one: to an X25519 key, or under a passphrase.

Two ways, both libsodium's:

* `seal` / `unseal`          to a receiver's public key; the bytes are those of
                             crypto_box_seal, so its crypto_box_seal_open opens them
* `lock_with` / `open_with`  under a passphrase, as a `relsign/sealed/1` document

Neither says who closed it.  What travels is signed by its sender besides, and only
the owner can write where locked secrets lie.

    >>> bob = receiver_key(bytes(range(32)))
    >>> sealed = seal(b"hello", bob.public, bytes(range(1, 33)))
    >>> unseal(sealed, bob, "a message")
    b'hello'
    >>> bob
    ReceiverKey(public='8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f')
"""

from __future__ import annotations

import hashlib
from typing import NewType

from nacl import bindings, exceptions

from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.canonical import Value, decode_value
from relsign.formats.sealed import (
    MAX_PLAIN_BYTES,
    NONCE_BYTES,
    SALT_BYTES,
    Header,
    Sealed,
    associated_with,
    make_sealed,
)

KEY_BYTES = 32
SEAL_BYTES: int = bindings.crypto_box_SEALBYTES
"""How much longer a sealed box is than what is in it: 48."""
MIN_PASSPHRASE_BYTES = 8
_FIELD_PRIME = 2**255 - 19
_ANY_SCALAR = bytes(range(1, 33))
"""Any would do: X25519 makes each a multiple of 8, which small orders do not survive."""

ReceiverPublic = NewType("ReceiverPublic", bytes)
"""32 bytes that `parse_receiver` has accepted."""


class ReceiverKey(Value, frozen=True):
    """An X25519 key pair; `repr` shows the public half only."""

    public: ReceiverPublic
    secret: bytes

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"ReceiverKey(public={self.public.hex()!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Leave the secret out where rich prints."""
        return [("public", self.public.hex())]


class Place(Value, frozen=True):
    """Where a locked secret belongs: it opens nowhere else."""

    purpose: str
    name: str


class Cost(Value, frozen=True):
    """What one guess at a passphrase costs: passes of Argon2id, and its memory in KiB."""

    ops: int = 3
    mem_kib: int = 65536


DEFAULT_COST = Cost()
"""Three passes over 64 MiB (RFC 9106, second recommended choice, with one lane)."""


def receiver_key(secret: bytes) -> ReceiverKey:
    """Return the key pair of 32 random bytes (RFC 7748); raise InputError for another count."""
    _require_length(secret, KEY_BYTES, "secret key")
    public = bindings.crypto_scalarmult_base(secret)
    return ReceiverKey(ReceiverPublic(public), secret)


def parse_receiver(raw: bytes, where: str) -> ReceiverPublic:
    """Return 32 bytes as an X25519 public key.

    Raises VerificationError for another length, a number with a second form, and
    points of small order (all zeros among them), to which anybody can open.
    """
    if len(raw) != KEY_BYTES:
        raise VerificationError(
            "not an X25519 key", where=where, expected="32 bytes", got=f"{len(raw)}"
        )
    if int.from_bytes(raw, "little") >= _FIELD_PRIME:
        raise VerificationError("not an X25519 key in its one form", where=where, got=raw.hex())
    try:
        bindings.crypto_scalarmult(_ANY_SCALAR, raw)
    except exceptions.RuntimeError as error:
        raise VerificationError(
            "X25519 key of small order",
            where=where,
            got=raw.hex(),
            hint="whoever sent it wants the secret to be readable by all: ask them in person",
        ) from error
    return ReceiverPublic(raw)


def seal(plain: bytes, receiver: bytes, ephemeral_secret: bytes) -> bytes:
    """Return `plain` closed to a receiver's public key, 48 bytes longer.

    `ephemeral_secret` is 32 random bytes for this box alone: used for a second box to
    the same receiver, it shows how the two differ and lets both be forged.  Raises
    VerificationError for a key that `parse_receiver` refuses, InputError for an
    ephemeral secret of another length.
    """
    public = parse_receiver(receiver, "receiver of a sealed message")
    ephemeral = receiver_key(ephemeral_secret)
    nonce = _seal_nonce(ephemeral.public, public)
    box = bindings.crypto_box_easy(plain, nonce, public, ephemeral.secret)
    return ephemeral.public + box


def unseal(sealed: bytes, key: ReceiverKey, where: str) -> bytes:
    """Return what a sealed box holds; raise VerificationError if it does not open."""
    if len(sealed) < SEAL_BYTES:
        raise VerificationError(
            "not a sealed message",
            where=where,
            expected=f"at least {SEAL_BYTES} bytes",
            got=f"{len(sealed)}",
        )
    try:
        return bindings.crypto_box_seal_open(sealed, key.public, key.secret)
    except exceptions.CryptoError as error:
        raise VerificationError(
            "sealed message does not open",
            where=where,
            hint="it is damaged, or closed to another key: ask its sender to send it again",
        ) from error


def _seal_nonce(ephemeral: bytes, receiver: bytes) -> bytes:
    """Return crypto_box_seal's nonce: BLAKE2b-192 of both public keys."""
    return hashlib.blake2b(
        ephemeral + receiver, digest_size=bindings.crypto_box_NONCEBYTES
    ).digest()


def lock_with(
    passphrase: bytes,
    plain: bytes,
    place: Place,
    salt: bytes,
    nonce: bytes,
    cost: Cost = DEFAULT_COST,
) -> Sealed:
    """Return `plain` encrypted under a passphrase, for one place.

    `salt` is 16 and `nonce` 24 random bytes, new ones each time.  Only tests name
    another cost than the default.  Raises InputError for a passphrase below 8 bytes, a
    secret above 512 KiB, other lengths, or a cost or place out of bounds; HostError if
    there is too little memory.
    """
    if len(passphrase) < MIN_PASSPHRASE_BYTES:
        raise InputError(
            "passphrase too short",
            expected=f"at least {MIN_PASSPHRASE_BYTES} bytes",
            hint="take six or more random words",
        )
    if len(plain) > MAX_PLAIN_BYTES:
        raise InputError(
            "too large to lock", expected=f"at most {MAX_PLAIN_BYTES} bytes", got=f"{len(plain)}"
        )
    _require_length(salt, SALT_BYTES, "salt")
    _require_length(nonce, NONCE_BYTES, "nonce")
    fields = {
        "purpose": place.purpose,
        "name": place.name,
        "kdf": "argon2id",
        "ops": cost.ops,
        "mem_kib": cost.mem_kib,
        "salt": salt.hex(),
        "nonce": nonce.hex(),
    }
    header = decode_value(fields, Header, "secret to lock")
    key = _stretch(passphrase, header)
    raw = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        plain, associated_with(header), nonce, key
    )
    return make_sealed(header, raw)


def open_with(passphrase: bytes, sealed: Sealed, place: Place, where: str) -> bytes:
    """Return what a locked document holds.

    Raises InputError for a document of another place, and for a wrong passphrase,
    which cannot be told from a file that somebody altered on purpose; HostError if
    there is too little memory.
    """
    header = sealed.header
    if (header.purpose, header.name) != (place.purpose, place.name):
        raise InputError(
            "a secret of another place",
            where=where,
            expected=f"{place.purpose}/{place.name}",
            got=f"{header.purpose}/{header.name}",
            hint="it was renamed or moved: put each file back where it was",
        )
    key = _stretch(passphrase, header)
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed.raw, associated_with(header), bytes.fromhex(header.nonce), key
        )
    except exceptions.CryptoError as error:
        raise InputError(
            "wrong passphrase",
            where=where,
            hint="try again; if you are sure of it, the file was altered: restore your backup",
        ) from error


def _stretch(passphrase: bytes, header: Header) -> bytes:
    """Return the key of a passphrase (Argon2id, RFC 9106)."""
    try:
        return bindings.crypto_pwhash_alg(
            KEY_BYTES,
            passphrase,
            bytes.fromhex(header.salt),
            header.ops,
            header.mem_kib << 10,
            bindings.crypto_pwhash_ALG_ARGON2ID13,
        )
    except exceptions.RuntimeError as error:
        raise HostError(
            "too little memory to check the passphrase",
            expected=f"{header.mem_kib >> 10} MiB",
            hint="end other programs and run the same command again",
        ) from error


def _require_length(data: bytes, length: int, what: str) -> None:
    if len(data) != length:
        raise InputError(f"not a {what}", expected=f"{length} bytes", got=f"{len(data)}")

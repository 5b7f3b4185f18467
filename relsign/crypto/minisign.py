"""minisign public keys and signatures, in the prehashed form (algorithm ``ED``).

A signature covers BLAKE2b-512 of the file; a second, global one covers the first
and the trusted comment.  The key number is only a label: ours is derived from the
key, so that it cannot be chosen.

    >>> public_key_text(bytes(32)).splitlines()[0]
    b'untrusted comment: minisign public key 77BD62F8AD7A6866'
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from relsign.crypto.keys import Ed25519Public
from relsign.crypto.raw_signing import Sign, checked_signature
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import InputError, VerificationError

MAX_FILE_BYTES = 16_384
MAX_COMMENT_CHARACTERS = 1_024

_KEY_PREFIX = b"Ed"
_SIGNATURE_PREFIX = b"ED"
_NUMBER_BYTES = 8
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_DIGEST_BYTES = 64
_UNTRUSTED = "untrusted comment: "
_TRUSTED = "trusted comment: "
_COMMENT = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class MinisignKey:
    """A minisign public key: 32 raw Ed25519 bytes and the 8 bytes that label them."""

    raw: bytes
    number: bytes


def key_number(raw: bytes) -> bytes:
    """Return the 8-byte label of a raw Ed25519 key: the start of its SHA-256."""
    return hashlib.sha256(raw).digest()[:_NUMBER_BYTES]


def public_key_text(raw: bytes) -> bytes:
    """Return the ``.pub`` file of a raw Ed25519 key, as ``minisign -p`` reads it."""
    _check_size("Ed25519 public key", raw, _KEY_BYTES)
    number = key_number(raw)
    # minisign shows the number as a little-endian integer.
    shown = number[::-1].hex().upper()
    line = base64.b64encode(_KEY_PREFIX + number + raw).decode("ascii")
    return f"{_UNTRUSTED}minisign public key {shown}\n{line}\n".encode("ascii")


def parse_public_key(data: bytes, where: str) -> MinisignKey:
    """Return the key in a ``.pub`` file; raise InputError for malformed bytes."""
    lines = _lines(data, 2, where)
    _comment(lines[0], _UNTRUSTED, where)
    body = _decode(lines[1], _KEY_PREFIX, _NUMBER_BYTES + _KEY_BYTES, where)
    return MinisignKey(raw=body[_NUMBER_BYTES:], number=body[:_NUMBER_BYTES])


def signature_file(
    sign: Sign, raw: bytes, data_digest_blake2b512: bytes, trusted_comment: str
) -> bytes:
    """Return the ``.minisig`` file that `sign` makes: raw Ed25519, called twice.

    `raw` is the public key `sign` belongs to.  Raises InputError for a comment
    that is not one line of printable ASCII of at most 1,024 characters, and
    VerificationError if `sign` returns signatures that do not verify.
    """
    _check_size("Ed25519 public key", raw, _KEY_BYTES)
    _check_size("BLAKE2b-512 digest", data_digest_blake2b512, _DIGEST_BYTES)
    comment = _comment(_TRUSTED + trusted_comment, _TRUSTED, "trusted comment")
    # Checked before it is signed over: a wrong one could be 64 bytes of somebody's choice.
    first = checked_signature(sign, raw, data_digest_blake2b512, "new minisign signature")
    second = sign(first + comment.encode("ascii"))
    number = key_number(raw)
    lines = [
        f"{_UNTRUSTED}signature from relsign, key {number[::-1].hex().upper()}",
        base64.b64encode(_SIGNATURE_PREFIX + number + first).decode("ascii"),
        f"{_TRUSTED}{comment}",
        base64.b64encode(second).decode("ascii"),
        "",
    ]
    made = "\n".join(lines).encode("ascii")
    verify_file(raw, made, data_digest_blake2b512, "new signature")
    return made


def verify_file(
    raw: bytes,
    signature: bytes,
    data_digest_blake2b512: bytes,
    where: str,
    *,
    number: bytes | None = None,
) -> str:
    """Check a ``.minisig`` file against a raw Ed25519 key; return its trusted comment.

    (1) The file is four lines, canonical to the byte.  (2) It is of the prehashed
    kind and bears the key's number: the derived one, or `number` for a key that
    minisign made.  (3) The signature holds for the digest.  (4) The global
    signature holds for signature and trusted comment.

    Raises InputError for malformed bytes, VerificationError if (2) to (4) fail.
    """
    _check_size("Ed25519 public key", raw, _KEY_BYTES)
    _check_size("BLAKE2b-512 digest", data_digest_blake2b512, _DIGEST_BYTES)
    lines = _lines(signature, 4, where)  # (1)
    _comment(lines[0], _UNTRUSTED, where)
    body = _decode(lines[1], _SIGNATURE_PREFIX, _NUMBER_BYTES + _SIGNATURE_BYTES, where)
    comment = _comment(lines[2], _TRUSTED, where)
    second = _decode(lines[3], b"", _SIGNATURE_BYTES, where)
    wanted = key_number(raw) if number is None else number
    if body[:_NUMBER_BYTES] != wanted:  # (2)
        raise VerificationError(
            "minisign signature is by another key",
            where=where,
            expected=wanted[::-1].hex().upper(),
            got=body[:_NUMBER_BYTES][::-1].hex().upper(),
        )
    first = body[_NUMBER_BYTES:]
    key = Ed25519Public(raw)
    try:
        # As minisign does, by libsodium: others take an R of small order, which it refuses.
        verify_ed25519(key, first, data_digest_blake2b512)  # (3)
        verify_ed25519(key, second, first + comment.encode("ascii"))  # (4)
    except VerificationError as error:
        raise VerificationError("minisign signature does not verify", where=where) from error
    return comment


def _check_size(what: str, value: bytes, size: int) -> None:
    if len(value) != size:
        raise InputError(f"not a {what}", expected=f"{size} bytes", got=f"{len(value)} bytes")


def _lines(data: bytes, count: int, where: str) -> list[str]:
    if len(data) > MAX_FILE_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_FILE_BYTES} bytes")
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InputError("not a minisign file: not ASCII", where=where) from error
    if len(lines) != count + 1 or lines.pop():
        raise InputError("not a minisign file", where=where, expected=f"{count} lines")
    return lines


def _comment(line: str, prefix: str, where: str) -> str:
    text = line.removeprefix(prefix)
    if not line.startswith(prefix):
        raise InputError("not a minisign file", where=where, expected=prefix.strip())
    if len(text) > MAX_COMMENT_CHARACTERS or not _COMMENT.fullmatch(text):
        raise InputError(
            "not a minisign comment",
            where=where,
            expected=f"at most {MAX_COMMENT_CHARACTERS} characters of printable ASCII or tab",
        )
    return text


def _decode(line: str, prefix: bytes, size: int, where: str) -> bytes:
    """Return the `size` bytes after `prefix`."""
    try:
        data = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("not a minisign file: not base64", where=where) from error
    if len(data) != len(prefix) + size or not data.startswith(prefix):
        raise InputError(
            "not a minisign file of the expected kind",
            where=where,
            expected=f"{prefix.decode('ascii')}, {len(prefix) + size} bytes".removeprefix(", "),
            got=f"{len(data)} bytes",
            hint="sign with minisign 0.6 or later: only the prehashed form is accepted",
        )
    if base64.b64encode(data).decode("ascii") != line:
        raise InputError("not canonical base64", where=where)
    return data[len(prefix) :]

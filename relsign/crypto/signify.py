"""signify public keys and signatures, of OpenBSD (signify(1), algorithm ``Ed``).

A signature covers the message itself, with no digest and no word of what it is for.
So a signature of the wrong message would be good elsewhere: 64 bytes are what OpenPGP
and minisign sign, ``DSSEv1`` begins an envelope, ``SSHSIG`` an SSH signature, ``{`` a
document in JSON.  Only plain text that is none of these is signed or accepted here; a
manifest such as SHA256SUMS is.  Other files are signed by way of their manifest.

The key number is only a label, derived from the key as minisign's is.

    >>> public_key_file(bytes([88]) + bytes([102]) * 31, "release key").splitlines()[0]
    b'untrusted comment: release key'
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from relsign.crypto.keys import Ed25519Public, parse_ed25519
from relsign.crypto.minisign import key_number
from relsign.crypto.raw_signing import Sign, checked_signature
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import InputError, VerificationError
from relsign.formats.canonical import shorten

MAX_FILE_BYTES = 2_048
MAX_COMMENT_CHARACTERS = 200

_ALGORITHM = b"Ed"
_NUMBER_BYTES = 8
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_DIGEST_BYTES = 64
_COMMENT = "untrusted comment: "
_COMMENT_TEXT = re.compile(r"[\x20-\x7e]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_ELSEWHERE = ("DSSEv1", "SSHSIG", "{")


@dataclass(frozen=True, slots=True)
class SignifyKey:
    """A signify public key: 32 raw Ed25519 bytes and the 8 bytes that label them."""

    raw: bytes
    number: bytes


def public_key_file(raw: bytes, comment: str) -> bytes:
    """Return the ``.pub`` file of a raw Ed25519 key, as ``signify -p`` reads it.

    Raises InputError for an unusable key, or a comment that is not up to 200
    characters of printable ASCII.
    """
    key = parse_ed25519(raw, "signify public key")
    return _file(comment, key_number(key.raw) + key.raw)


def parse_public_key(data: bytes, where: str) -> SignifyKey:
    """Return the key in a ``.pub`` file; raise InputError for malformed bytes or a bad key."""
    body = _read(data, _NUMBER_BYTES + _KEY_BYTES, where)
    key = parse_ed25519(body[_NUMBER_BYTES:], where)
    return SignifyKey(raw=key.raw, number=body[:_NUMBER_BYTES])


def signature_file(raw: bytes, message: bytes, sign: Sign, comment: str) -> bytes:
    """Return the ``.sig`` file of `message`; `sign` belongs to `raw` and is asked once.

    signify looks for the key a comment names (``verify with NAME.pub``) where it is
    not told one.  Raises InputError for a key, comment or message that cannot be
    used, VerificationError if the answer is not the key's signature.
    """
    where = "new signify signature"
    key = parse_ed25519(raw, where)
    _check_comment(comment)
    _check_message(message, where)
    made = checked_signature(sign, key.raw, message, where)
    done = _file(comment, key_number(key.raw) + made)
    verify_file(key.raw, done, message, where)
    return done


def verify_file(
    raw: bytes, signature: bytes, message: bytes, where: str, *, number: bytes | None = None
) -> None:
    """Check a ``.sig`` file against a raw Ed25519 key.

    (1) The file is two lines, canonical to the byte.  (2) The message is one that
    is accepted.  (3) The file bears the key's number: the derived one, or `number`
    for a key that signify made.  (4) The signature holds for the message.

    Raises InputError for malformed bytes, VerificationError if (2) to (4) fail.
    """
    key = parse_ed25519(raw, where)
    body = _read(signature, _NUMBER_BYTES + _SIGNATURE_BYTES, where)  # (1)
    try:
        _check_message(message, where)  # (2)
    except InputError as error:
        raise VerificationError(
            error.what, where=where, expected=error.expected, got=error.got, hint=error.hint
        ) from error
    wanted = key_number(key.raw) if number is None else number
    if body[:_NUMBER_BYTES] != wanted:  # (3)
        raise VerificationError(
            "signify signature is by another key",
            where=where,
            expected=wanted.hex(),
            got=body[:_NUMBER_BYTES].hex(),
            hint="ask for a signature by the key that is expected here",
        )
    _check(key, body[_NUMBER_BYTES:], message, where)  # (4)


def _check(key: Ed25519Public, made: bytes, message: bytes, where: str) -> None:
    try:
        verify_ed25519(key, made, message)
    except VerificationError as error:
        raise VerificationError(
            "signify signature does not verify",
            where=where,
            hint="the file or its signature was changed: do not use it",
        ) from error


def _check_message(message: bytes, where: str) -> None:
    """Raise InputError for a message whose signature could be good for something else.

    A minisign comment is signed behind a signature, whose 64th byte is at most 0x10
    and whose others are as good as random: that is no plain text.
    """
    if len(message) == _DIGEST_BYTES:
        raise _refused(where, "64 bytes, the size of a digest")
    try:
        text = message.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(where, f"not UTF-8, byte {error.start}") from error
    if found := _CONTROL.search(text):
        raise _refused(where, f"a control character, U+{ord(found[0]):04X}")
    if text.startswith(_ELSEWHERE):
        raise _refused(where, f"text that begins with {shorten(text[:6])}")


def _refused(where: str, got: str) -> InputError:
    return InputError(
        "not a message for signify",
        where=where,
        expected="plain text that no other format signs",
        got=got,
        hint="sign a manifest of the files, such as SHA256SUMS",
    )


def _file(comment: str, body: bytes) -> bytes:
    _check_comment(comment)
    line = base64.b64encode(_ALGORITHM + body).decode("ascii")
    return f"{_COMMENT}{comment}\n{line}\n".encode("ascii")


def _check_comment(comment: str) -> None:
    if len(comment) > MAX_COMMENT_CHARACTERS or not _COMMENT_TEXT.fullmatch(comment):
        raise InputError(
            "not a signify comment",
            expected=f"at most {MAX_COMMENT_CHARACTERS} characters of printable ASCII",
            got=shorten(comment),
            hint="write it in plain words on one line",
        )


def _read(data: bytes, size: int, where: str) -> bytes:
    """Return the `size` bytes after the algorithm; the file must be as `_file` writes it."""
    if len(data) > MAX_FILE_BYTES:
        raise _malformed(where, f"at most {MAX_FILE_BYTES} bytes")
    first, _, second = data.partition(b"\n")
    try:
        comment = first.decode("ascii")
        body = base64.b64decode(second.removesuffix(b"\n"), validate=True)
    except (UnicodeDecodeError, binascii.Error) as error:
        raise _malformed(where, "a comment, and a line of base64") from error
    if len(body) != len(_ALGORITHM) + size or not body.startswith(_ALGORITHM):
        raise _malformed(where, f"Ed and {size} bytes")
    if _file(comment.removeprefix(_COMMENT), body[len(_ALGORITHM) :]) != data:
        raise _malformed(where, "two lines, with base64 in its one form")
    return body[len(_ALGORITHM) :]


def _malformed(where: str, expected: str) -> InputError:
    return InputError(
        "not a signify file that is accepted",
        where=where,
        expected=expected,
        hint="make it with `signify -S`; embedded and gzip signatures are not read",
    )

r"""SSH signatures of files, as ``ssh-keygen -Y verify`` and git read them (PROTOCOL.sshsig).

A signature covers a namespace, so that one made for files is none for git, and the
SHA-512 of the message.  Read here is Ed25519 only, in exactly the form ssh-keygen
writes: one signature has one file.  Two things are refused that ssh-keygen takes:
a reserved field that is not empty (nothing signs it, so anybody could fill it), and
another layout of the armour.

    >>> signed_bytes(b"hello", "file")[:14]
    b'SSHSIG\x00\x00\x00\x04file'
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Literal

from relsign.crypto.keys import Ed25519Public, parse_ed25519
from relsign.crypto.raw_signing import Sign, checked_signature
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import InputError, VerificationError
from relsign.formats.canonical import shorten

MAX_FILE_BYTES = 4_096
FILE_NAMESPACE = "file"
"""What people type: ``ssh-keygen -Y verify -n file``."""
GIT_NAMESPACE = "git"
RELEASE_NAMESPACE = "relsign-release@v1"

Hash = Literal["sha512", "sha256"]

_MAGIC = b"SSHSIG"
_VERSION = bytes([0, 0, 0, 1])
_KEY_TYPE = b"ssh-ed25519"
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_COLUMNS = 70
_BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
_END = "\n-----END SSH SIGNATURE-----\n"
_HASHES: dict[bytes, Hash] = {b"sha512": "sha512", b"sha256": "sha256"}
# No white space, quote, comma, `*`, `?` or `!`: each means something in allowed_signers.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
_COMMENT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?")


def signed_bytes(message: bytes, namespace: str, hash_name: Hash = "sha512") -> bytes:
    """Return what a raw signature is needed over (PROTOCOL.sshsig, "Signed data").

    Raises InputError for a namespace that is not up to 100 of ``A-Z a-z 0-9 . _ @ + -``,
    the first a letter or digit.
    """
    space = _checked_word(namespace, "namespace")
    digest = hashlib.new(hash_name, message).digest()
    return _MAGIC + _string(space) + _string(b"") + _string(hash_name.encode()) + _string(digest)


def signature_file(raw: bytes, message: bytes, namespace: str, sign: Sign) -> bytes:
    """Return the ``.sig`` file of `message`; `sign` belongs to `raw` and is asked once.

    Raises InputError for an unusable key or namespace, VerificationError if the
    answer is not the key's signature.
    """
    where = "new SSH signature"
    key = parse_ed25519(raw, where)
    made = checked_signature(sign, key.raw, signed_bytes(message, namespace), where)
    blob = b"".join(
        (
            _MAGIC + _VERSION,
            _string(_key_blob(key.raw)),
            _string(namespace.encode("ascii")),
            _string(b""),
            _string(b"sha512"),
            _string(_string(_KEY_TYPE) + _string(made)),
        )
    )
    done = _armor(blob)
    verify_file(key.raw, done, message, namespace, where)
    return done


def verify_file(raw: bytes, signature: bytes, message: bytes, namespace: str, where: str) -> None:
    """Check a ``.sig`` file against a raw Ed25519 key and the one namespace expected.

    (1) The file is the armour of one signature of version 1, canonical to the byte,
    with nothing in the reserved field.  (2) It bears this key.  (3) It bears this
    namespace.  (4) The signature holds for the message, hashed with SHA-512 or SHA-256.

    Raises InputError for malformed bytes, VerificationError if (2) to (4) fail.
    """
    key = parse_ed25519(raw, where)
    expected = _checked_word(namespace, "namespace")
    fields = _Fields(parse_armor(signature, where), where)  # (1)
    fields.expect(_MAGIC + _VERSION, "an SSH signature of version 1")
    bears_key, bears_namespace = fields.string(), fields.string()
    if fields.string():
        raise fields.error("an empty reserved field")
    hash_name = _HASHES.get(fields.string())
    if hash_name is None:
        raise fields.error("a message hashed with sha512 or sha256")
    inner = _Fields(fields.string(), where)
    fields.end()
    inner.expect(_string(_KEY_TYPE), "an Ed25519 signature")
    made = inner.string()
    inner.end()
    if len(made) != _SIGNATURE_BYTES:
        raise inner.error("an Ed25519 signature of 64 bytes")
    if bears_key != _key_blob(key.raw):  # (2)
        raise VerificationError(
            "SSH signature is by another key",
            where=where,
            expected=_fingerprint(_key_blob(key.raw)),
            got=_fingerprint(bears_key),
            hint="ask for a signature by the key that is expected here",
        )
    if bears_namespace != expected:  # (3)
        raise VerificationError(
            "SSH signature was made for another purpose",
            where=where,
            expected=namespace,
            got=shorten(bears_namespace.decode("latin-1")),
            hint="sign again with the namespace expected: `ssh-keygen -Y sign -n NAMESPACE`",
        )
    _check(key, made, signed_bytes(message, namespace, hash_name), where)  # (4)


def public_key_line(raw: bytes, comment: str = "") -> bytes:
    """Return the OpenSSH public key line of a raw key (RFC 8709, 4).

    Raises InputError for an unusable key, or a comment that is not up to 100
    characters of printable ASCII with no blank at either end.
    """
    key = parse_ed25519(raw, "SSH public key")
    if comment and not _COMMENT.fullmatch(comment):
        raise InputError(
            "not a comment for an SSH public key",
            expected="up to 100 characters of printable ASCII",
            got=shorten(comment),
            hint="write it in plain words on one line",
        )
    words = ["ssh-ed25519", base64.b64encode(_key_blob(key.raw)).decode("ascii"), comment]
    return (" ".join(words).rstrip(" ") + "\n").encode("ascii")


def allowed_signers_line(
    raw: bytes, principal: str, namespaces: tuple[str, ...] = (FILE_NAMESPACE,)
) -> bytes:
    """Return a line of an allowed_signers file: who may sign what (ssh-keygen(1)).

    `principal` is what ``ssh-keygen -I`` is asked about, usually a mail address.
    Raises InputError for an unusable key, no namespace, or a word that is not up to
    100 of ``A-Z a-z 0-9 . _ @ + -``, the first a letter or digit.
    """
    who = _checked_word(principal, "principal")
    if not namespaces:
        raise InputError(
            "no namespace", where="allowed_signers", hint="name at least one, such as `file`"
        )
    what = b",".join(_checked_word(name, "namespace") for name in namespaces)
    return who + b' namespaces="' + what + b'" ' + public_key_line(raw)


def _check(key: Ed25519Public, made: bytes, message: bytes, where: str) -> None:
    try:
        verify_ed25519(key, made, message)
    except VerificationError as error:
        raise VerificationError(
            "SSH signature does not verify",
            where=where,
            hint="the file or its signature was changed: do not use it",
        ) from error


def _checked_word(text: str, what: str) -> bytes:
    if not _WORD.fullmatch(text):
        raise InputError(
            f"not a usable SSH {what}",
            expected="up to 100 of A-Z a-z 0-9 . _ @ + -, the first a letter or digit",
            got=shorten(text),
            hint=f"choose a plain word as {what}, such as `file` or a mail address",
        )
    return text.encode("ascii")


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _key_blob(raw: bytes) -> bytes:
    return _string(_KEY_TYPE) + _string(raw)


def _fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ``ssh-keygen -l`` shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


def _armor(blob: bytes) -> bytes:
    text = base64.b64encode(blob).decode("ascii")
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    return (_BEGIN + "\n".join(lines) + _END).encode("ascii")


def parse_armor(data: bytes, where: str) -> bytes:
    """Return the bytes in the armour of one SSH signature, which are not looked at.

    Raises InputError unless the armour is exactly as ssh-keygen writes it.
    """
    if len(data) > MAX_FILE_BYTES:
        raise _malformed(where, f"at most {MAX_FILE_BYTES} bytes")
    try:
        text = data.decode("ascii")
        body = text.removeprefix(_BEGIN).removesuffix(_END).replace("\n", "")
        blob = base64.b64decode(body, validate=True)
    except (UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise _malformed(where, "base64 in an SSH SIGNATURE armour") from error
    if _armor(blob) != data:
        raise _malformed(where, f"one SSH SIGNATURE armour of {_COLUMNS} columns, nothing else")
    return blob


class _Fields:
    """Takes length-prefixed fields from the front; every shortage is an InputError."""

    __slots__ = ("_data", "_where")

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where

    def expect(self, prefix: bytes, what: str) -> None:
        if not self._data.startswith(prefix):
            raise self.error(what)
        self._data = self._data[len(prefix) :]

    def string(self) -> bytes:
        size = int.from_bytes(self._data[:4], "big")
        if len(self._data) < 4 + size:
            raise self.error("fields as long as they say")
        found, self._data = self._data[4 : 4 + size], self._data[4 + size :]
        return found

    def end(self) -> None:
        if self._data:
            raise self.error("nothing after the last field")

    def error(self, what: str) -> InputError:
        return _malformed(self._where, what)


def _malformed(where: str, expected: str) -> InputError:
    return InputError(
        "not an SSH signature file that is accepted",
        where=where,
        expected=expected,
        hint="make it with `ssh-keygen -Y sign -f KEY -n NAMESPACE FILE` and an Ed25519 key",
    )

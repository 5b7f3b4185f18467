r"""Signed git tags: the bytes that are signed, the object, and its name.

A tag object is its payload with an armoured signature behind it, OpenPGP or SSH (with
the namespace ``git``).  Made here are annotated tags of commits, in the form git itself
writes; ``git hash-object -t tag -w --stdin`` takes the object as it is.

What a tag signs is the commit's name.  That is a SHA-1 in most repositories, so the tag
vouches for the files as far as that digest does.

    >>> payload = tag_payload("0" * 40, "v1", "Tar <t@example.org>",
    ...                       datetime.fromtimestamp(1_700_000_000, UTC), "tar 1")
    >>> payload.splitlines()[3]
    b'tagger Tar <t@example.org> 1700000000 +0000'
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from relsign.crypto.openpgp import split_signatures
from relsign.crypto.sshsig import parse_armor
from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.names import whole_seconds_utc

MAX_MESSAGE_BYTES = 64 << 10
MAX_NAME_CHARACTERS = 200
MAX_TAGGER_BYTES = 250

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA1_DIGITS = 40
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
# What git refuses, and what it would take for a commit or for the branch in hand.
_NO_NAME = re.compile(
    r"\.\.|\.lock(?:/|\Z)|\.(?:/|\Z)|\A(?:HEAD|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})\Z"
)
# git drops these characters from the ends of a name when it writes a tag itself.
_TAGGER = re.compile(r"[^<>.,:;\"'\s](?:[^<>]*[^<>.,:;\"'\s])? <[^<>\s@]+@[^<>\s@]+>")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PAYLOAD = re.compile(
    rb"object ([0-9a-f]+)\ntype commit\ntag ([^\n]+)\n"
    rb"tagger ([^\n]+) ([0-9]{1,11}) \+0000\n\n(.+)\n",
    re.DOTALL,
)
_PGP = b"-----BEGIN PGP SIGNATURE-----\n"
_SSH = b"-----BEGIN SSH SIGNATURE-----\n"


@dataclass(frozen=True, slots=True)
class Tag:
    """What an annotated tag says."""

    commit: str
    """40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits."""
    name: str
    tagger: str
    """``Name <mail>``."""
    at: datetime
    message: str
    """Without its last line end."""


def tag_payload(commit: str, name: str, tagger: str, at: datetime, message: str) -> bytes:
    """Return the bytes of an annotated tag that its signature covers (git-mktag(1)).

    `commit` is 40 or 64 lower-case hexadecimal digits, `name` is without ``refs/tags/``,
    `tagger` is ``Name <mail>``, `at` is UTC in whole seconds.  Line ends after `message`
    are made one.  Raises InputError for anything git would not take, or would take for
    something else.
    """
    _check(bool(_COMMIT.fullmatch(commit)), "commit", commit, "40 or 64 digits of 0-9 a-f")
    _check(_is_name(name), "tag name", name, "words of A-Z a-z 0-9 . _ + - joined by /")
    _check(_is_tagger(tagger), "tagger", tagger, "`Name <mail@example.org>` on one line")
    _check(
        whole_seconds_utc(at) and at >= datetime.fromtimestamp(0, UTC),
        "time of tagging",
        at.isoformat(),
        "whole seconds, UTC, 1970 or later",
    )
    text = message.rstrip("\n")
    _check(
        _is_message(text),
        "tag message",
        text,
        "plain text that is not empty, with no line that begins a signature",
    )
    head = f"object {commit}\ntype commit\ntag {name}\ntagger {tagger} {int(at.timestamp())} +0000"
    return f"{head}\n\n{text}\n".encode()


def parse_payload(data: bytes, where: str) -> Tag:
    """Return what a tag's payload says; raise InputError unless `tag_payload` writes it so."""
    match = _PAYLOAD.fullmatch(data)
    try:
        if match is not None:
            commit, name, tagger, seconds, message = (part.decode() for part in match.groups())
            at = datetime.fromtimestamp(int(seconds), UTC)
            if tag_payload(commit, name, tagger, at, message) == data:
                return Tag(commit, name, tagger, at, message)
    except (UnicodeDecodeError, InputError) as error:
        raise _malformed(where, "an annotated tag of a commit") from error
    raise _malformed(where, "an annotated tag of a commit, as git writes it")


def signed_tag(payload: bytes, armoured: bytes) -> bytes:
    """Return the tag object: payload, then one armoured OpenPGP or SSH signature.

    Whether the signature holds is for its maker to check (`detached` of
    `relsign.crypto.openpgp_make` or `signature_file` of `relsign.crypto.sshsig`, with
    the namespace ``git``).  Raises InputError for a malformed payload or signature.
    """
    parse_payload(payload, "git tag")
    _check_armor(armoured, "signature of a git tag")
    return payload + armoured


def parse_signed_tag(data: bytes, where: str) -> tuple[Tag, bytes, bytes]:
    """Return what a signed tag object says, its payload and its armoured signature.

    Nothing is verified.  Raises InputError unless it is as `signed_tag` writes it.
    """
    places = [place for begin in (_PGP, _SSH) if (place := data.find(b"\n" + begin)) >= 0]
    if not places:
        raise _malformed(where, "a signature at its end")
    end = min(places) + 1
    payload, armoured = data[:end], data[end:]
    tag = parse_payload(payload, where)
    _check_armor(armoured, where)
    return tag, payload, armoured


def object_id(data: bytes) -> str:
    """Return the name git gives a tag object: hexadecimal, by the digest of its commit.

    SHA-1 where the commit has 40 digits, SHA-256 where it has 64.  Raises InputError
    unless `data` begins as a tag does.
    """
    commit = data.partition(b"\n")[0].removeprefix(b"object ").decode("ascii", "replace")
    if not data.startswith(b"object ") or not _COMMIT.fullmatch(commit):
        raise _malformed("git tag", "an object line with a commit")
    whole = b"tag %d\0" % len(data) + data
    if len(commit) == _SHA1_DIGITS:
        # It is git that names objects so; who verifies compares the signed bytes.
        return hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    return hashlib.sha256(whole).hexdigest()


def _check_armor(armoured: bytes, where: str) -> None:
    if armoured.startswith(_SSH):
        parse_armor(armoured, where)
        return
    if not armoured.startswith(_PGP) or not armoured.endswith(b"-----\n"):
        raise _malformed(where, "an armoured OpenPGP or SSH signature")
    if len(split_signatures(armoured, where)) != 1:
        raise _malformed(where, "one OpenPGP signature")


def _is_name(name: str) -> bool:
    return (
        len(name) <= MAX_NAME_CHARACTERS
        and bool(_NAME.fullmatch(name))
        and not _NO_NAME.search(name)
    )


def _is_tagger(tagger: str) -> bool:
    return (
        tagger.isprintable()
        and len(tagger.encode()) <= MAX_TAGGER_BYTES
        and bool(_TAGGER.fullmatch(tagger))
    )


def _is_message(text: str) -> bool:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return False
    lines = text.split("\n")
    return (
        0 < size <= MAX_MESSAGE_BYTES
        and bool(lines[0].strip())
        and not _CONTROL.search(text)
        and not any(line.startswith("-----BEGIN ") for line in lines)
    )


def _check(good: bool, what: str, got: str, expected: str) -> None:  # noqa: FBT001  # the answer
    if not good:
        raise InputError(
            f"not a {what} for a git tag",
            expected=expected,
            got=shorten(got),
            hint=f"correct the {what} and make the tag again",
        )


def _malformed(where: str, expected: str) -> InputError:
    return InputError(
        "not a git tag that is accepted",
        where=where,
        expected=expected,
        hint="make it with `git tag -s`, or sign the payload that was made here",
    )

r"""The frame of a cleartext signed message (RFC 9580, 7): readable text, then a signature.

A text is signed with line ends CR LF, without white space at the end of lines and
without its last line end.  What is shown here is what is signed: the white space
that a signature does not cover is not shown either.

    >>> canonical_text(b"one \n- two\n")
    b'one\r\n- two'
"""

from __future__ import annotations

import re

from relsign.errors import InputError

MAX_TEXT_BYTES = 16 << 20
MAX_LINE_BYTES = 16_384
"""GnuPG 2.2 calls the signature of a text with a line of 19,999 bytes or more bad."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ESCAPED = (b"-", b"From ")


def canonical_text(text: bytes) -> bytes:
    """Return the bytes that a text signature (type 0x01) of `text` covers.

    Raises InputError unless `text` is UTF-8 of at most 16 MiB, with lines of at
    most 16,384 bytes that end in LF or CR LF, and holds no control character but tab.
    """
    _check_size("text", text, MAX_TEXT_BYTES)
    try:
        decoded = text.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _refused("not UTF-8", f"byte {error.start}") from error
    if found := _CONTROL.search(decoded):
        raise _refused("a control character in it", f"U+{ord(found[0]):04X}")
    lines = [line.rstrip(" \t").encode() for line in decoded.removesuffix("\n").split("\n")]
    for line in lines:
        _check_size("a line", line, MAX_LINE_BYTES)
    return b"\r\n".join(lines)


def frame(canonical: bytes, armoured: bytes) -> bytes:
    """Return the message of a canonical text and its armoured signature.

    Lines that begin with a dash, or as a mailbox's separator does, are escaped.
    """
    lines = canonical.split(b"\r\n")
    shown = [b"- " + line if line.startswith(_ESCAPED) else line for line in lines]
    head = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
    return head + b"\n".join(shown) + b"\n" + armoured


def unframe(message: bytes, canonical: bytes, where: str) -> bytes:
    """Return the armoured signature in the message of a canonical text.

    Raises InputError unless `message` is as `frame` writes it for this text.
    """
    head = frame(canonical, b"")
    if not message.startswith(head):
        raise InputError(
            "not this text, signed in the clear",
            where=where,
            expected="the text as it is, behind a header that names SHA512",
            hint="sign the text anew: the form is the one that is made here",
        )
    return message[len(head) :]


def _check_size(what: str, data: bytes, most: int) -> None:
    if len(data) > most:
        raise _refused(f"{what} too long", f"{len(data)} bytes, at most {most}")


def _refused(what: str, got: str) -> InputError:
    return InputError(
        f"not a text to sign in the clear: {what}",
        got=got,
        hint="sign plain text lines, or make a detached signature instead",
    )

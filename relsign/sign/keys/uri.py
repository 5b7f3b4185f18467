"""Where a private key is, as one line: the URI in a key's ``signer.toml``.

    file:key.pem                                   an encrypted key file beside the card
    gnupg:FINGERPRINT                              in the GnuPG home beside the card
    gnupg:FINGERPRINT?home=/home/zoe/.gnupg        in a person's own GnuPG home
    ssh-agent:SHA256:BASE64                        in the agent SSH_AUTH_SOCK points to
    ssh-agent:SHA256:BASE64?socket=/run/agent      in the agent that listens there
    pkcs11:token=T;object=O?module-path=/lib/x.so  in a token (RFC 7512)

A URI never holds a secret: ``pin-value`` and ``pin-source`` are refused.  One place has
one text: what is parsed from a document must be written as `to_text` writes it.

    >>> uri = parse_key_uri("pkcs11:id=%01;token=My%20card?module-path=/lib/x.so", "example")
    >>> uri.to_text()
    'pkcs11:token=My%20card;id=%01?module-path=/lib/x.so'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_toml, shorten

MAX_URI_CHARACTERS = 1_000
MAX_SIGNER_FILE_BYTES = 4_000
_KINDS = "file:, gnupg:, ssh-agent: or pkcs11:"
_HINT = "see docs/reference/key-uri.md for the forms"
_SHOWN = 100
_MAX_LABEL_BYTES = 32
_MAX_SERIAL_BYTES = 16
_MAX_ID_BYTES = 64
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_SSH_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]")
"""43 digits of base64; the last holds 4 bits, so that one digest has one text."""
_PATH_SAFE = "/-._~+@:,"


@dataclass(frozen=True, slots=True)
class FileUri:
    """An encrypted key file in the key's own folder."""

    name: str

    def to_text(self) -> str:
        """Return the one text of this place."""
        return f"file:{self.name}"


@dataclass(frozen=True, slots=True)
class GnupgUri:
    """A key in a GnuPG home; without `home`, the one in the key's own folder."""

    fingerprint: str
    """40 upper-case digits: of the primary, or of the one subkey that is to sign."""
    home: str = ""

    def to_text(self) -> str:
        """Return the one text of this place."""
        return f"gnupg:{self.fingerprint}" + _query("home", self.home)


@dataclass(frozen=True, slots=True)
class SshAgentUri:
    """A key that an ssh-agent holds; without `socket`, the environment says which agent."""

    fingerprint: str
    """``SHA256:`` and 43 digits, as ``ssh-add -l`` shows it."""
    socket: str = ""

    def to_text(self) -> str:
        """Return the one text of this place."""
        return f"ssh-agent:{self.fingerprint}" + _query("socket", self.socket)


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """A key in a token, by the attributes of RFC 7512 that name it; empty ones name nothing."""

    module: str
    token: str = ""
    serial: str = ""
    object: str = ""
    id: bytes = b""

    def to_text(self) -> str:
        """Return the one text of this place: its attributes in a fixed order."""
        named = {"token": self.token.encode(), "serial": self.serial.encode(),
                 "object": self.object.encode(), "id": self.id}  # fmt: skip
        parts = [f"{name}={_escaped(name, value)}" for name, value in named.items() if value]
        return "pkcs11:" + ";".join(parts) + _query("module-path", self.module)


KeyUri = FileUri | GnupgUri | SshAgentUri | Pkcs11Uri


class SignerFile(Document, frozen=True, kw_only=True):
    """A key's ``signer.toml``: where its private half is."""

    uri: Annotated[str, Meta(min_length=1, max_length=MAX_URI_CHARACTERS)]


def parse_key_uri(text: str, where: str) -> KeyUri:
    """Return the place a URI names; raise InputError, with `where`, for anything else.

    Escapes may be written in several ways here, as other programs write them.
    """
    if len(text) > MAX_URI_CHARACTERS or not _PRINTABLE.fullmatch(text):
        raise _refused("not a key URI", where, f"up to {MAX_URI_CHARACTERS} ASCII signs", text)
    scheme, colon, rest = text.partition(":")
    if scheme == "frost":
        raise InputError(
            "a group's key signs through a ceremony",
            where=where,
            got=shorten(text, _SHOWN),
            hint="each participant runs `relsign sign` with an own key",
        )
    parsers: Mapping[str, Callable[[str, str], KeyUri]] = {
        "file": _file, "gnupg": _gnupg, "ssh-agent": _ssh_agent, "pkcs11": _pkcs11,
    }  # fmt: skip
    if not colon or scheme not in parsers:
        raise _refused("not a key URI", where, _KINDS, text)
    return parsers[scheme](rest, where)


def parse_signer_file(data: bytes, where: str) -> KeyUri:
    """Return the place a ``signer.toml`` names.

    Raises InputError unless it holds one URI, written as `to_text` writes it.
    """
    text = decode_toml(data, SignerFile, where, max_bytes=MAX_SIGNER_FILE_BYTES).uri
    uri = parse_key_uri(text, f"{where}: uri")
    if uri.to_text() != text:
        raise _refused("not this URI's one form", f"{where}: uri", uri.to_text(), text)
    return uri


def signer_file(uri: KeyUri) -> bytes:
    """Return the ``signer.toml`` that names a place."""
    # No quote and no backslash stands unescaped in a URI.
    return f'uri = "{uri.to_text()}"\n'.encode("ascii")


def _file(rest: str, where: str) -> FileUri:
    if not _FILE_NAME.fullmatch(rest):
        raise _refused("not a file beside the card", where, "a file name such as key.pem", rest)
    return FileUri(rest)


def _gnupg(rest: str, where: str) -> GnupgUri:
    path, query = _split(rest, "home", where)
    if not _FINGERPRINT.fullmatch(path):
        raise _refused("not a fingerprint", where, "40 hexadecimal digits", path)
    return GnupgUri(path.upper(), query)


def _ssh_agent(rest: str, where: str) -> SshAgentUri:
    path, query = _split(rest, "socket", where)
    if not _SSH_FINGERPRINT.fullmatch(path):
        raise _refused(
            "not a fingerprint of a key",
            where,
            "SHA256: and 43 digits, as `ssh-add -l` shows",
            path,
        )
    return SshAgentUri(path, query)


def _pkcs11(rest: str, where: str) -> Pkcs11Uri:
    path, module = _split(rest, "module-path", where)
    if not module:
        raise _refused("no module", where, "?module-path=/PATH of the token's library", rest)
    found: dict[str, bytes] = {}
    for part in path.split(";"):
        name, equals, value = part.partition("=")
        if name not in {"token", "serial", "object", "id"} or not equals or not value:
            raise _refused(
                "not an attribute of a key here", where, "token, serial, object, id", part
            )
        if name in found:
            raise _refused("attribute named twice", where, "each at most once", name)
        found[name] = _unescaped(value, where)
    if not found.keys() & {"object", "id"} or not found.keys() & {"token", "serial"}:
        raise _refused(
            "does not name one key", where, "token or serial, and object or id", shorten(path, 80)
        )
    key_id = found.pop("id", b"")
    if len(key_id) > _MAX_ID_BYTES:
        raise _refused("key id too long", where, f"at most {_MAX_ID_BYTES} bytes", path)
    texts = {name: _label(name, value, where) for name, value in found.items()}
    return Pkcs11Uri(module=module, id=key_id, **texts)


def _label(name: str, value: bytes, where: str) -> str:
    limit = {"token": _MAX_LABEL_BYTES, "serial": _MAX_SERIAL_BYTES}.get(name, _MAX_ID_BYTES)
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(f"{name} is not UTF-8", where, "UTF-8", ascii(value)) from error
    if len(value) > limit or not text.isprintable() or text != text.strip():
        raise _refused(
            f"malformed {name}", where, f"up to {limit} bytes, no space at an end", ascii(text)
        )
    return text


def _split(rest: str, name: str, where: str) -> tuple[str, str]:
    """Return what stands before ``?``, and the absolute path that `name` gives after it."""
    path, mark, query = rest.partition("?")
    if not mark:
        return path, ""
    for forbidden in ("pin-value", "pin-source"):
        if forbidden in query:
            # The query is not shown: a PIN stands in it.
            raise InputError(
                f"{forbidden} in a key URI",
                where=where,
                hint="take it out, and change the PIN if others saw it: the PIN is asked for",
            )
    key, _equals, value = query.partition("=")
    if key != name or not value or "&" in value:
        raise _refused("not what may stand after the ?", where, f"{name}=/PATH alone", query)
    return path, _absolute(value, where)


def _absolute(value: str, where: str) -> str:
    """Return a path from the root, with no part that leads elsewhere."""
    try:
        path = _unescaped(value, where).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused("path is not UTF-8", where, "UTF-8", value) from error
    plain = PurePosixPath(path)
    if path != str(plain) or not plain.is_absolute() or ".." in plain.parts or len(plain.parts) < 2:  # noqa: PLR2004
        raise _refused("not an absolute path", where, "such as /run/agent, with no ..", path)
    if path.startswith("//") or not path.isprintable():
        raise _refused("not an absolute path", where, "one / first, no control character", path)
    return path


def _unescaped(value: str, where: str) -> bytes:
    if not _ESCAPES.fullmatch(value):
        raise _refused("broken escape", where, "% and two hexadecimal digits", value)
    return unquote_to_bytes(value)


def _escaped(name: str, value: bytes) -> str:
    # RFC 7512 recommends that an id is escaped whole: it is no text.
    if name == "id":
        return "".join(f"%{byte:02X}" for byte in value)
    return quote(value, safe="-._~")


def _query(name: str, path: str) -> str:
    return f"?{name}={quote(path, safe=_PATH_SAFE)}" if path else ""


def _refused(what: str, where: str, expected: str, got: str) -> InputError:
    return InputError(what, where=where, expected=expected, got=shorten(got, _SHOWN), hint=_HINT)

"""Keys in an ssh-agent, used by its own protocol (draft-miller-ssh-agent).

The agent is not trusted: it may be forwarded from another machine, or be anything else
that listens where ``SSH_AUTH_SOCK`` points.  It learns what is signed.  Its answers are
bounded in length, count and time, and a signature is used only after it verified.

Ed25519 keys give raw signatures (RFC 8709, 6), RSA keys PKCS #1 v1.5 with SHA-512
(RFC 8332, 3: ``rsa-sha2-512``).  Certificates and keys of tokens that sign something
else than they are given (``sk-``) are refused.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.canonical import shorten
from relsign.sign.signers.interface import PublicIdentity, check_signature

TIMEOUT_SECONDS = 60.0
"""For one question and its answer; an agent may ask its owner before it signs."""
MAX_MESSAGE_BYTES = 256 << 10
"""What OpenSSH's agent takes and gives at most, in one message."""
MAX_KEYS = 256
_MAX_SOCKET_PATH_BYTES = 107
_MAX_NUMBER_BYTES = 8192 // 8 + 1
_REQUEST_IDENTITIES = 11
_IDENTITIES_ANSWER = 12
_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14
_FAILURES = {5, 28, 30}
"""SSH_AGENT_FAILURE, SSH_AGENT_EXTENSION_FAILURE, and the old SSH2_AGENT_FAILURE."""
_RSA_SHA2_512 = 4
_LENGTH = struct.Struct(">I")
_ED25519 = b"ssh-ed25519"
_RSA = b"ssh-rsa"
_ALGORITHMS = {_ED25519: (_ED25519, 0), _RSA: (b"rsa-sha2-512", _RSA_SHA2_512)}
"""For a kind of key: the name its signature must bear, and the flags that ask for it."""


@dataclass(frozen=True, slots=True)
class SshAgentSigner:
    """A signer whose key stays in an agent's keeping."""

    public: PublicIdentity
    _socket: Path
    _blob: bytes = field(repr=False)
    _timeout_seconds: float = TIMEOUT_SECONDS

    def sign(self, message: bytes) -> bytes:
        """Return a signature over `message`: 64 raw bytes, or as long as the RSA modulus.

        Raises InputError if the message is too long for an agent or the agent refuses,
        HostError if it does not answer as the protocol says, VerificationError if what
        it gave is not this key's signature of this message.
        """
        kind = _Reader(self._blob, self._socket).string()
        name, flags = _ALGORITHMS[kind]
        request = _string(self._blob) + _string(message) + _LENGTH.pack(flags)
        if len(request) >= MAX_MESSAGE_BYTES:
            raise InputError(
                "too long for an ssh-agent to sign",
                where=os.fspath(self._socket),
                expected=f"at most {MAX_MESSAGE_BYTES} bytes",
                got=f"{len(request)} bytes",
                hint="use a key file, a token or GnuPG for releases with this many files",
            )
        answer = _ask(self._socket, _SIGN_REQUEST, request, self._timeout_seconds)
        if answer[0] in _FAILURES:
            raise InputError(
                "the agent did not sign",
                where=os.fspath(self._socket),
                hint="it was locked, the key was removed from it, or its owner said no",
            )
        signature = _signature(answer, name, self._socket)
        check_signature(self.public, signature, message)
        return signature


def load_ssh_agent_signer(
    fingerprint: str, socket_path: Path | None, timeout_seconds: float = TIMEOUT_SECONDS
) -> SshAgentSigner:
    """Return a signer for the agent's key with this fingerprint, such as ``SHA256:...``.

    The agent listens at `socket_path`, or where the environment says.  Raises
    NotEnoughError if it does not hold the key, InputError if there is no agent or the
    key is of another kind, HostError if it does not answer as the protocol says.
    """
    path = socket_path or _socket_of_environment()
    answer = _ask(path, _REQUEST_IDENTITIES, b"", timeout_seconds)
    blobs = _identities(answer, path)
    for blob in blobs:
        if fingerprint_of(blob) == fingerprint:
            return SshAgentSigner(_public_of(blob, path), path, blob, timeout_seconds)
    held = ", ".join(fingerprint_of(blob) for blob in blobs[:4]) or "no key"
    raise NotEnoughError(
        "the agent does not hold this key",
        where=os.fspath(path),
        expected=fingerprint,
        got=held,
        hint="add it with `ssh-add`, and see `ssh-add -l`",
    )


def fingerprint_of(blob: bytes) -> str:
    """Return the fingerprint of a key as ``ssh-add -l`` shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return "SHA256:" + digest.rstrip("=")


def _socket_of_environment() -> Path:
    named = os.environ.get("SSH_AUTH_SOCK", "")
    if not named:
        raise InputError(
            "no ssh-agent",
            where="SSH_AUTH_SOCK",
            got="not set",
            hint='start one: `eval "$(ssh-agent)"`, or name its socket in the URI: ?socket=/PATH',
        )
    if not named.startswith("/"):
        raise InputError(
            "not an absolute path", where="SSH_AUTH_SOCK", got=shorten(named, 80),
            hint="set it to the whole path of the agent's socket",
        )  # fmt: skip
    return Path(named)


def _ask(path: Path, kind: int, contents: bytes, timeout_seconds: float) -> bytes:
    """Send one message and return the answer's bytes, its type first; never empty."""
    where = os.fspath(path)
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
        raise InputError(
            "path too long for a socket",
            where=where,
            expected=f"at most {_MAX_SOCKET_PATH_BYTES} bytes",
            hint="give the socket a shorter path",
        )
    deadline = time.monotonic() + timeout_seconds
    body = bytes([kind]) + contents
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(timeout_seconds)
            stream.connect(where)
            stream.sendall(_string(body))
            (length,) = _LENGTH.unpack(_receive(stream, _LENGTH.size, deadline))
            if not 1 <= length <= MAX_MESSAGE_BYTES:
                raise _broken(path, f"an answer of {length} bytes")
            return _receive(stream, length, deadline)
    except TimeoutError as error:
        raise HostError(
            "the ssh-agent does not answer",
            where=where,
            expected=f"within {timeout_seconds:.0f} s",
            hint="see whether it asks you something, or start another one",
        ) from error
    except (OSError, EOFError) as error:
        raise HostError(
            "cannot talk with the ssh-agent",
            where=where,
            got=(getattr(error, "strerror", None) or "it hung up").lower(),
            hint="see whether it runs: `ssh-add -l`",
        ) from error


def _receive(stream: socket.socket, size: int, deadline: float) -> bytes:
    """Return exactly `size` bytes; an agent that sends one now and then ends at the deadline."""
    data = bytearray()
    while len(data) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        stream.settimeout(left)
        part = stream.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


class _Reader:
    """Takes the fields of an answer one after another (RFC 4251, 5)."""

    def __init__(self, data: bytes, path: Path) -> None:
        """Start at the first byte of `data`; `path` is the agent's, for messages."""
        self._left = data
        self._path = path

    def number(self) -> int:
        """Return the next uint32."""
        value: int = _LENGTH.unpack(self._take(_LENGTH.size))[0]
        return value

    def string(self) -> bytes:
        """Return the next string."""
        return self._take(self.number())

    def end(self) -> None:
        """Refuse bytes that are left."""
        if self._left:
            raise _broken(self._path, f"{len(self._left)} bytes too many")

    def _take(self, size: int) -> bytes:
        if size > len(self._left):
            raise _broken(self._path, "a field that is longer than its message")
        taken, self._left = self._left[:size], self._left[size:]
        return taken


def _identities(answer: bytes, path: Path) -> tuple[bytes, ...]:
    """Return the public keys of an answer to SSH_AGENTC_REQUEST_IDENTITIES."""
    if answer[0] != _IDENTITIES_ANSWER:
        raise _broken(path, f"a message of type {answer[0]} instead of keys")
    reader = _Reader(answer[1:], path)
    count = reader.number()
    if count > MAX_KEYS:
        raise _broken(path, f"{count} keys")
    blobs = []
    for _ in range(count):
        blobs.append(reader.string())
        # The comment is anybody's words; nothing is chosen by it.
        reader.string()
    reader.end()
    return tuple(blobs)


def _public_of(blob: bytes, path: Path) -> PublicIdentity:
    """Return the public half in a key of RFC 4253, 6.6 or RFC 8709, 4."""
    reader = _Reader(blob, path)
    kind = reader.string()
    if kind == _ED25519:
        raw = reader.string()
        reader.end()
        return PublicIdentity("ed25519", raw)
    if kind == _RSA:
        exponent, modulus = _positive(reader.string(), path), _positive(reader.string(), path)
        reader.end()
        return _rsa_identity(exponent, modulus, path)
    what = "a certificate" if b"-cert-v0" in kind else "not a kind of key that signs releases"
    raise InputError(
        what,
        where=os.fspath(path),
        expected="ssh-ed25519 or ssh-rsa",
        got=ascii(kind[:64])[2:-1],
        hint="use the plain key: `ssh-keygen -t ed25519`, then `ssh-add`",
    )


def _rsa_identity(exponent: int, modulus: int, path: Path) -> PublicIdentity:
    try:
        public = RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise _broken(path, "no RSA key") from error
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicIdentity("rsa", der, "rsa-pkcs1v15-sha512")


def _positive(mpint: bytes, path: Path) -> int:
    """Return a positive number in its one form (RFC 4251, 5: no needless leading zero)."""
    if len(mpint) > _MAX_NUMBER_BYTES:
        raise _broken(path, f"a number of {len(mpint)} bytes")
    value = int.from_bytes(mpint, signed=True)
    if value <= 0 or mpint != value.to_bytes(value.bit_length() // 8 + 1):
        raise _broken(path, "a number that is not in its shortest form")
    return value


def _signature(answer: bytes, name: bytes, path: Path) -> bytes:
    """Return the signature of an answer to SSH_AGENTC_SIGN_REQUEST."""
    if answer[0] != _SIGN_RESPONSE:
        raise _broken(path, f"a message of type {answer[0]} instead of a signature")
    outer = _Reader(answer[1:], path)
    inner = _Reader(outer.string(), path)
    outer.end()
    said, signature = inner.string(), inner.string()
    inner.end()
    if said != name:
        raise _broken(path, f"a signature of kind {ascii(said[:64])[2:-1]}")
    return signature


def _string(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _broken(path: Path, got: str) -> HostError:
    return HostError(
        "this is no ssh-agent, or a broken one",
        where=os.fspath(path),
        got=got,
        hint="see which program listens at SSH_AUTH_SOCK, and start `ssh-agent` anew",
    )

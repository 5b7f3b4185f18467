"""OpenPGP keys in a GnuPG home folder, used through python-gnupg.

The home folder is given by the caller and is private (mode 0700); only its owner
is trusted to write it.  The caller's environment and `gpg.conf` are not read.
A passphrase reaches gpg by its standard input alone.  One process at a time works
in a home folder, and the agent it started is ended with it.

Nothing gpg says is believed without `relsign.crypto.openpgp` agreeing.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import gnupg

from relsign.crypto.openpgp import Certificate, parse_certificate, verify_detached
from relsign.errors import HostError, InputError
from relsign.sign.signers.interface import PublicIdentity
from relsign.system.clock import now_utc
from relsign.system.files import host_error
from relsign.system.lock import hold
from relsign.system.process import clean_environment, require_program, run_program

MIN_PASSPHRASE_BYTES = 8
MAX_USER_ID_CHARACTERS = 200
_MIN_USER_ID_CHARACTERS = 5
_OTHERS = 0o077
_LOCK_SECONDS = 60
_MAX_SOCKET_FOLDER_BYTES = 86
"""A socket's path has at most 107 bytes; the agent's longest name takes 21 of them."""
_SHA512 = "10"
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_OPTIONS = ["--no-options", "--no-auto-key-retrieve", "--no-auto-key-locate"]


@dataclass(frozen=True, slots=True)
class GnupgSigner:
    """A signer whose key stays in gpg's keeping."""

    public: PublicIdentity
    _certificate: Certificate
    _home: Path
    _passphrase: str = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return one binary detached OpenPGP signature packet, SHA-512, over `message`.

        Raises InputError for a wrong passphrase or a key that may not sign now,
        HostError if gpg fails, VerificationError if what it made does not verify.
        """
        fingerprint = self._certificate.fingerprint
        with _session(self._home) as gpg:
            result = gpg.sign(
                message,
                keyid=fingerprint,
                passphrase=self._passphrase,
                clearsign=False,
                detach=True,
                binary=True,
                extra_args=["--local-user", fingerprint, "--digest-algo", "SHA512"],
            )
        made = (result.status, result.type, result.hash_algo)
        if result.returncode or made != ("signature created", "D", _SHA512):
            raise _refusal("gpg did not sign", result, fingerprint)
        signature = bytes(result.data)
        verify_detached(self._certificate, signature, message, now_utc())
        return signature


def create_gnupg_key(
    home: Path, user_id: str, passphrase: bytes, expires_at: datetime | None
) -> bytes:
    """Make an Ed25519 key that certifies and signs; return its minimal binary certificate.

    `home` is made with mode 0700 if it is missing.  `user_id` is such as
    ``Name <name@example.org>``.  gpg leaves a revocation certificate in
    ``openpgp-revocs.d``: keep it elsewhere.  Raises InputError for a bad user ID
    or passphrase or a past expiry, HostError if gpg fails.
    """
    _check_user_id(user_id)
    secret = _text(passphrase)
    expiry = "0" if expires_at is None else _expiry(expires_at)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise host_error(error, home) from error
    lines = [
        "Key-Type: EDDSA",
        "Key-Curve: ed25519",
        "Key-Usage: sign",
        f"Name-Real: {user_id}",
        f"Expire-Date: {expiry}",
        f"Passphrase: {secret}",
        "%commit",
        "",
    ]
    with _session(home) as gpg:
        result = gpg.gen_key("\n".join(lines))
        if result.returncode or not result.fingerprint:
            raise _refusal("gpg did not make a key", result, os.fspath(home))
        data: bytes = gpg.export_keys(result.fingerprint, armor=False, minimal=True)
    parse_certificate(data, result.fingerprint)
    return data


def load_gnupg_signer(home: Path, fingerprint: str, passphrase: bytes) -> GnupgSigner:
    """Return a signer for the key with this primary fingerprint (40 hexadecimal digits).

    Raises InputError if the home folder is open to others, has no such key, or the
    certificate is not acceptable.  The passphrase is tried at the first signature.
    """
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise InputError(
            "not a fingerprint",
            where=os.fspath(home),
            expected="40 hexadecimal digits",
            got=ascii(fingerprint[:64]),
            hint="see `gpg --list-keys`",
        )
    with _session(home) as gpg:
        data: bytes = gpg.export_keys(fingerprint, armor=False, minimal=True)
    if not data:
        raise InputError("no such key", where=os.fspath(home), expected=fingerprint)
    certificate = parse_certificate(data, fingerprint)
    if certificate.fingerprint != fingerprint.upper():
        raise InputError(
            "not the fingerprint of a primary key",
            where=os.fspath(home),
            expected=certificate.fingerprint,
            got=fingerprint,
        )
    return GnupgSigner(PublicIdentity("openpgp", data), certificate, home, _text(passphrase))


def _check_user_id(user_id: str) -> None:
    size = len(user_id)
    good_size = _MIN_USER_ID_CHARACTERS <= size <= MAX_USER_ID_CHARACTERS
    if not good_size or not user_id.isprintable() or user_id != user_id.strip():
        raise InputError(
            "not a user ID",
            expected=f"one line, {_MIN_USER_ID_CHARACTERS} to {MAX_USER_ID_CHARACTERS} characters",
            got=ascii(user_id[:64]),
        )


def _text(passphrase: bytes) -> str:
    """Return the passphrase as gpg's parameter lines can carry it, the same in both uses."""
    try:
        text = passphrase.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("passphrase is not UTF-8") from error
    if len(passphrase) < MIN_PASSPHRASE_BYTES:
        raise InputError("passphrase too short", expected=f"at least {MIN_PASSPHRASE_BYTES} bytes")
    if not text.isprintable() or text != text.strip():
        raise InputError("passphrase has a control character, or a space at an end")
    return text


def _expiry(moment: datetime) -> str:
    if moment <= now_utc():
        raise InputError("expiry lies in the past", got=moment.isoformat())
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


def _refusal(what: str, result: object, where: str) -> InputError | HostError:
    """Say why gpg refused, and whether its user can mend that."""
    status = str(getattr(result, "status", None) or "")
    said = str(getattr(result, "stderr", "") or "")
    if status == "bad passphrase" or "Bad passphrase" in said:
        return InputError("wrong passphrase", where=where)
    if "INV_SGNR" in said or "KEYEXPIRED" in said or "No secret key" in said:
        return InputError(
            what, where=where, got=status, hint="the key is expired, revoked or not in this home"
        )
    last = [line for line in said.splitlines() if not line.startswith("[GNUPG:]")][-1:]
    return HostError(what, where=where, got="".join(ascii(line)[1:-1] for line in last))


@contextlib.contextmanager
def _session(home: Path) -> Iterator[gnupg.GPG]:
    """Work in a home folder alone; end the agent unless one was there before."""
    _check_home(home)
    binary = require_program("gpg", "gnupg")
    with _alone(home), _short_path(home) as folder:
        agent_was_there = _agent_answers(folder)
        try:
            yield gnupg.GPG(
                gpgbinary=binary,
                gnupghome=os.fspath(folder),
                options=_OPTIONS,
                env=clean_environment(),
                encoding="utf-8",
            )
        except (OSError, ValueError) as error:
            raise HostError("gpg failed", where=os.fspath(home), got=str(error)) from error
        finally:
            if not agent_was_there:
                gpgconf = require_program("gpgconf", "gpgconf")
                run_program([gpgconf, "--homedir", folder, "--kill", "all"])
                # Where the sockets were in /run/user, their folder would stay.
                run_program([gpgconf, "--homedir", folder, "--remove-socketdir"])


def _agent_answers(folder: Path) -> bool:
    program = require_program("gpg-connect-agent", "gpgconf")
    answer = run_program([program, "--homedir", folder, "--no-autostart", "--quiet", "/bye"])
    return answer.returncode == 0 and not answer.stderr


def _check_home(home: Path) -> None:
    try:
        status = home.stat()
    except OSError as error:
        raise host_error(error, home) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_mode & _OTHERS:
        raise InputError(
            "GnuPG home is not a private folder",
            where=os.fspath(home),
            expected="mode 700",
            got=f"mode {stat.S_IMODE(status.st_mode):o}",
            hint=f"chmod 700 {home}",
        )


def _alone(home: Path) -> AbstractContextManager[None]:
    busy = "another process is using this GnuPG home"
    return hold(home / "relsign.lock", busy, patience_seconds=_LOCK_SECONDS)


@contextlib.contextmanager
def _short_path(home: Path) -> Iterator[Path]:
    """Give a path to `home` that is short enough for the agent's sockets.

    The kernel allows a socket's path 107 bytes.  A private temporary folder with
    one link in it makes any home short; nothing is written there.
    """
    home = home.absolute()
    if len(os.fsencode(home)) <= _MAX_SOCKET_FOLDER_BYTES:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        link = Path(folder) / "home"
        if len(os.fsencode(link)) > _MAX_SOCKET_FOLDER_BYTES:
            raise HostError(
                "path too long for gpg's agent", where=os.fspath(link), hint="set a shorter TMPDIR"
            )
        link.symlink_to(home, target_is_directory=True)
        yield link

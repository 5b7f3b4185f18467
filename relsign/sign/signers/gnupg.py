"""OpenPGP keys in a GnuPG home folder, used through python-gnupg.

The home folder is private (mode 0700); only its owner is trusted to write it.
`gpg.conf` is not read.  There are two ways to a secret key, a subkey or a card:

* with a passphrase from us, which reaches gpg by its standard input alone; one process
  at a time works in the home folder, and the agent it started is ended with it
* without one: the agent of the person whose home it is asks, by a pinentry of its own,
  for a passphrase or a card's PIN; that agent is left alone

A home that relsign made is used with an empty environment.  A person's own home gets
what pinentry needs of the caller's environment to find its screen or terminal.

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
from relsign.errors import HostError, InputError, VerificationError
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
_STDERR = 2
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_SCREEN = (
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GPG_TTY",
    "TERM",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
)
"""What a pinentry needs of the caller's environment; nothing of it is a secret."""
_OPTIONS = ["--no-options", "--no-auto-key-retrieve", "--no-auto-key-locate"]


@dataclass(frozen=True, slots=True)
class GnupgHome:
    """A GnuPG home folder, and how it is used."""

    folder: Path
    is_persons_own: bool = False
    """Whether a person uses it too, with an agent of theirs."""


@dataclass(frozen=True, slots=True)
class GnupgSigner:
    """A signer whose key stays in gpg's keeping."""

    public: PublicIdentity
    _certificate: Certificate
    _fingerprint: str
    _home: GnupgHome
    _passphrase: str | None = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return one binary detached OpenPGP signature packet, SHA-512, over `message`.

        Raises InputError for a wrong passphrase or a key that may not sign now,
        HostError if gpg fails, VerificationError if what it made does not verify.
        """
        is_subkey = self._fingerprint != self._certificate.fingerprint
        # With an exclamation mark it is this key; without, the newest that may sign.
        user = f"{self._fingerprint}!" if is_subkey else self._fingerprint
        with _session(self._home, ends_agent=self._passphrase is not None) as gpg:
            result = gpg.sign(
                message,
                keyid=self._certificate.fingerprint,
                passphrase=self._passphrase,
                clearsign=False,
                detach=True,
                binary=True,
                extra_args=["--local-user", user, "--digest-algo", "SHA512"],
            )
        made = (result.status, result.type, result.hash_algo)
        if result.returncode or made != ("signature created", "D", _SHA512):
            raise _refusal("gpg did not sign", result, self._fingerprint)
        signature = bytes(result.data)
        key = verify_detached(self._certificate, signature, message, now_utc())
        if is_subkey and key.fingerprint != self._fingerprint:
            raise VerificationError(
                "another key signed",
                expected=self._fingerprint,
                got=key.fingerprint,
                hint="name the key that is to sign in signer.toml",
            )
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
    with _session(GnupgHome(home), ends_agent=True) as gpg:
        result = gpg.gen_key("\n".join(lines))
        if result.returncode or not result.fingerprint:
            raise _refusal("gpg did not make a key", result, os.fspath(home))
        data: bytes = gpg.export_keys(result.fingerprint, armor=False, minimal=True)
    parse_certificate(data, result.fingerprint)
    return data


def load_gnupg_signer(
    home: Path | GnupgHome, fingerprint: str, passphrase: bytes | None
) -> GnupgSigner:
    """Return a signer for the key with this fingerprint (40 hexadecimal digits).

    It is a primary key's, whose newest key that may sign then does, or that of the one
    subkey that is to sign.  Without `passphrase` the home's agent asks for what it needs.
    Raises InputError if the home folder is open to others, has no such key, or the
    certificate is not acceptable.  The passphrase is tried at the first signature.
    """
    place = home if isinstance(home, GnupgHome) else GnupgHome(home)
    where = os.fspath(place.folder)
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise InputError(
            "not a fingerprint",
            where=where,
            expected="40 hexadecimal digits",
            got=ascii(fingerprint[:64]),
            hint="see `gpg --list-keys`",
        )
    with _session(place, ends_agent=passphrase is not None) as gpg:
        data: bytes = gpg.export_keys(fingerprint, armor=False, minimal=True)
    if not data:
        raise InputError(
            "no such key", where=where, expected=fingerprint, hint="see `gpg --list-secret-keys`"
        )
    certificate = parse_certificate(data, fingerprint)
    known = {certificate.fingerprint, *(key.fingerprint for key in certificate.signing_keys)}
    if fingerprint.upper() not in known:
        raise InputError(
            "not the fingerprint of a key that signs",
            where=where,
            expected=" or ".join(sorted(known)),
            got=fingerprint,
            hint="see `gpg --list-secret-keys --with-subkey-fingerprint`",
        )
    secret = None if passphrase is None else _text(passphrase)
    public = PublicIdentity("openpgp", data)
    return GnupgSigner(public, certificate, fingerprint.upper(), place, secret)


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
    if status == "bad passphrase" or "Bad passphrase" in said or "Bad PIN" in said:
        return InputError("wrong passphrase", where=where, hint="type it again")
    if "Operation cancelled" in said:
        return InputError(what, where=where, got="cancelled", hint="run it again to be asked again")
    if "INV_SGNR" in said or "KEYEXPIRED" in said or "No secret key" in said:
        return InputError(
            what,
            where=where,
            got=status,
            hint="the key is expired, revoked, not in this home, or its card is not plugged in",
        )
    last = [line for line in said.splitlines() if not line.startswith("[GNUPG:]")][-1:]
    return HostError(
        what,
        where=where,
        got="".join(ascii(line)[1:-1] for line in last),
        hint="see whether gpg itself signs with this key; on a terminal, set GPG_TTY=$(tty)",
    )


@contextlib.contextmanager
def _session(home: GnupgHome, *, ends_agent: bool) -> Iterator[gnupg.GPG]:
    """Work in a home folder; with `ends_agent` alone, ending the agent that was not there before.

    An agent that asks a person has her passphrase or her card: it is hers to end.
    """
    _check_home(home.folder)
    environment = _screen() if home.is_persons_own else {}
    with contextlib.ExitStack() as stack:
        folder = home.folder.absolute()
        if not home.is_persons_own:
            folder = stack.enter_context(_short_path(folder))
        if ends_agent:
            stack.enter_context(_alone(home.folder))
            stack.enter_context(_ending_agent(folder, environment))
        try:
            yield gnupg.GPG(
                gpgbinary=require_program("gpg", "gnupg"),
                gnupghome=os.fspath(folder),
                options=_OPTIONS,
                env=clean_environment(environment),
                encoding="utf-8",
            )
        except (OSError, ValueError) as error:
            raise HostError(
                "gpg failed",
                where=os.fspath(home.folder),
                got=str(error),
                hint="see whether `gpg --homedir` works with it",
            ) from error


@contextlib.contextmanager
def _ending_agent(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    agent_was_there = _agent_answers(folder, environment)
    try:
        yield
    finally:
        if not agent_was_there:
            gpgconf = require_program("gpgconf", "gpgconf")
            run_program([gpgconf, "--homedir", folder, "--kill", "all"], environment=environment)
            # Where the sockets were in /run/user, their folder would stay.
            run_program(
                [gpgconf, "--homedir", folder, "--remove-socketdir"], environment=environment
            )


def _agent_answers(folder: Path, environment: dict[str, str]) -> bool:
    program = require_program("gpg-connect-agent", "gpgconf")
    answer = run_program(
        [program, "--homedir", folder, "--no-autostart", "--quiet", "/bye"],
        environment=environment,
    )
    return answer.returncode == 0 and not answer.stderr


def _screen() -> dict[str, str]:
    """Return what a person's agent needs to ask her: her screen or terminal.

    HOME too: by it gpg knows the default home folder, whose agent listens elsewhere.
    """
    found = {name: os.environ[name] for name in _SCREEN if os.environ.get(name)}
    if "GPG_TTY" not in found and os.isatty(_STDERR):
        found["GPG_TTY"] = os.ttyname(_STDERR)
    return {"HOME": os.fspath(Path.home()), **found}


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

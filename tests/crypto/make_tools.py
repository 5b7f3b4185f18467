"""A key that signs raw bytes, and the stock tools that judge what is made of it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CREATED = datetime(2024, 1, 1, tzinfo=UTC)
SIGNED = datetime(2024, 3, 1, 12, 30, 15, tzinfo=UTC)
EXPIRES = datetime(2025, 1, 1, tzinfo=UTC)
LATER = datetime(2025, 6, 1, tzinfo=UTC)
USER_ID = "Tar release key <tar@example.org>"
JUDGED = {"GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG", "NODATA"}
Change = Callable[[bytes], bytes]


@dataclass
class Signer:
    """An Ed25519 key behind a callback; it remembers what it was asked."""

    private: Ed25519PrivateKey
    asked: list[bytes] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        self.asked.append(message)
        return self.private.sign(message)


def signer(seed: int) -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


class StopPlanningError(Exception):
    """What a planner raises once it has seen the message."""


def first_message(make: Callable[[Callable[[bytes], bytes]], bytes]) -> bytes:
    """Return the first message a maker asks a signature of, which never comes."""
    asked: list[bytes] = []

    def stop(message: bytes) -> bytes:
        asked.append(message)
        raise StopPlanningError

    with contextlib.suppress(StopPlanningError):
        make(stop)
    (message,) = asked
    return message


def lies() -> dict[str, Change]:
    """Return callbacks that do not sign what they are asked."""
    own, other = signer(1), signer(9)
    order = 2**252 + 27742317777372353535851937790883648493

    def second_form(message: bytes) -> bytes:
        made = own.sign(message)
        big = int.from_bytes(made[32:], "little") + order
        return made[:32] + big.to_bytes(32, "little")

    return {
        "another key": other.sign,
        "another message": lambda message: own.sign(message + b"x"),
        "nothing": lambda _: b"",
        "zeros": lambda _: bytes(64),
        "too long": lambda message: own.sign(message) + b"\0",
        "halves swapped": lambda message: own.sign(message)[32:] + own.sign(message)[:32],
        "S plus the order": second_form,
    }


def flipped(data: bytes, position: int, mask: int = 1) -> bytes:
    changed = bytearray(data)
    changed[position] ^= mask
    return bytes(changed)


def run(*words: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(word) for word in words], input=stdin, capture_output=True, check=False
    )


@dataclass(frozen=True)
class Gpg:
    """gpg in a private home, at a stated time."""

    home: Path

    def run(self, *words: str | Path, at: datetime = SIGNED, stdin: bytes = b"") -> str:
        command = [
            "gpg", "--homedir", self.home, "--batch", "--no-tty", "--no-auto-key-retrieve",
            "--trust-model", "always", "--status-fd", "1",
            "--faked-system-time", at.strftime("%Y%m%dT%H%M%S!"),
        ]  # fmt: skip
        return run(*command, *words, stdin=stdin).stdout.decode("utf-8", "replace")

    def take(self, data: bytes, at: datetime = SIGNED) -> str:
        """Import keys; a home without a trust database says nothing of expired ones."""
        status = self.run("--import", at=at, stdin=data)
        self.run("--check-trustdb", at=at)
        return status

    def says(self, signature: bytes, data: bytes | None, at: datetime = SIGNED) -> list[str]:
        """Return the judging words of gpg's status lines, data None for cleartext."""
        paths = [self.home / "m.sig"]
        paths[0].write_bytes(signature)
        if data is not None:
            paths.append(self.home / "m")
            paths[1].write_bytes(data)
        lines = self.run("--verify", *paths, at=at).splitlines()
        words = [line.split(" ")[1] for line in lines if line.startswith("[GNUPG:] ")]
        return [word for word in words if word in JUDGED]


@contextlib.contextmanager
def gpg_home(home: Path) -> Iterator[Gpg]:
    home.mkdir(mode=0o700)
    try:
        yield Gpg(home)
    finally:
        run("gpgconf", "--homedir", home, "--kill", "all")


@dataclass(frozen=True)
class Ring:
    """gpgv and sqv with one key ring: they read no home and no trust."""

    folder: Path
    certificate: bytes

    def _files(self, signature: bytes, data: bytes) -> list[Path]:
        paths = [self.folder / name for name in ("ring.gpg", "data.sig", "data")]
        for path, body in zip(paths, (self.certificate, signature, data), strict=True):
            path.write_bytes(body)
        return paths

    def gpgv(self, signature: bytes, data: bytes) -> bool:
        ring, *paths = self._files(signature, data)
        return run("gpgv", "--homedir", self.folder, "--keyring", ring, *paths).returncode == 0

    def sqv(self, signature: bytes, data: bytes) -> bool:
        return run("sqv", "--keyring", *self._files(signature, data)).returncode == 0


def git_environment(home: Path) -> dict[str, str]:
    """Return an environment in which git reads nobody's configuration."""
    names = {
        "HOME": str(home),
        "GNUPGHOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "T",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "T",
        "GIT_COMMITTER_EMAIL": "t@example.org",
    }
    return {**os.environ, **names}

"""Real OpenPGP keys and signatures, made by gpg in a throw-away home."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GnuPG:
    """A home folder with secret keys in it."""

    home: Path

    def run(self, *words: str | Path, at: str = "") -> bytes:
        """Run gpg, at a pretended time if one is given; fail loudly."""
        clock: Sequence[str] = ("--faked-system-time", f"{at}!") if at else ()
        done = subprocess.run(
            [
                "gpg",
                "--homedir",
                self.home,
                "--batch",
                "--no-tty",
                "--yes",
                "--pinentry-mode=loopback",
                "--passphrase=",
                *clock,
                *words,
            ],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make_key(
        self, who: str, *, expires: str = "never", kind: str = "ed25519", at: str = ""
    ) -> str:
        """Make a signing key and return its fingerprint."""
        self.run("--quick-generate-key", who, kind, "sign", expires, at=at)
        # A number asked for the exact user id picks the newest key of that name.
        lines = self.run("--with-colons", "--list-keys", f"={who}").decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def sign(self, data: Path, key: str, *options: str, at: str = "") -> Path:
        """Write a detached signature beside the file and return its path."""
        signature = data.with_name(f"{data.name}.asc")
        output: Sequence[str | Path] = ("--output", signature)
        self.run(*output, "--local-user", key, *options, "--armor", "--detach-sign", data, at=at)
        return signature

    def certificate(self, *keys: str) -> bytes:
        """Return the public keys, armoured."""
        return self.run("--armor", "--export", *keys)

    def stop(self) -> None:
        """End the agent gpg started for this home."""
        command: list[str | Path] = ["gpgconf", "--homedir", self.home, "--kill", "all"]
        subprocess.run(command, check=True, capture_output=True)

"""What other programs say of a signature: openssl, gpg, sqv, minisign, ssh-keygen."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_SPKI = bytes.fromhex("302a300506032b6570032100")
JUDGED = ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG")
STRONG = ("8", "9", "10")
NAMESPACE = "file"


def succeeds(*command: str | Path, stdin: bytes = b"") -> bool:
    """Run a program and say whether it says yes."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def openssl_says(folder: Path, public: bytes, signature: bytes, message: bytes) -> bool:
    """Ask `openssl pkeyutl` about an Ed25519 signature."""
    key, sig, data = folder / "k.der", folder / "s", folder / "m"
    key.write_bytes(_SPKI + public)
    sig.write_bytes(signature)
    data.write_bytes(message)
    return succeeds(
        "openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", key,
        "-rawin", "-in", data, "-sigfile", sig,
    )  # fmt: skip


def minisign_says(folder: Path, public_text: bytes, signature: bytes, message: bytes) -> bool:
    """Ask minisign about a signature file."""
    key, sig, data = folder / "k.pub", folder / "m.minisig", folder / "m"
    key.write_bytes(public_text)
    sig.write_bytes(signature)
    data.write_bytes(message)
    return succeeds("minisign", "-V", "-q", "-p", key, "-m", data)


def sqv_says(folder: Path, certificate: bytes, signature: bytes, message: bytes) -> bool:
    """Ask sqv about a detached OpenPGP signature."""
    paths = [folder / name for name in ("cert", "sig", "data")]
    for path, data in zip(paths, (certificate, signature, message), strict=True):
        path.write_bytes(data)
    return succeeds("sqv", "--keyring", *paths)


@dataclass(frozen=True)
class Gpg:
    """gpg in a private home with one certificate, at a stated time."""

    home: Path
    fingerprint: str
    at: datetime

    def run(self, *words: str | Path, stdin: bytes = b"") -> bytes:
        """Return what it writes."""
        command = [
            "gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--quiet",
            "--no-auto-key-retrieve", "--faked-system-time", self.at.strftime("%Y%m%dT%H%M%S!"),
        ]  # fmt: skip
        return subprocess.run(
            [*command, *map(str, words)], input=stdin, capture_output=True, check=False, timeout=60
        ).stdout

    def says(self, signature: bytes, message: bytes) -> bool:
        """Judge by status lines: one good binary signature, strong hash, by this primary."""
        sig, data = self.home / "m.sig", self.home / "m"
        sig.write_bytes(signature)
        data.write_bytes(message)
        status = self.run("--status-fd", "1", "--verify", sig, data).decode("utf-8", "replace")
        lines = [line.split(" ")[1:] for line in status.splitlines()]
        judged = [line[0] for line in lines if line[0] in JUDGED]
        valid = [line for line in lines if line[0] == "VALIDSIG"]
        if judged != ["GOODSIG"] or len(valid) != 1:
            return False
        return valid[0][8] in STRONG and valid[0][9:11] == ["00", self.fingerprint]


@contextlib.contextmanager
def gpg_with(home: Path, certificate: bytes, fingerprint: str, at: datetime) -> Iterator[Gpg]:
    """Make a home for one certificate; end what gpg started there."""
    home.mkdir(mode=0o700)
    gpg = Gpg(home, fingerprint, at)
    try:
        gpg.run("--import", stdin=certificate)
        gpg.run("--check-trustdb")
        yield gpg
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


# The signature format of OpenSSH (its PROTOCOL.sshsig).


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def ssh_public(raw: bytes) -> bytes:
    """Return an Ed25519 key as OpenSSH writes it inside."""
    return _string(b"ssh-ed25519") + _string(raw)


def ssh_line(raw: bytes) -> bytes:
    """Return an Ed25519 key as a line of OpenSSH."""
    return b"ssh-ed25519 " + base64.b64encode(ssh_public(raw))


def ssh_signed(message: bytes) -> bytes:
    """Return the bytes that an SSH signature is over."""
    parts = (NAMESPACE.encode(), b"", b"sha512", hashlib.sha512(message).digest())
    return b"SSHSIG" + b"".join(map(_string, parts))


def ssh_file(raw: bytes, signature: bytes) -> bytes:
    """Return an SSH signature file around 64 bytes of Ed25519."""
    inside = _string(b"ssh-ed25519") + _string(signature)
    parts = (ssh_public(raw), NAMESPACE.encode(), b"", b"sha512", inside)
    blob = b"SSHSIG" + (1).to_bytes(4, "big") + b"".join(map(_string, parts))
    text = base64.b64encode(blob).decode()
    lines = "\n".join(text[i : i + 70] for i in range(0, len(text), 70))
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n".encode()


def ssh_says(folder: Path, raw: bytes, signature: bytes, message: bytes) -> bool:
    """Ask ssh-keygen about 64 bytes of Ed25519 in an SSH signature file."""
    allowed, sig = folder / "allowed", folder / "m.sshsig"
    allowed.write_bytes(b"who " + ssh_line(raw) + b"\n")
    sig.write_bytes(ssh_file(raw, signature))
    return succeeds(
        "ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "who", "-n", NAMESPACE, "-s", sig,
        stdin=message,
    )  # fmt: skip

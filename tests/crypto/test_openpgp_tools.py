"""What gpg and sqv say of the same bytes: the table, and keys that gpg made itself."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relsign.crypto.openpgp import (
    armor_signatures,
    dearmor,
    parse_certificate,
    split_signatures,
    verify_detached,
)
from relsign.errors import InputError, VerificationError
from tests.crypto.openpgp_cases import AT, CASES, MESSAGE

JUDGED = ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG")
STRONG = ("8", "9", "10")


@dataclass(frozen=True)
class Gpg:
    """gpg in a private home, at a stated time."""

    home: Path

    def run(self, *words: str | Path, at: datetime, stdin: bytes = b"") -> bytes:
        command = [
            "gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--quiet",
            "--no-auto-key-retrieve", "--pinentry-mode", "loopback", "--passphrase", "",
            "--faked-system-time", at.strftime("%Y%m%dT%H%M%S!"),
        ]  # fmt: skip
        result = subprocess.run(
            [*command, *map(str, words)], input=stdin, capture_output=True, check=False
        )
        return result.stdout

    def says_good(self, certificate: bytes, signature: bytes, message: bytes, at: datetime) -> bool:
        """Judge by status lines: one good binary signature with a strong hash by this primary."""
        self.run("--import", at=at, stdin=certificate)
        self.run("--check-trustdb", at=at)
        signature_path, message_path = self.home / "m.sig", self.home / "m"
        signature_path.write_bytes(signature)
        message_path.write_bytes(message)
        status = self.run("--status-fd", "1", "--verify", signature_path, message_path, at=at)
        lines = [line.split(" ")[1:] for line in status.decode().splitlines()]
        judged = [line[0] for line in lines if line[0] in JUDGED]
        valid = [line for line in lines if line[0] == "VALIDSIG"]
        if judged != ["GOODSIG"] or len(valid) != 1:
            return False
        hash_number, kind, primary = valid[0][8], valid[0][9], valid[0][10]
        return kind == "00" and hash_number in STRONG and primary == self.first_fingerprint(at)

    def first_fingerprint(self, at: datetime) -> str:
        return self.fingerprints(at)[0]

    def fingerprints(self, at: datetime) -> list[str]:
        listing = self.run("--list-keys", "--with-colons", at=at).decode()
        return [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr")]


@contextlib.contextmanager
def private_home(home: Path) -> Iterator[Gpg]:
    home.mkdir(mode=0o700)
    assert len(str(home)) < 86, "sockets need a short path"
    try:
        yield Gpg(home)
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Gpg]:
    with private_home(tmp_path / "g") as found:
        yield found


def we_say_good(certificate: bytes, signature: bytes, message: bytes, at: datetime) -> bool:
    try:
        verify_detached(parse_certificate(certificate, "test"), signature, message, at)
    except (InputError, VerificationError):
        return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_gpg_and_sqv_say_what_the_table_says(name: str, gpg: Gpg, tmp_path: Path) -> None:
    case = CASES[name]()
    said_by_gpg = gpg.says_good(case.certificate, case.signature, case.message, AT)
    paths = [tmp_path / "cert", tmp_path / "sig", tmp_path / "data"]
    for path, data in zip(paths, (case.certificate, case.signature, case.message), strict=True):
        path.write_bytes(data)
    sqv = subprocess.run(["sqv", "--keyring", *paths], capture_output=True, check=False)
    said = {"gpg": said_by_gpg, "sqv": sqv.returncode == 0}
    assert said == {"gpg": case.gpg, "sqv": case.sqv}, sqv.stderr


def test_nothing_is_good_to_us_that_gpg_refuses() -> None:
    lenient = [name for name, make in CASES.items() if (case := make()).good > case.gpg]
    assert lenient == []


MADE_AT = datetime(2024, 5, 1, tzinfo=UTC)
SIGNED_AT = MADE_AT + timedelta(days=3)
MONTH_LATER = MADE_AT + timedelta(days=40)


@dataclass(frozen=True)
class Made:
    """A key gpg made on 2024-05-01, valid for 30 days, and how to sign with it."""

    gpg: Gpg
    fingerprint: str

    def certificate(self) -> bytes:
        return self.gpg.run("--export", self.fingerprint, at=SIGNED_AT)

    def sign(self, *words: str) -> bytes:
        return self.gpg.run(
            "--detach-sign", "--local-user", self.fingerprint, *words, at=SIGNED_AT, stdin=MESSAGE
        )


def make(gpg: Gpg, algorithm: str) -> Made:
    gpg.run("--quick-gen-key", "T <t@example.org>", algorithm, "sign", "30d", at=MADE_AT)
    return Made(gpg, gpg.fingerprints(MADE_AT)[-1])


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Gpg]:
    """Give a second home, for a verifier who has no secret keys."""
    with private_home(tmp_path / "o") as found:
        yield found


@pytest.mark.parametrize("algorithm", ["ed25519", "rsa2048", "nistp256", "nistp384"])
def test_keys_and_signatures_made_by_gpg(algorithm: str, gpg: Gpg, other: Gpg) -> None:
    made = make(gpg, algorithm)
    certificate, good = made.certificate(), made.sign("--digest-algo", "SHA512")
    rows = [
        (good, MESSAGE, SIGNED_AT, True),
        (good, MESSAGE + b"\n", SIGNED_AT, False),
        (good, MESSAGE, MONTH_LATER, False),
        (made.sign("--textmode"), MESSAGE, SIGNED_AT, False),
        (made.sign("--textmode"), MESSAGE.replace(b"\r\n", b"\n"), SIGNED_AT, False),
        (made.sign("--digest-algo", "SHA1"), MESSAGE, SIGNED_AT, False),
        (good + made.sign(), MESSAGE, SIGNED_AT, False),
        (made.sign("--sig-policy-url", "!https://example.org"), MESSAGE, SIGNED_AT, True),
    ]
    for signature, message, at, good_to_both in rows:
        said = (
            other.says_good(certificate, signature, message, at),
            we_say_good(certificate, signature, message, at),
        )
        assert said == (good_to_both, good_to_both)


def test_a_revocation_made_by_gpg(gpg: Gpg, other: Gpg) -> None:
    made = make(gpg, "ed25519")
    signature, before = made.sign(), made.certificate()
    text = (gpg.home / "openpgp-revocs.d" / f"{made.fingerprint}.rev").read_text()
    start = text.index(":-----BEGIN") + 1
    gpg.run("--import", at=SIGNED_AT, stdin=text[start:].encode())
    after = made.certificate()
    assert we_say_good(before, signature, MESSAGE, SIGNED_AT)
    assert not we_say_good(after, signature, MESSAGE, SIGNED_AT)
    assert not other.says_good(after, signature, MESSAGE, SIGNED_AT)
    assert parse_certificate(after, "test").revoked


def test_subkeys_made_by_gpg(gpg: Gpg, other: Gpg) -> None:
    made = make(gpg, "ed25519")
    later = MADE_AT + timedelta(hours=1)
    for algorithm, usage in (("rsa2048", "sign"), ("cv25519", "encr")):
        gpg.run("--quick-add-key", made.fingerprint, algorithm, usage, "never", at=later)
    certificate, signature = made.certificate(), made.sign()
    key = verify_detached(parse_certificate(certificate, "t"), signature, MESSAGE, SIGNED_AT)
    assert key.algorithm == "rsa"
    assert other.says_good(certificate, signature, MESSAGE, SIGNED_AT)
    # The subkey never expires; its primary does.
    assert not we_say_good(certificate, signature, MESSAGE, MONTH_LATER)
    assert not other.says_good(certificate, signature, MESSAGE, MONTH_LATER)


def test_armour_is_the_same_as_gpgs(gpg: Gpg) -> None:
    made = make(gpg, "ed25519")
    armoured = gpg.run("--armor", "--export", made.fingerprint, at=SIGNED_AT)
    assert dearmor(armoured, "PUBLIC KEY BLOCK", "test") == made.certificate()


def test_gpg_accepts_many_armoured_signatures_as_one_file(gpg: Gpg, tmp_path: Path) -> None:
    signatures = [make(gpg, "ed25519").sign(), make(gpg, "rsa2048").sign()]
    path, data = tmp_path / "SHA256SUMS.asc", tmp_path / "SHA256SUMS"
    path.write_bytes(armor_signatures(signatures))
    data.write_bytes(MESSAGE)
    status = gpg.run("--status-fd", "1", "--verify", path, data, at=SIGNED_AT).decode()
    assert status.count("GOODSIG") == len(signatures)
    assert split_signatures(path.read_bytes(), "test") == tuple(signatures)
    # What gpg armours as one block of two packets is read too.
    both = gpg.run("--enarmor", at=SIGNED_AT, stdin=b"".join(signatures))
    both = both.replace(b"ARMORED FILE", b"SIGNATURE")
    assert split_signatures(both, "test") == tuple(signatures)

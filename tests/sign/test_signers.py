"""Signer back ends: encrypted files, GnuPG homes, and how passphrases come in."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from relsign.crypto.openpgp import parse_certificate, verify_detached
from relsign.errors import HostError, InputError, NotEnoughError
from relsign.sign.keys.passphrase import read_passphrase
from relsign.sign.signers.file import create_key_file, load_file_signer
from relsign.sign.signers.gnupg import create_gnupg_key, load_gnupg_signer
from relsign.sign.signers.interface import Signer
from relsign.system.clock import now_utc

PASSPHRASE = "correct h\u00f6rse #1 %".encode()
MESSAGE = b"statement\r\n \x00\xff" * 1_000
USER_ID = "Zo\u00eb Signer (builds) <zoe@example.org>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    private = tmp_path / "keys"
    private.mkdir(mode=0o700)
    return private


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_key_signs(tmp_path: Path) -> None:
    path = tmp_path / "new" / "signer.pem"
    raw = create_key_file(path, PASSPHRASE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert names(path.parent) == ["signer.pem"]
    signer: Signer = load_file_signer(path, PASSPHRASE)
    assert (signer.public.kind, signer.public.data) == ("ed25519", raw)
    signature = signer.sign(MESSAGE)
    Ed25519PublicKey.from_public_bytes(raw).verify(signature, MESSAGE)
    assert "_key" not in repr(signer)


def test_openssl_reads_the_key_file(folder: Path) -> None:
    raw = create_key_file(folder / "k.pem", b"passphrase")
    shown = subprocess.run(
        ["openssl", "pkey", "-in", folder / "k.pem", "-passin", "stdin", "-pubout",
         "-outform", "DER"],
        input=b"passphrase\n", capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert shown == bytes.fromhex("302a300506032b6570032100") + raw


def test_a_key_file_is_never_overwritten(folder: Path) -> None:
    path = folder / "k.pem"
    create_key_file(path, PASSPHRASE)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists"):
        create_key_file(path, PASSPHRASE)
    assert path.read_bytes() == before
    assert names(folder) == ["k.pem"]


def test_wrong_or_short_passphrases(folder: Path) -> None:
    with pytest.raises(InputError, match="too short"):
        create_key_file(folder / "k.pem", b"1234567")
    assert names(folder) == []
    create_key_file(folder / "k.pem", PASSPHRASE)
    for wrong in (b"", PASSPHRASE + b" "):
        with pytest.raises(InputError, match="wrong passphrase"):
            load_file_signer(folder / "k.pem", wrong)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_file_open_to_others_is_refused(folder: Path, mode: int) -> None:
    create_key_file(folder / "k.pem", PASSPHRASE)
    (folder / "k.pem").chmod(mode)
    with pytest.raises(InputError, match="open to others"):
        load_file_signer(folder / "k.pem", PASSPHRASE)


def test_a_folder_open_to_others_is_refused(folder: Path) -> None:
    create_key_file(folder / "k.pem", PASSPHRASE)
    folder.chmod(0o750)
    with pytest.raises(InputError, match="folder is open"):
        load_file_signer(folder / "k.pem", PASSPHRASE)
    with pytest.raises(InputError, match="folder is open"):
        create_key_file(folder / "l.pem", PASSPHRASE)


def test_what_is_no_encrypted_ed25519_key(folder: Path) -> None:
    secret = BestAvailableEncryption(PASSPHRASE)
    key = Ed25519PrivateKey.generate()
    bare = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
    good = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
    rows = {
        bare: "not an encrypted key",
        other: "not an Ed25519, ECDSA P-256 or RSA key",
        good[:90]: "damaged",
        good + b"x" * 16_384: "too large",
        b"": "not an encrypted key",
    }
    path = folder / "k.pem"
    for data, reason in rows.items():
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(InputError, match=reason):
            load_file_signer(path, PASSPHRASE)


def test_a_key_that_is_absent_or_no_file(folder: Path) -> None:
    with pytest.raises(NotEnoughError):
        load_file_signer(folder / "k.pem", PASSPHRASE)
    os.mkfifo(folder / "k.pem", 0o600)
    with pytest.raises(InputError, match="not a regular file"):
        load_file_signer(folder / "k.pem", PASSPHRASE)


def agents_of(home: Path) -> list[str]:
    """Return the command lines of agents whose home or current folder is `home`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"gpg-agent") and os.fsencode(home) in b" ".join(words):
            found.append(str(words))
    return found


def is_ended(home: Path) -> bool:
    """Say whether the agent of `home` is gone: it ends a moment after it was told to."""
    deadline = time.monotonic() + 10
    while agents_of(home) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not agents_of(home)


@pytest.fixture(scope="module")
def gnupg_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    home = tmp_path_factory.mktemp("g") / "home"
    return home, create_gnupg_key(home, USER_ID, PASSPHRASE, None)


def test_a_gnupg_key_signs(gnupg_home: tuple[Path, bytes]) -> None:
    home, data = gnupg_home
    certificate = parse_certificate(data, "t")
    assert certificate.user_ids == (USER_ID,)
    assert certificate.expires_at is None
    (key,) = certificate.signing_keys
    assert (key.algorithm, key.fingerprint) == ("ed25519", certificate.fingerprint)
    signer: Signer = load_gnupg_signer(home, certificate.fingerprint.lower(), PASSPHRASE)
    assert (signer.public.kind, signer.public.data) == ("openpgp", data)
    signature = signer.sign(MESSAGE)
    assert verify_detached(certificate, signature, MESSAGE, now_utc()) == key
    assert is_ended(home)
    assert PASSPHRASE.decode() not in repr(signer)


def test_a_home_is_private_and_holds_a_revocation(gnupg_home: tuple[Path, bytes]) -> None:
    home, data = gnupg_home
    fingerprint = parse_certificate(data, "t").fingerprint
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "openpgp-revocs.d" / f"{fingerprint}.rev").is_file()


def test_a_wrong_passphrase_is_named(gnupg_home: tuple[Path, bytes]) -> None:
    home, data = gnupg_home
    fingerprint = parse_certificate(data, "t").fingerprint
    with pytest.raises(InputError, match="wrong passphrase"):
        load_gnupg_signer(home, fingerprint, PASSPHRASE + b"x").sign(MESSAGE)
    assert is_ended(home)


def test_two_signers_may_use_one_home_at_once(gnupg_home: tuple[Path, bytes]) -> None:
    home, data = gnupg_home
    signer = load_gnupg_signer(home, parse_certificate(data, "t").fingerprint, PASSPHRASE)
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(signer.sign(b"m"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(threads)


def test_an_agent_that_was_there_before_stays(gnupg_home: tuple[Path, bytes]) -> None:
    home, data = gnupg_home
    signer = load_gnupg_signer(home, parse_certificate(data, "t").fingerprint, PASSPHRASE)
    subprocess.run(["gpgconf", "--homedir", home, "--launch", "gpg-agent"], check=True)
    try:
        signer.sign(b"m")
        assert len(agents_of(home)) == 1
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def test_a_home_whose_path_is_too_long_for_a_socket(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 20) / ("deeper" * 10)
    data = create_gnupg_key(home, USER_ID, PASSPHRASE, None)
    fingerprint = parse_certificate(data, "t").fingerprint
    assert load_gnupg_signer(home, fingerprint, PASSPHRASE).sign(MESSAGE)
    assert not [name for name in names(home) if name.startswith("S.gpg-agent")]


def test_a_temporary_folder_whose_path_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ("deep" * 30)
    home.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(home))
    with pytest.raises(HostError, match="too long"):
        load_gnupg_signer(home, "A" * 40, PASSPHRASE)


def test_a_key_expires_when_it_was_told_to(tmp_path: Path) -> None:
    moment = datetime(2101, 2, 3, 4, 5, 6, tzinfo=UTC)
    data = create_gnupg_key(tmp_path / "g", USER_ID, PASSPHRASE, moment)
    assert parse_certificate(data, "t").expires_at == moment
    with pytest.raises(InputError, match="in the past"):
        create_gnupg_key(tmp_path / "g", USER_ID, PASSPHRASE, moment - timedelta(days=365 * 80))


def test_an_expired_key_does_not_sign(tmp_path: Path) -> None:
    moment = now_utc() + timedelta(seconds=3)
    data = create_gnupg_key(tmp_path / "g", USER_ID, PASSPHRASE, moment)
    fingerprint = parse_certificate(data, "t").fingerprint
    signer = load_gnupg_signer(tmp_path / "g", fingerprint, PASSPHRASE)
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds() + 1.1))
    with pytest.raises(InputError, match="did not sign"):
        signer.sign(MESSAGE)


@pytest.mark.parametrize(
    "user_id", ["", "abc", " lead", "two\nPassphrase: x", "x" * 201, "esc\x1b[2J", "\u202etxt.exe"]
)
def test_user_ids_that_are_refused(tmp_path: Path, user_id: str) -> None:
    with pytest.raises(InputError, match="not a user ID"):
        create_gnupg_key(tmp_path / "g", user_id, PASSPHRASE, None)
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    "passphrase", [b"", b"1234567", b"12345678\n", b" 12345678", b"\xff" * 9, b"1234567\x00"]
)
def test_passphrases_that_are_refused(tmp_path: Path, passphrase: bytes) -> None:
    with pytest.raises(InputError, match="passphrase"):
        create_gnupg_key(tmp_path / "g", USER_ID, passphrase, None)


def test_homes_that_are_refused(gnupg_home: tuple[Path, bytes], tmp_path: Path) -> None:
    home, data = gnupg_home
    fingerprint = parse_certificate(data, "t").fingerprint
    with pytest.raises(InputError, match="no such key"):
        load_gnupg_signer(home, "0" * 40, PASSPHRASE)
    for odd in ("", "--version", "*", fingerprint[-16:], fingerprint + "!", fingerprint + "\n"):
        with pytest.raises(InputError, match="not a fingerprint"):
            load_gnupg_signer(home, odd, PASSPHRASE)
    with pytest.raises(HostError):
        load_gnupg_signer(tmp_path / "absent", fingerprint, PASSPHRASE)
    public = tmp_path / "public"
    public.mkdir(mode=0o755)
    with pytest.raises(InputError, match="private folder"):
        load_gnupg_signer(public, fingerprint, PASSPHRASE)


def test_a_public_key_alone_cannot_sign(gnupg_home: tuple[Path, bytes], tmp_path: Path) -> None:
    _, data = gnupg_home
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--quiet", "--no-autostart", "--import"],
        input=data,
        capture_output=True,
        check=True,
    )
    signer = load_gnupg_signer(home, parse_certificate(data, "t").fingerprint, PASSPHRASE)
    with pytest.raises(InputError, match="did not sign"):
        signer.sign(MESSAGE)


def test_no_passphrase_in_any_command_line_or_environment(tmp_path: Path) -> None:
    """Look at every process this one starts, while it makes a key and signs."""
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        seen.add((process / name).read_bytes())
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        data = create_gnupg_key(tmp_path / "g", USER_ID, PASSPHRASE, None)
        fingerprint = parse_certificate(data, "t").fingerprint
        load_gnupg_signer(tmp_path / "g", fingerprint, PASSPHRASE).sign(MESSAGE)
    finally:
        done.set()
        watcher.join()
    assert any(b"--detach-sign" in text for text in seen)
    assert not any(PASSPHRASE in text for text in seen)


def piped(data: bytes) -> int:
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    return read


def test_a_passphrase_from_a_descriptor() -> None:
    descriptor = piped(b"first one\nsecond\n")
    try:
        assert read_passphrase("Passphrase", descriptor=descriptor) == b"first one"
        assert read_passphrase("Passphrase", descriptor=descriptor) == b"second"
        with pytest.raises(InputError, match="not a passphrase"):
            read_passphrase("Passphrase", descriptor=descriptor)
    finally:
        os.close(descriptor)
    with pytest.raises(InputError, match="cannot read"):
        read_passphrase("Passphrase", descriptor=descriptor)


@pytest.mark.parametrize("line", [b"", b"\n", b"x" * 1_025, b"tab\there\n", b"cr\r\n"])
def test_lines_that_are_no_passphrase(line: bytes) -> None:
    descriptor = piped(line)
    with pytest.raises(InputError, match="passphrase"):
        read_passphrase("Passphrase", descriptor=descriptor)
    os.close(descriptor)


def at_a_terminal(typed: list[bytes]) -> tuple[str, str]:
    """Run ASK on a terminal of its own; return its stdout and what the terminal showed."""
    outer, inner = pty.openpty()
    # A session leader that opens a terminal makes it its own, which getpass looks for.
    script = "import os\nos.close(os.open(os.ttyname(0), os.O_RDWR))\n" + ASK
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=inner, stdout=subprocess.PIPE, stderr=inner,
        start_new_session=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    os.close(inner)
    shown = b""
    for line in typed:
        while not shown.endswith(b": "):
            shown += os.read(outer, 1_000)
        os.write(outer, line)
        shown += os.read(outer, 1_000)
    said, _ = process.communicate(timeout=60)
    os.close(outer)
    return said.decode(), shown.decode()


def test_a_person_is_asked_twice_and_nothing_is_echoed() -> None:
    said, shown = at_a_terminal([b"secret12\n", b"secret13\n", b"secret12\n", b"secret12\n"])
    assert said == "got 8\n"
    assert "New passphrase: " in shown
    assert "do not match" in shown
    assert "secret1" not in shown


def test_a_person_may_give_up() -> None:
    said, _ = at_a_terminal([b"\x04"])
    assert said == "InputError no passphrase given\n"


def test_without_a_terminal_nobody_is_asked() -> None:
    result = subprocess.run(
        [sys.executable, "-c", ASK],
        input="secret12\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert result.stdout.startswith("InputError no terminal")


ASK = """
from relsign.sign.keys.passphrase import read_passphrase
try:
    print("got", len(read_passphrase("New passphrase", twice=True)))
except Exception as error:
    print(type(error).__name__, error)
"""

"""A passphrase and a private key, looked for everywhere they could have leaked to."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.projects import PASSPHRASE, PROGRAM, Project

CANARY = b"canary #7 sings in the coal mine"


@contextlib.contextmanager
def watched() -> Iterator[set[bytes]]:
    """Gather arguments and environment of every process that can be seen meanwhile."""
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        seen.add((process / name).read_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def run(home: Path, passphrase: bytes, *words: str) -> tuple[int, bytes]:
    """Run the program with folders of its own; return its exit code and all it said."""
    read_end, write_end = os.pipe()
    os.write(write_end, passphrase + b"\n")
    os.close(write_end)
    places = {"HOME": "", "TMPDIR": "tmp", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache"}
    environment = {name: str(home / folder) for name, folder in places.items()}
    (home / "tmp").mkdir(exist_ok=True)
    try:
        done = subprocess.run(
            [PROGRAM, *words, "--passphrase-fd", str(read_end)],
            capture_output=True, check=False, pass_fds=[read_end],
            env={**os.environ, **environment}, timeout=120,
        )  # fmt: skip
    finally:
        os.close(read_end)
    return done.returncode, done.stdout + done.stderr


def secrets_of(file: Path, passphrase: bytes) -> dict[str, bytes]:
    """Return every form in which a key file's secrets may appear."""
    key = load_pem_private_key(file.read_bytes(), passphrase)
    assert isinstance(key, Ed25519PrivateKey)
    seed = key.private_bytes_raw()
    scalar = hashlib.sha512(seed).digest()[:32]
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "passphrase": passphrase,
        "passphrase, base64": base64.b64encode(passphrase),
        "passphrase, hex": passphrase.hex().encode(),
        "seed": seed,
        "seed, hex": seed.hex().encode(),
        "seed, base64": base64.b64encode(seed)[:-2],
        "key, PEM": pem.splitlines()[1],
        "scalar": scalar,
        "scalar, hex": scalar.hex().encode(),
    }


def leaks(secrets: dict[str, bytes], said: bytes, seen: set[bytes], folder: Path) -> list[str]:
    """Return where any form of a secret stands."""
    found = [f"output: {name}" for name, value in secrets.items() if value in said]
    found += [f"process: {n}" for n, value in secrets.items() if any(value in s for s in seen)]
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found += [f"{path}: {name}" for name, value in secrets.items() if value in data]
    return found


def test_making_a_key_leaks_nothing(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    words = ("key", "new", "zoe", "--role", "signer", "--operator", "zoe", "--organisation", "acme")
    with watched() as seen:
        code, said = run(tmp_path, CANARY, *words, "--keys", str(keys))
    assert code == 0, said
    # The one program that sees key and passphrase was seen at work.
    assert any(b"openssl\0pkcs8" in text for text in seen)
    assert leaks(secrets_of(keys / "zoe" / "key.pem", CANARY), said, seen, tmp_path) == []
    # What looks for leaks finds them.
    (tmp_path / "tmp" / "leak").write_bytes(b"x" + CANARY)
    assert leaks({"passphrase": CANARY}, CANARY, {CANARY}, tmp_path) == [
        "output: passphrase",
        "process: passphrase",
        f"{tmp_path / 'tmp' / 'leak'}: passphrase",
    ]


def under_canary(file: Path) -> None:
    """Encrypt a key file anew: other tests use the passphrase it had, and may be seen."""
    key = load_pem_private_key(file.read_bytes(), PASSPHRASE)
    assert isinstance(key, Ed25519PrivateKey)
    encrypted = BestAvailableEncryption(CANARY)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encrypted))


@pytest.mark.parametrize("wrong", [b"", b" wrong"], ids=["good", "wrong"])
def test_signing_a_release_leaks_nothing(project: Project, tmp_path: Path, wrong: bytes) -> None:
    project.build("builder-a")
    project.build("builder-b")
    for name in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", name) == 0
    keys = shutil.copytree(project.keys, tmp_path / "keys")
    under_canary(keys / "sam" / "key.pem")
    with watched() as seen:
        code, said = run(
            tmp_path, CANARY + wrong,
            "sign", "--as", "sam", "--yes", "--keys", str(keys), "--project", str(project.folder),
        )  # fmt: skip
    assert code == (2 if wrong else 0), said
    assert any(b"sign\0--as\0sam" in text for text in seen)
    assert leaks(secrets_of(keys / "sam" / "key.pem", CANARY), said, seen, tmp_path) == []

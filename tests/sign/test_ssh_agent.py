"""ssh-agent: a real one signs, and nothing a hostile one answers is used."""

from __future__ import annotations

import base64
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key

from relsign.errors import HostError, InputError, NotEnoughError, RelsignError, VerificationError
from relsign.sign.signers.interface import Signer
from relsign.sign.signers.ssh_agent import (
    MAX_MESSAGE_BYTES,
    fingerprint_of,
    load_ssh_agent_signer,
)
from tests.sign.agents import Answer, keys, message, real_agent, string, told_agent

MESSAGE = b"DSSEv1 statement \x00\xff\r\n" * 500


def make_key(folder: Path, kind: str, *words: str) -> tuple[Path, str]:
    """Make a key file; return it and its fingerprint as ssh-keygen says it."""
    path = folder / kind
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path, *words], check=True)
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=True
    ).stdout
    return path, shown.split()[1]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """Return a real agent's socket, and the fingerprints of what it holds."""
    folder = tmp_path_factory.mktemp("a")
    made = {
        "ed25519": make_key(folder, "ed25519"),
        "rsa": make_key(folder, "rsa", "-b", "2048"),
        "ecdsa": make_key(folder, "ecdsa"),
    }
    ca, user = made["ed25519"][0], made["rsa"][0]
    # `ssh-add` takes the certificate beside a key along.
    subprocess.run(
        ["ssh-keygen", "-q", "-s", ca, "-I", "t", "-n", "t", user.with_suffix(".pub")], check=True
    )
    certificate = (folder / "rsa-cert.pub").read_text().split()[1]
    fingerprints = {kind: fingerprint for kind, (_path, fingerprint) in made.items()}
    fingerprints["certificate"] = fingerprint_of(base64.b64decode(certificate))
    with real_agent(folder, *(path for path, _ in made.values())) as path:
        yield path, fingerprints


def test_a_real_agent_signs_with_ed25519(
    held: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fingerprints = held
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    signer: Signer = load_ssh_agent_signer(fingerprints["ed25519"], None)
    assert signer.public.kind == "ed25519"
    signature = signer.sign(MESSAGE)
    Ed25519PublicKey.from_public_bytes(signer.public.data).verify(signature, MESSAGE)


def test_a_real_agent_signs_with_rsa(held: tuple[Path, dict[str, str]]) -> None:
    path, fingerprints = held
    signer = load_ssh_agent_signer(fingerprints["rsa"], path)
    assert (signer.public.kind, signer.public.scheme) == ("rsa", "rsa-pkcs1v15-sha512")
    public = load_der_public_key(signer.public.data)
    assert isinstance(public, RSAPublicKey)
    public.verify(signer.sign(MESSAGE), MESSAGE, PKCS1v15(), SHA512())


@pytest.mark.parametrize(
    ("kind", "reason"), [("ecdsa", "not a kind of key"), ("certificate", "a certificate")]
)
def test_other_kinds_are_refused(held: tuple[Path, dict[str, str]], kind: str, reason: str) -> None:
    path, fingerprints = held
    with pytest.raises(InputError, match=reason):
        load_ssh_agent_signer(fingerprints[kind], path)


def test_a_key_that_is_not_or_no_longer_held(held: tuple[Path, dict[str, str]]) -> None:
    path, fingerprints = held
    with pytest.raises(NotEnoughError, match="does not hold"):
        load_ssh_agent_signer("SHA256:" + "A" * 43, path)
    signer = load_ssh_agent_signer(fingerprints["ed25519"], path)
    environment = {"SSH_AUTH_SOCK": str(path)}
    key = path.parent / "ed25519"
    subprocess.run(["ssh-add", "-q", "-d", key], env=environment, check=True)
    try:
        with pytest.raises(InputError, match="did not sign"):
            signer.sign(MESSAGE)
    finally:
        subprocess.run(["ssh-add", "-q", key], env=environment, check=True, capture_output=True)


def test_a_message_that_is_too_long_for_an_agent(held: tuple[Path, dict[str, str]]) -> None:
    path, fingerprints = held
    signer = load_ssh_agent_signer(fingerprints["ed25519"], path)
    with pytest.raises(InputError, match="too long"):
        signer.sign(bytes(MAX_MESSAGE_BYTES))


def test_where_there_is_no_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows: list[tuple[str | None, type[RelsignError], str]] = [
        (None, InputError, "no ssh-agent"),
        ("", InputError, "no ssh-agent"),
        ("agent", InputError, "absolute"),
        (str(tmp_path / "absent"), HostError, "cannot talk"),
        (str(tmp_path / ("x" * 108)), InputError, "too long"),
    ]
    for value, kind, reason in rows:
        if value is None:
            monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        else:
            monkeypatch.setenv("SSH_AUTH_SOCK", value)
        with pytest.raises(kind, match=reason) as refused:
            load_ssh_agent_signer("SHA256:" + "A" * 43, None)
        assert refused.value.hint


def ed25519_blob(raw: bytes) -> bytes:
    return string(b"ssh-ed25519") + string(raw)


def rsa_blob(exponent: bytes, modulus: bytes) -> bytes:
    return string(b"ssh-rsa") + string(exponent) + string(modulus)


OWN = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
BLOB = ed25519_blob(OWN.public_key().public_bytes_raw())
ODD = b"\x00" + b"\xff" * 256

LISTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "hung up"),
    "half a length": (b"\0\0", "hung up"),
    "half an answer": (keys(BLOB)[:-1], "hung up"),
    "no length": (struct.pack(">I", 0), "0 bytes"),
    "too long": (struct.pack(">I", MAX_MESSAGE_BYTES + 1) + b"x", "bytes"),
    "huge": (b"\xff\xff\xff\xff" + b"x", "4294967295 bytes"),
    "another protocol": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "bytes"),
    "a failure": (message(5, b""), "type 5"),
    "a signature": (message(14, string(b"x")), "type 14"),
    "no count": (message(12, b""), "longer than its message"),
    "too many": (message(12, struct.pack(">I", 257)), "257 keys"),
    "fewer than said": (message(12, struct.pack(">I", 2) + string(BLOB) + string(b"")), "longer"),
    "a long key": (message(12, struct.pack(">II", 1, 1 << 31)), "longer"),
    "more than said": (message(12, struct.pack(">I", 0) + b"x"), "1 bytes too many"),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_keys_that_are_none(tmp_path: Path, name: str) -> None:
    data, reason = LISTS[name]
    with told_agent(tmp_path, lambda _request: data) as path, pytest.raises(HostError) as refused:
        load_ssh_agent_signer(fingerprint_of(BLOB), path, timeout_seconds=5)
    assert reason in refused.value.got
    assert refused.value.hint


BLOBS: dict[str, tuple[bytes, str]] = {
    "no kind": (b"", "longer than its message"),
    "no key": (string(b"ssh-ed25519"), "longer than its message"),
    "more than a key": (BLOB + b"x", "1 bytes too many"),
    "a negative number": (rsa_blob(b"\x01\x00\x01", b"\xff" * 256), "shortest form"),
    "a needless zero": (rsa_blob(b"\x00\x01\x00\x01", ODD), "shortest form"),
    "no number": (rsa_blob(b"", ODD), "shortest form"),
    "a long number": (rsa_blob(b"\x01\x00\x01", b"\x7f" * 1_026), "1026 bytes"),
    "no RSA key": (rsa_blob(b"\x02", ODD), "no RSA key"),
}


@pytest.mark.parametrize("name", BLOBS)
def test_keys_that_are_none(tmp_path: Path, name: str) -> None:
    blob, reason = BLOBS[name]
    with (
        told_agent(tmp_path, lambda _request: keys(blob)) as path,
        pytest.raises(HostError) as refused,
    ):
        load_ssh_agent_signer(fingerprint_of(blob), path, timeout_seconds=5)
    assert reason in refused.value.got


def signing(answer: bytes | None) -> Answer:
    """Return an agent that lists the right key and answers this when it is to sign."""
    return lambda request: keys(BLOB) if request[0] == 11 else answer


def signed_by(key: Ed25519PrivateKey, data: bytes, name: bytes = b"ssh-ed25519") -> bytes:
    return message(14, string(string(name) + string(key.sign(data))))


GOOD = OWN.sign(MESSAGE)
SIGNATURES: dict[str, tuple[bytes, type[RelsignError]]] = {
    "by another key": (signed_by(OTHER, MESSAGE), VerificationError),
    "of another message": (signed_by(OWN, MESSAGE + b"x"), VerificationError),
    "of no length": (message(14, string(string(b"ssh-ed25519") + string(b""))), VerificationError),
    "cut": (message(14, string(string(b"ssh-ed25519") + string(GOOD[:63]))), VerificationError),
    "under another name": (signed_by(OWN, MESSAGE, b"ssh-rsa"), HostError),
    "with more behind": (
        message(14, string(string(b"ssh-ed25519") + string(GOOD) + b"x")), HostError,
    ),
    "with more around": (
        message(14, string(string(b"ssh-ed25519") + string(GOOD)) + b"x"), HostError,
    ),
    "of another type": (keys(BLOB), HostError),
    "not at all": (message(5, b""), InputError),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_that_are_not_used(tmp_path: Path, name: str) -> None:
    answer, kind = SIGNATURES[name]
    with told_agent(tmp_path, signing(answer)) as path:
        signer = load_ssh_agent_signer(fingerprint_of(BLOB), path, timeout_seconds=5)
        with pytest.raises(kind):
            signer.sign(MESSAGE)


def test_the_same_agent_that_signs_well_is_believed(tmp_path: Path) -> None:
    with told_agent(tmp_path, signing(signed_by(OWN, MESSAGE))) as path:
        signer = load_ssh_agent_signer(fingerprint_of(BLOB), path, timeout_seconds=5)
        assert signer.sign(MESSAGE) == GOOD


def test_a_key_of_small_order_signs_nothing(tmp_path: Path) -> None:
    # The identity: for it, the signature (identity, 0) holds for every message.
    point = b"\x01" + bytes(31)
    blob = ed25519_blob(point)
    forged = message(14, string(string(b"ssh-ed25519") + string(point + bytes(32))))
    with told_agent(tmp_path, lambda asked: keys(blob) if asked[0] == 11 else forged) as path:
        signer = load_ssh_agent_signer(fingerprint_of(blob), path, timeout_seconds=5)
        with pytest.raises(InputError, match="not an acceptable"):
            signer.sign(MESSAGE)


@pytest.mark.parametrize("answer", [None, struct.pack(">I", 9) + b"\x0c"], ids=["none", "half"])
def test_an_agent_that_hangs(tmp_path: Path, answer: bytes | None) -> None:
    def hang(_request: bytes) -> bytes | None:
        if answer is not None:
            time.sleep(0.6)
        return answer

    with told_agent(tmp_path, hang) as path:
        begun = time.monotonic()
        with pytest.raises(HostError, match="does not answer"):
            load_ssh_agent_signer(fingerprint_of(BLOB), path, timeout_seconds=0.3)
        assert time.monotonic() - begun < 3

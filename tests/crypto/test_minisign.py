"""minisign files: against Debian's minisign both ways, and byte by byte."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.minisign import (
    key_number,
    parse_public_key,
    public_key_text,
    signature_file,
    verify_file,
)
from relsign.errors import InputError, VerificationError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
DATA = b"a release\n"
DIGEST = hashlib.blake2b(DATA).digest()
COMMENT = "gzip 1.12 clever ritual force hedgehog"
GOOD = signature_file(KEY.sign, RAW, DIGEST, COMMENT)


def minisign(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["minisign", *words], capture_output=True, text=True, check=False, input=""
    )


def test_minisign_verifies_ours(tmp_path: Path) -> None:
    public, data = tmp_path / "k.pub", tmp_path / "data"
    public.write_bytes(public_key_text(RAW))
    data.write_bytes(DATA)
    (tmp_path / "data.minisig").write_bytes(GOOD)
    good = minisign("-V", "-p", public, "-m", data)
    assert good.returncode == 0, good.stderr
    assert f"Trusted comment: {COMMENT}" in good.stdout
    line = public_key_text(RAW).splitlines()[1].decode()
    assert minisign("-V", "-P", line, "-m", data).returncode == 0
    data.write_bytes(DATA + b"x")
    assert minisign("-V", "-p", public, "-m", data).returncode != 0


def test_we_verify_what_minisign_makes(tmp_path: Path) -> None:
    public, secret, data = tmp_path / "k.pub", tmp_path / "k.key", tmp_path / "data"
    data.write_bytes(DATA)
    assert minisign("-G", "-W", "-p", public, "-s", secret).returncode == 0
    assert minisign("-S", "-s", secret, "-m", data, "-t", COMMENT).returncode == 0
    key = parse_public_key(public.read_bytes(), "k.pub")
    made = (tmp_path / "data.minisig").read_bytes()
    assert verify_file(key.raw, made, DIGEST, "data.minisig", number=key.number) == COMMENT
    with pytest.raises(VerificationError, match="by another key"):
        verify_file(key.raw, made, DIGEST, "data.minisig")
    # Without a comment of ours, minisign writes one with tabs.
    assert minisign("-S", "-s", secret, "-m", data).returncode == 0
    made = (tmp_path / "data.minisig").read_bytes()
    assert "\tfile:data" in verify_file(key.raw, made, DIGEST, "t", number=key.number)
    # The old form signs the file itself: refused, as it would not be bounded in memory.
    assert minisign("-S", "-l", "-s", secret, "-m", data).returncode == 0
    made = (tmp_path / "data.minisig").read_bytes()
    with pytest.raises(InputError, match="expected kind"):
        verify_file(key.raw, made, DIGEST, "t", number=key.number)


def test_our_public_key_comes_back() -> None:
    key = parse_public_key(public_key_text(RAW), "t")
    assert (key.raw, key.number) == (RAW, key_number(RAW))
    assert key_number(RAW) == hashlib.sha256(RAW).digest()[:8]


def changed(line: int, old: str, new: str) -> bytes:
    lines = GOOD.decode().split("\n")
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    return "\n".join(lines).encode()


def encoded(line: int, data: bytes) -> bytes:
    lines = GOOD.split(b"\n")
    lines[line] = base64.b64encode(data)
    return b"\n".join(lines)


FIRST = base64.b64decode(GOOD.split(b"\n")[1])
SECOND = base64.b64decode(GOOD.split(b"\n")[3])
REFUSED: dict[str, tuple[bytes, type[Exception]]] = {
    "empty": (b"", InputError),
    "huge": (GOOD + b"\n" * 20_000, InputError),
    "not ASCII": (GOOD.replace(b"gzip", b"gz\xffp"), InputError),
    "no last line end": (GOOD[:-1], InputError),
    "a fifth line": (GOOD + b"x\n", InputError),
    "carriage returns": (GOOD.replace(b"\n", b"\r\n"), InputError),
    "no untrusted comment": (changed(0, "untrusted", "trusted"), InputError),
    "no trusted comment": (changed(2, "trusted comment: ", "comment: "), InputError),
    "long comment": (changed(0, "relsign", "x" * 1_024), InputError),
    "not base64": (changed(1, "R", "*"), InputError),
    "short": (encoded(1, FIRST[:-1]), InputError),
    "short global": (encoded(3, SECOND[:-1]), InputError),
    "old form": (encoded(1, b"Ed" + FIRST[2:]), InputError),
    "other number": (encoded(1, FIRST[:2] + bytes(8) + FIRST[10:]), VerificationError),
    "signature changed": (encoded(1, FIRST[:-1] + b"\x00"), VerificationError),
    "global changed": (encoded(3, SECOND[:-1] + b"\x00"), VerificationError),
    "comment changed": (changed(2, "1.12", "1.13"), VerificationError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_refused(name: str) -> None:
    data, error = REFUSED[name]
    with pytest.raises(error):
        verify_file(RAW, data, DIGEST, "t")


def test_base64_has_one_form() -> None:
    # 74 bytes end in a character with two unused bits.
    body = GOOD.decode().split("\n")[1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = body.rstrip("=")[-1]
    twin = alphabet[alphabet.index(last) ^ 1]
    position = len(body.rstrip("=")) - 1
    other = body[:position] + twin + body[position + 1 :]
    assert base64.b64decode(other) == base64.b64decode(body)
    with pytest.raises(InputError, match="canonical"):
        verify_file(RAW, GOOD.replace(body.encode(), other.encode()), DIGEST, "t")


def test_other_data_and_other_keys() -> None:
    with pytest.raises(VerificationError):
        verify_file(RAW, GOOD, hashlib.blake2b(b"else").digest(), "t")
    with pytest.raises(VerificationError):
        verify_file(bytes(32), GOOD, DIGEST, "t", number=key_number(RAW))


@pytest.mark.parametrize("comment", ["two\nlines", "esc\x1b", "\u202e", "x" * 1_025])
def test_comments_that_are_refused(comment: str) -> None:
    with pytest.raises(InputError):
        signature_file(KEY.sign, RAW, DIGEST, comment)


def test_sizes_are_checked() -> None:
    for call in (
        lambda: public_key_text(RAW + b"x"),
        lambda: verify_file(RAW[:-1], GOOD, DIGEST, "t"),
        lambda: verify_file(RAW, GOOD, DIGEST[:-1], "t"),
        lambda: signature_file(KEY.sign, b"", DIGEST, ""),
    ):
        with pytest.raises(InputError):
            call()


def test_a_signer_that_makes_rubbish_is_found_out() -> None:
    other = Ed25519PrivateKey.generate()
    with pytest.raises(VerificationError):
        signature_file(other.sign, RAW, DIGEST, COMMENT)
    with pytest.raises(VerificationError):
        signature_file(lambda _: b"", RAW, DIGEST, COMMENT)


def test_nothing_is_signed_over_a_first_signature_that_does_not_hold() -> None:
    """64 bytes of somebody's choice would be an OpenPGP signature over anything."""
    asked: list[bytes] = []

    def chosen(message: bytes) -> bytes:
        asked.append(message)
        return b"c" * 64

    with pytest.raises(VerificationError):
        signature_file(chosen, RAW, DIGEST, COMMENT)
    assert asked == [DIGEST]


def test_an_altered_file_never_verifies() -> None:
    # The seed makes the run repeatable; nothing secret depends on it.
    chance = random.Random(3)  # noqa: S311
    unsigned = len(b"untrusted comment: ")
    for _ in range(1_000):
        data = bytearray(GOOD)
        position = chance.randrange(len(data))
        data[position] ^= 1 << chance.randrange(8)
        try:
            verify_file(RAW, bytes(data), DIGEST, "t")
        except (InputError, VerificationError):
            continue
        assert unsigned <= position < GOOD.index(b"\n")


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_our_errors(data: bytes) -> None:
    with pytest.raises((InputError, VerificationError)):
        verify_file(RAW, data, DIGEST, "t")
    with contextlib.suppress(InputError):
        parse_public_key(data, "t")

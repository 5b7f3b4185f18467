"""signify files: against OpenBSD's signify both ways, byte by byte, and across formats."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.keys import Ed25519Public
from relsign.crypto.minisign import key_number
from relsign.crypto.minisign import signature_file as minisign_file
from relsign.crypto.openpgp_make import certificate
from relsign.crypto.signatures import verify_ed25519
from relsign.crypto.signify import (
    parse_public_key,
    public_key_file,
    signature_file,
    verify_file,
)
from relsign.crypto.sshsig import signed_bytes
from relsign.errors import InputError, VerificationError
from tests.crypto.make_tools import first_message, flipped, lies, run, signer

KEY, OTHER = signer(1), signer(9)
RAW = KEY.raw
DATA = "4f2c  tar.tar.gz\n7d1b  t\u00e4r\ttwo\r\n".encode()
COMMENT = "verify with tar.pub"
GOOD = signature_file(RAW, DATA, KEY.sign, COMMENT)
PUBLIC = public_key_file(RAW, "tar release key")


def signify_says(folder: Path, made: bytes, data: bytes = DATA, public: bytes = PUBLIC) -> bool:
    paths = [folder / name for name in ("tar.pub", "data", "data.sig")]
    for path, body in zip(paths, (public, data, made), strict=True):
        path.write_bytes(body)
    return run("signify-openbsd", "-V", "-p", paths[0], "-m", paths[1]).returncode == 0


def we_say(made: bytes, data: bytes = DATA) -> bool:
    try:
        verify_file(RAW, made, data, "t")
    except (InputError, VerificationError):
        return False
    return True


def test_signify_verifies_ours(tmp_path: Path) -> None:
    assert signify_says(tmp_path, GOOD)
    assert we_say(GOOD)
    assert GOOD.splitlines()[0] == b"untrusted comment: verify with tar.pub"
    # OpenSSL needs no file format at all: the raw signature over the file itself.
    made = base64.b64decode(GOOD.splitlines()[1])[10:]
    (tmp_path / "raw.sig").write_bytes(made)
    head = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + RAW).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{head}\n-----END PUBLIC KEY-----\n"
    (tmp_path / "key.pem").write_text(pem)
    words = ["-verify", "-rawin", "-pubin", "-inkey", tmp_path / "key.pem"]
    files = ["-in", tmp_path / "data", "-sigfile", tmp_path / "raw.sig"]
    assert run("openssl", "pkeyutl", *words, *files).returncode == 0


def test_we_verify_what_signify_makes(tmp_path: Path) -> None:
    public, secret, data = tmp_path / "s.pub", tmp_path / "s.sec", tmp_path / "data"
    data.write_bytes(DATA)
    made = run("signify-openbsd", "-G", "-n", "-c", "tar", "-p", public, "-s", secret)
    assert made.returncode == 0, made.stderr
    assert run("signify-openbsd", "-S", "-s", secret, "-m", data).returncode == 0
    key = parse_public_key(public.read_bytes(), "s.pub")
    signature = (tmp_path / "data.sig").read_bytes()
    verify_file(key.raw, signature, DATA, "data.sig", number=key.number)
    with pytest.raises(VerificationError, match="by another key"):
        verify_file(key.raw, signature, DATA, "data.sig")


def test_our_public_key_comes_back() -> None:
    key = parse_public_key(PUBLIC, "t")
    assert (key.raw, key.number) == (RAW, key_number(RAW))
    assert key.number == hashlib.sha256(RAW).digest()[:8]


def line(body: bytes, comment: bytes = b"untrusted comment: x") -> bytes:
    return comment + b"\n" + base64.b64encode(body) + b"\n"


BODY = base64.b64decode(GOOD.splitlines()[1])
WRONG: dict[str, bytes] = {
    "empty": b"",
    "flipped": line(flipped(BODY, -1)),
    "halves swapped": line(BODY[:10] + BODY[42:] + BODY[10:42]),
    "other key": signature_file(OTHER.raw, DATA, OTHER.sign, COMMENT),
    "other number": line(BODY[:2] + bytes(8) + BODY[10:]),
    "other algorithm": line(b"ED" + BODY[2:]),
    "short": line(BODY[:-1]),
    "long": line(BODY + b"\0"),
    "no comment": GOOD.split(b"\n", 1)[1],
    "other comment": GOOD.replace(b"untrusted", b"trusted"),
    "not base64": GOOD.replace(b"\nRW", b"\n*W"),
    "other data": signature_file(RAW, DATA + b"x", KEY.sign, COMMENT),
    "a public key": PUBLIC,
    "a minisign signature": minisign_file(KEY.sign, RAW, hashlib.blake2b(DATA).digest(), "x"),
    "huge": GOOD.replace(COMMENT.encode(), b"x" * 3_000),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_wrong_to_both(name: str, tmp_path: Path) -> None:
    assert not we_say(WRONG[name])
    assert not signify_says(tmp_path, WRONG[name])


STRICTER: dict[str, bytes] = {
    "not ASCII": GOOD.replace(b"tar.pub", b"t\xffr.pub"),
    "long comment": GOOD.replace(COMMENT.encode(), b"x" * 201),
    "no last line end": GOOD[:-1],
    "text after": GOOD + b"\n",
}


@pytest.mark.parametrize("name", STRICTER)
def test_files_that_only_we_refuse(name: str) -> None:
    with pytest.raises(InputError):
        verify_file(RAW, STRICTER[name], DATA, "t")


@pytest.mark.parametrize(
    "data", [b"", PUBLIC[:-1], GOOD, line(b"Ed" + bytes(8) + bytes(32)), line(b"Ed" + bytes(41))]
)
def test_public_keys_that_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_public_key(data, "t")


# --- across formats ----------------------------------------------------------------------------

AT = datetime(2024, 1, 1, tzinfo=UTC)
ELSEWHERE: dict[str, bytes] = {
    "what OpenPGP signs": first_message(lambda sign: certificate(RAW, "T", AT, None, sign)),
    "what minisign signs": hashlib.blake2b(DATA).digest(),
    "what SSH signs": signed_bytes(DATA, "file"),
    "what DSSE signs": b"DSSEv1 28 application/vnd.in-toto+json 2 {}",
    "a root of TUF": b'{"_type":"root"}',
    "text of 64 bytes": b"x" * 64,
    "a signature and a comment": KEY.private.sign(b"") + b"tar 1.0",
    "not UTF-8": b"\xff",
    "a binary file": b"\x7fELF",
    "NUL": b"a\0",
    "C1": "\u0085".encode(),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_another_format_signs_is_not_signed_here(name: str, tmp_path: Path) -> None:
    message = ELSEWHERE[name]
    asked: list[bytes] = []

    def remember(data: bytes) -> bytes:
        asked.append(data)
        return KEY.private.sign(data)

    with pytest.raises(InputError, match="not a message for signify"):
        signature_file(RAW, message, remember, COMMENT)
    assert asked == []
    # signify itself would take the file for signed: so nobody may be made to sign it.
    body = BODY[:10] + KEY.private.sign(message)
    assert signify_says(tmp_path, line(body), message)
    with pytest.raises(VerificationError, match="not a message for signify"):
        verify_file(RAW, line(body), message, "t")


def test_text_that_is_nothing_else_is_signed() -> None:
    for message in (b"", b"x" * 63, b"x" * 65, b"SHA256 (a) = 1\n", b" {}"):
        made = signature_file(RAW, message, KEY.sign, "")
        verify_ed25519(Ed25519Public(RAW), base64.b64decode(made.splitlines()[1])[10:], message)


# --- making ------------------------------------------------------------------------------------


def test_the_message_itself_is_asked_for() -> None:
    assert first_message(lambda sign: signature_file(RAW, DATA, sign, COMMENT)) == DATA


@pytest.mark.parametrize("lie", lies())
def test_a_signer_that_lies_is_found_out(lie: str) -> None:
    with pytest.raises(VerificationError, match="does not verify"):
        signature_file(RAW, DATA, lies()[lie], COMMENT)


REFUSED: dict[str, Callable[[], object]] = {
    "short key": lambda: public_key_file(RAW[:-1], ""),
    "small order": lambda: signature_file(bytes([1]) + bytes(31), DATA, KEY.sign, ""),
    "comment of two lines": lambda: signature_file(RAW, DATA, KEY.sign, "a\nb"),
    "long comment": lambda: public_key_file(RAW, "x" * 201),
    "comment not ASCII": lambda: public_key_file(RAW, "\u00e9"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_arguments_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        REFUSED[name]()


@given(st.binary(max_size=200))
def test_any_bytes_raise_only_our_errors(data: bytes) -> None:
    for made in (data, line(data), line(b"Ed" + data)):
        with pytest.raises((InputError, VerificationError)):
            verify_file(RAW, made, DATA, "t")
        with contextlib.suppress(InputError):
            parse_public_key(made, "t")
    with contextlib.suppress(VerificationError):
        verify_file(RAW, GOOD, data, "t")


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_an_altered_file_never_verifies(position: int, mask: int) -> None:
    made = flipped(GOOD, position, mask)
    try:
        verify_file(RAW, made, DATA, "t")
    except (InputError, VerificationError):
        return
    # Only the words of the untrusted comment are nobody's.
    assert len(b"untrusted comment: ") <= position < GOOD.index(b"\n")

"""SSH signatures: ssh-keygen both ways, byte by byte, and what we refuse besides."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.spki import parse_key
from relsign.crypto.sshsig import (
    RELEASE_NAMESPACE,
    allowed_signers_line,
    parse_armor,
    public_key_line,
    signature_file,
    signed_bytes,
    verify_file,
)
from relsign.errors import InputError, VerificationError
from tests.crypto.make_tools import first_message, flipped, lies, run, signer

KEY, OTHER = signer(1), signer(9)
RAW = KEY.raw
DATA = b"4f2c  tar.tar.gz\n"
WHO = "tar@example.org"
GOOD = signature_file(RAW, DATA, "file", KEY.sign)
HEADER = "-----BEGIN SSH SIGNATURE-----"


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def armored(blob: bytes, columns: int = 70) -> bytes:
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + columns] for start in range(0, len(text), columns)]
    return "\n".join([HEADER, *lines, HEADER.replace("BEGIN", "END"), ""]).encode()


def built(
    *,
    reserved: bytes = b"",
    hash_name: str = "sha512",
    kind: bytes = b"ssh-ed25519",
    after: bytes = b"",
    after_inner: bytes = b"",
    made: bytes | None = None,
) -> bytes:
    """Build a signature from the specification, right unless told otherwise."""
    if made is None:
        made = KEY.private.sign(
            signed_bytes(DATA, "file", "sha256" if "256" in hash_name else "sha512")
        )
    return b"".join(
        (
            b"SSHSIG\0\0\0\x01",
            string(string(b"ssh-ed25519") + string(RAW)),
            string(b"file"),
            string(reserved),
            string(hash_name.encode()),
            string(string(kind) + string(made) + after_inner),
            after,
        )
    )


def ssh_says(folder: Path, made: bytes, data: bytes = DATA, namespace: str = "file") -> bool:
    """Ask ssh-keygen whether WHO made a signature."""
    signature, signers = folder / "made.sig", folder / "signers"
    signature.write_bytes(made)
    signers.write_bytes(allowed_signers_line(RAW, WHO, (namespace,)))
    words = ["-f", signers, "-I", WHO, "-n", namespace, "-s", signature]
    return run("ssh-keygen", "-Y", "verify", *words, stdin=data).returncode == 0


def we_say(made: bytes, data: bytes = DATA, namespace: str = "file") -> bool:
    try:
        verify_file(RAW, made, data, namespace, "t")
    except (InputError, VerificationError):
        return False
    return True


@pytest.mark.parametrize("namespace", ["file", "git", RELEASE_NAMESPACE])
def test_ssh_keygen_accepts_ours(namespace: str, tmp_path: Path) -> None:
    made = signature_file(RAW, DATA, namespace, KEY.sign)
    assert ssh_says(tmp_path, made, namespace=namespace)
    assert we_say(made, namespace=namespace)
    path = tmp_path / "made.sig"
    seen = run("ssh-keygen", "-Y", "check-novalidate", "-n", namespace, "-s", path, stdin=DATA)
    assert seen.returncode == 0
    found = run("ssh-keygen", "-Y", "find-principals", "-s", path, "-f", tmp_path / "signers")
    assert found.stdout.decode().strip() == WHO


def test_ssh_keygen_makes_the_same_file(tmp_path: Path) -> None:
    private = tmp_path / "key"
    private.write_bytes(
        KEY.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    )
    private.chmod(0o600)
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-f", private, "-n", "file"]
    assert run(*sign, stdin=DATA).stdout == GOOD
    assert run("ssh-keygen", "-y", "-f", private).stdout == public_key_line(RAW)
    made = run(*sign, "-O", "hashalg=sha256", stdin=DATA).stdout
    assert made == armored(built(hash_name="sha256"))
    assert we_say(made)


def test_the_public_key_line_is_read_by_others(tmp_path: Path) -> None:
    line = public_key_line(RAW, "release key of tar")
    assert line.endswith(b" release key of tar\n")
    assert RAW in parse_key(line, "t").spki
    path = tmp_path / "key.pub"
    path.write_bytes(line)
    shown = run("ssh-keygen", "-l", "-f", path).stdout.decode()
    assert shown.startswith("256 SHA256:")
    # The name of the key in a refusal is the one ssh-keygen shows.
    theirs = signature_file(OTHER.raw, DATA, "file", OTHER.sign)
    with pytest.raises(VerificationError, match="by another key") as caught:
        verify_file(RAW, theirs, DATA, "file", "t")
    assert caught.value.expected == shown.split()[1]


def test_allowed_signers_limits_what_a_key_is_for(tmp_path: Path) -> None:
    line = allowed_signers_line(RAW, WHO)
    assert line.startswith(b'tar@example.org namespaces="file" ssh-ed25519 AAAA')
    signers, path = tmp_path / "signers", tmp_path / "git.sig"
    signers.write_bytes(line)
    path.write_bytes(signature_file(RAW, DATA, "git", KEY.sign))
    command = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", WHO, "-n", "git", "-s", path]
    assert run(*command, stdin=DATA).returncode != 0
    signers.write_bytes(allowed_signers_line(RAW, WHO, ("file", "git")))
    assert run(*command, stdin=DATA).returncode == 0


WRONG: dict[str, bytes] = {
    "empty": b"",
    "flipped": armored(flipped(built(), -1)),
    "halves swapped": armored(built()[:-64] + built()[-32:] + built()[-64:-32]),
    "other key": signature_file(OTHER.raw, DATA, "file", OTHER.sign),
    "other namespace": signature_file(RAW, DATA, "git", KEY.sign),
    "other data": signature_file(RAW, DATA + b"x", "file", KEY.sign),
    "raw signature of the file": armored(built(made=KEY.private.sign(DATA))),
    "truncated": GOOD[:200],
    "no end": GOOD[: GOOD.index(b"-----END")],
    "no begin": GOOD[30:],
    "version 2": armored(b"SSHSIG\0\0\0\x02" + built()[10:]),
    "no magic": armored(b"SSHGIS" + built()[6:]),
    "hash with another name": armored(built(hash_name="sha384")),
    "hash said wrong": armored(built().replace(b"sha512", b"sha256")),
    "another kind of signature": armored(built(kind=b"ssh-ed25518")),
    "signature too short": armored(built(made=bytes(63))),
    "bytes after the signature": armored(built(after_inner=b"x")),
    "bytes after the last field": armored(built(after=b"x")),
    "cut within": armored(built()[:-1]),
    "cut in a length": armored(built()[:12]),
    "not base64": GOOD.replace(b"U1NIU0lH", b"U1NI*0lH"),
    "not ASCII": GOOD.replace(b"U1NIU0lH", b"U1NI\xff0lH"),
    "carriage returns": GOOD.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_wrong_to_both(name: str, tmp_path: Path) -> None:
    assert not we_say(WRONG[name])
    assert not ssh_says(tmp_path, WRONG[name])


def test_the_rows_are_wrong_for_one_reason_each(tmp_path: Path) -> None:
    assert armored(built()) == GOOD
    assert we_say(GOOD)
    assert ssh_says(tmp_path, GOOD)


STRICTER: dict[str, bytes] = {
    # Nothing signs the reserved field of the file: ssh-keygen reads past it.
    "reserved field filled": armored(built(reserved=b"anything")),
    "other columns": armored(built(), columns=64),
    "reserved field too large for us": armored(built(reserved=bytes(5_000))),
    "text after": GOOD + b"x\n",
}


@pytest.mark.parametrize("name", STRICTER)
def test_what_ssh_keygen_takes_and_we_do_not(name: str, tmp_path: Path) -> None:
    assert ssh_says(tmp_path, STRICTER[name])
    with pytest.raises(InputError):
        verify_file(RAW, STRICTER[name], DATA, "file", "t")


def test_stray_bits_of_base64_are_refused() -> None:
    odd = built(made=bytes(64), reserved=b"xx")
    text = armored(odd).decode()
    assert "=\n-----END" in text
    place = text.index("=\n-----END") - 1
    assert parse_armor(text.encode(), "t") == odd
    following = chr(ord(text[place]) + 1)
    with pytest.raises(InputError):
        parse_armor((text[:place] + following + text[place + 1 :]).encode(), "t")


# --- making ------------------------------------------------------------------------------------


def test_what_is_asked_depends_on_the_arguments_only() -> None:
    message = first_message(lambda sign: signature_file(RAW, DATA, "file", sign))
    assert message == signed_bytes(DATA, "file")
    assert message.startswith(b"SSHSIG\0\0\0\x04file\0\0\0\0\0\0\0\x06sha512\0\0\0\x40")


@pytest.mark.parametrize("lie", lies())
def test_a_signer_that_lies_is_found_out(lie: str) -> None:
    with pytest.raises(VerificationError, match="does not verify"):
        signature_file(RAW, DATA, "file", lies()[lie])


REFUSED: dict[str, Callable[[], object]] = {
    "no namespace": lambda: signature_file(RAW, DATA, "", KEY.sign),
    "blank in the namespace": lambda: signed_bytes(DATA, "my file"),
    "line end in the namespace": lambda: signed_bytes(DATA, "file\n"),
    "long namespace": lambda: signed_bytes(DATA, "x" * 101),
    "pattern as namespace": lambda: allowed_signers_line(RAW, WHO, ("*",)),
    "verified without namespace": lambda: verify_file(RAW, GOOD, DATA, "", "t"),
    "no namespaces": lambda: allowed_signers_line(RAW, WHO, ()),
    "pattern as principal": lambda: allowed_signers_line(RAW, "*@example.org"),
    "two principals": lambda: allowed_signers_line(RAW, "a,b"),
    "quoted principal": lambda: allowed_signers_line(RAW, 'a"'),
    "short key": lambda: public_key_line(RAW[:-1]),
    "small order": lambda: signature_file(bytes([1]) + bytes(31), DATA, "file", KEY.sign),
    "small order verifies": lambda: verify_file(bytes(32), GOOD, DATA, "file", "t"),
    "comment of two lines": lambda: public_key_line(RAW, "a\nb"),
    "comment with a blank end": lambda: public_key_line(RAW, "a "),
    "long comment": lambda: public_key_line(RAW, "x" * 101),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_arguments_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        REFUSED[name]()


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_our_errors(data: bytes) -> None:
    for made in (data, armored(data), armored(b"SSHSIG\0\0\0\x01" + data)):
        with pytest.raises((InputError, VerificationError)):
            verify_file(RAW, made, DATA, "file", "t")
        with contextlib.suppress(InputError):
            parse_armor(made, "t")


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_an_altered_file_never_verifies(position: int, mask: int) -> None:
    with pytest.raises((InputError, VerificationError)):
        verify_file(RAW, flipped(GOOD, position, mask), DATA, "file", "t")

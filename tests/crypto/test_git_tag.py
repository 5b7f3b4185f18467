"""Signed git tags: git takes them as its own, and refuses what we refuse."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.git_tag import (
    Tag,
    object_id,
    parse_payload,
    parse_signed_tag,
    signed_tag,
    tag_payload,
)
from relsign.crypto.openpgp_armor import armor
from relsign.crypto.openpgp_make import certificate, detached
from relsign.crypto.sshsig import GIT_NAMESPACE, allowed_signers_line, signature_file
from relsign.errors import InputError
from tests.crypto.make_tools import (
    CREATED,
    EXPIRES,
    SIGNED,
    USER_ID,
    Gpg,
    flipped,
    git_environment,
    gpg_home,
    signer,
)

KEY, OTHER = signer(1), signer(9)
CERT = certificate(KEY.raw, USER_ID, CREATED, EXPIRES, KEY.sign)
TAGGER = "Tar Maintainer <tar@example.org>"
MESSAGE = "tar 1.0\n\nSecond paragraph: \u00e4.\n- a list"
SHA1, SHA256 = "1" * 40, "2" * 64
PAYLOAD = tag_payload(SHA1, "v1.0", TAGGER, SIGNED, MESSAGE)


def by_openpgp(payload: bytes) -> bytes:
    return armor(detached(CERT, payload, SIGNED, KEY.sign), "SIGNATURE")


def by_ssh(payload: bytes) -> bytes:
    return signature_file(KEY.raw, payload, GIT_NAMESPACE, KEY.sign)


PGP_TAG = signed_tag(PAYLOAD, by_openpgp(PAYLOAD))
SSH_TAG = signed_tag(PAYLOAD, by_ssh(PAYLOAD))


@dataclass(frozen=True)
class Repository:
    """A git repository with one commit, and nobody's configuration."""

    gpg: Gpg
    folder: Path

    def git(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        signers = self.gpg.home / "signers"
        ssh = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}")
        # The keys end in 2025, and git asks gpg about today.
        program = self.gpg.home / "gpg-then"
        options = ssh if words[0] == "verify-ssh" else ("-c", f"gpg.program={program}")
        name = ("verify-tag",) if words[0] == "verify-ssh" else words[:1]
        return subprocess.run(
            ["git", "-C", self.folder, *options, *name, *words[1:]],
            input=stdin,
            capture_output=True,
            check=False,
            env=git_environment(self.gpg.home),
        )

    def commit(self) -> str:
        return self.git("rev-parse", "HEAD").stdout.decode().strip()

    def takes(self, data: bytes, name: str = "v1.0") -> str:
        """Write an object, point a tag at it and return its id."""
        done = self.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=data)
        assert done.returncode == 0, done.stderr
        found = done.stdout.decode().strip()
        assert self.git("update-ref", f"refs/tags/{name}", found).returncode == 0
        return found


@pytest.fixture(params=["sha1", "sha256"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    with gpg_home(tmp_path / "g") as gpg:
        found = Repository(gpg, tmp_path / "r")
        found.folder.mkdir()
        program = gpg.home / "gpg-then"
        program.write_text('#!/bin/sh\nexec gpg --faked-system-time 20240401T000000! "$@"\n')
        program.chmod(0o700)
        gpg.take(CERT)
        (gpg.home / "signers").write_bytes(
            allowed_signers_line(KEY.raw, "tar@example.org", (GIT_NAMESPACE,))
        )
        assert found.git("init", "-q", f"--object-format={request.param}").returncode == 0
        assert found.git("commit", "-q", "--allow-empty", "-m", "one").returncode == 0
        yield found


def test_git_accepts_a_tag_with_an_openpgp_signature(repository: Repository) -> None:
    payload = tag_payload(repository.commit(), "v1.0", TAGGER, SIGNED, MESSAGE)
    made = signed_tag(payload, by_openpgp(payload))
    assert repository.takes(made) == object_id(made)
    done = repository.git("verify-tag", "--raw", "v1.0")
    assert done.returncode == 0, done.stderr
    assert b"GOODSIG" in done.stderr
    shown = repository.git(
        "for-each-ref", "--format=%(taggername)|%(contents:subject)|%(*objectname)"
    )
    assert shown.stdout.decode().splitlines()[-1] == (
        f"Tar Maintainer|tar 1.0|{repository.commit()}"
    )
    assert repository.git("fsck", "--strict").returncode == 0


def test_git_accepts_a_tag_with_an_ssh_signature(repository: Repository) -> None:
    payload = tag_payload(repository.commit(), "v1.0", TAGGER, SIGNED, MESSAGE)
    made = signed_tag(payload, by_ssh(payload))
    assert repository.takes(made) == object_id(made)
    done = repository.git("verify-ssh", "v1.0")
    assert done.returncode == 0, done.stderr
    assert b'Good "git" signature for tar@example.org' in done.stderr
    assert repository.git("fsck", "--strict").returncode == 0


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "another tag's": lambda _: PGP_TAG[len(PAYLOAD) :],
    "another tag's by SSH": lambda _: SSH_TAG[len(PAYLOAD) :],
    "for files": lambda payload: signature_file(KEY.raw, payload, "file", KEY.sign),
    "by another key": lambda payload: signature_file(OTHER.raw, payload, GIT_NAMESPACE, OTHER.sign),
    "by another OpenPGP key": lambda payload: armor(
        detached(
            certificate(OTHER.raw, USER_ID, CREATED, EXPIRES, OTHER.sign),
            payload,
            SIGNED,
            OTHER.sign,
        ),
        "SIGNATURE",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_git_refuses_a_signature_that_is_not_the_tags(name: str, repository: Repository) -> None:
    payload = tag_payload(repository.commit(), "v1.0", TAGGER, SIGNED, MESSAGE)
    repository.takes(signed_tag(payload, WRONG[name](payload)))
    assert repository.git("verify-tag", "v1.0").returncode != 0
    assert repository.git("verify-ssh", "v1.0").returncode != 0


def test_git_refuses_a_tag_that_was_changed(repository: Repository) -> None:
    payload = tag_payload(repository.commit(), "v1.0", TAGGER, SIGNED, MESSAGE)
    for made, words in ((by_openpgp, "verify-tag"), (by_ssh, "verify-ssh")):
        good = signed_tag(payload, made(payload))
        repository.takes(good)
        assert repository.git(words, "v1.0").returncode == 0
        for old, new in ((b"v1.0", b"v1.1"), (b"tar 1.0", b"tar 1.1"), (b"+0000", b"+0100")):
            repository.takes(good.replace(old, new, 1))
            assert repository.git(words, "v1.0").returncode != 0


def test_git_itself_writes_the_same_payload(repository: Repository) -> None:
    commit = repository.commit()
    payload = tag_payload(commit, "v1.0", TAGGER, SIGNED, MESSAGE)
    done = repository.git("mktag", "--strict", stdin=payload)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().strip() == object_id(payload)
    words = ["-c", "user.name=Tar Maintainer", "-c", "user.email=tar@example.org"]
    subprocess.run(
        ["git", "-C", repository.folder, *words, "tag", "-a", "-m", MESSAGE, "v1.0", commit],
        check=True,
        env={
            **{
                k: v
                for k, v in git_environment(repository.gpg.home).items()
                if "COMMITTER" not in k
            },
            "GIT_COMMITTER_DATE": f"{int(SIGNED.timestamp())} +0000",
        },
    )
    assert repository.git("cat-file", "tag", "v1.0").stdout == payload


# --- reading back ------------------------------------------------------------------------------


def test_a_tag_comes_back() -> None:
    tag = Tag(SHA1, "v1.0", TAGGER, SIGNED, MESSAGE)
    assert parse_payload(PAYLOAD, "t") == tag
    for made in (PGP_TAG, SSH_TAG):
        assert parse_signed_tag(made, "t") == (tag, PAYLOAD, made[len(PAYLOAD) :])
    assert tag_payload(SHA1, "v1.0", TAGGER, SIGNED, MESSAGE + "\n\n\n") == PAYLOAD


Parts = tuple[str, str, str, datetime, str]
REFUSED: dict[str, Parts] = {
    **{
        f"commit {word!r}": (word, "v1", TAGGER, SIGNED, "m")
        for word in ("", "1" * 39, "1" * 41, "1" * 63, "A" * 40, "1" * 40 + "\n", "HEAD")
    },
    **{
        f"name {word[:20]!r}": (SHA1, word, TAGGER, SIGNED, "m")
        for word in (
            "", "-v1", ".v1", "v1.", "v1..2", "v1.lock", "a.lock/b", "a./b", "a//b", "/a", "a/",
            "a/.b", "a b", "v1~1", "v1^", "v1:2", "v1?", "v1*", "v1[", "v1\\", "v@{1}", "v1\n",
            "v1\ntagger x", "\u00e9", "HEAD", "1" * 40, "2" * 64, "x" * 201,
        )
    },
    **{
        f"tagger {word[:20]!r}": (SHA1, "v1", word, SIGNED, "m")
        for word in (
            "", "Tar", "<tar@example.org>", " <tar@example.org>", "Tar <>", "Tar <tar>",
            "Tar tar@example.org", "Tar  <tar@example.org> ", "Ta<r <tar@example.org>",
            "Tar <tar@example.org> 1 +0000", "Tar\n<tar@example.org>", "Tar, <tar@example.org>",
            "Tar <a@b@c>", "T\x1b <tar@example.org>", "\u00e9" * 120 + " <tar@example.org>",
        )
    },
    **{
        f"time {moment}": (SHA1, "v1", TAGGER, moment, "m")
        for moment in (
            SIGNED.replace(tzinfo=None),
            SIGNED.replace(microsecond=1),
            SIGNED.astimezone(timezone(timedelta(hours=1))),
            datetime(1969, 12, 31, tzinfo=UTC),
        )
    },
    **{
        f"message {word[:30]!r}": (SHA1, "v1", TAGGER, SIGNED, word)
        for word in (
            "", "\n", "\nm", "  \nm", "m\0", "m\r\n", "m\x1b[2J", "\ud800", "x" * 70_000,
            "m\n-----BEGIN PGP SIGNATURE-----", "-----BEGIN SSH SIGNATURE-----",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_parts_that_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="for a git tag"):
        tag_payload(*REFUSED[name])


BAD_PAYLOADS: dict[str, bytes] = {
    "empty": b"",
    "no last line end": PAYLOAD[:-1],
    "another line end": PAYLOAD + b"\n",
    "of a tree": PAYLOAD.replace(b"type commit", b"type tree"),
    "another header": PAYLOAD.replace(b"tagger", b"gpgsig x\ntagger"),
    "another zone": PAYLOAD.replace(b"+0000", b"+0100"),
    "zero before the time": PAYLOAD.replace(b"> 1", b"> 01"),
    "no message": PAYLOAD[: PAYLOAD.index(b"\n\n") + 2],
    "not UTF-8": PAYLOAD.replace(b"\xc3", b"\xff"),
    "bad name": PAYLOAD.replace(b"v1.0", b"v1..0"),
    "signed already": PGP_TAG,
}


@pytest.mark.parametrize("name", BAD_PAYLOADS)
def test_payloads_that_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="not a git tag that is accepted"):
        parse_payload(BAD_PAYLOADS[name], "t")
    with pytest.raises(InputError):
        signed_tag(BAD_PAYLOADS[name], by_openpgp(PAYLOAD))


GOOD_PGP, GOOD_SSH = by_openpgp(PAYLOAD), by_ssh(PAYLOAD)
BAD_SIGNATURES: dict[str, bytes] = {
    "empty": b"",
    "binary": detached(CERT, PAYLOAD, SIGNED, KEY.sign),
    "certificate": armor(CERT, "PUBLIC KEY BLOCK"),
    "certificate in disguise": armor(CERT, "SIGNATURE"),
    "two": GOOD_PGP * 2,
    "cut": GOOD_PGP[:100],
    "cut by SSH": GOOD_SSH[:100],
    "no last line end": GOOD_PGP[:-1],
    "text after": GOOD_PGP + b"x\n",
    "text after SSH": GOOD_SSH + b"x\n",
    "both": GOOD_SSH + GOOD_PGP,
    "both the other way": GOOD_PGP + GOOD_SSH,
}


@pytest.mark.parametrize("name", BAD_SIGNATURES)
def test_signatures_that_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        signed_tag(PAYLOAD, BAD_SIGNATURES[name])
    with pytest.raises(InputError):
        parse_signed_tag(PAYLOAD + BAD_SIGNATURES[name], "t")


@pytest.mark.parametrize("data", [b"", b"tree " + PAYLOAD, b"object 12\n", b"object \xff\n"])
def test_only_tags_have_a_tags_name(data: bytes) -> None:
    with pytest.raises(InputError):
        object_id(data)


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_our_errors(data: bytes) -> None:
    for made in (data, PAYLOAD + data, PAYLOAD[:60] + data):
        for call in (
            lambda value=made: parse_payload(value, "t"),
            lambda value=made: parse_signed_tag(value, "t"),
            lambda value=made: object_id(value),
            lambda value=made: signed_tag(PAYLOAD, value),
        ):
            with contextlib.suppress(InputError):
                call()


@given(st.integers(0, len(PGP_TAG) - 1), st.integers(1, 255))
def test_an_altered_tag_raises_only_our_errors(position: int, mask: int) -> None:
    with contextlib.suppress(InputError):
        parse_signed_tag(flipped(PGP_TAG, position, mask), "t")

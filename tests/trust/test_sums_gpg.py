"""Signed manifests with real gpg: what counts, what does not, and gpg itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relsign.crypto.openpgp_armor import dearmor
from relsign.trust.sums.gpg import _as_message, open_verifier
from relsign.verify.sums_people import read_key_file
from relsign.verify.verdict import Word
from tests.trust.sums_broken import (
    BROKEN,
    WHERE,
    altered,
    expired,
    sha1,
    signature_of,
    stranger,
    text_mode,
    two,
)
from tests.trust.sums_maker import (
    ALL,
    DEMO,
    OTHER,
    Repository,
    Stranger,
    make_people,
    make_repository,
    reasons,
)

V, N = Word.VERIFIED, Word.NOT_ENOUGH


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    with make_people(tmp_path_factory.mktemp("sums") / "home") as made:
        yield made


@pytest.fixture
def repository(tmp_path: Path, people: Stranger) -> Repository:
    return make_repository(tmp_path / "repository", people)


def test_agreeing_builders_verify_every_file(repository: Repository) -> None:
    report = repository.check("threshold = 3\n")
    assert report.word is V
    assert [(one.name, one.claims[0].people) for one in report.files] == [
        ("demo.tar.gz", 3),
        ("demo.zip", 3),
    ]
    assert (report.manifests, report.counted, report.findings) == (3, 3, ())


def test_a_higher_threshold_is_not_enough(repository: Repository) -> None:
    assert repository.check("threshold = 4\n").word is N


@pytest.mark.parametrize("options", [("--digest-algo", "SHA256"), ("--digest-algo", "SHA512")])
def test_strong_hashes_and_old_line_ends_count(
    repository: Repository, options: tuple[str, ...]
) -> None:
    repository.put("bob", DEMO.replace(b"\n", b"\r\n").replace(b"  ", b" *out/"), *options)
    assert repository.file(policy="threshold = 3\n").word is V


def test_a_binary_signature_and_a_binary_key_file_count(repository: Repository) -> None:
    text = signature_of(repository.manifest("bob"))
    text.write_bytes(dearmor(text.read_bytes(), "SIGNATURE", "x"))
    key = repository.keys / "bob.gpg"
    key.write_bytes(dearmor(key.read_bytes(), "PUBLIC KEY BLOCK", "x"))
    assert repository.file(policy="threshold = 3\n").word is V


@pytest.mark.parametrize(
    ("spoil", "reason"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_it_counts_for_nobody_and_is_named(
    repository: Repository, spoil: Callable[[Repository], None], reason: str
) -> None:
    spoil(repository)
    report = repository.check("threshold = 3\n")
    assert report.word is N
    assert reasons(report) == {WHERE: reason}
    assert {one.claims[0].people for one in report.files} == {2}
    assert repository.check().word is V


def test_two_signatures_of_which_one_is_bad_are_both_told(repository: Repository) -> None:
    two(repository)
    (finding,) = repository.check().findings
    key = repository.people.keys["bob"]
    assert finding.detail == f"good by {key}; signature is not over these bytes"


def test_one_bad_signature_among_many_leaves_the_others_said(repository: Repository) -> None:
    for number in range(20):
        path = repository.put("carol", name=f"{number:02}.SHA256SUMS")
        if number % 2:
            path.write_bytes(OTHER)
    report = repository.check()
    bad = [where for where, reason in reasons(report).items() if "not over" in reason]
    assert bad == [f"1.0/carol/{n:02}.SHA256SUMS.asc" for n in range(1, 20, 2)]
    assert report.counted == 13


# --- gpg itself --------------------------------------------------------------------------------


def _messages(repository: Repository) -> list[tuple[bytes, bytes]]:
    pairs = []
    for builder in ("alice", "bob", "carol"):
        path = repository.manifest(builder)
        pairs.append(
            (dearmor(signature_of(path).read_bytes(), "SIGNATURE", "x"), path.read_bytes())
        )
    return pairs


def _certificates(repository: Repository) -> list[bytes]:
    files = sorted(repository.keys.iterdir())
    return [one.binary for path in files for one in read_key_file(path.read_bytes(), "x")]


@pytest.mark.parametrize("spoil", [None, altered, stranger, sha1, text_mode, expired])
def test_bulk_says_what_gpg_says_one_by_one(
    repository: Repository, tmp_path: Path, spoil: Callable[[Repository], None] | None
) -> None:
    if spoil is not None:
        spoil(repository)
    home = tmp_path / "one"
    home.mkdir(mode=0o700)
    gpg = [
        "gpg",
        "--homedir",
        str(home),
        "--batch",
        "--no-tty",
        "--no-autostart",
        "--status-fd",
        "1",
    ]
    ring = b"".join(_certificates(repository))
    subprocess.run([*gpg, "--import"], input=ring, capture_output=True, check=True)
    subprocess.run([*gpg, "--check-trustdb"], capture_output=True, check=True)
    words = {"GOODSIG", "BADSIG", "ERRSIG", "EXPKEYSIG", "VALIDSIG"}
    alone = []
    for builder in ("alice", "bob", "carol"):
        path = repository.manifest(builder)
        done = subprocess.run(
            [*gpg, "--verify", signature_of(path), path], capture_output=True, check=False
        )
        found = [line.split() for line in done.stdout.decode().splitlines()]
        alone.append([line[1:3] for line in found if line[1] in words])
    with open_verifier(_certificates(repository)) as verifier:
        said = verifier.check(_messages(repository))
    together = [
        [[one.word, one.arguments[0]] for one in each if one.word in words] for each in said
    ]
    assert together == alone


@pytest.mark.parametrize("spoil", [None, altered, sha1])
def test_sqv_agrees_on_what_counts(
    repository: Repository, spoil: Callable[[Repository], None] | None
) -> None:
    if spoil is not None:
        spoil(repository)
    report = repository.check()
    not_counted = set(reasons(report))
    for builder in ("alice", "bob", "carol"):
        path = repository.manifest(builder)
        done = subprocess.run(
            ["sqv", "--keyring", repository.keys / f"{builder}.gpg", signature_of(path), path],
            capture_output=True,
            check=False,
        )
        assert (done.returncode == 0) is (f"1.0/{builder}/{ALL}.asc" not in not_counted)


def test_a_file_that_ends_gpg_costs_only_itself(repository: Repository) -> None:
    good = _messages(repository)
    with open_verifier(_certificates(repository)) as verifier:
        said = verifier.check([good[0], (b"\xff" * 40, b"x"), (b"", b""), good[1], good[2]])
    assert [any(one.word == "GOODSIG" for one in each) for each in said] == [
        True, False, False, True, True,
    ]  # fmt: skip


def test_gpg_is_started_again_behind_a_file_that_stopped_it(
    repository: Repository, tmp_path: Path
) -> None:
    for number, (signature, data) in enumerate(_messages(repository)):
        (tmp_path / str(number)).write_bytes(_as_message(signature, data))
    with open_verifier(_certificates(repository)) as verifier:
        said = verifier._verify(tmp_path, ["0", "absent", "1", "gone", "2"])
    assert sorted(said) == ["0", "1", "2"]


def test_nothing_is_left_running_or_lying_about(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(work))
    with open_verifier(_certificates(repository)) as verifier:
        verifier.check(_messages(repository))
        home = verifier._folder
    assert list(work.iterdir()) == []
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True, text=True)
    assert str(home) not in listed.stdout

"""Commits from real repositories: the id and the digest decide, a tag is evidence."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.build.inputs.git_source import fetch_commit
from relsign.build.store import Store
from relsign.errors import HostError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.recipe import Git, TagSignature
from tests.build.gnupg_home import GnuPG

WHERE = "relsign.toml: source[0]"


class Repository:
    """A repository somebody else owns."""

    def __init__(self, folder: Path, gpg: GnuPG) -> None:
        self.folder = folder
        self.gpg = gpg
        self.author = gpg.make_key("Ann <ann@example.org>")
        self.run("init", "--quiet", "--initial-branch=main")
        self.first = self.commit("1")
        self.second = self.commit("2")

    def run(self, *words: str) -> str:
        return self.run_raw(*words).decode().strip()

    def run_raw(self, *words: str) -> bytes:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GNUPGHOME": str(self.gpg.home),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        command = ["git", "-C", str(self.folder), *identity, *words]
        done = subprocess.run(command, check=False, capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def commit(self, text: str) -> str:
        (self.folder / "file").write_text(text)
        self.run("add", "file")
        self.run("commit", "--quiet", "--message", text)
        return self.run("rev-parse", "HEAD")

    def digest(self, commit: str) -> Digest:
        tar = self.run_raw("-c", "tar.umask=0022", "archive", "--format=tar", commit)
        return Digest(hashlib.sha256(tar).hexdigest())

    def source(self, commit: str, tag: str = "", key: str = "") -> Git:
        fingerprint = key or self.author
        signed = TagSignature(tag=tag, key="keys/a.asc", fingerprint=fingerprint) if tag else None
        url = f"file://{self.folder}"
        return Git(name="src", sha256=self.digest(commit), url=url, commit=commit, tag=signed)


@pytest.fixture(scope="module")
def gpg() -> Iterator[GnuPG]:
    folder = tempfile.mkdtemp(prefix="gpg-")  # a short path, for the agent's socket
    one = GnuPG(Path(folder))
    yield one
    one.stop()
    shutil.rmtree(folder)


@pytest.fixture
def repository(tmp_path: Path, gpg: GnuPG) -> Repository:
    folder = tmp_path / "upstream"
    folder.mkdir()
    return Repository(folder, gpg)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_commit_becomes_a_tar_wherever_it_stands(
    repository: Repository, store: Store, which: str
) -> None:
    source = repository.source(getattr(repository, which))
    assert fetch_commit(source, store, b"", WHERE) is None
    assert b"file" in store.path(source.sha256).read_bytes()
    shutil.rmtree(repository.folder)
    fetch_commit(source, store, b"", WHERE)


def test_a_server_that_gives_only_branches_is_asked_for_all(
    repository: Repository, store: Store
) -> None:
    repository.run("config", "protocol.version", "0")
    repository.run("config", "uploadpack.allowAnySHA1InWant", "false")
    fetch_commit(repository.source(repository.first), store, b"", WHERE)


def test_another_digest_is_refused_and_nothing_stored(repository: Repository, store: Store) -> None:
    source = repository.source(repository.first)
    wrong = Git(
        name="src",
        sha256=repository.digest(repository.second),
        url=source.url,
        commit=source.commit,
    )
    with pytest.raises(VerificationError) as caught:
        fetch_commit(wrong, store, b"", WHERE)
    assert caught.value.where == f"{WHERE}.sha256"
    assert not store.has(source.sha256)


@pytest.mark.parametrize("commit", ["0" * 40, "0" * 64])
def test_a_commit_nobody_has_is_named(repository: Repository, store: Store, commit: str) -> None:
    source = Git(
        name="s", sha256=Digest("0" * 64), url=f"file://{repository.folder}", commit=commit
    )
    with pytest.raises(HostError) as caught:
        fetch_commit(source, store, b"", WHERE)
    assert caught.value.where.startswith(WHERE)


def test_a_tree_is_no_commit(repository: Repository, store: Store) -> None:
    repository.run("config", "uploadpack.allowAnySHA1InWant", "true")
    tree = repository.run("rev-parse", f"{repository.first}^{{tree}}")
    with pytest.raises(HostError, match="no such commit"):
        fetch_commit(repository.source(tree), store, b"", WHERE)


def test_a_repository_that_is_not_there_is_named_without_secrets(
    tmp_path: Path, store: Store
) -> None:
    url = f"https://ann:pw@127.0.0.1:1{tmp_path}"
    source = Git(name="s", sha256=Digest("0" * 64), url=url, commit="1" * 40)
    with pytest.raises(HostError) as caught:
        fetch_commit(source, store, b"", WHERE)
    assert "pw@" not in str(caught.value)


def test_nothing_of_the_repository_or_the_caller_runs(
    repository: Repository, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    hook = tmp_path / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[core]\nhooksPath={hook.parent}\nsshCommand=touch {mark}\n[tar "tar"]\n'
        f'command=touch {mark}\n[filter "x"]\nsmudge=touch {mark}\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    (repository.folder / ".gitattributes").write_text("* filter=x\n")
    repository.run("add", ".gitattributes")
    source = repository.source(repository.commit("3"))
    fetch_commit(source, store, b"", WHERE)
    assert not mark.exists()


def test_a_signed_tag_vouches_for_its_commit(repository: Repository, store: Store) -> None:
    repository.run(
        "tag", "--sign", f"--local-user={repository.author}", "-m", "one", "v1", repository.first
    )
    certificate = repository.gpg.certificate(repository.author)
    for _ in range(2):  # fetched, then stored: judged both times
        signed = fetch_commit(repository.source(repository.first, "v1"), store, certificate, WHERE)
        assert signed is not None
        assert signed.fingerprint == repository.author


def test_a_tag_that_was_moved_or_renamed_is_refused(repository: Repository, store: Store) -> None:
    certificate = repository.gpg.certificate(repository.author)
    sign = ("tag", "--sign", f"--local-user={repository.author}", "-m", "x")
    repository.run(*sign, "v1", repository.second)
    with pytest.raises(VerificationError, match="not of this commit"):
        fetch_commit(repository.source(repository.first, "v1"), store, certificate, WHERE)
    # The signed object of v1 hung under the name v2.
    repository.run("update-ref", "refs/tags/v2", repository.run("rev-parse", "v1"))
    with pytest.raises(VerificationError, match="not of this commit"):
        fetch_commit(repository.source(repository.second, "v2"), store, certificate, WHERE)


@pytest.mark.parametrize("options", [("--annotate", "-m", "x"), ()])
def test_a_tag_without_a_signature_is_refused(
    repository: Repository, store: Store, options: tuple[str, ...]
) -> None:
    repository.run("tag", *options, "v1", repository.first)
    with pytest.raises(VerificationError, match="missing or not signed"):
        fetch_commit(repository.source(repository.first, "v1"), store, b"", WHERE)


def test_a_tag_signed_by_somebody_else_is_refused(repository: Repository, store: Store) -> None:
    other = repository.gpg.make_key("Eve <eve@example.org>")
    repository.run("tag", "--sign", f"--local-user={other}", "-m", "x", "v1", repository.first)
    certificate = repository.gpg.certificate(repository.author)
    with pytest.raises(VerificationError, match="not a good signature"):
        fetch_commit(repository.source(repository.first, "v1"), store, certificate, WHERE)

"""What a clone tells, and that nothing of it but its objects is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from relsign.crypto.digest import sha256_hex
from relsign.sign.review import history
from relsign.sign.review.history import Clone, count_commits, find_clone, find_version

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": value
       for who in ("AUTHOR", "COMMITTER")
       for what, value in (("NAME", "ann"), ("EMAIL", "ann@example.org"))},
}  # fmt: skip


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", folder, *words], env=ENVIRONMENT, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def commit(folder: Path, message: str, **files: str) -> str:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def new_clone(folder: Path, *words: str) -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main", *words)
    return folder


def found(folder: Path) -> Clone:
    clone = find_clone(folder)
    assert clone is not None
    return clone


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return new_clone(tmp_path / "clone")


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_commits_between_two_are_counted_and_the_newest_shown(tmp_path: Path, kind: str) -> None:
    folder = new_clone(tmp_path / "clone", f"--object-format={kind}")
    first = commit(folder, "first")
    for number in range(14):
        last = commit(folder, f"change {number}\n\nits body")
    counted = count_commits([found(folder)], first, last)
    assert counted is not None
    assert (counted.count, counted.gone) == (14, 0)
    assert counted.subjects == tuple(f"change {number}" for number in range(13, 3, -1))


def test_commits_that_were_taken_away_are_counted(clone: Path) -> None:
    first = commit(clone, "first")
    lost = commit(clone, "a mistake")
    git(clone, "reset", "--quiet", "--hard", first)
    last = commit(clone, "another way")
    counted = count_commits([found(clone)], lost, last)
    assert counted is not None
    assert (counted.count, counted.gone, counted.subjects) == (1, 1, ("another way",))


def test_hostile_subjects_are_text(clone: Path) -> None:
    first = commit(clone, "first")
    last = commit(clone, "\x1b[2J commit 12345\u202e")
    counted = count_commits([found(clone)], first, last)
    assert counted is not None
    assert counted.subjects == ("\x1b[2J commit 12345\u202e",)


def test_a_clone_that_lacks_a_commit_is_passed_over(clone: Path, tmp_path: Path) -> None:
    first, last = commit(clone, "first"), commit(clone, "last")
    other = new_clone(tmp_path / "other")
    commit(other, "unlike")
    assert count_commits([found(other)], first, last) is None
    counted = count_commits([found(other), found(clone)], first, last)
    assert counted is not None
    assert counted.count == 1
    assert count_commits([], first, last) is None


def test_a_shallow_clone_counts_nothing(clone: Path, tmp_path: Path) -> None:
    first, _, last = (commit(clone, word) for word in ("first", "between", "last"))
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{clone}", "shallow")
    assert count_commits([found(tmp_path / "shallow")], first, last) is None


def test_configuration_hooks_and_replacements_of_a_clone_have_no_say(
    clone: Path, tmp_path: Path
) -> None:
    first, last = commit(clone, "first"), commit(clone, "last")
    other = git(clone, "commit-tree", f"{first}^{{tree}}", "-m", "a lie")
    git(clone, "replace", last, other)
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "gpg.program", "diff.external"):
        git(clone, "config", name, str(trap))
    git(clone, "config", "log.showSignature", "true")
    counted = count_commits([found(clone)], first, last)
    assert counted is not None
    assert (counted.count, counted.subjects) == (1, ("last",))
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_clone_is_none(tmp_path: Path) -> None:
    assert find_clone(tmp_path) is None
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert find_clone(tmp_path) is None
    (tmp_path / ".git").unlink()
    new_clone(tmp_path / "unborn")
    assert find_clone(tmp_path / "unborn") is None


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none\n", "ref: \0\n", "x" * 40, "\udcff"])
def test_a_damaged_head_is_no_clone(clone: Path, head: str) -> None:
    commit(clone, "first")
    (clone / ".git" / "HEAD").write_bytes(head.encode(errors="surrogateescape"))
    assert find_clone(clone) is None


def test_a_folder_whose_name_git_would_split_is_passed_over(tmp_path: Path) -> None:
    folder = new_clone(tmp_path / "a:b")
    commit(folder, "first")
    assert find_clone(folder) is None


def test_worktrees_bare_clones_packed_branches_and_loose_heads_are_found(
    clone: Path, tmp_path: Path
) -> None:
    last = commit(clone, "first", a_txt="1")
    (clone / "below" / "it").mkdir(parents=True)
    assert found(clone / "below" / "it").head == last
    git(clone, "worktree", "add", "--quiet", str(tmp_path / "tree"), "-b", "side")
    side = commit(tmp_path / "tree", "second", a_txt="2")
    assert found(tmp_path / "tree").head == side
    git(clone, "pack-refs", "--all")
    assert found(clone).head == last
    git(tmp_path, "clone", "--quiet", "--bare", str(clone), "bare")
    assert found(tmp_path / "bare").head == last
    git(clone, "checkout", "--quiet", "--detach")
    assert found(clone).head == last


def test_a_file_of_the_past_is_found_by_its_digest_alone(clone: Path) -> None:
    for number in range(5):
        commit(clone, f"{number}", lock__a_lock=f"version {number}")
    commit(clone, "gone")
    file = clone / "lock" / "a.lock"
    wanted = b"version 2"
    assert find_version(found(clone), file, sha256_hex(wanted)) == wanted
    assert find_version(found(clone), file, sha256_hex(b"version 9")) is None
    assert find_version(found(clone), clone / "lock" / "b.lock", sha256_hex(wanted)) is None


def test_what_is_not_in_the_clone_is_not_asked_for(clone: Path, tmp_path: Path) -> None:
    commit(clone, "first", a_txt="1")
    digest = sha256_hex(b"1")
    assert find_version(None, clone / "a.txt", digest) is None
    assert find_version(found(clone), tmp_path / "a.txt", digest) is None
    assert find_version(found(clone), clone / "a\n.txt", digest) is None
    assert find_version(found(clone), clone / "a.txt", digest) == b"1"


def test_a_file_too_large_for_a_lock_is_passed_over(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(clone, "first", a_txt="12345")
    monkeypatch.setattr(history, "MAX_FILE_BYTES", 4)
    assert find_version(found(clone), clone / "a.txt", sha256_hex(b"12345")) is None


def test_without_git_nothing_is_known_and_nothing_fails(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = commit(clone, "first", a_txt="1"), commit(clone, "last", a_txt="2")
    there = found(clone)
    monkeypatch.setattr("relsign.system.process.PATH", "/nonexistent")
    assert count_commits([there], first, last) is None
    assert find_version(there, clone / "a.txt", sha256_hex(b"1")) is None

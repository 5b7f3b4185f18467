"""Walking a tree that strangers wrote: links, fifos, names, sizes, counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from relsign.errors import InputError, NotEnoughError
from relsign.formats.sums_policy import SumsPolicy, parse_sums_policy
from relsign.trust.sums import tree as sums_tree
from relsign.trust.sums.keys import read_key_folder
from relsign.trust.sums.tree import Evidence, Finding, read_batches, read_evidence, walk_sums

SIGNATURE = bytes([0xC2, 2, 4, 0])
"""A signature packet's frame."""
POLICY = parse_sums_policy(b"threshold = 1\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for builder in ("alice", "bob"):
        _put(tmp_path / "sums", f"1.0/{builder}/all.SHA256SUMS")
    return tmp_path / "sums"


def _put(root: Path, name: str, data: bytes = b"x", signature: bytes | None = SIGNATURE) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if signature is not None:
        path.with_name(f"{path.name}.asc").write_bytes(signature)
    return path


def _wheres(root: Path, policy: SumsPolicy = POLICY) -> list[str]:
    return [pair.where for pair in walk_sums(root, policy).pairs]


BOTH = ["1.0/alice/all.SHA256SUMS.asc", "1.0/bob/all.SHA256SUMS.asc"]


def test_pairs_are_found_in_order_and_other_files_passed_over(root: Path) -> None:
    _put(root, "1.0/bob/SHA256SUMS")
    _put(root, "README.md", signature=None)
    _put(root, "1.0/README.md", signature=None)
    _put(root, "1.0/bob/notes.txt", signature=None)
    _put(root, ".git/x/all.SHA256SUMS")
    _put(root, "contrib/tool/run.sh", signature=None)
    _put(root, "deep/er/and/all.SHA256SUMS")
    tree = walk_sums(root, POLICY)
    assert [pair.where for pair in tree.pairs] == [
        "1.0/alice/all.SHA256SUMS.asc",
        "1.0/bob/SHA256SUMS.asc",
        "1.0/bob/all.SHA256SUMS.asc",
    ]
    assert (tree.findings, tree.releases, tree.ignored) == ((), ("1.0",), 0)


def _linked_builder(root: Path) -> None:
    (root / "1.0/eve").symlink_to("alice")


def _linked_release(root: Path) -> None:
    (root / "2.0").symlink_to("1.0")


def _fifo_builder(root: Path) -> None:
    os.mkfifo(root / "1.0/eve")


def _newline(root: Path) -> None:
    _put(root, "1.0/e\nve/all.SHA256SUMS")


def _escape(root: Path) -> None:
    _put(root, "1.\x1b[2J/eve/all.SHA256SUMS")


def _right_to_left(root: Path) -> None:
    _put(root, "1.0/e\u202eve/all.SHA256SUMS")


def _not_unicode(root: Path) -> None:
    (root / "1.0" / os.fsdecode(b"e\xff")).mkdir()


def _manifest_name(root: Path) -> None:
    _put(root, "1.0/alice/a\nb.SHA256SUMS")


def _alone(root: Path) -> None:
    _put(root, "1.0/alice/b.SHA256SUMS", signature=None)


def _orphan(root: Path) -> None:
    _put(root, "1.0/alice/b.SHA256SUMS").unlink()


@pytest.mark.parametrize(
    ("spoil", "where", "reason"),
    [
        (_linked_builder, "1.0/eve", "symbolic link, not followed"),
        (_linked_release, "2.0", "symbolic link, not followed"),
        (_fifo_builder, "1.0/eve", "neither file nor folder"),
        (_newline, "1.0/e\\nve", "not a name that can be compared"),
        (_escape, "1.\\x1b[2J", "not a name that can be compared"),
        (_right_to_left, "1.0/e\\u202eve", "not a name that can be compared"),
        (_not_unicode, "1.0/e\\udcff", "not a name that can be compared"),
        (_manifest_name, "1.0/alice/a\\nb.SHA256SUMS", "not a name that can be compared"),
        (_alone, "1.0/alice/b.SHA256SUMS", "manifest without a signature"),
        (_orphan, "1.0/alice/b.SHA256SUMS.asc", "signature without a manifest"),
    ],
)
def test_what_is_no_evidence_is_named(
    root: Path, spoil: Callable[[Path], None], where: str, reason: str
) -> None:
    spoil(root)
    assert walk_sums(root, POLICY).findings == (Finding(where, reason),)
    assert _wheres(root) == BOTH


def test_the_policy_chooses_releases_and_leaves_out(root: Path) -> None:
    _put(root, "2.0/bob/all.SHA256SUMS")
    chosen = parse_sums_policy(b'threshold = 1\nreleases = ["2.*"]\n')
    assert _wheres(root, chosen) == ["2.0/bob/all.SHA256SUMS.asc"]
    ignoring = parse_sums_policy(b'threshold = 1\nignore = ["*/bob/*"]\n')
    tree = walk_sums(root, ignoring)
    assert [pair.where for pair in tree.pairs] == BOTH[:1]
    assert (tree.ignored, tree.releases) == (2, ("1.0",))


@pytest.mark.parametrize("make", [Path.mkdir, Path.exists, Path.touch])
def test_an_empty_or_missing_folder(tmp_path: Path, make: Callable[[Path], object]) -> None:
    folder = tmp_path / "sums"
    make(folder)
    if folder.is_dir():
        assert walk_sums(folder, POLICY).pairs == ()
        assert read_key_folder(folder).files == {}
        return
    for look in (lambda: walk_sums(folder, POLICY), lambda: read_key_folder(folder)):
        with pytest.raises(NotEnoughError, match="no such folder"):
            look()


@pytest.mark.parametrize(
    ("bound", "value", "what"),
    [("MAX_ENTRIES", 6, "too many files"), ("MAX_PAIRS", 1, "too many signatures")],
)
def test_there_are_bounds(
    root: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, what: str
) -> None:
    monkeypatch.setattr(sums_tree, bound, value)
    with pytest.raises(InputError, match=what):
        walk_sums(root, POLICY)


def test_a_large_manifest_is_refused_unread(root: Path) -> None:
    with (root / "1.0/bob/all.SHA256SUMS").open("wb") as stream:
        stream.truncate(64 << 20)
    pair = walk_sums(root, POLICY).pairs[1]
    found = read_evidence(pair)
    assert isinstance(found, Finding)
    assert (found.where, found.reason) == ("1.0/bob/all.SHA256SUMS", "too large")


@pytest.mark.parametrize("name", ["all.SHA256SUMS", "all.SHA256SUMS.asc"])
def test_a_file_that_is_a_fifo_or_gone_is_named_without_waiting(root: Path, name: str) -> None:
    pair = walk_sums(root, POLICY).pairs[0]
    path = root / "1.0/alice" / name
    path.unlink()
    assert read_evidence(pair) == Finding(f"1.0/alice/{name}", "no such file")
    os.mkfifo(path)
    assert read_evidence(pair) == Finding(f"1.0/alice/{name}", "not a regular file")


def test_batches_are_bounded_by_count_and_by_bytes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        _put(root, f"1.0/bob/{number}.SHA256SUMS", b"x" * 10, SIGNATURE * 2)
    pairs = walk_sums(root, POLICY).pairs
    sizes = []
    for count, size in ((100, 1000), (4, 1000), (100, 45), (1, 1)):
        monkeypatch.setattr(sums_tree, "MAX_BATCH", count)
        monkeypatch.setattr(sums_tree, "MAX_BATCH_BYTES", size)
        findings: list[Finding] = []
        batches = list(read_batches(pairs, findings))
        assert [one.pair for batch in batches for one in batch] == list(pairs)
        assert all(isinstance(one, Evidence) for batch in batches for one in batch)
        assert not findings
        sizes.append([len(batch) for batch in batches])
    assert sizes == [[7], [2, 2, 2, 1], [3, 2, 2], [1] * 7]

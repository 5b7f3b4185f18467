"""Commitments travel as links do: by `relsign collect`, checked, and never replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from relsign.sign.evidence.exchange import Collected, collect_release
from relsign.sign.rules.root import current_root
from relsign.sign.status import release_status
from relsign.system.clock import now_utc
from relsign.system.files import write_whole
from tests.projects import POLICY, Project
from tests.sign.test_commit import Copy


@pytest.fixture
def pair(project: Project, tmp_path: Path) -> tuple[Copy, Copy]:
    """Return two copies of a project whose owners ask for commitments."""
    write_whole(project.workspace.policy_file, b"commit = true\n" + POLICY.encode())
    assert project.run("policy", "compile") == 0
    project.sign_root()
    shutil.copytree(project.folder, tmp_path / "other")
    return (
        Copy(project.folder, project.keys, project.site),
        Copy(tmp_path / "other", project.keys, project.site),
    )


def collect(mine: Copy, theirs: Copy) -> Collected:
    now = now_utc()
    return collect_release(mine.release, theirs.release, current_root(mine.workspace, now), now)


def test_from_commitment_to_publication(pair: tuple[Copy, Copy]) -> None:
    a, b = pair
    a.commit("builder-a")
    b.commit("builder-b")
    assert collect(a, b) == Collected(("builds/builder-b",), ())
    assert collect(b, a) == Collected(("builds/builder-a",), ())
    assert a.reveal("builder-a") == 0
    assert collect(b, a) == Collected(("builds/builder-a",), ())
    assert b.reveal("builder-b") == 0
    assert collect(a, b) == Collected(("builds/builder-b",), ())
    assert collect(a, b) == Collected((), ())
    assert a.names("builder-b") == [*sorted({*b.names("builder-b")} - {"logs"})]
    for name in ("olga", "oona"):
        assert a.run_signing("policy", "sign", "--as", name) == 0
    for name in ("sam", "sven"):
        assert a.run_signing("sign", "--as", name, "--yes") == 0
    assert a.publish() == 0
    published = {path.name for path in (a.published / "in-toto").iterdir()}
    assert {name for name in a.names("builder-a") if name.endswith(".commitment")} <= published


def test_another_commitment_does_not_replace_the_one_here(pair: tuple[Copy, Copy]) -> None:
    a, b = pair
    path = a.commit("builder-a")
    b.commit("builder-a", b"other bytes")
    before = path.read_bytes()
    assert "another build of this builder is here" in collect(a, b).refused[0]
    assert path.read_bytes() == before


def test_nothing_but_the_commitment_is_taken_before_the_links_are_there(
    pair: tuple[Copy, Copy],
) -> None:
    a, b = pair
    path = b.commit("builder-b")
    write_whole(path.with_name("linux.fingerprint.json"), b"{}")
    collected = collect(a, b)
    assert collected.taken == ("builds/builder-b",)
    assert "nothing vouches for it" in collected.refused[0]
    assert a.names("builder-b") == ["artifacts", path.name]


def test_a_bad_commitment_is_not_taken(pair: tuple[Copy, Copy]) -> None:
    a, b = pair
    path = b.commit("builder-b")
    path.write_bytes(b"junk")
    collected = collect(a, b)
    assert collected.taken == ()
    assert "not valid JSON" in collected.refused[0]


def test_status_does_not_call_copies_enough(pair: tuple[Copy, Copy]) -> None:
    a, _b = pair
    a.build("builder-a")
    a.build("builder-b")
    now = now_utc()
    stage = release_status(a.release, current_root(a.workspace, now), now).stages[0]
    assert not stage.is_met
    assert "0 agreeing builders had committed" in stage.missing
    assert a.run("status") == 3

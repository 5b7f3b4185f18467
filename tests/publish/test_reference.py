"""The second opinion: the reference verifier is really run, and its refusal counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from relsign.errors import HostError, VerificationError
from relsign.publish.reference import require_reference
from tests.projects import Project
from tests.verify.releases import NAME


@pytest.fixture
def staged(project: Project) -> Path:
    assert project.signed().publish() == 0
    return project.published


def owner_keys(staged: Path, *names: str) -> list[Path]:
    return [staged.parent / "keys" / f"{name}.pem" for name in names]


def test_it_accepts_what_we_publish_and_leaves_no_trace(staged: Path) -> None:
    before = sorted(staged.rglob("*"))
    require_reference(staged, owner_keys(staged, "olga", "oona"))
    assert sorted(staged.rglob("*")) == before


def test_it_refuses_a_changed_artifact(staged: Path) -> None:
    (staged / NAME).write_bytes(b"changed")
    with pytest.raises(VerificationError, match="reference in-toto verifier does not agree"):
        require_reference(staged, owner_keys(staged, "olga", "oona"))


def test_it_refuses_an_owner_who_did_not_sign(staged: Path) -> None:
    with pytest.raises(VerificationError):
        require_reference(staged, owner_keys(staged, "olga", "otto"))


def test_it_refuses_a_missing_link(staged: Path) -> None:
    next((staged / "in-toto").glob("build.*.link")).unlink()
    with pytest.raises(VerificationError):
        require_reference(staged, owner_keys(staged, "olga"))


def test_a_verifier_that_says_nothing_has_not_agreed(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0 alone is what a program that did nothing gives."""
    monkeypatch.setattr("relsign.publish.reference.PROGRAM", "pass")
    with pytest.raises(VerificationError):
        require_reference(staged, owner_keys(staged, "olga"))


def test_a_relative_path_means_the_same(staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(staged.parent)
    require_reference(Path(staged.name), [Path("keys/olga.pem")])


def test_where_no_namespace_can_be_made_the_machine_is_at_fault(
    staged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What unshare says where kernel or container forbid namespaces, by a stand-in for it."""
    program = tmp_path / "bin" / "unshare"
    program.parent.mkdir()
    said = "unshare: unshare failed: Operation not permitted"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("relsign.system.process.PATH", str(program.parent))
    with pytest.raises(HostError, match="without a network") as caught:
        require_reference(staged, owner_keys(staged, "olga"))
    assert caught.value.got == said

"""The second opinion: the reference verifier is really run, and its refusal counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from relsign.errors import VerificationError
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

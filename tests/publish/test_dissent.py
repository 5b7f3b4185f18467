"""Dissent on record: published, shown, and out of the way of stock verifiers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import Project
from tests.verify.releases import NAME

Capture = pytest.CaptureFixture[str]
STOCK = Path(sys.executable).with_name("in-toto-verify")


@pytest.fixture
def recorded(project: Project) -> Project:
    """Return a release whose third builder got other bytes, and that goes on record."""
    project.set_policy('"refuse"', '"record"')
    project.new_root()
    project.build("builder-c", b"other bytes")
    return project.signed()


def stock_verify(published: Path, copy: Path) -> subprocess.CompletedProcess[str]:
    """Run the stock verifier on a copy, because it leaves a file behind."""
    shutil.copytree(published, copy)
    keys = [str(published.parent / "keys" / f"{name}.pem") for name in ("olga", "oona")]
    return subprocess.run(
        [
            STOCK, "--layout", "in-toto/release.layout", "--link-dir", "in-toto",
            "--verification-keys", *keys,
        ],
        cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_recorded_dissent_is_published_and_shown(
    recorded: Project, tmp_path: Path, capsys: Capture
) -> None:
    assert recorded.publish() == 0
    capsys.readouterr()
    assert recorded.verify(recorded.published / NAME, "-v") == 0
    shown = capsys.readouterr()
    assert "dissent: builder-c" in shown.out + shown.err
    dissent = recorded.published / "in-toto" / "dissent"
    own = {path.name for path in recorded.release.build_of("builder-c").glob("build.*.link")}
    assert {p.name for p in dissent.iterdir()} == own
    assert dissent.stat().st_mode & 0o777 == 0o755
    stock = stock_verify(recorded.published, tmp_path / "copy")
    assert stock.returncode == 0, stock.stderr


def test_evidence_with_dissent_is_renewed(recorded: Project, capsys: Capture) -> None:
    assert recorded.publish() == 0
    assert recorded.publish() == 0
    assert "ALREADY PUBLISHED" in capsys.readouterr().err
    assert recorded.run_signing("sign", "--as", "sara", "--yes") == 0
    assert recorded.publish() == 0
    assert "RENEWED" in capsys.readouterr().err


def test_what_is_no_link_of_the_bundle_is_no_dissent(recorded: Project, capsys: Capture) -> None:
    assert recorded.publish() == 0
    (recorded.published / "in-toto" / "dissent" / "build.01234567.link").write_bytes(b"{}")
    assert recorded.publish() == 1
    assert "is no part of the published version" in capsys.readouterr().err

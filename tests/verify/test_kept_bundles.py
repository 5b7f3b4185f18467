"""Bundles of every released format version verify for ever, with the root of their day.

They lie in tests/vectors/bundles/, made once by `python -m tests.verify.test_kept_bundles`
and never changed: a new format gets a new folder beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from relsign.crypto.digest import sha256_hex
from relsign.verify.decision import Question, decide
from relsign.verify.freshness import ListingFiles
from relsign.verify.verdict import Word
from tests.verify.full_release import FullRelease
from tests.verify.releases import ARTIFACT, NAME, Release, bundle_bytes
from tests.verify.test_nine_steps import old_release

KEPT = Path(__file__).parent.parent / "vectors" / "bundles"
LISTING = ("timestamp", "snapshot", "targets")


@dataclass(frozen=True)
class Kept:
    """One bundle of the past, and what a person who had it then knew."""

    folder: Path

    def question(self) -> Question:
        read = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        listing = [read.get(f"{name}.json") for name in LISTING]
        return Question(
            root=read["root.json"],
            bundle=read["demo-1.0.relsign"],
            artifacts={NAME: sha256_hex(read[NAME])},
            now=datetime.fromisoformat(json.loads(read["case.json"])["now"]),
            listing=None if None in listing else ListingFiles(*(each or b"" for each in listing)),
        )


FOLDERS = sorted(path for path in KEPT.iterdir() if path.is_dir())


def test_there_are_bundles_of_every_format() -> None:
    assert [folder.name for folder in FOLDERS] == ["1-full", "1-plain", "1-vouched"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_kept_bundle_verifies(folder: Path) -> None:
    decision = decide(Kept(folder).question())
    assert decision.verdict.word is Word.VERIFIED, decision.verdict


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_kept_bundle_verifies_nothing_else(folder: Path) -> None:
    question = Kept(folder).question()
    other = replace(question, artifacts={NAME: sha256_hex(b"other")})
    assert decide(other).verdict.word is Word.REFUSED


def write(folder: Path, release: Release) -> None:
    """Write a release as a folder of the past."""
    question = release.question()
    folder.mkdir(parents=True)
    (folder / "root.json").write_bytes(question.root)
    (folder / "demo-1.0.relsign").write_bytes(bundle_bytes(question))
    (folder / NAME).write_bytes(ARTIFACT)
    (folder / "case.json").write_text(json.dumps({"now": question.now.isoformat()}) + "\n")
    if question.listing is not None:
        for name in LISTING:
            (folder / f"{name}.json").write_bytes(getattr(question.listing, name))


MAKERS: dict[str, Callable[[], Release]] = {
    "1-plain": Release,
    "1-full": FullRelease,
    "1-vouched": old_release,
}

if __name__ == "__main__":
    for name, make in MAKERS.items():
        if not (KEPT / name).exists():
            write(KEPT / name, make())

"""Releases as large as they may be, good and bad: bounded time, memory and number of lines."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.formats.fingerprint import BuiltArtifact
from relsign.formats.layout import Layout
from relsign.formats.link import Sha256
from relsign.formats.names import MAX_ARTIFACTS, Digest
from tests.hostile.downloads import FAR_AHEAD, lasting, lines_of, put, verify
from tests.verify.releases import Release, changed_link, make_fingerprint

MANY = MAX_ARTIFACTS
BYTES = b"%05d"


def _name(number: int) -> str:
    return f"part-{number:05}"


def _few_rules(layout: Layout) -> Layout:
    """Return the layout with the rules of a release of very many files."""
    rules = (("REQUIRE", "linux.fingerprint.json"), ("CREATE", "*"), ("DISALLOW", "*"))
    source, build = layout.steps
    many = msgspec.structs.replace(build, expected_products=rules)
    return msgspec.structs.replace(layout, steps=(source, many), expires=FAR_AHEAD)


def large_release(count: int) -> Release:
    """Return a good release of very many artifacts."""
    made = tuple(
        BuiltArtifact(name=_name(n), sha256=sha256_hex(BYTES % n), size=5, mode="0644")
        for n in range(count)
    )
    release = lasting()
    release.fingerprint = make_fingerprint(artifacts=made)
    release.change_layout = _few_rules
    return release


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a download of 50,000 files."""
    folder = put(tmp_path_factory.mktemp("large"), large_release(MANY))
    for number in range(MANY):
        (folder / _name(number)).write_bytes(BYTES % number)
    return folder


def test_one_of_50000_artifacts(large: Path) -> None:
    done = verify(large, file=_name(77))
    assert done.returncode == 0, done
    lines_of(done)
    done = verify(large, "-v", file="root.json")
    assert done.returncode == 1, done
    lines_of(done)


def test_50000_artifacts_at_once(large: Path) -> None:
    others = tuple(_name(number) for number in range(1, MANY))
    done = verify(large, *others, file=_name(0), seconds=30)
    assert done.returncode == 0, done
    lines_of(done)


def test_50000_wrong_artifacts_are_told_on_few_lines(large: Path, tmp_path: Path) -> None:
    for name in ("root.json", "demo-1.0.relsign"):
        (tmp_path / name).write_bytes((large / name).read_bytes())
    for number in range(MANY):
        (tmp_path / _name(number)).write_bytes(b"other")
    others = tuple(_name(number) for number in range(1, MANY))
    done = verify(tmp_path, "-v", *others, file=_name(0), seconds=30)
    assert done.returncode == 1, done
    lines_of(done)


def test_one_more_artifact_than_there_may_be(tmp_path: Path) -> None:
    done = verify(put(tmp_path, large_release(MANY + 1)), file="root.json")
    assert done.returncode == 1, done
    assert str(MANY) in done.stdout.decode()
    lines_of(done)


def test_a_builder_whose_link_is_as_large_as_may_be(tmp_path: Path) -> None:
    """One builder of three alone can make everybody read this much: it must not cost more."""
    digest = Sha256(sha256=Digest(hashlib.sha256(b"").hexdigest()))
    full = {f"{n:060}": digest for n in range(100_000)}
    alone = changed_link("builder-c", "build", products=full)
    alone |= changed_link("builder-c", "source", materials=full)
    done = verify(put(tmp_path, lasting(lambda files: files | alone)), "-v")
    assert done.returncode == 0, done
    assert "dissent" in done.stdout.decode()
    lines_of(done)

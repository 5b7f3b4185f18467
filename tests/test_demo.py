"""The story of a release engineer, whole and real: `tools/demo` as a test.

Real sources, real environments, real containers, real keys; the same script that
`make demo` runs, in a folder of its own that keeps its downloads between runs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from relsign.formats.envelope import parse_envelope
from relsign.formats.fingerprint import parse_fingerprint
from relsign.formats.lock import parse_lock
from relsign.formats.provenance import parse_provenance

ROOT = Path(__file__).parent.parent
FOLDER = "out/test-demo"
SITE = ROOT / FOLDER / "site"
GZIP = SITE / "gzip" / "1.12"
WHEEL = SITE / "securesystemslib" / "1.6.0"
CANARY = "canary-8d1f0b7a"


@pytest.fixture(scope="module")
def story() -> str:
    """Run the demo and return what it printed."""
    done = subprocess.run(
        ["tools/demo", FOLDER],
        cwd=ROOT,
        env={**os.environ, "SECRET_TOKEN": CANARY},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


pytestmark = pytest.mark.engine


def test_the_story_ends_well(story: str) -> None:
    assert "VERIFIED  gzip-1.12-linux-amd64.tar.gz" in story
    assert "VERIFIED  securesystemslib-1.6.0-py3-none-any.whl" in story
    assert "REFUSED  gzip-1.12-linux-amd64.tar.gz" in story
    assert "SAME BYTES as published" in story
    assert "upstream signature good: 155D3FC500C834486D1EEA677FD9FCCB000BEEEE" in story


def test_the_wheel_is_the_one_the_index_publishes(story: str) -> None:
    assert story
    name = "securesystemslib-1.6.0-py3-none-any.whl"
    recipe = (ROOT / "examples/securesystemslib/relsign.toml").read_text()
    digest = hashlib.sha256((WHEEL / name).read_bytes()).hexdigest()
    assert f'expect_sha256 = "{digest}"' in recipe


def test_both_builders_wrote_the_same_fingerprint(story: str) -> None:
    assert story
    builds = ROOT / FOLDER / "work/gzip/project-a/release/gzip-1.12/builds"
    files = sorted(builds.glob("*/linux-amd64.fingerprint.json"))
    assert [path.parent.name for path in files] == ["builder-a", "builder-b"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_publication_passes_stock_tools(story: str, tmp_path: Path) -> None:
    assert story
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--quiet", "--batch"]
    for command in (
        ["sha256sum", "-c", "SHA256SUMS"],
        [*gpg, "--import", "../keys/sara.asc"],
        [*gpg, "--verify", "SHA256SUMS.asc", "SHA256SUMS"],
        ["sqv", "--keyring", "../keys/sara.asc", "SHA256SUMS.asc", "SHA256SUMS"],
        ["minisign", "-Vm", "SHA256SUMS", "-p", "../keys/sam.minisign.pub"],
    ):
        done = subprocess.run(command, cwd=GZIP, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


def test_no_secret_of_the_caller_is_in_anything_published(story: str) -> None:
    assert CANARY not in story
    passphrase = (ROOT / FOLDER / "keys/passphrase").read_text().strip()
    for path in (ROOT / FOLDER / "work", SITE):
        for file in path.rglob("*"):
            if file.is_file():
                data = file.read_bytes()
                assert CANARY.encode() not in data, file
                assert passphrase.encode() not in data, file


def test_provenance_names_every_input_with_its_digest(story: str) -> None:
    assert story
    fingerprint = parse_fingerprint((GZIP / "linux-amd64.fingerprint.json").read_bytes())
    lock = parse_lock((ROOT / "builders/debian-c/builder.lock").read_bytes())
    for builder in ("builder-a", "builder-b"):
        (line,) = (GZIP / f"in-toto/{builder}.intoto.jsonl").read_bytes().splitlines()
        provenance = parse_provenance(parse_envelope(line, builder).payload)
        inputs = provenance.predicate.buildDefinition.resolvedDependencies
        named = {i.name: i.digest.sha256 for i in inputs if isinstance(i.name, str)}
        assert named == fingerprint.materials()
        # What the lock binds by its digest alone is told in full besides.
        others = {i.digest.sha256 for i in inputs if not isinstance(i.name, str)}
        assert others == {package.sha256 for package in lock.packages}

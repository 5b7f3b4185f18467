"""Through the gate: what is published, what is refused, and that it is all or nothing."""

from __future__ import annotations

import dataclasses
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.fingerprint import BuiltArtifact
from relsign.publish.announce import Public
from relsign.publish.gate import pass_gate
from relsign.publish.release import Candidate, collect_candidate
from relsign.publish.targets.directory import Judge, Published, Word, publish_to_directory
from relsign.system.clock import now_utc
from relsign.verify.decision import VerifiedRelease
from relsign.verify.freshness import ListingFiles
from relsign.verify.root import verify_root
from tests.projects import PROGRAM, Project
from tests.verify.releases import ARTIFACT, NAME


def tree(folder: Path) -> dict[str, str]:
    """Return path -> digest of everything below a folder, lock files aside."""
    return {
        str(path.relative_to(folder)): sha256_hex(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def collect(project: Project) -> Candidate:
    now = now_utc()
    root = verify_root(project.workspace.root_file.read_bytes(), now)
    return collect_candidate(project.release, root, (), now)


def publish_judged(project: Project, candidate: Candidate, judge: Judge) -> Published:
    return publish_to_directory(project.site, candidate, Public({}), judge, now_utc())


def test_a_signed_release_is_published_and_verifies(project: Project) -> None:
    assert project.signed().publish() == 0
    assert project.verify(project.published / NAME) == 0
    assert (project.published / NAME).read_bytes() == ARTIFACT
    names = {path.name for path in project.published.iterdir()}
    assert names == {
        NAME,
        "SHA256SUMS",
        "SHA256SUMS.minisig",
        "demo-1.0.relsign",
        "in-toto",
        "linux.fingerprint.json",
    }
    assert not list(project.site.rglob(".staging*"))


def test_publishing_twice_changes_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.signed().publish()
    before = tree(project.site)
    assert project.publish() == 0
    assert "ALREADY PUBLISHED" in capsys.readouterr().err
    assert tree(project.site) == before


def test_a_published_version_never_gets_other_bytes(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.signed().publish()
    before = tree(project.site)
    shutil.rmtree(project.release.folder)
    project.run("policy", "compile")
    project.build("builder-a", b"second try")
    project.build("builder-b", b"second try")
    for name in ("olga", "oona"):
        project.run_signing("policy", "sign", "--as", name)
    for name in ("sam", "sven"):
        project.run_signing("sign", "--as", name, "--yes")
    assert project.publish() == 1
    assert "published already, with other bytes" in capsys.readouterr().err
    assert tree(project.site) == before


def test_nothing_is_published_with_one_signer(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.build("builder-a")
    project.build("builder-b")
    for name in ("olga", "oona"):
        project.run_signing("policy", "sign", "--as", name)
    project.run_signing("sign", "--as", "sam", "--yes")
    assert project.publish() == 3
    error = capsys.readouterr().err
    assert "NOT ENOUGH at step 3, signers" in error
    assert "hint:" in error
    assert not project.published.exists()
    assert not project.root_file.exists()


def test_nothing_is_published_without_statement_or_layout(project: Project) -> None:
    assert project.publish() == 3
    project.build("builder-a")
    project.release.layout_file.unlink()
    assert project.publish() == 3
    assert not project.published.exists()


def test_dissent_refuses_at_the_gate(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.signed()
    project.build("builder-c", b"other bytes")
    assert project.publish() == 1
    assert "dissent: builder-c" in capsys.readouterr().err
    assert not project.published.exists()


def test_a_link_that_says_nothing_does_not_help(project: Project) -> None:
    project.signed()
    folder = project.release.build_of("builder-b")
    for path in folder.glob("build.*.link"):
        path.write_bytes(b"{}")
    assert project.publish() == 3
    assert not project.published.exists()


def test_a_changed_artifact_is_never_published(project: Project) -> None:
    project.signed()
    for build in project.release.build_folders():
        (build / "artifacts" / NAME).write_bytes(b"changed after it was signed")
    assert project.publish() == 3
    assert not project.published.exists()


def test_an_artifact_swapped_while_publishing_is_seen(project: Project) -> None:
    project.signed()
    candidate = collect(project)
    # The file is exchanged after it was found and hashed, before it is copied.
    candidate.artifacts[NAME].write_bytes(b"evil twin")
    now = now_utc()

    def judge(staged: Path, listing: ListingFiles | None) -> VerifiedRelease:
        return pass_gate(candidate, staged, listing, now)

    with pytest.raises(Exception, match="not the file that was released"):
        publish_judged(project, candidate, judge)
    assert not project.published.exists()
    assert not list(project.site.rglob(".staging*"))


def test_an_altered_statement_is_refused(project: Project) -> None:
    project.signed()
    path = project.release.folder / STATEMENT_FILE
    data = bytearray(path.read_bytes())
    data[data.index(b'"payload":"') + 40] ^= 1
    path.write_bytes(bytes(data))
    assert project.publish() in {1, 2}
    assert not project.published.exists()


def test_a_second_publisher_is_told(project: Project) -> None:
    project.signed()
    candidate = collect(project)
    codes: list[int] = []

    def judge(staged: Path, listing: ListingFiles | None) -> VerifiedRelease:
        done = subprocess.run(
            [
                PROGRAM, "publish", "--to", str(project.site),
                "--project", str(project.folder),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        codes.append(done.returncode)
        assert "somebody else is publishing" in done.stderr
        return pass_gate(candidate, staged, listing, now_utc())

    assert publish_judged(project, candidate, judge).word is Word.PUBLISHED
    assert codes == [5]


def publisher(project: Project) -> list[str | Path]:
    return [
        PROGRAM, "publish", "--to", str(project.site),
        "--project", str(project.folder),
    ]  # fmt: skip


def test_a_killed_publisher_leaves_the_old_state_or_the_new(project: Project) -> None:
    project.signed()
    chance = random.Random(7)  # noqa: S311 - moments to kill at, the same in every run
    seen: set[bool] = set()
    for _ in range(12):
        process = subprocess.Popen(
            publisher(project), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.05, 1.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.add(project.published.exists())
        # The release comes first and the root last: never a root without its release.
        assert project.published.exists() or not project.root_file.exists()
        if project.published.exists():
            assert project.publish() == 0
            assert project.verify(project.published / NAME) == 0
            shutil.rmtree(project.site)
    assert project.publish() == 0
    assert project.verify(project.published / NAME) == 0
    assert not list(project.site.rglob(".staging*"))
    assert False in seen


def test_a_full_disk_leaves_nothing_half(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = os.urandom(1 << 20)
    made = BuiltArtifact(name=NAME, sha256=sha256_hex(artifact), size=len(artifact), mode="0644")
    project.build("builder-a", artifact, artifacts=(made,))
    project.build("builder-b", artifact, artifacts=(made,))
    for name in ("olga", "oona"):
        project.run_signing("policy", "sign", "--as", name)
    for name in ("sam", "sven"):
        project.run_signing("sign", "--as", name, "--yes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, hard))
    try:
        assert project.publish() == 5
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert "error:" in capsys.readouterr().err
    assert not project.published.exists()
    assert not list(project.site.rglob(".staging*"))
    assert project.publish() == 0


def test_what_is_printed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.signed()
    capsys.readouterr()
    assert project.publish() == 0
    shown = capsys.readouterr()
    assert shown.out.strip().endswith("demo/1.0")
    files = sum(path.is_file() for path in project.published.rglob("*"))
    assert f"PUBLISHED  demo 1.0  ({files} files)" in shown.err
    digest = sha256_hex(ARTIFACT)
    assert f"  {digest[:4]} {digest[4:8]} … {digest[-4:]}  {NAME}" in shown.err


def test_a_relative_folder_is_as_good(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.signed()
    monkeypatch.chdir(project.folder)
    assert execute(["publish", "--to", "public"]) == 0
    assert (project.folder / "public" / "demo" / "1.0" / NAME).exists()


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_nobody_looks_in_before_the_rename_and_everybody_after(
    project: Project, umask: int
) -> None:
    candidate = collect(project.signed())
    seen: list[int] = []

    def judge(staged: Path, listing: ListingFiles | None) -> VerifiedRelease:
        seen.append(staged.parent.stat().st_mode & 0o777)
        return pass_gate(candidate, staged, listing, now_utc())

    before = os.umask(umask)
    try:
        public = Public({"a.pem": b"x"})
        published = publish_to_directory(project.site, candidate, public, judge, now_utc())
    finally:
        os.umask(before)
    assert seen == [0o700]
    folders = [project.site, project.site / "demo", project.site / "demo" / "keys"]
    folders += [project.site / "demo" / "metadata"]
    folders += [published.folder, published.folder / "in-toto"]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o755}
    files = [p for p in project.site.rglob("*") if p.is_file() and p.name != ".publish.lock"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_publisher_told_to_stop_cleans_up(project: Project, number: signal.Signals) -> None:
    project.signed()
    process = subprocess.Popen(
        publisher(project), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while not list((project.site / "demo").glob(".staging*/release")):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert not list(project.site.rglob(".staging*"))
    assert not project.published.exists()


def test_what_a_crash_left_is_removed(project: Project) -> None:
    project.signed()
    demo = project.site / "demo"
    (demo / ".staging-1").mkdir(parents=True)
    (demo / ".staging-2").write_bytes(b"a file")
    (demo / ".staging-3").symlink_to(project.folder)
    (demo / ".root.json.0123.tmp").write_bytes(b"{}")
    assert project.publish() == 0
    assert {path.name for path in demo.iterdir()} - {".publish.lock"} == {
        "root.json", "keys", "metadata", "1.0",
    }  # fmt: skip
    assert project.workspace.recipe_file.exists()


@pytest.mark.parametrize(
    "version", ["keys", "root.json", "KEYS", "metadata", "Metadata", ".staging"]
)
def test_versions_that_would_stand_in_the_way(project: Project, version: str) -> None:
    candidate = dataclasses.replace(collect(project.signed()), version=version)

    def judge(staged: Path, listing: ListingFiles | None) -> VerifiedRelease:
        raise AssertionError(staged, listing)

    with pytest.raises(InputError, match="cannot be published"):
        publish_judged(project, candidate, judge)
    assert not project.site.exists()

"""Every broken release through the real program: the right exit code, and never 0.

The tables are those of the nine steps.  Here each case is laid on disk as a person who
downloads has it, with pins, memory and listing in a trust store, and `relsign verify`
runs as a user runs it.  Famous verifiers failed and exited 0; this is the proof that
ours does not.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.crypto.digest import sha256_hex
from relsign.errors import RelsignError
from relsign.formats.bundle import make_bundle, parse_bundle
from relsign.formats.root import parse_root, root_file_name
from relsign.system.files import write_whole
from relsign.trust.pins.store import TrustStore
from relsign.verify.decision import Question
from relsign.verify.demands import Demands
from relsign.verify.root import open_root
from relsign.verify.verdict import STEPS, Outcome
from tests.verify.broken import BROKEN
from tests.verify.broken_full import BROKEN_FULL
from tests.verify.broken_release_key import BROKEN_RELEASE_KEY
from tests.verify.full_release import FullRelease
from tests.verify.releases import ARTIFACT, NOW, Release, bundle_bytes, group_root

Capture = pytest.CaptureFixture[str]
BUNDLE = "demo-1.0.relsign"


CASES = BROKEN | BROKEN_RELEASE_KEY | dict(BROKEN_FULL)
BYTES: dict[str, bytes] = {
    sha256_hex(data): data for data in (ARTIFACT, b"flipped", b"other bytes", b"evil bytes")
}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set the home to an empty one, and the clock to the day of the releases."""
    monkeypatch.setattr("relsign.cli.verdict.now_utc", lambda: NOW)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


def lay_down(folder: Path, release: Release) -> list[str]:
    """Write what a person has of a release; return the words of the command."""
    question = release.question()
    folder.mkdir()
    for name, digest in question.artifacts.items():
        (folder / name).write_bytes(BYTES.get(digest, b"nobody knows"))
    bundle = with_roots(question)
    if bundle is not None:
        (folder / BUNDLE).write_bytes(bundle)
    words = ["verify", "--json", *[str(folder / name) for name in question.artifacts]]
    words += demanded(folder, question.demands)
    if question.wanted:
        words += ["--release", question.wanted]
    if question.rebuilt:
        for target, data in question.rebuilt.items():
            write_whole(folder / "rebuilt" / f"{target}.fingerprint.json", data)
        words += ["--rebuilt", str(folder / "rebuilt")]
    return words + trusted(folder, question)


def with_roots(question: Question) -> bytes | None:
    """Return the bundle, with the newer roots in it: a person gets them there."""
    if question.bundle is None:
        return None
    if not question.newer_roots:
        return bundle_bytes(question)
    bundle = parse_bundle(bundle_bytes(question))
    roots = {root_file_name(parse_root(data).signed.version): data for data in question.newer_roots}
    return make_bundle(bundle.project, bundle.version, bundle.files | roots).to_bytes()


def demanded(folder: Path, demands: Demands) -> list[str]:
    """Write a person's own policy, if there is something to say in it."""
    lines = [
        f"{name} = {getattr(demands, name)}"
        for name in ("signers", "builders", "organisations", "freshness_days")
        if getattr(demands, name)
    ]
    lines += ["log = true"] if demands.log else []
    lines += ['dissent = "refuse"'] if demands.refuse_dissent else []
    path = folder / "own-policy.toml"
    path.write_text("\n".join(lines))
    level = demands.level.name.lower()
    return ["--policy", str(path), *(["--level", level] if level != "standard" else [])]


def trusted(folder: Path, question: Question) -> list[str]:
    """Pin the root, with what was seen and listed; name one that nobody can pin."""
    try:
        pinned = open_root(question.root)
    except RelsignError:
        (folder / "root.json").write_bytes(question.root)
        return ["--root", str(folder / "root.json")]
    store = TrustStore(folder / "trust")
    store.create("mine", pinned, None, NOW)
    for entry in question.seen or ():
        store.remember("mine", entry)
    if question.listing is not None:
        metadata = store.metadata_folder("mine")
        write_whole(metadata / "timestamp.json", question.listing.timestamp)
        write_whole(metadata / "snapshot.json", question.listing.snapshot)
        write_whole(metadata / "targets.json", question.listing.targets)
    return ["--trust", str(folder / "trust"), "--pin", "mine"]


GOOD = {
    "plain": Release(),
    "full": FullRelease(),
    "release key": Release(root=group_root(), signers=("sam", "sara", "team")),
}


@pytest.mark.parametrize("release", GOOD.values(), ids=GOOD)
def test_what_is_not_broken_exits_0(release: Release, tmp_path: Path, capsys: Capture) -> None:
    assert execute(lay_down(tmp_path / "download", release)) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "VERIFIED"


def test_no_case_hides_another_of_its_name() -> None:
    assert len(CASES) == len(BROKEN) + len(BROKEN_RELEASE_KEY) + len(BROKEN_FULL)


@pytest.mark.parametrize("name", CASES)
def test_a_broken_release_never_exits_0(
    name: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, step, outcome, words = CASES[name]
    monkeypatch.setattr("relsign.cli.verdict.now_utc", lambda: release.now)
    code = execute(lay_down(tmp_path / "download", release))
    said = capsys.readouterr()
    if not release.artifacts:
        assert (code, "Missing argument" in said.err) == (2, True)
        return
    assert code == (1 if outcome is Outcome.REFUSED else 3), said
    answer = json.loads(said.out)
    row = answer["rows"][STEPS.index(step)]
    assert answer["verdict"] == ("REFUSED" if code == 1 else "NOT ENOUGH")
    assert answer["exit_code"] == code
    assert (row["outcome"], words in row["text"]) == (outcome.value, True), row
    assert row["hint"]

"""The five promises of docs/guarantees.md, each broken in every way one party could try."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from relsign.cli.main import execute
from relsign.crypto.digest import sha256_hex
from relsign.formats.bundle import make_bundle, parse_bundle
from relsign.formats.fingerprint import parse_fingerprint
from relsign.formats.policy import Revocation
from relsign.verify.verdict import Word
from tests.projects import Project, make_project, run_program
from tests.verify.releases import (
    NAME,
    Release,
    link_files,
    make_fingerprint,
    make_root,
    sealed,
)

EVIL = make_fingerprint(b"evil bytes")


@pytest.fixture
def published(project: Project) -> Project:
    assert project.signed().publish() == 0
    return project


# 1. No single builder, signer, machine or server can get a changed artifact accepted.


@pytest.mark.parametrize(
    ("who", "release"),
    [
        ("one builder", Release(fingerprint=EVIL, builders=("builder-a",))),
        ("one signer", Release(fingerprint=EVIL, signers=("sam",))),
        ("one owner", Release(fingerprint=EVIL, owners=("olga",))),
        (
            "all builders of one organisation",
            Release(fingerprint=EVIL, builders=("builder-b", "builder-c")),
        ),
        ("all signers, no builder", Release(fingerprint=EVIL, builders=())),
        ("all builders, no signer", Release(fingerprint=EVIL, signers=())),
        (
            "all owners, no signer",
            Release(fingerprint=EVIL, owners=("olga", "otto", "oona"), signers=()),
        ),
    ],
)  # fmt: skip
def test_promise_1_no_single_party_gets_a_changed_artifact_accepted(
    who: str, release: Release
) -> None:
    release.artifacts = {NAME: sha256_hex(b"evil bytes")}
    assert release.decide().verdict.word is not Word.VERIFIED, who


def test_promise_1_a_lying_builder_is_outvoted_and_named() -> None:
    release = Release(
        builders=("builder-a", "builder-b"),
        change_files=lambda files: files | link_files(EVIL, "builder-c"),
    )
    decision = release.decide()
    assert decision.release is not None
    assert [party.name for party in decision.release.dissenters] == ["builder-c"]
    release.artifacts = {NAME: sha256_hex(b"evil bytes")}
    assert release.decide().verdict.word is Word.REFUSED


def test_promise_1_a_server_can_only_withhold(published: Project, tmp_path: Path) -> None:
    """Change any one byte of anything a server hands out: never another artifact VERIFIED."""
    chance = random.Random(11)  # noqa: S311 - places to damage, the same in every run
    bundle = bytearray((published.published / "demo-1.0.relsign").read_bytes())
    target = tmp_path / "d"
    target.mkdir()
    (target / NAME).write_bytes(b"the server's own bytes")
    for _ in range(40):
        damaged = bytearray(bundle)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        (target / "x.relsign").write_bytes(bytes(damaged))
        assert published.verify(target / NAME) in {1, 3}


# 2. One person's mistake or stolen key is survivable.


@pytest.mark.parametrize("missing", ["olga", "otto", "oona", "sam", "sven", "sara"])
def test_promise_2_any_one_person_may_be_lost(missing: str) -> None:
    owners = tuple(name for name in ("olga", "otto", "oona") if name != missing)
    signers = tuple(name for name in ("sam", "sven", "sara") if name != missing)
    assert Release(owners=owners, signers=signers).decide().verdict.word is Word.VERIFIED


def test_promise_2_one_stolen_key_signs_nothing_alone() -> None:
    for release in (
        Release(fingerprint=EVIL, owners=("olga",)),
        Release(fingerprint=EVIL, signers=("sam",)),
        Release(fingerprint=EVIL, builders=("builder-a",)),
    ):
        release.artifacts = {NAME: sha256_hex(b"evil bytes")}
        assert release.decide().verdict.word is not Word.VERIFIED


def test_promise_2_a_replaced_key_counts_no_more() -> None:
    members = tuple(m for m in make_root().members if m.name != "sam")
    release = Release(root=make_root(members=members, version=2), signers=("sam", "sara"))
    assert release.decide().verdict.word is Word.NOT_ENOUGH


def test_promise_2_a_release_can_be_taken_back() -> None:
    digest = sha256_hex(Release().statement().to_bytes())
    revoked = (Revocation(statement_sha256=digest, reason="signed by mistake"),)
    assert Release(root=make_root(revoked=revoked)).decide().verdict.word is Word.REFUSED


# 3. Anyone can rebuild and compare one short string.


def test_promise_3_honest_builders_write_the_same_fingerprint(project: Project) -> None:
    one = project.build("builder-a") / "linux.fingerprint.json"
    two = project.build("builder-b") / "linux.fingerprint.json"
    assert one.read_bytes() == two.read_bytes()
    fingerprint = parse_fingerprint(one.read_bytes())
    assert sha256_hex(fingerprint.to_bytes()) == sha256_hex(one.read_bytes())


@pytest.mark.parametrize(
    "changes",
    [{"recipe_sha256": "a" * 64}, {"source_date_epoch": 2}, {"target": "other"}, {"version": "2"}],
)
def test_promise_3_every_input_changes_the_short_string(changes: dict[str, object]) -> None:
    assert msgspec.structs.replace(make_fingerprint(), **changes) != make_fingerprint()


# 4. A verifier runs nothing, touches no network, and exits 0 only for VERIFIED.


@pytest.fixture
def sandboxed(published: Project) -> list[str]:
    """Give a command line that verifies with no network and no right to start a program."""
    script = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event.startswith(('subprocess', 'os.exec', 'os.posix_spawn', 'os.system',\n"
        "                         'os.fork', 'socket.')):\n"
        "        raise SystemExit(99)\n"
        "from relsign.cli.main import execute\n"
        "sys.addaudithook(hook)\n"
        "sys.exit(execute(sys.argv[1:]))\n"
    )
    return [sys.executable, "-c", script, "verify", "--root", str(published.root_file)]


def test_promise_4_verify_runs_nothing_and_calls_nobody(
    published: Project, sandboxed: list[str]
) -> None:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", *sandboxed, published.published / NAME],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    assert done.stdout.startswith("VERIFIED")


def test_promise_4_exit_0_only_with_the_word(published: Project, tmp_path: Path) -> None:
    """Damage the evidence file by file; the word and the code always say the same."""
    bundle = parse_bundle((published.published / "demo-1.0.relsign").read_bytes())
    contents = bundle.files
    folder = tmp_path / "d"
    folder.mkdir()
    shutil.copy(published.published / NAME, folder)
    for name in contents:
        for change in (None, b"", b"{}", contents[name][:-1], contents[name] + b"\n"):
            changed = {k: v for k, v in contents.items() if k != name}
            if change is not None:
                changed[name] = change
            (folder / "x.relsign").write_bytes(make_bundle("demo", "1.0", changed).to_bytes())
            code = published.verify(folder / NAME)
            # DSSE leaves the white space of an envelope open; provenance has no vote.
            spaced = change == contents[name] + b"\n" and not name.endswith(".json")
            # Who gives the root by hand needs no copy of it; a false copy refuses all the same.
            unneeded = change is None and name == "1.root.json"
            harmless = spaced or unneeded or name.endswith(".intoto.jsonl")
            assert code in ({0} if harmless else {1, 3}), name


def test_promise_4_a_sublayout_with_a_command_is_never_run(tmp_path: Path) -> None:
    """An authorised builder hands in a layout whose inspection would create a file."""
    witness = tmp_path / "ran"
    layout = Release().compiled_layout().to_bytes()
    evil = layout.replace(b'"run":["true"]', f'"run":["touch","{witness}"]'.encode())
    assert evil != layout
    name = next(n for n in link_files(EVIL, "builder-a") if n.startswith("build"))
    release = Release(change_files=lambda files: {**files, name: sealed(evil, ["builder-a"])})
    assert release.decide().verdict.word is Word.NOT_ENOUGH
    assert not witness.exists()


# 5. Stock tools agree.


def test_promise_5_stock_tools_verify_what_is_published(published: Project) -> None:
    folder = published.published
    keys = folder.parent / "keys"
    commands: list[list[str | Path]] = [
        ["sha256sum", "-c", "SHA256SUMS"],
        ["minisign", "-Vm", "SHA256SUMS", "-p", keys / "sam.minisign.pub"],
        [
            Path(sys.executable).with_name("in-toto-verify"),
            "--layout", "in-toto/release.layout", "--link-dir", "in-toto",
            "--verification-keys", keys / "olga.pem", keys / "oona.pem",
        ],
    ]  # fmt: skip
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
    (folder / "verify-download.link").unlink()
    (folder / NAME).write_bytes(b"changed")
    for command in (commands[0], commands[2]):
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        assert done.returncode != 0, command


def test_promise_5_openssl_reads_the_keys_we_publish(published: Project) -> None:
    key = published.published.parent / "keys" / "olga.pem"
    done = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", key, "-noout", "-text"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "ED25519" in done.stdout


# A fork is never mistaken for upstream.


def test_a_fork_verifies_under_its_own_root_only(published: Project, tmp_path: Path) -> None:
    fork = make_project(tmp_path / "fork", published.keys, tmp_path / "fork-site")
    recipe = fork.workspace.recipe_file
    recipe.write_text(
        recipe.read_text().replace('name = "demo"\nversion', 'name = "demo-fork"\nversion')
    )
    # The owners of the first project cannot lead its users to the fork: it begins anew.
    assert fork.run("policy", "compile") == 2
    fork.workspace.root_file.unlink()
    fork.new_root()
    root = fork.workspace.root_file
    code = execute(["verify", "--root", str(root), str(published.published / NAME)])
    assert code == 1
    assert run_program("verify", str(published.published / NAME)).returncode == 4

"""The story of the people who make a release: keys, roster, layout, signatures, and mistakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.cli.show import short_digest
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import check_members
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE
from relsign.formats.envelope import parse_envelope
from relsign.formats.roster import parse_roster
from relsign.sign.evidence.links import seal
from relsign.sign.keys.keystore import KeyStore
from tests.projects import PASSPHRASE, PROGRAM, Project, make_project, run_program
from tests.verify.releases import NAME

Capture = pytest.CaptureFixture[str]


def test_init_writes_what_a_project_needs_and_keeps_what_is_there(
    tmp_path: Path, capsys: Capture
) -> None:
    assert execute(["init", "demo", "1.0", "--project", str(tmp_path)]) == 0
    recipe = (tmp_path / "relsign.toml").read_text()
    assert 'name = "demo"' in recipe
    (tmp_path / "relsign.toml").write_text("mine")
    assert execute(["init", "demo", "2.0", "--project", str(tmp_path)]) == 0
    assert (tmp_path / "relsign.toml").read_text() == "mine"
    assert "kept" in capsys.readouterr().err
    assert execute(["init", "../evil", "1.0", "--project", str(tmp_path)]) == 2


def test_status_leads_from_step_to_step(project: Project, capsys: Capture) -> None:
    assert project.run("status") == 3
    assert "Next: relsign build --as NAME" in capsys.readouterr().out
    project.build("builder-a")
    project.build("builder-b")
    assert project.run("status") == 3
    out = capsys.readouterr().out
    assert "builders: builder-a, builder-b\n" in out
    assert "█ █  demo-1.0.tar.gz  same bytes" in out
    assert "Next: relsign policy sign --as NAME" in out
    for name in ("olga", "oona"):
        project.run_signing("policy", "sign", "--as", name)
    assert project.run("status") == 3
    assert "Next: relsign sign --as NAME" in capsys.readouterr().out
    for name in ("sam", "sven"):
        project.run_signing("sign", "--as", name, "--yes")
    capsys.readouterr()
    assert project.run("status", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["next"] == "relsign publish --to DIR"
    assert project.run("status") == 0
    assert "  ✓ signers   2 (need 2)  sam, sven\n" in capsys.readouterr().out


def test_status_of_a_project_with_publishers_names_them(
    tmp_path: Path, keys: Path, capsys: Capture
) -> None:
    project = make_project(tmp_path / "project", keys, tmp_path / "site", publisher=True)
    project.signed()
    assert project.run("status") == 0
    assert "Next: relsign publish --to DIR --as NAME\n" in capsys.readouterr().out


def test_builders_that_disagree_are_shown_and_nothing_is_signed(
    project: Project, capsys: Capture
) -> None:
    project.build("builder-a")
    project.build("builder-b", b"other bytes")
    assert project.run("status") == 1
    out = capsys.readouterr().out
    assert "█ ▓  demo-1.0.tar.gz  DIFFERENT BYTES: builder-a, builder-b\n" in out
    assert "Next: find out why builder-a, builder-b got other bytes" in out
    assert not [line for line in out.splitlines() if line != line.rstrip()]
    for name in ("olga", "oona"):
        project.run_signing("policy", "sign", "--as", name)
    assert project.run_signing("sign", "--as", "sam", "--yes") == 1
    assert "disagree" in capsys.readouterr().err
    assert not project.release.statement_file.exists()


def test_a_dissenter_stops_the_signers(project: Project, capsys: Capture) -> None:
    project.build("builder-a")
    project.build("builder-b")
    project.build("builder-c", b"other bytes")
    capsys.readouterr()
    assert project.run("status") == 1
    out = capsys.readouterr().out
    assert "█ █ ▓  demo-1.0.tar.gz  DIFFERENT BYTES: builder-c\n" in out
    assert "Next: find out why builder-c got other bytes" in out
    for name in ("olga", "oona"):
        project.run_signing("policy", "sign", "--as", name)
    assert project.run_signing("sign", "--as", "sam", "--yes") == 1
    assert "builder-c built other bytes" in capsys.readouterr().err


def test_a_signer_is_shown_what_is_signed(project: Project, capsys: Capture) -> None:
    project.signed()
    shown = capsys.readouterr().err
    assert "Release demo 1.0, after nothing: the first release" in shown
    assert NAME in shown
    assert "built by builder-a builder-b (2 organisations)" in shown
    assert "layout signed by olga oona" in shown
    assert "fingerprint of linux: " in shown


def test_signing_without_terminal_needs_yes(project: Project, capsys: Capture) -> None:
    project.signed()
    assert project.run_signing("sign", "--as", "sara") == 2
    assert "--yes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("profile", "code", "words"),
    [("hardened-1", 1, "hardened-1"), ("hardened-99", 2, "no such sandbox profile")],
)
def test_a_signer_reviews_the_sandbox_profile_too(
    project: Project, capsys: Capture, profile: str, code: int, words: str
) -> None:
    project.signed()
    before = project.release.statement_file.read_bytes()
    capsys.readouterr()
    assert project.run_signing("sign", "--as", "sara", "--yes", "--profile", profile) == code
    assert words in capsys.readouterr().err
    assert project.release.statement_file.read_bytes() == before


def test_the_layout_asks_for_the_profile_that_the_recipe_names(
    project: Project, capsys: Capture
) -> None:
    recipe = project.workspace.recipe_file
    recipe.write_text(
        recipe.read_text().replace("[project]", '[project]\nprofile = "hardened-1"', 1)
    )
    assert project.run("policy", "compile") == 0
    layout = parse_envelope(project.release.layout_file.read_bytes(), "layout").payload
    assert b"profiles/hardened-1.json" in layout
    assert b"profiles/hardened-2.json" not in layout
    capsys.readouterr()
    assert project.run_signing("policy", "sign", "--as", "olga") == 0


def test_signing_twice_changes_nothing(project: Project) -> None:
    project.signed()
    before = project.release.statement_file.read_bytes()
    assert project.run_signing("sign", "--as", "sam", "--yes") == 0
    assert project.release.statement_file.read_bytes() == before


def test_a_wrong_passphrase_signs_nothing(project: Project, capsys: Capture) -> None:
    project.build("builder-a")
    project.build("builder-b")
    code = project.run("policy", "sign", "--as", "olga", "--keys", str(project.keys))
    assert code == 2
    assert "hint" in capsys.readouterr().err
    layout = parse_envelope(project.release.layout_file.read_bytes(), LAYOUT_FILE)
    assert layout.signatures == ()


def test_only_owners_sign_the_layout_and_only_signers_the_statement(
    project: Project, capsys: Capture
) -> None:
    assert project.run_signing("policy", "sign", "--as", "sam") == 2
    assert "no owner of that name" in capsys.readouterr().err
    project.signed()
    assert project.run_signing("sign", "--as", "olga", "--yes") == 2
    assert "no signer of that name" in capsys.readouterr().err


def test_a_signer_refuses_a_statement_it_cannot_derive(
    project: Project, capsys: Capture, tmp_path: Path
) -> None:
    project.signed()
    other = make_project(tmp_path / "other", project.keys, tmp_path / "other-site")
    other.build("builder-a", b"evil bytes")
    other.build("builder-b", b"evil bytes")
    for name in ("olga", "oona"):
        other.run_signing("policy", "sign", "--as", name)
    other.run_signing("sign", "--as", "sam", "--yes")
    shutil.copy(other.release.statement_file, project.release.statement_file)
    capsys.readouterr()
    assert project.run_signing("sign", "--as", "sven", "--yes") == 1
    assert "not what this machine's own documents give" in capsys.readouterr().err


def test_an_owner_refuses_a_layout_it_cannot_derive(project: Project, capsys: Capture) -> None:
    project.set_policy("builders = 2", "builders = 3")
    assert project.run_signing("policy", "sign", "--as", "olga") == 2
    assert "relsign root rotate" in capsys.readouterr().err
    # With the new root agreed on, the layout on disk is still the old one.
    assert project.run("root", "rotate") == 0
    project.sign_root()
    capsys.readouterr()
    assert project.run_signing("policy", "sign", "--as", "olga") == 2
    assert "relsign policy compile" in capsys.readouterr().err
    project.compile()
    assert project.run_signing("policy", "sign", "--as", "olga") == 0


def test_a_changed_roster_makes_a_new_root_version(project: Project, capsys: Capture) -> None:
    project.set_policy("signers = 2", "signers = 3")
    project.compile()
    assert "(version 2)" in capsys.readouterr().err
    assert project.run("policy", "compile") == 0
    assert "unchanged" in capsys.readouterr().err


def test_twin_keys_are_refused_when_they_are_added(
    project: Project, capsys: Capture, tmp_path: Path
) -> None:
    before = project.workspace.roster_file.read_bytes()
    card = KeyStore(project.keys).card_file("sam").read_text()
    twin = tmp_path / "twin.toml"
    twin.write_text(card.replace('name = "sam"', 'name = "zoe"'))
    assert project.run("key", "add", str(twin)) == 2
    assert "one key under two names" in capsys.readouterr().err
    assert project.workspace.roster_file.read_bytes() == before


def test_a_roster_keeps_its_comments(project: Project, tmp_path: Path) -> None:
    roster = project.workspace.roster_file
    roster.write_bytes(b"# reviewed by olga\n" + roster.read_bytes())
    keys = tmp_path / "keys"
    assert new_key(keys, "zoe") == 0
    assert project.run("key", "add", str(keys / "zoe" / "member.toml")) == 0
    assert roster.read_text().startswith("# reviewed by olga\n")
    assert parse_roster(roster.read_bytes()).member[-1].name == "zoe"


def new_key(keys: Path, name: str, *words: str) -> int:
    read_end, write_end = os.pipe()
    os.write(write_end, b"correct horse battery\n")
    os.close(write_end)
    try:
        return execute(
            [
                "key", "new", name, "--role", "signer", "--operator", name,
                "--organisation", "birch", "--keys", str(keys),
                "--passphrase-fd", str(read_end), *words,
            ]
        )  # fmt: skip
    finally:
        os.close(read_end)


def test_keys_are_private_and_never_replaced(tmp_path: Path, capsys: Capture) -> None:
    keys = tmp_path / "keys"
    assert new_key(keys, "zoe") == 0
    secret = keys / "zoe" / "key.pem"
    assert secret.stat().st_mode & 0o077 == 0
    assert keys.stat().st_mode & 0o077 == 0
    assert b"ENCRYPTED" in secret.read_bytes()
    before = secret.read_bytes()
    assert new_key(keys, "zoe") == 2
    assert "exists" in capsys.readouterr().err
    assert secret.read_bytes() == before
    assert new_key(keys, "../evil") == 2


def test_a_key_command_that_is_killed_leaves_the_name_free(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    words = (
        "key", "new", "zoe", "--role", "signer", "--operator", "zoe", "--organisation", "birch",
        "--kind", "openpgp", "--keys", str(keys), "--passphrase-fd", "0",
    )  # fmt: skip
    with subprocess.Popen([PROGRAM, *words], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"correct horse battery\n")
        process.stdin.flush()
        while process.poll() is None and not list(keys.glob(".zoe.*")):
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (keys / "zoe").exists()
    assert KeyStore(keys).names() == ()
    assert new_key(keys, "zoe", "--kind", "openpgp") == 0
    signer = KeyStore(keys).open("zoe", b"correct horse battery")
    assert signer.sign(b"message")


def test_an_openpgp_signer_goes_the_whole_road(project: Project, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    shutil.copytree(project.keys, keys)
    assert new_key(keys, "petra", "--kind", "openpgp") == 0
    mine = Project(project.folder, keys, project.site)
    mine.add_member("petra")
    mine.new_root()
    mine.build("builder-a")
    mine.build("builder-b")
    for name in ("olga", "oona"):
        assert mine.run_signing("policy", "sign", "--as", name) == 0
    for name in ("sam", "petra"):
        assert mine.run_signing("sign", "--as", name, "--yes") == 0
    assert mine.publish() == 0
    assert mine.verify(mine.published / NAME) == 0
    assert (mine.published / "SHA256SUMS.asc").exists()
    assert mine.run("key", "list") == 0


def test_collect_takes_what_verifies_and_leaves_the_rest(
    project: Project, tmp_path: Path, capsys: Capture
) -> None:
    project.build("builder-a")
    other = tmp_path / "other"
    shutil.copytree(project.folder, other)
    theirs = Project(other, project.keys, project.site)
    theirs.build("builder-b")
    shutil.rmtree(theirs.release.build_of("builder-a"))
    shutil.copytree(theirs.release.build_of("builder-b"), theirs.release.build_of("builder-c"))
    assert project.run("collect", str(other)) == 1
    talk = capsys.readouterr().err
    assert "✓ builds/builder-b" in talk
    assert "✗ left behind: builds/builder-c" in talk
    assert project.release.build_of("builder-b").exists()
    assert not project.release.build_of("builder-c").exists()


def test_collect_merges_signatures(project: Project, tmp_path: Path, capsys: Capture) -> None:
    project.build("builder-a")
    project.build("builder-b")
    other = tmp_path / "other"
    shutil.copytree(project.folder, other)
    theirs = Project(other, project.keys, project.site)
    assert project.run_signing("policy", "sign", "--as", "olga") == 0
    assert theirs.run_signing("policy", "sign", "--as", "oona") == 0
    assert project.run("collect", str(other)) == 0
    assert "release.layout: oona" in capsys.readouterr().err
    assert project.run_signing("sign", "--as", "sam", "--yes") == 0
    shutil.copy(project.release.layout_file, theirs.release.layout_file)
    shutil.copy(project.release.statement_file, theirs.release.statement_file)
    assert theirs.run_signing("sign", "--as", "sven", "--yes") == 0
    assert project.run("collect", str(other)) == 0
    talk = capsys.readouterr().err
    assert "release.statement: sven" in talk
    assert "signatures/sven.minisig" in talk
    assert project.run("collect", str(other)) == 0
    assert "nothing new" in capsys.readouterr().err
    envelope = parse_envelope(project.release.statement_file.read_bytes(), STATEMENT_FILE)
    assert len(envelope.signatures) == 2
    assert project.publish() == 0


def test_a_release_names_the_one_before(project: Project, tmp_path: Path, capsys: Capture) -> None:
    project.signed().publish()
    bundle = project.published / "demo-1.0.relsign"
    again = make_project(tmp_path / "again", project.keys, tmp_path / "again-site")
    next_version(again)
    capsys.readouterr()
    code = again.run_signing("sign", "--as", "sam", "--yes", "--previous", str(bundle))
    assert code == 0
    payload = parse_envelope(project.release.statement_file.read_bytes(), STATEMENT_FILE).payload
    digest = short_digest(sha256_hex(payload))
    assert f"Release demo 1.1, after 1.0 (statement {digest})" in capsys.readouterr().err


def test_a_second_first_release_is_not_signed(project: Project, capsys: Capture) -> None:
    assert project.signed().publish() == 0
    next_version(project)
    capsys.readouterr()
    assert project.run_signing("sign", "--as", "sam", "--yes") == 2
    said = capsys.readouterr().err
    assert "would be another first release: 1.0 was signed before" in said
    assert "--previous SITE/demo/1.0/demo-1.0.relsign" in said
    assert not project.release.statement_file.exists()
    previous = ("--previous", str(project.site / "demo/1.0/demo-1.0.relsign"))
    assert project.run_signing("sign", "--as", "sam", "--yes", *previous) == 0
    # Who signs after that need not name it again, and the first one may still be signed.
    assert project.run_signing("sign", "--as", "sven", "--yes") == 0
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('version = "1.1"', 'version = "1.0"'))
    project.compile()
    assert project.run_signing("sign", "--as", "sara", "--yes") == 0


@pytest.mark.parametrize("spoil", ["unsigned", "junk", "link", "stranger"])
def test_what_no_signer_signed_is_no_release_before(project: Project, spoil: str) -> None:
    project.signed()
    first = project.release
    if spoil == "unsigned":
        first.statement_file.unlink()
    elif spoil == "junk":
        first.statement_file.write_bytes(b"junk")
    elif spoil == "link":
        first.folder.rename(project.folder / "elsewhere")
        first.folder.symlink_to(project.folder / "elsewhere")
    else:
        envelope = parse_envelope(first.statement_file.read_bytes(), STATEMENT_FILE)
        members = project.workspace.roster().member
        olga = next(p for p in check_members(members, "", share_roles=True) if p.name == "olga")
        sign = KeyStore(project.keys).open("olga", PASSPHRASE).sign
        first.statement_file.write_bytes(seal(envelope.payload, olga, sign).to_bytes())
    next_version(project)
    assert project.run_signing("sign", "--as", "sam", "--yes") == 0


def next_version(project: Project) -> None:
    """Turn the project to its next version, build it, and have its layout signed."""
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('version = "1.0"', 'version = "1.1"'))
    assert project.run("policy", "compile") == 0
    project.build("builder-a")
    project.build("builder-b")
    for name in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", name) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--help",), 0),
        (("--version",), 0),
        (("nonsense",), 2),
        (("verify",), 2),
        (("verify", "/nonexistent"), 2),
        (("status", "--project", "/nonexistent"), 2),
        (("key", "show", "nobody"), 2),
        (("sign", "--as", "x", "--project", "/dev/null"), 2),
    ],
)
def test_mistakes_end_with_a_code_and_without_a_traceback(
    words: tuple[str, ...], code: int
) -> None:
    done = run_program(*words)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr

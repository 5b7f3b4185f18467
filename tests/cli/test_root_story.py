"""The root's life: a stolen owner's key, signers who are replaced, and what people are shown."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.errors import NotEnoughError
from relsign.formats.bundle import bundle_file_name, make_bundle, parse_bundle
from relsign.formats.roster import Role
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.sign.rules.root import root_chain
from relsign.verify.root import extend_root, open_root
from tests.projects import PASSPHRASE, Project, make_project
from tests.verify.releases import NAME

Capture = pytest.CaptureFixture[str]
BUNDLE = bundle_file_name("demo", "1.0")


def new_card(project: Project, name: str, role: Role, organisation: str = "acme") -> str:
    """Make somebody's key in a store of this project's own; return the card's path."""
    own = project.folder.parent / "keys"
    if not own.exists():
        shutil.copytree(project.keys, own)
    project.keys = own
    store = KeyStore(own)
    store.create(
        wanted_member(name, name, organisation, (role,), "ed25519"), name, PASSPHRASE, None
    )
    return str(store.card_file(name))


def card(project: Project, name: str) -> str:
    return str(KeyStore(project.keys).card_file(name))


def copy_of(project: Project, name: str) -> Project:
    """Return another person's copy of the project, who holds the same keys."""
    folder = project.folder.parent / name
    shutil.copytree(project.folder, folder)
    return Project(folder, project.keys, project.folder.parent / f"{name}-site")


def with_roots(bundle: Path, roots: tuple[bytes, ...], to: Path) -> Path:
    """Write a bundle whose root chain is another."""
    files = parse_bundle(bundle.read_bytes()).files
    files |= {f"{number}.root.json": data for number, data in enumerate(roots, 1)}
    to.write_bytes(make_bundle("demo", "1.0", files).to_bytes())
    return to


def verify(project: Project, root: bytes, bundle: Path) -> int:
    """Run `relsign verify` on the published artifact, pinning these bytes."""
    pinned = project.folder.parent / "pinned.json"
    pinned.write_bytes(root)
    artifact = project.published / NAME
    words = ["--root", str(pinned), "--bundle", str(bundle), str(artifact), "-v"]
    return execute(["verify", *words])


# --- a stolen owner's key -------------------------------------------------------------------------


def test_a_thief_with_one_owners_key_changes_neither_root_nor_layout(
    project: Project, capsys: Capture
) -> None:
    thief = copy_of(project, "thief")
    # A root of the thief's own making: olga is the only owner, and one is enough.
    policy = thief.workspace.policy_file
    policy.write_text(policy.read_text().replace("owners = 2", "owners = 1"))
    for name in ("otto", "oona"):
        assert thief.run("root", "remove", name) == 0
    assert thief.run_signing("root", "sign", "--as", "olga") == 0
    capsys.readouterr()
    first, forged = root_chain(thief.workspace)
    with pytest.raises(NotEnoughError, match="signed by 1 of the owners of version 1"):
        extend_root(open_root(first), forged)
    # The program takes it no better: to it, too, this is not a complete version.
    assert thief.run("root", "show", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["signed_by"] == ["olga"]
    assert shown["still_needed"] == ["missing: 1 more owner of version 1 (oona, otto)"]
    assert thief.run_signing("policy", "sign", "--as", "olga") == 3
    assert "signed by 1 of the owners of version 1 (need 2)" in capsys.readouterr().err

    honest = project.signed()
    assert honest.publish() == 0
    bundle = with_roots(honest.published / BUNDLE, (first, forged), thief.folder / BUNDLE)
    assert verify(honest, first, bundle) == 3
    assert "signed by 1 of the owners of version 1" in capsys.readouterr().out


def test_a_thief_with_one_owners_key_signs_no_other_layout(
    project: Project, capsys: Capture
) -> None:
    thief = copy_of(project, "thief")
    recipe = thief.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('commands = ["make"]', 'commands = ["make evil"]'))
    assert thief.run("policy", "compile") == 0
    assert thief.run_signing("policy", "sign", "--as", "olga") == 0
    for builder in ("builder-a", "builder-b"):
        thief.build(builder)
    capsys.readouterr()
    assert thief.run_signing("sign", "--as", "sam", "--yes") == 3
    assert "1 of the 2 owners needed" in capsys.readouterr().err
    assert not thief.release.statement_file.exists()


def test_the_other_owners_take_a_stolen_key_out(project: Project, capsys: Capture) -> None:
    project.build("builder-a")
    project.build("builder-b")
    for name in ("olga", "oona", "otto"):
        assert project.run_signing("policy", "sign", "--as", name) == 0
    assert project.signed().publish() == 0
    (first,) = root_chain(project.workspace)

    words = ("--revoke", "laptop stolen", "--replacement", "olga-2")
    assert project.run("root", "remove", "olga", *words) == 0
    assert "olga-2 is no member yet" in capsys.readouterr().err
    project.sign_root("otto", "oona")
    old, new = root_chain(project.workspace)
    assert old == first
    assert extend_root(open_root(first), new).root.version == 2
    # The release stands: two other owners signed its layout.
    assert project.run("publish", "--root-only", "--to", str(project.site)) == 0
    said = capsys.readouterr().err
    assert "removed olga (owner)" in said
    assert "laptop stolen" in said
    bundle = with_roots(project.published / BUNDLE, (first, new), project.folder / BUNDLE)
    assert verify(project, first, bundle) == 0
    out = capsys.readouterr().out
    assert "demo, version 2" in out
    assert "2 owners signed" in out
    assert "oona otto" in out


def test_a_key_that_was_taken_out_stays_out(project: Project, capsys: Capture) -> None:
    words = ("--revoke", "laptop stolen", "--replacement", "olga-2")
    assert project.run("root", "remove", "olga", *words) == 0
    project.sign_root("otto", "oona")
    # The old key counts for nothing, and nobody enrols it again, under whatever name.
    assert project.run_signing("policy", "sign", "--as", "olga") == 2
    twin = project.folder / "oleg.toml"
    twin.write_text(
        Path(card(project, "olga")).read_text().replace('name = "olga"', 'name = "oleg"')
    )
    for path in (card(project, "olga"), str(twin)):
        before = project.workspace.roster_file.read_bytes()
        assert project.run("root", "add", path) == 2
        assert "is revoked: laptop stolen" in capsys.readouterr().err
        assert project.workspace.roster_file.read_bytes() == before

    # A new key of hers is another matter; the revoked one cannot sign the root that adds it.
    assert project.run("root", "add", new_card(project, "olga-2", "owner")) == 0
    assert project.run_signing("root", "sign", "--as", "olga") == 2
    assert "no owner of that name" in capsys.readouterr().err
    project.sign_root("otto", "olga-2")
    capsys.readouterr()
    assert project.run("root", "show") == 0
    shown = capsys.readouterr().out
    assert "signed by olga-2, otto" in shown
    assert "missing: 1 more owner of version 2 (oona)" in shown
    project.sign_root("oona")
    assert open_root(root_chain(project.workspace)[2]).root.version == 3


def test_too_few_owners_are_not_left(project: Project, capsys: Capture) -> None:
    assert project.run("root", "remove", "olga") == 0
    before = project.workspace.roster_file.read_bytes(), project.workspace.policy_file.read_bytes()
    assert project.run("root", "remove", "otto", "--revoke", "lost") == 2
    assert "threshold of owners is larger" in capsys.readouterr().err
    after = project.workspace.roster_file.read_bytes(), project.workspace.policy_file.read_bytes()
    assert after == before
    assert project.run("root", "remove", "otto", "--replacement", "oleg") == 2
    assert "--replacement goes with --revoke" in capsys.readouterr().err


# --- signers who are replaced ---------------------------------------------------------------------


def replace_signers(project: Project) -> None:
    """Put two new signers in the place of all the old ones."""
    cards = [new_card(project, "tina", "signer"), new_card(project, "tom", "signer", "birch")]
    assert project.run("root", "add", *cards) == 0
    for name in ("sam", "sven", "sara"):
        assert project.run("root", "remove", name, "--revoke", "left in anger") == 0
    project.sign_root()


def test_an_old_release_stays_when_its_signers_are_replaced(
    project: Project, capsys: Capture
) -> None:
    assert project.signed().publish() == 0
    bundle = project.published / BUNDLE
    former = copy_of(project, "former")
    assert project.run("root", "vouch", str(bundle)) == 0
    said = capsys.readouterr().err
    assert "version 1.0 of" in said
    assert "holds by version 1 of the root" in said
    # Again is no second entry.
    assert project.run("root", "vouch", str(bundle)) == 0
    replace_signers(project)
    assert project.run("publish", "--root-only", "--to", str(project.site)) == 0
    root = project.root_file.read_bytes()
    capsys.readouterr()
    assert verify(project, root, bundle) == 0
    out = capsys.readouterr().out
    assert "demo, version 2" in out
    assert "judged by version 1 as of" in out
    assert "the owners of version 2 vouch for it" in out

    # The people who left sign once more, dated as if it were then.
    forged = signed_again(former)
    assert verify(project, root_chain(former.workspace)[0], forged) == 0
    capsys.readouterr()
    assert verify(project, root, forged) == 3
    out = capsys.readouterr().out
    assert "0 of the 2 signers needed" in out
    assert "the key of sam is revoked: left in anger" in out
    # Nor do the owners vouch for it by mistake.
    before = project.workspace.policy_file.read_bytes()
    assert project.run("root", "vouch", str(forged)) == 3
    assert "vouch before the rotation" in capsys.readouterr().err
    assert project.workspace.policy_file.read_bytes() == before


def signed_again(former: Project) -> Path:
    """Make another statement of the same release with the old keys; return its bundle."""
    old = former.release.statement_file.read_bytes()
    former.release.statement_file.unlink()
    shutil.rmtree(former.release.signatures, ignore_errors=True)
    # A statement is dated in whole seconds, and this one must be another.
    time.sleep(1.1)
    for name in ("sam", "sven"):
        assert former.run_signing("sign", "--as", name, "--yes") == 0
    assert former.release.statement_file.read_bytes() != old
    assert former.publish() == 0
    return former.published / BUNDLE


def test_without_a_word_of_the_owners_it_falls(project: Project, capsys: Capture) -> None:
    assert project.signed().publish() == 0
    replace_signers(project)
    capsys.readouterr()
    assert verify(project, root_chain(project.workspace)[1], project.published / BUNDLE) == 3
    assert "0 of the 2 signers needed" in capsys.readouterr().out
    # And it is too late to say it: nothing tells it from what was made up since.
    assert project.run("root", "vouch", str(project.published / BUNDLE)) == 3
    # Nor is such a root published.
    assert project.run("publish", "--root-only", "--to", str(project.site)) != 0


# --- a release that is taken back -------------------------------------------------------------


def test_a_release_is_taken_back(project: Project, capsys: Capture) -> None:
    assert project.signed().publish() == 0
    words = ("--reason", "tampered tarball", "--replacement", "1.1")
    assert project.run("root", "revoke", "1.0", *words) == 0
    project.sign_root()
    capsys.readouterr()
    assert verify(project, root_chain(project.workspace)[1], project.published / BUNDLE) == 1
    out = capsys.readouterr().out
    assert "revoked by the owners: tampered tarball" in out
    assert "use 1.1 instead" in out
    assert project.run("root", "vouch", str(project.published / BUNDLE)) == 1
    assert "revoked by the owners" in capsys.readouterr().err
    assert project.run("root", "revoke", "1.0", "--reason", "again") == 2
    assert "is revoked already" in capsys.readouterr().err
    assert project.run("root", "show") == 0
    assert "revoked release  1.0: tampered tarball; 1.1 instead" in capsys.readouterr().out


def test_a_version_nobody_knows_is_taken_back_with_a_note(
    project: Project, capsys: Capture
) -> None:
    words = ("root", "revoke", "9.9", "--reason", "never to be used")
    capsys.readouterr()
    assert project.run(*words) == 0
    assert "note: release/ here holds no version 9.9" in capsys.readouterr().err
    project.build("builder-a")
    assert project.run("root", "revoke", "1.0", "--reason", "bad") == 0
    assert "note: " not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("revoke", "1.0", "--reason", "two\nlines"), "--reason"),
        (("revoke", "1.0", "--reason", ""), "--reason"),
        (("revoke", "1 0", "--reason", "x"), "VERSION"),
        (("revoke", "1.0", "--reason", "x", "--replacement", "../1"), "--replacement"),
        (("revoke", "1.0", "--reason", "x", "--statement", "zz"), "--statement"),
        (("remove", "sara", "--revoke", "two\nlines"), "--revoke"),
        (("remove", "sara", "--revoke", "x", "--replacement", "A B"), "--replacement"),
    ],
)
def test_bad_words_are_blamed_on_the_option(
    project: Project, capsys: Capture, words: tuple[str, ...], option: str
) -> None:
    before = project.workspace.policy_file.read_bytes(), project.workspace.roster_file.read_bytes()
    capsys.readouterr()
    assert project.run("root", *words) == 2
    assert capsys.readouterr().err.startswith(f"error: {option}: ")
    after = project.workspace.policy_file.read_bytes(), project.workspace.roster_file.read_bytes()
    assert before == after


def test_the_same_card_is_added_once(project: Project, capsys: Capture) -> None:
    card = str(KeyStore(project.keys).card_file("pia"))
    roster = project.workspace.roster_file
    for command in ("root", "key"):
        before = roster.read_bytes()
        capsys.readouterr()
        assert project.run(command, "add", card) == 0
        said = capsys.readouterr().err
        assert ("added pia: publisher of acme\n" in said) is (command == "root")
        assert ("pia is there already\n" in said) is (command == "key")
        assert project.run(command, "add", card) == 0
        assert "pia is there already\n" in capsys.readouterr().err
        assert (roster.read_bytes() == before) is (command == "key")
    # The name of another card is taken as before.
    text = Path(card).read_text().replace('"acme"', '"birch"')
    other = project.folder / "other.toml"
    other.write_text(text)
    for command in ("root", "key"):
        assert project.run(command, "add", str(other)) == 2
        assert "a member of that name exists" in capsys.readouterr().err


# --- what people are shown ----------------------------------------------------------------------


def test_a_root_is_shown_with_its_history(project: Project, capsys: Capture) -> None:
    assert project.run("root", "vouch", str(project.folder / "nothing")) == 2
    assert project.run("root", "remove", "sara", "--revoke", "lost") == 0
    capsys.readouterr()
    assert project.run("root", "show") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Trust root of demo, version 2, until ")
    assert "owners (need 2)" in lines
    assert "builders (need 2, of 2 organisations)" in lines
    assert "  signed by nobody yet" in lines
    assert "  missing: 2 more owners of version 1 (olga, oona, otto)" in lines
    assert lines.index("Version 1") < lines.index("Version 2")
    assert "  removed sara (signer)" in lines
    assert project.run("root", "show", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [version["version"] for version in document["versions"]] == [1, 2]
    assert document["revoked_keys"][0]["reason"] == "lost"
    assert {member["name"] for member in document["members"]} >= {"olga", "builder-c"}
    assert all(len(member["keyid"]) == 64 for member in document["members"])
    first = project.folder / "policies" / "roots" / "1.root.json"
    assert project.run("root", "show", str(first)) == 0
    out = capsys.readouterr().out
    assert "version 1" in out
    assert "signed by olga, oona" in out
    assert "missing" not in out


def test_what_a_root_withstands_is_said_and_is_no_verdict(
    project: Project, capsys: Capture
) -> None:
    capsys.readouterr()
    assert project.run("root", "analyse") == 0
    out = capsys.readouterr().out
    assert "GRAVE\n  1  acme alone can replace the root" in out
    assert "owner          3       3              2       2            1  2 keys" in out
    assert project.run("root", "analyse", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["findings"][0]["gravity"] == "grave"
    assert document["findings"][0]["code"] == "one-organisation-acts"
    assert document["roles"][0] == {
        "role": "owner", "keys": 3, "people": 3, "organisations": 2, "need": 2,
        "may_be_lost": 1, "stolen_to_forge": 2, "organisations_to_forge": 1,
    }  # fmt: skip
    bad = project.folder / "bad.json"
    bad.write_bytes(b"{}")
    assert project.run("root", "analyse", str(bad)) == 2
    project.workspace.root_file.unlink()
    for command in ("show", "analyse"):
        assert project.run("root", command) == 2
        assert "there is no root yet" in capsys.readouterr().err


def test_the_end_of_the_listing_beside_a_published_root_is_looked_at(
    tmp_path: Path, keys: Path, capsys: Capture
) -> None:
    project = make_project(tmp_path / "project", keys, tmp_path / "site", publisher=True)
    assert project.signed().publish_as("pia") == 0
    capsys.readouterr()
    assert execute(["root", "analyse", str(project.root_file)]) == 0
    out = capsys.readouterr().out
    assert "if pia is lost, the listing expires" in out
    assert "the listing of releases expires on" not in out
    # A listing that no publisher of this root signed is no listing of its own.
    stamp = project.root_file.parent / "metadata" / "timestamp.json"
    document = json.loads(stamp.read_bytes())
    sig = document["signatures"][0]["sig"]
    stamp.write_bytes(stamp.read_bytes().replace(sig.encode(), b"0" * len(sig)))
    assert execute(["root", "analyse", str(project.root_file)]) == 1
    assert "no publisher of this project signed" in capsys.readouterr().err

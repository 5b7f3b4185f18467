"""The root in the making: who must sign it, what is never replaced, what is never signed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.tuf import derive_root
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.policy import Thresholds
from relsign.formats.root import Root, RootFile, parse_root
from relsign.formats.tuf import TufSignature
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.sign.rules.root import (
    current_root,
    earlier_roots,
    owner_named,
    request_root,
    root_chain,
    sign_root,
    stage_root,
)
from relsign.system.clock import now_utc
from relsign.verify.root import TrustedRoot
from tests.projects import PASSPHRASE, Project

Capture = pytest.CaptureFixture[str]


def present(project: Project) -> RootFile:
    return parse_root(project.workspace.root_file.read_bytes())


def current(project: Project) -> TrustedRoot:
    return current_root(project.workspace, now_utc())


def archived(project: Project) -> list[str]:
    folder = project.workspace.roots_folder
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def second(project: Project) -> Project:
    """Return a project whose version 2 is made and not signed yet."""
    project.set_policy("signers = 2", "signers = 1")
    assert project.run("root", "rotate") == 0
    return project


@pytest.fixture
def taken_over(project: Project, tmp_path: Path) -> Project:
    """Return a project in whose version 2 ossi is the owner in the place of oona and otto."""
    keys = tmp_path / "keys"
    shutil.copytree(project.keys, keys)
    mine = Project(project.folder, keys, project.site)
    wanted = wanted_member("ossi", "ossi", "birch", ("owner",), "ed25519")
    KeyStore(keys).create(wanted, "ossi", PASSPHRASE, None)
    mine.add_member("ossi")
    for name in ("oona", "otto"):
        mine.remove_member(name)
    assert mine.run("root", "rotate") == 0
    return mine


# --- the first version -------------------------------------------------------------------------


def test_the_first_version_counts_when_enough_owners_signed(
    project: Project, capsys: Capture
) -> None:
    project.workspace.root_file.unlink()
    capsys.readouterr()
    assert project.run("root", "new") == 0
    said = capsys.readouterr().err
    assert "(version 1)" in said
    assert "2 more owners of version 1 must sign (olga, oona, otto)" in said
    assert present(project).signatures == ()
    with pytest.raises(NotEnoughError, match="signed by 0 of its own owners"):
        current(project)
    project.sign_root("olga", "olga")
    with pytest.raises(NotEnoughError, match="signed by 1 of its own owners"):
        current(project)
    project.sign_root("oona")
    assert current(project).root == present(project).signed
    capsys.readouterr()
    assert project.run("root", "new") == 0
    assert capsys.readouterr().err.startswith("unchanged ")
    assert current(project).root == present(project).signed
    project.set_policy("signers = 2", "signers = 1")
    assert project.run("root", "new") == 2
    assert "there is a root already" in capsys.readouterr().err


def test_owners_are_shown_the_rules_of_a_first_root_and_what_is_next(
    project: Project, capsys: Capture
) -> None:
    project.workspace.root_file.unlink()
    assert project.run("root", "new") == 0
    capsys.readouterr()
    project.sign_root("olga")
    said = capsys.readouterr().err
    for line in (
        "  thresholds: 2 owners, 2 signers, 2 builders of 2 organisations\n",
        "  dissent: refuse\n",
        "  commit: no\n",
        "  freshness: not required, a listing is fresh for 7 days\n",
        "  log: none\n",
        "Next: 1 more owner of version 1 must sign (oona, otto), with `relsign root sign",
    ):
        assert line in said
    project.sign_root("oona")
    assert "Next: `relsign root analyse` says" in capsys.readouterr().err


def test_an_owner_is_shown_what_is_signed(second: Project, capsys: Capture) -> None:
    capsys.readouterr()
    second.sign_root("olga")
    said = capsys.readouterr().err
    for words in ("version 1 → 2", "thresholds.signers 2 → 1", "  words ", "signed by olga"):
        assert words in said
    second.sign_root("oona")
    assert "Next: `relsign publish --to DIR --root-only`" in capsys.readouterr().err
    assert "1 more owner of version 2 must sign (oona, otto)" in said


@pytest.mark.parametrize("name", ["sam", "builder-a", "nobody"])
def test_only_owners_sign(second: Project, capsys: Capture, name: str) -> None:
    before = second.workspace.root_file.read_bytes()
    assert second.run_signing("root", "sign", "--as", name) == 2
    assert "no owner of that name" in capsys.readouterr().err
    assert second.workspace.root_file.read_bytes() == before


def test_there_is_nothing_to_sign_before_it_is_made(project: Project, capsys: Capture) -> None:
    project.workspace.root_file.unlink()
    assert project.run_signing("root", "sign", "--as", "olga") == 2
    assert "there is no root yet" in capsys.readouterr().err
    assert not project.workspace.root_file.exists()


# --- copies of other owners --------------------------------------------------------------------


@pytest.fixture
def theirs(second: Project, tmp_path: Path) -> Project:
    """Return oona's copy of a project, with her signature on version 2."""
    folder = shutil.copytree(second.folder, tmp_path / "theirs")
    copy = Project(folder, second.keys, second.site)
    copy.sign_root("oona")
    return copy


def test_signatures_are_merged_from_other_copies(
    second: Project, theirs: Project, capsys: Capture
) -> None:
    second.sign_root("olga")
    capsys.readouterr()
    for _ in range(2):
        assert second.run("root", "merge", str(theirs.workspace.root_file)) == 0
        said = capsys.readouterr().err
        assert "root.json: oona" in said
        assert "signed by olga, oona" in said
        assert len(present(second).signatures) == 2
    assert current(second).root.version == 2


def other_root(file: RootFile) -> RootFile:
    expires = file.signed.expires + timedelta(days=1)
    return msgspec.structs.replace(
        file, signed=derive_root(file.signed.policy, file.signed.version, expires)
    )


def false_signature(file: RootFile) -> RootFile:
    false = tuple(msgspec.structs.replace(s, sig="0" * 128) for s in file.signatures)
    return msgspec.structs.replace(file, signatures=false)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (other_root, 2, "a copy of another root than yours"),
        (false_signature, 1, "oona: "),
    ],
)
def test_a_copy_that_does_not_fit_is_not_merged(
    second: Project,
    theirs: Project,
    capsys: Capture,
    change: Callable[[RootFile], RootFile],
    code: int,
    words: str,
) -> None:
    copy = change(parse_root(theirs.workspace.root_file.read_bytes()))
    theirs.workspace.root_file.write_bytes(copy.to_bytes())
    before = second.workspace.root_file.read_bytes()
    capsys.readouterr()
    assert second.run("root", "merge", str(theirs.workspace.root_file)) == code
    assert words in capsys.readouterr().err
    assert second.workspace.root_file.read_bytes() == before


def test_a_strangers_signature_is_not_merged(
    second: Project, theirs: Project, capsys: Capture
) -> None:
    copy = present(theirs)
    stranger = TufSignature(keyid=Digest("f" * 64), sig="1" * 128)
    copy = msgspec.structs.replace(copy, signatures=(stranger,))
    theirs.workspace.root_file.write_bytes(copy.to_bytes())
    capsys.readouterr()
    assert second.run("root", "merge", str(theirs.workspace.root_file)) == 0
    assert "no signature of an owner" in capsys.readouterr().err
    assert present(second).signatures == ()


def test_a_good_signature_takes_the_place_of_a_false_one(second: Project, theirs: Project) -> None:
    good = theirs.workspace.root_file.read_bytes()
    second.workspace.root_file.write_bytes(false_signature(parse_root(good)).to_bytes())
    assert second.run("root", "merge", str(theirs.workspace.root_file)) == 0
    assert second.workspace.root_file.read_bytes() == good


# --- the next version --------------------------------------------------------------------------


def test_a_rotation_keeps_the_complete_version(project: Project, capsys: Capture) -> None:
    first = project.workspace.root_file.read_bytes()
    assert project.run("root", "rotate") == 0
    assert "unchanged" in capsys.readouterr().err
    assert project.workspace.root_file.read_bytes() == first
    assert archived(project) == []
    assert project.run("root", "rotate", "--renew") == 0
    assert (project.workspace.roots_folder / "1.root.json").read_bytes() == first
    assert present(project).signed.version == 2
    assert present(project).signatures == ()
    project.sign_root()
    assert root_chain(project.workspace) == (first, project.workspace.root_file.read_bytes())
    assert current(project).root.version == 2


def test_a_signature_that_comes_late_still_goes_to_the_complete_version(project: Project) -> None:
    before = current(project).digest
    project.sign_root("otto")
    assert len(present(project).signatures) == 3
    assert current(project).digest == before
    assert archived(project) == []


def test_an_incomplete_version_is_replaced_and_its_signers_are_named(
    second: Project, capsys: Capture
) -> None:
    second.sign_root("olga")
    second.set_policy('dissent = "refuse"', 'dissent = "record"')
    capsys.readouterr()
    assert second.run("root", "rotate") == 0
    assert "olga must sign again: the root they signed is replaced" in capsys.readouterr().err
    assert (present(second).signed.version, present(second).signatures) == (2, ())
    assert archived(second) == ["1.root.json"]
    second.sign_root()
    assert current(second).root.policy.dissent == "record"


def test_a_removed_owner_whose_signature_is_dropped_is_named(
    taken_over: Project, capsys: Capture
) -> None:
    taken_over.sign_root("oona", "ossi")
    taken_over.set_policy("signers = 2", "signers = 1")
    capsys.readouterr()
    assert taken_over.run("root", "rotate") == 0
    assert "oona, ossi must sign again" in capsys.readouterr().err


def test_the_next_version_needs_the_owners_before_and_its_own(
    taken_over: Project, capsys: Capture
) -> None:
    taken_over.sign_root("olga", "ossi")
    said = capsys.readouterr().err
    assert "1 more owner of version 1 must sign (oona, otto)" in said
    assert "of version 2" not in said.splitlines()[-1]
    with pytest.raises(NotEnoughError, match="1 of the owners of version 1"):
        current(taken_over)
    # Who is no owner any more must agree to that, as an owner of the version before.
    taken_over.sign_root("oona")
    assert current(taken_over).root.version == 2
    # From the next version on, that counts no more.
    assert taken_over.run("root", "rotate", "--renew") == 0
    assert taken_over.run_signing("root", "sign", "--as", "oona") == 2
    taken_over.sign_root("olga", "ossi")
    assert current(taken_over).root.version == 3
    assert len(earlier_roots(taken_over.workspace)) == 2


def test_the_owners_before_alone_make_no_next_version(taken_over: Project) -> None:
    taken_over.sign_root("olga", "oona", "otto")
    with pytest.raises(NotEnoughError, match="signed by 1 of its own owners"):
        current(taken_over)
    taken_over.sign_root("ossi")
    assert current(taken_over).root.version == 2


def test_a_higher_threshold_binds_the_version_that_sets_it(project: Project) -> None:
    project.set_policy("owners = 2", "owners = 3")
    assert project.run("root", "rotate") == 0
    project.sign_root("olga", "oona")
    with pytest.raises(NotEnoughError, match="signed by 2 of its own owners"):
        current(project)
    project.sign_root("otto")
    assert current(project).root.version == 2


def test_policy_that_moved_on_is_not_what_was_signed(project: Project, capsys: Capture) -> None:
    project.set_policy("signers = 2", "signers = 1")
    before = project.workspace.root_file.read_bytes()
    assert project.run_signing("root", "sign", "--as", "otto") == 2
    assert "is not what your policy and roster give" in capsys.readouterr().err
    assert project.run("publish", "--to", str(project.site)) == 2
    assert "policy or roster changed since the root was made" in capsys.readouterr().err
    assert project.workspace.root_file.read_bytes() == before


# --- what somebody changed by hand -------------------------------------------------------------


def later(root: Root) -> Root:
    return derive_root(root.policy, root.version, root.expires + timedelta(days=3650))


def with_policy(**changes: object) -> Callable[[Root], Root]:
    def change(root: Root) -> Root:
        policy = msgspec.structs.replace(root.policy, **changes)
        return derive_root(policy, root.version, root.expires)

    return change


def next_number(root: Root) -> Root:
    return derive_root(root.policy, 2, root.expires)


EDITS: dict[str, Callable[[Root], Root]] = {
    "it expires later": later,
    "one owner is enough": with_policy(
        thresholds=Thresholds(owners=1, signers=2, builders=2, organisations=2)
    ),
    "one key may hold two roles": with_policy(share_roles=True),
    "it is another version": next_number,
}


@pytest.mark.parametrize("signatures", [True, False], ids=["with signatures", "without"])
@pytest.mark.parametrize("edit", EDITS)
def test_a_root_edited_by_hand_is_not_signed(
    project: Project, capsys: Capture, edit: str, *, signatures: bool
) -> None:
    file = present(project)
    edited = RootFile(
        signatures=file.signatures if signatures else (), signed=EDITS[edit](file.signed)
    )
    project.workspace.root_file.write_bytes(edited.to_bytes())
    assert project.run_signing("root", "sign", "--as", "olga") == 2
    assert "hint: " in capsys.readouterr().err
    assert project.workspace.root_file.read_bytes() == edited.to_bytes()
    assert project.run("publish", "--to", str(project.site)) == 2


def lose(project: Project) -> None:
    (project.workspace.roots_folder / "1.root.json").unlink()


def junk(project: Project) -> None:
    (project.workspace.roots_folder / "1.root.json").write_bytes(b"{}")


def another_version(project: Project) -> None:
    shutil.copy(project.workspace.root_file, project.workspace.roots_folder / "1.root.json")


def rewritten(project: Project, change: Callable[[RootFile], RootFile]) -> None:
    path = project.workspace.roots_folder / "1.root.json"
    path.write_bytes(change(parse_root(path.read_bytes())).to_bytes())


def unsigned(project: Project) -> None:
    rewritten(project, lambda file: msgspec.structs.replace(file, signatures=()))


def false(project: Project) -> None:
    rewritten(project, false_signature)


def edited(project: Project) -> None:
    rewritten(project, other_root)


DAMAGE: dict[str, tuple[Callable[[Project], None], int, str]] = {
    "it is missing": (lose, 2, "version 1 of the root is missing"),
    "it is no root": (junk, 2, "1.root.json"),
    "it is another version": (another_version, 2, "another version of the root is in its place"),
    "it is not signed": (unsigned, 3, "version 1 is signed by 0 of its own owners"),
    "its signatures are false": (false, 1, "version 1 is signed by 0 of its own owners"),
    "it says something else": (edited, 1, "version 1 is signed by 0 of its own owners"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_history_stops_everything(project: Project, capsys: Capture, case: str) -> None:
    """Least of all may the complete version 2 be taken for incomplete, and be replaced."""
    damage, code, words = DAMAGE[case]
    assert project.run("root", "rotate", "--renew") == 0
    project.sign_root()
    damage(project)
    project.set_policy("signers = 2", "signers = 1")
    before = project.workspace.root_file.read_bytes()
    for command in (
        ("root", "rotate"),
        ("root", "rotate", "--renew"),
        ("policy", "compile"),
        ("publish", "--to", str(project.site)),
    ):
        assert project.run(*command) == code, command
        assert words in capsys.readouterr().err, command
    assert project.run_signing("root", "sign", "--as", "olga") == code
    assert words in capsys.readouterr().err
    assert project.workspace.root_file.read_bytes() == before


def test_a_lost_root_is_not_begun_anew_beside_its_history(second: Project, capsys: Capture) -> None:
    second.workspace.root_file.unlink()
    for command in (("root", "new"), ("root", "rotate"), ("policy", "compile")):
        assert second.run(*command) == 2
        assert "the newest version of the root is missing" in capsys.readouterr().err
    assert not second.workspace.root_file.exists()


def test_a_fork_begins_anew(second: Project, capsys: Capture) -> None:
    recipe = second.workspace.recipe_file
    recipe.write_text(
        recipe.read_text().replace('name = "demo"\nversion', 'name = "fork"\nversion')
    )
    for command in (("root", "rotate"), ("policy", "compile")):
        assert second.run(*command) == 2
        said = capsys.readouterr().err
        assert "is the root of another project" in said
        assert "a fork begins anew" in said
    second.workspace.root_file.unlink()
    shutil.rmtree(second.workspace.roots_folder)
    second.new_root()
    assert (current(second).root.project, current(second).root.version) == ("fork", 1)


def test_an_expired_root_is_renewed_by_its_owners(project: Project) -> None:
    workspace, later_on = project.workspace, now_utc() + timedelta(days=800)
    with pytest.raises(VerificationError, match="has expired") as caught:
        current_root(workspace, later_on)
    assert "relsign root rotate --renew" in (caught.value.hint or "")
    assert stage_root(workspace, later_on).change == "unchanged"
    assert stage_root(workspace, later_on, renew=True).root.version == 2
    for name in ("olga", "oona"):
        file = request_root(workspace, later_on)
        party = owner_named(workspace, file, name)
        signer = KeyStore(project.keys).open_as(party, PASSPHRASE)
        sign_root(workspace, file.signed, party, signer.sign)
    assert current_root(workspace, later_on).root.version == 2

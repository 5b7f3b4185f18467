"""Edits of roster and policy: what is written, what is kept, what is refused before writing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation, RevokedKey, Vouched, parse_policy
from relsign.formats.roster import Ed25519Key, Member, parse_roster
from relsign.sign.keys.keystore import encode_members
from relsign.sign.rules.root_edit import (
    Edit,
    Revoking,
    add_members,
    add_vouched,
    begin,
    finish,
    remove_member,
    revoke_version,
)
from tests.projects import POLICY, Project
from tests.verify.releases import PEOPLE, member, public_of, secret

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STATEMENT, ROOT = Digest("ab" * 32), Digest("cd" * 32)
OLGA, OTTO, OONA = (member(*person) for person in PEOPLE[:3])


def block(*who: str) -> str:
    """Return the blocks of several owners as the program writes them."""
    people = {m.name: m for m in (OLGA, OTTO, OONA)}
    return "\n".join(encode_members((people[name],)).decode() for name in who)


def public_key(who: Member) -> str:
    assert isinstance(who.key, Ed25519Key)
    return who.key.public


def edit(roster: str, policy: str = POLICY) -> Edit:
    return Edit(roster.encode(), policy.encode())


def names(roster: bytes) -> list[str]:
    return [m.name for m in parse_roster(roster).member]


COMMENTED = f"""\
# The roster of demo.
# Reviewed by everybody.

# Olga founded the project.
{block("olga")}
# Otto keeps the books.
# Since 2024.
{block("otto")}# Oona, with no empty line before.
{block("oona")}
# The end.
"""


@pytest.mark.parametrize(
    ("name", "gone", "kept"),
    [
        ("olga", ["Olga founded"], ["The roster", "Reviewed", "Otto keeps", "2024", "Oona", "end"]),
        ("otto", ["Otto keeps", "Since 2024"], ["The roster", "Olga founded", "Oona", "end"]),
        ("oona", ["Oona, with"], ["The roster", "Olga founded", "Otto keeps", "Since 2024"]),
    ],
)
def test_a_removed_member_takes_the_comment_above_and_no_other(
    name: str, gone: list[str], kept: list[str]
) -> None:
    roster = remove_member(edit(COMMENTED), name).roster.decode()
    assert names(roster.encode()) == [n for n in ("olga", "otto", "oona") if n != name]
    assert not [text for text in gone if text in roster]
    assert not [text for text in kept if text not in roster]


def test_the_first_comment_of_the_file_stays() -> None:
    roster = f"# About this file.\n{block('olga')}\n{block('otto')}"
    assert remove_member(edit(roster), "olga").roster.startswith(b"# About this file.\n[[member]]")


def test_the_rest_keeps_its_bytes() -> None:
    # Another way to write the same, with a subtable and a comment after the heading.
    otto = "[[ member ]]  # the second\nname = 'otto'\noperator='otto'\norganisation = 'acme'\n"
    otto += "roles = [ 'owner', ]\n[member.key]\nkind = 'ed25519'\n"
    otto += f"public = '{public_key(OTTO)}'\n"
    before = f"{block('olga')}\n{otto}"
    assert remove_member(edit(before), "olga").roster.decode() == otto
    # The empty line stays with the block before it.
    assert remove_member(edit(before), "otto").roster.decode() == f"{block('olga')}\n"


INLINE = (
    'member = [{ name = "olga", operator = "olga", organisation = "acme", roles = ["owner"], '
    f'key = {{ kind = "ed25519", public = "{public_key(OLGA)}" }} }}]\n'
)


OTHER_OLGA = msgspec.structs.replace(OLGA, organisation="birch")


def removing(name: str) -> Callable[[Edit], Edit]:
    return lambda it: remove_member(it, name)


def revoking(version: str, **changes: str) -> Callable[[Edit], Edit]:
    return lambda it: revoke_version(it, version, changes.pop("reason", "bad"), **changes)


REVOKED = f"""{POLICY}
[[revoked]]
version = "0.9"
reason = "worse"
"""


@pytest.mark.parametrize(
    ("before", "change", "message"),
    [
        (edit(block("olga")), removing("nobody"), "no member of that name"),
        (edit(block("olga").replace("\n", "\r")), removing("olga"), "TOML"),
        (edit(INLINE), removing("olga"), "not written as"),
        (edit(block("olga")), lambda it: add_members(it, (OTHER_OLGA,)), "name exists"),
        (edit(""), lambda it: add_members(it, (OLGA, OTHER_OLGA)), "name exists"),
        (edit(""), revoking("../1.0"), "VERSION"),
        (edit(""), revoking("1.0", reason="two\nlines"), "reason"),
        (edit(""), revoking("1.0", statement="12"), "--statement"),
        (edit(""), revoking("1.0", replacement="1.0"), "the replacement is revoked"),
        (edit("", REVOKED), revoking("1.0", replacement="0.9"), "the replacement is revoked"),
        (edit("", REVOKED), revoking("0.9"), "is revoked already"),
        (edit("", f"revoked = []\n{POLICY}"), revoking("1.0"), "not written as"),
        (
            edit(block("olga")),
            lambda it: remove_member(it, "olga", Revoking("", "olga-2")),
            "--revoke",
        ),
        (
            edit(block("olga")),
            lambda it: remove_member(it, "olga", Revoking("stolen", "../olga")),
            "replacement",
        ),
    ],
)
def test_what_cannot_be_edited_is_refused(
    before: Edit, change: Callable[[Edit], Edit], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        change(before)


def test_members_are_added_at_the_end() -> None:
    added = add_members(edit(COMMENTED.replace(block("oona"), "")), (OONA,))
    assert added.roster.decode().startswith("# The roster of demo.")
    assert names(added.roster) == ["olga", "otto", "oona"]
    # A card that is there word for word is not added again.
    assert add_members(added, (OONA, OLGA)) == added
    assert add_members(edit(""), (OTTO, OTTO)) == add_members(edit(""), (OTTO,))


def test_what_is_taken_back_stands_at_the_end_of_the_policy_with_its_comments_kept() -> None:
    policy = f"# How many.\n{POLICY}# and no more\n"
    taken = revoke_version(edit("", policy), "1.0", 'a "bad" one é', STATEMENT, "1.1")
    assert taken.policy.decode().startswith(policy)
    assert parse_policy(taken.policy).revoked == (
        Revocation(statement_sha256=STATEMENT, reason='a "bad" one é', replacement="1.1"),
    )
    twice = revoke_version(taken, "0.9", "older")
    assert parse_policy(twice.policy).revoked[1] == Revocation(version="0.9", reason="older")


def test_a_revoked_key_is_named_by_its_material_once() -> None:
    before = edit(block("olga", "otto"))
    after = remove_member(before, "olga", Revoking("laptop stolen", "olga-2"))
    key = RevokedKey(
        name="olga",
        keyid=public_of(OLGA),
        material_sha256=(sha256_hex(secret("olga").verify_key.encode()),),
        reason="laptop stolen",
        replacement="olga-2",
    )
    assert parse_policy(after.policy).revoked_key == (key,)
    # A machine that stopped after the policy was written is told the same once more.
    again = remove_member(Edit(before.roster, after.policy), "olga", Revoking("another word"))
    assert again == after


def test_a_release_is_vouched_for_once() -> None:
    after = add_vouched(edit(""), "1.0", STATEMENT, ROOT)
    assert parse_policy(after.policy).vouched == (
        Vouched(version="1.0", statement_sha256=STATEMENT, root_sha256=ROOT),
    )
    assert add_vouched(after, "1.0", STATEMENT, ROOT) is after


# --- what is written ----------------------------------------------------------------------------


def test_an_edit_is_written_and_the_next_root_staged(project: Project) -> None:
    staged = finish(project.workspace, remove_member(begin(project.workspace), "otto"), NOW)
    assert (staged.root.version, staged.change) == (2, "written")
    assert "otto" not in project.workspace.roster_file.read_text()
    assert (project.folder / "policies" / "roots" / "1.root.json").exists()


def too_few(it: Edit) -> Edit:
    return remove_member(remove_member(it, "olga"), "otto")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (too_few, "threshold of owners is larger"),
        (lambda it: remove_member(it, "builder-a"), "threshold of organisations is larger"),
        (
            lambda it: add_members(it, (member("olga-2", "olga", "acme", "owner"),)),
            "olga holds two owner keys",
        ),
        (
            lambda it: add_members(it, (member("tom", "tom", "ACME", "signer"),)),
            "differ only by case",
        ),
    ],
)
def test_a_root_that_could_not_stand_is_refused_before_anything_is_written(
    project: Project, change: Callable[[Edit], Edit], message: str
) -> None:
    before = files(project)
    with pytest.raises(InputError, match=message):
        finish(project.workspace, change(begin(project.workspace)), NOW)
    assert files(project) == before


def test_a_revoked_key_is_not_enrolled_again_under_any_name(project: Project) -> None:
    olga = next(m for m in project.workspace.roster().member if m.name == "olga")
    removed = remove_member(begin(project.workspace), "olga", Revoking("laptop stolen"))
    finish(project.workspace, removed, NOW)
    before = files(project)
    for name in ("olga", "oleg"):
        card = msgspec.structs.replace(olga, name=name)
        with pytest.raises(InputError, match="is revoked: laptop stolen"):
            finish(project.workspace, add_members(begin(project.workspace), (card,)), NOW)
    assert files(project) == before


def test_without_a_root_there_is_nothing_to_change(project: Project) -> None:
    project.workspace.root_file.unlink()
    with pytest.raises(InputError, match="no root to change"):
        finish(project.workspace, begin(project.workspace), NOW)


def files(project: Project) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for folder in ("policies", "keys")
        for path in (project.folder / folder).rglob("*")
        if path.is_file()
    }

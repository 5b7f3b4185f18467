"""Edits of roster and policy that make the next root, with every comment kept.

Each edit is tried first: the root that the edited files give is made and checked, and
only one that can stand is written, the policy before the roster, so that a machine that
stops between the two can be told the same once more.  The next root is then staged, and
the owners sign it.

Blocks are added at the end and taken out as lines of text: a comment directly above a
member's block is that member's, and goes with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

import tomlkit

from relsign.crypto.keys import material_digests, parse_member
from relsign.crypto.tuf import derive_root
from relsign.errors import InputError
from relsign.formats.canonical import decode_value, shorten
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation, RevokedKey, parse_policy
from relsign.formats.roster import Member, parse_roster
from relsign.sign.keys.keystore import add_to_roster, is_member
from relsign.sign.rules.layout import days_later
from relsign.sign.rules.root import StagedRoot, present_root, root_policy, stage_root
from relsign.system.files import write_whole
from relsign.system.workspace import Workspace
from relsign.verify.root import check_root

ROSTER = "keys/roster.toml"
POLICY = "policies/release.toml"
Fields = dict[str, str | list[Digest] | None]
_MEMBER = re.compile(r"\s*\[\[\s*member\s*\]\]\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Edit:
    """Roster and policy as they are to be; nothing is written yet."""

    roster: bytes
    policy: bytes


@dataclass(frozen=True, slots=True)
class Revoking:
    """Why a removed member's key must never count again, and who took its place."""

    reason: str
    replacement: str | None = None


def begin(workspace: Workspace) -> Edit:
    """Return roster and policy as they are; raise InputError where one is not there."""
    return Edit(
        workspace.read(workspace.roster_file, "add a key with `relsign key add`"),
        workspace.read(workspace.policy_file, "run `relsign init`"),
    )


def finish(workspace: Workspace, edit: Edit, now: datetime) -> StagedRoot:
    """Write an edit and stage the root that follows from it.

    Raises InputError, with nothing written, where there is no root yet or the new one
    could not stand: thresholds that cannot be met, a twin, a revoked key.
    """
    present = present_root(workspace)
    if present is None:
        raise InputError(
            "there is no root to change yet",
            where="policies/root.json",
            hint="fill the roster with `relsign key add`, then run `relsign root new`",
        )
    policy = parse_policy(edit.policy, POLICY)
    roster = parse_roster(edit.roster, ROSTER)
    wanted = root_policy(workspace.recipe().project.name, roster, policy)
    check_root(derive_root(wanted, present.signed.version, days_later(now, policy.root_days)))
    write_whole(workspace.policy_file, edit.policy)
    write_whole(workspace.roster_file, edit.roster)
    return stage_root(workspace, now)


def add_members(edit: Edit, cards: tuple[Member, ...]) -> Edit:
    """Add members to the roster, but those who are there already, word for word.

    Raises InputError for a name that is taken by another card.
    """
    roster = edit.roster
    for card in cards:
        if not is_member(roster, card, ROSTER):
            roster = add_to_roster(roster, card, ROSTER)
    return replace(edit, roster=roster)


def replace_members(edit: Edit, cards: tuple[Member, ...]) -> Edit:
    """Put cards in the place of members of the same names; add those who are new."""
    for card in cards:
        present = {m.name: m for m in parse_roster(edit.roster, ROSTER).member}
        if card.name in present and present[card.name] != card:
            edit = remove_member(edit, card.name)
        edit = add_members(edit, (card,))
    return edit


def remove_member(edit: Edit, name: str, revoking: Revoking | None = None) -> Edit:
    """Take a member off the roster, and revoke the key where a reason is given.

    Raises InputError where there is no such member, or the roster is not written as
    ``[[member]]`` blocks.
    """
    members = parse_roster(edit.roster, ROSTER).member
    number = next((i for i, member in enumerate(members) if member.name == name), None)
    if number is None:
        raise InputError(
            "no member of that name",
            where=ROSTER,
            got=shorten(name),
            expected=", ".join(member.name for member in members),
            hint="see `relsign key list`",
        )
    roster = _without_block(edit.roster, number, len(members))
    rest = (*members[:number], *members[number + 1 :])
    if parse_roster(roster, ROSTER).member != rest:
        raise _by_hand(name)
    edited = replace(edit, roster=roster)
    return edited if revoking is None else _revoke_key(edited, members[number], revoking)


def revoke_version(
    edit: Edit,
    version: str,
    reason: str,
    statement: str | None = None,
    replacement: str | None = None,
) -> Edit:
    """Take a version back: every statement of it, or only `statement`, a SHA-256 in hex.

    Raises InputError for one that is taken back already, for a replacement that is, and
    for words the policy could not hold.
    """
    asked = {"version": version, "reason": reason}
    asked |= {"statement_sha256": statement} if statement else {}
    asked |= {"replacement": replacement} if replacement else {}
    _check_words(asked, Revocation)
    revoked = parse_policy(edit.policy, POLICY).revoked
    kept = None if statement else version
    if any((r.version, r.statement_sha256) == (kept, statement) for r in revoked):
        raise InputError(
            "is revoked already",
            where=f"{POLICY}: revoked",
            got=version,
            hint="look at it with `relsign root show`; to change it, edit the block by hand",
        )
    if replacement in {version, *(r.version for r in revoked if r.version)}:
        raise InputError(
            "the replacement is revoked itself",
            where="--replacement",
            got=str(replacement),
            hint="name a version that people should use, or none",
        )
    fields: Fields = {
        "statement_sha256": statement,
        "version": kept,
        "reason": reason,
        "replacement": replacement,
    }
    return replace(edit, policy=_with_block(edit.policy, "revoked", fields))


def add_vouched(edit: Edit, version: str, statement_sha256: str, root_sha256: str) -> Edit:
    """Let the owners vouch for a release; unchanged where they do already."""
    policy = parse_policy(edit.policy, POLICY)
    if any(v.statement_sha256 == statement_sha256 for v in policy.vouched):
        return edit
    fields: Fields = {
        "version": version,
        "statement_sha256": statement_sha256,
        "root_sha256": root_sha256,
    }
    return replace(edit, policy=_with_block(edit.policy, "vouched", fields))


def _revoke_key(edit: Edit, member: Member, revoking: Revoking) -> Edit:
    key = parse_member(member, f"{ROSTER}: {member.name}").key
    keyid, materials = key.keyid, list(material_digests(key))
    asked = {"name": member.name, "keyid": keyid, "reason": revoking.reason}
    asked |= {"replacement": revoking.replacement} if revoking.replacement else {}
    _check_words(asked, RevokedKey)
    if any(key.keyid == keyid for key in parse_policy(edit.policy, POLICY).revoked_key):
        return edit
    fields: Fields = {
        "name": member.name,
        "keyid": keyid,
        "material_sha256": materials,
        "reason": revoking.reason,
        "replacement": revoking.replacement,
    }
    return replace(edit, policy=_with_block(edit.policy, "revoked_key", fields))


def _check_words(asked: dict[str, str], kind: type[Revocation | RevokedKey]) -> None:
    """Blame the option for words the policy could not hold, which is not written yet."""
    try:
        decode_value(asked, kind, "")
    except InputError as error:
        field = error.where.rpartition(" ")[2]
        own = {"version": "VERSION", "statement_sha256": "--statement"}
        if kind is RevokedKey:
            own = {"reason": "--revoke"}
        raise InputError(
            error.what,
            where=own.get(field, f"--{field}"),
            expected=error.expected,
            got=error.got,
            hint="nothing was written; run it again with other words",
        ) from error


def _with_block(policy: bytes, key: str, fields: Fields) -> bytes:
    """Return the policy with one more ``[[key]]`` block at its end."""
    if re.search(rf"^\s*{key}\s*=", policy.decode(), re.MULTILINE):
        raise InputError(
            f"{key} is not written as [[{key}]] blocks",
            where=POLICY,
            hint=f"write each entry as a block of its own under [[{key}]]",
        )
    block, tables, added = tomlkit.table(), tomlkit.aot(), tomlkit.document()
    for name, value in fields.items():
        if value is not None:
            block[name] = value
    tables.append(block)
    added.append(key, tables)
    text = policy.decode().rstrip() + "\n\n" + tomlkit.dumps(added)
    parse_policy(text.encode(), POLICY)
    return text.encode()


def _without_block(roster: bytes, number: int, count: int) -> bytes:
    """Return the roster without one ``[[member]]`` block and the comment directly above it."""
    lines = roster.decode().splitlines(keepends=True)
    heads = [i for i, line in enumerate(lines) if _MEMBER.fullmatch(line.rstrip("\r\n"))]
    if len(heads) != count:
        raise _by_hand(str(number + 1))
    starts = [_above(lines, head) for head in heads] + [len(lines)]
    return "".join(lines[: starts[number]] + lines[starts[number + 1] :]).encode()


def _above(lines: list[str], head: int) -> int:
    """Return where the comment directly above a line begins; the file's first stays."""
    start = head
    while start > 0 and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return head if start == 0 else start


def _by_hand(got: str) -> InputError:
    return InputError(
        "the roster is not written as [[member]] blocks",
        where=ROSTER,
        got=got,
        hint="take the member out by hand, then run `relsign root rotate`",
    )

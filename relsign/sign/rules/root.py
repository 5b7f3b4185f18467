"""The root in the making: follow policy and roster, collect the owners' signatures.

    policies/root.json            the newest version, as far as it is signed
    policies/roots/N.root.json    the versions before it, each signed by enough owners

A version that enough owners signed is never changed again: what policy and roster say
since then becomes the next version, which the owners of both must sign.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public, Party, parties_of
from relsign.crypto.raw_signing import Sign
from relsign.crypto.signatures import verify_ed25519
from relsign.crypto.tuf import derive_root
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.policy import Policy
from relsign.formats.root import (
    MAX_ROOT_BYTES,
    Root,
    RootFile,
    RootPolicy,
    parse_root,
    root_file_name,
)
from relsign.formats.roster import Roster
from relsign.formats.tuf import TufSignature
from relsign.sign.rules.layout import days_later
from relsign.system.files import make_folder, read_bounded, write_whole
from relsign.system.workspace import Workspace
from relsign.verify.root import (
    TrustedRoot,
    check_root,
    extend_root,
    open_root,
    walk_roots,
)

Change = Literal["unchanged", "written"]
WHERE = "policies/root.json"


@dataclass(frozen=True, slots=True)
class StagedRoot:
    """What policy and roster give, and what that changed on disk."""

    root: Root
    change: Change
    dropped: tuple[str, ...]
    """Owners whose signatures were over a version that was replaced before it was complete."""


def root_policy(project: str, roster: Roster, policy: Policy) -> RootPolicy:
    """Return what a root says of a project's roster and policy."""
    return RootPolicy(
        project=project,
        members=tuple(sorted(roster.member, key=lambda member: member.name)),
        thresholds=policy.thresholds,
        dissent=policy.dissent,
        share_roles=policy.share_roles,
        commit=policy.commit,
        freshness=policy.freshness,
        diversity=policy.diversity,
        log=policy.log,
        revoked=policy.revoked,
        revoked_keys=policy.revoked_key,
        vouched=policy.vouched,
        release_key=policy.release_key,
    )


def wanted_root(workspace: Workspace, now: datetime, *, renew: bool = False) -> Root:
    """Return the root that policy and roster give, the present one if nothing changed.

    Raises InputError for a roster or policy that cannot stand.
    """
    policy = workspace.policy()
    wanted = root_policy(workspace.recipe().project.name, workspace.roster(), policy)
    expires = days_later(now, policy.root_days)
    present = present_root(workspace)
    if present is not None and present.signed.project != wanted.project:
        raise InputError(
            "is the root of another project",
            where=WHERE,
            expected=wanted.project,
            got=present.signed.project,
            hint=_BEGIN_ANEW,
        )
    version = _next_version(workspace, present)
    if present is not None and not renew:
        # A file somebody edited cannot outlive what the policy grants from today.
        expires = min(present.signed.expires, expires)
        same = derive_root(wanted, present.signed.version, expires)
        if same == present.signed:
            return same
        expires = days_later(now, policy.root_days)
    root = derive_root(wanted, version, expires)
    check_root(root)
    return root


def stage_root(workspace: Workspace, now: datetime, *, renew: bool = False) -> StagedRoot:
    """Write the root that policy and roster give, if it is not there already.

    A complete version is kept under its number first; `renew` starts the validity anew.
    """
    root = wanted_root(workspace, now, renew=renew)
    present = present_root(workspace)
    dropped: tuple[str, ...] = ()
    if present is not None:
        if present.signed == root:
            return StagedRoot(root, "unchanged", ())
        if _is_complete(workspace, present):
            make_folder(workspace.roots_folder)
            name = root_file_name(present.signed.version)
            write_whole(workspace.roots_folder / name, present.to_bytes())
        else:
            dropped = signers_of(present, owners_who_may_sign(workspace, present))
    make_folder(workspace.root_file.parent)
    write_whole(workspace.root_file, RootFile(signatures=(), signed=root).to_bytes())
    return StagedRoot(root, "written", dropped)


def present_root(workspace: Workspace) -> RootFile | None:
    """Return the newest version on disk, signed or not; raise InputError if it is malformed."""
    try:
        return parse_root(read_bounded(workspace.root_file, MAX_ROOT_BYTES), WHERE)
    except NotEnoughError:
        return None


def earlier_roots(workspace: Workspace) -> tuple[bytes, ...]:
    """Return the versions before the newest, by number.

    Raises InputError where one of them is missing or another one is in its place.
    """
    present = present_root(workspace)
    last = 0 if present is None else present.signed.version - 1
    found: list[bytes] = []
    for number in range(1, last + 1):
        path = workspace.roots_folder / root_file_name(number)
        try:
            data = read_bounded(path, MAX_ROOT_BYTES)
        except NotEnoughError as error:
            raise InputError(
                f"version {number} of the root is missing",
                where=os.fspath(path),
                hint="restore it from the project's history: people who pinned it need it",
            ) from error
        there = parse_root(data, os.fspath(path)).signed.version
        if there != number:
            raise InputError(
                "another version of the root is in its place",
                where=os.fspath(path),
                expected=str(number),
                got=str(there),
                hint="restore it from the project's history",
            )
        found.append(data)
    return tuple(found)


def root_chain(workspace: Workspace) -> tuple[bytes, ...]:
    """Return every version of the root, the newest last."""
    return (*earlier_roots(workspace), workspace.read(workspace.root_file, _MAKE_ROOT))


_MAKE_ROOT = "run `relsign root new`"
_BEGIN_ANEW = (
    "a fork begins anew: remove policies/root.json and policies/roots, then run `relsign root new`"
)


def current_root(workspace: Workspace, now: datetime) -> TrustedRoot:
    """Return the project's root, complete and in step with policy and roster.

    Raises InputError if policy or roster moved since, NotEnoughError for signatures
    that are missing, VerificationError when it has expired or its history is false.
    """
    first, *newer = root_chain(workspace)
    present = present_root(workspace)
    if present is None or wanted_root(workspace, now) != present.signed:
        raise InputError(
            "policy or roster changed since the root was made",
            where=WHERE,
            hint="run `relsign root rotate`, then owners run `relsign root sign --as NAME`",
        )
    trusted = walk_roots(open_root(first), newer)
    if now >= trusted.root.expires:
        raise VerificationError(
            "the trust root has expired",
            where=WHERE,
            got=trusted.root.expires.isoformat(),
            hint="run `relsign root rotate --renew`, then owners run `relsign root sign --as NAME`",
        )
    return trusted


def owners_who_may_sign(workspace: Workspace, file: RootFile) -> tuple[Party, ...]:
    """Return the owners of a version and of the one before: both must sign it."""
    owners = {p.keyid: p for p in parties_of(check_root(file.signed), "owner")}
    earlier = earlier_roots(workspace)
    if earlier:
        before = parse_root(earlier[-1]).signed
        owners = {p.keyid: p for p in parties_of(check_root(before), "owner")} | owners
    return tuple(sorted(owners.values(), key=lambda party: party.name))


def request_root(workspace: Workspace, now: datetime) -> RootFile:
    """Return the root to be signed, which is what this machine's policy and roster give.

    Raises InputError if there is none or it holds something else, and for a history
    that is incomplete.
    """
    earlier_roots(workspace)
    present = present_root(workspace)
    if present is None:
        raise InputError("there is no root yet", where=WHERE, hint=_MAKE_ROOT)
    if wanted_root(workspace, now) != present.signed:
        raise InputError(
            "is not what your policy and roster give",
            where=WHERE,
            hint="review what changed, and make it yourself with `relsign root rotate`",
        )
    return present


def owner_named(workspace: Workspace, file: RootFile, name: str) -> Party:
    """Return an owner of a root or of the one before; raise InputError for anybody else."""
    owners = owners_who_may_sign(workspace, file)
    for party in owners:
        if party.name == name:
            return party
    raise InputError(
        "no owner of that name",
        got=name,
        expected=", ".join(party.name for party in owners),
        hint="only owners of this version and of the one before can sign it",
    )


def missing_owners(workspace: Workspace, file: RootFile) -> str:
    """Say how many owners must still sign, of this version and of the one before."""
    versions = [file.signed]
    earlier = earlier_roots(workspace)
    if earlier:
        versions.append(parse_root(earlier[-1]).signed)
    said: list[str] = []
    for root in versions:
        owners = parties_of(check_root(root), "owner")
        signed = signers_of(file, owners)
        lacking = root.thresholds.owners - len(signed)
        if lacking > 0:
            others = ", ".join(party.name for party in owners if party.name not in signed)
            people = "1 more owner" if lacking == 1 else f"{lacking} more owners"
            said.append(f"{people} of version {root.version} must sign ({others})")
    return " and ".join(said)


def sign_root(workspace: Workspace, shown: Root, party: Party, sign: Sign) -> RootFile:
    """Add an owner's signature to the root that was shown; return the file written.

    Raises InputError when the file holds another root by now; then nothing is written.
    """
    present = present_root(workspace)
    if present is None or present.signed != shown:
        raise InputError("another root than the one shown", where=WHERE, hint="run it again")
    signature = TufSignature(keyid=Digest(party.keyid), sig=sign(shown.to_bytes()).hex())
    return _write_with(workspace, present, (signature,))


def merge_root(workspace: Workspace, data: bytes, where: str) -> tuple[str, ...]:
    """Add the owners' signatures in another copy of the root; return their names.

    Raises InputError for a copy of another root, VerificationError for a false
    signature under an owner's label.
    """
    present, other = present_root(workspace), parse_root(data, where)
    if present is None or present.signed != other.signed:
        raise InputError(
            "a copy of another root than yours",
            where=where,
            expected="" if present is None else sha256_hex(present.signed.to_bytes()),
            got=sha256_hex(other.signed.to_bytes()),
            hint="compare policy and roster with whoever sent it",
        )
    owners = {party.keyid: party for party in owners_who_may_sign(workspace, present)}
    added = tuple(s for s in other.signatures if s.keyid in owners)
    for signature in added:
        _require_good(owners[signature.keyid], signature, present, where)
    _write_with(workspace, present, added)
    return tuple(owners[signature.keyid].name for signature in added)


def signers_of(file: RootFile, owners: tuple[Party, ...]) -> tuple[str, ...]:
    """Return the names of the owners whose good signatures a root bears."""
    by_label: dict[str, TufSignature] = {s.keyid: s for s in file.signatures}
    good: list[str] = []
    for party in owners:
        if party.keyid in by_label:
            try:
                _require_good(party, by_label[party.keyid], file, WHERE)
            except VerificationError:
                continue
            good.append(party.name)
    return tuple(good)


def _require_good(party: Party, signature: TufSignature, file: RootFile, where: str) -> None:
    if not isinstance(party.key, Ed25519Public):
        raise VerificationError("an owner's key is Ed25519", where=where, got=party.name)
    try:
        verify_ed25519(party.key, bytes.fromhex(signature.sig), file.signed.to_bytes())
    except VerificationError as error:
        raise VerificationError(f"{party.name}: {error.what}", where=where) from error


def _write_with(
    workspace: Workspace, present: RootFile, added: tuple[TufSignature, ...]
) -> RootFile:
    signatures = {s.keyid: s for s in (*present.signatures, *added)}
    ordered = tuple(signatures[keyid] for keyid in sorted(signatures))
    file = msgspec.structs.replace(present, signatures=ordered)
    write_whole(workspace.root_file, file.to_bytes())
    return file


def _next_version(workspace: Workspace, present: RootFile | None) -> int:
    if present is None:
        first = workspace.roots_folder / root_file_name(1)
        if first.exists():
            # A second version 1 beside the first one would split those who follow them.
            raise InputError(
                "the newest version of the root is missing, and earlier ones are there",
                where=WHERE,
                hint=f"restore it from the project's history; {_BEGIN_ANEW}",
            )
        return 1
    return present.signed.version + (1 if _is_complete(workspace, present) else 0)


def _is_complete(workspace: Workspace, present: RootFile) -> bool:
    """Say whether enough owners signed the newest version, of it and of the one before.

    Raises what `walk_roots` raises where the versions before do not hold: then nobody
    can say, and to take the newest for incomplete would replace what owners signed.
    """
    earlier = earlier_roots(workspace)
    before = walk_roots(open_root(earlier[0]), earlier[1:]) if earlier else None
    try:
        if before is None:
            open_root(present.to_bytes())
        else:
            extend_root(before, present.to_bytes())
    except RelsignError:
        return False
    return True

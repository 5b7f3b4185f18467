"""Keep root and layout on disk in step with policy, roster and recipe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import check_members, parties_of
from relsign.crypto.signatures import verify_envelope
from relsign.errors import InputError, NotEnoughError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, parse_envelope
from relsign.formats.layout import Layout, parse_layout
from relsign.formats.root import Root, parse_root
from relsign.sign.layout import compile_layout, compile_root, days_later
from relsign.sign.places import check_release_folder, make_real_folder
from relsign.system.files import read_bounded, write_whole
from relsign.system.workspace import MAX_TEXT_BYTES, Workspace
from relsign.verify.root import TrustedRoot, check_root, verify_root

Change = Literal["unchanged", "written"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compile made, and whether it changed anything on disk."""

    root: Root
    root_change: Change
    layout: Layout
    layout_change: Change
    dropped: tuple[str, ...]
    """Owners whose signatures were over the layout that was replaced."""


def compile_policy(
    workspace: Workspace, profile: str, now: datetime, *, renew: bool = False
) -> Compiled:
    """Write `policies/root.json` and the release's layout where they must change.

    `renew` gives both their full validity from `now` on.  Raises InputError for a
    roster or policy that cannot stand; then nothing was written.
    """
    root = _wanted_root(workspace, now, renew=renew)
    check_root(parse_root(root.to_bytes()))
    layout = _wanted_layout(workspace, profile, now, renew=renew)
    root_change = _write_root(workspace, root)
    present = _present_layout(workspace)
    layout_change: Change = "unchanged"
    dropped: tuple[str, ...] = ()
    if present is None or present.payload != layout.to_bytes():
        if present is not None:
            owners = parties_of(check_root(root), "owner")
            dropped = tuple(p.name for p in verify_envelope(present, owners, now).valid)
        envelope = Envelope(payload=layout.to_bytes(), payload_type=INTOTO_PAYLOAD, signatures=())
        check_release_folder(workspace.release())
        make_real_folder(workspace.release().folder)
        write_whole(workspace.release().layout_file, envelope.to_bytes())
        layout_change = "written"
    return Compiled(root, root_change, layout, layout_change, dropped)


def current_root(workspace: Workspace, now: datetime) -> TrustedRoot:
    """Return the project's root; raise InputError if policy or roster moved since.

    Raises VerificationError when it has expired.
    """
    data = workspace.read(workspace.root_file, "run `relsign policy compile`")
    if _wanted_root(workspace, now).to_bytes() != data:
        raise InputError(
            "policy or roster changed since the root was compiled",
            where="policies/root.json",
            hint="run `relsign policy compile`",
        )
    return verify_root(data, now)


def current_layout(workspace: Workspace, profile: str, now: datetime) -> Layout:
    """Return the layout that this machine's policy, roster and recipe give.

    It is what is to be shown and signed; the file is not read again.  Raises
    InputError if the file holds another one, NotEnoughError if there is none.
    """
    present = _present_layout(workspace)
    if present is None:
        raise NotEnoughError(
            "there is no layout yet", where=LAYOUT_FILE, hint="run `relsign policy compile`"
        )
    wanted = _wanted_layout(workspace, profile, now)
    if present.payload != wanted.to_bytes():
        raise InputError(
            "is not what your policy, roster and recipe give",
            where=os.fspath(workspace.release().layout_file),
            hint="review what changed, and compile it yourself with `relsign policy compile`",
        )
    return wanted


def _wanted_root(workspace: Workspace, now: datetime, *, renew: bool = False) -> Root:
    policy = workspace.policy()
    expires = days_later(now, policy.root_days)
    try:
        existing = parse_root(read_bounded(workspace.root_file, MAX_TEXT_BYTES))
    except NotEnoughError:
        existing = None
    if existing is not None and not renew:
        # A file somebody edited cannot outlive what the policy grants from today.
        expires = min(existing.expires, expires)
    project = workspace.recipe().project.name
    return compile_root(project, workspace.roster(), policy, expires, existing)


def _wanted_layout(
    workspace: Workspace, profile: str, now: datetime, *, renew: bool = False
) -> Layout:
    """Return the compiled layout, with the expiry of the present one unless it is over."""
    policy = workspace.policy()
    parties = check_members(
        workspace.roster().member, "keys/roster.toml", share_roles=policy.share_roles
    )
    expires = days_later(now, policy.layout_days)
    present = _present_layout(workspace)
    if present is not None and not renew:
        old = parse_layout(present.payload, LAYOUT_FILE)
        expires = min(old.expires, expires) if old.expires > now else expires
    return compile_layout(
        workspace.recipe(),
        parties,
        policy,
        profile,
        expires,
        recipe_sha256=sha256_hex(workspace.recipe_bytes()),
    )


def _present_layout(workspace: Workspace) -> Envelope | None:
    try:
        data = read_bounded(workspace.release().layout_file, MAX_BUNDLE_BYTES)
    except NotEnoughError:
        return None
    return parse_envelope(data, LAYOUT_FILE)


def _write_root(workspace: Workspace, root: Root) -> Change:
    try:
        if read_bounded(workspace.root_file, MAX_TEXT_BYTES) == root.to_bytes():
            return "unchanged"
    except NotEnoughError:
        pass
    write_whole(workspace.root_file, root.to_bytes())
    return "written"

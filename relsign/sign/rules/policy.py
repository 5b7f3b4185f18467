"""Keep root and layout on disk in step with policy, roster and recipe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import check_members, parties_of
from relsign.crypto.signatures import verify_envelope
from relsign.errors import InputError, NotEnoughError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, parse_envelope
from relsign.formats.layout import Layout, parse_layout
from relsign.sign.places import check_release_folder, make_real_folder
from relsign.sign.rules.layout import compile_layout, days_later
from relsign.sign.rules.root import Change, StagedRoot, stage_root, wanted_root
from relsign.system.files import read_bounded, write_whole
from relsign.system.workspace import Workspace
from relsign.verify.root import check_root


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compile made, and whether it changed anything on disk."""

    root: StagedRoot
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
    root = wanted_root(workspace, now, renew=renew)
    layout = _wanted_layout(workspace, profile, now, renew=renew)
    staged = stage_root(workspace, now, renew=renew)
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
    return Compiled(staged, layout, layout_change, dropped)


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

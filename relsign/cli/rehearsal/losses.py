"""What goes wrong without a bad will, and a theft: shares and keys that are gone."""

from __future__ import annotations

import os
import shutil

from relsign.cli.rehearsal.making import (
    bundle,
    finish_ceremony,
    owners,
    sign_root,
    verify,
)
from relsign.cli.rehearsal.stage import Stage, WentOtherwiseError
from relsign.errors import InputError
from relsign.sign.groups.attendance import present_group
from relsign.sign.groups.shares import belongings_of, open_share


def lose_share(stage: Stage) -> None:
    """Let a disk break, and the others make the share again."""
    shape = stage.shape
    lost, helpers = shape.participants[-1], _others(stage, shape.participants[-1])
    vault = belongings_of(stage.home(lost), lost).vault.folder
    stage.misdeed(lost, "the disk with the share breaks", lambda: shutil.rmtree(vault))
    words = [word for name in helpers for word in ("--helper", name)]
    first = helpers[0]
    stage.run_with_key(
        first, "ceremony", "repair", shape.group, "--lost", lost, *words, "--as", first
    )
    finish_ceremony(stage)
    stage.run("anybody", "ceremony", "verify", shape.group, says="VERIFIED")


def _others(stage: Stage, lost: str) -> tuple[str, ...]:
    """Return as many participants as it takes, without one."""
    shape = stage.shape
    found = [name for name in shape.participants if name != lost]
    if len(found) < shape.threshold:
        raise WentOtherwiseError(
            f"all {len(shape.participants)} who share the release key must sign: nobody can be "
            "missed, and a share that is lost ends the key"
        )
    return tuple(found[: shape.threshold])


def lose_owner_key(stage: Stage) -> None:
    """Let the first owner's key be lost, and the others replace it."""
    owning = stage.shape.having("owner")
    lost, others = owning[0], owners(stage, owning[0].name)
    if len(others) < stage.shape.thresholds.owners:
        raise WentOtherwiseError(
            f"all {len(owning)} owners must sign: nobody can be missed, and a key that is lost "
            "ends the root"
        )
    stage.misdeed(lost.name, "the key is lost", lambda: shutil.rmtree(stage.home(lost.name)))
    heir = f"{lost.name[:60]}-2"
    roles = [word for role in lost.roles for word in ("--role", role)]
    stage.run_with_key(
        heir, "key", "new", heir, *roles,
        "--operator", lost.operator, "--organisation", lost.organisation, project=False,
    )  # fmt: skip
    stage.run("an owner", "root", "vouch", os.fspath(bundle(stage, "1.0")))
    stage.run("an owner", "root", "remove", lost.name)
    stage.run("an owner", "root", "add", os.fspath(stage.card(heir)))
    sign_root(stage, others)
    stage.run("a maintainer", "publish", "--to", os.fspath(stage.site), "--root-only")
    trust = os.fspath(stage.folder / "trust")
    place, name = os.fspath(stage.published), stage.shape.project
    stage.run_outside("a stranger", "trust", "refresh", name, "--from", place, "--trust", trust)
    verify(stage, "1.0")


def steal_share(stage: Stage) -> None:
    """Let a share be copied with its passphrase, and the shares be dealt anew."""
    shape = stage.shape
    robbed = shape.participants[0]
    loot = stage.folder / "loot"
    stage.misdeed(
        "a thief",
        f"copies {robbed}'s disk, and knows the passphrase",
        lambda: shutil.copytree(stage.home(robbed), loot, copy_function=shutil.copy2),
    )
    dealers = [
        name for name in shape.participants[: shape.threshold] for name in ("--dealer", name)
    ]
    stage.run_with_key(robbed, "ceremony", "reshare", shape.group, *dealers, "--as", robbed)
    finish_ceremony(stage)
    stage.run("anybody", "ceremony", "verify", shape.group, says="VERIFIED")
    stage.misdeed("a thief", "tries the share", lambda: _try_share(stage, robbed))


def _try_share(stage: Stage, robbed: str) -> None:
    """See that what was stolen is no share any more."""
    group = present_group(stage.workspace, stage.shape.group)
    try:
        open_share(belongings_of(stage.folder / "loot", robbed), group, stage.passphrase)
    except InputError:
        return
    raise WentOtherwiseError("the stolen share still fits")

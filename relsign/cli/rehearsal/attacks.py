"""What people do who mean harm: a builder with other bytes, a participant who lies."""

from __future__ import annotations

import os
import shutil
from functools import partial

from relsign.cli.rehearsal.liar import send_false_share
from relsign.cli.rehearsal.making import (
    approve,
    build,
    builders,
    owners,
    publish,
    sign_release,
    signers,
    verify,
)
from relsign.cli.rehearsal.props import TAMPERED, write_recipe
from relsign.cli.rehearsal.stage import Stage, WentOtherwiseError


def malicious_builder(stage: Stage) -> None:
    """Let a builder of the next release put more into it, and be seen."""
    *honest, villain = builders(stage)
    write_recipe(stage, "1.1")
    build(stage, *honest)
    build(stage, villain, data=TAMPERED)
    gone = stage.shape.having("owner")[0].name
    approve(stage, owners(stage, gone))
    reader = signers(stage)[0]
    refuse = ("sign", "--yes", "--as", reader)
    stage.run_with_key(reader, *refuse, code=1, says=villain)
    stage.run("a signer", "status", code=1, says="DIFFERENT BYTES")
    stage.run("a maintainer", "publish", "--to", os.fspath(stage.site), code=3)
    made = stage.workspace.release().build_of(villain)
    stage.misdeed("a maintainer", f"removes {villain}'s build", lambda: shutil.rmtree(made))
    build(stage, villain)


def lying_participant(stage: Stage) -> None:
    """Let a participant send false shares; see the others name it and sign without it."""
    shape = stage.shape
    liar, *rest = shape.participants
    if len(rest) < shape.threshold:
        raise WentOtherwiseError(
            f"all {len(shape.participants)} who share the release key must sign: one who lies is "
            "named, and there is no signature without"
        )
    partners = rest[-(shape.threshold - 1) :]
    _sign_once(stage, liar)
    for name in (*partners, *partners):
        _sign_once(stage, name)
    lie = partial(send_false_share, stage.workspace, stage.home(liar), liar, stage.passphrase)
    stage.misdeed(liar, "sends false shares", lie)
    witness = partners[0]
    _sign_once(stage, witness, says=f"CULPRIT: {liar}")
    sign_release(stage, signers(stage, liar), "1.0")
    publish(stage)
    verify(stage, "1.1")


def _sign_once(stage: Stage, name: str, says: str = "") -> None:
    bundle = stage.published / "1.0" / f"{stage.shape.project}-1.0.relsign"
    words = ("sign", "--yes", "--as", name, "--previous", os.fspath(bundle))
    stage.run_with_key(name, *words, says=says)

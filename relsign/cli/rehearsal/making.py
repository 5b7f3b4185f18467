"""The ordinary acts: people make keys, share one, and release with it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from relsign.cli.rehearsal.props import (
    DAYS,
    HONEST,
    artifact_name,
    pretend_build,
    write_project,
)
from relsign.cli.rehearsal.stage import Stage, WentOtherwiseError
from relsign.crypto.digest import sha256_hex
from relsign.formats.root import MAX_ROOT_BYTES, parse_root
from relsign.system.files import read_bounded, write_whole

MAX_ROUNDS = 8
OVER = "nothing is left to do"


def make_people(stage: Stage) -> None:
    """Let everybody make a key, and the project enrol the cards."""
    write_project(stage)
    for person in stage.shape.people:
        roles = [word for role in person.roles for word in ("--role", role)]
        stage.run_with_key(
            person.name, "key", "new", person.name, *roles,
            "--operator", person.operator, "--organisation", person.organisation, project=False,
        )  # fmt: skip
    cards = [os.fspath(stage.card(person.name)) for person in stage.shape.people]
    stage.run("an owner", "key", "add", *cards)
    stage.run("an owner", "root", "new")


def make_release_key(stage: Stage) -> None:
    """Let the participants make the release key, and the owners sign the root that names it."""
    shape = stage.shape
    members = [word for name in shape.participants for word in ("--member", name)]
    first = shape.participants[0]
    stage.run_with_key(
        first, "ceremony", "new", shape.group, *members,
        "--threshold", str(shape.threshold), "--days", str(DAYS), "--as", first,
    )  # fmt: skip
    finish_ceremony(stage)
    card = stage.workspace.group_folder(shape.group) / "member.toml"
    stage.run("an owner", "root", "add", os.fspath(card))
    sign_root(stage, owners(stage))
    stage.run("anybody", "ceremony", "verify", shape.group, says="VERIFIED")


def finish_ceremony(stage: Stage) -> None:
    """Let everybody come by in turn until nobody has anything left to do."""
    waiting = list(stage.shape.participants)
    for _round in range(MAX_ROUNDS):
        for name in tuple(waiting):
            said = stage.run_with_key(
                name, "ceremony", "join", stage.shape.group, "--yes", "--as", name
            )
            if OVER in said:
                waiting.remove(name)
        if not waiting:
            return
    raise WentOtherwiseError(f"the ceremony does not end: {', '.join(waiting)} still wait")


def owners(stage: Stage, *lost: str) -> tuple[str, ...]:
    """Return as many owners as it takes, without those who lost a key."""
    found = [p.name for p in stage.shape.having("owner") if p.name not in lost]
    return tuple(found[: stage.shape.thresholds.owners])


def sign_root(stage: Stage, names: tuple[str, ...]) -> None:
    """Let owners sign the root in the making."""
    for name in names:
        stage.run_with_key(name, "root", "sign", "--as", name)


def signers(stage: Stage, *left_out: str) -> tuple[str, ...]:
    """Return people who sign a release: enough of the signers, enough of who share the key."""
    shape = stage.shape
    able = [name for name in shape.participants if name not in left_out]
    chosen = able[: shape.threshold]
    eligible = {person.name: person for person in shape.having("signer")}
    missing = shape.thresholds.signers - len([name for name in chosen if name in eligible])
    others = [name for name in eligible if name not in chosen and name not in left_out]
    return (*chosen, *others[: max(0, missing)])


def sign_release(stage: Stage, names: tuple[str, ...], previous: str | None = None) -> None:
    """Let people sign, and come back until the release key has signed too."""
    more = () if previous is None else ("--previous", os.fspath(bundle(stage, previous)))
    done = f"{stage.shape.group} signed"
    for _round in range(3):
        said = [stage.run_with_key(name, "sign", "--yes", "--as", name, *more) for name in names]
        if any(done in words for words in said):
            return
    raise WentOtherwiseError("the release key does not sign")


def approve(stage: Stage, names: tuple[str, ...]) -> None:
    """Compile the layout of the release in the making, and let owners sign it."""
    stage.run("an owner", "policy", "compile")
    for name in names:
        stage.run_with_key(name, "policy", "sign", "--as", name)


def build(stage: Stage, *names: str, data: bytes = HONEST) -> None:
    """Let builders leave what they built."""
    for name in names:
        stage.misdeed(name, "pretends to build", partial(pretend_build, stage, name, data))


def builders(stage: Stage) -> tuple[str, ...]:
    """Return every builder that counts."""
    return tuple(person.name for person in stage.shape.having("builder"))


def bundle(stage: Stage, version: str) -> Path:
    """Return the bundle of a published release."""
    return stage.published / version / f"{stage.shape.project}-{version}.relsign"


def publish(stage: Stage) -> None:
    """Publish the release in the making."""
    stage.run("a maintainer", "publish", "--to", os.fspath(stage.site), says="PUBLISHED")


def verify(stage: Stage, version: str, *, code: int = 0, says: str = "VERIFIED") -> None:
    """Verify a published release as a stranger, whose own demands are none."""
    file = stage.published / version / artifact_name(stage.shape, version)
    check_file(stage, file, code, says)


def check_file(stage: Stage, file: Path, code: int, says: str) -> None:
    """Verify any file as a stranger."""
    stage.run_outside(
        "a stranger", "verify", "--trust", os.fspath(stage.folder / "trust"),
        "--policy", os.fspath(stage.folder / "no-demands.toml"), os.fspath(file),
        code=code, says=says,
    )  # fmt: skip


def pin(stage: Stage) -> None:
    """Let a stranger pin the root by its digest."""
    write_whole(stage.folder / "no-demands.toml", b"# A stranger of a rehearsal.\n")
    root = parse_root(read_bounded(stage.published / "root.json", MAX_ROOT_BYTES))
    digest = sha256_hex(root.signed.to_bytes())
    stage.run_outside(
        "a stranger", "trust", "add", os.fspath(stage.published), "--digest", digest,
        "--no-input", "--trust", os.fspath(stage.folder / "trust"),
    )  # fmt: skip


def first_release(stage: Stage) -> None:
    """Build, approve, sign, publish and verify; and see a changed file refused."""
    build(stage, *builders(stage))
    approve(stage, owners(stage))
    sign_release(stage, signers(stage))
    publish(stage)
    pin(stage)
    verify(stage, "1.0")
    name = artifact_name(stage.shape, "1.0")
    changed = stage.folder / "changed"
    data = read_bounded(stage.published / "1.0" / name, 1 << 20)
    write_whole(changed / name, data.replace(b"no release", b"a release"))
    write_whole(changed / bundle(stage, "1.0").name, read_bounded(bundle(stage, "1.0"), 1 << 24))
    check_file(stage, changed / name, 1, "REFUSED")

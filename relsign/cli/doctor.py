"""`relsign doctor`: whether this machine can do what the commands need."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click

from relsign.cli.options import (
    json_option,
    keys_option,
    profile_option,
    project_option,
    store_option,
)
from relsign.cli.show import human_size
from relsign.cli.talk import printable, say
from relsign.errors import HostError, InputError, RelsignError
from relsign.system.clock import now_utc
from relsign.system.process import PATH as SYSTEM_PATH
from relsign.system.workspace import Workspace

PROGRAMS = (
    ("mmdebstrap", "mmdebstrap", "bootstraps environments"),
    ("apt-ftparchive", "apt-utils", "indexes locked packages"),
    ("unshare", "util-linux", "cuts the network off"),
    ("gpg", "gnupg", "OpenPGP signers and upstream signatures"),
    ("git", "git", "git sources"),
    ("openssl", "openssl", "encrypts new key files"),
)
MIN_FREE_BYTES = 4 << 30


@click.command(short_help="Engine, programs, disk, clock and keys on one screen.")
@click.option("--probe", is_flag=True,
              help="Instead: what two containers see of the machine.")  # fmt: skip
@click.option("--builder", metavar="NAME",
              help="Environment to probe.  [default: the first target's]")  # fmt: skip
@profile_option
@json_option
@store_option
@keys_option
@project_option
def doctor(
    store: Path,
    keys: Path,
    workspace: Workspace,
    builder: str | None,
    profile: str | None,
    *,
    probe: bool,
    as_json: bool,
) -> int:
    """Check that this machine can build and sign. `relsign verify` needs none of it.

    Exit code 0 when everything is there, 5 when something is missing; each line that
    is not good says what to do.

    With --probe, a program in a build container prints what it can see of the machine,
    twice under different conditions: exit code 1 if something differs that the sandbox
    profile declares fixed. The environment needs a C compiler.
    """
    if probe:
        from relsign.cli.doctor_probe import probe_builder

        probe_builder(workspace, store, builder, profile, as_json=as_json)
        return 0
    if builder is not None:
        raise InputError("--builder is for --probe", hint="add --probe, or leave it out")
    lines = [_engine(), *map(_program, PROGRAMS), _disk(store), _keys(keys), *_expiry(workspace)]
    now = now_utc().isoformat()
    if as_json:
        rows = [{"good": good, "text": text} for good, text in lines]
        say(json.dumps({"schema": "relsign/doctor/1", "lines": rows, "clock": now}))
    else:
        for good, text in lines:
            click.echo(f"  {'✓' if good else '✗'} {printable(text)}")
        click.echo(f"  - clock          {now} (compare it with your own)")
    return 0 if all(good for good, _ in lines) else HostError.exit_code


def _engine() -> tuple[bool, str]:
    from relsign.build.engine.connection import connect

    try:
        with connect(os.environ) as engine:
            info = engine.describe()
            return True, f"engine         {info.name} {info.version} at {info.url}"
    except HostError as error:
        return False, f"engine         {error}; {error.hint}"


def _program(row: tuple[str, str, str]) -> tuple[bool, str]:
    name, package, purpose = row
    if shutil.which(name, path=SYSTEM_PATH):
        return True, f"{name:<15}{purpose}"
    return False, f"{name:<15}missing: apt-get install {package} ({purpose})"


def _disk(store: Path) -> tuple[bool, str]:
    folder = next(p for p in (store, *store.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    good = free >= MIN_FREE_BYTES
    return good, f"disk           {human_size(free)} free for the store" + (
        "" if good else ": too little; `relsign store gc` removes what was not used for long"
    )


def _keys(keys: Path) -> tuple[bool, str]:
    if not keys.exists():
        return True, "keys           none on this machine; `relsign key new NAME` makes one"
    if keys.stat().st_mode & 0o077:
        return False, f"keys           open to other users: chmod 700 {keys}"
    names = sorted(path.parent.name for path in keys.glob("*/member.toml"))
    return True, f"keys           {', '.join(names) or 'none'}"


def _expiry(workspace: Workspace) -> list[tuple[bool, str]]:
    """Say what of this project has expired or soon does; nothing where there is no project."""
    from relsign.sign.review.vouching import complete_roots
    from relsign.sign.rules.expiry import find_expiring
    from relsign.sign.status import layout_expiry

    if not workspace.root_file.exists():
        return []
    now = now_utc()
    try:
        root = complete_roots(workspace)[-1]
        expiring = find_expiring(root, layout_expiry(workspace.release()), now)
    except RelsignError as error:
        return [(False, f"project        {error}; {error.hint}")]
    return [
        (not each.is_over(now), f"expiry         {each.words(now)}: {each.hint}")
        for each in expiring
    ] or [(True, "expiry         nothing of this project ends within 60 days")]

"""`relsign doctor --probe`: what two containers of an environment see of the machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from relsign.cli.talk import say, talk
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.build.profile import Profile
    from relsign.build.sandbox.probe import Channel, Kind, ProbeReport

KINDS: tuple[Kind, ...] = ("fixed", "masked", "open")


def probe_builder(
    workspace: Workspace, store: Path, builder: str | None, profile: str | None, *, as_json: bool
) -> None:
    """Probe an environment twice and print what is fixed, masked and open.

    `builder` is the first target's if None.  Raises what preparing its image and
    probing it raise, and VerificationError if a channel declared fixed differs.
    """
    from relsign.build.engine.connection import connect
    from relsign.build.moved import check_lock_is_current
    from relsign.build.profile import choose_profile
    from relsign.build.sandbox.observe import Order
    from relsign.build.sandbox.twice import probe_twice
    from relsign.build.store import Store
    from relsign.build.target import Bench, allowed_cpus, prepare_image
    from relsign.cli.progress import BuildTalk

    recipe = workspace.recipe()
    name, chosen = builder or recipe.target[0].builder, choose_profile(recipe, profile)
    lock, cpus = workspace.lock(name), allowed_cpus()
    check_lock_is_current(workspace, name, lock)
    with connect(os.environ) as engine, Path(os.devnull).open("wb") as log:
        bench = Bench(engine, Store(store), store / "bound", cpus[0])
        image = prepare_image(bench, lock, BuildTalk(name, log, show_log=False).listener())
        talk(f"  ● probing {name} twice: here, and as another caller beside a busy container")
        order = Order(image=image, profile=chosen.name, cache=str(bench.cache), cpu=cpus[0])
        report = probe_twice(engine, order, cpus)
    if as_json:
        say(json.dumps(report_json(report), sort_keys=True))
    else:
        for line in report_lines(chosen, report):
            say(line)
    report.refuse_wrong()


def report_lines(profile: Profile, report: ProbeReport) -> list[str]:
    """Return one line for each knob, sorted by kind, and the sums."""
    knobs = [
        _line(profile, knob, tuple(group), report.without)
        for knob, group in groupby(report.channels, lambda channel: channel.knob)
    ]
    wrong = [
        f"  differs  {channel.name}: {channel.one or 'nothing'} | {channel.two or 'nothing'}"
        for channel in report.wrong
    ]
    sums = ", ".join(f"{report.count(kind)} {kind}" for kind in KINDS)
    return [*sorted(knobs, key=_rank), *wrong, f"{len(report.channels)} channels: {sums}"]


def _rank(line: str) -> int:
    return KINDS.index(line.split(maxsplit=1)[0])


def _line(
    profile: Profile, knob: str, channels: Sequence[Channel], without: tuple[str, ...]
) -> str:
    counts = {kind: sum(c.kind == kind for c in channels) for kind in KINDS}
    kind = "open" if counts["open"] else "fixed" if counts["fixed"] else "masked"
    words = f"  {kind:<8} {knob:<22} {len(channels):>3}  "
    if knob in without:
        return f"{words}the engine does not set it"
    if kind != "open":
        return f"{words}{profile.fixed[knob]}"
    differing = sum(channel.differs for channel in channels)
    seen = f"{differing} differ here: " if differing else "same here: "
    return f"{words}{seen}{profile.open[knob]}"


def report_json(report: ProbeReport) -> Mapping[str, object]:
    """Return the report as JSON values; the fields are in docs/reference/profile.md."""
    return {
        "schema": "relsign/probe/1",
        "profile": report.profile,
        "without": list(report.without),
        "counts": {kind: report.count(kind) for kind in KINDS},
        "channels": [
            {"name": c.name, "knob": c.knob, "kind": c.kind, "one": c.one, "two": c.two}
            for c in report.channels
        ],
    }

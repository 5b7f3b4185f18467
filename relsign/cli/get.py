"""`relsign get`: download a pinned project's release; what does not verify never stays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import EXISTING, PATH, json_option, show_path
from relsign.cli.own_files import own_policy_option, trust_option
from relsign.cli.places import own_policy_file
from relsign.cli.talk import say, talk
from relsign.errors import InputError

if TYPE_CHECKING:
    from relsign.trust.get import Got


@click.command(short_help="Download a pinned project's release, verified before it has a name.")
@click.argument("project", metavar="PROJECT[==VERSION]")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--from", "source", metavar="URL|DIR",
              help="The project's published folder.  [default: the pin's address]")  # fmt: skip
@click.option("--to", "folder", type=PATH, default=Path(), metavar="DIR",
              help="Where the files go.  [default: current folder]")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Get every file of the release.")
@click.option("--rebuilt", type=EXISTING, metavar="FOLDER",
              help="Your own rebuild of it, as `relsign build` left it.")  # fmt: skip
@trust_option
@own_policy_option
@json_option
def get(
    project: str,
    names: tuple[str, ...],
    source: str | None,
    folder: Path,
    rebuilt: Path | None,
    trust: Path,
    own_policy: Path | None,
    *,
    everything: bool,
    as_json: bool,
) -> int:
    """Get the newest release of a project whose root is pinned, or the VERSION named.

    Asks the publication for newer roots and the list of releases, downloads the files
    and their bundle, and gives them their names only when the verdict is VERIFIED.
    After an interruption the same command goes on where it was.

    \b
    Example
      relsign trust add https://example.org/releases/gzip/
      relsign get gzip
    """
    from relsign.cli.progress import fetching
    from relsign.cli.show import show_verdict
    from relsign.system.clock import now_utc
    from relsign.trust.get import Wish, find_pin_name, get_release
    from relsign.trust.pins.own_policy import demands_for, read_own_policy
    from relsign.trust.pins.store import TrustStore
    from relsign.trust.verification import read_rebuilt
    from relsign.verify.verdict import Word

    store = TrustStore(trust)
    wanted, version = _parse(project)
    name = find_pin_name(store, wanted)
    kept = store.recall(name)
    if kept.note:
        talk(f"note: {kept.note}")
    demands = demands_for(read_own_policy(own_policy, own_policy_file()), kept.pin.project)
    wish = Wish(name, version, names, everything, source, folder, demands, read_rebuilt(rebuilt))
    got = get_release(store, wish, now_utc(), fetching)
    for note in got.notes:
        talk(f"note: {note}")
    if as_json:
        click.echo(_json(wanted, got, demands.level.name.lower()))
        return got.decision.verdict.word.exit_code
    title = got.files[0].path.name if len(got.files) == 1 else f"{wanted} {got.version}"
    show_verdict(title, got.decision.verdict, verbose=False)
    if got.decision.verdict.word is Word.REFUSED:
        talk(
            f"hint: nothing is left here; try another mirror: relsign get {project} --from URL|DIR"
        )
    for file in got.files:
        say(f"  {'here' if file.already else 'saved'}  {show_path(file.path)}")
    if got.bundle is not None:
        talk(f"  its evidence is beside it: {show_path(got.bundle)}")
    return got.decision.verdict.word.exit_code


def _parse(project: str) -> tuple[str, str | None]:
    """Return the name and the version in ``NAME==VERSION``; raise InputError."""
    wanted, equals, version = project.partition("==")
    if equals and not version:
        raise InputError("no version stands after ==", got=project, hint=f"relsign get {wanted}")
    other = re.fullmatch(r"([^@=]+)[@=]([^@=]+)", project)
    if other:
        raise InputError(
            "a version stands after ==",
            got=project,
            hint=f"relsign get {other[1]}=={other[2]}",
        )
    return wanted, version or None


def _json(project: str, got: Got, level: str) -> str:
    """Return what came as JSON, the verdict as `relsign verify --json` gives it."""
    import json

    from relsign.cli.show import verdict_json

    digests = {file.path.name: file.sha256 for file in got.files}
    verdict = json.loads(verdict_json(digests, got.decision.verdict, level))
    files = [
        {
            "name": file.path.name,
            "path": str(file.path),
            "sha256": file.sha256,
            "size": file.size,
            "already": file.already,
        }
        for file in got.files
    ]
    answer = {
        "schema": "relsign/get/1",
        "project": project,
        "version": got.version,
        "verdict": verdict,
        "files": files,
        "bundle": None if got.bundle is None else str(got.bundle),
    }
    return json.dumps(answer, ensure_ascii=True, indent=2)

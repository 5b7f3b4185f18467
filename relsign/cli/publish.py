"""`relsign publish`: through the gate, then one switch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from relsign.cli.options import PATH, project_option, show_path
from relsign.cli.talk import talk
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace


@click.command(short_help="Pass the gate and publish, whole or not at all.")
@click.option("--to", "directory", type=PATH, required=True, metavar="DIR",
              help="Folder that a web server serves.")  # fmt: skip
@click.option(
    "--root-only", is_flag=True, help="Publish a new root.json alone, as after a revocation."
)
@project_option
def publish(directory: Path, workspace: Workspace, *, root_only: bool) -> None:
    """Publish this release to DIR/PROJECT/VERSION, if a stranger would verify it.

    Files are written beside, read again and verified from outside; the reference
    in-toto verifier must agree; then one rename makes the release visible. A
    published version never changes.
    """
    from relsign.publish.gate import pass_gate
    from relsign.publish.release import collect_candidate
    from relsign.publish.signatures import add_stock_signatures, public_key_files
    from relsign.publish.targets.directory import publish_root, publish_to_directory
    from relsign.sign.policy import current_root

    now = now_utc()
    root = current_root(workspace, now)
    release = workspace.release()
    if root_only:
        project = directory / release.project
        is_new = publish_root(project, root.root.to_bytes(), public_key_files(root.parties))
        talk(f"{'PUBLISHED' if is_new else 'ALREADY PUBLISHED'}  {show_path(project)}/root.json")
        return
    candidate = add_stock_signatures(
        collect_candidate(release, root.root.to_bytes()), release, root.having("signer"), now
    )
    published = publish_to_directory(
        directory,
        candidate,
        public_key_files(root.parties),
        partial(pass_gate, candidate, now=now),
    )
    click.echo(show_path(published.folder))
    talk("✓ verified from outside  ✓ in-toto-verify agrees")
    word = "PUBLISHED" if published.is_new else "ALREADY PUBLISHED"
    talk(f"{word}  {release.project} {release.version}  ({published.files} files)")

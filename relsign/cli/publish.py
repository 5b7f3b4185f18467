"""`relsign publish`: through the gate, then one switch."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from relsign.cli.options import PATH, project_option, show_path
from relsign.cli.show import short_digest
from relsign.cli.talk import talk
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.publish.release import Candidate
    from relsign.publish.targets.directory import Published, RootPublished

MAX_SHOWN = 20


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
    in-toto verifier must agree; then one rename makes the release visible. The
    files of a published version never change; its evidence can be renewed.
    """
    from relsign.publish.gate import pass_gate
    from relsign.publish.release import collect_candidate
    from relsign.publish.signatures import add_stock_signatures, public_key_files
    from relsign.publish.targets.directory import publish_root, publish_to_directory
    from relsign.sign.policy import current_root

    now, directory = now_utc(), directory.absolute()
    root = current_root(workspace, now)
    keys = public_key_files(root.parties)
    with _stoppable():
        if root_only:
            done = publish_root(directory, root.root.to_bytes(), keys, now)
            _show_root(done)
            word = "PUBLISHED" if done.change else "ALREADY PUBLISHED"
            talk(f"{word}  {show_path(directory / root.root.project)}/root.json")
            return
        release = workspace.release()
        candidate = add_stock_signatures(
            collect_candidate(release, root, now), release, root.having("signer"), now
        )
        for note in candidate.notes[:MAX_SHOWN]:
            talk(f"note: {note}")
        judge = partial(pass_gate, candidate, now=now)
        published = publish_to_directory(directory, candidate, keys, judge, now)
    _show_release(candidate, published)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """End on SIGTERM and SIGHUP as on Ctrl-C: what was staged is removed on the way out."""
    numbers = (signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_release(candidate: Candidate, published: Published) -> None:
    click.echo(show_path(published.folder))
    talk("✓ verified from outside  ✓ in-toto-verify agrees")
    for name, digest in list(candidate.digests.items())[:MAX_SHOWN]:
        talk(f"  {short_digest(digest)}  {name}")
    if len(candidate.digests) > MAX_SHOWN:
        talk(f"  and {len(candidate.digests) - MAX_SHOWN} more, in SHA256SUMS")
    for path in published.renewed[:MAX_SHOWN]:
        talk(f"  renewed: {path}")
    _show_root(published.root)
    release = f"{candidate.project} {candidate.version}"
    talk(f"{published.word.value}  {release}  ({published.files} files)")


def _show_root(published: RootPublished) -> None:
    from relsign.crypto.words import digest_words

    for note in published.notes[:MAX_SHOWN]:
        talk(f"note: {note}")
    if published.change is not None:
        for line in published.change.lines:
            talk(f"root.json: {line}")
        talk(f"root.json: {digest_words(published.change.sha256)}")

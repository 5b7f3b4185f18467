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

from relsign.cli.options import (
    PATH,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.show import short_digest
from relsign.cli.talk import talk
from relsign.errors import InputError
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from datetime import datetime

    from relsign.publish.announce import Announcer, Public
    from relsign.publish.release import Candidate
    from relsign.publish.targets.directory import Published, RootPublished
    from relsign.verify.root import TrustedRoot

MAX_SHOWN = 20


@click.command(short_help="Pass the gate and publish, whole or not at all.")
@click.option("--to", "directory", type=PATH, required=True, metavar="DIR",
              help="Folder that a web server serves.")  # fmt: skip
@click.option("--as", "name", metavar="NAME",
              help="Your publisher key's name, where the root names publishers.")  # fmt: skip
@click.option("--refresh", is_flag=True, help="Only sign the listing's timestamp anew.")
@click.option(
    "--root-only", is_flag=True, help="Publish a new root.json alone, as after a revocation."
)
@project_option
@keys_option
@passphrase_option
def publish(
    directory: Path, name: str | None, workspace: Workspace, keys: Path, descriptor: int | None,
    *, root_only: bool, refresh: bool,
) -> None:  # fmt: skip
    """Publish this release to DIR/PROJECT/VERSION, if a stranger would verify it.

    Files are written beside, read again and verified from outside; the reference
    in-toto verifier must agree; then one rename makes the release visible. The
    files of a published version never change; its evidence can be renewed.

    Where the root names publishers, one of them signs the listing of what is
    published, which `relsign get` reads, and signs it again with --refresh before
    its timestamp expires.
    """
    from relsign.publish.announce import Public
    from relsign.publish.gate import pass_gate
    from relsign.publish.release import collect_candidate
    from relsign.publish.signatures import add_stock_signatures, public_key_files
    from relsign.publish.targets.directory import publish_to_directory
    from relsign.sign.rules.root import current_root, earlier_roots

    if root_only and refresh:
        raise click.UsageError("--root-only and --refresh are two different things")
    now, directory = now_utc(), directory.absolute()
    root, earlier = current_root(workspace, now), earlier_roots(workspace)
    announcer = _announcer(root, earlier, name, keys, descriptor)
    public = Public(public_key_files(root.parties), announcer)
    with _stoppable():
        if root_only or refresh:
            _publish_beside(directory, (*earlier, root.data), public, now, refresh=refresh)
            return
        release = workspace.release()
        candidate = add_stock_signatures(
            collect_candidate(release, root, earlier, now), release, root.statement_signers, now
        )
        for note in candidate.notes[:MAX_SHOWN]:
            talk(f"note: {note}")
        judge = partial(pass_gate, candidate, now=now)
        published = publish_to_directory(directory, candidate, public, judge, now)
    _show_release(candidate, published)


def _announcer(
    root: TrustedRoot,
    earlier: tuple[bytes, ...],
    name: str | None,
    keys: Path,
    descriptor: int | None,
) -> Announcer | None:
    """Return who signs the listing; None where the root names no publisher."""
    from relsign.publish.announce import Announcer
    from relsign.publish.index import Publisher
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.release import party_named
    from relsign.verify.root import open_root

    publishers = ", ".join(party.name for party in root.having("publisher"))
    if name is None:
        if publishers:
            raise InputError(
                "the root names publishers, and none of them signs",
                expected=f"--as with one of {publishers}",
                hint="a publisher signs the listing that says which release is the newest",
            )
        return None
    party = party_named(root, name, "publisher")
    signer = KeyStore(keys).open_for(party, descriptor)
    former = open_root(earlier[-1]).having("publisher") if earlier else ()
    return Announcer(root, Publisher(party, signer.sign), former)


def _publish_beside(
    directory: Path, roots: tuple[bytes, ...], public: Public, now: datetime, *, refresh: bool
) -> None:
    """Publish the root alone, or let the publisher say again what is published."""
    from relsign.formats.root import parse_root
    from relsign.publish.targets.directory import publish_root, refresh_listing

    if refresh:
        if public.announcer is None:
            raise InputError("--refresh needs a publisher", hint="name your key with --as")
        folder = refresh_listing(directory, public.announcer, now)
        talk(f"REFRESHED  {show_path(folder)}/timestamp.json")
        return
    done = publish_root(directory, roots, public, now)
    _show_root(done)
    word = "PUBLISHED" if done.change else "ALREADY PUBLISHED"
    talk(f"{word}  {show_path(directory / parse_root(roots[-1]).signed.project)}/root.json")


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

"""`relsign sign`: look at a release, then sign it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.asking import ask
from relsign.cli.options import (
    EXISTING,
    as_option,
    exchange_option,
    keys_option,
    passphrase_option,
    profile_option,
    project_option,
    show_path,
)
from relsign.cli.show import human_size, short_digest
from relsign.cli.talk import talk
from relsign.crypto.digest import sha256_hex
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from datetime import datetime

    from relsign.formats.statement import PreviousRelease
    from relsign.sign.release import SigningRequest
    from relsign.sign.review.previous import Earlier
    from relsign.verify.root import TrustedRoot

MAX_ARTIFACTS_SHOWN = 20


@click.command(short_help="Look at a release, then sign it.")
@as_option
@click.option(
    "--previous", type=EXISTING, metavar="FILE.relsign",
    help="Bundle of the release this one follows.",
)  # fmt: skip
@click.option(
    "--clone",
    "clones",
    type=EXISTING,
    multiple=True,
    metavar="FOLDER",
    help="Your clone of a git source, to count and show its commits.",
)
@click.option("--full", is_flag=True, help="Show every line of what changed.")
@click.option("--yes", is_flag=True, help="Sign without asking, after showing the release.")
@profile_option
@exchange_option
@click.option("--again", is_flag=True, help="Begin a new attempt: somebody of this one is gone.")
@project_option
@keys_option
@passphrase_option
def sign(
    name: str, previous: Path | None, clones: tuple[Path, ...], workspace: Workspace, keys: Path,
    descriptor: int | None, profile: str | None, exchange: str | None, *, full: bool, yes: bool,
    again: bool,
) -> None:  # fmt: skip
    """Sign this release's statement as NAME, one of the signers.

    Everything is derived from your own copy: builders must agree, owners must have
    signed the layout, and every artifact is hashed here. What you are asked to sign
    is shown first. It may be run again at any time; signing twice changes nothing.

    Where you share a release key with others, this does your part of its signature
    too, and says whom it waits for: run it again when they have been there.
    """
    from relsign.build.profile import choose_profile
    from relsign.cli.group_sign import sign_with_groups
    from relsign.formats.fingerprint import ProfileDigest
    from relsign.sign.groups.shares import groups_of
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.person import open_person
    from relsign.sign.release import (
        party_named,
        prepare_request,
        sign_release,
    )
    from relsign.sign.review.previous import read_previous
    from relsign.sign.rules.root import current_root

    now = now_utc()
    root = current_root(workspace, now)
    party = party_named(root, name, "signer")
    release = workspace.release()
    earlier = read_previous(workspace, previous, now)
    chosen = choose_profile(workspace.recipe(), profile)
    digest = ProfileDigest(name=chosen.name, sha256=chosen.sha256)
    request = prepare_request(workspace, root, earlier.place if earlier else None, digest, now)
    show_changes(workspace, earlier, request, root, clones, full=full)
    show_request(request, full=full)
    show_expiring(root, request.layout.layout.expires, now)
    ask("Sign?", "the request", yes=yes)
    store = KeyStore(keys)
    sharing = bool(groups_of(root, name, "release"))
    person = open_person(store, party, descriptor) if sharing else None
    signer = person.signer if person is not None else store.open_for(party, descriptor)
    for path in sign_release(release, request, root.statement_signers, party, signer.sign):
        click.echo(show_path(path))
    talk(f"{name} signed {release.project} {release.version}")
    if person is not None:
        sign_with_groups(workspace, root, request.statement, person, exchange, again=again)


def show_request(request: SigningRequest, *, full: bool) -> None:
    """Show what is asked to be signed, all of it computed on this machine."""
    from relsign.crypto.words import digest_words

    predicate = request.statement.predicate
    agreement = request.build.agreement
    talk(f"Release {predicate.project} {predicate.version}, after {_name(predicate.previous)}")
    talk(f"  dated {predicate.released_at:%Y-%m-%d %H:%M:%S} UTC")
    talk(f"  recipe {short_digest(request.layout.recipe_sha256)}, the same as yours")
    subjects = request.statement.subject
    shown = subjects if full else subjects[:MAX_ARTIFACTS_SHOWN]
    for subject in shown:
        size = human_size(request.sizes[subject.name])
        talk(f"  {short_digest(subject.digest.sha256)}  {size:>10}  {subject.name}")
    if len(shown) < len(subjects):
        talk(f"  and {len(subjects) - len(shown)} more artifacts, all hashed here: see --full")
    for fingerprint in request.build.fingerprints:
        words = digest_words(sha256_hex(fingerprint.to_bytes()))
        talk(f"  fingerprint of {fingerprint.target}: {words}")
    builders = " ".join(party.name for party in agreement.builders)
    talk(f"  built by {builders} ({len(agreement.organisations)} organisations)")
    for report in agreement.dissent:
        talk(f"  DISSENT: {report.builder.name} built other bytes")
    if request.silent:
        talk(f"  not heard of: {' '.join(request.silent)}")
    owners = " ".join(party.name for party in request.layout.owners)
    talk(f"  layout signed by {owners}, until {request.layout.layout.expires.date()}")


def show_changes(
    workspace: Workspace, earlier: Earlier | None, request: SigningRequest, root: TrustedRoot,
    clones: tuple[Path, ...], *, full: bool,
) -> None:  # fmt: skip
    """Show what changed since the release before, all of it computed on this machine."""
    from relsign.publish.roots import describe_change
    from relsign.sign.review.changes import MAX_LINES
    from relsign.sign.review.since import changes_since

    if earlier is None:
        follows = request.statement.predicate.previous
        talk(
            "The first release: there is none before to compare it with."
            if follows is None
            else f"Follows {follows.version}; name its bundle with --previous to see what changed."
        )
        return
    for note in earlier.notes:
        talk(f"  NOTE on {earlier.place.reference.version}: {note}")
    moved = earlier.root.digest != root.digest
    lines = describe_change(earlier.root.root, root.root).lines if moved else ()
    changes = changes_since(workspace, earlier, request, clones, lines)
    for line in changes.lines(None if full else MAX_LINES):
        talk(line)


def show_expiring(root: TrustedRoot, layout_expires: datetime | None, now: datetime) -> None:
    """Warn of what has expired or soon does; see `relsign.sign.rules.expiry`."""
    from relsign.sign.rules.expiry import find_expiring

    for each in find_expiring(root, layout_expires, now):
        talk(f"  WARNING: {each.words(now)}: {each.hint}")


def _name(previous: PreviousRelease | None) -> str:
    if previous is None:
        return "nothing: the first release"
    return f"{previous.version} (statement {short_digest(previous.statement_sha256)})"

"""`relsign sign`: look at a release, then sign it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import (
    EXISTING,
    as_option,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.show import human_size, short_digest
from relsign.cli.talk import talk
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.formats.statement import PreviousRelease
    from relsign.sign.release import SigningRequest


@click.command(short_help="Look at a release, then sign it.")
@as_option
@click.option(
    "--previous", type=EXISTING, metavar="FILE.relsign",
    help="Bundle of the release this one follows.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Sign without asking, after showing the release.")
@project_option
@keys_option
@passphrase_option
def sign(
    name: str, previous: Path | None, workspace: Workspace, keys: Path,
    descriptor: int | None, *, yes: bool,
) -> None:  # fmt: skip
    """Sign this release's statement as NAME, one of the signers.

    Everything is derived from your own copy: builders must agree, owners must have
    signed the layout, and every artifact is hashed here. What you are asked to sign
    is shown first. It may be run again at any time; signing twice changes nothing.
    """
    from relsign.build.profile import load_profile
    from relsign.formats.fingerprint import ProfileDigest
    from relsign.sign.keystore import KeyStore
    from relsign.sign.passphrase import read_passphrase
    from relsign.sign.release import (
        party_named,
        prepare_request,
        read_previous,
        sign_release,
    )
    from relsign.sign.root import current_root

    now = now_utc()
    root = current_root(workspace, now)
    party = party_named(root, name, "signer")
    release = workspace.release()
    before = read_previous(previous, release.project, release.version)
    profile = load_profile()
    digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
    request = prepare_request(workspace, root, before, digest, now)
    show_request(request)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("no terminal to ask on", hint="read the request above, then use --yes")
        click.confirm("Sign?", abort=True, err=True)
    passphrase = read_passphrase(f"Passphrase for {name}", descriptor=descriptor)
    signer = KeyStore(keys).open_as(party, passphrase)
    for path in sign_release(release, request, root.having("signer"), party, signer.sign):
        click.echo(show_path(path))
    talk(f"{name} signed {release.project} {release.version}")


def show_request(request: SigningRequest) -> None:
    """Show what is asked to be signed, all of it computed on this machine."""
    from relsign.crypto.words import digest_words

    predicate = request.statement.predicate
    agreement = request.build.agreement
    talk(f"Release {predicate.project} {predicate.version}, after {_name(predicate.previous)}")
    talk(f"  dated {predicate.released_at:%Y-%m-%d %H:%M:%S} UTC")
    talk(f"  recipe {short_digest(request.layout.recipe_sha256)}, the same as yours")
    for subject in request.statement.subject:
        size = human_size(request.sizes[subject.name])
        talk(f"  {short_digest(subject.digest.sha256)}  {size:>10}  {subject.name}")
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


def _name(previous: PreviousRelease | None) -> str:
    if previous is None:
        return "nothing: the first release"
    return f"{previous.version} (statement {short_digest(previous.statement_sha256)})"

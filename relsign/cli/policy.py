"""`relsign policy`: compile the owners' rules, and sign them."""

from __future__ import annotations

from pathlib import Path

import click

from relsign.cli.options import (
    as_option,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.talk import talk
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace


@click.group(short_help="Compile the owners' rules and sign them.")
def policy() -> None:
    """Compile policies/release.toml and keys/roster.toml, and sign the result.

    Two documents follow from them: policies/root.json, which people pin, and the
    in-toto layout of this release, which the owners sign.
    """


@policy.command(name="compile")
@click.option("--renew", is_flag=True, help="Start the validity of both anew, from today.")
@project_option
def compile_(workspace: Workspace, *, renew: bool) -> None:
    """Write policies/root.json and this release's release.layout.

    Running it again changes nothing unless policy, roster or recipe changed. A
    layout that changes has to be signed again.
    """
    from relsign.build.profile import DEFAULT_PROFILE
    from relsign.crypto.digest import sha256_hex
    from relsign.crypto.words import digest_words
    from relsign.sign.policy import compile_policy

    compiled = compile_policy(workspace, DEFAULT_PROFILE, now_utc(), renew=renew)
    root_file = workspace.root_file
    layout_file = workspace.release().layout_file
    digest = sha256_hex(compiled.root.to_bytes())
    talk(f"{compiled.root_change:<10} {show_path(root_file)}  (version {compiled.root.version})")
    talk(f"{compiled.layout_change:<10} {show_path(layout_file)}")
    talk(f"root words {digest_words(digest)}")
    talk("Next: owners run `relsign policy sign --as NAME`")


@policy.command()
@as_option
@project_option
@keys_option
@passphrase_option
def sign(name: str, workspace: Workspace, keys: Path, descriptor: int | None) -> None:
    """Sign this release's layout as an owner.

    The layout is compiled again from your own policy, roster and recipe; one that
    differs is not signed.
    """
    from relsign.build.profile import DEFAULT_PROFILE
    from relsign.sign.keystore import KeyStore
    from relsign.sign.passphrase import read_passphrase
    from relsign.sign.policy import current_root, require_current_layout
    from relsign.sign.release import party_named, sign_layout

    now = now_utc()
    party = party_named(current_root(workspace, now), name, "owner")
    require_current_layout(workspace, DEFAULT_PROFILE, now)
    passphrase = read_passphrase(f"Passphrase for {name}", descriptor=descriptor)
    signer = KeyStore(keys).open(name, passphrase)
    sign_layout(workspace.release(), party, signer.sign, now)
    talk(f"{name} signed {show_path(workspace.release().layout_file)}")

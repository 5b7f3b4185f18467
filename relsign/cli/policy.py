"""`relsign policy`: compile the owners' rules, and sign them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import (
    again_option,
    as_option,
    exchange_option,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.show import short_digest
from relsign.cli.talk import talk
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.formats.layout import Layout
    from relsign.verify.root import TrustedRoot


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
    from relsign.build.profile import choose_profile
    from relsign.cli.root import show_staged
    from relsign.sign.rules.policy import compile_policy

    profile = choose_profile(workspace.recipe()).name
    compiled = compile_policy(workspace, profile, now_utc(), renew=renew)
    show_staged(workspace, compiled.root)
    talk(f"{compiled.layout_change:<10} {show_path(workspace.release().layout_file)}")
    if compiled.dropped:
        talk(f"{', '.join(compiled.dropped)} must sign again: the layout they signed is replaced")
    talk("Next: owners run `relsign policy sign --as NAME`")


@policy.command()
@as_option
@exchange_option
@again_option
@project_option
@keys_option
@passphrase_option
def sign(
    name: str, exchange: str | None, workspace: Workspace, keys: Path, descriptor: int | None,
    *, again: bool,
) -> None:  # fmt: skip
    """Sign this release's layout as an owner.

    The layout is compiled again from your own policy, roster and recipe; one that
    differs is not signed. What is signed is shown before you are asked for the
    passphrase.

    Where you hold a share of a group that is an owner, this does your part of its
    signature, and says whom it waits for: run it again when they have been there.
    """
    from relsign.build.profile import choose_profile
    from relsign.cli.group_owner import sign_as_owner_groups
    from relsign.sign.groups.owner import layout_groups, layout_signing, require_person
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.person import open_person
    from relsign.sign.release import party_named, sign_layout
    from relsign.sign.rules.policy import current_layout
    from relsign.sign.rules.root import current_root

    now = now_utc()
    root = current_root(workspace, now)
    # Nobody is an owner and a participant of one too: a person counts once.
    groups = layout_groups(workspace, root, name)
    party = None if groups else require_person(party_named(root, name, "owner"))
    layout = current_layout(workspace, choose_profile(workspace.recipe()).name, now)
    show_layout(layout, root)
    if party is None:
        person = open_person(KeyStore(keys), groups[0].person, descriptor)
        sign_as_owner_groups(
            groups,
            lambda owner: layout_signing(workspace, root, owner, layout),
            person,
            exchange,
            again=again,
        )
        return
    signer = KeyStore(keys).open_for(party, descriptor)
    release = workspace.release()
    sign_layout(release, layout.to_bytes(), root.having("owner"), party, signer.sign)
    talk(f"{name} signed {show_path(release.layout_file)}")


def show_layout(layout: Layout, root: TrustedRoot) -> None:
    """Show what an owner is asked to sign, all of it compiled on this machine."""
    from relsign.crypto.words import digest_words

    binding, build, thresholds = layout.binding, layout.step("build"), root.root.thresholds
    talk(
        f"Layout of {binding.project} {binding.version}, until {layout.expires:%Y-%m-%d %H:%M} UTC"
    )
    talk(f"  recipe {short_digest(binding.recipe_sha256)}")
    for rule in build.expected_products:
        if rule[0] == "REQUIRE":
            talk(f"  requires {rule[1]}")
    if layout.has_checks:
        talk("  the recipe's checks must pass, at each builder who counts")
    named = {key.keyval.public for key in layout.keys.values()}
    builders = [p for p in root.having("builder") if {m.hex() for m in p.key.materials} <= named]
    talk(f"  {build.threshold} of {len(builders)} builders must agree:")
    for party in builders:
        talk(f"    {party.name}, operated by {party.operator} of {party.organisation}")
    change = "the first" if root.root.version == 1 else "people or thresholds changed before it"
    talk(f"  root version {root.root.version} ({change}), words {digest_words(root.digest)}")
    talk(
        f"  its thresholds: {thresholds.owners} owners, {thresholds.signers} signers, "
        f"{thresholds.builders} builders of {thresholds.organisations} organisations; "
        f"dissent: {root.root.policy.dissent}"
    )

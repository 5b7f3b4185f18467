"""Compile policy, roster and recipe into the layout that verifiers read.

The owners review those three; the layout follows from them.  A
compile that would only move the expiry date changes nothing, so that signatures
already collected stay good.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from relsign.crypto.keys import Ed25519Public, Party, parties_of
from relsign.errors import InputError
from relsign.formats.layout import Ed25519Public as LayoutPublic
from relsign.formats.layout import (
    Layout,
    LayoutBinding,
    LayoutKey,
    Step,
    release_inspection,
)
from relsign.formats.names import Digest
from relsign.formats.policy import Policy
from relsign.formats.recipe import Recipe

MAX_SINGLE_RULES = 500
"""Above this many artifacts stock verifiers crawl, so the fingerprints stand for them."""

SOURCE_COMMAND = ("relsign", "fetch")
BUILD_COMMAND = ("relsign", "build")
DISALLOW_REST = ("DISALLOW", "*")


def compile_layout(
    recipe: Recipe,
    parties: tuple[Party, ...],
    policy: Policy,
    profile: str,
    expires: datetime,
    *,
    recipe_sha256: Digest,
) -> Layout:
    """Return the in-toto layout of the recipe's release.

    `recipe_sha256` is the digest of the recipe's bytes, which the owners approve by
    signing; `profile` names the sandbox profile builders use.  Raises InputError when the
    roster has fewer builders than the policy asks for.
    """
    keys = _builder_keys(parties, policy.thresholds.builders)
    inputs = _input_names(recipe, profile)
    pubkeys = tuple(keys)
    project = recipe.project
    binding = LayoutBinding(project.name, project.version, recipe_sha256)
    return Layout(
        readme=binding.readme(),
        expires=expires,
        keys=keys,
        steps=(
            Step(
                name="source",
                expected_materials=(DISALLOW_REST,),
                expected_products=_require(inputs),
                pubkeys=pubkeys,
                expected_command=SOURCE_COMMAND,
                threshold=policy.thresholds.builders,
            ),
            Step(
                name="build",
                expected_materials=(
                    ("MATCH", "*", "WITH", "PRODUCTS", "FROM", "source"),
                    DISALLOW_REST,
                ),
                expected_products=_output_rules(recipe),
                pubkeys=pubkeys,
                expected_command=BUILD_COMMAND,
                threshold=policy.thresholds.builders,
            ),
        ),
        inspect=(release_inspection(binding),),
    )


def days_later(now: datetime, days: int) -> datetime:
    """Return `now` plus `days`, whole seconds."""
    return (now + timedelta(days=days)).replace(microsecond=0)


def _builder_keys(parties: tuple[Party, ...], threshold: int) -> dict[str, LayoutKey]:
    builders = parties_of(parties, "builder")
    if len(builders) < threshold:
        raise InputError(
            "fewer builders than the policy asks for",
            where="policies/release.toml: thresholds.builders",
            expected=f"at most {len(builders)}",
            got=str(threshold),
            hint="add builders with `relsign key new NAME --role builder` and `relsign key add`",
        )
    return {
        party.keyid: LayoutKey(keyid=party.keyid, keyval=LayoutPublic(public=party.key.raw.hex()))
        for party in builders
        if isinstance(party.key, Ed25519Public)
    }


def _input_names(recipe: Recipe, profile: str) -> tuple[str, ...]:
    builders = sorted({target.builder for target in recipe.target})
    return (
        "relsign.toml",
        f"profiles/{profile}.json",
        *(f"builders/{name}/builder.lock" for name in builders),
        *(f"builders/{name}/rootfs.tar" for name in builders),
        *(f"sources/{source.name}" for source in recipe.source),
    )


def _output_rules(recipe: Recipe) -> tuple[tuple[str, ...], ...]:
    fingerprints = tuple(sorted(f"{target.name}.fingerprint.json" for target in recipe.target))
    if len(recipe.artifact_names) <= MAX_SINGLE_RULES:
        return _require(fingerprints + recipe.artifact_names)
    required = tuple(("REQUIRE", name) for name in fingerprints)
    return (*required, ("CREATE", "*"), DISALLOW_REST)


def _require(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return rules that demand each name and allow no other.

    Only REQUIRE demands presence in in-toto.
    """
    return (
        *(("REQUIRE", name) for name in sorted(names)),
        *(("CREATE", name) for name in sorted(names)),
        DISALLOW_REST,
    )

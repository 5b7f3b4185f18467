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
from relsign.formats.link import StepName
from relsign.formats.names import Digest, KeyId
from relsign.formats.policy import Policy
from relsign.formats.recipe import Recipe

MAX_SINGLE_RULES = 500
"""Above this many artifacts stock verifiers crawl, so the fingerprints stand for them."""

SOURCE_COMMAND = ("relsign", "fetch")
BUILD_COMMAND = ("relsign", "build")
CHECK_COMMAND = BUILD_COMMAND
"""What people type: the checks are run by whoever has just built."""
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
    project = recipe.project
    binding = LayoutBinding(project.name, project.version, recipe_sha256)
    return Layout(
        readme=binding.readme(),
        expires=expires,
        keys=keys,
        steps=_steps(recipe, profile, tuple(keys), policy.thresholds.builders),
        inspect=(release_inspection(binding),),
    )


def _steps(
    recipe: Recipe, profile: str, pubkeys: tuple[KeyId, ...], threshold: int
) -> tuple[Step, ...]:
    source = Step(
        name="source",
        expected_materials=(DISALLOW_REST,),
        expected_products=_require(_input_names(recipe, profile)),
        pubkeys=pubkeys,
        expected_command=SOURCE_COMMAND,
        threshold=threshold,
    )
    build = Step(
        name="build",
        expected_materials=(_all_of("*", "source"), DISALLOW_REST),
        expected_products=_output_rules(recipe),
        pubkeys=pubkeys,
        expected_command=BUILD_COMMAND,
        threshold=threshold,
    )
    if not recipe.check:
        return source, build
    check = Step(
        name="check",
        expected_materials=_looked_at_rules(recipe),
        expected_products=(DISALLOW_REST,),
        pubkeys=pubkeys,
        expected_command=CHECK_COMMAND,
        threshold=threshold,
    )
    return source, build, check


def _all_of(pattern: str, step: StepName) -> tuple[str, ...]:
    """Return the rule that takes what is a product of a step, with the same digest."""
    return ("MATCH", pattern, "WITH", "PRODUCTS", "FROM", step)


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
    return (
        "relsign.toml",
        f"profiles/{profile}.json",
        *_environment_names(recipe.builders),
        *(f"sources/{source.name}" for source in recipe.source),
    )


def _environment_names(builders: tuple[str, ...]) -> tuple[str, ...]:
    return (
        *(f"builders/{name}/builder.lock" for name in builders),
        *(f"builders/{name}/rootfs.tar" for name in builders),
    )


def _output_rules(recipe: Recipe) -> tuple[tuple[str, ...], ...]:
    names = _output_names(recipe)
    if len(recipe.artifact_names) <= MAX_SINGLE_RULES:
        return _require(names)
    return (*(("REQUIRE", name) for name in names), ("CREATE", "*"), DISALLOW_REST)


def _output_names(recipe: Recipe) -> tuple[str, ...]:
    """Return the products that rules name one by one, sorted."""
    fingerprints = tuple(f"{target.name}.fingerprint.json" for target in recipe.target)
    single = len(recipe.artifact_names) <= MAX_SINGLE_RULES
    return tuple(sorted(fingerprints + (recipe.artifact_names if single else ())))


def _looked_at_rules(recipe: Recipe) -> tuple[tuple[str, ...], ...]:
    """Return what checks must have looked at, and in: the build, and their own environments.

    The fingerprints among the products bind the recipe, and so the checks' words.
    """
    environments = sorted({check.builder for check in recipe.check})
    names = (*_output_names(recipe), *_environment_names(tuple(environments)))
    return (
        *(("REQUIRE", name) for name in names),
        _all_of("*", "build"),
        _all_of("builders/*", "source"),
        DISALLOW_REST,
    )


def _require(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return rules that demand each name and allow no other.

    Only REQUIRE demands presence in in-toto.
    """
    return (
        *(("REQUIRE", name) for name in sorted(names)),
        *(("CREATE", name) for name in sorted(names)),
        DISALLOW_REST,
    )

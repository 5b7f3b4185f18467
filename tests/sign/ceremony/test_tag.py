"""The git tag of a release: of which commit, under which name, or why there is none."""

from __future__ import annotations

import msgspec
import pytest

from relsign.crypto.git_tag import parse_payload
from relsign.formats.recipe import parse_recipe
from relsign.sign.ceremony.tag import release_tag
from tests.sign.ceremony.signers import NOW, deal_group
from tests.verify.releases import RECIPE, Release

GROUP, _SHARES = deal_group(("alice", "bob"), 2)
STATEMENT = Release(released_at=NOW).statement()
HEAD, _, REST = RECIPE.partition("[[source]]")
TARGET = REST[REST.index("[[target]]") :]
ARCHIVE = "[[source]]" + REST[: REST.index("[[target]]")]
COMMIT = "c" * 40
TAG = f'\n[source.tag]\ntag = "demo-1.0"\nkey = "keys/up.asc"\nfingerprint = "{"A" * 40}"\n'


def git(name: str = "demo", commit: str = COMMIT, more: str = "") -> str:
    digest = "2" * 64
    return (
        f'[[source]]\nkind = "git"\nname = "{name}"\nurl = "https://example.invalid/{name}"\n'
        f'commit = "{commit}"\nsha256 = "{digest}"\n{more}'
    )


def tag_of(sources: str, *, version: str = "1.0", user_id: str | None = None) -> tuple[str, str]:
    """Return the name of the tag and the commit, or nothing and why not."""
    recipe = parse_recipe((HEAD.replace("1.0", version) + sources + TARGET).encode())
    predicate = msgspec.structs.replace(STATEMENT.predicate, version=version)
    statement = msgspec.structs.replace(STATEMENT, predicate=predicate)
    group = GROUP if user_id is None else msgspec.structs.replace(GROUP, user_id=user_id)
    tag = release_tag(group, b"certificate", recipe, statement)
    if not tag.payload:
        return "", tag.why_not
    said = parse_payload(tag.payload, "tag")
    assert (said.name, said.tagger, said.at) == (tag.name, group.user_id, NOW)
    assert said.message.startswith(f"demo {version}\n\nstatement sha256 ")
    return said.name, said.commit


@pytest.mark.parametrize(
    ("sources", "wanted"),
    [
        (git(), ("v1.0", COMMIT)),
        (git("other"), ("v1.0", COMMIT)),
        (git(commit="d" * 64), ("v1.0", "d" * 64)),
        (git(more=TAG), ("demo-1.0", COMMIT)),
        (git() + ARCHIVE.replace('name = "demo"', 'name = "data"'), ("v1.0", COMMIT)),
    ],
)
def test_the_tag_of_a_release(sources: str, wanted: tuple[str, str]) -> None:
    assert tag_of(sources) == wanted


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (ARCHIVE, ""),
        (git() + git("other"), "more than one git source"),
        (git("library") + ARCHIVE, "the git source library is one of several"),
    ],
)
def test_a_recipe_that_does_not_say_of_which_commit_it_is(sources: str, words: str) -> None:
    name, why_not = tag_of(sources)
    assert not name
    assert words in why_not
    assert bool(why_not) == bool(words)


def test_what_git_would_not_take_stops_no_release() -> None:
    assert tag_of(git(), version="1.0~rc1") == ("v1.0_rc1", COMMIT)
    assert "not a tag name" in tag_of(git(), version="1..0")[1]
    assert tag_of(git(more=TAG), version="1..0") == ("demo-1.0", COMMIT)
    assert "not a tagger" in tag_of(git(), user_id="Demo releases")[1]


def test_without_a_certificate_nobody_could_sign_it() -> None:
    recipe = parse_recipe((HEAD + git() + TARGET).encode())
    assert "no OpenPGP certificate" in release_tag(GROUP, None, recipe, STATEMENT).why_not

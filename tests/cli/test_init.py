"""`relsign init`: every start is a recipe, and a commit is named as whoever builds will get it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from relsign.build.inputs.git_source import fetch_commit
from relsign.build.store import Store
from relsign.cli.init import LANGUAGES
from relsign.cli.main import execute
from relsign.formats.lock import parse_builder
from relsign.formats.recipe import Git, Recipe, parse_recipe
from tests.examples.hello import git, make_checkout

Capture = pytest.CaptureFixture[str]


def init(project: Path, *words: str) -> int:
    return execute(["init", "hello", "1.0", "--project", str(project), *words])


def recipe_in(project: Path) -> Recipe:
    return parse_recipe((project / "relsign.toml").read_bytes())


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    return make_checkout(folder, "rust")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_recipe_and_its_environment(
    tmp_path: Path, capsys: Capture, language: str
) -> None:
    assert init(tmp_path, "--language", language) == 0
    (builder,) = recipe_in(tmp_path).builders
    definition = (tmp_path / "builders" / builder / "builder.toml").read_bytes()
    assert parse_builder(definition).name == builder
    assert f"relsign lock {builder}" in capsys.readouterr().err
    assert not re.search(r"@[A-Z0-9]+@", (tmp_path / "relsign.toml").read_text())


def test_a_commit_is_named_as_whoever_builds_gets_it(tmp_path: Path, checkout: Path) -> None:
    git(checkout, "tag", "v1.0")
    (checkout / "later").write_text("later")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "later")
    # What this clone alone is set to has no say.
    (checkout / ".git" / "info" / "attributes").write_text("Cargo.toml export-ignore\n")
    git(checkout, "config", "tar.umask", "0077")
    assert init(tmp_path / "p", "--git", str(checkout), "--commit", "v1.0") == 0
    recipe = recipe_in(tmp_path / "p")
    (source,) = recipe.source
    assert isinstance(source, Git)
    assert source.commit == git(checkout, "rev-parse", "v1.0").strip()
    assert source.url == checkout.as_uri()
    assert recipe.target[0].source_date_epoch == 1_700_000_000
    assert fetch_commit(source, Store(tmp_path / "store"), b"", "source") is None


def test_without_a_name_it_is_what_is_checked_out(tmp_path: Path, checkout: Path) -> None:
    assert init(tmp_path / "p", "--git", str(checkout)) == 0
    (source,) = recipe_in(tmp_path / "p").source
    assert isinstance(source, Git)
    assert source.commit == git(checkout, "rev-parse", "HEAD").strip()


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        ("https://example.org/hello.git", "https://example.org/hello.git"),
        ("git@example.org:people/hello.git", "ssh://git@example.org/people/hello.git"),
        ("ssh://git@example.org:22/hello.git", "ssh://git@example.org:22/hello.git"),
        ("https://alice:secret@example.org/hello.git", None),
        ("https://token@example.org/hello.git", None),
        ("ssh://alice:secret@example.org/hello.git", None),
        ("http://example.org/hello.git", None),
        ("../hello.git", None),
        (os.fsdecode(b"https://example.org/\xff.git"), None),
        ('https://example.org/"\n[[check]]', None),
    ],
)
def test_its_address_is_the_origin_where_others_reach_it_and_no_secret(
    tmp_path: Path, checkout: Path, origin: str, url: str | None
) -> None:
    git(checkout, "config", "remote.origin.url", origin)
    assert init(tmp_path / "p", "--git", str(checkout)) == 0
    (source,) = recipe_in(tmp_path / "p").source
    assert isinstance(source, Git)
    assert source.url == (url or checkout.as_uri())
    assert "secret" not in (tmp_path / "p" / "relsign.toml").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--git", "{}", "--commit", "nowhere"), "no such commit in this checkout"),
        (("--git", "{}", "--commit", "--output=x"), "no such commit in this checkout"),
        (("--git", "/"), "no such commit in this checkout"),
        (("--commit", "v1.0"), "a commit of which sources?"),
        (("--language", "cobol"), "is not one of"),
    ],
)
def test_what_cannot_be_named_leaves_nothing(
    tmp_path: Path, checkout: Path, capsys: Capture, words: tuple[str, ...], said: str
) -> None:
    project = tmp_path / "p"
    assert init(project, *(word.format(checkout) for word in words)) == 2
    assert said in capsys.readouterr().err
    assert not project.exists()

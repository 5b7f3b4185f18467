"""`relsign init`: the files a project needs, ready to be edited."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import EXISTING, project_option, show_path
from relsign.cli.talk import talk
from relsign.errors import InputError
from relsign.formats.recipe import parse_recipe
from relsign.system.files import write_whole
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.build.inputs.git_source import NamedCommit

LANGUAGES = ("c", "cmake", "go", "java", "node", "python", "rust")
"""Each has its target and its builder in the folder `starts`."""

PROJECT = """\
# What to build, from which sources, in which environment.
# Reference: docs/reference/recipe.md

[project]
name = "@NAME@"
version = "@VERSION@"
profile = "@PROFILE@"          # the sandbox; named, it stays the same in newer versions

"""

ARCHIVE = """\
[[source]]
kind = "archive"                # or debian-source, pypi-sdist, git
name = "@NAME@"
url = "https://example.invalid/@NAME@-@VERSION@.tar.gz"
file = "@NAME@-@VERSION@.tar.gz"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

"""

GIT = """\
[[source]]
kind = "git"
name = "@NAME@"
url = @URL@
commit = "@COMMIT@"
sha256 = "@SHA256@"

"""

POLICY = """\
# How many must agree before a release counts.  The owners review this file.
# Reference: docs/reference/policy.md

dissent = "refuse"              # one builder's other bytes stop publication; or "record"
layout_days = 365
root_days = 730

[thresholds]
owners = 2
signers = 2
builders = 2
organisations = 2
"""


@click.command(short_help="Write the files a project needs.")
@click.argument("name")
@click.argument("version")
@click.option("--language", type=click.Choice(LANGUAGES), default="c", show_default=True,
              help="How it is built: commands and environment to begin with.")  # fmt: skip
@click.option("--git", "checkout", type=EXISTING, metavar="CHECKOUT",
              help="Your clone of its sources: fills in a commit's id, digest, time.")  # fmt: skip
@click.option("--commit", metavar="NAME", help="Tag, branch or commit in it.  [default: HEAD]")
@project_option
def init(
    name: str, version: str, language: str, checkout: Path | None, commit: str | None,
    workspace: Workspace,
) -> None:  # fmt: skip
    """Write relsign.toml, policies/release.toml and a builder for project NAME VERSION.

    Files that are there already are never changed. docs/how-to has the way from here to
    a project that anybody can build again.

    \b
    Examples
      relsign init hello 1.0 --language rust --git ~/src/hello --commit v1.0
      relsign init gzip 1.12
    """
    if commit is not None and checkout is None:
        raise InputError("a commit of which sources?", hint="name your clone: --git CHECKOUT")
    words = {"NAME": name, "VERSION": version, "MODULE": name.lower().replace("-", "_")}
    _require_names(name, version, _recipe(language, None, words))
    found = None if checkout is None else _named_commit(checkout, commit or "HEAD")
    recipe = _recipe(language, found, words)
    builder = f"debian-{language}"
    for path, text in (
        (workspace.recipe_file, recipe),
        (workspace.policy_file, POLICY),
        (workspace.builder_folder(builder) / "builder.toml", _start(f"{language}.builder.toml")),
    ):
        if path.exists():
            talk(f"kept   {show_path(path)}")
        else:
            write_whole(path, text.encode())
            talk(f"wrote  {show_path(path)}")
    talk(f"Next: edit relsign.toml, then `relsign lock {builder}` and `relsign build`")


def _named_commit(checkout: Path, commit: str) -> NamedCommit:
    from relsign.build.inputs.git_source import name_commit

    return name_commit(checkout, commit)


def _recipe(language: str, found: NamedCommit | None, words: dict[str, str]) -> str:
    """Return the recipe with every word between two @ put in."""
    from relsign.build.profile import DEFAULT_PROFILE

    text = PROJECT + (GIT if found else ARCHIVE) + _start(f"{language}.target.toml")
    words = {
        **words,
        "PROFILE": DEFAULT_PROFILE,
        "EPOCH": "0" if found is None else str(found.epoch),
    }
    if found is not None:
        # What stands in double quotes in TOML is written as in JSON.
        url = json.dumps(found.url)
        words |= {"URL": url, "COMMIT": found.commit, "SHA256": found.sha256}
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _require_names(name: str, version: str, recipe: str) -> None:
    try:
        parse_recipe(recipe.encode())
    except InputError as error:
        raise InputError(
            "not an acceptable name or version",
            got=f"{name!a} {version!a}"[:100],
            hint="letters, digits, dot, dash, plus; no space and no slash",
        ) from error


def _start(file: str) -> str:
    return (files("relsign.cli") / "starts" / file).read_text(encoding="utf-8")

"""`relsign init`: the files a project needs, ready to be edited."""

from __future__ import annotations

import click

from relsign.cli.options import project_option, show_path
from relsign.cli.talk import talk
from relsign.errors import InputError
from relsign.formats.recipe import parse_recipe
from relsign.system.files import write_whole
from relsign.system.workspace import Workspace

RECIPE = """\
# What to build, from which sources, in which environment.
# Reference: docs/reference/recipe.md

[project]
name = "{name}"
version = "{version}"

[[source]]
kind = "archive"                # or debian-source, pypi-sdist, git
name = "{name}"
url = "https://example.invalid/{name}-{version}.tar.gz"
file = "{name}-{version}.tar.gz"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[target]]
name = "linux-amd64"
builder = "debian-c"            # builders/debian-c/builder.toml
source_date_epoch = 0           # seconds since 1970, or "unset"
commands = [
    "./configure --prefix=/usr",
    "make",
    "make install DESTDIR=$PWD/stage",
]
pack = [{{ directory = "stage", name = "{name}-{version}-linux-amd64.tar.gz" }}]
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

BUILDER = """\
# The environment: `relsign lock debian-c` resolves it into builder.lock.

name = "debian-c"
suite = "bookworm"
packages = ["gcc", "libc6-dev", "make"]
"""


@click.command(short_help="Write the files a project needs.")
@click.argument("name")
@click.argument("version")
@project_option
def init(name: str, version: str, workspace: Workspace) -> None:
    """Write relsign.toml, policies/release.toml and a builder for project NAME VERSION.

    Files that are there already are never changed.
    """
    recipe = RECIPE.format(name=name, version=version).encode()
    try:
        parse_recipe(recipe)
    except InputError as error:
        raise InputError(
            "not an acceptable name or version",
            got=f"{name!a} {version!a}"[:100],
            hint="letters, digits, dot, dash, plus; no space and no slash",
        ) from error
    builder = workspace.builder_folder("debian-c") / "builder.toml"
    for path, data in (
        (workspace.recipe_file, recipe),
        (workspace.policy_file, POLICY.encode()),
        (builder, BUILDER.encode()),
    ):
        if path.exists():
            talk(f"kept   {show_path(path)}")
        else:
            write_whole(path, data)
            talk(f"wrote  {show_path(path)}")
    talk("Next: edit relsign.toml, make keys with `relsign key new`, then `relsign lock debian-c`")

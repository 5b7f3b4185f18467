"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from relsign.errors import InputError

if TYPE_CHECKING:
    from relsign.system.workspace import Workspace

F = TypeVar("F", bound=Callable[..., object])

PATH = click.Path(path_type=Path)
EXISTING = click.Path(path_type=Path, exists=True)


def project_option(function: F) -> F:
    """Add ``--project FOLDER``, a `Workspace`; the current folder by default."""
    option = click.option(
        "--project",
        "workspace",
        type=PATH,
        default=Path(),
        callback=lambda _ctx, _param, value: _workspace(value),
        metavar="FOLDER",
        help="Project folder, with relsign.toml in it.  [default: current folder]",
    )
    return option(function)


def keys_option(function: F) -> F:
    """Add ``--keys FOLDER``, the private key store."""
    option = click.option(
        "--keys",
        "keys",
        type=PATH,
        default=None,
        callback=lambda _ctx, _param, value: value or _data_folder() / "keys",
        metavar="FOLDER",
        help="Private keys.  [default: keys/ in your user data folder]",
    )
    return option(function)


def store_option(function: F) -> F:
    """Add ``--store FOLDER``, the cache of fetched inputs."""
    option = click.option(
        "--store",
        "store",
        type=PATH,
        default=None,
        callback=lambda _ctx, _param, value: value or _cache_folder() / "store",
        metavar="FOLDER",
        help="Fetched inputs, by digest.  [default: store/ in your user cache folder]",
    )
    return option(function)


def passphrase_option(function: F) -> F:
    """Add ``--passphrase-fd N``."""
    option = click.option(
        "--passphrase-fd",
        "descriptor",
        type=click.IntRange(0, 2**31 - 1),
        metavar="N",
        help="Read the passphrase from file descriptor N instead of asking.",
    )
    return option(function)


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(function)


def registry_option(function: F) -> F:
    """Add ``--registry URL``; None leaves it to the variable."""
    return click.option(
        "--registry", metavar="URL", help="Image registry.  [default: RELSIGN_REGISTRY]"
    )(function)


def exchange_option(function: F) -> F:
    """Add ``--exchange PLACE``."""
    option = click.option(
        "--exchange",
        "exchange",
        metavar="PLACE",
        help="Where messages travel: a folder, or a relay's address.  [default: in the project]",
    )
    return option(function)


def again_option(function: F) -> F:
    """Add ``--again``."""
    return click.option(
        "--again", is_flag=True, help="Begin a new attempt: somebody of this one is gone."
    )(function)


def profile_option(function: F) -> F:
    """Add ``--profile NAME``."""
    option = click.option(
        "--profile",
        metavar="NAME",
        help="Sandbox profile.  [default: the recipe's, else the newest]",
    )
    return option(function)


def as_option(function: F) -> F:
    """Add the required ``--as NAME``."""
    option = click.option(
        "--as", "name", required=True, metavar="NAME", help="Your key's name in the roster."
    )
    return option(function)


def _workspace(folder: Path) -> Workspace:
    from relsign.system.workspace import Workspace

    try:
        return Workspace(folder.absolute())
    except FileNotFoundError as error:
        raise InputError(
            "the current folder is gone", hint="change into one that exists"
        ) from error


def _data_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("relsign", appauthor=False)


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("relsign", appauthor=False)


def show_path(path: Path) -> str:
    """Return a path relative to the current folder where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except FileNotFoundError:
        # The current folder is gone; the path as given still says where.
        return os.fspath(path)
    return relative if len(relative) < len(os.fspath(path)) else os.fspath(path)

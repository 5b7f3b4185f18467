"""Where a person's own files lie: the trust store, and their own policy.

In the user's data and configuration folders, or where an option says; never in the
current folder, which may be a download.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from relsign.cli.options import PATH

F = TypeVar("F", bound=Callable[..., object])


def trust_option(function: F) -> F:
    """Add ``--trust FOLDER``, the trust store."""
    option = click.option(
        "--trust",
        "trust",
        type=PATH,
        default=None,
        callback=lambda _ctx, _param, value: value or trust_folder(),
        metavar="FOLDER",
        help="Pinned roots.  [default: trust/ in your user data folder]",
    )
    return option(function)


def own_policy_option(function: F) -> F:
    """Add ``--policy FILE``, a person's own policy; None stands for the default one."""
    option = click.option(
        "--policy",
        "own_policy",
        type=PATH,
        default=None,
        metavar="FILE",
        help="Your own demands.  [default: policy.toml in your user configuration folder]",
    )
    return option(function)


def trust_folder() -> Path:
    """Return the default trust store: an absolute path, whatever the variables say."""
    from platformdirs import user_data_path

    return user_data_path("relsign", appauthor=False) / "trust"


def own_policy_file() -> Path:
    """Return the default policy: an absolute path, whatever the variables say."""
    from platformdirs import user_config_path

    return user_config_path("relsign", appauthor=False) / "policy.toml"

"""Where a person's own files lie: the trust store, and their own policy.

In the user's data and configuration folders, or where an option says; never in the
current folder, which may be a download.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from relsign.cli.options import PATH
from relsign.cli.places import trust_folder

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

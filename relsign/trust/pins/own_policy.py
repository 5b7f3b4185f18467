"""Where a person's own policy is read, and what it demands of one project's releases.

Whoever can write the file can drop the person's own demands, and no more: those of
the project's root stay.  It lies in the user's configuration folder or where the
caller says; the current folder is never looked at.
"""

from __future__ import annotations

import os
from functools import reduce
from pathlib import Path

from relsign.errors import InputError, NotEnoughError
from relsign.formats.own_policy import (
    MAX_OWN_POLICY_BYTES,
    OwnPolicy,
    Wishes,
    parse_own_policy,
    wishes_for,
)
from relsign.system.files import read_bounded
from relsign.verify.demands import Demands, Level


def read_own_policy(named: Path | None, default: Path) -> OwnPolicy:
    """Return the policy in the file that was named, else in the default one.

    Raises InputError if the named file is not there, or either is not acceptable; an
    absent default file asks for nothing.
    """
    path = named or default
    try:
        return parse_own_policy(read_bounded(path, MAX_OWN_POLICY_BYTES), os.fspath(path))
    except NotEnoughError as error:
        if named is None:
            return OwnPolicy()
        raise InputError(
            "no such policy", where=os.fspath(path), hint="name your own policy.toml"
        ) from error


def demands_for(policy: OwnPolicy, project: str) -> Demands:
    """Return what a person demands of one project: the strictest of all that holds for it."""
    return reduce(Demands.stricter, map(_demands, wishes_for(policy, project)), Demands())


def _demands(wishes: Wishes) -> Demands:
    return Demands(
        level=Level.PARANOID if wishes.level == "paranoid" else Level.STANDARD,
        signers=wishes.signers or 0,
        builders=wishes.builders or 0,
        organisations=wishes.organisations or 0,
        refuse_dissent=wishes.dissent == "refuse",
        freshness_days=wishes.freshness_days,
        log=wishes.log or False,
    )

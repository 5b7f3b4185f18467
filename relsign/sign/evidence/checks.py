"""The checks a signer reviewed: the ones its own recipe has, in its own environments.

The fingerprints bind the recipe, and so what the checks are.  Which environments they run
in, only the builders' `check` links say; and whether they had to run at all, only the
layout.  Both are compared with this machine's own documents before anything is signed.
"""

from __future__ import annotations

from relsign.crypto.digest import sha256_hex
from relsign.errors import VerificationError
from relsign.formats.fingerprint import EnvironmentDigest
from relsign.formats.layout import Layout
from relsign.formats.recipe import Recipe
from relsign.sign.evidence.materials import HINT
from relsign.system.workspace import Workspace
from relsign.verify.fingerprint import environments_of


def check_environments(workspace: Workspace, recipe: Recipe) -> tuple[EnvironmentDigest, ...]:
    """Return the environments of a recipe's checks as this workspace has them, by name.

    Raises InputError for one that has no lock.
    """
    return tuple(
        EnvironmentDigest(
            builder=name,
            lock_sha256=sha256_hex(workspace.lock_bytes(name)),
            rootfs_sha256=workspace.lock(name).rootfs.sha256,
        )
        for name in sorted({check.builder for check in recipe.check})
    )


def require_own_checks(workspace: Workspace, layout: Layout, checked_in: dict[str, str]) -> None:
    """Refuse a release that was checked otherwise than this workspace's recipe says.

    (1) the layout has checks if the recipe has, and only then; (2) they ran in the
    environments this workspace has, named by path in `checked_in`.  Raises
    VerificationError.
    """
    recipe = workspace.recipe()
    if layout.has_checks != bool(recipe.check):  # (1)
        raise VerificationError(
            "the owners' layout and your recipe differ on whether there are checks",
            where="release.layout: steps",
            expected="source, build, check" if recipe.check else "source, build",
            got=", ".join(step.name for step in layout.steps),
            hint="run `relsign policy compile`, and ask the owners to sign what it makes",
        )
    wanted = environments_of(check_environments(workspace, recipe))
    for path in sorted(wanted.keys() | checked_in.keys()):  # (2)
        if wanted.get(path) != checked_in.get(path):
            raise VerificationError(
                "the checks ran in another environment than yours",
                where=path,
                expected=wanted.get(path, "none"),
                got=checked_in.get(path, "none"),
                hint=HINT,
            )

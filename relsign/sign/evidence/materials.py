"""What a signer reviewed: recipe, sources, locks and profile on its own disk.

Builders agree among themselves on what they built from.  Only this comparison binds
that to what the signers have read.
"""

from __future__ import annotations

from relsign.crypto.digest import sha256_hex
from relsign.errors import VerificationError
from relsign.formats.fingerprint import Fingerprint, ProfileDigest
from relsign.formats.lock import parse_lock
from relsign.formats.names import Digest
from relsign.formats.recipe import Recipe, Target, parse_recipe
from relsign.system.workspace import Workspace

HINT = "compare your copy of the project with the builders'; do not sign what you have not reviewed"


def require_own_materials(
    workspace: Workspace,
    profile: ProfileDigest,
    approved_recipe: Digest,
    fingerprints: tuple[Fingerprint, ...],
) -> None:
    """Refuse fingerprints of other inputs than the ones in this workspace.

    (1) the owners approved this recipe; (2) every target of it was built, and no
    other; (3) each from this recipe, these sources, this lock and environment, in
    this profile, at this time.  Raises VerificationError naming what differs.
    """
    data = workspace.recipe_bytes()
    recipe = parse_recipe(data)
    mine = sha256_hex(data)
    if approved_recipe != mine:  # (1)
        raise VerificationError(
            "the owners approved another recipe than yours",
            where="relsign.toml",
            expected=mine,
            got=approved_recipe,
            hint=HINT,
        )
    targets = {target.name: target for target in recipe.target}
    built = [fingerprint.target for fingerprint in fingerprints]
    if sorted(built) != sorted(targets):  # (2)
        raise VerificationError(
            "builders built other targets than your recipe has",
            where="relsign.toml",
            expected=", ".join(sorted(targets)),
            got=", ".join(sorted(built)),
            hint=HINT,
        )
    for fingerprint in fingerprints:  # (3)
        target = targets[fingerprint.target]
        _require_equal(
            fingerprint,
            {**_inputs(workspace, recipe, target, profile), "relsign.toml": mine},
        )
        _require_time(fingerprint, target)


def _inputs(
    workspace: Workspace, recipe: Recipe, target: Target, profile: ProfileDigest
) -> dict[str, str]:
    """Return path -> SHA-256 as `Fingerprint.materials` names them, but for the recipe."""
    environment = f"builders/{target.builder}"
    data = workspace.lock_bytes(target.builder)
    lock = parse_lock(data, f"{environment}/builder.lock")
    return {
        f"profiles/{profile.name}.json": profile.sha256,
        f"{environment}/builder.lock": sha256_hex(data),
        f"{environment}/rootfs.tar": lock.rootfs.sha256,
        **{f"sources/{source.name}": source.sha256 for source in recipe.source},
    }


def _require_equal(fingerprint: Fingerprint, wanted: dict[str, str]) -> None:
    built = fingerprint.materials()
    for path in sorted(wanted.keys() | built.keys()):
        if wanted.get(path) != built.get(path):
            raise VerificationError(
                f"{fingerprint.target} was built from another input than yours",
                where=path,
                expected=wanted.get(path, "none"),
                got=built.get(path, "none"),
                hint=HINT,
            )


def _require_time(fingerprint: Fingerprint, target: Target) -> None:
    epoch = "unset" if fingerprint.source_date_epoch is None else fingerprint.source_date_epoch
    if epoch != target.source_date_epoch:
        raise VerificationError(
            f"{fingerprint.target} was built at another time than your recipe says",
            where="source_date_epoch",
            expected=str(target.source_date_epoch),
            got=str(epoch),
            hint=HINT,
        )

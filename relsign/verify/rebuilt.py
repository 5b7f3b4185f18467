"""Step 6, the part of a person who built it as well: their own fingerprints."""

from __future__ import annotations

from collections.abc import Mapping

from relsign.crypto.digest import sha256_hex
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.fingerprint import Fingerprint


def require_rebuilt(
    rebuilt: Mapping[str, bytes],
    fingerprints: tuple[Fingerprint, ...],
    artifacts: tuple[str, ...],
    *,
    required: bool,
) -> str:
    """Compare an own rebuild, target -> fingerprint bytes, with the release's fingerprints.

    Where `required`, every target that made one of `artifacts` must have been rebuilt.
    Returns words for the row.  Raises VerificationError for other bytes, NotEnoughError
    for a rebuild that is missing.
    """
    names = {fingerprint.target: fingerprint for fingerprint in fingerprints}
    for target in sorted(set(rebuilt) - set(names)):
        raise VerificationError("this release has no such target", got=target)
    for target, fingerprint in names.items():
        if target in rebuilt and rebuilt[target] != fingerprint.to_bytes():
            raise VerificationError(
                f"your own rebuild of {target} has another fingerprint",
                expected=sha256_hex(fingerprint.to_bytes()),
                got=sha256_hex(rebuilt[target]),
                hint="compare the two fingerprints: they name the input or file that differs",
            )
        made = {artifact.name for artifact in fingerprint.artifacts}
        if required and target not in rebuilt and made & set(artifacts):
            raise NotEnoughError(
                f"no own rebuild of {target}",
                hint="build it with `relsign build`, then name its folder with --rebuilt",
            )
    return f"; your rebuild of {', '.join(sorted(rebuilt))} is the same" if rebuilt else ""

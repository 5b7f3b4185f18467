"""Step 6, the fingerprint: binds sources, environment, recipe, profile, artifacts."""

from __future__ import annotations

from collections.abc import Iterable

from relsign.crypto.digest import sha256_hex
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.fingerprint import EnvironmentDigest, Fingerprint, parse_fingerprint
from relsign.formats.names import Digest
from relsign.verify.agreement import Agreement
from relsign.verify.release import Evidence


def verify_fingerprints(
    evidence: Evidence, build: Agreement, recipe_sha256: Digest
) -> tuple[Fingerprint, ...]:
    """Return the release's fingerprints.

    (1) each file has the id the signers named; (2) it is of this release and
    target, and of the recipe the owners approved; (3) the builders' products are
    exactly the fingerprints and their artifacts, which are exactly the statement's
    subjects; (4) the builders' materials are exactly what the fingerprints bind.  What
    checks ran in is no material of the build: the `check` links name it.
    Raises VerificationError, or NotEnoughError when a fingerprint is absent.
    """
    predicate = evidence.statement.predicate
    products: dict[str, str] = {}
    fingerprints: list[Fingerprint] = []
    for named in predicate.fingerprints:
        file = f"{named.target}.fingerprint.json"
        if file not in evidence.files:
            raise NotEnoughError("the bundle lacks a fingerprint", where=file)
        if sha256_hex(evidence.files[file]) != named.sha256:  # (1)
            raise VerificationError("not the fingerprint the signers named", where=file)
        fingerprint = parse_fingerprint(evidence.files[file], file)
        bound = (fingerprint.project, fingerprint.version, fingerprint.target)
        if bound != (predicate.project, predicate.version, named.target):  # (2)
            raise VerificationError("fingerprint of another build", where=file, got=" ".join(bound))
        if fingerprint.recipe_sha256 != recipe_sha256:
            raise VerificationError(
                "built from another recipe than the owners approved",
                where=file,
                expected=recipe_sha256,
                got=fingerprint.recipe_sha256,
            )
        fingerprints.append(fingerprint)
        products[file] = named.sha256
    artifacts = products_of(tuple(fingerprints))
    if artifacts != evidence.statement.digests() or products | artifacts != build.says.products:
        raise VerificationError(  # (3)
            "fingerprint, builders' products and statement name different files",
            hint="artifacts of two builds were mixed",
        )
    bound_inputs = materials_of(tuple(fingerprints))
    if bound_inputs != build.says.materials:  # (4)
        differing = set(bound_inputs.items()) ^ set(build.says.materials.items())
        raise VerificationError(
            "the builders' materials are not what the fingerprints bind",
            got=", ".join(sorted({path for path, _ in differing})[:3]),
        )
    return tuple(fingerprints)


def materials_of(fingerprints: tuple[Fingerprint, ...]) -> dict[str, str]:
    """Return path -> SHA-256 of every input of all targets.

    Raises VerificationError when two fingerprints give one input two digests.
    """
    return merged("inputs", (fingerprint.materials() for fingerprint in fingerprints))


def products_of(fingerprints: tuple[Fingerprint, ...]) -> dict[str, str]:
    """Return name -> SHA-256 of every artifact of all targets.

    Raises VerificationError when two fingerprints give one name two digests.
    """
    return merged("artifacts", (fingerprint.products() for fingerprint in fingerprints))


def environments_of(checked: Iterable[EnvironmentDigest]) -> dict[str, str]:
    """Return path -> SHA-256 of the lock and root file system of environments.

    Raises VerificationError when one environment has two digests.
    """
    return merged("inputs", (environment.materials() for environment in checked))


def merged(kind: str, parts: Iterable[dict[str, str]]) -> dict[str, str]:
    """Return all parts as one.

    Raises VerificationError when two parts give one path two digests.
    """
    each = iter(parts)
    whole = dict(next(each, {}))
    for part in each:
        for path, digest in part.items():
            if whole.setdefault(path, digest) != digest:
                raise VerificationError(f"two builds name different {kind}", got=path)
    return whole

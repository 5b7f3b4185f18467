"""A builder's folder as somebody else brought it: what of it may be taken over.

Only files that the builder's own links and signature vouch for are.  Nothing else is
read, so that a folder full of junk costs no more than a directory listing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import MAX_BUNDLE_BYTES
from relsign.formats.commitment import MAX_COMMITMENT_BYTES, commitment_file_name
from relsign.formats.fingerprint import MAX_FINGERPRINT_BYTES, BuiltArtifact, parse_fingerprint
from relsign.formats.link import STEP_NAMES, ReleaseBinding, link_file_name
from relsign.formats.provenance import provenance_file_name
from relsign.formats.recipe import sbom_file
from relsign.sign.places import is_real_folder
from relsign.system.files import READ_BYTES, host_error, new_file, open_regular, read_bounded
from relsign.verify.agreement import Report, read_report
from relsign.verify.checks import require_checked
from relsign.verify.commitments import read_commitment
from relsign.verify.provenance import check_provenance

ARTIFACTS = "artifacts"
_BESIDE = frozenset({ARTIFACTS, "logs"})
"""What a builder leaves in its folder besides evidence; logs do not travel."""
_FINGERPRINT = ".fingerprint.json"


@dataclass(frozen=True, slots=True)
class ReceivedBuild:
    """The part of a builder's folder that its links vouch for."""

    files: dict[str, bytes]
    """Links, the provenance and fingerprints that agree with them, and a commitment.

    A link of checks is one of them where there is one: whether there must be, the layout says.
    """
    artifacts: tuple[BuiltArtifact, ...]
    """Products that a fingerprint gives a size to."""
    left: tuple[str, ...]
    """A line for each file that is not taken."""


def read_received(
    build: Path, builder: Party, binding: ReleaseBinding, now: datetime
) -> ReceivedBuild:
    """Return what of the folder `build`, named after `builder`, may be taken over.

    The links of sources and build must be there, and every link must stand; they decide about
    the rest, and checks must be of what was built.  A builder that has
    committed and shows nothing yet has a commitment only.  Raises InputError or
    VerificationError for a bad link or commitment, NotEnoughError for an absent link.
    """
    files = _take_commitment(build, builder, binding, now)
    if files and not os.path.lexists(build / link_file_name("build", builder.keyid)):
        others = sorted({entry.name for entry in _entries(build)} - files.keys() - _BESIDE)
        return ReceivedBuild(files, (), tuple(f"{name}: nothing vouches for it" for name in others))
    reports: dict[str, Report] = {}
    for step in STEP_NAMES:
        name = link_file_name(step, builder.keyid)
        if step == "check" and not os.path.lexists(build / name):
            continue
        files[name] = _read_link(build, name)
        reports[step] = read_report(name, files[name], (builder,), binding, now)
    if "check" in reports:
        link = f"builds/{build.name}/{link_file_name('check', builder.keyid)}"
        require_checked(reports["build"].says, reports["check"].says, link)
    left: list[str] = []
    _take_provenance(build, reports["build"], now, files, left)
    products = reports["build"].says.products
    artifacts = _take_fingerprints(build, products, files, left)
    known = files.keys() | _BESIDE | _bills_of_materials(products)
    others = sorted({entry.name for entry in _entries(build)} - known)
    seen = {line.partition(":")[0] for line in left}
    left += [f"{name}: not a file of this build" for name in others if name not in seen]
    folder = build / ARTIFACTS
    if is_real_folder(folder):
        known = {artifact.name for artifact in artifacts}
        strange = sorted({entry.name for entry in _entries(folder)} - known)
        left += [f"{ARTIFACTS}/{name}: not a product of this build" for name in strange]
    return ReceivedBuild(files, artifacts, tuple(left))


def _take_commitment(
    build: Path, builder: Party, binding: ReleaseBinding, now: datetime
) -> dict[str, bytes]:
    name = commitment_file_name(builder.keyid)
    try:
        data = read_bounded(build / name, MAX_COMMITMENT_BYTES)
    except NotEnoughError:
        return {}
    read_commitment(name, data, (builder,), binding, now)
    return {name: data}


def _read_link(build: Path, name: str) -> bytes:
    try:
        return read_bounded(build / name, MAX_BUNDLE_BYTES)
    except NotEnoughError as error:
        raise NotEnoughError(
            "its builder's link is not there", where=f"builds/{build.name}/{name}"
        ) from error


def _bills_of_materials(products: Mapping[str, str]) -> frozenset[str]:
    """Return the names of bills that may lie beside a build: anybody can make them again."""
    return frozenset(
        sbom_file(name.removesuffix(_FINGERPRINT))
        for name in products
        if name.endswith(_FINGERPRINT)
    )


def _take_provenance(
    build: Path, report: Report, now: datetime, files: dict[str, bytes], left: list[str]
) -> None:
    name = provenance_file_name(report.builder.name)
    try:
        data = read_bounded(build / name, MAX_BUNDLE_BYTES)
        check_provenance(name, data, report, now)
    except NotEnoughError:
        return
    except (InputError, VerificationError) as error:
        left.append(f"{name}: {error.what}")
    else:
        files[name] = data


def _take_fingerprints(
    build: Path, products: Mapping[str, str], files: dict[str, bytes], left: list[str]
) -> tuple[BuiltArtifact, ...]:
    """Add the fingerprints among the products; return the artifacts they and the link list."""
    artifacts: dict[str, BuiltArtifact] = {}
    for name in sorted(products):
        if not name.endswith(_FINGERPRINT) or "/" in name:
            continue
        try:
            data = _read_product(build, name, products[name])
            fingerprint = parse_fingerprint(data, name)
        except NotEnoughError:
            continue
        except (InputError, VerificationError) as error:
            left.append(f"{name}: {error.what}")
            continue
        files[name] = data
        for artifact in fingerprint.artifacts:
            if products.get(artifact.name) == artifact.sha256:
                artifacts[artifact.name] = artifact
    return tuple(artifacts.values())


def _read_product(build: Path, name: str, sha256: str) -> bytes:
    data = read_bounded(build / name, MAX_FINGERPRINT_BYTES)
    if sha256_hex(data) != sha256:
        raise VerificationError("not the bytes its builder's link names", where=name)
    return data


def copy_artifact(source: Path, destination: Path, wanted: BuiltArtifact) -> None:
    """Copy an artifact, if it has the size and digest it should.

    Raises VerificationError if not, and leaves nothing; NotEnoughError if there is none.
    """
    digest = hashlib.sha256()
    room = wanted.size
    with open_regular(source) as stream, new_file(destination, int(wanted.mode, 8)) as target:
        while chunk := stream.read(min(READ_BYTES, room + 1)):
            room -= len(chunk)
            if room < 0:
                break
            digest.update(chunk)
            target.write(chunk)
        if room or digest.hexdigest() != wanted.sha256:
            raise VerificationError(
                "not the file its builder's link names",
                where=os.fspath(source),
                expected=wanted.sha256,
                got="larger than it" if room < 0 else digest.hexdigest(),
                hint="ask for another copy of this folder",
            )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError as error:
        raise host_error(error, folder) from error

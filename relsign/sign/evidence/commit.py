"""Commit first, show later: so that nobody can copy another builder's result.

Where the policy says `commit`, a finished build is kept in ``.held/NAME/`` of the
release folder, which only its builder may read and no exchange carries.  Published
is a commitment to it.  Once enough builders have committed, the links come out; they
name every commitment that was there by then (relsign/verify/commitments.py).

    commit_build(release, staged, built, party, sign, new_salt())
    ... `relsign collect` brings the others' commitments ...
    reveal_build(release, find_held(release, party), builders, thresholds, now) ...

Nothing is shown unless the person asks for it, nor before the quorum has committed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from msgspec import UNSET

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.crypto.raw_signing import Sign
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.commitment import (
    COMMITMENT_PAYLOAD,
    MAX_COMMITMENT_BYTES,
    MAX_HELD_BYTES,
    Commitment,
    HeldBuild,
    HeldTarget,
    commitment_file_name,
    parse_held_build,
)
from relsign.formats.fingerprint import (
    MAX_FINGERPRINT_BYTES,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    parse_fingerprint,
)
from relsign.formats.link import Byproducts, Host, ReleaseBinding, link_file_name
from relsign.formats.names import Digest
from relsign.formats.policy import Thresholds
from relsign.formats.twin import Twin
from relsign.sign.evidence.links import BuildTimes, seal, sign_evidence
from relsign.sign.evidence.materials import require_own_materials
from relsign.sign.evidence.papers import find_papers
from relsign.sign.places import (
    check_release_folder,
    is_real_folder,
    make_real_folder,
    staged_folder,
)
from relsign.system.files import (
    exchange_folders,
    host_error,
    make_folder,
    read_bounded,
    sync_folder,
    write_whole,
)
from relsign.system.workspace import ReleaseFolder, Workspace
from relsign.verify.agreement import is_quorum
from relsign.verify.commitments import Commitments, commitment_digest, read_commitments

SECRET_FILE = "held.json"  # noqa: S105 - a file's name
_ENDING = ".fingerprint.json"
_ANEW = (
    "to build this version anew, every builder removes its release folder and all start "
    "again; or release under another version"
)


@dataclass(frozen=True, slots=True)
class BuiltRelease:
    """What a build came to, before anything is said about it."""

    fingerprints: tuple[Fingerprint, ...]
    times: dict[str, BuildTimes]
    host: Host | None
    checked: tuple[EnvironmentDigest, ...] = ()
    """Environments the recipe's checks passed in; none where it has no checks."""
    twins: tuple[Twin, ...] = ()
    """What building again showed, sorted by target."""

    @property
    def byproducts(self) -> Byproducts:
        """What the `build` link says besides materials and products."""
        return Byproducts(host=self.host, twins=self.twins or UNSET)


@dataclass(frozen=True, slots=True)
class Held:
    """A build that its builder has committed to and not shown."""

    folder: Path
    build: HeldBuild
    fingerprints: tuple[Fingerprint, ...]

    @property
    def times(self) -> dict[str, BuildTimes]:
        """When each target was built."""
        return {
            name: BuildTimes(target.started_at, target.finished_at)
            for name, target in self.build.targets.items()
        }


def new_salt() -> Digest:
    """Return 32 random bytes as hex digits; every build takes its own."""
    return Digest(secrets.token_hex(32))


def make_commitment(
    fingerprints: tuple[Fingerprint, ...], salt: Digest, party: Party, sign: Sign
) -> bytes:
    """Return the signed envelope of `party`'s commitment to these fingerprints."""
    ids = {f.target: sha256_hex(f.to_bytes()) for f in fingerprints}
    commitment = Commitment(
        project=fingerprints[0].project,
        version=fingerprints[0].version,
        commitment=commitment_digest(party.keyid, ids, salt),
    )
    return seal(commitment.to_bytes(), party, sign, COMMITMENT_PAYLOAD).to_bytes()


def make_held_folder(release: ReleaseFolder) -> Path:
    """Return the folder of held builds, private, and passed over by version control."""
    if not is_real_folder(release.held):
        make_folder(release.held, 0o700)
        write_whole(release.held / ".gitignore", b"*\n")
    return release.held


def commit_build(
    release: ReleaseFolder,
    staged: Path,
    built: BuiltRelease,
    party: Party,
    sign: Sign,
    salt: Digest,
) -> Path:
    """Keep the build in the folder `staged` to this machine and publish a commitment to it.

    Returns the commitment's file.  Raises InputError if one is out already.
    """
    check_release_folder(release)
    refuse_second(release, party)
    held = HeldBuild(
        salt=salt,
        targets={
            name: HeldTarget(started_at=times.started_at, finished_at=times.finished_at)
            for name, times in built.times.items()
        },
        host=built.host,
        checked=built.checked or UNSET,
        twins=built.twins or UNSET,
    )
    # Nobody else may look in before the secret is there; the folder stays so until shown.
    staged.chmod(0o700)
    write_whole(staged / SECRET_FILE, held.to_bytes(), 0o600)
    for fingerprint in built.fingerprints:
        write_whole(staged / fingerprint.file, fingerprint.to_bytes())
    name = commitment_file_name(party.keyid)
    write_whole(staged / name, make_commitment(built.fingerprints, salt, party, sign))
    make_held_folder(release)
    _put(staged, release.held / party.name)
    return publish_commitment(release, party)


def publish_commitment(release: ReleaseFolder, party: Party) -> Path:
    """Put the commitment of a held build into its builder's folder, and nothing else.

    What lay there is removed: an earlier build of this version that was not committed
    to.  Doing it twice changes nothing.
    """
    name = commitment_file_name(party.keyid)
    final = release.build_of(party.name)
    data = read_bounded(release.held / party.name / name, MAX_COMMITMENT_BYTES)
    with contextlib.suppress(NotEnoughError):
        if is_real_folder(final) and read_bounded(final / name, MAX_COMMITMENT_BYTES) == data:
            return final / name
    make_real_folder(release.builds)
    with staged_folder(release.builds) as staged:
        write_whole(staged / name, data)
        staged.chmod(0o755)
        _put(staged, final)
    return final / name


def find_held(release: ReleaseFolder, party: Party) -> Held | None:
    """Return the build `party` holds back, or None; raise InputError if it is damaged."""
    check_release_folder(release)
    folder = release.held / party.name
    if is_shown(release, party) or not (is_real_folder(release.held) and is_real_folder(folder)):
        return None
    try:
        data = read_bounded(folder / SECRET_FILE, MAX_HELD_BYTES)
        build = parse_held_build(data, os.fspath(folder / SECRET_FILE))
        return Held(folder, build, _fingerprints(folder, tuple(build.targets)))
    except NotEnoughError as error:
        raise InputError(
            "a build is held back, and a file of it is gone", where=error.where, hint=_ANEW
        ) from error


def is_shown(release: ReleaseFolder, party: Party) -> bool:
    """Say whether `party`'s committed build has been shown: its links are out."""
    names = (commitment_file_name(party.keyid), link_file_name("build", party.keyid))
    folder = release.build_of(party.name)
    return is_real_folder(folder) and all((folder / name).is_file() for name in names)


def shown_fingerprints(
    release: ReleaseFolder, party: Party, targets: tuple[str, ...]
) -> tuple[Fingerprint, ...]:
    """Return the fingerprints of a build that was shown; raise NotEnoughError if one is gone."""
    return _fingerprints(release.build_of(party.name), targets)


def refuse_second(release: ReleaseFolder, party: Party) -> None:
    """Refuse to commit where a commitment is out: two of one builder count for nobody.

    Raises InputError.
    """
    folder = release.build_of(party.name)
    name = commitment_file_name(party.keyid)
    if is_real_folder(release.held) and is_real_folder(release.held / party.name):
        raise InputError("a build of this builder is held back", got=party.name, hint=_ANEW)
    if is_real_folder(folder) and os.path.lexists(folder / name):
        raise InputError(
            "this builder has committed already, and what opens it is not here",
            where=os.fspath(folder / name),
            hint=_ANEW,
        )


def require_unchanged(
    workspace: Workspace, profile: ProfileDigest, fingerprints: tuple[Fingerprint, ...]
) -> None:
    """Refuse a committed build of other inputs than the workspace's; raise InputError."""
    try:
        require_own_materials(
            workspace, profile, sha256_hex(workspace.recipe_bytes()), fingerprints
        )
    except VerificationError as error:
        raise InputError(
            f"changed since this builder committed: {error.what}",
            where=error.where,
            expected=error.expected,
            got=error.got,
            hint=f"bring the old one back; {_ANEW}",
        ) from error


def require_committed(
    release: ReleaseFolder,
    party: Party,
    builders: tuple[Party, ...],
    thresholds: Thresholds,
    now: datetime,
) -> Commitments:
    """Return the commitments that are here, if `party` may show its result.

    Raises NotEnoughError naming who is awaited until the quorum of builders, `party`
    among them, has committed; VerificationError if `party` signed two commitments.
    """
    binding = ReleaseBinding(project=release.project, version=release.version)
    found = read_commitments(_commitment_files(release, builders), builders, binding, now)
    if party.name not in found.standing:
        own = [line for line in found.ignored if line.startswith(f"{party.name}:")]
        raise VerificationError(
            "the commitment of this builder does not stand",
            where=f"builds/{party.name}",
            got="; ".join(own),
            hint=_ANEW,
        )
    committed = tuple(p for p in builders if p.name in found.standing)
    if is_quorum(committed, thresholds.builders, thresholds.organisations):
        return found
    awaited = ", ".join(p.name for p in builders if p.name not in found.standing)
    raise NotEnoughError(
        f"{len(committed)} builders have committed "
        f"(need {thresholds.builders} from {thresholds.organisations} organisations)",
        got=f"awaited: {awaited or 'no one else on the roster'}",
        hint=f"send them builds/{party.name}, take theirs over with `relsign collect`, and run "
        "the same command again; nothing was shown",
    )


def reveal_build(
    workspace: Workspace, held: Held, heard: Commitments, party: Party, sign: Sign
) -> Path:
    """Show a held build: links that open the commitment and name all that were heard.

    `heard` comes from `require_committed`, which alone decides whether it is time, and the
    inputs of `workspace` are those of the build (`require_unchanged`).
    Returns the builder's folder.  Raises InputError, and shows nothing, where the held
    build is no longer what was committed to.
    """
    ids = {f.target: sha256_hex(f.to_bytes()) for f in held.fingerprints}
    opens = commitment_digest(party.keyid, ids, held.build.salt)
    if heard.standing[party.name].commitment.commitment != opens:
        raise InputError(
            "the build held back is not the one this builder committed to",
            where=os.fspath(held.folder),
            hint=_ANEW,
        )
    byproducts = Byproducts(
        host=held.build.host,
        commitment_salt=held.build.salt,
        heard=heard.heard,
        twins=held.build.twins,
    )
    checked = held.build.checked or ()
    times = {
        f.target: replace(held.times[f.target], papers=find_papers(workspace, f, held.folder))
        for f in held.fingerprints
    }
    evidence = sign_evidence(held.fingerprints, times, party, sign, byproducts, checked)
    for name, data in evidence.items():
        write_whole(held.folder / name, data)
    release = workspace.release()
    final = release.build_of(party.name)
    check_release_folder(release)
    make_real_folder(release.builds)
    held.folder.chmod(0o755)
    _put(held.folder, final)
    # The salt stands in the link now; the file has done its duty.
    (final / SECRET_FILE).unlink(missing_ok=True)
    return final


def _commitment_files(
    release: ReleaseFolder, builders: tuple[Party, ...]
) -> Iterator[tuple[str, bytes]]:
    """Yield place and bytes of every commitment here, those in their own folder first."""
    evidence, _strange = release.all_evidence()
    own = {party.name: commitment_file_name(party.keyid) for party in builders}
    every = [(folder, name) for folder, files in evidence.items() for name in files]
    for folder, name in sorted(every, key=lambda entry: own.get(entry[0]) != entry[1]):
        yield f"builds/{folder}/{name}", evidence[folder][name]


def _fingerprints(folder: Path, targets: tuple[str, ...]) -> tuple[Fingerprint, ...]:
    files = [f"{target}{_ENDING}" for target in targets]
    return tuple(
        parse_fingerprint(read_bounded(folder / file, MAX_FINGERPRINT_BYTES), file)
        for file in files
    )


def _put(staged: Path, final: Path) -> None:
    """Move a folder into its place whole; what lay there before is removed."""
    sync_folder(staged)
    if is_real_folder(final):
        exchange_folders(staged, final)
        shutil.rmtree(staged, ignore_errors=True)
        return
    try:
        staged.rename(final)
    except OSError as error:
        raise host_error(error, final) from error
    sync_folder(final.parent)

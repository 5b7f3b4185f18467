"""Bring another person's evidence of the same release into this folder.

What travels is files: a git checkout, a USB stick, a shared disk.  Each is checked
before it is taken over, and nothing that is here is replaced by something else.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from relsign.crypto.keys import OpenPGPPublic, Party
from relsign.crypto.signatures import verify_envelope
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES, STATEMENT_FILE
from relsign.formats.envelope import Envelope, parse_envelope
from relsign.formats.link import ReleaseBinding
from relsign.sign.release import add_signature
from relsign.system.files import copy_hashed, make_folder, read_bounded, write_whole
from relsign.system.workspace import ReleaseFolder
from relsign.verify.agreement import read_report
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class Collected:
    """What was taken over, and what was not, in lines for people."""

    taken: tuple[str, ...]
    refused: tuple[str, ...]


def collect_release(
    mine: ReleaseFolder, other: ReleaseFolder, root: TrustedRoot, now: datetime
) -> Collected:
    """Take over builds and signatures of `other` that verify; raises nothing for the rest.

    Raises InputError when `other` is no release folder, HostError for the disk.
    """
    if not other.folder.is_dir():
        raise InputError("no such release folder", where=str(other.folder))
    taken: list[str] = []
    refused: list[str] = []
    jobs: list[Callable[[], str]] = [
        *(partial(_take_build, mine, other, build, root, now) for build in other.build_folders()),
        partial(_take_envelope, mine, other, LAYOUT_FILE, root.having("owner"), now),
        partial(_take_envelope, mine, other, STATEMENT_FILE, root.having("signer"), now),
        *(partial(_take_stock, mine, other, party) for party in root.having("signer")),
    ]
    for job in jobs:
        try:
            line = job()
        except (InputError, VerificationError, NotEnoughError) as error:
            refused.append(str(error))
        else:
            if line:
                taken.append(line)
    return Collected(tuple(taken), tuple(refused))


def _take_build(
    mine: ReleaseFolder, other: ReleaseFolder, build: Path, root: TrustedRoot, now: datetime
) -> str:
    """Copy one builder's folder, if a builder of the root signed its links."""
    binding = ReleaseBinding(project=mine.project, version=mine.version)
    files = other.evidence_of(build)
    links = [name for name in files if name.endswith(".link")]
    makers = {
        read_report(name, files[name], root.having("builder"), binding, now).builder.name
        for name in links
    }
    if makers != {build.name}:
        raise VerificationError(
            "links are not signed by the builder the folder is named after",
            where=f"builds/{build.name}",
            got=", ".join(sorted(makers)),
        )
    final = mine.build_of(build.name)
    if final.exists():
        if mine.evidence_of(final) == files:
            return ""
        raise InputError("another build of this builder is here", where=f"builds/{build.name}")
    staged = final.with_name(f".{build.name}.collect.tmp")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        _copy_build(build, staged, files)
        staged.rename(final)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return f"builds/{build.name}"


def _copy_build(build: Path, staged: Path, files: dict[str, bytes]) -> None:
    make_folder(staged / "artifacts")
    for name, data in files.items():
        write_whole(staged / name, data)
    artifacts = build / "artifacts"
    if artifacts.is_dir():
        for path in sorted(artifacts.iterdir()):
            copy_hashed(path, staged / "artifacts" / path.name)


def _take_envelope(
    mine: ReleaseFolder,
    other: ReleaseFolder,
    file: str,
    parties: tuple[Party, ...],
    now: datetime,
) -> str:
    """Merge the good signatures of a layout or statement, if it is the same document."""
    try:
        envelope = parse_envelope(read_bounded(other.folder / file, MAX_BUNDLE_BYTES), file)
    except NotEnoughError:
        return ""
    added = [
        party.name
        for party in verify_envelope(envelope, parties, now).valid
        if _merge_one(mine.folder / file, envelope, party, now)
    ]
    return f"{file}: {', '.join(added)}" if added else ""


def _merge_one(path: Path, envelope: Envelope, party: Party, now: datetime) -> bool:
    own = tuple(
        signature
        for signature in envelope.signatures
        if verify_envelope(
            Envelope(
                payload=envelope.payload,
                payload_type=envelope.payload_type,
                signatures=(signature,),
            ),
            (party,),
            now,
        ).valid
    )
    signed = Envelope(
        payload=envelope.payload, payload_type=envelope.payload_type, signatures=own[:1]
    )
    return add_signature(path, signed, party, now)


def _take_stock(mine: ReleaseFolder, other: ReleaseFolder, party: Party) -> str:
    """Copy a signer's signature for stock tools; publication verifies it."""
    name = f"{party.name}.{'asc' if isinstance(party.key, OpenPGPPublic) else 'minisig'}"
    if (mine.signatures / name).exists():
        return ""
    try:
        data = read_bounded(other.signatures / name, 1 << 20)
    except NotEnoughError:
        return ""
    write_whole(mine.signatures / name, data)
    return f"signatures/{name}"

"""Bring another person's evidence of the same release into this folder.

What travels is files: a git checkout, a USB stick, a shared disk.  Each is checked
before it is taken over, and nothing that is here is replaced by something else.  No
symbolic link is followed, there or here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from relsign.crypto.keys import Party
from relsign.crypto.stock import StockFile, left_by
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES, STATEMENT_FILE
from relsign.formats.commitment import COMMITMENT_ENDING
from relsign.formats.envelope import parse_envelope
from relsign.formats.layout import parse_layout
from relsign.formats.link import ReleaseBinding
from relsign.formats.manifest import encode_manifest
from relsign.formats.statement import parse_statement
from relsign.sign.evidence.received import ARTIFACTS, ReceivedBuild, copy_artifact, read_received
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.merge import add_signatures
from relsign.sign.places import (
    check_release_folder,
    is_real_folder,
    make_real_folder,
    staged_folder,
)
from relsign.sign.release import read_statement
from relsign.system.files import host_error, make_folder, read_bounded, sync_folder, write_whole
from relsign.system.workspace import ReleaseFolder
from relsign.verify.root import TrustedRoot

MAX_NAMED = 20
"""Lines about files of one folder that nobody asked for."""
MAX_STOCK_BYTES = 1 << 20
MAX_TOPICS = 64
"""Signing sessions of one release that are taken over."""
_TOPIC = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Collected:
    """What was taken over, and what was not, in lines for people."""

    taken: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Two folders of one release, and what was said about them so far."""

    mine: ReleaseFolder
    other: ReleaseFolder
    root: TrustedRoot
    now: datetime
    refused: list[str]

    def leave(self, place: str, lines: tuple[str, ...]) -> None:
        """Name files that are not taken, a bounded number of them."""
        self.refused.extend(f"{place}{line}" for line in lines[:MAX_NAMED])
        if len(lines) > MAX_NAMED:
            self.refused.append(f"{place}: {len(lines) - MAX_NAMED} more")


def collect_release(
    mine: ReleaseFolder, other: ReleaseFolder, root: TrustedRoot, now: datetime
) -> Collected:
    """Take over builds and signatures of `other` that verify; raises nothing for the rest.

    Raises InputError when either is no release folder or has a link where a folder
    should be, HostError for the disk.
    """
    if not is_real_folder(other.folder):
        raise InputError("no such release folder", where=os.fspath(other.folder))
    for release in (mine, other):
        check_release_folder(release)
    work = _Exchange(mine, other, root, now, [])
    taken: list[str] = []
    builders = root.having("builder")
    jobs: list[Callable[[], str]] = [
        *(partial(_take_build, work, builder) for builder in builders),
        partial(_take_layout, work),
        partial(_take_statement, work),
        *(partial(_take_stock, work, file) for file in left_by(root.statement_signers)),
        *(partial(_take_messages, work, topic) for topic in _topics(other)),
    ]
    for job in jobs:
        try:
            line = job()
        except (InputError, VerificationError, NotEnoughError) as error:
            work.refused.append(str(error))
        else:
            if line:
                taken.append(line)
    work.leave("builds/", _strange_builds(other, {party.name for party in builders}))
    return Collected(tuple(taken), tuple(work.refused))


def _strange_builds(other: ReleaseFolder, known: set[str]) -> tuple[str, ...]:
    try:
        names = sorted(set(os.listdir(other.builds)) - known)  # noqa: PTH208 - names only
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise host_error(error, other.builds) from error
    # Hidden ones are builds and copies that are under way.
    strange = [name for name in names if not name.startswith(".")]
    return tuple(f"{name}: no builder of that name in the root" for name in strange)


def _take_build(work: _Exchange, builder: Party) -> str:
    """Copy one builder's folder, as far as the builder's links vouch for it."""
    mine, place = work.mine, f"builds/{builder.name}"
    build, final = work.other.build_of(builder.name), mine.build_of(builder.name)
    if not is_real_folder(build):
        return ""
    binding = ReleaseBinding(project=mine.project, version=mine.version)
    received = read_received(build, builder, binding, work.now)
    work.leave(f"{place}/", received.left)
    fresh = not is_real_folder(final)
    if not fresh:
        received = _missing(final, mine.evidence_of(final), received)
        if not received.files and not received.artifacts:
            return ""
    make_real_folder(mine.builds)
    with staged_folder(mine.builds) as staged:
        _copy_build(build, staged, received)
        if fresh:
            _move_into_place(staged, final)
        elif not _move_each(staged, final):
            return ""
    return place


def _missing(final: Path, here: dict[str, bytes], received: ReceivedBuild) -> ReceivedBuild:
    """Return what of `received` is not here yet; raise InputError if this is another build."""
    vouching = [name for name in received.files if name.endswith((".link", COMMITMENT_ENDING))]
    # Where only the commitment is here, the links are what this builder shows now.
    is_same = all(here.get(name, received.files[name]) == received.files[name] for name in vouching)
    if not is_same:
        raise InputError("another build of this builder is here", where=f"builds/{final.name}")
    files = {name: data for name, data in received.files.items() if name not in here}
    there: set[str] = set()
    if is_real_folder(final / ARTIFACTS):
        there = {path.name for path in (final / ARTIFACTS).iterdir()}
    artifacts = tuple(artifact for artifact in received.artifacts if artifact.name not in there)
    return replace(received, files=files, artifacts=artifacts)


def _move_each(staged: Path, final: Path) -> bool:
    """Move the files of a staged build beside those that are there; say if there were any."""
    make_real_folder(final / ARTIFACTS)
    moved = [path for path in sorted(staged.rglob("*")) if path.is_file()]
    for path in moved:
        target = final / path.relative_to(staged)
        try:
            path.rename(target)
        except OSError as error:
            raise host_error(error, target) from error
    return bool(moved)


def _move_into_place(staged: Path, final: Path) -> None:
    staged.chmod(0o755)
    sync_folder(staged)
    try:
        staged.rename(final)
    except OSError as error:
        raise host_error(error, final) from error
    sync_folder(final.parent)


def _copy_build(build: Path, staged: Path, received: ReceivedBuild) -> None:
    for name, data in received.files.items():
        write_whole(staged / name, data)
    make_folder(staged / ARTIFACTS)
    if not is_real_folder(build / ARTIFACTS):
        return
    for artifact in received.artifacts:
        try:
            copy_artifact(
                build / ARTIFACTS / artifact.name, staged / ARTIFACTS / artifact.name, artifact
            )
        except NotEnoughError:
            continue


def _take_layout(work: _Exchange) -> str:
    data = _read(work.other.layout_file)
    if data is None:
        return ""
    binding = parse_layout(parse_envelope(data, LAYOUT_FILE).payload, LAYOUT_FILE).binding
    _require_this_release(work.mine, LAYOUT_FILE, binding.project, binding.version)
    return _merge(work, work.mine.layout_file, data, work.root.having("owner"))


def _take_statement(work: _Exchange) -> str:
    data = _read(work.other.statement_file)
    if data is None:
        return ""
    payload = parse_envelope(data, STATEMENT_FILE).payload
    predicate = parse_statement(payload, STATEMENT_FILE).predicate
    _require_this_release(work.mine, STATEMENT_FILE, predicate.project, predicate.version)
    return _merge(work, work.mine.statement_file, data, work.root.statement_signers)


def _read(path: Path) -> bytes | None:
    try:
        return read_bounded(path, MAX_BUNDLE_BYTES)
    except NotEnoughError:
        return None


def _require_this_release(mine: ReleaseFolder, where: str, project: str, version: str) -> None:
    if (project, version) != (mine.project, mine.version):
        raise VerificationError(
            "belongs to another release",
            where=where,
            expected=f"{mine.project} {mine.version}",
            got=f"{project} {version}",
        )


def _merge(work: _Exchange, path: Path, data: bytes, parties: tuple[Party, ...]) -> str:
    added = add_signatures(path, parse_envelope(data, path.name), parties, work.now)
    return f"{path.name}: {', '.join(added)}" if added else ""


def _take_stock(work: _Exchange, file: StockFile) -> str:
    """Copy a signature file for stock tools, if it holds for this statement."""
    place = f"signatures/{file.name}"
    try:
        data = read_bounded(work.other.signatures / file.name, MAX_STOCK_BYTES)
    except NotEnoughError:
        return ""
    envelope = read_statement(work.mine)
    if envelope is None:
        raise NotEnoughError("no statement it could belong to is here", where=place)
    manifest = encode_manifest(parse_statement(envelope.payload, STATEMENT_FILE).digests())
    file.checked(data, manifest, work.now)
    mine = work.mine.signatures / file.name
    try:
        file.checked(read_bounded(mine, MAX_STOCK_BYTES), manifest, work.now)
    except (NotEnoughError, InputError, VerificationError):
        make_real_folder(work.mine.signatures)
        write_whole(mine, data)
        return place
    return ""


def _topics(other: ReleaseFolder) -> tuple[str, ...]:
    """Return the sessions of which the other folder has messages, a bounded number."""
    if not is_real_folder(other.ceremony):
        return ()
    names = sorted(name for name in os.listdir(other.ceremony) if _TOPIC.fullmatch(name))  # noqa: PTH208
    return tuple(names[:MAX_TOPICS])


def _take_messages(work: _Exchange, topic: str) -> str:
    """Take over a group's signing messages; each is judged by whoever reads it."""
    there = DirectoryExchange(work.other.ceremony).messages(topic)
    make_real_folder(work.mine.ceremony)
    mine = DirectoryExchange(work.mine.ceremony)
    here = set(mine.messages(topic).messages)
    fresh = [message for message in there.messages if message not in here]
    for message in fresh:
        mine.put(topic, message)
    work.leave(f"ceremony/{topic[:8]}/", there.ignored)
    return f"ceremony/{topic[:8]}: {len(fresh)} messages" if fresh else ""

"""The tree of signed manifests: ``RELEASE/BUILDER/NAME.SHA256SUMS`` with ``.asc`` beside.

Trusted to be written by nobody: names are compared with a strict form, links are not
followed, a fifo is not waited for, and everything is counted before it is read.  What
cannot be read counts for nobody and becomes a finding; files that have nothing to do
with manifests are passed over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from relsign.crypto.openpgp import split_signatures
from relsign.errors import InputError, NotEnoughError, RelsignError
from relsign.formats.sums_manifest import MAX_SUMS_BYTES
from relsign.formats.sums_policy import SumsPolicy
from relsign.system.files import host_error, read_bounded

MAX_ENTRIES = 200_000
"""Names looked at in the whole tree."""
MAX_PAIRS = 50_000
MAX_SIGNATURE_FILE_BYTES = 1 << 16
MAX_BATCH_BYTES = 64 << 20
MAX_BATCH = 2_000
"""Signatures in one batch: what gpg says about them fits in what a program may print."""
MAX_SIGNATURES_PER_FILE = 16

_MANIFEST = "SHA256SUMS"
_SIGNATURE = f"{_MANIFEST}.asc"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~@-]{0,127}")
_CLEARTEXT = b"-----BEGIN PGP SIGNED MESSAGE"


@dataclass(frozen=True, slots=True)
class Finding:
    """Evidence that counts for nobody: where it lies, and why."""

    where: str
    """Path below the folder, escaped: nothing in it can steer a terminal."""
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest with a signature file beside it, not read yet."""

    release: str
    builder: str
    name: str
    path: Path

    @property
    def where(self) -> str:
        """The signature file's path below the folder."""
        return f"{self.release}/{self.builder}/{self.name}.asc"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A signed manifest's raw bytes and each signature packet, nothing verified."""

    pair: SignedManifest
    data: bytes
    signatures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SumsTree:
    """What lies in the folder."""

    pairs: tuple[SignedManifest, ...]
    releases: tuple[str, ...]
    """Those in which any manifest lies, signed or not."""
    findings: tuple[Finding, ...]
    ignored: int
    """Manifests that the policy leaves out."""


def show(name: str) -> str:
    """Return a name with everything but visible ASCII escaped."""
    return ascii(name)[1:-1][:300]


def finding_of(where: str, error: RelsignError) -> Finding:
    """Return the finding that an error is about; its hint is for the error's reader."""
    words = (f"expected {error.expected}" if error.expected else "", error.got)
    return Finding(where, error.what, ", ".join(show(word) for word in words if word))


def walk_sums(root: Path, policy: SumsPolicy) -> SumsTree:
    """Return what lies below `root`, sorted.

    Raises NotEnoughError if there is no such folder, InputError for more than 200,000
    entries or 50,000 signed manifests, HostError if it cannot be listed.
    """
    walk = _Walk(root, policy)
    walk.run()
    return SumsTree(
        tuple(walk.pairs), tuple(sorted(walk.releases)), tuple(walk.findings), walk.ignored
    )


class _Walk:
    """One walk and what it has met so far."""

    def __init__(self, root: Path, policy: SumsPolicy) -> None:
        self._root = root
        self._policy = policy
        self._entries = 0
        self.pairs: list[SignedManifest] = []
        self.releases: set[str] = set()
        self.findings: list[Finding] = []
        self.ignored = 0

    def run(self) -> None:
        for release in self._folders(self._root):
            wanted = self._policy.releases
            if wanted and not _matches(release, wanted):
                continue
            for builder in self._folders(self._root / release):
                self._visit(release, builder)

    def _folders(self, folder: Path) -> Iterator[str]:
        """Yield the names of folders in a folder; name what only looks like one."""
        for entry in self._list(folder):
            if entry.name.startswith(".") or entry.is_file(follow_symlinks=False):
                continue
            where = show(os.path.relpath(entry.path, self._root))
            if entry.is_symlink():
                self.findings.append(Finding(where, "symbolic link, not followed"))
            elif not entry.is_dir(follow_symlinks=False):
                self.findings.append(Finding(where, "neither file nor folder"))
            elif _PLAIN.fullmatch(entry.name) is None:
                self.findings.append(Finding(where, "not a name that can be compared"))
            else:
                yield entry.name

    def _list(self, folder: Path) -> list[os.DirEntry[str]]:
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > MAX_ENTRIES:
                        raise InputError(
                            "too many files",
                            where=str(self._root),
                            expected=f"{MAX_ENTRIES} at most",
                        )
                    found.append(entry)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotEnoughError("no such folder", where=os.fspath(folder)) from error
        except OSError as error:
            raise host_error(error, folder) from error
        return sorted(found, key=lambda entry: entry.name)

    def _visit(self, release: str, builder: str) -> None:
        folder = self._root / release / builder
        names = [entry.name for entry in self._list(folder)]
        manifests = {name for name in names if name.endswith(_MANIFEST)}
        signatures = {name for name in names if name.endswith(_SIGNATURE)}
        for name in sorted(manifests | {one.removesuffix(".asc") for one in signatures}):
            where = show(f"{release}/{builder}/{name}")
            if _matches(f"{release}/{builder}/{name}", self._policy.ignore):
                self.ignored += 1
                continue
            self.releases.add(release)
            if _PLAIN.fullmatch(name) is None:
                self.findings.append(Finding(where, "not a name that can be compared"))
            elif name not in manifests:
                self.findings.append(Finding(f"{where}.asc", "signature without a manifest"))
            elif f"{name}.asc" not in signatures:
                self.findings.append(Finding(where, "manifest without a signature"))
            else:
                self.pairs.append(SignedManifest(release, builder, name, folder / name))
        if len(self.pairs) > MAX_PAIRS:
            raise InputError(
                "too many signatures", where=str(self._root), expected=f"{MAX_PAIRS} at most"
            )


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def read_evidence(pair: SignedManifest) -> Evidence | Finding:
    """Read a manifest and its signatures; a finding if one of them is not what it must be.

    A manifest that cannot be read is named, and so is anything but a detached signature.
    Raises HostError if the disk fails.
    """
    manifest_where = f"{pair.release}/{pair.builder}/{pair.name}"
    try:
        data = read_bounded(pair.path, MAX_SUMS_BYTES)
    except (InputError, NotEnoughError) as error:
        return finding_of(manifest_where, error)
    try:
        text = read_bounded(pair.path.with_name(f"{pair.name}.asc"), MAX_SIGNATURE_FILE_BYTES)
        if text.startswith(_CLEARTEXT):
            return Finding(pair.where, "clear-text signature, not a detached one")
        signatures = split_signatures(text, pair.where)
    except (InputError, NotEnoughError) as error:
        return finding_of(pair.where, error)
    if len(signatures) > MAX_SIGNATURES_PER_FILE:
        return Finding(pair.where, "more than one signature", str(len(signatures)))
    return Evidence(pair, data, signatures)


def read_batches(
    pairs: Iterable[SignedManifest], findings: list[Finding]
) -> Iterator[list[Evidence]]:
    """Yield the evidence in bounded batches; what cannot be read is added to `findings`."""
    batch: list[Evidence] = []
    count = size = 0
    for pair in pairs:
        evidence = read_evidence(pair)
        if isinstance(evidence, Finding):
            findings.append(evidence)
            continue
        more = len(evidence.signatures)
        if batch and (
            count + more > MAX_BATCH or size + more * len(evidence.data) > MAX_BATCH_BYTES
        ):
            yield batch
            batch, count, size = [], 0, 0
        batch.append(evidence)
        count += more
        size += more * len(evidence.data)
    if batch:
        yield batch

"""Third parties' evidence: one look at a tree of signed manifests, from disk to verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relsign.errors import InputError, VerificationError
from relsign.formats.gnupg_text import Status
from relsign.formats.sums_manifest import parse_sums
from relsign.formats.sums_policy import SumsPolicy
from relsign.system.files import hash_file
from relsign.trust.sums.gpg import Verifier, open_verifier
from relsign.trust.sums.keys import KeyFolder, read_key_folder
from relsign.trust.sums.tree import (
    Evidence,
    Finding,
    SumsTree,
    finding_of,
    read_batches,
    walk_sums,
)
from relsign.verify.sums import (
    ArtifactVerdict,
    FileVerdict,
    Vote,
    judge_artifact,
    judge_files,
    overall,
)
from relsign.verify.sums_people import People, enrol, shared_keys
from relsign.verify.sums_signature import Signer, judge_signature
from relsign.verify.verdict import Word

MAX_NAMES = 500_000
"""Names in all manifests that count."""
MAX_STRANGERS_NAMES = 100_000
"""Names in all others: whoever may add files must not be able to stop the whole look."""
_SHOWN_NAMES = 3


@dataclass(frozen=True, slots=True)
class SumsReport:
    """Everything found, and the verdicts."""

    policy: SumsPolicy
    files: tuple[FileVerdict, ...]
    artifacts: tuple[ArtifactVerdict, ...]
    """Verdicts on files in hand; empty if the whole tree was asked about."""
    findings: tuple[Finding, ...]
    manifests: int
    counted: int
    ignored: int

    @property
    def word(self) -> Word:
        """The worst verdict on what was asked."""
        return overall(one.word for one in self.artifacts or self.files)


def check_sums(
    sums: Path, keys: Path, policy: SumsPolicy, artifacts: Sequence[Path], now: datetime
) -> SumsReport:
    """Return the verdicts on `artifacts`, or on each file that the tree `sums` names.

    `keys` is the folder of key files, `now` is aware.  Raises NotEnoughError if a
    folder or artifact is missing, InputError for a tree too large or an artifact that
    is no regular file, HostError if gpg or the disk fails.
    """
    hashed = [(path.name, hash_file(path).sha256) for path in artifacts]
    tree, folder = walk_sums(sums, policy), read_key_folder(keys)
    people = enrol(policy, folder.files)
    count = _Count(tree, people, policy, int(now.timestamp()))
    with open_verifier(folder.certificates) as verifier:
        findings = [*folder.findings, *_about_keys(folder, people, verifier)]
        for batch in read_batches(tree.pairs, count.findings):
            count.add(batch, verifier)
    files = judge_files(count.votes, count.mentioned, people, policy)
    findings += sorted([*count.findings, *_contradictions(files)], key=lambda one: one.where)
    return SumsReport(
        policy=policy,
        files=files,
        artifacts=tuple(judge_artifact(name, sha256, files) for name, sha256 in hashed),
        findings=tuple(findings),
        manifests=len(tree.pairs),
        counted=len(count.votes),
        ignored=tree.ignored,
    )


def _about_keys(folder: KeyFolder, people: People, verifier: Verifier) -> list[Finding]:
    """Name keys that gpg did not take over, that are missing, or that two builders share."""
    found = []
    for name, ring in folder.files.items():
        missing = (one.primary for one in ring if one.primary not in verifier.keys)
        found += [
            Finding(f"key of {name}", "gpg did not take the key over", one) for one in missing
        ]
    for builder, keys in people.keys.items():
        if not any(key in verifier.keys for key in keys):
            found.append(Finding(f"key of {builder}", "no key of this builder is given"))
    for group in shared_keys(people):
        found.append(
            Finding(", ".join(group), "one key or operator behind several builders, counted once")
        )
    return found


def _contradictions(files: Sequence[FileVerdict]) -> list[Finding]:
    names: dict[str, list[str]] = {}
    for file in files:
        for builder in file.contradicting:
            names.setdefault(f"{file.release}/{builder}", []).append(file.name)
    reason = "signed two digests for one name"
    return [Finding(where, reason, _some(found)) for where, found in names.items()]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


class _Count:
    """Collects votes, names and findings, batch by batch."""

    def __init__(self, tree: SumsTree, people: People, policy: SumsPolicy, now: int) -> None:
        self._people = people
        self._policy = policy
        self._now = now
        self._names = {True: 0, False: 0}
        self.votes: list[Vote] = []
        self.findings = list(tree.findings)
        self.mentioned: dict[str, set[str]] = {release: set() for release in tree.releases}

    def add(self, batch: Sequence[Evidence], verifier: Verifier) -> None:
        messages = [(one, each.data) for each in batch for one in each.signatures]
        said = iter(verifier.check(messages))
        for evidence in batch:
            self._judge(evidence, [next(said) for _ in evidence.signatures], verifier)

    def _judge(
        self, evidence: Evidence, said: Sequence[tuple[Status, ...]], verifier: Verifier
    ) -> None:
        pair = evidence.pair
        try:
            self._people.check_place(self._signer(said, verifier), pair.builder)
            counts = True
        except VerificationError as error:
            self.findings.append(finding_of(pair.where, error))
            counts = False
        where = f"{pair.release}/{pair.builder}/{pair.name}"
        keep = self._policy.paths == "keep"
        try:
            digests = parse_sums(evidence.data, where, keep_folders=keep)
        except InputError as error:
            self.findings.append(finding_of(error.where, error))
            return
        self._names[counts] += len(digests)
        if self._names[False] > MAX_STRANGERS_NAMES and not counts:
            self.findings.append(Finding(where, "too many names in manifests that do not count"))
            return
        if self._names[True] > MAX_NAMES:
            raise InputError("too many names in all manifests", expected=f"{MAX_NAMES} at most")
        self.mentioned[pair.release].update(digests)
        twice = sorted(name for name, found in digests.items() if len(found) > 1)
        if twice:
            self.findings.append(Finding(where, "a name twice with two digests", _some(twice)))
        if counts:
            self.votes.append(Vote(pair.release, pair.builder, digests))

    def _signer(self, said: Sequence[tuple[Status, ...]], verifier: Verifier) -> Signer:
        counts = self._policy.expired == "count-if-signed-before"
        if len(said) == 1:
            return judge_signature(said[0], verifier.keys, self._now, expired_counts=counts)
        reasons = []
        for one in said:
            try:
                signer = judge_signature(one, verifier.keys, self._now, expired_counts=counts)
                reasons.append(f"good by {signer.primary}")
            except VerificationError as error:
                reasons.append(error.what)
        raise VerificationError("more than one signature", got="; ".join(reasons))

"""How many distinct people signed the same digest of each file.

A person's manifests of one release are read together.  Who signed two digests for one
file has said nothing about it, and is named.  Names that manifests mention are judged
even if nobody who counts signed them, so that nothing asked goes without a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relsign.formats.names import Digest
from relsign.formats.sums_policy import SumsPolicy
from relsign.verify.sums_people import People
from relsign.verify.verdict import Word

_SEVERITY = (Word.VERIFIED, Word.NOT_ENOUGH, Word.REFUSED)


@dataclass(frozen=True, slots=True)
class Vote:
    """What one signed manifest says, verified as its builder's."""

    release: str
    builder: str
    digests: Mapping[str, tuple[Digest, ...]]


@dataclass(frozen=True, slots=True)
class Claim:
    """One digest of a file, and who signed it."""

    sha256: str
    builders: tuple[str, ...]
    people: int
    organisations: int


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """The verdict on one file of one release; an empty `name` stands for all of them."""

    release: str
    name: str
    word: Word
    why: str
    claims: tuple[Claim, ...] = ()
    """Digests by how many people signed them, most first."""
    contradicting: tuple[str, ...] = ()
    """Builders whose person signed two digests."""

    @property
    def sha256(self) -> str:
        """The digest that is verified, else empty."""
        return self.claims[0].sha256 if self.word is Word.VERIFIED else ""

    @property
    def dissenting(self) -> tuple[str, ...]:
        """Builders who signed another digest than the first claim's."""
        return tuple(sorted(name for claim in self.claims[1:] for name in claim.builders))


@dataclass(frozen=True, slots=True)
class ArtifactVerdict:
    """The verdict on a file in hand."""

    name: str
    sha256: str
    word: Word
    release: str
    why: str


def judge_files(
    votes: Iterable[Vote],
    mentioned: Mapping[str, Iterable[str]],
    people: People,
    policy: SumsPolicy,
) -> tuple[FileVerdict, ...]:
    """Return a verdict for each file that a vote or `mentioned` (release -> names) names.

    VERIFIED: as many people as the policy's threshold, from as many organisations, signed
    one digest, and no other digest has as many; nobody dissents, or the policy only
    records that.  REFUSED: two digests have a quorum, or somebody dissents.  Else NOT
    ENOUGH, as for a release of which no manifest can be read.
    """
    said: dict[str, dict[str, dict[str, set[Digest]]]] = {}
    for release, names in mentioned.items():
        said.setdefault(release, {}).update({name: {} for name in names})
    for vote in votes:
        files = said.setdefault(vote.release, {})
        for name, digests in vote.digests.items():
            files.setdefault(name, {}).setdefault(vote.builder, set()).update(digests)
    verdicts = []
    for release in sorted(said):
        if not said[release]:
            why = "no manifest of this release can be read"
            verdicts.append(FileVerdict(release, "", Word.NOT_ENOUGH, why))
        for name in sorted(said[release]):
            claims, unsure = _count(said[release][name], people)
            word, why = _decide(claims, unsure, policy)
            verdicts.append(FileVerdict(release, name, word, why, claims, unsure))
    return tuple(verdicts)


def _count(
    said: Mapping[str, set[Digest]], people: People
) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
    by_person: dict[int, set[Digest]] = {}
    for builder, digests in said.items():
        by_person.setdefault(people.person[builder], set()).update(digests)
    behind: dict[str, list[str]] = {}
    unsure = []
    for builder in sorted(said):
        digests = by_person[people.person[builder]]
        if len(digests) > 1:
            unsure.append(builder)
        else:
            behind.setdefault(next(iter(digests)), []).append(builder)
    claims = [
        Claim(
            digest,
            tuple(builders),
            len({people.person[one] for one in builders}),
            len({people.organisation[one] for one in builders}),
        )
        for digest, builders in behind.items()
    ]
    return tuple(sorted(claims, key=lambda one: (-one.people, one.sha256))), tuple(unsure)


def _decide(claims: Sequence[Claim], unsure: Sequence[str], policy: SumsPolicy) -> tuple[Word, str]:
    needed, wide = policy.threshold, policy.organisations or 1
    quorums = [one for one in claims if one.people >= needed and one.organisations >= wide]
    other = sorted({*unsure, *(name for claim in claims[1:] for name in claim.builders)})
    differ = f"signed another digest or two: {', '.join(other)}" if other else ""
    if len(quorums) > 1:
        return Word.REFUSED, "two digests have enough people each"
    if differ and policy.dissent == "refuse":
        return Word.REFUSED, differ
    if quorums and quorums[0] is claims[0]:
        agree = f"{quorums[0].people} people built these bytes (need {needed})"
        return Word.VERIFIED, f"{agree}; {differ}" if differ else agree
    if not claims:
        return Word.NOT_ENOUGH, differ or "nobody who counts signed it"
    have = f"{claims[0].people} people (need {needed})"
    if policy.organisations is not None:
        have += f" of {claims[0].organisations} organisations (need {wide})"
    return Word.NOT_ENOUGH, f"{have}; {differ}" if differ else have


def judge_artifact(name: str, sha256: str, verdicts: Iterable[FileVerdict]) -> ArtifactVerdict:
    """Return the verdict on a file in hand, of this name and digest.

    It is looked up by its name, or by the last part of a path.  If several releases
    list it, the worst counts: an older release's file may not pass for a newer one's.
    """
    found = [one for one in verdicts if one.name.rpartition("/")[2] == name]
    if not found:
        return ArtifactVerdict(
            name, sha256, Word.NOT_ENOUGH, "", "no manifest names a file like this"
        )
    judged = [(*_compare(sha256, one), one.release) for one in found]
    word, why, release = max(judged, key=lambda one: _SEVERITY.index(one[0]))
    releases = sorted({one.release for one in found})
    if len(releases) > 1 and word is not Word.VERIFIED:
        why += f"; {len(releases)} releases list it: name yours in the policy's `releases`"
    return ArtifactVerdict(name, sha256, word, release, why)


def _compare(sha256: str, verdict: FileVerdict) -> tuple[Word, str]:
    theirs = [claim.sha256 for claim in verdict.claims]
    if theirs and sha256 not in theirs:
        return Word.REFUSED, f"not the file that {verdict.claims[0].people} people built"
    if verdict.word is Word.VERIFIED and sha256 != verdict.sha256:
        return Word.REFUSED, "not the file that most people built"
    return verdict.word, verdict.why


def overall(words: Iterable[Word]) -> Word:
    """Return the worst of the words; NOT ENOUGH if there are none."""
    return max(words, key=_SEVERITY.index, default=Word.NOT_ENOUGH)

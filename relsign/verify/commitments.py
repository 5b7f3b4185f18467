"""Step 5, commitments: who of the agreeing builders had its result before seeing another's.

Where the root says `commit`, equal bytes are not enough: whoever waited for the others
could have copied them.  So a builder counts only with builders whose commitments it
held when it showed its result, and who held its own when they showed theirs.  A copier
commits after it saw the first result; so the builder it copied never heard of it.

    published = read_commitments(files.items(), builders, binding, now)

The quorum is then taken over the best set of builders who all heard each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from msgspec.structs import replace

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.crypto.signatures import verify_envelope
from relsign.crypto.threshold import distinct_operators, distinct_organisations
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.canonical import Value
from relsign.formats.commitment import (
    COMMITMENT_ENDING,
    COMMITMENT_PAYLOAD,
    MAX_COMMITMENT_BYTES,
    Commitment,
    Opening,
    commitment_file_name,
    parse_commitment,
)
from relsign.formats.envelope import parse_envelope
from relsign.formats.link import ReleaseBinding
from relsign.formats.names import Digest
from relsign.verify.agreement import Agreement, Report, is_quorum

MAX_OPENED = 1024
"""Envelopes that are opened; whatever else was handed in is named as one number."""
MAX_SEARCHED = 16
"""Builders up to whom the best set is found for certain."""
MAX_REASONS = 8
FINGERPRINT_ENDING = ".fingerprint.json"
_FILE = re.compile(r"build\.(?P<keyid>[0-9a-f]{8})\.commitment")


class PublishedCommitment(Value, frozen=True):
    """A builder's commitment, signature and binding checked."""

    builder: Party
    commitment: Commitment
    sha256: Digest
    """Of the payload: what another builder's link calls it by."""


class Commitments(Value, frozen=True):
    """The commitments that stand, by builder, and a line for what does not."""

    standing: Mapping[str, PublishedCommitment]
    ignored: tuple[str, ...]

    @property
    def heard(self) -> tuple[Digest, ...]:
        """What a builder who holds these names in its link, sorted."""
        return tuple(sorted(published.sha256 for published in self.standing.values()))


class _Opened(Value, frozen=True):
    """A report whose builder had committed to it."""

    report: Report
    sha256: Digest
    salt: Digest
    heard: frozenset[str]

    @property
    def name(self) -> str:
        return self.report.builder.name


def read_commitments(
    found: Iterable[tuple[str, bytes]],
    builders: tuple[Party, ...],
    binding: ReleaseBinding,
    now: datetime,
) -> Commitments:
    """Return the commitments among files, given as place and bytes; raises nothing.

    A builder who signed two different ones for this release, wherever they lie, has
    committed to nothing and is named.
    """
    known = {party.keyid[:8] for party in builders}
    signed: dict[str, dict[Digest, PublishedCommitment]] = {}
    filed: set[str] = set()
    seen: set[Digest] = set()
    ignored: list[str] = []
    left = 0
    for place, data in found:
        name = place.rpartition("/")[2]
        if not name.endswith(COMMITMENT_ENDING):
            continue
        match = _FILE.fullmatch(name)
        if match is None or match["keyid"] not in known or len(seen) >= MAX_OPENED:
            left += 1
            continue
        seen.add(sha256_hex(data))
        try:
            published = read_commitment(place, data, builders, binding, now)
        except (InputError, VerificationError) as error:
            ignored.append(f"{place}: {error.what}")
            continue
        signed.setdefault(published.builder.name, {})[published.sha256] = published
        if name == commitment_file_name(published.builder.keyid):
            filed.add(published.builder.name)
        else:
            ignored.append(f"{place}: the commitment of {published.builder.name}")
    if left:
        ignored.append(f"{left} files are not named after a commitment of a known builder")
    standing = {name: next(iter(signed[name].values())) for name in sorted(filed)
                if len(signed[name]) == 1}  # fmt: skip
    double = sorted(name for name, each in signed.items() if len(each) > 1)
    ignored += [f"{name}: signed two commitments: counts for nobody" for name in double]
    return Commitments(standing, tuple(ignored))


def read_commitment(
    place: str,
    data: bytes,
    builders: tuple[Party, ...],
    binding: ReleaseBinding,
    now: datetime,
) -> PublishedCommitment:
    """Return one commitment; raise InputError or VerificationError if it cannot count.

    (1) it is no larger than one can be; (2) it has one signature, a builder's; (3) it
    is a commitment; (4) it is to a build of this release.
    """
    if len(data) > MAX_COMMITMENT_BYTES:  # (1)
        raise InputError(
            "too large for a commitment", where=place, expected=f"{MAX_COMMITMENT_BYTES} bytes"
        )
    envelope = parse_envelope(data, place, payload_type=COMMITMENT_PAYLOAD)
    valid = verify_envelope(envelope, builders, now).valid
    if len(envelope.signatures) != 1 or not valid:  # (2)
        raise VerificationError("not signed by a known builder", where=place)
    commitment = parse_commitment(envelope.payload, place)  # (3)
    if (commitment.project, commitment.version) != (binding.project, binding.version):  # (4)
        raise VerificationError(
            "belongs to another release",
            where=place,
            expected=f"{binding.project} {binding.version}",
            got=f"{commitment.project} {commitment.version}",
        )
    return PublishedCommitment(valid[0], commitment, sha256_hex(envelope.payload))


def commitment_digest(builder: str, fingerprints: Mapping[str, Digest], salt: Digest) -> Digest:
    """Return what the builder with this whole keyid publishes for these fingerprint ids."""
    opening = Opening(builder=builder, fingerprints=dict(fingerprints), salt=salt)
    return sha256_hex(opening.to_bytes())


def count_committed(
    agreement: Agreement,
    files: Mapping[str, bytes],
    binding: ReleaseBinding,
    threshold: int,
    organisations: int,
    now: datetime,
) -> Agreement:
    """Return the agreement with only the builders who had committed to it.

    `agreement` is of the step `build`, `files` the evidence by name.  Raises
    NotEnoughError, naming who does not count and why, where those who do are not
    `threshold` operators of so many organisations.
    """
    spoken = {r.builder.name: r.builder for r in (*agreement.reports, *agreement.dissent)}
    builders = tuple(spoken.values())
    published = read_commitments(files.items(), builders, binding, now)
    opened: list[_Opened] = []
    reasons: list[str] = list(published.ignored)
    for report in agreement.reports:
        try:
            opened.append(_open(report, published))
        except (NotEnoughError, VerificationError) as error:
            reasons.append(f"{report.builder.name}: {error.what}")
    best = _best_set(tuple(opened), threshold, organisations)
    reasons += [_unheard(one, best) for one in opened if one not in best]
    parties = tuple(one.report.builder for one in best)
    counted = distinct_operators(parties)
    if not is_quorum(parties, threshold, organisations):
        more = f"; {len(reasons) - MAX_REASONS} more" if len(reasons) > MAX_REASONS else ""
        raise NotEnoughError(
            f"{len(counted)} agreeing builders had committed and heard each other "
            f"(need {threshold} from {organisations} organisations)",
            got="; ".join(reasons[:MAX_REASONS]) + more,
            hint="each builder publishes a commitment, collects the others' and only then its "
            "links: docs/how-to/publish-commitments-first.md",
        )
    return replace(
        agreement,
        builders=counted,
        organisations=distinct_organisations(counted),
        reports=tuple(one.report for one in best),
        notes=agreement.notes + tuple(reasons),
    )


def _open(report: Report, published: Commitments) -> _Opened:
    """Return a report that its builder's commitment opens to.

    Raises NotEnoughError where a part of the opening is missing, VerificationError
    where the commitment is to another result.
    """
    own = published.standing.get(report.builder.name)
    byproducts = report.link.byproducts
    if own is None:
        raise NotEnoughError("no commitment of it stands")
    if byproducts.commitment_salt is None or byproducts.heard is None:
        raise NotEnoughError("its link does not open its commitment")
    fingerprints = {
        path.removesuffix(FINGERPRINT_ENDING): Digest(digest)
        for path, digest in report.says.products.items()
        if path.endswith(FINGERPRINT_ENDING)
    }
    salt = byproducts.commitment_salt
    if own.commitment.commitment != commitment_digest(report.builder.keyid, fingerprints, salt):
        raise VerificationError("committed to another result than its link shows")
    return _Opened(report, own.sha256, salt, frozenset(byproducts.heard))


def _hear_each_other(one: _Opened, other: _Opened) -> bool:
    """Say whether two builders' results are independent of each other.

    A salt that two builders share was never one builder's secret.
    """
    return one.sha256 in other.heard and other.sha256 in one.heard and one.salt != other.salt


def _unheard(one: _Opened, best: tuple[_Opened, ...]) -> str:
    """Say why a builder stands apart from those who count."""
    twins = [other.name for other in best if one.salt == other.salt]
    if twins:
        return f"{one.name}: has the salt of {', '.join(twins)}"
    deaf = [other.name for other in best if one.sha256 not in other.heard]
    if deaf:
        return f"{one.name}: had not committed when {', '.join(deaf)} showed a result"
    late = [other.name for other in best if other.sha256 not in one.heard]
    return f"{one.name}: showed its result before {', '.join(late) or 'anybody'} had committed"


def _best_set(
    opened: tuple[_Opened, ...], threshold: int, organisations: int
) -> tuple[_Opened, ...]:
    """Return the builders who all heard each other and count for most, by name.

    A set with the quorum comes before one without, then more operators, then more
    organisations, then the names in order.  For up to MAX_SEARCHED builders every
    largest set is looked at.  Beyond that, whoever was heard by the fewest is
    dropped until the rest all heard each other: at worst that finds too few.
    """
    by_name = {one.name: one for one in opened}
    near = {
        name: frozenset(
            other.name for other in opened if other is not one and _hear_each_other(one, other)
        )
        for name, one in by_name.items()
    }
    everyone = frozenset(by_name)
    if len(opened) > MAX_SEARCHED:
        sets = [_drop_unheard(everyone, near)]
    else:
        sets = list(_largest_sets(frozenset(), everyone, frozenset(), near))

    def rank(names: tuple[str, ...]) -> tuple[bool, int, int]:
        parties = distinct_operators(tuple(by_name[name].report.builder for name in names))
        meets = is_quorum(parties, threshold, organisations)
        return meets, len(parties), len(distinct_organisations(parties))

    best = max(sorted(tuple(sorted(names)) for names in sets), key=rank)
    return tuple(by_name[name] for name in best)


def _drop_unheard(names: frozenset[str], near: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Drop the least heard, the last by name among equals, until all heard each other."""
    while any(len(near[name] & names) < len(names) - 1 for name in names):
        fewest = min(len(near[name] & names) for name in names)
        names -= {max(name for name in names if len(near[name] & names) == fewest)}
    return names


def _largest_sets(
    chosen: frozenset[str],
    candidates: frozenset[str],
    done: frozenset[str],
    near: Mapping[str, frozenset[str]],
) -> Iterator[frozenset[str]]:
    """Yield every set that nobody can be added to (Bron and Kerbosch, 1973, with pivot)."""
    if not candidates and not done:
        yield chosen
        return
    pivot = max(sorted(candidates | done), key=lambda name: len(near[name] & candidates))
    for name in sorted(candidates - near[pivot]):
        yield from _largest_sets(chosen | {name}, candidates & near[name], done & near[name], near)
        candidates -= {name}
        done |= {name}

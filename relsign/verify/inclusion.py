"""Step 8, the log: the release stands in a log that enough witnesses have seen grow.

A log makes secret releases visible: whoever signs one must show it to the log, and
witnesses vouch that everybody is shown the same log.  A log that shows two people two
histories, or takes an entry back, finds no quorum of witnesses for the second one.

    >>> log_entry("demo", "1.0", "00" * 32)[:40]
    b'{"format":"relsign/log-entry/1","kind":"'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from relsign.crypto.keys import Party
from relsign.crypto.merkle import leaf_hash, verify_consistency_proof, verify_inclusion_proof
from relsign.crypto.notes import verify_cosignature, verify_note_signature
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.canonical import Value, decode_value, shorten
from relsign.formats.checkpoint import Checkpoint, parse_log_proof
from relsign.formats.log import LogEntry, LogPolicy
from relsign.verify.witnesses import LogKeys, LogMember, check_log, is_quorum

__all__ = [
    "MAX_SKEW",
    "PROOF_FILE",
    "Inclusion",
    "check_log",
    "log_entry",
    "require_extends",
    "verify_inclusion",
]

PROOF_FILE = "release.tlog-proof"
MAX_SKEW = timedelta(hours=24)
"""How far a witness's clock may be ahead of ours."""

_REFRESH = "ask the project for the release with a newer log proof"


class Inclusion(Value, frozen=True):
    """A release that stands in the log, and who vouches for the log."""

    checkpoint: Checkpoint
    """What was signed; keep it, to see that the next one extends it."""
    index: int
    logs: tuple[str, ...]
    """Members whose keys signed the checkpoint as the log."""
    witnesses: tuple[str, ...]
    """Members whose cosignatures count: valid, and recent where the policy asks for it."""
    oldest: datetime | None
    newest: datetime | None
    """Times of the cosignatures that count; None without any."""

    @property
    def size(self) -> int:
        """Number of entries in the log."""
        return self.checkpoint.size

    @property
    def words(self) -> str:
        """Say it in one line."""
        place = f"entry {self.index} of {self.size} in {self.checkpoint.origin}"
        if self.newest is None:
            return f"{place}, seen by no witness"
        seen = f"seen by {', '.join(self.witnesses)}, last {self.newest:%Y-%m-%d %H:%M} UTC"
        return f"{place}, {seen}"


def log_entry(project: str, version: str, statement_sha256: str) -> bytes:
    """Return the bytes a log holds of a release; raise InputError for names it cannot hold."""
    fields = {"project": project, "version": version, "statement_sha256": statement_sha256}
    return decode_value(fields, LogEntry, "log entry").to_bytes()


def verify_inclusion(
    policy: LogPolicy, parties: tuple[Party, ...], proof: bytes, entry: bytes, now: datetime
) -> Inclusion:
    """Return where `entry` stands in the policy's log, and which witnesses vouch for it.

    (1) The policy's names are members; (2) `proof` is a tlog-proof to the letter;
    (3) its checkpoint is of the policy's log; (4) a log key signed it, and no line
    that bears a log key's label is false; (5) `entry` is in the tree; (6) every
    cosignature of a named witness holds; (7) those not older than ``max_age_days``
    and at most 24 hours ahead of `now` (aware UTC) make the quorum.

    Raises InputError for (1) and (2), VerificationError for (3) to (6), which
    waiting cannot mend, and NotEnoughError for (7).
    """
    keys = check_log(policy, parties)  # (1)
    said = parse_log_proof(proof, PROOF_FILE)  # (2)
    checkpoint = said.checkpoint
    if checkpoint.origin != policy.origin:  # (3)
        raise VerificationError(
            "a checkpoint of another log",
            where=PROOF_FILE,
            expected=policy.origin,
            got=shorten(checkpoint.origin),
            hint="get the proof that the project's own log gave for this release",
        )
    signers = _log_signers(keys.logs, checkpoint)  # (4)
    try:
        verify_inclusion_proof(  # (5)
            leaf_hash(entry), said.index, checkpoint.size, said.hashes, checkpoint.root
        )
    except VerificationError as error:
        raise VerificationError(
            f"not a proof of this release: {error.what}",
            where=PROOF_FILE,
            expected=error.expected,
            got=error.got,
            hint="the proof is of another release or of another log: do not use this release",
        ) from error
    seen = _cosigned(keys.witnesses, checkpoint)  # (6)
    counted = _require_quorum(policy, keys, seen, now)  # (7)
    times = sorted(datetime.fromtimestamp(time, UTC) for time in counted.values())
    return Inclusion(
        checkpoint=checkpoint,
        index=said.index,
        logs=signers,
        witnesses=tuple(sorted(counted)),
        oldest=times[0] if times else None,
        newest=times[-1] if times else None,
    )


def require_extends(older: Checkpoint, newer: Checkpoint, hashes: Sequence[bytes]) -> None:
    """Check that a log only grew from `older` to `newer`, two verified checkpoints.

    `hashes` are the consistency proof; there is none between equal sizes.  Raises
    VerificationError: another log, a log that went back, two histories of one log.
    """
    if older.origin != newer.origin:
        raise VerificationError(
            "a checkpoint of another log", expected=shorten(older.origin), got=shorten(newer.origin)
        )
    try:
        verify_consistency_proof(older.size, older.root, newer.size, newer.root, hashes)
    except VerificationError as error:
        raise VerificationError(
            f"the log does not extend what it showed before: {error.what}",
            where=shorten(newer.origin),
            expected=error.expected,
            got=error.got,
            hint="keep both checkpoints and show them to the project: together they are evidence",
        ) from error


def _log_signers(logs: tuple[LogMember, ...], checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the members that signed as the log; a false line condemns the checkpoint."""
    by_label = {log.key.label: log for log in logs}
    body = checkpoint.body()
    signers: list[str] = []
    for line in checkpoint.signatures:
        log = by_label.get((line.name, line.key_id))
        if log is not None:
            try:
                verify_note_signature(log.key, line, body)
            except VerificationError as error:
                raise _false("a false signature of the log", log, error) from error
            signers.append(log.name)
    if not signers:
        raise VerificationError(
            "no key of the log signed the checkpoint",
            where=PROOF_FILE,
            expected=", ".join(log.name for log in logs),
            hint="get the proof that the project's own log gave for this release",
        )
    return tuple(log.name for log in logs if log.name in signers)


def _cosigned(
    witnesses: tuple[LogMember, ...], checkpoint: Checkpoint
) -> dict[str, tuple[int, ...]]:
    """Return the times at which each witness cosigned, in seconds since 1970.

    A false line under a witness's label condemns the checkpoint (signed-note).
    """
    by_label = {witness.key.label: witness for witness in witnesses}
    body = checkpoint.body()
    seen: dict[str, tuple[int, ...]] = {}
    for line in checkpoint.signatures:
        witness = by_label.get((line.name, line.key_id))
        if witness is not None:
            try:
                time = verify_cosignature(witness.key, line, body)
            except VerificationError as error:
                raise _false("a false cosignature of a witness", witness, error) from error
            seen[witness.name] = (*seen.get(witness.name, ()), time)
    return seen


def _false(what: str, member: LogMember, error: VerificationError) -> VerificationError:
    return VerificationError(
        f"{what}: {error.what}",
        where=PROOF_FILE,
        got=member.name,
        hint="somebody changed the proof: get the release from another place",
    )


def _require_quorum(
    policy: LogPolicy, keys: LogKeys, seen: Mapping[str, tuple[int, ...]], now: datetime
) -> dict[str, int]:
    """Return the newest time of each witness that counts; raise NotEnoughError without quorum.

    A time too far ahead never counts: it would stay recent for ever.
    """
    latest = int((now + MAX_SKEW).timestamp())
    days = policy.max_age_days
    earliest = 0 if days is None else int((now - timedelta(days=days)).timestamp())
    past = {name: [t for t in times if t <= latest] for name, times in seen.items()}
    known = {name: max(times) for name, times in past.items() if times}
    recent = {name: time for name, time in known.items() if time >= earliest}
    if is_quorum(policy, keys, recent):
        return recent
    if is_quorum(policy, keys, known):
        newest = datetime.fromtimestamp(max(known.values()), UTC)
        raise NotEnoughError(
            "the witnesses saw this log too long ago",
            where=PROOF_FILE,
            expected=f"cosignatures of the last {days} days",
            got=f"the newest of {newest:%Y-%m-%d}",
            hint=_REFRESH,
        )
    ahead = sorted(set(seen) - set(known))
    raise NotEnoughError(
        "too few witnesses saw this log",
        where=PROOF_FILE,
        expected=f"quorum {policy.quorum}",
        got=", ".join([*sorted(known), *(f"{name} in the future" for name in ahead)]) or "none",
        hint=_REFRESH,
    )

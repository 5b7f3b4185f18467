"""What a witness does with a checkpoint: cosign it, or say why not.

A witness keeps, of every log it knows, the checkpoint it cosigned last.  It cosigns
another one only if the log grew out of that one, so nobody can be shown a history that
others are not shown without a witness that lies.  The caller keeps the new checkpoint
before the cosignature leaves the machine: a witness that forgets could be made to
cosign two histories.

Follows https://c2sp.org/tlog-witness; the numbers are those of its answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from relsign.crypto.merkle import EMPTY_ROOT, verify_consistency_proof
from relsign.crypto.notes import NoteKey, verify_note_signature
from relsign.errors import VerificationError
from relsign.formats.canonical import Value
from relsign.formats.checkpoint import Checkpoint
from relsign.formats.witnessing import AddCheckpoint

Status = Literal[200, 400, 403, 404, 409, 422]


class Judged(Value, frozen=True):
    """An answer: what to cosign, or the status that refuses it, and in words why."""

    status: Status
    words: str
    checkpoint: Checkpoint | None = None
    """What to keep, then cosign: signed by the log, lines of nobody else."""
    known_size: int = 0
    """With 409, the size the witness saw last."""
    is_split: bool = False
    """Whether the log signed two histories: this checkpoint and the one kept are the evidence."""


def judge_checkpoint(
    request: AddCheckpoint, logs: Mapping[str, Sequence[NoteKey]], kept: Checkpoint | None
) -> Judged:
    """Say what a witness answers, which knows `logs` by origin and `kept` of this one.

    (1) the log is known; (2) its key signed the checkpoint, and no line under a key of
    its is false; (3) the old size is not beyond the new; (4) a checkpoint of
    one size has one root; (5) the old size is the one kept; (6) the proof holds.
    """
    keys = logs.get(request.checkpoint.origin)
    if keys is None:  # (1)
        return Judged(404, "no log of this origin is known here")
    signed = _signed(request.checkpoint, keys)
    if signed is None:  # (2)
        return Judged(403, "no key of this log signed the checkpoint, or a signature is false")
    return _refused(request, kept) or Judged(200, "cosigned", checkpoint=signed)


def _refused(request: AddCheckpoint, kept: Checkpoint | None) -> Judged | None:
    """Return the answer to a checkpoint that does not extend the one kept, None if it does."""
    new = request.checkpoint
    known, root = (0, EMPTY_ROOT) if kept is None else (kept.size, kept.root)
    if request.old_size > new.size:  # (3)
        return Judged(400, "the old size is beyond the checkpoint's")
    if known == new.size and root != new.root:  # (4)
        words = f"a split view: at size {known} the log had another root before"
        return Judged(409, words, known_size=known, is_split=kept is not None)
    if request.old_size != known:  # (5)
        return Judged(409, f"another size was seen last: {known}", known_size=known)
    try:
        verify_consistency_proof(known, root, new.size, new.root, request.hashes)  # (6)
    except VerificationError as error:
        return Judged(422, f"the checkpoint does not extend the one seen last: {error.what}")
    return None


def _signed(checkpoint: Checkpoint, keys: Sequence[NoteKey]) -> Checkpoint | None:
    """Return the checkpoint with the log's own lines only, None unless there is a true one."""
    by_label = {key.label: key for key in keys}
    own = [line for line in checkpoint.signatures if (line.name, line.key_id) in by_label]
    try:
        for line in own:
            verify_note_signature(by_label[line.name, line.key_id], line, checkpoint.body())
    except VerificationError:
        return None
    if not own:
        return None
    return Checkpoint(
        checkpoint.origin, checkpoint.size, checkpoint.root, tuple(own), checkpoint.extensions
    )

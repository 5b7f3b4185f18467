"""What the gate will say about a release, asked before anybody signs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope
from relsign.formats.statement import Statement
from relsign.verify.decision import Question, decide
from relsign.verify.demands import Demands
from relsign.verify.root import TrustedRoot
from relsign.verify.verdict import find_problem

_STILL_TO_COME = frozenset({3, 8, 9})
"""Signatures, log and listing: a release is logged and listed when it is signed."""


def require_verifiable(
    root: TrustedRoot,
    statement: Statement,
    layout: bytes,
    evidence: Mapping[str, bytes],
    now: datetime,
) -> None:
    """Take the verifier's whole decision, but for what is still to come.

    `evidence` is links, provenance and fingerprints by name; `layout` the signed
    envelope.  Raises VerificationError or NotEnoughError with the first row that
    would keep the release from being published.
    """
    envelope = Envelope(payload=statement.to_bytes(), payload_type=INTOTO_PAYLOAD, signatures=())
    files = {**evidence, LAYOUT_FILE: layout, STATEMENT_FILE: envelope.to_bytes()}
    predicate = statement.predicate
    question = Question(
        root=root.data,
        bundle=make_bundle(predicate.project, predicate.version, files).to_bytes(),
        artifacts=statement.digests(),
        now=now,
        demands=Demands(refuse_dissent=root.root.policy.dissent == "refuse"),
    )
    rows = [row for row in decide(question).verdict.rows if row.number not in _STILL_TO_COME]
    problem = find_problem(rows, "would not be verified,")
    if problem is not None:
        raise problem

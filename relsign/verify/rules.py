"""Artifact rules of a layout, evaluated as in-toto does (specification 1.0, 4.3.3).

The queue starts with every path of one side of a step.  Rules consume from it in
order; REQUIRE demands a path that is still in it, DISALLOW demands that nothing
matching is left.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from relsign.errors import VerificationError
from relsign.formats.canonical import Value

Digests = Mapping[str, str]
"""Path -> SHA-256."""


class StepArtifacts(Value, frozen=True):
    """What a step took in and gave out, as its builders agreed."""

    materials: Digests
    products: Digests


def verify_rules(
    where: str,
    rules: tuple[tuple[str, ...], ...],
    queue_of: Digests,
    own: StepArtifacts,
    steps: Mapping[str, StepArtifacts],
) -> None:
    """Evaluate `rules` over the paths of `queue_of`; raise VerificationError if one fails."""
    queue = set(queue_of)
    for rule in rules:
        kind, pattern = rule[0], rule[1]
        if kind == "REQUIRE":
            if pattern not in queue:
                raise VerificationError("a required file is missing", where=where, got=pattern)
        elif kind == "DISALLOW":
            left = _matching(queue, pattern)
            if left:
                raise VerificationError(
                    "a file no rule allows", where=where, got=", ".join(sorted(left)[:3])
                )
        elif kind == "CREATE":
            queue -= {p for p in _matching(queue, pattern) if p not in own.materials}
        elif kind == "MATCH":
            source = steps[rule[5]]
            there = source.materials if rule[3] == "MATERIALS" else source.products
            queue -= {p for p in _matching(queue, pattern) if there.get(p) == queue_of[p]}
        else:
            queue -= _matching(queue, pattern)


def _matching(queue: set[str], pattern: str) -> set[str]:
    """Return the paths matching; a pattern without ``*`` costs one look-up."""
    if "*" not in pattern:
        return {pattern} & queue
    if pattern == "*":
        return set(queue)
    return set(fnmatch.filter(queue, pattern))

"""t of n, where n counts people: once per key and once per operator."""

from __future__ import annotations

from relsign.crypto.keys import Party


def distinct_operators(parties: tuple[Party, ...]) -> tuple[Party, ...]:
    """Return `parties` with the first of each operator only.

    The parties' keys are distinct already: `check_members` refused twins.
    """
    first: dict[str, Party] = {}
    for party in parties:
        first.setdefault(party.operator, party)
    return tuple(first.values())


def distinct_organisations(parties: tuple[Party, ...]) -> tuple[str, ...]:
    """Return the organisations of `parties`, each once, sorted."""
    return tuple(sorted({party.organisation for party in parties}))

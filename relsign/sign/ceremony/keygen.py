"""A new key: everybody deals, and the key is the sum of what nobody knows."""

from __future__ import annotations

from dataclasses import dataclass

from relsign.crypto.frost.keygen import (
    Dealing,
    Keygen,
    Polynomial,
    group_of,
    polynomial_of,
    verify_dealing,
)
from relsign.crypto.frost.signing import GroupShares
from relsign.sign.ceremony import dealt
from relsign.sign.ceremony.charter import Agreed
from relsign.sign.ceremony.steps import Outcome, Person, Table


@dataclass(frozen=True, slots=True)
class _Rules:
    agreed: Agreed

    def polynomial(self, me: Person) -> Polynomial:
        """Return a polynomial of random coefficients."""
        seeds = dealt.seeds_of(self.agreed, me, self.agreed.charter.threshold)
        return polynomial_of(self.agreed.identifiers[me.name], seeds)

    def verify(self, dealing: Dealing) -> None:
        """Check the number of commitments, and that the dealer knows the constant."""
        verify_dealing(dealing, self.agreed.charter.threshold, dealt.context_of(self.agreed))

    def group(self, dealings: list[Dealing]) -> GroupShares:
        """Return the group that the sum of all polynomials makes."""
        charter = self.agreed.charter
        people = self.agreed.numbers(charter.identities())
        terms = Keygen(charter.threshold, people, dealt.context_of(self.agreed))
        return group_of(terms, dealings)


def keygen(table: Table) -> Outcome:
    """Run a key generation as far as it goes (FROST, figure 1; RFC 9591 leaves it open).

    Raises AwaitedError where a message is missing, CulpritError for whoever said what
    does not fit, VerificationError if the dealings cancel each other out.
    """
    return dealt.run(table, _Rules(table.agreed))

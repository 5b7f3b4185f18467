"""New shares of the same key: to the same people, or to others, with any threshold.

As many old holders as it takes deal what they have.  The old shares go on signing until
they are destroyed: it is each old holder's duty to do so, and nobody can see that it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from relsign.crypto.frost.keygen import Dealing, Polynomial
from relsign.crypto.frost.resharing import (
    Resharing,
    check_share,
    deal_again,
    group_again,
    verify_dealing_again,
)
from relsign.crypto.frost.signing import GroupShares, SecretShare
from relsign.errors import InputError, VerificationError
from relsign.sign.ceremony import dealt
from relsign.sign.ceremony.charter import Agreed
from relsign.sign.ceremony.group import shares_of
from relsign.sign.ceremony.steps import Outcome, Person, Table


@dataclass(frozen=True, slots=True)
class _Rules:
    agreed: Agreed
    terms: Resharing

    def polynomial(self, me: Person) -> Polynomial:
        """Return a polynomial whose constant is the old share times its Lagrange factor."""
        seeds = dealt.seeds_of(self.agreed, me, self.terms.threshold - 1)
        return deal_again(self.terms, old_share(self.agreed, self.terms.old, me), seeds)

    def verify(self, dealing: Dealing) -> None:
        """Check that a dealing is of the dealer's old share."""
        verify_dealing_again(self.terms, dealing)

    def group(self, dealings: list[Dealing]) -> GroupShares:
        """Return the new group, under the old key."""
        return group_again(self.terms, dealings)


def reshare(table: Table) -> Outcome:
    """Run a resharing as far as it goes.

    Raises AwaitedError where a message is missing, CulpritError for whoever said what
    does not fit, InputError where a dealer asks without the share of the group before.
    """
    agreed = table.agreed
    terms = Resharing(
        old=shares_of(agreed.before()),
        dealers=agreed.numbers(agreed.charter.dealers),
        threshold=agreed.charter.threshold,
        receivers=agreed.numbers(agreed.charter.identities()),
        context=dealt.context_of(agreed),
    )
    return dealt.run(table, _Rules(agreed, terms))


def old_share(agreed: Agreed, old: GroupShares, me: Person) -> SecretShare:
    """Return the share `me` has of the group before; raise InputError if it is not that."""
    if me.share is None:
        raise InputError(
            "no share to deal from",
            where=me.name,
            hint="run this where your share is; if it is lost, name another dealer",
        )
    if me.share.identifier != agreed.identifiers[me.name]:
        raise InputError(
            "the share is somebody else's",
            where=me.name,
            hint="load your own share of the group before",
        )
    try:
        check_share(old, me.share)
    except VerificationError as error:
        raise InputError(error.what, where=me.name, hint=error.hint) from error
    return me.share

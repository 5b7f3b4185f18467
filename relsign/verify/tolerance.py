"""How many keys of a role may be lost before it is stuck, how many stolen before it is forged.

Counted for the worst case: the loser takes the keys that matter most, the thief those
that are cheapest.  Builders need people and organisations; witnesses the groups of the
log's quorum, which are a tree because no name stands in two of them.  A key that people
share (`GroupPublic`) is as many keys as it has shares: it acts while its threshold is
there, so a thief needs the threshold of shares.

    for duty in duties(root.policy, parties):
        numbers = tolerance(duty)
        print(duty.role, numbers.may_be_lost, numbers.stolen_to_forge)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import combinations

from relsign.crypto.keys import GroupPublic, Party, parties_of
from relsign.crypto.threshold import distinct_operators, distinct_organisations
from relsign.formats.log import NO_QUORUM, LogPolicy
from relsign.formats.root import RootPolicy
from relsign.formats.roster import Role
from relsign.verify.witnesses import LogKeys, check_log, is_quorum

MANY_ORGANISATIONS = 4
"""Organisations of witnesses and groups are counted up to three; this is four or more."""


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A key of a role that is nobody's alone."""

    holder: Party
    """The group, as the roster names it."""
    threshold: int
    people: tuple[Party, ...]
    """Who holds a share: the same people are members with keys of their own."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What a role decides, and who can: the keys that count, and how many must concur."""

    role: Role
    holders: tuple[Party, ...]
    """Members who hold the role; a group is one of them."""
    need: int
    """Distinct operators; of witnesses the fewest that make the quorum."""
    organisations: int = 1
    log: LogPolicy | None = None
    """The policy whose quorum the witnesses make; None for every other role."""
    keys: LogKeys | None = None
    shared: tuple[SharedKey, ...] = ()
    """The keys of `holders` that are groups'."""

    @property
    def parties(self) -> tuple[Party, ...]:
        """Whose keys and shares can be lost or stolen: people, in place of their groups."""
        groups = {key.holder.name for key in self.shared}
        alone = tuple(party for party in self.holders if party.name not in groups)
        return alone + tuple(person for key in self.shared for person in key.people)

    def acts(self, parties: Collection[Party]) -> bool:
        """Say whether these people, with all of their keys and shares, can act for the role."""
        names = {party.name for party in parties}
        for key in self.shared:
            there = sum(person.name in names for person in key.people)
            if there >= key.threshold:
                names.add(key.holder.name)
        here = tuple(party for party in self.holders if party.name in names)
        if self.log is not None and self.keys is not None:
            return is_quorum(self.log, self.keys, [party.name for party in here])
        people = distinct_operators(here)
        places = distinct_organisations(people)
        return len(people) >= self.need and len(places) >= self.organisations

    def without(self, gone: Collection[Party]) -> bool:
        """Say whether the role still works when these people are gone."""
        names = {party.name for party in gone}
        return self.acts([party for party in self.parties if party.name not in names])


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The numbers of one role."""

    role: Role
    keys: int
    people: int
    organisations: int
    need: int
    may_be_lost: int
    """Whichever so many keys are lost, the role still works."""
    stolen_to_forge: int
    """The fewest keys with which a thief can act for the role."""
    organisations_to_forge: int
    """The fewest organisations that together can; see `MANY_ORGANISATIONS`."""


def duties(policy: RootPolicy, parties: tuple[Party, ...]) -> tuple[Duty, ...]:
    """Return what each role that decides anything needs; `parties` are the root's, checked.

    Raises InputError for a log policy that cannot stand (`check_log`).
    """
    thresholds = policy.thresholds
    owners = parties_of(parties, "owner")
    found = [
        Duty("owner", owners, thresholds.owners, shared=_shared(owners, parties)),
        Duty("signer", parties_of(parties, "signer"), thresholds.signers),
        Duty(
            "builder", parties_of(parties, "builder"), thresholds.builders, thresholds.organisations
        ),
    ]
    releasing = parties_of(parties, "release")
    if releasing:
        found.append(Duty("release", releasing, 1, shared=_shared(releasing, parties)))
    publishers = parties_of(parties, "publisher")
    if publishers:
        found.append(Duty("publisher", publishers, 1))
    if policy.log is not None:
        keys = check_log(policy.log, parties)
        logs = {log.name for log in keys.logs}
        found.append(Duty("log", tuple(p for p in parties if p.name in logs), 1))
        if policy.log.quorum != NO_QUORUM:
            names = set(_below(policy.log, policy.log.quorum))
            watching = tuple(party for party in parties if party.name in names)
            need = _price(policy.log, keys, policy.log.quorum, steal=True)
            found.append(Duty("witness", watching, need, log=policy.log, keys=keys))
    return tuple(found)


def _shared(holders: tuple[Party, ...], parties: tuple[Party, ...]) -> tuple[SharedKey, ...]:
    return tuple(
        SharedKey(
            holder,
            holder.key.threshold,
            tuple(party for party in parties if party.name in holder.key.participants),
        )
        for holder in holders
        if isinstance(holder.key, GroupPublic)
    )


def tolerance(duty: Duty) -> Tolerance:
    """Return the numbers of a role."""
    people = {party.operator for party in duty.parties}
    places = Counter(party.organisation for party in duty.parties)
    need = duty.need
    if duty.log is not None and duty.keys is not None:
        quorum = duty.log.quorum
        to_block = _price(duty.log, duty.keys, quorum, steal=False)
        to_forge = _price(duty.log, duty.keys, quorum, steal=True)
        organisations = _organisations_searched(duty)
    else:
        losses, thefts = _votes(duty)
        # Too few people are left, or they are of too few organisations.
        to_block = min(
            _cheapest(losses, len(losses) - duty.need + 1),
            _cheapest(places.values(), len(places) - duty.organisations + 1),
        )
        to_forge = _cheapest(thefts, duty.need)
        organisations = (
            _organisations_searched(duty) if duty.shared else _organisations_counted(duty)
        )
    if duty.role == "release":
        need = to_forge
    return Tolerance(
        role=duty.role,
        keys=len(duty.parties),
        people=len(people),
        organisations=len(places),
        need=need,
        may_be_lost=to_block - 1,
        stolen_to_forge=to_forge,
        organisations_to_forge=organisations,
    )


def _votes(duty: Duty) -> tuple[list[int], list[int]]:
    """Return for each operator how many keys and shares prevent its vote, and make it.

    All of the keys of one who has several must go; one of them is enough to steal.  Of a
    shared key so many shares that fewer than the threshold are left, or the threshold.
    """
    shared = {key.holder.name: key for key in duty.shared}
    losses: Counter[str] = Counter()
    thefts: dict[str, int] = {}
    for party in duty.holders:
        key = shared.get(party.name)
        losses[party.operator] += 1 if key is None else len(key.people) - key.threshold + 1
        thefts[party.operator] = 1 if key is None else key.threshold
    return list(losses.values()), list(thefts.values())


def _cheapest(prices: Iterable[int], count: int) -> int:
    return sum(sorted(prices)[:count])


def _organisations_counted(duty: Duty) -> int:
    """Take the organisations with the most people until they are people enough."""
    people = Counter(party.organisation for party in distinct_operators(duty.parties))
    reached, count = 0, 0
    for number in sorted(people.values(), reverse=True):
        if reached >= duty.need:
            break
        reached += number
        count += 1
    return max(count, duty.organisations)


def _organisations_searched(duty: Duty) -> int:
    """Try one organisation, then two, then three: `MANY_ORGANISATIONS` stands for more."""
    names = distinct_organisations(duty.parties)
    for count in range(1, MANY_ORGANISATIONS):
        for some in combinations(names, count):
            if duty.acts([party for party in duty.parties if party.organisation in some]):
                return count
    return MANY_ORGANISATIONS


def _below(policy: LogPolicy, name: str) -> list[str]:
    """Return the witnesses under a name: itself, or those of the group and its groups."""
    groups = {group.name: group for group in policy.group}
    if name not in groups:
        return [name]
    return [found for inner in groups[name].of for found in _below(policy, inner)]


def _price(policy: LogPolicy, keys: LogKeys, name: str, *, steal: bool) -> int:
    """Return how many witnesses' keys it takes to make a group's vote, or to prevent it.

    The exact counterpart of `is_quorum`: where a number is needed an operator votes once,
    so one of its keys makes that vote and all of them must go to prevent it.
    """
    groups = {group.name: group for group in policy.group}
    if name not in groups:
        return 1
    group = groups[name]
    prices = {inner: _price(policy, keys, inner, steal=steal) for inner in group.of}
    if not isinstance(group.need, int):
        # All to make the vote of "all", any one to prevent it; the other way round for "any".
        every = (group.need == "all") == steal
        return sum(prices.values()) if every else min(prices.values())
    operators = {witness.name: witness.operator for witness in keys.witnesses}
    machines = Counter(operators[inner] for inner in group.of if inner not in groups)
    voters = [prices[inner] for inner in group.of if inner in groups]
    voters += [1 if steal else count for count in machines.values()]
    return _cheapest(voters, group.need if steal else len(voters) - group.need + 1)

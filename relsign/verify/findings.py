"""The single points of failure of a root: who alone can deceive, and what alone can stop.

Each finding says in one sentence what happens and in another what to do.  It is advice:
owners may have reasons, and nothing here changes a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from relsign.crypto.keys import GroupPublic, OpenPGPPublic, Party
from relsign.crypto.threshold import distinct_organisations
from relsign.formats.log import NO_QUORUM
from relsign.formats.root import Root
from relsign.formats.roster import Role
from relsign.verify.tolerance import Duty, tolerance

SOON = timedelta(days=60)
"""How long before a date it is named: time to meet, renew, sign and let people fetch."""


class Gravity(IntEnum):
    """What a finding comes to, the gravest first."""

    GRAVE = 1
    """One theft, one person or one organisation can deceive the people who verify."""
    SERIOUS = 2
    """One loss or one date stops the project, or a safeguard does not guard."""
    ADVICE = 3
    """Could be better."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One weakness: what happens, and what to do."""

    gravity: Gravity
    code: str
    what: str
    todo: str


_ACTS: dict[Role, str] = {
    "owner": "replace the root, and with it everybody in it",
    "signer": "sign a release for all signers",
    "builder": "say what bytes a release has",
    "publisher": "hide newer releases until the listing expires",
    "log": "log a release in secret, as far as no witness is asked for",
    "witness": "make the log's quorum of witnesses",
    "release": "sign what gpg, minisign and other tools then take for a release",
}
_STOPS: dict[Role, str] = {
    "owner": "no root and no layout can be signed any more, and everybody must pin anew",
    "signer": "no release can be signed until the owners make a new root",
    "builder": "no release has its quorum until the owners make a new root",
    "publisher": "the listing expires, and nobody learns what the newest release is",
    "log": "no release can be logged until the owners make a new root",
    "witness": "no release gets its log proof until the owners make a new root",
    "release": "nothing can be signed with the release key, which people may have pinned",
}
_OF_GROUP = "after that gpg takes its signatures for those of an expired key"
_SHARE = "share the key among people of more organisations: `relsign ceremony new`"
_FORGED_BY: dict[Role, Gravity] = {
    "owner": Gravity.GRAVE,
    "signer": Gravity.SERIOUS,
    "builder": Gravity.GRAVE,
    "witness": Gravity.SERIOUS,
    "release": Gravity.SERIOUS,
}
"""How grave it is where one alone can act.  One publisher and one log are meant to."""


def of_duty(duty: Duty) -> Iterator[Finding]:
    """Yield what one theft, one loss or one organisation does to a role."""
    operators = tuple(dict.fromkeys(party.operator for party in duty.parties))
    numbers = tolerance(duty)
    if duty.role in _FORGED_BY and numbers.stolen_to_forge == 1:
        yield Finding(
            _FORGED_BY[duty.role],
            "one-theft",
            f"one stolen {_key_of(duty)} can {_ACTS[duty.role]}",
            _or_share(duty, f"ask for two or more {duty.role}s"),
        )
    stops = [one for one in operators if not duty.without(_of_operator(duty, one))]
    if stops:
        yield Finding(
            Gravity.SERIOUS,
            "one-loss",
            f"if {_one_of(stops)} is lost, {_STOPS[duty.role]} "
            f"({numbers.people} in {numbers.organisations} organisations, "
            f"needed {numbers.need} in {duty.organisations})",
            _or_share(
                duty, f"enrol another {duty.role}, of an organisation that has none to spare"
            ),
        )
    yield from _organisations(duty, stops, forged=numbers.stolen_to_forge)


def _organisations(duty: Duty, stops: list[str], *, forged: int) -> Iterator[Finding]:
    for place in distinct_organisations(duty.parties):
        here = [party for party in duty.parties if party.organisation == place]
        alone = len(here) == len(duty.parties)
        if duty.role in _FORGED_BY and duty.acts(here) and forged > 1:
            whose = f"all {_holders(duty)} are of {place}, which" if alone else place
            yield Finding(
                _FORGED_BY[duty.role],
                "one-organisation-acts",
                f"{whose} alone can {_ACTS[duty.role]}",
                _or_share(
                    duty,
                    f"enrol {duty.role}s of other organisations, and ask for more than {place} has",
                ),
            )
        if not duty.without(here) and not {party.operator for party in here} & set(stops):
            yield Finding(
                Gravity.ADVICE,
                "one-organisation-stops",
                f"if {place} leaves, {_STOPS[duty.role]}",
                _or_share(duty, f"enrol more {duty.role}s of other organisations"),
            )


def of_people(parties: tuple[Party, ...]) -> Iterator[Finding]:
    """Yield operators with several roles, keys with several, and several keys in one role."""
    for party in parties:
        if len(party.roles) > 1:
            yield Finding(
                Gravity.SERIOUS,
                "one-key-several-roles",
                f"the key of {party.name} is {_and(party.roles)}: one theft takes all of them",
                "give each role its own key, on another machine, and set share_roles = false",
            )
    for operator in dict.fromkeys(party.operator for party in parties):
        own = [party for party in parties if party.operator == operator]
        roles = tuple(dict.fromkeys(role for party in own for role in party.roles))
        if len(own) > 1 and len(roles) > 1:
            yield Finding(
                Gravity.SERIOUS,
                "one-operator-several-roles",
                f"{operator} is {_and(roles)}: who takes over {operator} has a voice in each",
                "let different people or machines hold these roles",
            )
        for role in roles:
            several = [party.name for party in own if role in party.roles]
            if len(several) > 1:
                yield Finding(
                    Gravity.ADVICE,
                    "one-operator-several-keys",
                    f"{operator} runs {_and(several)} as {role}: they count as one",
                    "name the operator of each machine, or keep one key",
                )


def of_release(root: Root, found: tuple[Duty, ...]) -> Iterator[Finding]:
    """Yield organisations that can make a release from its start to its end, alone."""
    asked = {"owner", "signer", "builder"}
    if root.policy.release_key != "optional":
        asked.add("release")
    making = [duty for duty in found if duty.role in asked]
    for place in distinct_organisations(making[0].parties):
        if all(duty.acts([p for p in duty.parties if p.organisation == place]) for duty in making):
            yield Finding(
                Gravity.GRAVE,
                "one-organisation-releases",
                f"{place} alone can approve, build and sign a release, whatever is in it",
                "raise thresholds.organisations, and let others be owners and signers",
            )


def of_release_key(root: Root, found: tuple[Duty, ...]) -> Iterator[Finding]:
    """Yield where the release key asks for less than the signers do, or is not asked for."""
    for duty in (duty for duty in found if duty.role == "release"):
        name, need = duty.holders[0].name, tolerance(duty).stolen_to_forge
        if duty.shared and need < root.thresholds.signers:
            yield Finding(
                Gravity.ADVICE,
                "release-key-is-weaker",
                f"{need} stolen shares of {name} can {_ACTS['release']}, "
                f"while relsign asks for {root.thresholds.signers} signers",
                "raise the threshold of the group: `relsign ceremony new`",
            )
        if root.policy.release_key == "optional":
            yield Finding(
                Gravity.ADVICE,
                "release-key-is-optional",
                f"a release verifies without the signature of {name}",
                'take release_key = "optional" out of the policy once every release has it',
            )


def of_publishers(root: Root, found: tuple[Duty, ...]) -> Iterator[Finding]:
    """Yield what is missing where nobody, or everybody alone, tells of the newest release."""
    required = root.policy.freshness.required
    if any(duty.role == "publisher" for duty in found):
        yield Finding(
            Gravity.ADVICE,
            "one-publisher-hides",
            f"any one publisher's stolen key can {_ACTS['publisher']}",
            f"keep freshness.days small ({root.policy.freshness.days} now), and ask for a log",
        )
        return
    yield Finding(
        Gravity.SERIOUS if required else Gravity.ADVICE,
        "no-publisher",
        "freshness is required and nobody can attest it: no release verifies"
        if required
        else "nobody says which release is the newest: a mirror can hide it",
        "enrol a publisher with `relsign key new NAME --role publisher`",
    )


def of_log(root: Root, parties: tuple[Party, ...]) -> Iterator[Finding]:
    """Yield what a log, or the want of one, leaves unseen."""
    policy = root.policy.log
    if policy is None:
        yield Finding(
            Gravity.ADVICE,
            "no-log",
            "a release made with stolen keys for one victim is seen by nobody else",
            "name a transparency log and its witnesses in [log] of the policy",
        )
        return
    if policy.quorum == NO_QUORUM:
        yield Finding(
            Gravity.SERIOUS,
            "no-witnesses",
            f"the log {policy.origin} can show two people two histories",
            "set a quorum of witnesses in [log] of the policy",
        )
    watching = set(policy.witnesses())
    logs = {p.organisation for p in parties if p.name in policy.members}
    for party in parties:
        if party.name in watching and party.organisation in logs:
            yield Finding(
                Gravity.ADVICE,
                "log-watches-itself",
                f"the witness {party.name} is of {party.organisation}, which also runs the log",
                "let witnesses of other organisations make the quorum",
            )


def of_dates(
    root: Root, parties: tuple[Party, ...], listing_expires: datetime | None, now: datetime
) -> Iterator[Finding]:
    """Yield what has expired or will soon: the root, OpenPGP keys, the listing."""
    gone = Gravity.GRAVE if now >= root.expires else Gravity.SERIOUS
    if root.expires - now < SOON:
        yield Finding(
            gone,
            "root-expires",
            f"the root {_when(root.expires, now)}: after that every verdict is REFUSED",
            "run `relsign root rotate --renew`, sign and publish it",
        )
    for party in parties:
        until = _usable_until(party)
        if until is not None and until - now < SOON:
            group = isinstance(party.key, GroupPublic)
            yield Finding(
                Gravity.SERIOUS,
                "key-expires",
                f"the OpenPGP key of {party.name} {_when(until, now)}: "
                + (_OF_GROUP if group else "after that its signatures count for nobody"),
                "let the group renew its certificate, and publish it"
                if group
                else "vouch for old releases, then replace the key",
            )
    days = timedelta(days=root.policy.freshness.days)
    if listing_expires is not None and listing_expires - now < days / 2:
        yield Finding(
            Gravity.SERIOUS,
            "listing-expires",
            f"the listing of releases {_when(listing_expires, now)}: "
            "after that nobody knows whether a release is the newest",
            "let a publisher sign it anew, by a timer, well before that",
        )


def of_builders(root: Root) -> Iterator[Finding]:
    """Yield what builders that agree may still have in common."""
    policy, thresholds = root.policy, root.thresholds
    asked = policy.diversity
    if (asked.engines, asked.platforms, asked.environments) == (1, 1, 1):
        yield Finding(
            Gravity.ADVICE,
            "no-diversity",
            "builders may all run the same engine, platform and environment: "
            "one flaw in it makes them agree on wrong bytes",
            "ask for two engines, platforms or environments in [diversity] of the policy",
        )
    if thresholds.builders > 1 and thresholds.organisations == 1:
        yield Finding(
            Gravity.ADVICE,
            "no-organisations",
            "builders of one organisation may make the whole quorum",
            "raise thresholds.organisations to 2 or more",
        )
    if not policy.commit:
        yield Finding(
            Gravity.ADVICE,
            "no-commitments",
            "a builder that builds nothing can copy the result of another",
            "set commit = true in the policy",
        )
    if policy.dissent == "refuse":
        yield Finding(
            Gravity.ADVICE,
            "one-dissenter-stops",
            "one builder that is broken or stolen can stop a release by other bytes",
            "find out why it differs; remove it with `relsign root remove NAME` if it lies",
        )


def _usable_until(party: Party) -> datetime | None:
    """Return when the last signing key of an OpenPGP certificate expires, if it does."""
    if isinstance(party.key, GroupPublic) and party.key.certificate is not None:
        # As in `relsign.crypto.keys`: loaded for the few roots that have such a key.
        from relsign.crypto.openpgp import parse_certificate  # noqa: PLC0415

        certificate = parse_certificate(party.key.certificate, party.name)
    elif isinstance(party.key, OpenPGPPublic):
        certificate = party.key.certificate
    else:
        return None
    ends = [key.expires_at for key in certificate.signing_keys if not key.revoked]
    last = max((end for end in ends if end is not None), default=None)
    bounds = [certificate.expires_at, None if None in ends else last]
    return min((bound for bound in bounds if bound is not None), default=None)


def _of_operator(duty: Duty, operator: str) -> list[Party]:
    return [party for party in duty.parties if party.operator == operator]


def _when(moment: datetime, now: datetime) -> str:
    day = f"{moment:%Y-%m-%d}"
    return f"expired on {day}" if now >= moment else f"expires on {day}"


def _key_of(duty: Duty) -> str:
    return "release key" if duty.role == "release" else f"{duty.role}'s key"


def _holders(duty: Duty) -> str:
    return "holders of the release key" if duty.role == "release" else f"{duty.role}s"


def _or_share(duty: Duty, todo: str) -> str:
    """Return what to do; a role that one member holds is not mended by enrolling another."""
    return _SHARE if duty.role == "release" else todo


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"any one of {', '.join(names)}"


def _and(words: tuple[str, ...] | list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"

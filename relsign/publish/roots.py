"""What changes when one trust root takes another's place, in lines people compare."""

from __future__ import annotations

from dataclasses import dataclass

from relsign.crypto.digest import sha256_hex
from relsign.formats.log import LogPolicy
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation, RevokedKey, Vouched
from relsign.formats.root import Root
from relsign.formats.roster import FrostKey, Member

_NOBODY = "none"
_THRESHOLDS = ("owners", "signers", "builders", "organisations")


@dataclass(frozen=True, slots=True)
class RootChange:
    """A root that was put in place: its digest, and a line for each difference."""

    sha256: Digest
    version: int
    lines: tuple[str, ...]


def describe_change(old: Root | None, new: Root) -> RootChange:
    """Return how `new` differs from the root published before, if there was one."""
    digest = sha256_hex(new.to_bytes())
    if old is None:
        return RootChange(digest, new.version, (f"version {new.version}, the first root here",))
    lines = [f"version {old.version} → {new.version}"]
    for name in _THRESHOLDS:
        before, after = getattr(old.thresholds, name), getattr(new.thresholds, name)
        if before != after:
            lines.append(f"thresholds.{name} {before} → {after}")
    before_rules, after_rules = _rules(old), _rules(new)
    for name, after in after_rules.items():
        if before_rules[name] != after:
            lines.append(f"{name} {before_rules[name]} → {after}")
    if old.expires.date() != new.expires.date():
        lines.append(f"expires {old.expires.date()} → {new.expires.date()}")
    lines += _member_lines(old, new)
    # Whole entries are compared: the words show only the beginning of a digest.
    before_said, after_said = _standing(old), _standing(new)
    lines += [said[1] for said in after_said if said not in before_said]
    lines += [f"NO LONGER {said[1]}" for said in before_said if said not in after_said]
    return RootChange(digest, new.version, tuple(lines))


def root_rules(root: Root) -> tuple[str, ...]:
    """Return what a root asks for, a line each, for owners who are about to sign it."""
    needs = root.thresholds
    thresholds = (
        f"thresholds: {_count(needs.owners, 'owner')}, {_count(needs.signers, 'signer')}, "
        f"{_count(needs.builders, 'builder')} of {_count(needs.organisations, 'organisation')}"
    )
    rules = _rules(root)
    if rules["release_key"] == _NOBODY:
        del rules["release_key"]
    return (thresholds, *(f"{name}: {words}" for name, words in rules.items()))


def _revocation_words(revoked: Revocation) -> str:
    """Return a revoked release in one line."""
    what = (
        f"release {revoked.version}"
        if revoked.version is not None
        else f"statement {(revoked.statement_sha256 or '')[:16]}"
    )
    use = f"; use {revoked.replacement}" if revoked.replacement else ""
    return f"revoked {what}: {revoked.reason}{use}"


def _rules(root: Root) -> dict[str, str]:
    """Return the rules beside the thresholds, by name and in words."""
    policy = root.policy
    fresh, unlike = policy.freshness, policy.diversity
    heard = "required" if fresh.required else "not required"
    return {
        "dissent": policy.dissent,
        "share_roles": "yes" if policy.share_roles else "no",
        "commit": "yes" if policy.commit else "no",
        "release_key": _release_key_words(root),
        "freshness": f"{heard}, a listing is fresh for {_count(fresh.days, 'day')}",
        "diversity": f"{_count(unlike.engines, 'engine')}, "
        f"{_count(unlike.platforms, 'platform')}, {_count(unlike.environments, 'environment')}",
        "log": "none" if policy.log is None else _log_words(policy.log),
    }


def _release_key_words(root: Root) -> str:
    holders = [member.name for member in root.members if "release" in member.roles]
    if not holders:
        return _NOBODY
    asked = "optional" if root.policy.release_key == "optional" else "required"
    return f"{asked}, held by {', '.join(holders)}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _log_words(log: LogPolicy) -> str:
    groups = "".join(f"; {g.name} is {g.need} of {', '.join(g.of)}" for g in log.group)
    age = f"; not older than {_count(log.max_age_days, 'day')}" if log.max_age_days else ""
    return f"{log.origin} kept by {', '.join(log.members)}, witnessed by {log.quorum}{groups}{age}"


def _standing(root: Root) -> list[tuple[object, str]]:
    """Return what a root takes back and stands by, each with its line."""
    policy = root.policy
    return [
        *((revoked, _revocation_words(revoked)) for revoked in policy.revoked),
        *((key, _key_words(key)) for key in policy.revoked_keys),
        *((vouched, _vouched_words(vouched)) for vouched in policy.vouched),
    ]


def _key_words(key: RevokedKey) -> str:
    use = f"; {key.replacement} takes its place" if key.replacement else ""
    return f"revoked key {key.name} {key.keyid[:16]}: {key.reason}{use}"


def _vouched_words(vouched: Vouched) -> str:
    statement, root = vouched.statement_sha256[:16], vouched.root_sha256[:16]
    return f"vouches for {vouched.version}, statement {statement}, made under root {root}"


def _member_lines(old: Root, new: Root) -> list[str]:
    before = {member.name: member for member in old.members}
    after = {member.name: member for member in new.members}
    lines = [
        f"added {m.name} ({', '.join(m.roles)}; {m.operator}, {m.organisation})"
        for m in new.members
        if m.name not in before
    ]
    lines += [
        f"removed {m.name} ({', '.join(m.roles)})" for m in old.members if m.name not in after
    ]
    return lines + [
        f"changed {name}: {_what_changed(member, after[name])}"
        for name, member in before.items()
        if name in after and after[name] != member
    ]


def _what_changed(old: Member, new: Member) -> str:
    """Return what is new about a member; a group keeps its key when its people change."""
    if old.key == new.key:
        return "roles or operator"
    if not (isinstance(old.key, FrostKey) and isinstance(new.key, FrostKey)):
        return "another key"
    if old.key.public != new.key.public:
        return "another key"
    shares = (old.key.threshold, old.key.participants)
    if shares == (new.key.threshold, new.key.participants):
        return "another certificate of the same key"
    people = ", ".join(new.key.participants)
    return f"the same key, now of {new.key.threshold} of {people}"

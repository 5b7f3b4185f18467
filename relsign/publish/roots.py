"""What changes when one trust root takes another's place, in lines people compare."""

from __future__ import annotations

from dataclasses import dataclass

from relsign.crypto.digest import sha256_hex
from relsign.formats.canonical import encode_canonical
from relsign.formats.names import Digest
from relsign.formats.root import Root

_PLAIN = ("dissent", "share_roles", "commit", "freshness", "diversity", "log")
_LISTS = ("revoked", "revoked_keys", "vouched")
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
    for name in _PLAIN:
        before, after = getattr(old.policy, name), getattr(new.policy, name)
        if before != after:
            lines.append(f"{name} {_shown(before)} → {_shown(after)}")
    if old.expires.date() != new.expires.date():
        lines.append(f"expires {old.expires.date()} → {new.expires.date()}")
    lines += _member_lines(old, new)
    for name in _LISTS:
        before, after = getattr(old.policy, name), getattr(new.policy, name)
        lines += [f"{name}: added {_shown(entry)}" for entry in after if entry not in before]
        lines += [f"{name}: NO LONGER {_shown(entry)}" for entry in before if entry not in after]
    return RootChange(digest, new.version, tuple(lines))


def _shown(value: object) -> str:
    """Return a value of a root in one line, as the canonical JSON it stands in."""
    return encode_canonical(value).decode()


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
        f"changed {name}: {'another key' if after[name].key != member.key else 'roles or operator'}"
        for name, member in before.items()
        if name in after and after[name] != member
    ]

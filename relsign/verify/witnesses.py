"""Who may sign a checkpoint: the log's members, its witnesses, and what makes a quorum.

Decides that the names of a log policy are members who can do what it asks of them, and
that nobody counts twice: witnesses count by operator, as everybody else does.
"""

from __future__ import annotations

from collections.abc import Collection

from relsign.crypto.keys import Ed25519Public, Party
from relsign.crypto.notes import COSIGNATURE_V1, NOTE_ED25519, NoteKey
from relsign.errors import InputError
from relsign.formats.canonical import Value
from relsign.formats.checkpoint import is_key_name
from relsign.formats.log import NO_QUORUM, LogPolicy
from relsign.formats.roster import Role


class LogMember(Value, frozen=True):
    """A member whose key signs checkpoints: as the log, or as a witness of it."""

    name: str
    operator: str
    key: NoteKey


class LogKeys(Value, frozen=True):
    """A policy's names, turned into members whose keys were checked."""

    logs: tuple[LogMember, ...]
    witnesses: tuple[LogMember, ...]


def check_log(policy: LogPolicy, parties: tuple[Party, ...], where: str = "log") -> LogKeys:
    """Return the members a policy names, refusing names and groups that cannot stand.

    (1) every log and witness is a member with that role; (2) a witness's name can be
    a key name; (3) no group bears a member's name; (4) no two log keys have one label;
    (5) nobody who runs the log is a witness of it; (6) one operator's witnesses stand
    in one group, where they count once; (7) every group has operators enough.
    Raises InputError; key material was compared by `check_members`.
    """
    logs = _log_members(policy, parties, f"{where}: members")  # (1)
    witnesses = _witnesses(policy, parties, f"{where}: group")
    for witness in witnesses:
        if not is_key_name(witness.name):  # (2)
            hint = "give the witness a member name without +"
            raise InputError("not a key name", where=where, got=witness.name, hint=hint)
    members = {party.name for party in parties}
    for group in policy.group:
        if group.name in members:  # (3)
            hint = "rename the group"
            raise InputError("group named as a member", where=where, got=group.name, hint=hint)
    if len({log.key.label for log in logs}) < len(logs):  # (4)
        raise InputError("two log keys with one key id", where=where, hint="make another key")
    for witness in witnesses:
        if witness.operator in {log.operator for log in logs}:  # (5)
            raise InputError(
                "a witness is run by the log's own operator",
                where=where,
                got=witness.name,
                hint="name a witness of somebody else: nobody vouches for himself",
            )
    _check_groups(policy, witnesses, where)
    return LogKeys(logs, witnesses)


def _log_members(
    policy: LogPolicy, parties: tuple[Party, ...], where: str
) -> tuple[LogMember, ...]:
    """Return the log's members; the key name of each is the origin (tlog-policy)."""
    found = _having("log", policy.members, parties, where)
    return tuple(
        LogMember(party.name, party.operator, NoteKey(policy.origin, NOTE_ED25519, key))
        for party, key in found
    )


def _witnesses(policy: LogPolicy, parties: tuple[Party, ...], where: str) -> tuple[LogMember, ...]:
    """Return the witnesses; the key name of each is its member name."""
    found = _having("witness", tuple(policy.witnesses()), parties, where)
    return tuple(
        LogMember(party.name, party.operator, NoteKey(party.name, COSIGNATURE_V1, key))
        for party, key in found
    )


def _having(
    role: Role, names: tuple[str, ...], parties: tuple[Party, ...], where: str
) -> list[tuple[Party, Ed25519Public]]:
    found = {
        party.name: (party, party.key)
        for party in parties
        if role in party.roles and isinstance(party.key, Ed25519Public)
    }
    for name in names:
        if name not in found:
            raise InputError(
                f"no member with the role {role} has this name",
                where=where,
                expected=", ".join(sorted(found)),
                got=name,
                hint="name members of keys/roster.toml, and groups that stand before",
            )
    return [found[name] for name in names]


def _check_groups(policy: LogPolicy, witnesses: tuple[LogMember, ...], where: str) -> None:
    operators = {witness.name: witness.operator for witness in witnesses}
    home: dict[str, str] = {}
    for group in policy.group:
        there = {operators[name] for name in group.of if name in operators}
        for operator in sorted(there):  # (6)
            if home.setdefault(operator, group.name) != group.name:
                raise InputError(
                    "one operator's witnesses in two groups",
                    where=f"{where}: group",
                    got=f"{operator} in {home[operator]} and {group.name}",
                    hint="put them into one group: a person or machine counts once",
                )
        inner = sum(name not in operators for name in group.of)
        if isinstance(group.need, int) and group.need > len(there) + inner:  # (7)
            raise InputError(
                "group needs more operators than it has",
                where=f"{where}: {group.name}",
                expected=f"at most {len(there) + inner}",
                got=str(group.need),
                hint="lower need, or add a witness of another operator",
            )


def is_quorum(policy: LogPolicy, keys: LogKeys, cosigned: Collection[str]) -> bool:
    """Say whether the witnesses of these names make the quorum (tlog-policy).

    In a group that needs a number, one operator's witnesses count once.
    """
    operators = {witness.name: witness.operator for witness in keys.witnesses}
    met = set(cosigned)
    for group in policy.group:
        there = met.intersection(group.of)
        # No operator's name has a space in it, so no group can pass for one.
        voters = {operators.get(name, f"group {name}") for name in there}
        match group.need:
            case "all":
                enough = len(there) == len(group.of)
            case "any":
                enough = bool(there)
            case number:
                enough = len(voters) >= number
        if enough:
            met.add(group.name)
    return policy.quorum == NO_QUORUM or policy.quorum in met

"""How many people of which roles take part in a rehearsal, and how many must agree.

Taken from a project's own roster and policy, or invented where there is no project.
Every key is made anew: nobody's real key is touched, and a rehearsal's root names none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from relsign.errors import InputError
from relsign.formats.policy import Policy, Thresholds
from relsign.formats.roster import FrostKey, Member, Role
from relsign.system.workspace import Workspace

ROLES: tuple[Role, ...] = ("owner", "signer", "builder")
"""Who takes part; publishers, logs and witnesses stay away."""
_MIN_SHARERS = 2
_HINT = "run it outside the project, to see how it goes with invented people"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who takes part, with a key that is made for the day."""

    name: str
    operator: str
    organisation: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Who takes part, and what it takes."""

    project: str
    people: tuple[Person, ...]
    thresholds: Thresholds
    group: str
    participants: tuple[str, ...]
    """Who shares the release key, sorted."""
    threshold: int
    """How many of them sign together."""
    share_roles: bool = False
    notes: tuple[str, ...] = ()
    """What of the project is not rehearsed."""

    def having(self, role: Role) -> tuple[Person, ...]:
        """Return the people of a role, one of each operator: more count once."""
        by_operator: dict[str, Person] = {}
        for person in self.people:
            if role in person.roles:
                by_operator.setdefault(person.operator, person)
        return tuple(by_operator.values())


def invented_shape() -> Shape:
    """Return three owners, three signers who share a key, and two builders; two of each agree."""
    table: tuple[tuple[str, str, str, Role], ...] = (
        ("olga", "olga", "acme", "owner"),
        ("otto", "otto", "acme", "owner"),
        ("oona", "oona", "birch", "owner"),
        ("sam", "sam", "acme", "signer"),
        ("sara", "sara", "birch", "signer"),
        ("sven", "sven", "birch", "signer"),
        ("builder-a", "machine-a", "acme", "builder"),
        ("builder-b", "machine-b", "birch", "builder"),
    )
    people = tuple(Person(name, who, where, (role,)) for name, who, where, role in table)
    agree = Thresholds(owners=2, signers=2, builders=2, organisations=2)
    group = "demo-release"
    return Shape("demo-rehearsal", people, agree, group, ("sam", "sara", "sven"), 2)


def is_project(workspace: Workspace) -> bool:
    """Say whether a folder is a project with people in it."""
    files = (workspace.recipe_file, workspace.policy_file, workspace.roster_file)
    return all(path.is_file() for path in files)


def shape_of(workspace: Workspace) -> Shape:
    """Return the shape of a project, with its people's names and throw-away keys.

    Raises InputError where the project's own files are malformed, or it has too few
    people for what its policy asks.
    """
    policy, members = workspace.policy(), workspace.roster().member
    people = tuple(_person(m) for m in members if not isinstance(m.key, FrostKey) and _roles(m))
    left_out = [m.name for m in members if not _roles(m) and not _is_release_key(m)]
    shape = Shape(
        project=f"{workspace.recipe().project.name[:50]}-rehearsal",
        people=people,
        thresholds=policy.thresholds,
        group="release-key",
        participants=(),
        threshold=max(_MIN_SHARERS, policy.thresholds.signers),
        share_roles=policy.share_roles,
        notes=_notes(policy, left_out),
    )
    shape = _with_group(shape, members)
    _require_enough(shape)
    return shape


def _with_group(shape: Shape, members: tuple[Member, ...]) -> Shape:
    """Let those share the release key who do, or else the signers."""
    names = {person.name for person in shape.people}
    for member in members:
        if isinstance(member.key, FrostKey) and _is_release_key(member):
            present = tuple(sorted(names & set(member.key.participants)))
            return replace(
                shape, group=member.name, participants=present, threshold=member.key.threshold
            )
    sharing = tuple(sorted(person.name for person in shape.having("signer")))
    note = "no release key is in the roster: the signers make one"
    return replace(shape, participants=sharing, notes=(*shape.notes, note))


def _require_enough(shape: Shape) -> None:
    needed: tuple[tuple[Role, int], ...] = (
        ("owner", shape.thresholds.owners),
        ("signer", shape.thresholds.signers),
        ("builder", max(2, shape.thresholds.builders)),
    )
    for role, count in needed:
        found = len(shape.having(role))
        if found < count:
            raise InputError(
                f"too few {role}s to rehearse with",
                where="keys/roster.toml",
                expected=f"{count} with keys of their own",
                got=str(found),
                hint=_HINT,
            )
    if len(shape.participants) < shape.threshold:
        raise InputError(
            "too few people to share a release key",
            where="keys/roster.toml",
            expected=str(shape.threshold),
            got=str(len(shape.participants)),
            hint=_HINT,
        )


def _person(member: Member) -> Person:
    return Person(member.name, member.operator, member.organisation, _roles(member))


def _roles(member: Member) -> tuple[Role, ...]:
    return tuple(role for role in ROLES if role in member.roles)


def _is_release_key(member: Member) -> bool:
    return "release" in member.roles


def _notes(policy: Policy, left_out: list[str]) -> tuple[str, ...]:
    found = [
        (bool(left_out), f"not in the rehearsal: {', '.join(left_out)}"),
        (policy.dissent == "record", "dissent: refused here, whatever the policy says"),
        (policy.commit, "commitments before results are not rehearsed"),
        (policy.log is not None, "the log is not rehearsed"),
    ]
    return tuple(words for is_so, words in found if is_so)

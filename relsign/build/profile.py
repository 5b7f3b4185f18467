"""The sandbox profile: what every build container looks like from inside.

A profile is data under ``profiles/``, one file per version, never changed once
a release was built with it: its digest is part of every fingerprint.  It lists
the channels through which a host could leak into a build, how each is fixed,
and, for those no container can fix, why they stay open.

Which physical CPU runs the build is a condition of the host and not part of a
profile; how many the build sees, and how much memory it may use, are.

Form 2 adds how each fixed channel is recognised from inside (`checks`, read by
`relsign.build.sandbox.view`) and which values of the probe belong to it
(`channels`, read by `relsign.build.sandbox.probe`).

    >>> profile = load_profile("hardened-2")
    >>> profile.hostname, profile.user, profile.environment["TZ"]
    ('build', 1000, 'UTC')
    >>> profile.open["clock"][:20]
    'a frozen clock hangs'
    >>> profile.checks["umask"]
    'line Umask:; is "$line" 0022'
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import (
    Document,
    decode_reviewable,
    encode_canonical,
    shorten,
)
from relsign.formats.fingerprint import Knob
from relsign.formats.names import Digest, Name, Size, refuse_repeats
from relsign.formats.recipe import EnvironmentName, EnvironmentValue, Recipe

DEFAULT_PROFILE = "hardened-2"

AbsolutePath = Annotated[str, Meta(pattern=r"\A(?:/[A-Za-z0-9_.:-]+){1,10}\Z")]
Identity = Annotated[int, Meta(ge=1, le=65533)]
Limit = Annotated[int, Meta(ge=-1)]
Channel = Knob
"""A value that the probe prints; it has the form of a knob's name."""


class SystemCallArgument(Document, frozen=True, kw_only=True):
    """A test on one argument of a system call, in the engine's words."""

    index: int
    op: Literal["SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"]
    value: int
    value_two: int = msgspec.field(name="valueTwo")


class SystemCallRule(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What happens to the named system calls; all of `args` must hold."""

    names: tuple[str, ...]
    action: Literal["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"]
    args: tuple[SystemCallArgument, ...] = msgspec.field()
    errno: int | None = msgspec.field(name="errnoRet", default=None)


class Architecture(Document, frozen=True, kw_only=True):
    """A processor family and the older ones it also runs."""

    architecture: str
    sub_architectures: tuple[str, ...] = msgspec.field(name="subArchitectures")


class SystemCalls(Document, frozen=True, kw_only=True):
    """The system calls a build may use, in the form container engines read."""

    default_action: Literal["SCMP_ACT_ERRNO"] = msgspec.field(name="defaultAction")
    architectures: tuple[Architecture, ...] = msgspec.field(name="archMap")
    rules: tuple[SystemCallRule, ...] = msgspec.field(name="syscalls")


class Profile(Document, frozen=True, kw_only=True):
    """Everything a build container is started with, except its root file system."""

    format: Literal["relsign/profile/1", "relsign/profile/2"]
    name: Name
    hostname: Name
    domainname: str
    user: Identity
    group: Identity
    environment: dict[EnvironmentName, EnvironmentValue]
    """Variables of every process; a recipe may add its own but change none of these."""
    build_folder: AbsolutePath
    """Where sources go in and commands run: a tmpfs, so that folders list in one order."""
    build_bytes: Size
    tmp_bytes: Size
    """Size of /tmp and of /var/tmp, each a tmpfs."""
    shm_bytes: Size
    memory_bytes: Size
    """Memory and swap together, with the content of the tmpfs folders."""
    pids: Annotated[int, Meta(ge=1)]
    idle: tuple[str, ...]
    """Process that keeps the container alive between commands."""
    wrapper: tuple[str, ...]
    """Words before each command; a folder and the command follow as two arguments."""
    pack: tuple[str, ...]
    """Words that make a pack; see `relsign.build.pack` for the five arguments that follow."""
    ulimits: dict[str, tuple[Limit, Limit]]
    """Soft and hard limit, -1 for none."""
    masked_paths: tuple[AbsolutePath, ...]
    """Files that read as empty and folders that list as empty."""
    readonly_paths: tuple[AbsolutePath, ...]
    files: dict[AbsolutePath, str]
    """Text bound over a path."""
    folders: dict[AbsolutePath, dict[str, str]]
    """A folder of such texts, by relative path, bound over a path."""
    seccomp: SystemCalls
    fixed: dict[Knob, str]
    """Knob -> how it is the same on every host."""
    open: dict[Knob, str]
    """Knob -> why it is left to the host."""
    checks: dict[Knob, str] | msgspec.UnsetType = msgspec.UNSET
    """Fixed knob -> words of a shell that succeed where it is in force; form 2 only."""
    channels: dict[Knob, tuple[Channel, ...]] | msgspec.UnsetType = msgspec.UNSET
    """Knob -> what the probe prints of it, sorted; form 2 only."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, and fields of the other form."""
        if both := self.fixed.keys() & self.open.keys():
            raise ValueError(f"fixed and open: {min(both)}")
        if self.format == "relsign/profile/1":
            if self.checks is not msgspec.UNSET or self.channels is not msgspec.UNSET:
                raise ValueError("relsign/profile/1 has no checks and no channels")
            return
        if self.checks is msgspec.UNSET or self.channels is msgspec.UNSET:
            raise ValueError("relsign/profile/2 has checks and channels")
        if odd := self.checks.keys() ^ self.fixed.keys():
            raise ValueError(f"checks and fixed name other knobs: {min(odd)}")
        if unknown := self.channels.keys() - self.fixed.keys() - self.open.keys():
            raise ValueError(f"channels of no knob: {min(unknown)}")
        refuse_repeats("channel", [c for names in self.channels.values() for c in names])
        if any(list(names) != sorted(names) for names in self.channels.values()):
            raise ValueError("channels are not sorted")

    def to_bytes(self) -> bytes:
        """Return the canonical JSON (RFC 8785) whose digest names the profile."""
        return encode_canonical(self)

    @property
    def sha256(self) -> Digest:
        """SHA-256 of the canonical bytes."""
        return Digest(hashlib.sha256(self.to_bytes()).hexdigest())

    @property
    def home(self) -> str:
        """The home folder, relative to the build folder."""
        return self.environment["HOME"].removeprefix(f"{self.build_folder}/")

    def variables(
        self, environment: dict[str, str], source_date_epoch: int | None
    ) -> dict[str, str]:
        """Return all variables of a build: the profile's, then a recipe's, then the epoch.

        Raises InputError for a recipe's variable that the profile fixes, and for
        SOURCE_DATE_EPOCH, which has its own place in a recipe.
        """
        for name in sorted(environment):
            if name in self.environment or name == "SOURCE_DATE_EPOCH":
                raise InputError(
                    "variable is fixed and cannot be set by a recipe",
                    where=f"environment.{shorten(name)}",
                    hint=(
                        "state source_date_epoch in the target"
                        if name == "SOURCE_DATE_EPOCH"
                        else f"set it inside a command: `{name}=value make`"
                    ),
                )
        epoch = {} if source_date_epoch is None else {"SOURCE_DATE_EPOCH": str(source_date_epoch)}
        return {**self.environment, **environment, **epoch}


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles this version can build with."""
    folder = resources.files("relsign.build") / "profiles"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def choose_profile(recipe: Recipe, named: str | None = None) -> Profile:
    """Return the profile a person `named`, else the recipe's, else the newest.

    Raises InputError, naming those there are, for one this version does not have.
    """
    stated = recipe.project.profile
    return load_profile(named or (DEFAULT_PROFILE if stated is msgspec.UNSET else stated))


def load_profile(name: str = DEFAULT_PROFILE) -> Profile:
    """Return a profile by name; raise InputError, naming those there are, for another."""
    known = profile_names()
    if name not in known:
        raise InputError(
            "no such sandbox profile",
            got=shorten(name),
            expected=", ".join(known),
            hint="name one of these, or use the version of relsign that has it",
        )
    data = (resources.files("relsign.build") / "profiles" / f"{name}.json").read_bytes()
    return decode_reviewable(data, Profile, f"{name}.json")

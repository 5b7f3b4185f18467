r"""What the probe said in two containers, held against the profile.

`probe.c` prints some 260 channels: values through which a host could show in a
build.  The profile says to which knob each belongs.  Two runs under conditions as
different as one machine can make them (`relsign.build.sandbox.twice`) must agree on
every channel of a fixed knob:

    fixed   both say the same
    masked  both say nothing: the channel is missing, empty or refused
    open    the profile leaves it to the host, whether it differed here or not

That two runs agree proves less than the profile claims, since one kernel and one
machine ran both; that they differ on a fixed channel proves the claim false.

    >>> read_channels(b"user\t=\t1000\nclock source\t-\t\n")["user"]
    '1000'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from relsign.build.profile import Profile
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.canonical import shorten

Kind = Literal["fixed", "masked", "open"]
SHOWN_CHARACTERS = 160
FIELDS = 3
"""Name, mark and value on each line."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: what it is, and what it said in each run; None where it is hidden."""

    name: str
    knob: str
    kind: Kind
    one: str | None
    two: str | None

    @property
    def differs(self) -> bool:
        """Whether the two runs disagree."""
        return self.one != self.two


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """All channels, by knob and name, and the knobs the engine did not set."""

    profile: str
    channels: tuple[Channel, ...]
    without: tuple[str, ...]

    def count(self, kind: Kind) -> int:
        """Return how many channels are of a kind."""
        return sum(channel.kind == kind for channel in self.channels)

    @property
    def wrong(self) -> tuple[Channel, ...]:
        """Channels that should be fixed and are not."""
        return tuple(c for c in self.channels if c.kind != "open" and c.differs)

    def refuse_wrong(self) -> None:
        """Raise VerificationError naming each channel that the profile fixes and that differs."""
        if not self.wrong:
            return
        first, *others = self.wrong
        more = f", and {', '.join(c.name for c in others)}" if others else ""
        raise VerificationError(
            "a channel declared fixed differs between two runs",
            where=f"profile {self.profile}: {first.knob}: {first.name}{more}",
            expected=_shown(first.one),
            got=_shown(first.two),
            hint="do not trust builds of this engine with this profile; report engine and kernel",
        )


def _shown(value: str | None) -> str:
    return "nothing" if value is None else shorten(value, SHOWN_CHARACTERS)


def read_channels(said: bytes) -> Mapping[str, str | None]:
    """Return channel -> value, None where hidden, of the probe's lines.

    The program escapes what is not printable ASCII.  Raises HostError for
    anything that `probe.c` would not print.
    """
    found: dict[str, str | None] = {}
    for line in said.decode("ascii", "replace").splitlines():
        fields = line.split("\t")
        if len(fields) != FIELDS or fields[1] not in {"=", "-"} or fields[0] in found:
            raise HostError("unreadable answer of the probe", got=shorten(line, SHOWN_CHARACTERS))
        found[fields[0]] = fields[2] if fields[1] == "=" else None
    return found


def judge(
    profile: Profile,
    one: Mapping[str, str | None],
    two: Mapping[str, str | None],
    without: tuple[str, ...] = (),
) -> ProbeReport:
    """Compare two runs channel by channel; `without` names knobs the engine did not set.

    Raises InputError for a profile of form 1, which names no channels, and
    VerificationError if the probe printed a channel that the profile does not name
    or left out a fixed one.
    """
    owners = channel_owners(profile)
    unknown = sorted((one.keys() | two.keys()) - owners.keys())
    lost = sorted(
        name
        for name, knob in owners.items()
        if knob in profile.fixed and not (name in one and name in two)
    )
    for words, names in (("prints a channel of no knob", unknown), ("left a channel out", lost)):
        if names:
            raise VerificationError(
                f"the probe {words}",
                where=f"profile {profile.name}: channels",
                got=shorten(", ".join(names), SHOWN_CHARACTERS),
                hint="profile and probe are of different versions: install relsign again",
            )
    fixed = profile.fixed.keys() - set(without)
    channels = tuple(
        _channel(name, knob, one[name], two[name], fixed=knob in fixed)
        for name, knob in sorted(owners.items(), key=lambda item: (item[1], item[0]))
        if name in one and name in two
    )
    return ProbeReport(profile.name, channels, without)


def _channel(name: str, knob: str, one: str | None, two: str | None, *, fixed: bool) -> Channel:
    kind: Kind = "open"
    if fixed:
        kind = "masked" if one is None and two is None else "fixed"
    return Channel(name, knob, kind, one, two)


def channel_owners(profile: Profile) -> Mapping[str, str]:
    """Return channel -> knob; raise InputError for a profile of form 1."""
    if profile.channels is msgspec.UNSET:
        raise InputError(
            "this profile names no channels",
            where=f"profile {profile.name}",
            got=profile.format,
            hint="probe a profile of form 2, such as the default",
        )
    return dict(_owners(profile.channels))


def _owners(channels: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for knob, names in channels.items():
        for name in names:
            yield name, knob

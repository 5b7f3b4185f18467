"""What a twin build changes: every condition that must not show in the bytes, by name.

A knob is a small function from one set-up to another; several are put together by
applying them in the order of `KNOBS`.  Nothing of the real build path is repeated
here: a set-up is a sandbox profile with other values, and what the engine is given
besides.

    setup = derive(base, {"host-name", "umask"}, machine)

A knob that cannot be turned on this machine answers with `NotVaried` and the reason,
so that nobody believes it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from relsign.build.engine.bound import BoundPath
from relsign.build.profile import Profile, SystemCallArgument, SystemCallRule

INSIDE = "/usr/lib/relsign-twin"
"""Folder of the container where the clock's library and settings are shown."""
OTHER_FOLDER = "/twin/a-build-folder-of-quite-another-length"
OTHER_HOST, OTHER_DOMAIN = "another-machine", "elsewhere.example"
OTHER_USER, OTHER_UID, OTHER_GID = "somebody", 4321, 8765
OTHER_ZONE = "TWN-13:45"
"""Thirteen hours and three quarters east, in POSIX words, which need no zone files."""
OTHER_LOCALE = "et_EE"
"""Estonian sorts z before t and writes a comma into numbers."""
CPU_FOLDER = "/sys/devices/system/cpu"
UNAME26 = 0x20000
NO_RANDOMIZE = 0x40000
TWO = 2


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine offers for variation; None or empty where it does not."""

    cpus: tuple[int, ...]
    """Numbers of the CPUs that builds may use."""
    faketime: Path | None = None
    """The library that shows programs another clock."""
    clock_held: Path | None = None
    """File whose own time is when the library starts every process."""
    clock_ahead: Path | None = None
    """The same, 400 days later."""
    locale: Path | None = None
    """A compiled locale `OTHER_LOCALE`."""
    has_other_engine: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """All conditions of one build."""

    profile: Profile
    cpus: tuple[int, ...]
    recipe_variables: Mapping[str, str] = field(default_factory=dict)
    """Variables the recipe adds to the profile's."""
    epoch: int | None = None
    """SOURCE_DATE_EPOCH in Unix seconds, None where it is unset."""
    binds: tuple[BoundPath, ...] = ()
    reversed_order: bool = False
    """Whether sources are unpacked last name first."""
    other_engine: bool = False


@dataclass(frozen=True, slots=True)
class NotVaried:
    """Why a knob stays as it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Knob:
    """A condition, what varying it means, and how it is done."""

    name: str
    words: str
    turn: Callable[[Setup, Machine], Setup | NotVaried]


def derive(setup: Setup, names: Collection[str], machine: Machine) -> Setup:
    """Return `setup` with every knob in `names` turned; one that cannot be stays."""
    for knob in KNOBS:
        if knob.name in names:
            turned = knob.turn(setup, machine)
            setup = turned if isinstance(turned, Setup) else setup
    return setup


def obstacles(setup: Setup, names: Collection[str], machine: Machine) -> dict[str, str]:
    """Return knob -> reason for each in `names` that cannot be turned here."""
    found = {}
    for knob in KNOBS:
        if knob.name in names:
            turned = knob.turn(setup, machine)
            if isinstance(turned, NotVaried):
                found[knob.name] = turned.reason
            else:
                setup = turned
    return found


def hold_clock(setup: Setup, machine: Machine) -> Setup | NotVaried:
    """Return `setup` with every process started at one and the same time.

    Builds that differ in other knobs are compared under it, so that the clock alone
    does not hide what else shows.
    """
    return _with_clock(setup, machine, machine.clock_held)


def _turn_time(setup: Setup, machine: Machine) -> Setup | NotVaried:
    return _with_clock(setup, machine, machine.clock_ahead)


def _with_clock(setup: Setup, machine: Machine, settings: Path | None) -> Setup | NotVaried:
    if machine.faketime is None or settings is None:
        return NotVaried("libfaketime is not installed here: apt-get install libfaketime")
    variables = {
        "LD_PRELOAD": f"{INSIDE}/libfaketime.so.1",
        # The time of files stays the real one: the same for the recipe's sources in both
        # builds, and in one order with what the build makes.
        "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Not by value: a build that records its variables would then show the clock, and
        # the library would read a date by whatever TZ says just then.
        "FAKETIME_TIMESTAMP_FILE": f"{INSIDE}/clock",
        "FAKETIME_FOLLOW_FILE": f"{INSIDE}/clock",
    }
    if taken := sorted(variables.keys() & setup.recipe_variables.keys()):
        return NotVaried(f"the recipe sets {taken[0]}")
    library = BoundPath(machine.faketime, f"{INSIDE}/libfaketime.so.1")
    clock = BoundPath(settings, f"{INSIDE}/clock")
    others = tuple(bind for bind in setup.binds if not bind.target.startswith(f"{INSIDE}/"))
    changed = replace(setup, binds=(*others, library, clock))
    return _with_variables(changed, variables)


def _turn_host_name(setup: Setup, machine: Machine) -> Setup:
    del machine
    full = f"{OTHER_HOST}.{OTHER_DOMAIN}"
    files = {
        "/etc/hostname": f"{OTHER_HOST}\n",
        "/etc/hosts": f"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t{full} {OTHER_HOST}\n",
    }
    changed = _with_files(setup, files)
    profile = msgspec.structs.replace(changed.profile, hostname=OTHER_HOST, domainname=OTHER_DOMAIN)
    return _with_variables(replace(changed, profile=profile), {"HOSTNAME": OTHER_HOST})


def _turn_user(setup: Setup, machine: Machine) -> Setup:
    del machine
    profile = msgspec.structs.replace(setup.profile, user=OTHER_UID, group=OTHER_GID)
    changed = replace(setup, profile=profile)
    names = {"USER": OTHER_USER, "LOGNAME": OTHER_USER}
    return _with_accounts(_with_variables(changed, names))


def _turn_folder(setup: Setup, machine: Machine) -> Setup:
    del machine
    was = setup.profile.build_folder
    home = setup.profile.environment["HOME"].removeprefix(was)
    profile = msgspec.structs.replace(setup.profile, build_folder=OTHER_FOLDER)
    changed = replace(setup, profile=profile)
    return _with_accounts(_with_variables(changed, {"HOME": f"{OTHER_FOLDER}{home}"}))


def _turn_home(setup: Setup, machine: Machine) -> Setup:
    del machine
    # It stays below the build folder, the only place where a build may write at length.
    home = f"{setup.profile.build_folder}/.another-home"
    return _with_accounts(_with_variables(setup, {"HOME": home}))


def _turn_time_zone(setup: Setup, machine: Machine) -> Setup:
    del machine
    return _with_variables(setup, {"TZ": OTHER_ZONE})


def _turn_locale(setup: Setup, machine: Machine) -> Setup:
    if machine.locale is None:
        return _with_variables(setup, {"LANG": "C", "LC_ALL": "C", "LANGUAGE": "et"})
    name = f"{OTHER_LOCALE}.UTF-8"
    bound = BoundPath(machine.locale, f"/usr/lib/locale/{OTHER_LOCALE}.utf8")
    changed = replace(setup, binds=(*setup.binds, bound))
    return _with_variables(changed, {"LANG": name, "LC_ALL": name, "LANGUAGE": "et"})


def _turn_umask(setup: Setup, machine: Machine) -> Setup | NotVaried:
    del machine
    return _with_wrapper(setup, r"umask 0*22\b", "umask 002", "set no umask")


def _turn_cpu_count(setup: Setup, machine: Machine) -> Setup | NotVaried:
    if len(machine.cpus) < TWO:
        return NotVaried("this machine lets builds use one CPU only")
    folders = {
        root: {**files, **_two_cpus(root)} if CPU_FOLDER.startswith(root) else files
        for root, files in setup.profile.folders.items()
    }
    profile = msgspec.structs.replace(setup.profile, folders=folders)
    two = "".join(
        f"processor\t: {number}\nmodel name\t: another processor\n\n" for number in range(TWO)
    )
    changed = replace(setup, profile=profile, cpus=machine.cpus[:TWO])
    return _with_files(changed, {"/proc/cpuinfo": two})


def _two_cpus(root: str) -> dict[str, str]:
    """Return the files of two processors, relative to a folder around theirs."""
    both = dict.fromkeys(("online", "possible", "present"), "0-1\n")
    shown = {**both, "cpu0/online": "1\n", "cpu1/online": "1\n", "kernel_max": "1\n"}
    return {f"{CPU_FOLDER}/{name}".removeprefix(f"{root}/"): text for name, text in shown.items()}


def _turn_file_order(setup: Setup, machine: Machine) -> Setup:
    del machine
    return replace(setup, reversed_order=True)


def _turn_personality(setup: Setup, machine: Machine) -> Setup | NotVaried:
    del machine
    changed = _with_wrapper(
        setup, r"\bsetarch -R\b", "setarch --uname-2.6 -R", "do not call setarch"
    )
    if isinstance(changed, NotVaried):
        return changed
    calls = changed.profile.seccomp
    value = UNAME26 | NO_RANDOMIZE
    both = SystemCallArgument(index=0, op="SCMP_CMP_EQ", value=value, value_two=0)
    rule = SystemCallRule(names=("personality",), action="SCMP_ACT_ALLOW", args=(both,))
    wider = msgspec.structs.replace(calls, rules=(*calls.rules, rule))
    return replace(changed, profile=msgspec.structs.replace(changed.profile, seccomp=wider))


def _turn_addresses(setup: Setup, machine: Machine) -> Setup | NotVaried:
    del machine
    # What else setarch is told stays; without anything it would take the command for a name.
    for pattern, new in ((r"\bsetarch( --\S+) -R\b", r"setarch\1"), (r"\bsetarch -R ", "")):
        changed = _with_wrapper(setup, pattern, new, "do not call setarch")
        if isinstance(changed, Setup):
            break
    return changed


def _turn_hash_seeds(setup: Setup, machine: Machine) -> Setup:
    del machine
    return _with_variables(setup, {"PYTHONHASHSEED": "20", "PERL_HASH_SEED": "20"})


def _turn_environment(setup: Setup, machine: Machine) -> Setup:
    del machine
    more = {"A_VARIABLE_MORE": "of the twin build", "ZZ_VARIABLE_MORE": "of the twin build"}
    changed = _with_variables(setup, more)
    variables = changed.profile.variables(dict(setup.recipe_variables), setup.epoch)
    # An engine hands variables over in an order of its own; this sets it anew.
    words = [f"{name}={value}" for name, value in sorted(variables.items(), reverse=True)]
    wrapper = ("env", "-i", *words, *changed.profile.wrapper)
    return replace(changed, profile=msgspec.structs.replace(changed.profile, wrapper=wrapper))


def _turn_engine(setup: Setup, machine: Machine) -> Setup | NotVaried:
    if not machine.has_other_engine:
        return NotVaried("no engine of another kind runs here")
    return replace(setup, other_engine=True)


def _with_variables(setup: Setup, variables: Mapping[str, str]) -> Setup:
    """Set variables of the profile, but none that the recipe sets."""
    wanted = {n: v for n, v in variables.items() if n not in setup.recipe_variables}
    environment = {**setup.profile.environment, **wanted}
    return replace(setup, profile=msgspec.structs.replace(setup.profile, environment=environment))


def _with_files(setup: Setup, files: Mapping[str, str]) -> Setup:
    texts = {**setup.profile.files, **files}
    return replace(setup, profile=msgspec.structs.replace(setup.profile, files=texts))


def _with_accounts(setup: Setup) -> Setup:
    """Write the accounts anew from the profile's user, group, names and home."""
    profile = setup.profile
    name, home = profile.environment["USER"], profile.environment["HOME"]
    passwd = (
        "root:x:0:0:root:/root:/bin/sh\n"
        f"{name}:x:{profile.user}:{profile.group}:{name}:{home}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    group = f"root:x:0:\ntty:x:5:\n{name}:x:{profile.group}:\nnogroup:x:65534:\n"
    return _with_files(setup, {"/etc/passwd": passwd, "/etc/group": group})


def _with_wrapper(setup: Setup, pattern: str, new: str, lacks: str) -> Setup | NotVaried:
    wrapper = tuple(re.sub(pattern, new, word) for word in setup.profile.wrapper)
    if wrapper == setup.profile.wrapper:
        return NotVaried(f"commands under this profile {lacks}")
    return replace(setup, profile=msgspec.structs.replace(setup.profile, wrapper=wrapper))


KNOBS = (
    Knob("time", "the clock, 400 days later", _turn_time),
    Knob("host-name", "host and domain name", _turn_host_name),
    Knob("user", "user and group: numbers and names", _turn_user),
    Knob("folder", "the build folder, with another length", _turn_folder),
    Knob("home", "the home folder", _turn_home),
    Knob("time-zone", "TZ, 13 h 45 min east", _turn_time_zone),
    Knob("locale", "language, sorting, numbers", _turn_locale),
    Knob("umask", "002 instead of 022", _turn_umask),
    Knob("cpu-count", "two CPUs instead of one", _turn_cpu_count),
    Knob("file-order", "folders list in another order", _turn_file_order),
    Knob("personality", "the kernel says it is a 2.6", _turn_personality),
    Knob("addresses", "randomised addresses", _turn_addresses),
    Knob("hash-seeds", "other hash seeds for Python and Perl", _turn_hash_seeds),
    Knob("engine", "another kind of container engine", _turn_engine),
    # Last, since it writes all variables down in their new order.
    Knob("environment", "more variables, in another order", _turn_environment),
)
"""Every knob, in the order they are applied."""

KNOB_NAMES = tuple(sorted(knob.name for knob in KNOBS))

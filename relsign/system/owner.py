"""Which process something belongs to, and whether that process is certainly gone.

What a build makes, in the engine or on disk, bears its owner's name.  Whoever comes later
removes it if the owner was a process of this machine that no longer runs: after a crash,
a power cut, a ``kill -9``.  What another machine or another process namespace made is left
alone, since nobody here can see whether its owner still runs.

    staged = folder / f".{secrets.token_hex(8)}{temporary_ending()}"
    ...
    if is_abandoned(staged.name):
        shutil.rmtree(staged)
"""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

START_TIME_FIELD = 19
"""`starttime` among the fields of /proc/PID/stat after the process name; proc_pid_stat(5)."""
_ENDING = ".tmp"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, named so that no other process, boot or machine has the same name."""

    machine: str
    boot: str
    namespace: str
    pid: str
    started: str

    def to_label(self) -> str:
        """Return the value of the owner label."""
        return f"{self.machine}/{self.boot}/{self.namespace}/{self.pid}/{self.started}"


def this_process() -> Owner:
    """Return the owner that this process is."""
    pid = str(os.getpid())
    return Owner(_machine(), _boot(), _namespace(), pid, _start_time(pid))


def parse_owner(label: str) -> Owner | None:
    """Return the owner a label names, None if it is not one we wrote; raises nothing."""
    parts = label.split("/")
    if len(parts) != len(Owner.__slots__) or not parts[3].isdigit():
        return None
    return Owner(*parts)


def is_gone(owner: Owner) -> bool:
    """Say whether the owner certainly no longer runs."""
    if owner.machine != _machine():
        return False
    if owner.boot != _boot():
        return True
    return owner.namespace == _namespace() and _start_time(owner.pid) != owner.started


def temporary_ending() -> str:
    """Return the end of the name of what this process makes and will remove: ``.OWNER.tmp``."""
    return f".{this_process().to_label().replace('/', '_')}{_ENDING}"


def is_abandoned(name: str) -> bool:
    """Say whether a file's name ends as `temporary_ending` says, and its owner is gone."""
    label = name.removesuffix(_ENDING).rpartition(".")[2].replace("_", "/")
    owner = parse_owner(label) if name.endswith(_ENDING) else None
    return owner is not None and is_gone(owner)


def _machine() -> str:
    """Return a short name of this machine that tells nobody its host name."""
    identity = f"{_text(Path('/etc/machine-id'))} {platform.node()}"
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _boot() -> str:
    return _text(Path("/proc/sys/kernel/random/boot_id"))


def _namespace() -> str:
    try:
        return Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return "0"


def _start_time(pid: str) -> str:
    """Return when a process started, in clock ticks since boot; empty if there is none."""
    # The name in parentheses may hold spaces; the fields after it do not.
    fields = _text(Path("/proc") / pid / "stat").rpartition(")")[2].split()
    return fields[START_TIME_FIELD] if len(fields) > START_TIME_FIELD else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""

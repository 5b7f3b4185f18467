"""What Podman must be told in its own words.

Docker's `containers/create`, as Podman 4 answers it, drops `MaskedPaths` and
`ReadonlyPaths` without a word, takes the system calls only as the path of a
file, splits paths at colons, adds variables of its own, and mounts writable
folders into a read-only file system.  Podman's own `libpod/containers/create`
takes all of a profile; everything after the creation goes through the calls
both engines share.

Podman always makes its own list of paths read-only, which holds at least
Docker's; a profile that wants more gets it as a read-only bind of nothing, and
`relsign.build.sandbox.view` says what is not in force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from relsign.build.engine.bound import BoundPath
from relsign.build.profile import Profile

CREATE_PATH = "/libpod/containers/create"
IMPORT_PATH = "/libpod/images/import"
LOAD_PATH = "/libpod/images/load"
"""Docker's way, as Podman 4 answers it, leaves a copy of the tar in a temporary folder."""

SIGKILL = 9
UNLIMITED = 2**64 - 1


def podman_document(
    profile: Profile,
    variables: Mapping[str, str],
    cpus: Sequence[int],
    bound: Sequence[BoundPath],
    volume: str,
    seccomp: Path,
) -> dict[str, object]:
    """Return the container's whole configuration in Podman's words, without its image.

    `seccomp` is a file of this machine with the profile's system calls.
    """
    return {
        "entrypoint": [],
        "command": list(profile.idle),
        "env": dict(variables),
        "unsetenvall": True,
        "env_host": False,
        "httpproxy": False,
        "hostname": profile.hostname,
        "user": f"{profile.user}:{profile.group}",
        "groups": [str(profile.group)],
        "work_dir": profile.build_folder,
        "terminal": False,
        "stdin": False,
        "init": True,
        "systemd": "false",
        "stop_signal": SIGKILL,
        "restart_policy": "no",
        "log_configuration": {"driver": "none"},
        "healthconfig": {"Test": ["NONE"]},
        "image_volume_mode": "ignore",
        **_rights(profile, seccomp),
        **_namespaces(),
        **_resources(profile, cpus),
        **_view(profile, bound, volume),
    }


def _rights(profile: Profile, seccomp: Path) -> dict[str, object]:
    return {
        "privileged": False,
        "cap_add": [],
        "cap_drop": ["ALL"],
        "no_new_privileges": True,
        "read_only_filesystem": True,
        "seccomp_profile_path": str(seccomp),
        "mask": list(profile.masked_paths),
    }


def _namespaces() -> dict[str, object]:
    own = {"nsmode": "private"}
    return {
        "pidns": own,
        "utsns": own,
        "ipcns": own,
        "cgroupns": own,
        "netns": {"nsmode": "none"},
    }


def _resources(profile: Profile, cpus: Sequence[int]) -> dict[str, object]:
    return {
        "resource_limits": {
            "memory": {"limit": profile.memory_bytes, "swap": profile.memory_bytes},
            "cpu": {"cpus": ",".join(map(str, cpus))},
            "pids": {"limit": profile.pids},
        },
        "shm_size": profile.shm_bytes,
        "r_limits": [
            {"type": name, "soft": _limit(soft), "hard": _limit(hard)}
            for name, (soft, hard) in sorted(profile.ulimits.items())
        ],
    }


def _limit(value: int) -> int:
    return UNLIMITED if value < 0 else value


def _view(profile: Profile, bound: Sequence[BoundPath], volume: str) -> dict[str, object]:
    tmp = ["rw", "exec", "nosuid", "nodev", "mode=1777", f"size={profile.tmp_bytes}"]
    folders = [
        {"destination": folder, "type": "tmpfs", "source": "tmpfs", "options": tmp}
        for folder in ("/tmp", "/var/tmp")  # noqa: S108  paths in the container
    ]
    files = [
        {
            "destination": path.target,
            "type": "bind",
            "source": str(path.source),
            "options": ["rbind", "ro"],
        }
        for path in bound
    ]
    return {
        "sysctl": {"kernel.domainname": profile.domainname},
        # What Podman would write there is bound over by the profile's files.
        "use_image_hosts": True,
        "use_image_resolve_conf": True,
        "mounts": [*folders, *files],
        "volumes": [{"Name": volume, "Dest": profile.build_folder, "Options": ["nocopy"]}],
    }

"""A profile is fixed data: its digest stands in every fingerprint built with it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.bound import bound_paths
from relsign.build.engine.container import HostSettings, container_document
from relsign.build.profile import DEFAULT_PROFILE, Profile, load_profile, profile_names
from relsign.errors import InputError
from relsign.formats.canonical import decode_canonical

DIGESTS = {
    "hardened-1": "8453a960463397c61c2e123676fbdcd84c5bb61526bdd4b183f3a2ab07ccea74",
}


def test_published_profiles_never_change() -> None:
    assert {name: load_profile(name).sha256 for name in profile_names()} == DIGESTS


def test_the_default_exists() -> None:
    assert DEFAULT_PROFILE in profile_names()


def test_bytes_are_canonical_and_read_back() -> None:
    profile = load_profile()
    assert decode_canonical(profile.to_bytes(), Profile, "profile") == profile


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(InputError) as caught:
        load_profile("../../etc/passwd")
    assert caught.value.expected == "hardened-1"


def test_no_channel_is_both_fixed_and_open() -> None:
    profile = load_profile()
    assert not profile.fixed.keys() & profile.open.keys()
    assert all(reason for reason in (*profile.fixed.values(), *profile.open.values()))


def test_variables_are_the_profiles_the_recipes_and_the_epoch() -> None:
    profile = load_profile()
    variables = profile.variables({"CFLAGS": "-O2"}, 12)
    assert variables == {**profile.environment, "CFLAGS": "-O2", "SOURCE_DATE_EPOCH": "12"}


def test_an_unset_epoch_leaves_no_variable() -> None:
    assert "SOURCE_DATE_EPOCH" not in load_profile().variables({}, None)


@pytest.mark.parametrize("name", ["PATH", "HOME", "TZ", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH"])
def test_a_recipe_cannot_change_what_the_profile_fixes(name: str) -> None:
    with pytest.raises(InputError, match=name):
        load_profile().variables({name: "x"}, None)


def test_bound_files_are_mended_before_use(tmp_path: Path) -> None:
    profile = load_profile()
    (first, *_) = bound_paths(profile, tmp_path)
    first.source.unlink()
    first.source.write_text("host's own")
    again = bound_paths(profile, tmp_path)
    assert again[0] == first
    assert first.source.read_text() == profile.files[first.target]
    assert first.source.stat().st_mtime == 0


def test_every_ulimit_is_set() -> None:
    # The fifteen a container engine knows.
    assert sorted(load_profile().ulimits) == [
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
        "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
    ]  # fmt: skip


def test_system_calls_are_listed_once_and_never_by_accident() -> None:
    rules = load_profile().seccomp.rules
    plain = [name for rule in rules if not rule.args for name in rule.names]
    assert len(plain) == len(set(plain))
    allowed = {n for r in rules if r.action == "SCMP_ACT_ALLOW" for n in r.names}
    dangerous = {
        "bpf", "mount", "umount2", "unshare", "setns", "pivot_root", "kexec_load", "add_key",
        "keyctl", "perf_event_open", "userfaultfd", "init_module", "open_by_handle_at", "reboot",
    }  # fmt: skip
    assert not allowed & dangerous


class HostView(msgspec.Struct, rename="pascal"):
    network_mode: str
    privileged: bool
    readonly_rootfs: bool
    cap_add: list[str]
    cap_drop: list[str]
    security_opt: list[str]
    cpuset_cpus: str
    memory: int
    memory_swap: int


class View(msgspec.Struct, rename="pascal"):
    env: list[str]
    host_config: HostView


def test_the_container_has_no_rights(tmp_path: Path) -> None:
    profile = load_profile()
    settings = HostSettings(tmp_path, profile.variables({}, 5), 3)
    bound = bound_paths(profile, settings.cache)
    view = msgspec.convert(container_document(profile, settings, bound, "v"), View)
    host = view.host_config
    assert (host.network_mode, host.privileged, host.readonly_rootfs) == ("none", False, True)
    assert (host.cap_add, host.cap_drop, host.cpuset_cpus) == ([], ["ALL"], "3")
    assert host.security_opt[0] == "no-new-privileges"
    assert host.memory == host.memory_swap == profile.memory_bytes
    assert "SOURCE_DATE_EPOCH=5" in view.env

"""A profile is fixed data: its digest stands in every fingerprint built with it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.bound import bound_paths
from relsign.build.engine.container import HostSettings, container_document
from relsign.build.profile import (
    DEFAULT_PROFILE,
    Profile,
    choose_profile,
    load_profile,
    profile_names,
)
from relsign.errors import HostError, InputError
from relsign.formats.canonical import decode_canonical, encode_canonical
from relsign.formats.recipe import parse_recipe

DIGESTS = {
    "hardened-1": "8453a960463397c61c2e123676fbdcd84c5bb61526bdd4b183f3a2ab07ccea74",
    "hardened-2": "aa31b52ba2dbd5b5e85dd3c265c3fec45a12b3d9dc24fa9c9d9f59a012aaab89",
}
RECIPE = """
[project]
name = "a"
version = "1"
{profile}

[[source]]
kind = "archive"
name = "a"
url = "https://example.invalid/a.tar"
file = "a.tar"
sha256 = "00"

[[target]]
name = "x"
builder = "b"
source_date_epoch = 0
commands = ["true"]
artifact = [{{ path = "x" }}]
""".replace('"00"', f'"{"0" * 64}"')
PROFILES = tuple(sorted(DIGESTS))


def test_published_profiles_never_change() -> None:
    assert {name: load_profile(name).sha256 for name in profile_names()} == DIGESTS


def test_a_person_chooses_then_the_recipe_then_this_version() -> None:
    recipe = parse_recipe(RECIPE.format(profile="").encode())
    older = parse_recipe(RECIPE.format(profile='profile = "hardened-1"').encode())
    assert choose_profile(recipe).name == DEFAULT_PROFILE
    assert choose_profile(older).name == "hardened-1"
    assert choose_profile(older, "hardened-2").name == "hardened-2"
    unknown = parse_recipe(RECIPE.format(profile='profile = "hardened-99"').encode())
    for stated, named in ((unknown, None), (recipe, "../x")):
        with pytest.raises(InputError, match="no such sandbox profile") as caught:
            choose_profile(stated, named)
        assert "hardened-1" in caught.value.expected
        assert caught.value.hint


def test_the_default_exists() -> None:
    assert DEFAULT_PROFILE in profile_names()


@pytest.mark.parametrize("name", PROFILES)
def test_bytes_are_canonical_and_read_back(name: str) -> None:
    profile = load_profile(name)
    assert decode_canonical(profile.to_bytes(), Profile, "profile") == profile


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(InputError) as caught:
        load_profile("../../etc/passwd")
    assert caught.value.expected == ", ".join(PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_every_knob_is_fixed_or_open_with_a_reason(name: str) -> None:
    profile = load_profile(name)
    assert not profile.fixed.keys() & profile.open.keys()
    assert all(reason for reason in (*profile.fixed.values(), *profile.open.values()))


def test_every_fixed_knob_has_a_check_and_nearly_all_a_channel() -> None:
    profile = load_profile("hardened-2")
    assert profile.checks
    assert profile.channels
    assert profile.checks.keys() == profile.fixed.keys()
    # What no program can print of itself in a moment: a limit it never reaches, how fast
    # it runs, which seeds languages take that are not there.
    silent = {"foreign hash seeds", "memory limit", "speed"}
    assert profile.fixed.keys() | profile.open.keys() == profile.channels.keys() | silent


def test_every_bound_and_masked_path_is_looked_at() -> None:
    profile = load_profile("hardened-2")
    words = " ".join((profile.checks or {}).values())
    assert not [path for path in (*profile.files, *profile.folders) if f"shows {path}" not in words]
    assert all(path.startswith(("/proc/", "/sys/")) for path in profile.masked_paths)
    # A folder bound over hides what is below: masking there would show it again.
    assert not [
        path for path in profile.masked_paths for top in profile.folders if path.startswith(top)
    ]


SECOND = load_profile("hardened-2")
CHECKS, CHANNELS = dict(SECOND.checks or {}), dict(SECOND.channels or {})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "relsign/profile/1"}, "has no checks"),
        ({"checks": msgspec.UNSET}, "has checks and channels"),
        ({"channels": msgspec.UNSET}, "has checks and channels"),
        ({"checks": {**CHECKS, "clock": "true"}}, "name other knobs: clock"),
        ({"checks": {k: v for k, v in CHECKS.items() if k != "umask"}}, "other knobs: umask"),
        ({"channels": {**CHANNELS, "other": ("one",)}}, "channels of no knob: other"),
        ({"channels": {**CHANNELS, "speed": ("user",)}}, "channel"),
        ({"channels": {**CHANNELS, "speed": ("b", "a")}}, "not sorted"),
        ({"open": {**SECOND.open, "umask": "x"}}, "fixed and open: umask"),
        ({"fixed": {**SECOND.fixed, "Umask": "x"}}, "Umask"),
        ({"format": "relsign/profile/3"}, "profile/3"),
        ({"masked_paths": ("/proc/$(id)",)}, "masked_paths"),
        ({"hostname": "a b"}, "hostname"),
    ],
)
def test_a_contradictory_document_is_refused(changes: dict[str, object], words: str) -> None:
    fields = {name: getattr(SECOND, name) for name in SECOND.__struct_fields__}
    values = {name: value for name, value in {**fields, **changes}.items()
              if value is not msgspec.UNSET}  # fmt: skip
    with pytest.raises(InputError, match=words):
        decode_canonical(encode_canonical(values), Profile, "profile")


def test_a_first_form_needs_neither() -> None:
    first = load_profile("hardened-1")
    assert first.checks is msgspec.UNSET
    assert first.channels is msgspec.UNSET
    with pytest.raises(ValueError, match="has checks and channels"):
        msgspec.structs.replace(first, format="relsign/profile/2")


def test_variables_are_the_profiles_the_recipes_and_the_epoch() -> None:
    profile = load_profile()
    variables = profile.variables({"CFLAGS": "-O2"}, 12)
    assert variables == {**profile.environment, "CFLAGS": "-O2", "SOURCE_DATE_EPOCH": "12"}


def test_the_home_folder_is_in_the_build_folder() -> None:
    profile = load_profile()
    assert f"{profile.build_folder}/{profile.home}" == profile.environment["HOME"]


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


def test_no_link_is_followed_where_bound_files_lie(tmp_path: Path) -> None:
    profile = load_profile()
    (first, second, *_) = bound_paths(profile, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(profile.files[first.target])
    first.source.unlink()
    first.source.symlink_to(elsewhere)
    bound_paths(profile, tmp_path)
    assert not first.source.is_symlink()
    assert elsewhere.exists()
    second.source.unlink()
    second.source.mkdir()
    with pytest.raises(HostError):
        bound_paths(profile, tmp_path)


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
    settings = HostSettings(tmp_path, profile.variables({}, 5), (3,))
    bound = bound_paths(profile, settings.cache)
    view = msgspec.convert(container_document(profile, settings, bound, "v"), View)
    host = view.host_config
    assert (host.network_mode, host.privileged, host.readonly_rootfs) == ("none", False, True)
    assert (host.cap_add, host.cap_drop, host.cpuset_cpus) == ([], ["ALL"], "3")
    assert host.security_opt[0] == "no-new-privileges"
    assert host.memory == host.memory_swap == profile.memory_bytes
    assert "SOURCE_DATE_EPOCH=5" in view.env


def test_the_reference_page_has_every_knob_and_sentence() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/profile.md").read_text()
    profile = load_profile()
    for knob, sentence in {**profile.fixed, **profile.open}.items():
        assert f"| {knob} | {sentence} |" in page
    for field in Profile.__struct_fields__:
        assert f"`{field}`" in page

"""`package-lock.json`: packages of the registry with SHA-512, nothing else."""

from __future__ import annotations

import json

import pytest

from relsign.errors import InputError
from relsign.formats import npm_lock
from relsign.formats.npm_lock import parse_npm_lock
from tests.hostile.mutate import Tree
from tests.hostile.survival import count_refusals

GOOD = "sha512-" + "A" * 86 + "=="
OTHER = "sha512-" + "B" * 86 + "=="


def entry(**more: object) -> dict[str, object]:
    return {"version": "1.0.0", "resolved": "https://registry.example/x", "integrity": GOOD, **more}


def lock(packages: object, version: int = 3) -> bytes:
    fields = {"name": "p", "lockfileVersion": version, "requires": True, "packages": packages}
    return json.dumps(fields).encode()


def of(place: str, **more: object) -> bytes:
    return lock({"": {"name": "p"}, place: entry(**more)})


def test_one_package_in_several_folders_is_one_package() -> None:
    data = lock(
        {
            "": {"devDependencies": {"@a/b": "1"}},
            "node_modules/@a/b": entry(dev=True, engines={"node": ">=1"}, bin={"b": "b.js"}),
            "node_modules/c/node_modules/@a/b": entry(peer=True),
            "node_modules/c": entry(name="real", integrity=OTHER, resolved=None),
            "node_modules/c/node_modules/in": {"version": "9.9.9", "inBundle": True},
            "node_modules/c/node_modules/in/node_modules/x": {"inBundle": True},
        }
    )
    first, second = parse_npm_lock(data, "amd64")
    assert (first.name, first.version, first.integrity) == ("@a/b", "1.0.0", GOOD)
    assert first.places == ("node_modules/@a/b", "node_modules/c/node_modules/@a/b")
    assert (second.name, second.places) == ("real", ("node_modules/c",))


@pytest.mark.parametrize(
    ("architecture", "more", "is_there"),
    [
        ("amd64", {"os": ["linux"], "cpu": ["x64"]}, True),
        ("arm64", {"os": ["linux"], "cpu": ["x64"]}, False),
        ("arm64", {"cpu": ["arm64"]}, True),
        ("amd64", {"os": ["darwin"]}, False),
        ("amd64", {"os": ["!win32"]}, True),
        ("amd64", {"os": ["!linux"]}, False),
        ("amd64", {"cpu": ["any"]}, True),
        ("amd64", {"cpu": ["arm64"], "optional": False, "devOptional": True}, False),
    ],
)
def test_optional_packages_for_other_systems_are_left_out(
    architecture: str, more: dict[str, object], *, is_there: bool
) -> None:
    found = parse_npm_lock(of("node_modules/a", **{"optional": True, **more}), architecture)
    assert bool(found) == is_there


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (lock({}, 1), "unknown version"),
        (b"{}", "lockfileVersion"),
        (b'{"lockfileVersion":3,"lockfileVersion":3}', "duplicate key"),
        (b"[", "not valid JSON"),
        (of("node_modules/a", link=True), "folder or workspace"),
        (of("packages/a"), "folder or workspace"),
        (of("node_modules/a/b"), "folder or workspace"),
        (of("node_modules/../a"), "folder or workspace"),
        (of("node_modules/.."), "a package name of npm"),
        (of("node_modules/a/node_modules/.bin"), "a package name of npm"),
        (of("node_modules/a", resolved="git+ssh://git@host/a.git#abc"), "git, file or folder"),
        (of("node_modules/a", resolved="file:../a"), "git, file or folder"),
        (of("node_modules/a", integrity=None), "no SHA-512 integrity"),
        (of("node_modules/a", integrity="sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="), "no SHA-512"),
        (of("node_modules/a", integrity=f"{GOOD} {OTHER}"), "sha512-BASE64"),
        (of("node_modules/a", version=None), "a version 1.2.3"),
        (of("node_modules/a", version="latest"), "a version 1.2.3"),
        (of("node_modules/a", version="../../x"), "a version 1.2.3"),
        (of("node_modules/a", name="--registry=x"), "not a package name"),
        (of("node_modules/a", name="a b"), "a package name of npm"),
        (of("node_modules/a", os=["darwin"]), "package for another system"),
        (lock({"node_modules/a/node_modules/b": {"inBundle": True}}), "of no package"),
        (lock({"node_modules/b": {"inBundle": True}}), "of no package"),
    ],
)
def test_what_no_registry_serves_by_digest_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        parse_npm_lock(data, "amd64")
    assert caught.value.where.startswith("package-lock.json")


def test_more_packages_than_a_lock_may_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = lock(
        {f"node_modules/{name}": entry(version=f"{number}.0.0") for number, name in enumerate("ab")}
    )
    monkeypatch.setattr(npm_lock, "MAX_LOCKED", 1)
    with pytest.raises(InputError, match="too many packages"):
        parse_npm_lock(data, "amd64")
    monkeypatch.setattr(npm_lock, "MAX_ENTRIES", 1)
    with pytest.raises(InputError, match="too many packages"):
        parse_npm_lock(data, "amd64")


def test_misshapen_lock_files_raise_input_error_only() -> None:
    sample = json.loads(of("node_modules/a", os=["linux"], optional=True))
    make = Tree(sample, "shape npm lock", lambda value: json.dumps(value).encode()).make
    assert count_refusals(lambda data: parse_npm_lock(data, "amd64"), make, 2000) > 200


def test_an_endless_folder_is_refused_before_anybody_walks_up_it() -> None:
    place = "node_modules/a/" * (1 << 17) + "node_modules/b"
    with pytest.raises(InputError, match="name is too long"):
        parse_npm_lock(lock({place: entry(inBundle=True)}), "amd64")

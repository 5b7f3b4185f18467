"""`Cargo.lock`: crates of one registry with checksums, nothing else."""

from __future__ import annotations

import pytest

from relsign.errors import InputError
from relsign.formats import cargo_lock
from relsign.formats.cargo_lock import parse_cargo_lock
from tests.hostile.mutate import Bytes
from tests.hostile.survival import count_refusals

SUM = "a" * 64
INDEX = "registry+https://index.example/crates"


def package(
    name: str, source: str | None = INDEX, checksum: str | None = SUM, v: str = "1.0.0"
) -> str:
    lines = [f'[[package]]\nname = "{name}"\nversion = "{v}"']
    lines += [f'source = "{source}"'] if source else []
    lines += [f'checksum = "{checksum}"'] if checksum else []
    return "\n".join([*lines, 'dependencies = ["x"]\n'])


def lock(*packages: str, version: str = "version = 3\n") -> bytes:
    return "\n".join([f"# generated\n{version}", *packages]).encode()


SAMPLE = lock(package("b"), package("a", v="0.1.0-rc.1+x"), package("app", None, None))


@pytest.mark.parametrize("version", ["3", "4"])
def test_crates_come_sorted_and_the_project_itself_is_left_out(version: str) -> None:
    data = SAMPLE.replace(b"version = 3", f"version = {version}".encode())
    first, second = parse_cargo_lock(data)
    assert (first.name, first.version, first.checksum) == ("a", "0.1.0-rc.1+x", SUM)
    assert second.name == "b"
    assert parse_cargo_lock(lock(package("app", None, None))) == ()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (lock(package("a"), version=""), "unknown version"),
        (lock(package("a"), version="version = 5\n"), "unknown version"),
        (lock(package("a", "git+https://host.example/a#abc")), "not from a registry"),
        (lock(package("a", "path+file:///a")), "not from a registry"),
        (lock(package("a", checksum=None)), "no checksum"),
        (lock(package("a", checksum="A" * 64)), "64 digits"),
        (lock(package("a"), package("b", "sparse+https://other.example/")), "second registry"),
        (lock(package("a"), package("a")), "named twice"),
        (lock(package("../a")), "a crate"),
        (lock(package("a", v="1.0")), "a version 1.2.3"),
        (lock(package("a", v='1.0.0\\", x')), "a version 1.2.3"),
        (b"version = 3\n[[package]]\nname = 1\n", "package"),
        (b"version = ", "not valid TOML"),
    ],
)
def test_what_no_registry_serves_by_checksum_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        parse_cargo_lock(data)
    assert caught.value.where.startswith("Cargo.lock")


def test_more_crates_than_a_lock_may_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cargo_lock, "MAX_LOCKED", 1)
    with pytest.raises(InputError, match="too many crates"):
        parse_cargo_lock(SAMPLE)


def test_mutated_lock_files_raise_input_error_only() -> None:
    make = Bytes(SAMPLE, "bytes cargo lock").make
    assert count_refusals(parse_cargo_lock, make, 2000) > 200

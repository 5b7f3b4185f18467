"""What kind of machine this is, and that nothing else is told."""

from __future__ import annotations

import platform

import pytest

from relsign.system.machine import machine_platform, operating_system


def test_this_machine_is_one_of_its_kind() -> None:
    assert machine_platform() == platform.machine()
    assert platform.node() not in {machine_platform(), operating_system()}
    assert operating_system().partition("-")[0] == platform.freedesktop_os_release()["ID"]


def refuse() -> dict[str, str]:
    raise FileNotFoundError("os-release")


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ({"ID": "debian", "VERSION_ID": "12", "NAME": "x"}, "debian-12"),
        ({"ID": "arch"}, "arch"),
        (None, "linux"),
    ],
)
def test_the_system_is_named_as_its_file_says(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str] | None, expected: str
) -> None:
    monkeypatch.setattr(
        platform, "freedesktop_os_release", refuse if release is None else lambda: release
    )
    assert operating_system() == expected

"""What kind of machine this is: nothing that tells it from another of its kind."""

from __future__ import annotations

import platform


def machine_platform() -> str:
    """Return the architecture, as the kernel names it: ``x86_64``."""
    return platform.machine()


def operating_system() -> str:
    """Return the operating system and its version, from os-release(5): ``debian-12``.

    A system without that file, or without a version in it, is named without.
    """
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {"ID": "linux"}
    return "-".join(part for part in (release["ID"], release.get("VERSION_ID", "")) if part)

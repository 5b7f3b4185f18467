"""The sources of a build, in another order and for another user.

A folder on tmpfs lists its files in the order they were made, so unpacking them in
another one makes every program that does not sort see another one.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from relsign.build.twin.knobs import Setup


@contextmanager
def arranged(source: BinaryIO, setup: Setup) -> Iterator[BinaryIO]:
    """Yield the tar `source`, which this program wrote, as `setup` wants it, at its start.

    Every folder still comes before what lies in it.
    """
    source.seek(0)
    with tempfile.TemporaryFile() as stream:
        with (
            tarfile.open(fileobj=source, mode="r:") as old,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as new,
        ):
            for member in _ordered(old.getmembers(), setup):
                member.uid, member.gid = setup.profile.user, setup.profile.group
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
        stream.seek(0)
        yield stream


def _ordered(members: list[tarfile.TarInfo], setup: Setup) -> list[tarfile.TarInfo]:
    if not setup.reversed_order:
        return members
    names = sorted((member.name.split("/") for member in members), reverse=True)
    # Last name first, but a prefix of a name before the name: a folder before its files.
    names.sort(key=len)
    place = {"/".join(parts): number for number, parts in enumerate(names)}
    return sorted(members, key=lambda member: place[member.name])

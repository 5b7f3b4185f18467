"""Packing a folder into a ``.tar.gz`` whose bytes depend on nothing but its content.

Done inside the container by the locked environment's own GNU tar and gzip, so
that the coder is one of the build's inputs and every builder uses the same.  The
script is part of the profile, since it decides bytes.

Fixed: order of names, owner, times, permission bits, header format; gzip's
header carries neither name nor time.  A hard link is packed as a file of its
own, since which of its names comes first would otherwise show.
"""

from __future__ import annotations

from relsign.build.profile import Profile
from relsign.formats.recipe import Pack


def pack_command(
    profile: Profile, step: Pack, folder: str, scratch: str, epoch: int | None
) -> tuple[str, ...]:
    """Return the words that pack `step` in the container, into ``scratch/NAME``.

    `folder` is where the build's commands start, as an absolute path; members
    are named from the last component of the packed folder on.  All names are
    arguments, never part of the script.  Without an `epoch` (Unix seconds) the
    members' time is 0.
    """
    parent, _, last = f"{folder}/{step.directory}".rpartition("/")
    return (*profile.pack, parent, last, str(epoch or 0), scratch, step.name)

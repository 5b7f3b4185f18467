"""All sources of one build as the tars it unpacks, together no larger than its build folder.

They lie side by side in unnamed temporary files of this machine, so the container's bound
on its own folder would come too late.

    with source_streams(store, recipe.source, profile.build_bytes) as streams:
        request = BuildRequest(sources=streams, ...)
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from relsign.build.archives.members import Limits
from relsign.build.archives.unpack import Placement, write_file_tar, write_source_tar
from relsign.build.store import Store
from relsign.errors import InputError
from relsign.formats.recipe import Source


@contextlib.contextmanager
def source_streams(
    store: Store, sources: Sequence[Source], build_bytes: int
) -> Iterator[list[BinaryIO]]:
    """Yield the sources as open tars at their start, in the recipe's order.

    Raises NotEnoughError for one that was not fetched, InputError for what `unpack` refuses
    and for sources that together have more than `build_bytes`.
    """
    with contextlib.ExitStack() as stack:
        streams: list[BinaryIO] = []
        room = build_bytes
        for index, source in enumerate(sources):
            stream = stack.enter_context(tempfile.TemporaryFile())
            _write(store, source, f"relsign.toml: source[{index}]", stream, room)
            room = max(0, room - stream.tell())
            stream.seek(0)
            streams.append(stream)
        yield streams


def _write(store: Store, source: Source, where: str, stream: BinaryIO, room: int) -> None:
    """Write one source at `where` in the recipe, whose contents have at most `room` bytes."""
    path = store.path(source.sha256)
    if source.unpack:
        limits = Limits(total_bytes=min(Limits().total_bytes, room))
        placement = Placement(source.name, source.strip)
        write_source_tar(path, stream, placement, limits=limits, where=where)
        return
    if path.stat().st_size > room:
        raise InputError(
            "the sources of one build are larger than its build folder",
            where=where,
            expected=f"at most {room} bytes left for it",
            got=f"{path.stat().st_size} bytes",
            hint="leave sources out that the build does not need",
        )
    write_file_tar(path, stream, f"{source.name}/{source.file}", mtime=0)

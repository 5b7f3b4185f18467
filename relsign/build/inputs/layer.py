"""A layer's blob: decompressed with bounds, its tar's digest compared.

The digest is what the image's own configuration states ("DiffID"), and what the engine
will call the layer.  Nothing is unpacked here; that is the engine's work, in its sandbox.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from relsign.build.archives.members import Limits
from relsign.build.archives.plain_tar import BLOCK, MAX_MEMBER_BYTES, padding
from relsign.errors import InputError, VerificationError
from relsign.formats.names import Digest
from relsign.system.fetch import Sink
from relsign.system.files import READ_BYTES, host_error, open_regular

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_DAMAGED = "it was packed so, for its digest is right: name the digest of another image"
EXTENSIONS = frozenset({b"x", b"g", b"L", b"K"})
"""Types of headers that speak of the next one (POSIX pax, GNU tar)."""


def read_layer(blob: Path, diff_sha256: Digest, sink: Sink | None) -> int:
    """Write the tar in a layer's blob into `sink`, or nowhere, and return its size.

    Raises InputError for a blob that is damaged, grows too much or is compressed with
    something else than gzip, VerificationError if its tar has another digest.
    """
    where = f"image layer {diff_sha256[:12]}"
    digest = hashlib.sha256()
    size = 0
    with open_regular(blob) as stream:
        limit = min(MAX_MEMBER_BYTES, Limits().allowed_bytes(blob.stat().st_size))
        try:
            for chunk in _chunks(stream, where):
                size += len(chunk)
                if size > limit:
                    raise InputError(
                        "image layer grows too much",
                        where=where,
                        expected=f"at most {limit} bytes",
                        hint="pack the image anew in smaller layers; if it is small, do not use it",
                    )
                digest.update(chunk)
                if sink is not None:
                    sink.write(chunk)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                "image layer is damaged", where=where, got=str(error)[:120], hint=_DAMAGED
            ) from error
        except OSError as error:
            raise host_error(error, blob) from error
    if digest.hexdigest() != diff_sha256:
        raise VerificationError(
            "the tar in an image layer has another digest",
            where=where,
            expected=diff_sha256,
            got=digest.hexdigest(),
            hint="the image's configuration and its layers do not belong together: do not use it",
        )
    return size


def _chunks(stream: BinaryIO, where: str) -> Iterator[bytes]:
    magic = stream.read(len(ZSTD))
    stream.seek(0)
    if magic == ZSTD:
        raise InputError(
            "image layer is compressed with zstd",
            where=where,
            expected="a tar, plain or with gzip",
            hint="copy the image with gzip layers and name that copy's digest",
        )
    if not magic.startswith(GZIP):
        while chunk := stream.read(READ_BYTES):
            yield chunk
        return
    with gzip.GzipFile(fileobj=stream, mode="rb") as plain:
        while chunk := plain.read(READ_BYTES):
            yield chunk


def plain_names(tar: BinaryIO) -> Iterator[str]:
    """Yield the names that stand in a layer's headers themselves, as the path of a program does.

    What extension headers say is skipped unread: they may claim any size.  Raises
    InputError for a damaged tar.
    """
    size = tar.seek(0, 2)
    at = 0
    while at < size:
        tar.seek(at)
        block = tar.read(BLOCK)
        if not block.strip(b"\0"):
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            raise InputError("image layer is damaged", where=f"byte {at}", hint=_DAMAGED) from error
        if header.size < 0:
            raise InputError(
                "image layer is damaged", where=f"byte {at}", got="negative size", hint=_DAMAGED
            )
        if header.type not in EXTENSIONS:
            yield header.name
        # Links and folders have nothing behind their header, whatever they state.
        has_data = header.type in EXTENSIONS or header.isreg()
        at += BLOCK + (header.size + len(padding(header.size)) if has_data else 0)

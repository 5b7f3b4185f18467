"""Undo a compression into a temporary file, bounded in size, ratio and memory."""

from __future__ import annotations

import bz2
import lzma
import tempfile
import zlib
from collections.abc import Iterator
from typing import Literal, Protocol

from relsign.build.explain.piece import Piece, Work
from relsign.errors import InputError
from relsign.system.files import host_error

Coding = Literal["stored", "deflate", "zlib", "gzip", "xz", "bzip2"]
MAX_XZ_MEMORY = 512 << 20
OUT_BYTES = 1 << 20
RAW_DEFLATE = -zlib.MAX_WBITS


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def take(self, data: bytes) -> Iterator[bytes]: ...


class _Zlib:
    def __init__(self, window_bits: int) -> None:
        self._decoder = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def take(self, data: bytes) -> Iterator[bytes]:
        out = self._decoder.decompress(data, OUT_BYTES)
        yield out
        # A full buffer may leave output waiting after the last byte of input was taken.
        while not self._decoder.eof and (self._decoder.unconsumed_tail or len(out) == OUT_BYTES):
            out = self._decoder.decompress(self._decoder.unconsumed_tail, OUT_BYTES)
            yield out


class _Block:
    """Decoders of the lzma and bz2 modules: they keep their own input."""

    def __init__(self, decoder: lzma.LZMADecompressor | bz2.BZ2Decompressor) -> None:
        self._decoder = decoder

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def take(self, data: bytes) -> Iterator[bytes]:
        yield self._decoder.decompress(data, OUT_BYTES)
        while not self._decoder.eof and not self._decoder.needs_input:
            yield self._decoder.decompress(b"", OUT_BYTES)


def _decoder(coding: Coding) -> _Decoder:
    if coding == "xz":
        return _Block(lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_MEMORY))
    if coding == "bzip2":
        return _Block(bz2.BZ2Decompressor())
    bits = {"deflate": RAW_DEFLATE, "gzip": zlib.MAX_WBITS | 16}
    return _Zlib(bits.get(coding, zlib.MAX_WBITS))


def unpack(packed: Piece, coding: Coding, work: Work) -> Piece:
    """Return the piece that `packed` holds; raise InputError if it is damaged or too large."""
    if coding == "stored":
        return packed
    allowed = work.bounds.archive.allowed_bytes(packed.size)
    spool = work.spool()
    size = 0
    try:
        for data in _streams(packed, coding):
            size += len(data)
            work.spend(len(data))
            if size > allowed:
                raise InputError("it grows too much", expected=f"at most {allowed} bytes")
            spool.write(data)
        spool.flush()
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise InputError("damaged compression", got=str(error)[:80]) from error
    except OSError as error:
        if error.errno:  # the disk's, not the decoder's
            raise host_error(error, tempfile.gettempdir()) from error
        raise InputError("damaged compression", got=str(error)[:80]) from error
    return Piece(spool.fileno(), 0, size)


def _streams(packed: Piece, coding: Coding) -> Iterator[bytes]:
    """Yield what all streams of a file hold: gzip, xz and bzip2 files may be joined."""
    decoder: _Decoder | None = None
    for chunk in packed.chunks():
        data = chunk
        while data:
            if decoder is None:
                data = data.lstrip(b"\0") if coding in {"gzip", "xz"} else data
                if not data:
                    break
                decoder = _decoder(coding)
            yield from decoder.take(data)
            if not decoder.eof:
                break
            data, decoder = decoder.unused_data, None
            if coding in {"deflate", "zlib"} and data:
                raise InputError("bytes behind the compressed data")
    if decoder is not None:
        raise InputError("compressed data ends too early")

"""Read the sections of an ELF file: 32 and 64 bits, both byte orders.

Own code, bounded: System V ABI, chapter 4 (object files).  A file without section
headers is compared as bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from relsign.build.explain.difference import Kind
from relsign.build.explain.entry import Entry, Opened
from relsign.build.explain.layers import Coding
from relsign.build.explain.piece import Piece, Work
from relsign.errors import InputError

MAGIC = b"\x7fELF"
NO_BITS = 8
EXECUTABLE = 0x4
COMPRESSED = 0x800
ZLIB = 1
MAX_SECTIONS = 100_000
MAX_NAMES_BYTES = 16 << 20
EXTENDED_INDEX = 0xFFFF


class _Shape(NamedTuple):
    """How one class and byte order lays out its structures."""

    header: struct.Struct
    section: struct.Struct
    compression: struct.Struct


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int


def is_elf(head: bytes) -> bool:
    """Say whether a file that starts with `head` is an ELF file."""
    return head.startswith(MAGIC)


def open_elf(piece: Piece, work: Work) -> Opened:
    """Return the sections of an ELF file; raise InputError for a damaged one."""
    del work
    ident = piece.exactly(0, 16)
    shape = _shape(ident)
    fields = shape.header.unpack(piece.exactly(16, shape.header.size))
    sections = _sections(piece, shape, fields)
    names_at = _names_index(fields, sections)
    names_section = sections[names_at]
    names = piece.part(names_section.offset, min(names_section.size, MAX_NAMES_BYTES))
    text = names.read(0, names.size)
    facts: dict[str, tuple[Kind, str]] = {
        "elf.ident": ("header", ident.hex()),
        "elf.machine": ("header", f"machine {fields[1]}, flags {fields[6]:#x}"),
        "elf.type": ("header", str(fields[0])),
    }
    return Opened("elf", tuple(_entries(piece, shape, sections, text)), facts, is_ordered=False)


def _shape(ident: bytes) -> _Shape:
    order = {1: "<", 2: ">"}.get(ident[5])
    if order is None or ident[4] not in {1, 2}:
        raise InputError("damaged ELF header")
    if ident[4] == 1:
        return _Shape(
            struct.Struct(f"{order}HHLLLLLHHHHHH"),
            struct.Struct(f"{order}10L"),
            struct.Struct(f"{order}3L"),
        )
    return _Shape(
        struct.Struct(f"{order}HHLQQQLHHHHHH"),
        struct.Struct(f"{order}2L4Q2L2Q"),
        struct.Struct(f"{order}2L2Q"),
    )


def _sections(piece: Piece, shape: _Shape, fields: tuple[int, ...]) -> tuple[_Section, ...]:
    offset, entry_size, count = fields[5], fields[10], fields[11]
    if not offset or entry_size != shape.section.size:
        raise InputError("ELF file without sections")
    if count == 0:  # more than 16 bits hold: the first section says how many
        count = shape.section.unpack(piece.exactly(offset, entry_size))[5]
    if not 0 < count <= MAX_SECTIONS:
        raise InputError("too many ELF sections")
    table = piece.exactly(offset, count * entry_size)
    return tuple(_Section(*row[:6]) for row in shape.section.iter_unpack(table))


def _names_index(fields: tuple[int, ...], sections: tuple[_Section, ...]) -> int:
    index = fields[12]
    if index == EXTENDED_INDEX or index >= len(sections):
        raise InputError("ELF file without section names")
    return index


def _entries(
    piece: Piece, shape: _Shape, sections: tuple[_Section, ...], names: bytes
) -> Iterator[Entry]:
    for section in sections:
        raw = names[section.name : section.name + 256].partition(b"\0")[0]
        name = raw.decode("utf-8", "surrogateescape")
        if section.type in {0, NO_BITS}:
            continue
        data = piece.part(section.offset, section.size)
        coding: Coding = "stored"
        if section.flags & COMPRESSED:
            kind = shape.compression.unpack(data.exactly(0, shape.compression.size))[0]
            if kind != ZLIB:
                raise InputError("unusual compression of an ELF section")
            coding = "zlib"
            data = data.part(shape.compression.size, data.size - shape.compression.size)
        yield Entry(name, data, {}, coding, is_code=bool(section.flags & EXECUTABLE))

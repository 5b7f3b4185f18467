"""A reader of small QR codes, made from ISO/IEC 18004 alone: what a camera would see.

Versions 1 to 5 with medium correction, where the data is not corrupted: so nothing is
corrected, only unmasked, read in zigzag, put back from blocks, and decoded.
"""

from __future__ import annotations

from collections.abc import Iterator

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
DATA_BLOCKS = {1: [16], 2: [28], 3: [44], 4: [32, 32], 5: [43, 43], 6: [27] * 4}
"""Data codewords of each block, level M."""
Modules = list[list[int]]


def read_code(modules: Modules) -> str:
    """Return the text of an alphanumeric symbol of level M."""
    size = len(modules)
    version = (size - 17) // 4
    stream = bits(blocks(codewords(modules, version), version))
    assert take(stream, 4) == 0b0010, "alphanumeric"
    count = take(stream, 9)
    text = ""
    for _ in range(count // 2):
        pair = take(stream, 11)
        text += LETTERS[pair // 45] + LETTERS[pair % 45]
    return text + (LETTERS[take(stream, 6)] if count % 2 else "")


def take(stream: Iterator[int], count: int) -> int:
    value = 0
    for _ in range(count):
        value = value << 1 | next(stream)
    return value


def bits(data: list[int]) -> Iterator[int]:
    return (byte >> shift & 1 for byte in data for shift in range(7, -1, -1))


def blocks(words: list[int], version: int) -> list[int]:
    """Return the data codewords in order; they are dealt to the blocks like cards."""
    sizes = DATA_BLOCKS[version]
    assert len(set(sizes)) == 1
    return [words[at * len(sizes) + n] for n in range(len(sizes)) for at in range(sizes[0])]


def codewords(modules: Modules, version: int) -> list[int]:
    mask = mask_of(modules)
    stream = (
        modules[row][column] ^ (mask_bit(mask, row, column))
        for row, column in zigzag(len(modules))
        if not is_function(row, column, len(modules))
    )
    return [take(stream, 8) for _ in range(sum(DATA_BLOCKS[version]))]


def mask_of(modules: Modules) -> int:
    """Return the mask's number, having looked that the level is M."""
    value = 0
    for bit in modules[8][:5]:
        value = value << 1 | bit
    value ^= 0b10101
    assert value >> 3 == 0, "level M"
    return value & 7


def mask_bit(mask: int, i: int, j: int) -> int:
    return int(
        (
            (i + j) % 2,
            i % 2,
            j % 3,
            (i + j) % 3,
            (i // 2 + j // 3) % 2,
            i * j % 2 + i * j % 3,
            (i * j % 2 + i * j % 3) % 2,
            ((i + j) % 2 + i * j % 3) % 2,
        )[mask]
        == 0
    )


def zigzag(size: int) -> Iterator[tuple[int, int]]:
    upward = True
    for right in (*range(size - 1, 7, -2), 5, 3, 1):
        rows = range(size - 1, -1, -1) if upward else range(size)
        for row in rows:
            yield row, right
            yield row, right - 1
        upward = not upward


def is_function(row: int, column: int, size: int) -> bool:
    """Say whether a module is of a pattern or of the format, not of the data."""
    corner = (row < 9 and (column < 9 or column >= size - 8)) or (row >= size - 8 and column < 9)
    timing = 6 in {row, column}
    middle = size - 7
    alignment = size > 21 and abs(row - middle) <= 2 and abs(column - middle) <= 2
    return corner or timing or alignment

"""OpenPGP ASCII armour: strict both ways (RFC 9580, 6).

One value has one armour here but for line lengths, line ends and header lines:
base64 is canonical, the checksum is compared when present, and nothing but
white space may stand around a block.

    >>> dearmor(armor(b"hello", "SIGNATURE"), "SIGNATURE", "example")
    b'hello'
"""

from __future__ import annotations

import base64
import binascii
import re

from relsign.errors import InputError
from relsign.formats.canonical import shorten

MAX_ARMOR_BYTES = 2 << 20
_COLUMNS = 64
_CRC_POLYNOMIAL = 0x1864CFB
_CRC_START = 0xB704CE
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*: [\x20-\x7e]*")


def _crc_row(byte: int) -> int:
    value = byte << 16
    for _ in range(8):
        value <<= 1
        if value & 0x1000000:
            value ^= _CRC_POLYNOMIAL
    return value


_CRC_TABLE = tuple(_crc_row(byte) for byte in range(256))


def _crc24(data: bytes) -> str:
    value = _CRC_START
    for byte in data:
        value = ((value << 8) & 0xFFFFFF) ^ _CRC_TABLE[(value >> 16) ^ byte]
    return base64.b64encode(value.to_bytes(3, "big")).decode("ascii")


def armor(data: bytes, kind: str) -> bytes:
    """Return the armoured block of `data`; `kind` is such as ``SIGNATURE``."""
    text = base64.b64encode(data).decode("ascii")
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    block = [f"-----BEGIN PGP {kind}-----", "", *lines, f"={_crc24(data)}"]
    return "\n".join([*block, f"-----END PGP {kind}-----", ""]).encode("ascii")


def dearmor(data: bytes, kind: str, where: str) -> bytes:
    """Return the bytes inside exactly one armoured block.

    Raises InputError for anything malformed, another kind of block, a wrong
    checksum, or text around the block.
    """
    blocks = dearmor_all(data, kind, where)
    if len(blocks) != 1:
        raise InputError("more than one armoured block", where=where, got=str(len(blocks)))
    return blocks[0]


def dearmor_all(data: bytes, kind: str, where: str) -> tuple[bytes, ...]:
    """Return the bytes inside each of one or more armoured blocks; raises as `dearmor`."""
    if len(data) > MAX_ARMOR_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_ARMOR_BYTES} bytes")
    try:
        lines = [line.rstrip(" \t\r") for line in data.decode("ascii").split("\n")]
    except UnicodeDecodeError as error:
        raise InputError("armour is not ASCII", where=where) from error
    begin, end = f"-----BEGIN PGP {kind}-----", f"-----END PGP {kind}-----"
    blocks: list[bytes] = []
    position = 0
    while position < len(lines):
        if not lines[position]:
            position += 1
            continue
        if lines[position] != begin:
            raise InputError("not an armoured block", where=where, expected=begin)
        if end not in lines[position:]:
            raise InputError("armoured block has no end", where=where, expected=end)
        stop = lines.index(end, position)
        blocks.append(_decode_block(lines[position + 1 : stop], where))
        position = stop + 1
    if not blocks:
        raise InputError("not an armoured block", where=where, expected=begin)
    return tuple(blocks)


def _decode_block(lines: list[str], where: str) -> bytes:
    start = 0
    while start < len(lines) and _HEADER.fullmatch(lines[start]):
        start += 1
    if start == len(lines) or lines[start]:
        raise InputError("armour headers do not end with an empty line", where=where)
    body = lines[start + 1 :]
    checksum = body.pop()[1:] if body and body[-1].startswith("=") else None
    text = "".join(body)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("armour is not base64", where=where) from error
    if base64.b64encode(data).decode("ascii") != text:
        raise InputError("armour is not canonical base64", where=where)
    if checksum is not None and checksum != _crc24(data):
        raise InputError(
            "armour has a wrong checksum",
            where=where,
            expected=_crc24(data),
            got=shorten(checksum, 16),
        )
    return data

r"""OpenPGP packets, subpackets and signatures: framing only, nothing is verified here.

A strict subset of RFC 9580: definite lengths, version 4 signatures.  Every
number is bounded by the bytes in hand, and any bytes give packets or InputError.

    >>> read_packets(bytes([0xC2, 2, 4, 0]), "example")
    (Packet(tag=2, body=b'\x04\x00', whole=b'\xc2\x02\x04\x00'),)
"""

from __future__ import annotations

from dataclasses import dataclass

from relsign.errors import InputError, VerificationError

MAX_PACKETS = 5_000
SIGNATURE_VERSION = 4

TAG_SIGNATURE = 2
TAG_PUBLIC_KEY = 6
TAG_USER_ID = 13
TAG_PUBLIC_SUBKEY = 14
TAG_USER_ATTRIBUTE = 17
TAG_MARKER = 10
TAG_TRUST = 12
TAG_PADDING = 21
FIRST_NONCRITICAL_TAG = 40
"""Unknown packets from here on may be skipped; below, they must be refused (RFC 9580, 4.3)."""

SUB_CREATED = 2
SUB_EXPIRES = 3
SUB_KEY_EXPIRES = 9
SUB_REVOCATION_KEY = 12
SUB_ISSUER_KEYID = 16
SUB_KEY_FLAGS = 27
SUB_EMBEDDED = 32
SUB_ISSUER_FINGERPRINT = 33

_UNDERSTOOD = frozenset({2, 3, 4, 7, 9, 11, 12, 16, 21, 22, 23, 25, 26, 27, 28, 29, 30, 32, 33, 34})
"""Subpackets (RFC 9580, 5.2.3.7) whose meaning is heeded here or changes no decision."""

_ONCE = frozenset({SUB_CREATED, SUB_EXPIRES, SUB_KEY_EXPIRES, SUB_KEY_FLAGS})
"""Subpackets that decide: two of one kind would leave the choice to the reader."""

_NEW_FORMAT = 0x40
_ALWAYS_ONE = 0x80
_TWO_OCTETS_FROM = 192
_PARTIAL_FROM = 224
_FOUR_OCTETS = 255
_INDETERMINATE = 3
_CRITICAL = 0x80


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: its tag, its body without the header, and both as received."""

    tag: int
    body: bytes
    whole: bytes
    """Header and body, as received."""


@dataclass(frozen=True, slots=True)
class Subpacket:
    """One signature subpacket."""

    kind: int
    critical: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """A version 4 signature packet, parsed and not verified (RFC 9580, 5.2.3)."""

    kind: int
    key_algorithm: int
    hash_algorithm: int
    hashed: tuple[Subpacket, ...]
    unhashed: tuple[Subpacket, ...]
    digest_start: bytes
    """The first two bytes of the digest, as the packet claims them."""
    mpis: bytes
    """The algorithm's integers, still encoded."""
    trailer: bytes
    """What is hashed after the signed data."""

    def hashed_body(self, kind: int, size: int) -> bytes | None:
        """Return the body of a subpacket that is signed itself, or None.

        Raises VerificationError unless it is `size` bytes long.
        """
        body = next((item.body for item in self.hashed if item.kind == kind), None)
        if body is not None and len(body) != size:
            raise VerificationError("subpacket has a wrong length", got=f"type {kind}")
        return body

    def seconds(self, kind: int) -> int | None:
        """Return a signed four-byte number, such as a time or a duration, or None."""
        body = self.hashed_body(kind, 4)
        return None if body is None else int.from_bytes(body, "big")

    @property
    def created(self) -> int:
        """Creation time in seconds since 1970; VerificationError if it is not signed."""
        created = self.seconds(SUB_CREATED)
        if created is None:
            raise VerificationError("signature has no creation time")
        return created

    @property
    def key_flags(self) -> int | None:
        """The first octet of the key flags (RFC 9580, 5.2.3.29), None without the subpacket."""
        body = next((item.body for item in self.hashed if item.kind == SUB_KEY_FLAGS), None)
        return None if body is None else int.from_bytes(body[:1], "big")

    @property
    def issuers(self) -> frozenset[str]:
        """Fingerprints and 16-digit keyids the signature names as its maker, upper case."""
        named = set()
        for item in (*self.hashed, *self.unhashed):
            if item.kind == SUB_ISSUER_FINGERPRINT:
                named.add(item.body[1:].hex().upper())
            elif item.kind == SUB_ISSUER_KEYID:
                named.add(item.body.hex().upper())
        return frozenset(named)

    def may_be_by(self, fingerprint: str) -> bool:
        """Say whether nothing in the signature names another maker."""
        return self.issuers <= {fingerprint, fingerprint[-16:]}

    def check_understood(self) -> None:
        """Raise VerificationError for an unknown critical or an ambiguous subpacket."""
        for item in (*self.hashed, *self.unhashed):
            if item.critical and item.kind not in _UNDERSTOOD:
                raise VerificationError(
                    "signature has a critical part that is not understood",
                    got=f"subpacket type {item.kind}",
                )
        kinds = [item.kind for item in self.hashed if item.kind in _ONCE]
        if len(kinds) != len(set(kinds)):
            raise VerificationError("signature says the same thing twice")


class Reader:
    """Takes bytes from the front; every shortage is an InputError."""

    __slots__ = ("_data", "_position", "_where")

    def __init__(self, data: bytes, where: str) -> None:
        """Start at the first byte of `data`."""
        self._data = data
        self._position = 0
        self._where = where

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self._position + count
        if end > len(self._data):
            raise self.error("ends too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def number(self, octets: int) -> int:
        """Return the next big-endian number."""
        return int.from_bytes(self.take(octets), "big")

    def mpi(self) -> bytes:
        """Return the next multiprecision integer; its bit count must be the true one."""
        bits = self.number(2)
        value = self.take((bits + 7) // 8)
        if int.from_bytes(value, "big").bit_length() != bits:
            raise self.error("integer has a wrong bit count")
        return value

    @property
    def position(self) -> int:
        """How many bytes have been taken."""
        return self._position

    def at_end(self) -> bool:
        """Say whether nothing is left."""
        return self._position == len(self._data)

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self.take(len(self._data) - self._position)

    def end(self) -> None:
        """Raise InputError if anything is left."""
        if not self.at_end():
            raise self.error("has trailing bytes")

    def error(self, what: str) -> InputError:
        """Return an InputError that names the place."""
        return InputError(f"OpenPGP data {what}", where=self._where, got=f"byte {self._position}")


def read_packets(data: bytes, where: str) -> tuple[Packet, ...]:
    """Split bytes into packets (RFC 9580, 4.2).

    Raises InputError for truncated, partial or indeterminate lengths, and for
    more than 5,000 packets.
    """
    reader = Reader(data, where)
    packets: list[Packet] = []
    while not reader.at_end():
        if len(packets) == MAX_PACKETS:
            raise reader.error("has too many packets")
        start = reader.position
        first = reader.number(1)
        if not first & _ALWAYS_ONE:
            raise reader.error("is not a packet")
        if first & _NEW_FORMAT:
            tag, length = first & 0x3F, _new_length(reader)
        else:
            tag, length = (first >> 2) & 0x0F, _old_length(reader, first & 0x03)
        body = reader.take(length)
        packets.append(Packet(tag, body, data[start : reader.position]))
    return tuple(packets)


def _new_length(reader: Reader) -> int:
    first = reader.number(1)
    if first < _TWO_OCTETS_FROM:
        return first
    if first < _PARTIAL_FROM:
        return ((first - _TWO_OCTETS_FROM) << 8) + reader.number(1) + _TWO_OCTETS_FROM
    if first == _FOUR_OCTETS:
        return reader.number(4)
    raise reader.error("has a partial length")


def _old_length(reader: Reader, kind: int) -> int:
    if kind == _INDETERMINATE:
        raise reader.error("has an indeterminate length")
    return reader.number(1 << kind)


def parse_signature(body: bytes, where: str) -> Signature | None:
    """Parse a signature packet's body; None if it is not of version 4.

    Raises InputError for malformed bytes.
    """
    reader = Reader(body, where)
    if reader.number(1) != SIGNATURE_VERSION:
        return None
    kind, key_algorithm, hash_algorithm = reader.take(3)
    hashed_size = reader.number(2)
    hashed = _read_subpackets(reader.take(hashed_size), where)
    unhashed = _read_subpackets(reader.take(reader.number(2)), where)
    signed = body[: 6 + hashed_size]
    return Signature(
        kind=kind,
        key_algorithm=key_algorithm,
        hash_algorithm=hash_algorithm,
        hashed=hashed,
        unhashed=unhashed,
        digest_start=reader.take(2),
        mpis=reader.rest(),
        trailer=signed + b"\x04\xff" + len(signed).to_bytes(4, "big"),
    )


def _read_subpackets(area: bytes, where: str) -> tuple[Subpacket, ...]:
    reader = Reader(area, where)
    found: list[Subpacket] = []
    while not reader.at_end():
        length = reader.number(1)
        if length == _FOUR_OCTETS:
            length = reader.number(4)
        elif length >= _TWO_OCTETS_FROM:
            length = ((length - _TWO_OCTETS_FROM) << 8) + reader.number(1) + _TWO_OCTETS_FROM
        if not length:
            raise reader.error("has an empty subpacket")
        kind = reader.number(1)
        found.append(Subpacket(kind & ~_CRITICAL, bool(kind & _CRITICAL), reader.take(length - 1)))
    return tuple(found)

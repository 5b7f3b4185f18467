"""Hostile OpenPGP whose frame is right, so that what lies inside is reached.

Lengths of packets and subpackets, and the first two bytes of each digest, are made
to fit after every change: a reader that stops at the frame would see nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Final

from tests.crypto.openpgp_cases import PRIMARY, SUBKEY
from tests.crypto.openpgp_maker import (
    CREATED,
    DAY,
    USER_ID,
    Key,
    back_signature,
    flags,
    lasts,
    mpi,
    packet,
    sub,
    uid_hashed,
    when,
)
from tests.hostile.mutate import NUMBERS, Bytes

HASHES: Final = {2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}

SUBPACKETS: Final = (
    *(when(CREATED), when(CREATED + DAY), when(0), when(2**32 - 1), sub(2, b""), sub(2, bytes(9))),
    *(sub(3, bytes(4)), sub(3, b"\0\0\0\1"), sub(3, b"\xff" * 4), lasts(0), lasts(2**32 - 1)),
    *(flags(0), flags(2), flags(255), sub(27, b""), sub(27, bytes(99)), sub(9, b"\1")),
    *(PRIMARY.issuer, SUBKEY.issuer, sub(33, b""), sub(33, b"\x04"), sub(33, bytes(200))),
    *(PRIMARY.issuer_keyid, sub(16, b""), sub(16, bytes(8)), sub(12, b""), sub(12, bytes(22))),
    *(sub(12, b"\x80\x16" + bytes.fromhex(PRIMARY.fingerprint)), sub(32, b""), sub(32, b"\x04")),
    *(sub(32, b"\x03" + bytes(20)), back_signature(PRIMARY, SUBKEY), b"\x00", b"\xff", b"\xc0"),
    *(sub(20, bytes(40)), sub(29, b""), sub(99, b"", critical=True)),
    *(b"\xff\xff\xff\xff\xff", b"\xff\x00\x00\x00\x00", b"\x01\x02", b"\xfe\xff\x02"),
)  # fmt: skip
"""Subpackets right and wrong, and bytes that are none."""

INTEGERS: Final = (
    *(b"", b"\x00", b"\x00\x00", b"\x00\x01\x01", b"\xff\xff", mpi(b"\x01"), mpi(b"\xff" * 32)),
    *(mpi(b"\xff" * 48), mpi(b"\xff" * 64), mpi(b"\xff" * 256), mpi(b"\xff" * 1024), mpi(b"\x7f")),
    *(b"\x01\x00" + bytes(32), b"\x00\x08\x01", mpi(bytes(31) + b"\x02"), mpi(b"\x80" + bytes(65))),
)  # fmt: skip
"""Multiprecision integers: zero, one, too long, with a wrong count of bits."""

KINDS: Final = (0x00, 0x01, 0x10, 0x13, 0x18, 0x19, 0x1F, 0x20, 0x28, 0x30, 0x50, 0xFF)


class Signatures:
    """Makes signature packets over known bytes whose frame fits and whose parts are odd."""

    def __init__(self, seed: str, keys: Sequence[Key]) -> None:
        """Prepare; `keys` are what signatures claim to be by, and one of them truly is."""
        self._chance = random.Random(seed).random  # noqa: S311 - the same on every run
        self._keys = keys

    def pick(self, count: int) -> int:
        """Return a number below `count`."""
        return int(self._chance() * count)

    def body(self, key: Key, kind: int, signed: bytes) -> bytes:
        """Return a signature packet's body: odd subpackets, and integers good or odd."""
        hashed = self._area(key)
        if self.pick(3):
            kind = KINDS[self.pick(len(KINDS))] if not self.pick(8) else kind
            return self._unsigned(key, kind, signed, b"".join(hashed))
        loose = self._area(key) if self.pick(2) else None
        return key.signature_body(kind, signed, hashed, unhashed=loose)

    def _area(self, key: Key) -> list[bytes]:
        area = [key.issuer, when(CREATED + DAY), flags(3)]
        for _ in range(self.pick(4)):
            area.insert(self.pick(len(area) + 1), SUBPACKETS[self.pick(len(SUBPACKETS))])
            if area and not self.pick(3):
                del area[self.pick(len(area))]
        return area

    def _unsigned(self, key: Key, kind: int, signed: bytes, area: bytes) -> bytes:
        """Return a body with the right start of the digest and integers out of thin air."""
        number = (8, 9, 10, 2, 11, 1, 255)[self.pick(7) if not self.pick(4) else 0]
        algorithm = (1, 17, 19, 22, 27)[self.pick(5)] if not self.pick(6) else key.algorithm
        head = bytes([4, kind, algorithm, number]) + len(area).to_bytes(2, "big") + area
        trailer = head + b"\x04\xff" + len(head).to_bytes(4, "big")
        start = hashlib.new(HASHES.get(number, "sha256"), signed + trailer).digest()[:2]
        integers = b"".join(INTEGERS[self.pick(len(INTEGERS))] for _ in range(1 + self.pick(3)))
        return head + b"\x00\x00" + start + integers

    def detached(self, message: bytes) -> bytes:
        """Return a detached signature over `message`."""
        key = self._keys[self.pick(len(self._keys))]
        return packet(2, self.body(key, 0x00, message))


class Certificates:
    """Makes certificates of keys that were changed, with signatures that fit their frame."""

    def __init__(self, seed: str, keys: Sequence[Key]) -> None:
        """Prepare; the primary key is one of `keys`, whole or changed."""
        self._signatures = Signatures(seed, keys)
        self._keys = keys
        self._bodies = [
            Bytes(key.body, f"{seed} {number}", (*NUMBERS, *INTEGERS))
            for number, key in enumerate(keys)
        ]

    def make(self) -> bytes:
        """Return a certificate: a key, a user ID, perhaps a subkey, and what is signed of them."""
        pick = self._signatures.pick
        number = pick(len(self._keys))
        key, body = self._keys[number], self._keys[number].body
        if pick(2):
            body = self._bodies[number].make()[:0xFFFF]
        own = b"\x99" + len(body).to_bytes(2, "big") + body
        named = own + uid_hashed(key)[len(key.hashed) :]
        parts = [packet(6, body)]
        signed = self._signatures.body
        parts += [packet(2, signed(key, (0x1F, 0x20)[pick(2)], own)) for _ in range(pick(3))]
        parts.append(packet(13, USER_ID))
        kinds = [(0x13, 0x13, 0x30)[pick(3)] for _ in range(1 + pick(2))]
        parts += [packet(2, signed(key, kind, named)) for kind in kinds]
        if pick(2):
            parts += self._subkey(key, own)
        return b"".join(parts)

    def _subkey(self, key: Key, own: bytes) -> list[bytes]:
        pick = self._signatures.pick
        body = self._bodies[0].make()[:0xFFFF] if pick(2) else SUBKEY.body
        both = own + b"\x99" + len(body).to_bytes(2, "big") + body
        made = self._signatures.body(key, (0x18, 0x18, 0x28)[pick(3)], both)
        return [packet(14, body), packet(2, made)]

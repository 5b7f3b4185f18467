"""Signatures made false, or odd, in one named way each."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.crypto.openpgp_cases import PRIMARY, STRANGER
from tests.crypto.openpgp_maker import Key, detached, mpi, packet, sub
from tests.differential.ed25519 import IDENTITY, SMALL_ORDER, above_order, sign_with_nonce
from tests.verify.releases import secret


def flipped(data: bytes, start: int, end: int, chance: random.Random) -> bytes:
    """Return data with one bit flipped between two places."""
    at = chance.randrange(start, end)
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


# Plain Ed25519.


@dataclass(frozen=True)
class Made:
    """A good Ed25519 signature and what it is made from."""

    name: str
    message: bytes
    signature: bytes

    @property
    def seed(self) -> bytes:
        """The private key."""
        return hashlib.sha256(self.name.encode()).digest()

    @property
    def public(self) -> bytes:
        """The public key."""
        return secret(self.name).verify_key.encode()


def make(name: str, message: bytes) -> Made:
    """Sign a message."""
    return Made(name, message, secret(name).sign(message).signature)


def signed_oddly(made: Made, nonce: int, point: bytes) -> Made:
    """Return a signature of the same key with R of the maker's choice."""
    odd = sign_with_nonce(made.seed, made.public, made.message, nonce, point)
    return replace(made, signature=odd)


ED25519: dict[str, Callable[[Made, random.Random], Made]] = {
    "a bit of R": lambda m, c: replace(m, signature=flipped(m.signature, 0, 32, c)),
    "a bit of S": lambda m, c: replace(m, signature=flipped(m.signature, 32, 64, c)),
    "a bit of the message": lambda m, c: replace(
        m, message=flipped(m.message, 0, len(m.message), c)
    ),
    "a longer message": lambda m, _: replace(m, message=m.message + b"\0"),
    "another key": lambda m, _: replace(m, name=m.name + "!"),
    "another's signature": lambda m, _: replace(
        m, signature=make(m.name + "!", m.message).signature
    ),
    "too short": lambda m, c: replace(m, signature=m.signature[: c.randrange(64)]),
    "too long": lambda m, _: replace(m, signature=m.signature + b"\0"),
    "all zero": lambda m, _: replace(m, signature=bytes(64)),
    "R and S swapped": lambda m, _: replace(m, signature=m.signature[32:] + m.signature[:32]),
    "S above the order": lambda m, _: replace(m, signature=above_order(m.signature)),
    "R is the identity": lambda m, _: signed_oddly(m, 0, IDENTITY),
    "R of order 2": lambda m, _: signed_oddly(m, 0, SMALL_ORDER["order 2"]),
    "R of order 4": lambda m, _: signed_oddly(m, 0, SMALL_ORDER["order 4"]),
    "R plus order 2": lambda m, c: signed_oddly(
        m, c.randrange(1, 1 << 200), SMALL_ORDER["order 2"]
    ),
    "R plus order 8": lambda m, c: signed_oddly(
        m, c.randrange(1, 1 << 200), SMALL_ORDER["order 8"]
    ),
}


# minisign.


@dataclass(frozen=True)
class MiniMade:
    """A good minisign file and what it is made from."""

    made: Made
    file: bytes

    def lines(self) -> list[bytes]:
        """Return its lines, without their ends."""
        return self.file.split(b"\n")[:4]

    def with_line(self, number: int, line: bytes) -> MiniMade:
        """Return it with another line."""
        lines = self.lines()
        lines[number] = line
        return replace(self, file=b"\n".join([*lines, b""]))

    def with_flip(self, number: int, start: int, end: int, chance: random.Random) -> MiniMade:
        """Return it with a bit of a base64 line's bytes flipped."""
        raw = base64.b64decode(self.lines()[number])
        return self.with_line(number, base64.b64encode(flipped(raw, start, end, chance)))


def _stray_bits(line: bytes) -> bytes:
    """Return base64 whose last digit has bits that mean nothing."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = line.rstrip(b"=")
    last = alphabet[alphabet.index(body[-1]) + 1]
    return body[:-1] + bytes([last]) + line[len(body) :]


def _small(m: MiniMade) -> MiniMade:
    """Return a file whose first signature has an R of small order, and whose second is good."""
    digest = hashlib.blake2b(m.made.message).digest()
    first = sign_with_nonce(m.made.seed, m.made.public, digest, 0, IDENTITY)
    head = base64.b64decode(m.lines()[1])[:10]
    comment = m.lines()[2].removeprefix(b"trusted comment: ")
    second = secret(m.made.name).sign(first + comment).signature
    one = m.with_line(1, base64.b64encode(head + first))
    return one.with_line(3, base64.b64encode(second))


MINISIGN: dict[str, Callable[[MiniMade, random.Random], MiniMade]] = {
    "a bit of the signature": lambda m, c: m.with_flip(1, 10, 74, c),
    "a bit of the key's number": lambda m, c: m.with_flip(1, 2, 10, c),
    "a bit of the algorithm": lambda m, c: m.with_flip(1, 0, 2, c),
    "a bit of the global signature": lambda m, c: m.with_flip(3, 0, 64, c),
    "another trusted comment": lambda m, _: m.with_line(2, m.lines()[2] + b"!"),
    "another untrusted comment": lambda m, _: m.with_line(0, b"untrusted comment: whatever"),
    "no untrusted comment": lambda m, _: m.with_line(0, b"whatever"),
    "an escape in the untrusted comment": lambda m, _: m.with_line(
        0, b"untrusted comment: \x1b[2J"
    ),
    "a line more": lambda m, _: replace(m, file=m.file + b"more\n"),
    "no last newline": lambda m, _: replace(m, file=m.file[:-1]),
    "carriage returns": lambda m, _: replace(m, file=m.file.replace(b"\n", b"\r\n")),
    "stray bits in base64": lambda m, _: m.with_line(3, _stray_bits(m.lines()[3])),
    "a space after base64": lambda m, _: m.with_line(1, m.lines()[1] + b" "),
    "lines swapped": lambda m, _: m.with_line(1, m.lines()[3]).with_line(3, m.lines()[1]),
    "a bit of the file": lambda m, c: replace(
        m, made=replace(m.made, message=flipped(m.made.message, 0, len(m.made.message), c))
    ),
    "cut": lambda m, c: replace(m, file=m.file[: c.randrange(len(m.file) - 1)]),
    "R is the identity": lambda m, _: _small(m),
}


# OpenPGP.


@dataclass(frozen=True)
class PgpMade:
    """A good detached signature of one key."""

    key: Key
    signature: bytes
    message: bytes

    @property
    def body(self) -> bytes:
        """The packet's body, behind a header of six bytes."""
        return self.signature[6:]

    @property
    def hashed_end(self) -> int:
        """Where the signed subpackets end in the body."""
        return 6 + int.from_bytes(self.body[4:6], "big")

    @property
    def unhashed_end(self) -> int:
        """Where the other subpackets end."""
        end = self.hashed_end
        return end + 2 + int.from_bytes(self.body[end : end + 2], "big")

    def with_body(self, body: bytes) -> PgpMade:
        """Return it with another body, its header fitting."""
        return replace(self, signature=packet(2, body))

    def with_unhashed(self, area: bytes) -> PgpMade:
        """Return it with other unsigned subpackets."""
        body, end = self.body, self.hashed_end
        head = body[:end] + len(area).to_bytes(2, "big")
        return self.with_body(head + area + body[self.unhashed_end :])


def pgp_make(key: Key, message: bytes, number: int) -> PgpMade:
    """Sign a message, by one of the three good hashes."""
    return PgpMade(key, detached(key, message, hash_number=8 + number % 3), message)


class OddNonce(Key):
    """PRIMARY, with an R of small order."""

    def integers(self, digest: bytes, hash_number: int) -> bytes:
        """Return R and S."""
        del hash_number
        raw = self.body[-32:]
        made = sign_with_nonce(bytes([1]) * 32, raw, digest, 0, IDENTITY)
        return mpi(made[:32]) + mpi(made[32:])


def _padded(m: PgpMade) -> PgpMade:
    """Return it with a zero byte before its first integer, whose count of bits says so."""
    body, end = m.body, m.unhashed_end + 2
    bits = int.from_bytes(body[end : end + 2], "big")
    wider = (bits + 7) // 8 * 8 + 8
    return m.with_body(body[:end] + wider.to_bytes(2, "big") + b"\0" + body[end + 2 :])


OPENPGP: dict[str, Callable[[PgpMade, random.Random], PgpMade]] = {
    "a bit of the integers": lambda m, c: m.with_body(
        flipped(m.body, m.unhashed_end + 4, len(m.body), c)
    ),
    "a bit of the digest's start": lambda m, c: m.with_body(
        flipped(m.body, m.unhashed_end, m.unhashed_end + 2, c)
    ),
    "a bit of the signed part": lambda m, c: m.with_body(flipped(m.body, 0, m.hashed_end, c)),
    "a bit of the unsigned keyid": lambda m, c: m.with_body(
        flipped(m.body, m.unhashed_end - 8, m.unhashed_end, c)
    ),
    "another unsigned keyid": lambda m, _: m.with_unhashed(STRANGER.issuer_keyid),
    "no unsigned part": lambda m, _: m.with_unhashed(b""),
    "an unsigned part nobody knows": lambda m, _: m.with_unhashed(sub(99, b"x")),
    "an unsigned critical part": lambda m, _: m.with_unhashed(sub(99, b"x", critical=True)),
    "an unsigned expiry": lambda m, _: m.with_unhashed(m.key.issuer_keyid + sub(3, bytes(4))),
    "a bit of the message": lambda m, c: replace(
        m, message=flipped(m.message, 0, len(m.message), c)
    ),
    "a longer message": lambda m, _: replace(m, message=m.message + b"\n"),
    "cut": lambda m, c: replace(m, signature=m.signature[: c.randrange(len(m.signature))]),
    "a byte more": lambda m, _: replace(m, signature=m.signature + b"\0"),
    "twice": lambda m, _: replace(m, signature=m.signature * 2),
    "a padding packet before": lambda m, _: replace(m, signature=packet(21, b"x") + m.signature),
    "a stranger's": lambda m, _: replace(m, signature=detached(STRANGER, m.message)),
    "a stranger's in this key's name": lambda m, _: replace(
        m, signature=_in_name_of(STRANGER, PRIMARY, m.message)
    ),
    "text": lambda m, _: replace(m, signature=detached(m.key, m.message, kind=0x01)),
    "SHA-1": lambda m, _: replace(m, signature=detached(m.key, m.message, hash_number=2)),
    "an integer padded": lambda m, _: _padded(m),
    "R is the identity": lambda m, _: replace(
        m, key=PRIMARY, signature=detached(OddNonce(PRIMARY.private), m.message)
    ),
}


def _in_name_of(key: Key, victim: Key, message: bytes) -> bytes:
    hashed = [victim.issuer, sub(2, (victim.created + 86_400).to_bytes(4, "big"))]
    return packet(2, key.signature_body(0, message, hashed, unhashed=[victim.issuer_keyid]))

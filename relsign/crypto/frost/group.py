"""The group of FROST(Ed25519, SHA-512): scalars, points, hashes, interpolation.

Decides which bytes are a scalar or a point; everything that came from another
person passes `parse_scalar` or `parse_point` before it is reckoned with.  Sums and
products are libsodium's, which take the same time for every secret; Python's own
integers only ever hold identifiers, which are public.

    >>> two, three = scalar_of(2), scalar_of(3)
    >>> multiply(two, base(three)) == add_points(base(three), base(three))
    True
    >>> at_zero = {each: lagrange(each, (two, three)) for each in (two, three)}
    >>> plus(*at_zero.values()) == scalar_of(1)
    True
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any, NewType

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_is_valid_point,
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from relsign.errors import CulpritError, HostError, InputError, VerificationError
from relsign.formats.canonical import Value, shorten

Scalar = NewType("Scalar", bytes)
"""An integer below `ORDER`: 32 bytes, little-endian."""
Point = NewType("Point", bytes)
"""The 32-byte encoding of a point of the prime-order group (RFC 8032, 5.1.2)."""

ORDER = 2**252 + 27742317777372353535851937790883648493
MIN_THRESHOLD = 2
MAX_PARTICIPANTS = 32
SEED_BYTES = 32
WIDE_BYTES = 64
ZERO = Scalar(bytes(32))
IDENTITY = Point(b"\x01" + bytes(31))

_CONTEXT = b"FROST-ED25519-SHA512-v1"
_SIZE = 32
# The base point, and itself plus a point of order 2, 4 and 8: on the curve, canonical, of no
# small order, and yet not in the group.  libsodium took the first for good until 1.0.20, and one
# participant who sends it spoils everybody's key (CVE-2025-69277).
_GOOD = bytes.fromhex("58" + "66" * 31)
_BAD = (
    bytes.fromhex("95" + "99" * 31),
    bytes.fromhex("9bad33f580df7ecc49df5342bac8145d5bedc40f573d1b067f3c4ce449689a15"),
    bytes.fromhex("98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819"),
    IDENTITY,
)


class Secret(Value, frozen=True):
    """A value whose fields no representation shows: not in a log, a traceback or a debugger."""

    def __repr__(self) -> str:
        """Say what it is, not what it holds."""
        return f"{type(self).__name__}(hidden)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Say no more to rich, which asks structs for their fields."""
        return []


@cache
def self_test(
    is_valid_point: Callable[[bytes], bool] = crypto_core_ed25519_is_valid_point,
) -> None:
    """Check that libsodium knows the group: run before the first point is believed.

    Raises HostError if it takes a point of order 2L, 4L or 8L or the identity for a
    point of the prime-order group, or refuses one that is.
    """
    if not is_valid_point(_GOOD) or any(is_valid_point(each) for each in _BAD):
        raise HostError(
            "this libsodium cannot tell good points from bad ones",
            expected="PyNaCl 1.6.2 or later, with libsodium 1.0.20-stable or later",
            hint="reinstall PyNaCl; until then nothing can be signed by a group on this machine",
        )


def parse_point(raw: bytes, where: str) -> Point:
    """Return the point that `raw` encodes.

    Raises VerificationError unless it is the canonical encoding of a point of the
    prime-order group and not the identity (RFC 9591, 6.1, and one check more: the
    order), HostError if libsodium fails `self_test`.
    """
    self_test()
    if len(raw) != _SIZE or not crypto_core_ed25519_is_valid_point(raw):
        raise VerificationError(
            "not a point of the group",
            where=where,
            expected="32 bytes, canonical, of prime order",
            got=shorten(raw.hex()),
            hint="do not go on with whoever sent it: no correct program makes such a point",
        )
    return Point(raw)


def parse_scalar(raw: bytes, where: str) -> Scalar:
    """Return the scalar that `raw` encodes.

    Raises VerificationError unless it is 32 bytes, below the group's order and not
    zero (RFC 9591, 6.1).  The bytes may be secret, so the error does not show them.
    """
    if len(raw) != _SIZE or not 0 < _integer(raw) < ORDER:
        raise VerificationError(
            "not a scalar of the group",
            where=where,
            expected="32 bytes, above zero, below the order",
            hint="do not go on with whoever sent it: no correct program makes such a scalar",
        )
    return Scalar(raw)


def parse_identifiers(raw: Collection[bytes], where: str) -> tuple[Scalar, ...]:
    """Return identifiers in ascending order; raise VerificationError for a bad or a double one."""
    found = sorted((parse_scalar(each, where) for each in raw), key=_integer)
    for one, two in pairwise(found):
        if one == two:
            raise VerificationError(
                "one identifier twice",
                where=where,
                got=one.hex(),
                hint="each participant counts once: ask for a list without repeats",
            )
    return tuple(found)


def parse_threshold(threshold: int, participants: int, where: str) -> int:
    """Return `threshold`; raise InputError unless 2 <= threshold <= participants <= 32."""
    if not MIN_THRESHOLD <= threshold <= participants <= MAX_PARTICIPANTS:
        raise InputError(
            "no such group",
            where=where,
            expected=f"{MIN_THRESHOLD} <= threshold <= participants <= {MAX_PARTICIPANTS}",
            got=f"{threshold} of {participants}",
            hint="choose another threshold or other participants",
        )
    return threshold


@contextmanager
def blaming(identifier: bytes) -> Iterator[None]:
    """Turn a VerificationError of the block into a CulpritError that names `identifier`."""
    try:
        yield
    except VerificationError as error:
        raise CulpritError(
            error.what,
            culprits=(shorten(identifier.hex()),),
            where=error.where,
            expected=error.expected,
            hint=error.hint,
        ) from error


# --- scalars -----------------------------------------------------------------------------------


def scalar_of(number: int) -> Scalar:
    """Return a public integer, modulo the order."""
    return Scalar((number % ORDER).to_bytes(_SIZE, "little"))


def wide_scalar(seed: bytes) -> Scalar:
    """Return the scalar of 64 random bytes, modulo the order; InputError for another length."""
    check_seed(seed, WIDE_BYTES)
    return Scalar(crypto_core_ed25519_scalar_reduce(seed))


def check_seed(seed: bytes, size: int = SEED_BYTES) -> None:
    """Raise InputError unless a seed has `size` bytes; what it holds is not shown."""
    if len(seed) != size:
        raise InputError(
            "not a seed",
            expected=f"{size} random bytes",
            got=f"{len(seed)} bytes",
            hint="take it from the system's random source",
        )


def plus(*scalars: Scalar) -> Scalar:
    """Return the sum of scalars."""
    made = ZERO
    for each in scalars:
        made = Scalar(crypto_core_ed25519_scalar_add(made, each))
    return made


def times(one: Scalar, two: Scalar) -> Scalar:
    """Return the product of two scalars."""
    return Scalar(crypto_core_ed25519_scalar_mul(one, two))


def evaluate(coefficients: Sequence[Scalar], x: Scalar) -> Scalar:
    """Return the value at `x` of a polynomial, its constant first (RFC 9591, C.1)."""
    made = ZERO
    for each in reversed(coefficients):
        made = plus(times(made, x), each)
    return made


def lagrange(identifier: Scalar, among: Collection[Scalar], at: Scalar = ZERO) -> Scalar:
    """Return the factor of `identifier`'s share in the value at `at` (RFC 9591, 4.2).

    Raises VerificationError if `among` does not hold it, or holds one twice.
    """
    if identifier not in among or len(set(among)) != len(among):
        raise VerificationError(
            "no such interpolation",
            expected="identifiers without repeats, this one among them",
            got=identifier.hex(),
            hint="ask for a list of participants that names each once",
        )
    mine, place, above, below = _integer(identifier), _integer(at), 1, 1
    for each in among:
        if each != identifier:
            other = _integer(each)
            above = above * (place - other) % ORDER
            below = below * (mine - other) % ORDER
    return scalar_of(above * pow(below, -1, ORDER))


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


# --- points ------------------------------------------------------------------------------------


def base(scalar: Scalar) -> Point:
    """Return `scalar` times the base point."""
    if scalar == ZERO:  # libsodium refuses to make the identity
        return IDENTITY
    return Point(crypto_scalarmult_ed25519_base_noclamp(scalar))


def multiply(scalar: Scalar, point: Point) -> Point:
    """Return `scalar` times a parsed point."""
    if scalar == ZERO or point == IDENTITY:  # as above
        return IDENTITY
    return Point(crypto_scalarmult_ed25519_noclamp(scalar, point))


def add_points(first: Point, *others: Point) -> Point:
    """Return the sum of parsed points."""
    made = first
    for each in others:
        made = Point(crypto_core_ed25519_add(made, each))
    return made


def evaluate_points(commitments: Sequence[Point], x: Scalar) -> Point:
    """Return `evaluate` times the base point, from the commitments to the coefficients."""
    *lower, made = commitments
    for each in reversed(lower):
        made = add_points(multiply(x, made), each)
    return made


def interpolate(points: Mapping[Scalar, Point], at: Scalar = ZERO) -> Point:
    """Return the value at `at` of the polynomial through `points`, in the exponent."""
    return add_points(
        *(multiply(lagrange(each, points, at), point) for each, point in points.items())
    )


# --- hashes (RFC 9591, 6.1) --------------------------------------------------------------------


def identifier_of(identity_raw: bytes) -> Scalar:
    """Return the identifier of a raw Ed25519 identity key: never what a message says it is."""
    return parse_scalar(hid(identity_raw), "identifier")


def h1(data: bytes) -> Scalar:
    """Return H1: binding factors."""
    return _reduced(_CONTEXT + b"rho" + data)


def h2(data: bytes) -> Scalar:
    """Return H2: the challenge, without a prefix, as in RFC 8032."""
    return _reduced(data)


def h3(data: bytes) -> Scalar:
    """Return H3: nonces."""
    return _reduced(_CONTEXT + b"nonce" + data)


def h4(data: bytes) -> bytes:
    """Return H4: the message, 64 bytes."""
    return hashlib.sha512(_CONTEXT + b"msg" + data).digest()


def h5(data: bytes) -> bytes:
    """Return H5: the commitment list, 64 bytes."""
    return hashlib.sha512(_CONTEXT + b"com" + data).digest()


def hdkg(data: bytes) -> Scalar:
    """Return the challenge of a proof of possession, as the Zcash Foundation's FROST does."""
    return _reduced(_CONTEXT + b"dkg" + data)


def hid(data: bytes) -> Scalar:
    """Return an identifier, as the Zcash Foundation's FROST derives it."""
    return _reduced(_CONTEXT + b"id" + data)


def _reduced(data: bytes) -> Scalar:
    return Scalar(crypto_core_ed25519_scalar_reduce(hashlib.sha512(data).digest()))

"""RSA moduli that somebody can take apart: what a public key shows of how it was made.

Nothing here proves that a modulus is good.  It finds the ones that are known to be bad:
a small factor, two primes close to each other (Fermat's method), and primes of the form
that the library of one maker of smart cards chose until 2017 (CVE-2017-15361, ROCA).

    >>> find_weakness(3 * (2**2203 - 1))
    'a factor below 752'
"""

from __future__ import annotations

from math import gcd, isqrt, prod

_SMALL_PRIMES = tuple(
    n for n in range(2, 752) if all(n % divisor for divisor in range(2, isqrt(n) + 1))
)
"""As public certificate authorities test: no factor below 752."""
_PRODUCT = prod(_SMALL_PRIMES)
_FERMAT_ROUNDS = 100
_ROCA_PRIMES = _SMALL_PRIMES[1:39]
"""Odd primes up to 167, which divide the constant of all keys of that library."""
_ROCA_GENERATOR = 65_537


def find_weakness(modulus: int) -> str:
    """Say in words why an RSA modulus must not be trusted, or return nothing.

    `modulus` is positive and has no bound here: the caller bounds its bits.
    """
    if gcd(modulus, _PRODUCT) != 1:
        return "a factor below 752"
    if _has_close_factors(modulus):
        return "two primes that lie close to each other"
    if _is_of_the_flawed_library(modulus):
        return "a modulus of the library that CVE-2017-15361 is about"
    return ""


def _has_close_factors(modulus: int) -> bool:
    """Try Fermat's method: the modulus as a difference of two squares, a few times."""
    middle = isqrt(modulus - 1) + 1
    for candidate in range(middle, middle + _FERMAT_ROUNDS):
        rest = candidate * candidate - modulus
        if isqrt(rest) ** 2 == rest:
            return True
    return False


def _is_of_the_flawed_library(modulus: int) -> bool:
    """Say whether the modulus is a power of 65537 modulo every one of many primes.

    Both of that library's primes are; another modulus is by chance in one of 2**27.
    """
    return all(_is_power(modulus % prime, prime) for prime in _ROCA_PRIMES)


def _is_power(number: int, prime: int) -> bool:
    power = 1
    for _ in range(prime):
        if power == number:
            return True
        power = power * _ROCA_GENERATOR % prime
    return False

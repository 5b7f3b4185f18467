"""Whether one detached OpenPGP signature counts, by what gpg said and by nothing else.

gpg's exit code says less than is needed, and ``GOODSIG`` alone says too much: it comes
for SHA-1, for text mode, and beside ``BADSIG``.  The errors' words are a fixed list,
which reports show as reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relsign.errors import VerificationError
from relsign.formats.gnupg_text import ListedKey, Status

MAX_SKEW_SECONDS = 24 * 3600
"""How far a signature may seem to lie ahead: clocks differ, and gpg compares none."""

_OUTCOMES = {
    "GOODSIG": "",
    "EXPKEYSIG": "",
    "BADSIG": "signature is not over these bytes",
    "ERRSIG": "signature cannot be checked",
    "EXPSIG": "signature has expired",
    "REVKEYSIG": "key is revoked",
    "KEYREVOKED": "key is revoked",
}
_TROUBLE = frozenset({"NODATA", "UNEXPECTED", "ERROR", "FAILURE", "FILE_ERROR"})
_STRONG_HASHES = frozenset({"8", "9", "10"})
"""SHA-256, SHA-384, SHA-512 (RFC 9580, 9.5)."""
_BINARY = "00"
_VERSION = "4"
_MISSING_KEY = "9"
_ERRSIG_REASON = 5
_VALIDSIG_FIELDS = 10
_UNUSABLE = frozenset("rdin")
_FACTORED = frozenset({1, 2, 3, 16, 17, 20})
"""RSA, ElGamal and DSA: 2048 bits at least; curves: 255."""
_MIN_FACTORED_BITS = 2048
_MIN_CURVE_BITS = 255


@dataclass(frozen=True, slots=True)
class Signer:
    """Who made a signature, and when they say they did."""

    key: str
    """The fingerprint of the key or subkey."""
    primary: str
    created: int
    """Seconds since 1970, claimed by the signer."""


def judge_signature(
    said: Sequence[Status], keys: Mapping[str, ListedKey], now: int, *, expired_counts: bool
) -> Signer:
    """Return who made the one signature gpg spoke about.

    (1) gpg saw one signature and had no trouble.  (2) Its verdict is good, or good by a
    key that is expired now.  (3) It is over binary data, version 4, SHA-256 or stronger.
    (4) It is not dated a day after `now`.  (5) Key and primary are listed, neither
    revoked nor disabled, and not weak.  (6) An expired key counts only if
    `expired_counts`, for a signature dated before it expired.

    Raises VerificationError with the reason.
    """
    words = [status.word for status in said]
    outcomes = [status for status in said if status.word in _OUTCOMES]
    _refuse_outcomes(outcomes)
    if words.count("NEWSIG") != 1 or len(outcomes) != 1 or _TROUBLE & set(words):  # (1)
        raise VerificationError(_trouble(words), got=", ".join(sorted(_TROUBLE & set(words))))
    valid = [status.arguments for status in said if status.word == "VALIDSIG"]
    if len(valid) != 1 or len(valid[0]) < _VALIDSIG_FIELDS:  # (2)
        raise VerificationError("gpg does not call it valid")
    key, _, created_text, _, version, _, _, hash_algorithm, kind, primary = valid[0][:10]
    if kind != _BINARY or version != _VERSION:  # (3)
        raise VerificationError("signature is not over binary data", got=f"class {kind}")
    if hash_algorithm not in _STRONG_HASHES:
        raise VerificationError("signature uses a weak hash", got=f"algorithm {hash_algorithm}")
    signer = Signer(key, primary, int(created_text) if created_text.isdecimal() else -1)
    if not 0 <= signer.created <= now + MAX_SKEW_SECONDS:  # (4)
        raise VerificationError("signature has an impossible date", got=created_text)
    for fingerprint in (key, primary):
        _check_listed(fingerprint, primary, keys)  # (5)
    listed_expired = "e" in {keys[key].validity, keys[primary].validity}
    if outcomes[0].word == "EXPKEYSIG" or listed_expired:
        _check_expired(signer, keys, expired_counts=expired_counts)  # (6)
    return signer


def _refuse_outcomes(outcomes: Sequence[Status]) -> None:
    for status in outcomes:
        if status.word == "ERRSIG" and status.arguments[_ERRSIG_REASON:][:1] == (_MISSING_KEY,):
            raise VerificationError("key is not among the given ones", got=status.arguments[0])
        if _OUTCOMES[status.word]:
            raise VerificationError(_OUTCOMES[status.word], got=" ".join(status.arguments[:1]))


def _trouble(words: Sequence[str]) -> str:
    return "more than one signature" if words.count("NEWSIG") > 1 else "gpg sees no good signature"


def _check_listed(fingerprint: str, primary: str, keys: Mapping[str, ListedKey]) -> None:
    listed = keys.get(fingerprint)
    if listed is None or listed.primary != primary:
        raise VerificationError("key is not among the given ones", got=fingerprint)
    letter = listed.validity[:1]
    if letter in _UNUSABLE:
        word = "revoked" if letter == "r" else "not usable"
        raise VerificationError(f"key is {word}", got=fingerprint)
    needed = _MIN_FACTORED_BITS if listed.algorithm in _FACTORED else _MIN_CURVE_BITS
    if listed.bits < needed:
        raise VerificationError(
            "key is too weak", expected=f"{needed} bits", got=f"{listed.bits} bits, {fingerprint}"
        )


def _check_expired(signer: Signer, keys: Mapping[str, ListedKey], *, expired_counts: bool) -> None:
    ends = [keys[name].expires for name in (signer.key, signer.primary) if keys[name].expires]
    end = min(ends, default=0)
    if not expired_counts or signer.created >= end:
        raise VerificationError(
            "key has expired",
            got=signer.key,
            hint='`expired = "count-if-signed-before"` in the policy believes its dates',
        )

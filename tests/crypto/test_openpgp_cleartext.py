"""Texts signed in the clear, read back: the very text, in the one form, by the right key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from relsign.crypto.openpgp import parse_certificate, verify_cleartext
from relsign.crypto.openpgp_armor import armor
from relsign.crypto.openpgp_cleartext import canonical_text, frame
from relsign.crypto.openpgp_make import certificate, cleartext, detached
from relsign.errors import InputError, VerificationError
from tests.crypto.make_tools import CREATED, EXPIRES, LATER, SIGNED, USER_ID, signer

KEY, OTHER = signer(1), signer(9)
DATA = certificate(KEY.raw, USER_ID, CREATED, EXPIRES, KEY.sign)
CERT = parse_certificate(DATA, "c")
TEXT = b"aa  demo.tar.gz\n- a dash\nFrom here\nspace \n"
MADE = cleartext(DATA, TEXT, SIGNED, KEY.sign)


def test_a_text_signed_in_the_clear_is_accepted() -> None:
    assert verify_cleartext(CERT, MADE, TEXT, SIGNED, "m").material == KEY.raw


def by_another() -> bytes:
    other = certificate(OTHER.raw, USER_ID, CREATED, EXPIRES, OTHER.sign)
    return cleartext(other, TEXT, SIGNED, OTHER.sign)


def binary() -> bytes:
    """Return the frame around a signature over the same bytes, as binary data."""
    canonical = canonical_text(TEXT)
    return frame(canonical, armor(detached(DATA, canonical, SIGNED, KEY.sign), "SIGNATURE"))


WRONG: dict[str, tuple[Callable[[], bytes], type[Exception], str]] = {
    "by another key": (by_another, VerificationError, "not by a signing key"),
    "over binary data": (binary, VerificationError, "signature is not over text"),
    "another text": (
        lambda: cleartext(DATA, b"other\n", SIGNED, KEY.sign),
        InputError,
        "not this text",
    ),
    "text before it": (lambda: b"\n" + MADE, InputError, "not this text"),
    "another digest named": (
        lambda: MADE.replace(b"SHA512", b"SHA256", 1),
        InputError,
        "not this text",
    ),
    "not escaped": (lambda: MADE.replace(b"- - a", b"- a", 1), InputError, "not this text"),
    "two signatures": (
        lambda: MADE + MADE[MADE.index(b"-----BEGIN PGP SIGNATURE") :],
        InputError,
        "more than one",
    ),
    "text behind it": (lambda: MADE + b"more\n", InputError, "not an armoured block"),
    "cut off": (lambda: MADE[:-40], InputError, "no end"),
}


@pytest.mark.parametrize("name", WRONG)
def test_anything_else_is_refused(name: str) -> None:
    make, kind, words = WRONG[name]
    with pytest.raises(kind, match=words):
        verify_cleartext(CERT, make(), TEXT, SIGNED, "m")


def test_a_key_that_has_expired_since_does_not_count() -> None:
    with pytest.raises(VerificationError, match="has expired"):
        verify_cleartext(CERT, MADE, TEXT, LATER, "m")
    with pytest.raises(VerificationError, match="from the future"):
        verify_cleartext(CERT, MADE, TEXT, SIGNED - timedelta(days=2), "m")

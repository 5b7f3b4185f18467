"""Which of gpg's status lines make a signature count."""

from __future__ import annotations

import pytest

from relsign.errors import VerificationError
from relsign.formats.gnupg_text import ListedKey, Status
from relsign.verify.sums_signature import MAX_SKEW_SECONDS, Signer, judge_signature

KEY = "A" * 40
SUB = "B" * 40
NOW = 1_800_000_000
MADE = 1_700_000_000
GOOD = "GOODSIG AAAA me"


def _valid(
    key: str = KEY,
    *,
    created: object = MADE,
    hash_number: int = 8,
    kind: str = "00",
    version: int = 4,
) -> str:
    return f"VALIDSIG {key} 2023-11-14 {created} 0 {version} 0 22 {hash_number} {kind} {KEY}"


def _said(*lines: str) -> list[Status]:
    words = [line.split(" ") for line in lines]
    return [Status(word, tuple(rest)) for word, *rest in words]


def _keys(**changes: object) -> dict[str, ListedKey]:
    values = {"validity": "-", "bits": 255, "algorithm": 22, "expires": 0, **changes}
    return {
        KEY: ListedKey(KEY, KEY, "-", 255, 22, 0),
        SUB: ListedKey(SUB, KEY, **values),  # type: ignore[arg-type]
    }


def test_a_good_signature_has_a_signer() -> None:
    said = _said("NEWSIG", "KEY_CONSIDERED x 0", GOOD, _valid(), "TRUST_UNDEFINED 0 pgp")
    assert judge_signature(said, _keys(), NOW, expired_counts=False) == Signer(KEY, KEY, MADE)


def test_a_subkey_s_signer_has_its_primary() -> None:
    said = _said("NEWSIG", GOOD, _valid(SUB))
    assert judge_signature(said, _keys(), NOW, expired_counts=False) == Signer(SUB, KEY, MADE)


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ((), "gpg sees no good signature"),
        (("NEWSIG",), "gpg sees no good signature"),
        ((GOOD, _valid()), "gpg sees no good signature"),
        (("NEWSIG", GOOD), "gpg does not call it valid"),
        (("NEWSIG", GOOD, "VALIDSIG x"), "gpg does not call it valid"),
        (("NEWSIG", GOOD, _valid(), _valid()), "gpg does not call it valid"),
        (("NEWSIG", GOOD, GOOD, _valid()), "gpg sees no good signature"),
        (("NEWSIG", GOOD, _valid(), "NEWSIG", GOOD, _valid()), "more than one signature"),
        (("NEWSIG", GOOD, _valid(), "BADSIG AAAA me"), "signature is not over these bytes"),
        (("NEWSIG", "BADSIG AAAA me"), "signature is not over these bytes"),
        (("NEWSIG", "EXPSIG AAAA me", _valid()), "signature has expired"),
        (("NEWSIG", "REVKEYSIG AAAA me", _valid()), "key is revoked"),
        (("NEWSIG", GOOD, _valid(), "KEYREVOKED"), "key is revoked"),
        (("NEWSIG", "ERRSIG AAAA 22 8 00 1 9"), "key is not among the given ones"),
        (("NEWSIG", "ERRSIG AAAA 22 8 00 1 4"), "signature cannot be checked"),
        (("NEWSIG", "ERRSIG"), "signature cannot be checked"),
        (("NODATA 1",), "gpg sees no good signature"),
        (("NEWSIG", GOOD, _valid(), "NODATA 2"), "gpg sees no good signature"),
        (("NEWSIG", GOOD, _valid(), "ERROR x 1"), "gpg sees no good signature"),
        (("NEWSIG", GOOD, _valid(kind="01")), "signature is not over binary data"),
        (("NEWSIG", GOOD, _valid(version=3)), "signature is not over binary data"),
        (("NEWSIG", GOOD, _valid(hash_number=2)), "signature uses a weak hash"),
        (("NEWSIG", GOOD, _valid(hash_number=11)), "signature uses a weak hash"),
        (
            ("NEWSIG", GOOD, _valid(created=NOW + MAX_SKEW_SECONDS + 1)),
            "signature has an impossible date",
        ),
        (("NEWSIG", GOOD, _valid(created="20231114T000000")), "signature has an impossible date"),
        (("NEWSIG", GOOD, _valid("C" * 40)), "key is not among the given ones"),
        (("NEWSIG", "EXPKEYSIG AAAA me", _valid()), "key has expired"),
    ],
)
def test_nothing_else_counts(lines: tuple[str, ...], what: str) -> None:
    with pytest.raises(VerificationError) as refused:
        judge_signature(_said(*lines), _keys(), NOW, expired_counts=False)
    assert refused.value.what == what


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"validity": "r"}, "key is revoked"),
        ({"validity": "i"}, "key is not usable"),
        ({"validity": "d"}, "key is not usable"),
        ({"validity": "e", "expires": MADE + 1}, "key has expired"),
        ({"bits": 1024, "algorithm": 1}, "key is too weak"),
        ({"bits": 1024, "algorithm": 17}, "key is too weak"),
        ({"bits": 192, "algorithm": 19}, "key is too weak"),
    ],
)
def test_gpg_s_listing_must_agree(changes: dict[str, object], what: str) -> None:
    with pytest.raises(VerificationError) as refused:
        judge_signature(
            _said("NEWSIG", GOOD, _valid(SUB)), _keys(**changes), NOW, expired_counts=False
        )
    assert refused.value.what == what


def test_a_key_listed_under_another_primary_does_not_count() -> None:
    keys = {**_keys(), SUB: ListedKey(SUB, "C" * 40, "-", 255, 22, 0)}
    with pytest.raises(VerificationError, match="not among"):
        judge_signature(_said("NEWSIG", GOOD, _valid(SUB)), keys, NOW, expired_counts=False)


@pytest.mark.parametrize("outcome", ["EXPKEYSIG AAAA me", GOOD])
@pytest.mark.parametrize(("expires", "counts"), [(MADE + 1, True), (MADE, False), (0, False)])
def test_an_expired_key_counts_only_for_the_time_before(
    outcome: str, expires: int, *, counts: bool
) -> None:
    keys = _keys(validity="e", expires=expires)
    said = _said("NEWSIG", outcome, _valid(SUB))
    if counts:
        assert judge_signature(said, keys, NOW, expired_counts=True).created == MADE
        return
    with pytest.raises(VerificationError) as refused:
        judge_signature(said, keys, NOW, expired_counts=True)
    assert refused.value.what == "key has expired"


def test_a_key_revoked_and_expired_is_revoked_whatever_the_policy() -> None:
    said = _said("NEWSIG", "EXPKEYSIG AAAA me", _valid(SUB))
    with pytest.raises(VerificationError, match="revoked"):
        judge_signature(said, _keys(validity="r", expires=MADE + 1), NOW, expired_counts=True)

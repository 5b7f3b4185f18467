"""Who counts as whom: builders, their keys, operators and organisations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.openpgp_armor import armor
from relsign.errors import InputError, VerificationError
from relsign.formats.sums_policy import parse_sums_policy
from relsign.verify.sums_people import KeyCertificate, People, enrol, read_key_file, shared_keys
from relsign.verify.sums_signature import Signer
from tests.crypto.openpgp_maker import DAY, binding, ed25519, packet, simple

ANN, BEN, CAT = (ed25519(seed) for seed in (1, 2, 3))
AGAIN = ed25519(1, created=ANN.created + DAY)
"""Ann's numbers under another fingerprint."""
ONE = parse_sums_policy(b"threshold = 1\n")


def _read(*keys: bytes) -> tuple[KeyCertificate, ...]:
    return read_key_file(b"".join(keys), "x.gpg")


def _people(policy: str = "", **files: bytes) -> People:
    return _enrol(files, policy or "threshold = 1\n")


def _enrol(files: dict[str, bytes], policy: str = "threshold = 1\n") -> People:
    rings = {name: read_key_file(data, name) for name, data in files.items()}
    return enrol(parse_sums_policy(policy.encode()), rings)


@pytest.mark.parametrize(
    "data",
    [
        simple(ANN) + simple(BEN),
        armor(simple(ANN) + simple(BEN), "PUBLIC KEY BLOCK"),
        armor(simple(ANN), "PUBLIC KEY BLOCK") + b"\n" + armor(simple(BEN), "PUBLIC KEY BLOCK"),
    ],
    ids=["binary", "one block", "two blocks"],
)
def test_a_file_may_hold_several_certificates(data: bytes) -> None:
    found = read_key_file(data, "x.gpg")
    assert [one.primary for one in found] == [ANN.fingerprint, BEN.fingerprint]
    assert b"".join(one.binary for one in found) == simple(ANN) + simple(BEN)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"-----BEGIN PGP MESSAGE-----\n\nAA==\n-----END PGP MESSAGE-----\n",
        armor(b"", "PUBLIC KEY BLOCK"),
        packet(5, ANN.body),
        packet(2, b"\x04"),
        packet(6, b"\x06" + ANN.body[1:]),
        packet(6, b""),
        simple(ANN) + packet(14, b"\x03" + BEN.body[1:]),
        simple(ANN)[:-1],
        simple(ANN) + packet(8, b"\x00" + simple(BEN)),
        simple(ANN) + packet(5, BEN.body),
        simple(ANN) + packet(11, b"b\x00\x00\x00\x00\x00"),
    ],
    ids=[
        "empty", "garbage", "message", "empty block", "secret key", "signature", "version 6",
        "empty packet", "subkey of version 3", "cut short",
        "compressed", "secret key behind", "literal data",
    ],
)  # fmt: skip
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_key_file(data, "x.gpg")


@given(st.binary(max_size=80).map(lambda tail: simple(ANN)[:60] + tail) | st.binary(max_size=80))
def test_any_bytes_are_certificates_or_an_input_error(data: bytes) -> None:
    try:
        found = read_key_file(data, "x.gpg")
    except InputError:
        return
    assert found


def test_the_same_numbers_are_seen_under_two_fingerprints() -> None:
    (one,), (other,) = _read(simple(ANN)), _read(simple(AGAIN))
    assert one.primary != other.primary
    assert one.materials == other.materials


def test_without_builders_each_key_file_is_one() -> None:
    people = _people(ann=simple(ANN), ben=simple(BEN) + simple(CAT))
    assert people.keys == {
        "ann": {ANN.fingerprint},
        "ben": {BEN.fingerprint, CAT.fingerprint},
    }
    assert people.person["ann"] != people.person["ben"]
    assert shared_keys(people) == ()


def test_with_builders_nobody_else_counts() -> None:
    text = f'threshold = 1\n[[builder]]\nname = "b"\nkeys = ["{ANN.fingerprint}"]\n'
    people = _people(text, ann=simple(ANN), ben=simple(BEN))
    assert people.keys == {"b": {ANN.fingerprint}}


def test_a_builder_without_keys_has_those_of_its_file() -> None:
    people = _people(
        'threshold = 1\n[[builder]]\nname = "ann"\n[[builder]]\nname = "ben"\n', ann=simple(ANN)
    )
    assert people.keys == {"ann": {ANN.fingerprint}, "ben": frozenset()}


@pytest.mark.parametrize(
    ("files", "joined"),
    [
        ({"a": simple(ANN), "b": simple(BEN)}, False),
        ({"a": simple(ANN), "b": simple(ANN)}, True),
        ({"a": simple(ANN), "b": simple(AGAIN)}, True),
        ({"a": simple(ANN), "b": simple(BEN) + simple(ANN)}, True),
        ({"a": simple(ANN), "x": simple(BEN) + simple(ANN), "b": simple(BEN)}, True),
        ({"a": simple(ANN) + binding(ANN, CAT), "b": simple(BEN)}, False),
        (
            {
                "a": simple(ANN) + packet(14, CAT.body) + binding(ANN, CAT),
                "b": simple(BEN) + packet(14, CAT.body) + binding(BEN, CAT),
            },
            True,
        ),
    ],
    ids=["two", "twin", "other date", "one more", "by a third", "two again", "shared subkey"],
)
def test_builders_with_a_key_in_common_are_one_person(
    files: dict[str, bytes], *, joined: bool
) -> None:
    people = _enrol(files)
    assert (people.person["a"] == people.person["b"]) is joined
    assert (shared_keys(people) == (tuple(sorted(files)),)) is joined


def test_builders_of_one_operator_are_one_person() -> None:
    text = (
        'threshold = 1\n[[builder]]\nname = "a"\noperator = "o"\n'
        '[[builder]]\nname = "b"\noperator = "o"\n[[builder]]\nname = "o"\n'
    )
    people = _people(text, a=simple(ANN), b=simple(BEN), o=simple(CAT))
    assert shared_keys(people) == (("a", "b", "o"),)


def test_organisations_join_but_people_stay_apart() -> None:
    text = (
        'threshold = 1\n[[builder]]\nname = "a"\norganisation = "x"\n'
        '[[builder]]\nname = "b"\norganisation = "x"\n[[builder]]\nname = "c"\n'
    )
    people = _people(text, a=simple(ANN), b=simple(BEN), c=simple(CAT))
    assert len(set(people.person.values())) == 3
    assert people.organisation["a"] == people.organisation["b"] != people.organisation["c"]


@pytest.mark.parametrize(
    ("builder", "key", "what"),
    [
        ("ann", ANN, ""),
        ("ben", ANN, "misfiled: the key is another builder's"),
        ("ann", CAT, "the key is no builder's"),
        ("cat", CAT, "builder is not known"),
    ],
)
def test_a_signature_counts_in_its_own_folder_only(builder: str, key: object, what: str) -> None:
    people = _people(ann=simple(ANN), ben=simple(BEN))
    fingerprint = getattr(key, "fingerprint", "")
    signer = Signer(fingerprint, fingerprint, 0)
    if not what:
        people.check_place(signer, builder)
        return
    with pytest.raises(VerificationError) as refused:
        people.check_place(signer, builder)
    assert refused.value.what == what

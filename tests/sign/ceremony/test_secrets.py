"""One seed, many secrets: the same ones each time, and none for two purposes."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from relsign.errors import InputError
from relsign.sign.ceremony.secrets import derive, derive_key
from tests.sign.ceremony.people import keygen_room

SEED, CEREMONY = bytes(range(32)), "ab" * 32
OTHERS = [
    (bytes(range(1, 33)), CEREMONY, ("a", "bc")),
    (SEED, "ac" * 32, ("a", "bc")),
    (SEED, CEREMONY, ("ab", "c")),
    (SEED, CEREMONY, ("a", "bc", "")),
    (SEED, CEREMONY, ("abc",)),
    (SEED, CEREMONY, ()),
]


def test_a_secret_is_the_same_each_time() -> None:
    assert derive(SEED, CEREMONY, "a", "bc") == derive(SEED, CEREMONY, "a", "bc")
    assert derive_key(SEED, CEREMONY, "a", "bc") == derive(SEED, CEREMONY, "a", "bc")[:32]


def test_a_secret_is_what_the_reference_says() -> None:
    parts = [b"relsign/ceremony/1", CEREMONY.encode(), b"a"]
    text = b"".join(bytes([0, 0, 0, len(part)]) + part for part in parts)
    assert derive(SEED, CEREMONY, "a") == hmac.new(SEED, text, hashlib.sha512).digest()


@pytest.mark.parametrize(("seed", "ceremony", "label"), OTHERS)
def test_another_seed_ceremony_or_label_gives_another_secret(
    seed: bytes, ceremony: str, label: tuple[str, ...]
) -> None:
    assert derive(seed, ceremony, *label) != derive(SEED, CEREMONY, "a", "bc")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_is_32_bytes(size: int) -> None:
    with pytest.raises(InputError, match="not a seed"):
        derive(bytes(size), CEREMONY, "a")


def test_a_person_shows_no_secret() -> None:
    room = keygen_room(("ana", "bob"), 2)
    done = room.finish()["ana"].done
    assert done is not None
    assert room.person("ana").seed.hex() not in repr(room.person("ana"))
    assert repr(room.person("ana")) == "Person(name='ana')"
    assert "SecretShare(hidden)" in repr(done)

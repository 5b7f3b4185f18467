"""Sealed secrets and seeds of nonces as documents: one form each, bounded, nothing shown."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
import rfc8785
from rich.pretty import pretty_repr

from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.nonces import SlotSeeds, StepSeeds, parse_nonces
from relsign.formats.sealed import MAX_PLAIN_BYTES, Header, Sealed, make_sealed, parse_sealed
from tests.hostile.mutate import Bytes, Tree, canonical
from tests.hostile.survival import count_refusals

HEADER = Header(
    purpose="frost", name="alice", ops=3, mem_kib=65536, salt="01" * 16, nonce="02" * 24
)
SEALED = make_sealed(HEADER, bytes(range(50)))
NONCES = StepSeeds(
    session=Digest("aa" * 32),
    attempt=1,
    step=2,
    slots=(
        SlotSeeds(name="openpgp", hiding="11" * 32, binding="22" * 32),
        SlotSeeds(name="minisign", hiding="33" * 32, binding="44" * 32),
    ),
)

Table = dict[str, object]


def table_of(value: Sealed | StepSeeds) -> Table:
    table = json.loads(value.to_bytes())
    assert isinstance(table, dict)
    return table


def read_sealed(data: bytes) -> Sealed:
    return parse_sealed(data, "file")


def read_nonces(data: bytes) -> StepSeeds:
    return parse_nonces(data, "file")


def test_they_come_back_as_they_were() -> None:
    assert parse_sealed(SEALED.to_bytes(), "file") == SEALED
    assert SEALED.raw == bytes(range(50))
    assert parse_nonces(NONCES.to_bytes(), "file") == NONCES


@pytest.mark.parametrize("size", [16, 17, 18, MAX_PLAIN_BYTES + 16])
def test_a_ciphertext_of_any_allowed_length(size: int) -> None:
    sealed = make_sealed(HEADER, bytes(size))
    assert len(parse_sealed(sealed.to_bytes(), "file").raw) == size


def sealed_with(**changed: object) -> bytes:
    """Return a document with other fields and a checksum that fits them."""
    table = table_of(SEALED)
    header = {**HEADER_TABLE, **{k: v for k, v in changed.items() if k in HEADER_TABLE}}
    table |= {k: v for k, v in changed.items() if k not in HEADER_TABLE} | {"header": header}
    if "checksum" not in changed:
        bound = rfc8785.dumps({"format": "relsign/sealed/1", "header": header})
        bound += b"\n" + str(table["ciphertext"]).encode()
        table["checksum"] = hashlib.sha256(bound).hexdigest()
    return canonical(table)


HEADER_TABLE = json.loads(SEALED.to_bytes())["header"]


def test_the_checksum_is_computed_as_the_page_says() -> None:
    assert sealed_with() == SEALED.to_bytes()


WRONG_SEALED: dict[str, tuple[Table, str]] = {
    "format": ({"format": "relsign/sealed/2"}, "format"),
    "kdf": ({"kdf": "scrypt"}, "kdf"),
    "no pass": ({"ops": 0}, "ops"),
    "too many passes": ({"ops": 11}, "ops"),
    "too little memory": ({"mem_kib": (8 << 10) - 1}, "mem_kib"),
    "too much memory": ({"mem_kib": (1 << 20) + 1}, "mem_kib"),
    "memory as text": ({"mem_kib": "65536"}, "mem_kib"),
    "short salt": ({"salt": "01" * 15}, "salt"),
    "upper-case salt": ({"salt": "AB" * 16}, "salt"),
    "short nonce": ({"nonce": "02" * 12}, "nonce"),
    "name with a path": ({"name": "../alice"}, "name"),
    "empty purpose": ({"purpose": ""}, "purpose"),
    "no ciphertext": ({"ciphertext": ""}, "ciphertext"),
    "shorter than its tag": ({"ciphertext": base64.b64encode(bytes(15)).decode()}, "ciphertext"),
    "padded in the middle": ({"ciphertext": "A" * 19 + "=AAAA"}, "ciphertext"),
    "base64 of another form": ({"ciphertext": "A" * 21 + "B=="}, "one form of base64"),
    "base64 without padding": ({"ciphertext": "A" * 25}, "padding|base64"),
    "too long": ({"ciphertext": "A" * 699_076}, "ciphertext"),
    "wrong checksum": ({"checksum": "00" * 32}, "the file is damaged"),
    "unknown field": ({"hint": "my cat"}, "hint"),
}


@pytest.mark.parametrize("name", WRONG_SEALED)
def test_what_is_no_sealed_secret(name: str) -> None:
    changed, words = WRONG_SEALED[name]
    with pytest.raises(InputError, match=words):
        parse_sealed(sealed_with(**changed), "file")


def test_every_flipped_bit_is_damage_or_another_form() -> None:
    data = SEALED.to_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x01
        with pytest.raises(InputError):
            parse_sealed(bytes(changed), "file")


SLOTS = table_of(NONCES)["slots"]
assert isinstance(SLOTS, list)
FIRST = SLOTS[0]

WRONG_NONCES: dict[str, tuple[Table, str]] = {
    "format": ({"format": "relsign/nonces/2"}, "format"),
    "session": ({"session": "aa"}, "session"),
    "attempt 0": ({"attempt": 0}, "attempt"),
    "attempt as truth": ({"attempt": True}, "attempt"),
    "attempt too high": ({"attempt": 1_000_001}, "attempt"),
    "step 0": ({"step": 0}, "step"),
    "step 10": ({"step": 10}, "step"),
    "no slots": ({"slots": []}, "slots"),
    "too many slots": ({"slots": [{**FIRST, "name": f"s{n}"} for n in range(65)]}, "slots"),
    "a slot twice": ({"slots": [FIRST, FIRST]}, "slot named twice: openpgp"),
    "one seed for both": ({"slots": [{**FIRST, "binding": "11" * 32}]}, "a seed stands twice"),
    "one seed in two": ({"slots": [FIRST, {**SLOTS[1], "hiding": "11" * 32}]}, "stands twice"),
    "a short seed": ({"slots": [{**FIRST, "hiding": "11" * 31}]}, "hiding"),
    "a bad name": ({"slots": [{**FIRST, "name": "a/b"}]}, "name"),
}


@pytest.mark.parametrize("name", WRONG_NONCES)
def test_what_are_no_nonces(name: str) -> None:
    changed, words = WRONG_NONCES[name]
    with pytest.raises(InputError, match=words):
        parse_nonces(canonical({**table_of(NONCES), **changed}), "file")


def test_seeds_are_never_shown() -> None:
    for shown in (repr(NONCES), str(NONCES), pretty_repr(NONCES), f"{NONCES.slots[0]}"):
        assert "openpgp" in shown
        assert "1111" not in shown
        assert "2222" not in shown


@pytest.mark.parametrize(
    ("parse", "data"), [(read_sealed, SEALED.to_bytes()), (read_nonces, NONCES.to_bytes())]
)
def test_any_bytes_raise_input_error_only(parse: type[Sealed], data: bytes) -> None:
    assert count_refusals(parse, Bytes(data, "sealed bytes").make, 5_000) > 2_500
    shaped = Tree(json.loads(data), "sealed shape", canonical)
    assert count_refusals(parse, shaped.make, 2_500) > 1_250

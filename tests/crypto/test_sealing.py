"""Sealed boxes as libsodium's, and secrets that open with one passphrase in one place."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings
from rich.pretty import pretty_repr

from relsign.crypto.sealing import (
    DEFAULT_COST,
    Cost,
    Place,
    ReceiverKey,
    lock_with,
    open_with,
    parse_receiver,
    receiver_key,
    seal,
    unseal,
)
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.sealed import MAX_PLAIN_BYTES, Header, Sealed, make_sealed

ALICE = receiver_key(bytes(range(32)))
BOB = receiver_key(bytes(range(1, 33)))
EPHEMERAL = bytes(range(2, 34))
CHEAP = Cost(ops=1, mem_kib=8192)
HOME = Place("frost", "alice")
PASSPHRASE = b"correct horse"
SALT, NONCE = bytes(16), bytes(24)
PRIME = 2**255 - 19

# --- sealed boxes ------------------------------------------------------------------------------


def test_the_key_pair_is_that_of_rfc_7748() -> None:
    # RFC 7748, section 6.1: Alice's private and public key.
    secret = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
    public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert receiver_key(bytes.fromhex(secret)).public.hex() == public


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32))
def test_libsodium_opens_ours_and_ours_opens_libsodium_s(plain: bytes, ephemeral: bytes) -> None:
    ours = seal(plain, ALICE.public, ephemeral)
    assert len(ours) == len(plain) + 48
    assert bindings.crypto_box_seal_open(ours, ALICE.public, ALICE.secret) == plain
    assert unseal(bindings.crypto_box_seal(plain, ALICE.public), ALICE, "box") == plain
    assert unseal(ours, ALICE, "box") == plain


def test_the_same_arguments_seal_the_same() -> None:
    assert seal(b"x", BOB.public, EPHEMERAL) == seal(b"x", BOB.public, EPHEMERAL)
    assert seal(b"x", BOB.public, EPHEMERAL) != seal(b"x", ALICE.public, EPHEMERAL)


SEALED = seal(b"share", ALICE.public, EPHEMERAL)


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_a_flipped_bit_does_not_open(place: int) -> None:
    data = bytearray(SEALED)
    data[place] ^= 0x04
    with pytest.raises(VerificationError, match="does not open"):
        unseal(bytes(data), ALICE, "box")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "at least 48 bytes, got 0"),
        (SEALED[:47], "at least 48 bytes, got 47"),
        (SEALED[:-1], "does not open"),
        (SEALED + b"\0", "does not open"),
        (bytes(32) + SEALED[32:], "does not open"),
        (bytes(48), "does not open"),
        (seal(b"share", BOB.public, EPHEMERAL), "does not open"),
    ],
)
def test_what_is_not_a_box_for_this_key(data: bytes, words: str) -> None:
    with pytest.raises(VerificationError, match=words) as caught:
        unseal(data, ALICE, "box")
    assert str(caught.value).startswith("box: ")


# The u-coordinates of points whose eightfold is nothing, as https://cr.yp.to/ecdh.html lists
# them, without those that have another form below the field's prime.
SMALL_ORDER = {
    "zero": 0,
    "one": 1,
    "order 8": 325606250916557431795983626356110631294008115727848805560023387167927233504,
    "order 8 too": 39382357235489614581723060781553021112529911719440698176882885853963445705823,
    "minus one": PRIME - 1,
}


@pytest.mark.parametrize("name", SMALL_ORDER)
def test_a_key_of_small_order_is_refused(name: str) -> None:
    raw = SMALL_ORDER[name].to_bytes(32, "little")
    with pytest.raises(VerificationError, match="small order") as caught:
        parse_receiver(raw, "message of bob")
    assert caught.value.hint
    with pytest.raises(VerificationError):
        seal(b"share", raw, EPHEMERAL)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "32 bytes, got 0"),
        (bytes(31), "32 bytes, got 31"),
        (ALICE.public + b"\0", "32 bytes, got 33"),
        (PRIME.to_bytes(32, "little"), "one form"),
        ((PRIME + 1).to_bytes(32, "little"), "one form"),
        (b"\xff" * 32, "one form"),
        (ALICE.public[:31] + bytes([ALICE.public[31] | 0x80]), "one form"),
    ],
)
def test_what_is_not_a_public_key(raw: bytes, words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        parse_receiver(raw, "key")


def test_a_public_key_is_kept_as_it_is() -> None:
    assert parse_receiver(ALICE.public, "key") == ALICE.public


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_secret_key_has_32_bytes(length: int) -> None:
    with pytest.raises(InputError, match=f"32 bytes, got {length}"):
        receiver_key(bytes(length))
    with pytest.raises(InputError):
        seal(b"x", ALICE.public, bytes(length))


@pytest.mark.parametrize("show", [repr, str, pretty_repr, "{}".format])
def test_a_secret_key_is_never_shown(show: type[str]) -> None:
    key = ReceiverKey(ALICE.public, b"\xabSECRET" * 4)
    assert "SECRET" not in show(key)
    assert "abab" not in show(key)
    assert ALICE.public.hex() in show(key)


# --- under a passphrase ------------------------------------------------------------------------


def locked(plain: bytes = b"share", place: Place = HOME) -> Sealed:
    return lock_with(PASSPHRASE, plain, place, SALT, NONCE, CHEAP)


@pytest.mark.parametrize("plain", [b"", b"x", bytes(range(256)), bytes(MAX_PLAIN_BYTES)])
def test_what_was_locked_opens(plain: bytes) -> None:
    assert open_with(PASSPHRASE, locked(plain), HOME, "file") == plain


def test_the_default_cost_is_what_the_page_says() -> None:
    sealed = lock_with(PASSPHRASE, b"share", HOME, SALT, NONCE)
    assert (sealed.header.ops, sealed.header.mem_kib) == (3, 64 << 10)
    assert Cost(3, 65536) == DEFAULT_COST
    assert open_with(PASSPHRASE, sealed, HOME, "file") == b"share"


def test_it_is_argon2id_and_xchacha_with_the_header_bound_to_it() -> None:
    sealed = locked()
    key = bindings.crypto_pwhash_alg(
        32, PASSPHRASE, SALT, 1, 8 << 20, bindings.crypto_pwhash_ALG_ARGON2ID13
    )
    bound = (
        b'{"format":"relsign/sealed/1","header":{"kdf":"argon2id","mem_kib":8192,"name":"alice",'
        b'"nonce":"%s","ops":1,"purpose":"frost","salt":"%s"}}' % (b"0" * 48, b"0" * 32)
    )
    opened = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed.raw, bound, NONCE, key)
    assert opened == b"share"


@pytest.mark.parametrize("guess", [b"", b"correct hors", b"correct horse ", b"Correct horse"])
def test_a_wrong_passphrase_is_told(guess: bytes) -> None:
    with pytest.raises(InputError, match="file: wrong passphrase") as caught:
        open_with(guess, locked(), HOME, "file")
    assert caught.value.hint
    assert "correct" not in str(caught.value)


@pytest.mark.parametrize("place", [Place("frost", "bob"), Place("box", "alice")])
def test_a_secret_of_another_place_does_not_open(place: Place) -> None:
    with pytest.raises(InputError, match="another place"):
        open_with(PASSPHRASE, locked(), place, "file")
    # And with the name in the header changed to the place where it was put.
    old = locked()
    fields = {field: getattr(old.header, field) for field in ("ops", "mem_kib", "salt", "nonce")}
    moved = make_sealed(Header(purpose=place.purpose, name=place.name, **fields), old.raw)
    with pytest.raises(InputError, match="wrong passphrase"):
        open_with(PASSPHRASE, moved, place, "file")


@pytest.mark.parametrize(
    "changed", [{"ops": 2}, {"mem_kib": 8193}, {"salt": "01" + "00" * 15}, {"nonce": "01" * 24}]
)
def test_every_field_of_the_header_is_bound(changed: dict[str, object]) -> None:
    old = locked()
    fields = {"ops": 1, "mem_kib": 8192, "salt": old.header.salt, "nonce": old.header.nonce}
    header = Header(purpose="frost", name="alice", **{**fields, **changed})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="wrong passphrase"):
        open_with(PASSPHRASE, make_sealed(header, old.raw), HOME, "file")


@pytest.mark.parametrize(
    ("passphrase", "plain", "place", "salt", "nonce", "cost", "words"),
    [
        (b"7 bytes", b"", HOME, SALT, NONCE, CHEAP, "passphrase too short"),
        (PASSPHRASE, bytes(MAX_PLAIN_BYTES + 1), HOME, SALT, NONCE, CHEAP, "too large to lock"),
        (PASSPHRASE, b"", HOME, SALT[:15], NONCE, CHEAP, "not a salt .expected 16 bytes, got 15"),
        (PASSPHRASE, b"", HOME, SALT, NONCE + b"x", CHEAP, "not a nonce .expected 24 bytes"),
        (PASSPHRASE, b"", HOME, SALT, NONCE, Cost(0, 8192), "ops"),
        (PASSPHRASE, b"", HOME, SALT, NONCE, Cost(11, 8192), "ops"),
        (PASSPHRASE, b"", HOME, SALT, NONCE, Cost(1, 8191), "mem_kib"),
        (PASSPHRASE, b"", HOME, SALT, NONCE, Cost(1, (1 << 20) + 1), "mem_kib"),
        (PASSPHRASE, b"", Place("../x", "alice"), SALT, NONCE, CHEAP, "purpose"),
        (PASSPHRASE, b"", Place("frost", ""), SALT, NONCE, CHEAP, "name"),
    ],
)
def test_what_cannot_be_locked(  # noqa: PLR0913, PLR0917 - one column for each argument
    passphrase: bytes,
    plain: bytes,
    place: Place,
    salt: bytes,
    nonce: bytes,
    cost: Cost,
    words: str,
) -> None:
    with pytest.raises(InputError, match=words):
        lock_with(passphrase, plain, place, salt, nonce, cost)


def test_too_little_memory_is_the_machine_s_fault() -> None:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    sealed = locked()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), limits[1]))
    try:
        with pytest.raises(HostError, match="too little memory"):
            lock_with(PASSPHRASE, b"", HOME, SALT, NONCE, Cost(1, 1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert open_with(PASSPHRASE, sealed, HOME, "file") == b"share"

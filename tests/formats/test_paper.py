"""Parcels on paper: what goes in comes out, out of any mail; what does not is named."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError, NotEnoughError
from relsign.formats.paper import (
    MAX_PARCEL_BYTES,
    MAX_PARTS,
    MAX_TEXT_CHARACTERS,
    Parcel,
    pack,
    parse_part,
    unpack,
)
from relsign.formats.relay import MAX_MESSAGE_BYTES

A, B = "a" * 64, "0b" * 32


def noise(seed: int, size: int) -> bytes:
    """Return bytes that do not pack: the same each time."""
    return hashlib.shake_128(bytes([seed])).digest(size)


NOISE = noise(4, 3000)
PARCEL = {A: (NOISE, b"one"), B: (b"two",)}
PARTS = pack(PARCEL)
TOPICS = st.sampled_from([A, B, "c0" * 32])
MESSAGES = st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=4)


def sorted_once(parcel: Parcel) -> Parcel:
    return {topic: tuple(sorted(set(messages))) for topic, messages in parcel.items()}


@given(st.dictionaries(TOPICS, MESSAGES, min_size=1), st.randoms(use_true_random=False))
def test_what_is_packed_comes_out_in_any_order_and_repeated(
    parcel: dict[str, list[bytes]], dice: random.Random
) -> None:
    wanted = sorted_once({topic: tuple(messages) for topic, messages in parcel.items()})
    parts = [*pack(wanted), *pack(wanted)]
    dice.shuffle(parts)
    got = unpack(" ".join(parts))
    assert got.parcel == wanted
    assert got.ignored == ()


def test_a_part_is_what_a_qr_code_holds() -> None:
    assert len(PARTS) > 5
    for part in PARTS:
        assert re.fullmatch(r"[A-Z0-9/.]{1,900}", part)


def wrapped(part: str) -> str:
    return "\n".join(f"> > {part[at : at + 60]} " for at in range(0, len(part), 60))


@pytest.mark.parametrize(
    "change",
    [
        "\n".join,
        "".join,
        " \r\n\t".join,
        lambda parts: "\n".join(map(wrapped, parts)),
        lambda parts: "\n".join(parts).lower(),
        lambda parts: "Dear Bo, here they are.\n" + "\nand then\n".join(parts) + "\nBest, Ann.",
        lambda parts: "RELSIGN1/ is how they begin. " + "\n".join(parts),
        lambda parts: "\u200b".join("\u00ad".join(parts)),
        lambda parts: "\n".join([parts[0][:100], *parts]),
    ],
)
def test_mail_may_wrap_quote_and_repeat_it(change: object) -> None:
    assert callable(change)
    assert unpack(change(PARTS)).parcel == sorted_once(PARCEL)


def test_sets_whole_and_not_are_told_apart() -> None:
    other = pack({B: (NOISE[::-1],)})
    got = unpack("\n".join([*other[:-1], *PARTS]))
    assert got.parcel == sorted_once(PARCEL)
    assert got.ignored == (f"set {other[0].split('/')[3]}: of its 6 parts, missing: 6",)
    both = unpack("\n".join([*other, *PARTS]))
    assert both.parcel == {**sorted_once(PARCEL), B: tuple(sorted({b"two", NOISE[::-1]}))}


def test_missing_parts_are_named() -> None:
    with pytest.raises(NotEnoughError, match=r"missing: 2, 4, 5") as caught:
        unpack("\n".join([PARTS[0], PARTS[2], *PARTS[5:]]))
    assert caught.value.exit_code == 3


@given(st.integers(0, len(PARTS[1]) - 1), st.sampled_from("ABZ2719/."))
def test_a_typing_mistake_is_found_in_the_part_that_has_it(at: int, letter: str) -> None:
    part = PARTS[1]
    typed = part[:at] + letter + part[at + 1 :]
    if typed == part:
        return
    with pytest.raises((NotEnoughError, InputError)) as caught:
        unpack("\n".join([PARTS[0], typed, *PARTS[2:]]))
    # Where the mistake made the part one of another set, that set is named.
    assert typed[:9] != "RELSIGN1/" or "missing" in caught.value.got


def made(piece: bytes, head: str | None = None) -> str:
    """Write a part as nobody but us would: any piece, its checks right."""
    start = head or f"RELSIGN1/1/1/{hashlib.sha256(piece).hexdigest()[:8].upper()}/"
    check = hashlib.sha256(start.encode() + piece).digest()[:4]
    return start + base64.b32encode(piece + check).decode().rstrip("=") + "."


MAGIC = b"relsign/parcel/1\n"
ENTRY = bytes.fromhex(A) + b"\0\0\0\1x"
PACKED = zlib.compress(MAGIC + ENTRY)
WRONG = [
    ("", "no part of a parcel"),
    ("hello. world.", "no part of a parcel"),
    ("RELSIGN2/1/1/00000000/AAAAAAAA.", "no part of a parcel"),
    ("RELSIGN1/1/1/00000000/AAAAAAAA.", "a mistake in this part"),
    ("RELSIGN1/0/1/00000000/AAAAAAAA.", "not a part"),
    ("RELSIGN1/01/1/00000000/AAAAAAAA.", "not a part"),
    ("RELSIGN1/1/1000/00000000/AAAAAAAA.", "not a part"),
    ("RELSIGN1/1/1/0000000/AAAAAAAA.", "not a part"),
    ("RELSIGN1/1/1/00000000/AAAAAAA1.", "not a part"),
    ("RELSIGN1/1/1/00000000/AAAAAAA.", "not a part"),
    ("RELSIGN1/1/1/00000000/AAAAAAAAA.", "odd length"),
    ("RELSIGN1/1/1/00000000/" + "A" * 1000 + ".", "not a part"),
    (made(PACKED)[:-1], "this part is cut off"),
    (made(b"\0" * 541), "a mistake in this part"),
    (made(b"x", "RELSIGN1/2/1/00000000/"), "a mistake in this part"),
    (made(b"x", "RELSIGN1/1/1/00000000/"), "the parts do not belong together"),
    (made(b"no zlib at all"), "not packed by relsign"),
    (made(PACKED[:-1]), "not packed by relsign"),
    (made(PACKED + b"x"), "not packed by relsign"),
    (made(zlib.compress(b"")), "not packed by relsign"),
    (made(zlib.compress(b"another/format\n")), "not packed by relsign"),
    (made(zlib.compress(MAGIC)), "not packed by relsign"),
    (made(zlib.compress(MAGIC + ENTRY[:-1])), "not packed by relsign"),
    (made(zlib.compress(MAGIC + ENTRY[:20])), "not packed by relsign"),
    (made(zlib.compress(MAGIC + ENTRY[:32] + b"\0\0\0\0")), "not packed by relsign"),
    (made(zlib.compress(MAGIC + ENTRY[:32] + b"\0\1\0\1" + b"x" * 65537)), "not packed"),
    (made(zlib.compress(MAGIC + ENTRY + ENTRY)), "not packed by relsign"),
    (made(zlib.compress(MAGIC + ENTRY[:36] + b"y" + ENTRY)), "not packed by relsign"),
    (made(zlib.compress(b"\0" * 400_000, 9)), "not packed by relsign"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_what_is_no_parcel_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        unpack(text)
    assert unpack(f"{text}\n" + "\n".join(PARTS)).parcel == sorted_once(PARCEL)


def test_the_form_above_is_the_right_one() -> None:
    assert unpack(made(PACKED)).parcel == {A: (b"x",)}


def test_a_part_that_stands_alone_is_no_text() -> None:
    with pytest.raises(InputError, match="not a part"):
        parse_part("x" + PARTS[0])


def test_a_bomb_is_bounded() -> None:
    bomb = zlib.compress(MAGIC + b"\0" * (64 << 20), 9)
    pieces = [bomb[at : at + 540] for at in range(0, len(bomb), 540)]
    digest = hashlib.sha256(bomb).hexdigest()[:8].upper()
    heads = (f"RELSIGN1/{n}/{len(pieces)}/{digest}/" for n in range(1, len(pieces) + 1))
    text = "".join(map(made, pieces, heads))
    with pytest.raises(InputError, match="too large"):
        unpack(text)


def test_two_parts_of_one_number_are_named() -> None:
    other = made(b"another", PARTS[0][: PARTS[0].rindex("/") + 1])
    got = unpack("\n".join([*PARTS, other]))
    assert got.parcel == sorted_once(PARCEL)
    assert got.ignored[0].endswith("two different parts 1")


def test_many_sets_and_many_mistakes_end_soon() -> None:
    text = "".join(pack({A: (b"%d" % n,)})[0] for n in range(200)) + "RELSIGN1/X." * 1000
    got = unpack(text)
    assert len(got.parcel[A]) == 64
    assert len(got.ignored) == 20


@pytest.mark.parametrize(
    ("parcel", "words"),
    [
        ({}, "nothing to pack"),
        ({A: ()}, "nothing to pack"),
        ({A: (b"",)}, "not a message"),
        ({A: (b"x" * (MAX_MESSAGE_BYTES + 1),)}, "not a message"),
        ({A[:-1]: (b"x",)}, "not a topic"),
        ({"A" * 64: (b"x",)}, "not a topic"),
        ({A: tuple(bytes([n]) * MAX_MESSAGE_BYTES for n in range(17))}, f"{MAX_PARCEL_BYTES}"),
        ({A: tuple(noise(n, 60_000) for n in range(10))}, f"{MAX_PARTS} parts"),
    ],
)
def test_what_cannot_go_on_paper_is_refused(parcel: Parcel, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pack(parcel)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="too much for paper"):
        unpack(" " * (MAX_TEXT_CHARACTERS + 1))


@given(st.text(alphabet="RELSIGN1/2345A. \n", max_size=200))
def test_any_text_ends_in_a_parcel_or_one_of_our_errors(text: str) -> None:
    with pytest.raises((InputError, NotEnoughError)):
        unpack("RELSIGN1/1/1/" + text)

"""What gpg, gpgv and sqv say of the OpenPGP that is made here."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from relsign.crypto.openpgp import parse_certificate, verify_detached
from relsign.crypto.openpgp_armor import armor
from relsign.crypto.openpgp_cleartext import MAX_LINE_BYTES
from relsign.crypto.openpgp_make import (
    Reason,
    Subkey,
    certificate,
    cleartext,
    detached,
    renewed,
    revocation,
    revocation_text,
    revoked,
    with_subkey,
)
from relsign.crypto.openpgp_packets import parse_signature, read_packets
from relsign.crypto.openpgp_write import packet
from relsign.errors import InputError, VerificationError
from tests.crypto.make_tools import (
    CREATED,
    EXPIRES,
    LATER,
    SIGNED,
    USER_ID,
    Gpg,
    Ring,
    flipped,
    gpg_home,
    run,
    signer,
)

KEY, SUB, OTHER = signer(1), signer(2), signer(9)
DAY = timedelta(days=1)
CERT = certificate(KEY.raw, USER_ID, CREATED, EXPIRES, KEY.sign)
BOUND = with_subkey(CERT, Subkey(SUB.raw, CREATED + DAY, SUB.sign), KEY.sign)
DATA = b"4f2c  tar.tar.gz\n"
SIGNATURE = detached(CERT, DATA, SIGNED, KEY.sign)


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Gpg]:
    with gpg_home(tmp_path / "g") as found:
        yield found


def we_say(made: bytes, data: bytes, holder: bytes = CERT) -> bool:
    try:
        verify_detached(parse_certificate(holder, "t"), made, data, SIGNED)
    except (InputError, VerificationError):
        return False
    return True


def all_say(gpg: Gpg, folder: Path, holder: bytes, made: bytes, data: bytes) -> dict[str, bool]:
    ring = Ring(folder, holder)
    return {
        "gpg": gpg.says(made, data) == ["GOODSIG"],
        "gpgv": ring.gpgv(made, data),
        "sqv": ring.sqv(made, data),
        "we": we_say(made, data, holder),
    }


ALL = {"gpg": True, "gpgv": True, "sqv": True, "we": True}
NONE = dict.fromkeys(ALL, False)


def test_every_tool_accepts_a_detached_signature(gpg: Gpg, tmp_path: Path) -> None:
    status = gpg.take(CERT)
    assert f"IMPORTED {parse_certificate(CERT, 't').fingerprint[-16:]} {USER_ID}" in status
    for made in (SIGNATURE, armor(SIGNATURE, "SIGNATURE")):
        assert gpg.says(made, DATA) == ["GOODSIG"]
        assert Ring(tmp_path, CERT).gpgv(made, DATA)
        assert Ring(tmp_path, CERT).sqv(made, DATA)
    listing = gpg.run("--with-colons", "--list-keys").splitlines()
    (public,) = (line.split(":") for line in listing if line.startswith("pub:"))
    assert (public[3], public[11]) == ("22", "scSC")
    assert [int(public[5]), int(public[6])] == [CREATED.timestamp(), EXPIRES.timestamp()]


def test_sq_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    path = tmp_path / "cert"
    # sq looks at today's clock: this one never expires.
    endless = certificate(KEY.raw, USER_ID, CREATED, None, KEY.sign)
    path.write_bytes(with_subkey(endless, Subkey(SUB.raw, CREATED + DAY, SUB.sign), KEY.sign))
    shown = run("sq", "inspect", "--certifications", path)
    text = shown.stdout.decode().casefold()
    assert shown.returncode == 0
    assert "tar release key" in text
    assert not [word for word in ("invalid", "bad", "unknown", "not live") if word in text]


# Found by trying: signatures of these files have integers with leading zeros.
SHORT = {
    "R one bit long in its first byte": (172, 0, b"\x01"),
    "R short": (58, 0, b"\x00"),
    "S short": (260, 32, b"\x00"),
    "S one bit long in its first byte": (310, 32, b"\x01"),
    "R two bytes short": (45_526, 0, b"\x00\x00"),
    "S two bytes short": (34_239, 32, b"\x00\x00"),
    "R and S short": (170_343, 0, b"\x00"),
}


@pytest.mark.parametrize("name", SHORT)
def test_short_integers_are_written_as_every_tool_wants_them(
    name: str, gpg: Gpg, tmp_path: Path
) -> None:
    number, start, begins = SHORT[name]
    data = b"%d\n" % number
    KEY.asked.clear()
    made = detached(CERT, data, SIGNED, KEY.sign)
    raw = KEY.private.sign(KEY.asked[0])
    assert raw[start:].startswith(begins)
    if name == "R and S short":
        assert raw[32] == 0
    gpg.take(CERT)
    assert all_say(gpg, tmp_path, CERT, made, data) == ALL


def parts() -> tuple[bytes, bytes, bytes]:
    """Return a signature body without its integers, and both integers."""
    body = read_packets(SIGNATURE, "t")[0].body
    parsed = parse_signature(body, "t")
    assert parsed is not None
    size = (int.from_bytes(parsed.mpis[:2], "big") + 7) // 8 + 2
    return body.removesuffix(parsed.mpis), parsed.mpis[:size], parsed.mpis[size:]


HEAD, FIRST, SECOND = parts()
ARMOURED = armor(SIGNATURE, "SIGNATURE")
WRONG: dict[str, tuple[bytes, bytes]] = {
    "other data": (SIGNATURE, DATA + b"x"),
    "no data": (SIGNATURE, b""),
    "integers swapped": (packet(2, HEAD + SECOND + FIRST), DATA),
    "one integer": (packet(2, HEAD + FIRST), DATA),
    "R flipped": (packet(2, HEAD + flipped(FIRST, -1) + SECOND), DATA),
    "S flipped": (packet(2, HEAD + FIRST + flipped(SECOND, -1)), DATA),
    "type changed": (flipped(SIGNATURE, 3), DATA),
    "time changed": (flipped(SIGNATURE, SIGNATURE.index(b"\x05\x82") + 5), DATA),
    "cut": (SIGNATURE[:-1], DATA),
    "armour cut": (ARMOURED[:100], DATA),
    "armour changed": (ARMOURED.replace(ARMOURED[100:101], b"+", 1), DATA),
    "empty": (b"", DATA),
    "another key": (
        detached(
            certificate(OTHER.raw, USER_ID, CREATED, EXPIRES, OTHER.sign),
            DATA,
            SIGNED,
            OTHER.sign,
        ),
        DATA,
    ),
    "the same key with another birthday": (
        detached(
            certificate(KEY.raw, USER_ID, CREATED - DAY, EXPIRES, KEY.sign),
            DATA,
            SIGNED,
            KEY.sign,
        ),
        DATA,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_wrong_to_all(name: str, gpg: Gpg, tmp_path: Path) -> None:
    made, data = WRONG[name]
    gpg.take(CERT)
    assert all_say(gpg, tmp_path, CERT, made, data) == NONE


def test_integers_with_leading_zeros_are_refused_where_they_can_be(tmp_path: Path) -> None:
    padded = packet(2, HEAD + b"\x01\x08\x00" + FIRST[2:] + SECOND)
    assert not we_say(padded, DATA)
    assert not Ring(tmp_path, CERT).sqv(padded, DATA)


# --- subkeys, renewal, revocation --------------------------------------------------------------


def test_every_tool_accepts_a_signature_by_the_subkey(gpg: Gpg, tmp_path: Path) -> None:
    gpg.take(BOUND)
    made = detached(BOUND, DATA, SIGNED, SUB.sign, SUB.raw)
    assert all_say(gpg, tmp_path, BOUND, made, DATA) == ALL
    assert all_say(gpg, tmp_path, BOUND, SIGNATURE, DATA) == ALL
    # Without its back-signature anybody could have claimed the subkey.
    body = read_packets(BOUND, "t")[-1].body
    parsed = parse_signature(body, "t")
    assert parsed is not None
    embedded = next(one for one in parsed.unhashed if one.kind == 32)
    bare = BOUND.replace(embedded.body, flipped(embedded.body, -1))
    assert not we_say(made, DATA, bare)
    assert not Ring(tmp_path, bare).gpgv(made, DATA)
    assert not Ring(tmp_path, bare).sqv(made, DATA)


def test_an_expired_certificate_is_shown_and_a_renewed_one_is_good(
    gpg: Gpg, tmp_path: Path
) -> None:
    gpg.take(BOUND)
    assert gpg.says(SIGNATURE, DATA) == ["GOODSIG"]
    assert gpg.says(SIGNATURE, DATA, LATER) == ["EXPKEYSIG"]
    made = renewed(BOUND, LATER, LATER + 400 * DAY, KEY.sign)
    gpg.take(made, LATER)
    late = detached(made, DATA, LATER + DAY, SUB.sign, SUB.raw)
    for signature in (SIGNATURE, late):
        assert gpg.says(signature, DATA, LATER + DAY) == ["GOODSIG"]
        assert Ring(tmp_path, made).gpgv(signature, DATA)
        # Sequoia judges by the day of signing: the earlier certification must still be there.
        assert Ring(tmp_path, made).sqv(signature, DATA)
    assert not Ring(tmp_path, BOUND).sqv(late, DATA)
    assert gpg.says(late, DATA, LATER + 500 * DAY) == ["EXPKEYSIG"]


def test_a_shorter_life_is_heeded_too(gpg: Gpg) -> None:
    gpg.take(CERT)
    gpg.take(renewed(CERT, SIGNED + DAY, SIGNED + 2 * DAY, KEY.sign), SIGNED + DAY)
    assert gpg.says(SIGNATURE, DATA, SIGNED + DAY) == ["GOODSIG"]
    assert gpg.says(SIGNATURE, DATA, SIGNED + 3 * DAY) == ["EXPKEYSIG"]


@pytest.mark.parametrize("reason", Reason)
def test_a_revocation_from_escrow_works_in_gpg(reason: Reason, gpg: Gpg) -> None:
    made = revocation(KEY.raw, CREATED, CREATED, reason, "lost", KEY.sign)
    gpg.take(BOUND)
    assert gpg.says(SIGNATURE, DATA) == ["GOODSIG"]
    gpg.take(revocation_text(made))
    assert gpg.says(SIGNATURE, DATA) == ["REVKEYSIG"]
    by_subkey = detached(BOUND, DATA, SIGNED, SUB.sign, SUB.raw)
    assert gpg.says(by_subkey, DATA) == ["REVKEYSIG"]


def test_a_revocation_that_is_not_the_keys_does_nothing(gpg: Gpg) -> None:
    gpg.take(CERT)
    good = revocation(KEY.raw, CREATED, SIGNED, Reason.UNSTATED, "", KEY.sign)
    strange = revocation(OTHER.raw, CREATED, SIGNED, Reason.UNSTATED, "", OTHER.sign)
    for bad in (flipped(good, -1), strange):
        gpg.take(revocation_text(bad))
        assert gpg.says(SIGNATURE, DATA) == ["GOODSIG"]


@pytest.mark.parametrize("reason", Reason)
def test_sequoia_forgets_a_mild_revocation_when_the_key_is_renewed(
    reason: Reason, tmp_path: Path
) -> None:
    made = revocation(KEY.raw, CREATED, CREATED, reason, "", KEY.sign)
    assert not Ring(tmp_path, revoked(CERT, made)).sqv(SIGNATURE, DATA)
    newer = renewed(CERT, SIGNED - DAY, LATER, KEY.sign)
    # This is why escrow holds one of the other two kinds.
    forgotten = reason in {Reason.SUPERSEDED, Reason.RETIRED}
    assert Ring(tmp_path, revoked(newer, made)).sqv(SIGNATURE, DATA) == forgotten


def test_only_status_lines_tell_of_a_revocation(gpg: Gpg, tmp_path: Path) -> None:
    made = revocation(KEY.raw, CREATED, SIGNED, Reason.COMPROMISED, "", KEY.sign)
    gpg.take(revoked(CERT, made))
    assert gpg.says(SIGNATURE, DATA) == ["REVKEYSIG"]
    # gpgv's exit code says that all is well: a revoked key must leave its ring.
    assert Ring(tmp_path, revoked(CERT, made)).gpgv(SIGNATURE, DATA)


# --- cleartext ---------------------------------------------------------------------------------

TEXTS = {
    "manifest": DATA,
    "empty": b"",
    "no last line end": b"a",
    "empty lines": b"\n\na\n\n\n",
    "dashes": b"-----BEGIN PGP SIGNATURE-----\n- a\n-\n--\n",
    "mailbox": b"From here\n>From\nFrom\n",
    "white space": b"a \t \n\t\n b\n",
    "line ends": b"a\r\nb\nc\r\n",
    "UTF-8": "\u00e9\u00a0\n".encode(),
    "longest line": b"x" * MAX_LINE_BYTES + b"\n" + b"-" * MAX_LINE_BYTES,
}


@pytest.mark.parametrize("name", TEXTS)
def test_gpg_accepts_a_cleartext_message(name: str, gpg: Gpg, tmp_path: Path) -> None:
    made = cleartext(CERT, TEXTS[name], SIGNED, KEY.sign)
    gpg.take(CERT)
    assert gpg.says(made, None) == ["GOODSIG"]
    # White space that is not signed may change on the way, nothing else may.
    assert gpg.says(made.replace(b"\n", b" \r\n"), None) == ["GOODSIG"]
    path, ring = tmp_path / "m.asc", tmp_path / "ring.gpg"
    path.write_bytes(made)
    ring.write_bytes(CERT)
    shown = run("gpgv", "--homedir", tmp_path, "--keyring", ring, "--output", "-", path)
    assert shown.returncode == 0
    lines = TEXTS[name].replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
    assert shown.stdout == b"".join(line.rstrip(b" \t") + b"\n" for line in lines)


def test_gpg_refuses_cleartext_that_was_changed(gpg: Gpg) -> None:
    good = cleartext(CERT, b"one\ntwo\n", SIGNED, KEY.sign)
    gpg.take(CERT)
    assert gpg.says(good, None) == ["GOODSIG"]
    for old, new in ((b"one", b"oNe"), (b"one\n", b"\none\n"), (b"two\n", b"two\n\n")):
        assert gpg.says(good.replace(old, new), None) == ["BADSIG"]
    start = good.index(b"-----BEGIN PGP SIGNATURE-----")
    assert gpg.says(good[: start + 40], None) != ["GOODSIG"]


def test_the_armour_of_both_is_what_gpg_expects() -> None:
    made = cleartext(CERT, DATA, SIGNED, KEY.sign)
    lines = made.splitlines()
    body = lines[lines.index(b"-----BEGIN PGP SIGNATURE-----") + 2 : -2]
    assert len(base64.b64decode(b"".join(body))) == len(SIGNATURE)

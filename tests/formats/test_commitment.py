"""Commitments and their openings: one value, one form, and nothing beside it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.commitment import (
    COMMITMENT_PAYLOAD,
    MAX_COMMITMENT_BYTES,
    MAX_HELD_BYTES,
    Commitment,
    HeldBuild,
    HeldTarget,
    Opening,
    commitment_file_name,
    parse_commitment,
    parse_held_build,
)
from relsign.formats.envelope import INTOTO_PAYLOAD, parse_envelope
from relsign.formats.fingerprint import EnvironmentDigest
from relsign.formats.link import Host
from relsign.formats.twin import Twin
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_TIMES,
    BB,
    CC,
    LATER,
    NOON,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_envelope,
    plain,
)

COMMITMENT = Commitment(project="gzip", version="1.12", commitment=AA)
HELD = HeldBuild(
    salt=BB,
    targets={"linux": HeldTarget(started_at=NOON, finished_at=LATER)},
    host=Host(engine="docker", platform="x86_64", environment="debian-12"),
)

ROWS: list[Row] = [
    (("format",), "relsign/commitment/2", "format", "expected relsign/commitment/1"),
    (("format",), "relsign/held-build/1", "format", "expected relsign/commitment/1"),
    (("format",), REMOVE, "format", "got nothing"),
    (("salt",), AA, "", "unknown field (got salt)"),
    (("fingerprints",), {"linux": AA}, "", "unknown field (got fingerprints)"),
    (("project",), REMOVE, "", "field missing (expected project)"),
    (("version",), "1.12;id", "version", "up to 64"),
    (("commitment",), REMOVE, "", "field missing (expected commitment)"),
    *((("project",), bad, "project", "up to 64") for bad in BAD_NAMES),
    *((("commitment",), bad, "commitment", "64 digits") for bad in BAD_DIGESTS),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"commitment: {where}" if where else "commitment"
    assert_refused(parse_commitment, dump(change(plain(COMMITMENT), path, new)), place, words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (COMMITMENT.to_bytes() + b"\n", "not in canonical form"),
        (b" " + COMMITMENT.to_bytes(), "not in canonical form"),
        (b"", "not valid JSON"),
        (b"[]", "expected a table"),
        (b"[" * 100_000, "too large"),
        (b" " * (MAX_COMMITMENT_BYTES + 1), "too large"),
    ],
)
def test_other_bytes_are_refused(data: bytes, words: str) -> None:
    assert_refused(parse_commitment, data, "commitment", words)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_our_words(data: bytes) -> None:
    for parse in (parse_commitment, parse_held_build):
        with pytest.raises(InputError):
            parse(data)


def test_what_is_written_is_read_back() -> None:
    assert parse_commitment(COMMITMENT.to_bytes()) == COMMITMENT
    assert parse_held_build(HELD.to_bytes()) == HELD


def test_a_commitment_is_no_link_and_a_link_no_commitment() -> None:
    sealed = make_envelope(COMMITMENT.to_bytes()).to_bytes()
    with pytest.raises(InputError, match="payload of another type"):
        parse_envelope(sealed, "x", payload_type=COMMITMENT_PAYLOAD)
    assert COMMITMENT_PAYLOAD != INTOTO_PAYLOAD


def test_files_are_named_as_links_are() -> None:
    assert commitment_file_name(AA) == "build.aaaaaaaa.commitment"


# --- openings ----------------------------------------------------------------------------------


def opening(**changes: object) -> str:
    value = {"builder": AA, "fingerprints": {"linux": BB}, "salt": CC, **changes}
    return sha256_hex(Opening(**value).to_bytes())  # type: ignore[arg-type]


def test_the_digest_is_of_these_very_bytes() -> None:
    """Fixed for ever: what was committed to by one version is opened by another."""
    data = (
        b'{"builder":"%b","fingerprints":{"linux":"%b"},"format":"relsign/commitment/1",'
        b'"salt":"%b"}' % (AA.encode(), BB.encode(), CC.encode())
    )
    assert opening() == sha256_hex(data)


def test_every_part_of_an_opening_changes_its_digest() -> None:
    others = [
        opening(builder=BB),
        opening(salt=AA),
        opening(fingerprints={"linux": CC}),
        opening(fingerprints={"arm": BB}),
        opening(fingerprints={}),
        opening(fingerprints={"linux": BB, "arm": BB}),
    ]
    assert len({opening(), *others}) == 1 + len(others)


def test_the_order_of_targets_changes_nothing() -> None:
    one, two = {"a": AA, "b": BB}, {"b": BB, "a": AA}
    assert opening(fingerprints=one) == opening(fingerprints=two)


# --- held builds -------------------------------------------------------------------------------

HELD_ROWS: list[Row] = [
    (("format",), "relsign/commitment/1", "format", "expected relsign/held-build/1"),
    (("salt",), "aa", "salt", "64 digits"),
    (("targets",), {}, "targets", "length >= 1"),
    (("targets", "../x"), {}, "targets", "up to 64"),
    (("targets", "linux"), {}, "targets.linux", "field missing"),
    (("host",), REMOVE, "", "field missing (expected host)"),
    (("host", "name"), "alice-laptop", "host", "unknown field (got name)"),
    *(
        (("targets", "linux", "started_at"), bad, "targets.linux", "")
        for bad in BAD_TIMES
        if isinstance(bad, str)
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), HELD_ROWS)
def test_wrong_fields_of_a_held_build_are_refused(
    path: Path, new: object, where: str, words: str
) -> None:
    data = dump(change(plain(HELD), path, new))
    with pytest.raises(InputError) as caught:
        parse_held_build(data)
    assert where in caught.value.where
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("started", "finished", "words"),
    [
        (NOON.replace(microsecond=1), LATER, "whole seconds"),
        (NOON, LATER.replace(microsecond=1), "whole seconds"),
        (NOON, NOON - timedelta(seconds=1), "before started_at"),
    ],
)
def test_times_have_one_form_and_one_order(started: object, finished: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HeldTarget(started_at=started, finished_at=finished)  # type: ignore[arg-type]


def test_a_held_build_is_bounded() -> None:
    assert_refused(parse_held_build, b" " * (MAX_HELD_BYTES + 1), "held build", "too large")


def test_a_machine_that_is_not_described_is_held_too() -> None:
    silent = HeldBuild(salt=BB, targets=HELD.targets, host=None)
    assert parse_held_build(silent.to_bytes()).host is None


TWIN = Twin(target="linux", verdict="identical", varied=("time",))
TESTED_IN = EnvironmentDigest(builder="test", lock_sha256=AA, rootfs_sha256=BB)


def test_checks_and_twins_are_held_with_the_build() -> None:
    held = HeldBuild(salt=BB, targets=HELD.targets, host=None, checked=(TESTED_IN,), twins=(TWIN,))
    assert parse_held_build(held.to_bytes()) == held
    # One that was held before there were any keeps its bytes.
    assert b"checked" not in HELD.to_bytes()
    assert b"twins" not in HELD.to_bytes()


@pytest.mark.parametrize("field", ["checked", "twins"])
@pytest.mark.parametrize("value", [[], None, {}])
def test_nothing_is_held_as_nothing(field: str, value: object) -> None:
    words = "length >= 1" if value == [] else "expected a list"
    data = dump(change(plain(HELD), (field,), value))
    assert_refused(parse_held_build, data, f"held build: {field}", words)

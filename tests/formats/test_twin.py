"""Twins: one verdict, and reasons only where they belong."""

from __future__ import annotations

import msgspec
import pytest

from relsign.formats.canonical import decode_canonical, encode_canonical
from relsign.formats.twin import Twin
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import REMOVE, Path, Row, assert_refused, change, dump, plain


def parse_twin(data: bytes) -> Twin:
    return decode_canonical(data, Twin, "twin", max_bytes=1 << 20)


SAME = Twin(target="linux", verdict="identical", varied=("locale", "time"))
NEARLY = Twin(target="linux", verdict="normalised", varied=(), normalisers=("gzip-1", "tar-1"))
OTHER = Twin(target="linux", verdict="different", varied=("time",), causes=("a-1", "b"))
BAD_WORDS = ("", "Time", "-time", "1time", "time zone", "time\n", "t\x1b", "\u0442ime", "a/b")
ROWS: list[tuple[Twin, Row]] = [
    (SAME, (("target",), REMOVE, "", "field missing (expected target)")),
    (SAME, (("verdict",), REMOVE, "", "field missing (expected verdict)")),
    (SAME, (("verdict",), "same", "verdict", "got 'same'")),
    (SAME, (("verdict",), "normalised", "", "normalisers stand with the verdict normalised")),
    (SAME, (("normalisers",), ["tar-1"], "", "normalisers stand with the verdict normalised")),
    (SAME, (("causes",), ["a"], "", "causes stand with the verdict different and no other")),
    (SAME, (("varied",), ["time", "locale"], "", "knob list is not sorted")),
    (SAME, (("varied",), ["time", "time"], "", "knob named twice: time")),
    (SAME, (("varied",), [f"k{'x' * n}" for n in range(65)], "varied", "length <= 64")),
    (SAME, (("varied",), ["x" * 33], "varied[0]", "up to 32")),
    (NEARLY, (("verdict",), "identical", "", "normalisers stand with the verdict normalised")),
    (NEARLY, (("normalisers",), [], "", "normalisers stand with the verdict normalised")),
    (NEARLY, (("normalisers",), ["tar-1", "gzip-1"], "", "normaliser list is not sorted")),
    (NEARLY, (("normalisers",), ["tar-1"] * 2, "", "normaliser named twice: tar-1")),
    (NEARLY, (("normalisers",), ["tar-2"], "normalisers[0]", "got 'tar-2'")),
    (NEARLY, (("normalisers",), ["tar-1"] * 5, "normalisers", "length <= 4")),
    (OTHER, (("verdict",), "identical", "", "causes stand with the verdict different")),
    (OTHER, (("causes",), ["b", "a-1"], "", "cause list is not sorted")),
    (OTHER, (("causes",), ["b", "b"], "", "cause named twice: b")),
    (OTHER, (("causes",), ["x" * 65], "causes[0]", "up to 64")),
    (OTHER, (("seconds",), 1, "", "unknown field (got seconds)")),
    *((SAME, (("target",), bad, "target", "a letter or digit")) for bad in BAD_NAMES),
    *((SAME, (("varied",), [bad], "varied[0]", "up to 32")) for bad in BAD_WORDS),
    *((OTHER, (("causes",), [bad], "causes[0]", "up to 64")) for bad in BAD_WORDS),
]


@pytest.mark.parametrize(("twin", "row"), ROWS)
def test_wrong_fields_are_refused(twin: Twin, row: Row) -> None:
    path, new, where, words = row
    place = f"twin: {where}" if where else "twin"
    assert_refused(parse_twin, dump(change(plain(twin), path, new)), place, words)


@pytest.mark.parametrize("twin", [SAME, NEARLY, OTHER, msgspec.structs.replace(OTHER, causes=())])
def test_a_twin_is_read_back(twin: Twin) -> None:
    assert parse_twin(encode_canonical(twin)) == twin


def test_paths_name_what_is_wrong() -> None:
    path: Path = ("varied", 1)
    data = dump(change(plain(SAME), path, 1))
    assert_refused(parse_twin, data, "twin: varied[1]", "expected text, got 1")

"""Layouts: the part of in-toto's format in which nothing is left open."""

from __future__ import annotations

import pathlib

import pytest
from in_toto.models.layout import Layout as ReferenceLayout
from in_toto.models.metadata import Metadata as ReferenceMetadata
from securesystemslib.signer._crypto_signer import CryptoSigner

from relsign.formats.layout import parse_layout
from relsign.formats.link import STEP_NAMES
from tests.formats.samples import (
    AA,
    BAD_INTEGERS,
    BAD_TIMES,
    PRIVATE,
    PUBLIC,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_envelope,
    make_layout,
    plain,
)

WHOLE = plain(make_layout())
IDS = list(make_layout().keys)
END = ["DISALLOW", "*"]
BUILD = ("steps", 1)
RULES = (*BUILD, "expected_products")
SAME_KEY = {
    "keyid": AA,
    "keytype": "ed25519",
    "scheme": "ed25519",
    "keyval": {"public": PUBLIC[0]},
}
BAD_RULES = (
    ["ALLOW", "a", "b"],
    ["allow", "*"],
    ["DELETE", "a"],
    ["MODIFY", "a"],
    ["REQUIRE", "a?"],
    ["REQUIRE", "[ab]"],
    ["REQUIRE", "a[!b]"],
    ["REQUIRE", ""],
    ["REQUIRE", "/etc/passwd"],
    ["REQUIRE", "../x"],
    ["REQUIRE", "-x"],
    ["REQUIRE", "a\n"],
    ["REQUIRE", "a\x1b[2J\u202e"],
    ["MATCH", "*"],
    ["MATCH", "*", "WITH", "PRODUCTS"],
    ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "../build"],
    ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "verify-download"],
    ["MATCH", "*", "IN", "x", "FROM", "build"],
    ["MATCH", "*", "WITH", "BYPRODUCTS", "FROM", "build"],
)
ROWS: list[Row] = [
    (("_type",), "link", "_type", "expected layout, got 'link'"),
    (("_type",), REMOVE, "_type", "got nothing"),
    (("readme",), "x" * 1001, "readme", "text of length <= 1000"),
    (("readme",), "Release 1.12 of gzip.", "", "readme does not name release and recipe"),
    (("readme",), f"Release 1.13 of gzip, recipe sha256 {'5' * 64}.", "", "inspection is not the"),
    (("steps",), [], "steps", "length >= 2"),
    (
        ("steps", 0, "name"),
        "build",
        "",
        "steps are not source, build and at most check, in that order",
    ),
    (("steps", 0, "name"), "../build", "steps[0].name", "got '../build'"),
    (("steps", 0, "_type"), "inspection", "steps[0]._type", "expected step"),
    (("steps", 0, "_type"), REMOVE, "steps[0]._type", "got nothing"),
    (("steps", 0, "pubkeys"), [], "steps[0].pubkeys", "length >= 1"),
    (("steps", 0, "pubkeys"), [AA], "", "step source names an unknown keyid: aaaa"),
    (("steps", 0, "pubkeys"), [IDS[0]] * 2, "steps[0]", "keyid named twice"),
    ((*BUILD, "threshold"), 3, "steps[1]", "threshold 3 of 2 keys"),
    ((*BUILD, "threshold"), 257, "steps[1].threshold", "<= 256, got 257"),
    ((*BUILD, "threshold"), 0, "steps[1].threshold", ">= 1, got 0"),
    *(((*BUILD, "threshold"), n, "steps[1].threshold", "an integer") for n in BAD_INTEGERS),
    (RULES, [], "steps[1].expected_products", "length >= 1"),
    (RULES, [["REQUIRE", "gzip"]], "steps[1]", "rules do not end in DISALLOW *"),
    (RULES, [END, ["ALLOW", "*"]], "steps[1]", "rules do not end in DISALLOW *"),
    (RULES, [["DISALLOW", "gzip"]], "steps[1]", "rules do not end in DISALLOW *"),
    (RULES, [["DISALLOW"]], "steps[1].expected_products[0]", "length >= 2"),
    (RULES, [END] * 20_001, "steps[1].expected_products", "length <= 20000"),
    (RULES, [["REQUIRE", 1], END], "steps[1].expected_products[0][1]", "expected text"),
    *((RULES, [rule, END], "steps[1]", "not a rule we accept") for rule in BAD_RULES),
    (("steps", 0, "expected_materials"), [["ALLOW", "*"]], "steps[0]", "do not end in"),
    (("inspect",), [], "inspect", "length >= 1"),
    (("inspect", 0, "run"), ["sh", "-c", "id"], "inspect[0].run", "length 1"),
    (("inspect", 0, "run"), ["/bin/true"], "inspect[0].run[0]", "expected true, got '/bin/true'"),
    (("inspect", 0, "run"), [True], "inspect[0].run[0]", "got true"),
    (("inspect", 0, "expected_products"), [["ALLOW", "*"]], "inspect[0]", "do not end in"),
    (("inspect", 0, "expected_materials"), [["X", "*"], END], "inspect[0]", "not a rule"),
    (("keys",), {}, "keys", "length >= 1"),
    (("keys", AA), SAME_KEY, "", f"public key named twice: {PUBLIC[0]}"),
    (("keys", IDS[0], "keyid"), AA, "", "key listed under another keyid"),
    (("keys", "x"), SAME_KEY, "keys", "8 to 64 digits of 0-9 a-f, got 'x'"),
    (("keys", IDS[0], "scheme"), "rsa", f"keys[{IDS[0]}].scheme", "expected ed25519"),
    (("keys", IDS[0], "scheme"), REMOVE, f"keys[{IDS[0]}].scheme", "got nothing"),
    (("keys", IDS[0], "keyval", "private"), "", f"keys[{IDS[0]}].keyval", "unknown field"),
    (("keys", IDS[0], "keyval", "public"), "x", f"keys[{IDS[0]}].keyval.public", "64 digits"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"layout: {where}" if where else "layout"
    assert_refused(parse_layout, dump(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_time_has_one_form(time: object) -> None:
    data = dump(change(WHOLE, ("expires",), time))
    unread = time in {"2026-11-21T13:00:00+01:00", "2026-11-21T12:00:00.5Z"}
    words = "expires is not whole seconds in UTC" if unread else "got "
    assert_refused(parse_layout, data, "layout" if unread else "layout: expires", words)


def test_steps_are_found_by_name() -> None:
    layout = make_layout()
    assert [layout.step(name).name for name in STEP_NAMES[:2]] == ["source", "build"]
    assert not layout.has_checks
    with pytest.raises(KeyError):
        layout.step("check")


# --- checks ------------------------------------------------------------------------------------

CHECK = {
    "_type": "step",
    "name": "check",
    "expected_materials": [
        ["REQUIRE", "gzip"],
        ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "build"],
        END,
    ],
    "expected_products": [END],
    "pubkeys": IDS,
    "expected_command": ["relsign", "build"],
    "threshold": 2,
}
CHECKED = change(WHOLE, ("steps", 2), CHECK)
FROM_CHECK = [["MATCH", "*", "WITH", "PRODUCTS", "FROM", "check"], END]
WRONG_STEPS = "steps are not source, build and at most check, in that order"
CHECK_ROWS: list[Row] = [
    (("steps", 3), CHECK, "steps", "length <= 3"),
    (("steps", 2, "name"), "build", "", WRONG_STEPS),
    (("steps", 1, "name"), "check", "", WRONG_STEPS),
    (("steps",), [CHECK, CHECK], "", WRONG_STEPS),
    (("steps", 1), REMOVE, "", WRONG_STEPS),
    (("steps", 0), REMOVE, "", WRONG_STEPS),
    (("steps", 2, "threshold"), 0, "steps[2].threshold", ">= 1, got 0"),
    (("steps", 2, "expected_products"), [["ALLOW", "*"]], "steps[2]", "do not end in DISALLOW *"),
    (("steps", 2, "pubkeys"), [IDS[0], AA], "", "step check names an unknown keyid: aaaa"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), CHECK_ROWS)
def test_wrong_checks_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"layout: {where}" if where else "layout"
    assert_refused(parse_layout, dump(change(CHECKED, path, new)), place, words)


def test_a_layout_may_demand_checks() -> None:
    layout = parse_layout(dump(CHECKED))
    assert layout.has_checks
    assert layout.step("check").name == "check"


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("side", ["expected_materials", "expected_products"])
def test_a_rule_matches_a_step_that_is_there(number: int, side: str) -> None:
    path = ("steps", number, side)
    words = f"step {('source', 'build')[number]} matches a step that is not there"
    assert_refused(parse_layout, dump(change(WHOLE, path, FROM_CHECK)), "layout", words)
    assert parse_layout(dump(change(CHECKED, path, FROM_CHECK))).has_checks


def test_the_reference_reads_what_we_write(tmp_path: pathlib.Path) -> None:
    envelope = make_envelope(make_layout().to_bytes())
    (tmp_path / "file").write_bytes(envelope.to_bytes())
    reference = ReferenceMetadata.load(tmp_path / "file").get_payload()
    assert isinstance(reference, ReferenceLayout)
    assert reference.expires == "2027-11-21T12:00:00Z"
    assert reference.keys == plain(make_layout().keys)
    assert [(step.name, step.threshold) for step in reference.steps] == [
        ("source", 1),
        ("build", 2),
    ]
    assert reference.steps[1].expected_products[-1] == END


def test_keyids_are_those_of_securesystemslib() -> None:
    assert [CryptoSigner(key).public_key.keyid for key in PRIVATE] == IDS

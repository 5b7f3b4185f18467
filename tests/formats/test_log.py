"""Log policies: groups that can be met, looked back at, and named once."""

from __future__ import annotations

import pytest

from relsign.errors import InputError
from relsign.formats.canonical import decode_toml, encode_canonical
from relsign.formats.log import LogEntry, LogPolicy, parse_log_entry
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_INTEGERS,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    dump_toml,
)

TABLE: dict[str, object] = {
    "origin": "log.example/relsign",
    "members": ["log-a", "log-b"],
    "quorum": "both",
    "max_age_days": 30,
    "group": [
        {"name": "x", "need": 2, "of": ["x1", "x2", "x3"]},
        {"name": "y", "need": "any", "of": ["y1", "y2"]},
        {"name": "both", "need": "all", "of": ["x", "y"]},
    ],
}


def read(data: bytes) -> LogPolicy:
    return decode_toml(data, LogPolicy, "log")


BAD_ORIGINS = (
    *("", " ", "log example", "log.example/", "/log", "log.example//x", "log.example/../x"),
    *(
        "https://log.example",
        "log.example\n",
        "log.example+1",
        "log.example/a b",
        "l\u00f6g.example",
    ),
    *("\u2014 log", "-log.example", "log.example/" + "x" * 101, "x" * 101, "a" + "/b" * 9),
)
ROWS: list[Row] = [
    *((("origin",), bad, "origin", "an address without its scheme") for bad in BAD_ORIGINS),
    (("origin",), 1, "origin", "expected text, got 1"),
    *(((field,), REMOVE, "", f"expected {field}") for field in ("origin", "members", "quorum")),
    (("members",), [], "members", "length >= 1"),
    (("members",), ["log-a", "log-a"], "", "log named twice: log-a"),
    (("members",), "log-a", "members", "expected a list"),
    *((("members", 0), bad, "members[0]", "A-Z") for bad in BAD_NAMES),
    *((("quorum",), bad, "quorum", "A-Z") for bad in BAD_NAMES),
    *(
        (("max_age_days",), bad, "max_age_days", "")
        for bad in (0, 3661, *BAD_INTEGERS)
        if bad is not None
    ),
    (("quorum",), "none", "", "max_age_days needs a quorum"),
    (("witness",), [], "", "unknown field (got witness)"),
    (("group", 0, "need"), 0, "group[0].need", ">= 1, got 0"),
    (("group", 0, "need"), -1, "group[0].need", ">= 1, got -1"),
    (("group", 0, "need"), 4, "group[0]", "group needs more than it has: x"),
    (("group", 0, "need"), 65, "group[0].need", "<= 64, got 65"),
    (("group", 0, "need"), "2", "group[0].need", "expected all or any, got '2'"),
    (("group", 0, "need"), "most", "group[0].need", "expected all or any, got 'most'"),
    (("group", 0, "need"), True, "group[0].need", "got true"),
    (("group", 0, "need"), 1.0, "group[0].need", "got 1.0"),
    (("group", 0, "need"), REMOVE, "group[0]", "expected need"),
    (("group", 0, "of"), [], "group[0].of", "length >= 1"),
    (("group", 0, "of"), [f"w{n}" for n in range(65)], "group[0].of", "length <= 64"),
    (("group", 0, "of"), ["x1", "x1", "x2"], "group[0]", "witness or group named twice: x1"),
    (("group", 0, "of", 0), "none", "group[0]", "none stands for no quorum"),
    (("group", 0, "name"), "none", "group[0]", "none stands for no quorum"),
    (("group", 1, "of", 0), "x1", "", "witness or group named twice: x1"),
    (("group", 2, "of", 0), "y", "group[2]", "witness or group named twice: y"),
    (("group", 1, "name"), "x", "", "group named twice: x"),
    (("group", 0, "of", 0), "x", "", "witness or group named twice: x"),
    (("group", 1, "of", 0), "y", "", "witness or group named twice: y"),
    (("group", 1, "of", 0), "both", "", "group used before it is defined: both"),
    (("group", 2, "of", 0), "both", "", "group used before it is defined: both"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = "log" + (f": {where}" if where else "")
    assert_refused(read, dump_toml(change(TABLE, path, new)), place, words)


def test_two_groups_that_need_each_other_are_refused() -> None:
    groups = [
        {"name": "x", "need": 1, "of": ["y"]},
        {"name": "y", "need": 1, "of": ["x"]},
    ]
    table = dump_toml(change(TABLE, ("group",), groups))
    assert_refused(read, table, "log", "group used before it is defined: y")


def test_a_policy_says_what_it_says() -> None:
    policy = read(dump_toml(TABLE))
    assert (policy.origin, policy.members) == ("log.example/relsign", ("log-a", "log-b"))
    assert [(g.name, g.need, g.of) for g in policy.group] == [
        ("x", 2, ("x1", "x2", "x3")),
        ("y", "any", ("y1", "y2")),
        ("both", "all", ("x", "y")),
    ]
    assert (policy.quorum, policy.max_age_days) == ("both", 30)
    assert list(policy.witnesses()) == ["x1", "x2", "x3", "y1", "y2"]


@pytest.mark.parametrize(
    "origin", ["a", "go.sum", "localhost:8080", "a.example/b/c~d:e", "A" * 100]
)
def test_origins(origin: str) -> None:
    assert read(dump_toml(change(TABLE, ("origin",), origin))).origin == origin


@pytest.mark.parametrize(
    ("quorum", "witnesses"), [("none", []), ("wanda", ["wanda"]), ("two", ["two"])]
)
def test_a_quorum_without_groups(quorum: str, witnesses: list[str]) -> None:
    table = {"origin": "a", "members": ["log-a"], "quorum": quorum}
    policy = read(dump_toml(table))
    assert (policy.group, policy.max_age_days) == ((), None)
    assert list(policy.witnesses()) == witnesses


def test_a_quorum_inside_a_group_is_one_witness() -> None:
    policy = read(dump_toml(change(TABLE, ("quorum",), "x1")))
    assert list(policy.witnesses()).count("x1") == 1


ENTRY: dict[str, object] = {
    "format": "relsign/log-entry/1",
    "kind": "release",
    "project": "demo",
    "statement_sha256": AA,
    "version": "1.0",
}
ENTRY_ROWS: list[Row] = [
    *((("project",), bad, "project", "A-Z") for bad in BAD_NAMES),
    *((("version",), bad, "version", "A-Z") for bad in BAD_NAMES if bad),
    *((("statement_sha256",), bad, "statement_sha256", "64 digits") for bad in BAD_DIGESTS),
    (("kind",), "root", "kind", "expected release, got 'root'"),
    (("format",), "relsign/log-entry/2", "format", "expected relsign/log-entry/1"),
    (("time",), 1, "", "unknown field (got time)"),
    *(((field,), REMOVE, field, "not in canonical form") for field in ("format", "kind")),
    *(
        ((field,), REMOVE, "", f"expected {field}")
        for field in ("project", "version", "statement_sha256")
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ENTRY_ROWS)
def test_wrong_entries_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = "log entry" + (f": {where}" if where else "")
    assert_refused(parse_log_entry, dump(change(ENTRY, path, new)), place, words)


def test_an_entry_has_one_form() -> None:
    data = encode_canonical(ENTRY)
    assert parse_log_entry(data) == LogEntry(project="demo", version="1.0", statement_sha256=AA)
    assert parse_log_entry(data).to_bytes() == data
    for other in (data + b"\n", data.replace(b":", b": "), b"{}", b"", data * 20):
        with pytest.raises(InputError):
            parse_log_entry(other)

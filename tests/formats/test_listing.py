"""Listings: what we write parses, in one form only, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.canonical import encode_canonical
from relsign.formats.listing import (
    Hashes,
    MetaFile,
    Release,
    Snapshot,
    SnapshotFile,
    SnapshotOnly,
    Stamp,
    Target,
    Targets,
    TargetsFile,
    TargetsOnly,
    Timestamp,
    TimestampFile,
    listed_project,
    listed_releases,
    parse_snapshot,
    parse_targets,
    parse_timestamp,
    target_path,
)
from relsign.formats.names import Digest
from relsign.formats.tuf import TufSignature

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
AA, BB = Digest("aa" * 32), Digest("bb" * 32)
SIGNATURES = (TufSignature(keyid=AA, sig="cc" * 64),)
META = MetaFile(hashes=Hashes(sha256=AA), length=10, version=2)


def target(sequence: int, version: str, statement: str) -> Target:
    release = Release(sequence=sequence, statement_sha256=Digest(statement), version=version)
    return Target(custom=release, hashes=Hashes(sha256=BB), length=5)


TIMESTAMP = TimestampFile(
    signatures=SIGNATURES,
    signed=Timestamp(
        expires=LATER,
        version=3,
        meta=SnapshotOnly(snapshot=META),
        stamp=Stamp(project="demo", signed_at=NOW),
    ),
)
SNAPSHOT = SnapshotFile(
    signatures=SIGNATURES,
    signed=Snapshot(expires=LATER, version=2, meta=TargetsOnly(targets=META)),
)
TARGETS = TargetsFile(
    signatures=SIGNATURES,
    signed=Targets(
        expires=LATER,
        version=2,
        targets={
            "1.1/demo-1.1.relsign": target(2, "1.1", "22" * 32),
            "1.0/demo-1.0.relsign": target(1, "1.0", "11" * 32),
        },
    ),
)
Parse = Callable[[bytes], object]
Change = Callable[[dict[str, Any]], None]
KINDS: dict[str, tuple[bytes, Parse]] = {
    "timestamp": (TIMESTAMP.to_bytes(), parse_timestamp),
    "snapshot": (SNAPSHOT.to_bytes(), parse_snapshot),
    "targets": (TARGETS.to_bytes(), parse_targets),
}


def test_what_is_written_is_read_back() -> None:
    assert parse_timestamp(TIMESTAMP.to_bytes()) == TIMESTAMP
    assert parse_snapshot(SNAPSHOT.to_bytes()) == SNAPSHOT
    assert parse_targets(TARGETS.to_bytes()).to_bytes() == TARGETS.to_bytes()


def test_the_files_have_tufs_own_fields() -> None:
    timestamp = json.loads(TIMESTAMP.to_bytes())
    assert timestamp == {
        "signatures": [{"keyid": "aa" * 32, "sig": "cc" * 64}],
        "signed": {
            "_type": "timestamp",
            "expires": "2026-11-28T12:00:00Z",
            "meta": {"snapshot.json": {"hashes": {"sha256": AA}, "length": 10, "version": 2}},
            "spec_version": "1.0.31",
            "version": 3,
            "x-relsign": {"project": "demo", "signed_at": "2026-11-21T12:00:00Z"},
        },
    }
    assert json.loads(SNAPSHOT.to_bytes())["signed"]["meta"].keys() == {"targets.json"}
    listed = json.loads(TARGETS.to_bytes())["signed"]["targets"]["1.0/demo-1.0.relsign"]
    assert listed == {
        "custom": {"sequence": 1, "statement_sha256": "11" * 32, "version": "1.0"},
        "hashes": {"sha256": BB},
        "length": 5,
    }


def test_releases_are_listed_oldest_first() -> None:
    first, second = listed_releases(TARGETS.signed)
    assert (first.sequence, first.version, first.statement_sha256) == (1, "1.0", "11" * 32)
    assert (first.bundle_path, first.bundle_sha256, first.bundle_bytes) == (
        "1.0/demo-1.0.relsign",
        BB,
        5,
    )
    assert second.sequence == 2
    assert listed_project(TARGETS.signed) == "demo"


def test_nothing_published_is_a_listing_too() -> None:
    empty = Targets(expires=LATER, version=1, targets={})
    assert listed_releases(empty) == ()
    assert listed_project(empty) is None


def test_a_projects_name_may_look_like_a_version() -> None:
    path = target_path("demo-1.0", "1.0")
    signed = Targets(expires=LATER, version=1, targets={path: target(1, "1.0", "11" * 32)})
    data = TargetsFile(signatures=(), signed=signed).to_bytes()
    assert listed_project(parse_targets(data).signed) == "demo-1.0"


def _holder(document: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """Return what holds the last name of a path, and that name."""
    *names, last = path.split("|")
    holder: Any = document
    for name in names:
        holder = holder[int(name) if name.isdigit() else name]
    return holder, last


def _set(path: str, value: object) -> Change:
    def change(document: dict[str, Any]) -> None:
        holder, name = _holder(document, path)
        holder[name] = value

    return change


def _drop(path: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        holder, name = _holder(document, path)
        del holder[name]

    return change


def _rename(old: str, new: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["signed"]["targets"][new] = document["signed"]["targets"].pop(old)

    return change


FIRST = "signed|targets|1.0/demo-1.0.relsign"
WRONG: dict[str, tuple[str, Change, str]] = {
    "another type": ("timestamp", _set("signed|_type", "snapshot"), "_type"),
    "another specification": ("timestamp", _set("signed|spec_version", "1.0.30"), "spec_version"),
    "version 0": ("timestamp", _set("signed|version", 0), "version"),
    "a version JSON cannot hold": ("snapshot", _set("signed|version", 1 << 53), "version"),
    "a text for a version": ("snapshot", _set("signed|version", "2"), "version"),
    "no length": ("timestamp", _drop("signed|meta|snapshot.json|length"), "length"),
    "no hash": ("snapshot", _drop("signed|meta|targets.json|hashes"), "hashes"),
    "another hash": (
        "snapshot",
        _set("signed|meta|targets.json|hashes|sha512", "aa" * 64),
        "sha512",
    ),
    "a delegated role": ("snapshot", _set("signed|meta|friends.json", {"version": 1}), "friends"),
    "delegations": (
        "targets",
        _set("signed|delegations", {"keys": {}, "roles": []}),
        "delegations",
    ),
    "another field": ("targets", _set("signed|x-other", 1), "x-other"),
    "no stamp": ("timestamp", _drop("signed|x-relsign"), "x-relsign"),
    "a zone in expires": (
        "timestamp",
        _set("signed|expires", "2026-11-28T13:00:00+01:00"),
        "expires",
    ),
    "a fraction in expires": (
        "targets",
        _set("signed|expires", "2026-11-28T12:00:00.5Z"),
        "expires",
    ),
    "a zone in signed_at": (
        "timestamp",
        _set("signed|x-relsign|signed_at", "2026-11-21T13:00:00+01:00"),
        "signed_at",
    ),
    "signed after it expired": (
        "timestamp",
        _set("signed|x-relsign|signed_at", "2026-11-28T12:00:00Z"),
        "before expires",
    ),
    "a number twice": ("targets", _set(f"{FIRST}|custom|sequence", 2), "sequence named twice"),
    "a statement twice": (
        "targets",
        _set(f"{FIRST}|custom|statement_sha256", "22" * 32),
        "statement named twice",
    ),
    "a version twice": ("targets", _set(f"{FIRST}|custom|version", "1.1"), "version named twice"),
    "a path of another version": (
        "targets",
        _rename("1.0/demo-1.0.relsign", "1.0/demo-1.2.relsign"),
        "not the path",
    ),
    "two projects": (
        "targets",
        _rename("1.0/demo-1.0.relsign", "1.0/other-1.0.relsign"),
        "several projects",
    ),
    "an artifact": ("targets", _rename("1.0/demo-1.0.relsign", "1.0/demo-1.0.tar"), "relsign"),
    "a path that climbs": (
        "targets",
        _rename("1.0/demo-1.0.relsign", "../demo-1.0.relsign"),
        "VERSION",
    ),
    "an empty bundle": ("targets", _set(f"{FIRST}|length", 0), "length"),
    "a huge bundle": ("targets", _set(f"{FIRST}|length", 1 << 40), "length"),
    "sequence 0": ("targets", _set(f"{FIRST}|custom|sequence", 0), "sequence"),
    "a short signature": ("targets", _set("signatures|0|sig", "cc"), "sig"),
    "a short keyid": ("targets", _set("signatures|0|keyid", "aa"), "keyid"),
    "one keyid twice": (
        "snapshot",
        _set("signatures", [{"keyid": AA, "sig": "cc" * 64}] * 2),
        "keyid named twice",
    ),
    "signatures out of order": (
        "snapshot",
        _set("signatures", [{"keyid": k, "sig": "cc" * 64} for k in (BB, AA)]),
        "not sorted",
    ),
    "too many signatures": (
        "snapshot",
        _set("signatures", [{"keyid": f"{n:064x}", "sig": "cc" * 64} for n in range(17)]),
        "signatures",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_anything_else_is_refused(case: str) -> None:
    kind, change, words = WRONG[case]
    data, parse = KINDS[kind]
    document = json.loads(data)
    change(document)
    with pytest.raises(InputError) as caught:
        parse(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_has_one_form(kind: str) -> None:
    data, parse = KINDS[kind]
    for other in (data + b"\n", json.dumps(json.loads(data)).encode(), data[:-1], b"", b"{}"):
        with pytest.raises(InputError):
            parse(other)


@pytest.mark.parametrize(
    ("kind", "size"), [("timestamp", 16_384), ("snapshot", 2_000_000), ("targets", 5_000_000)]
)
def test_files_are_bounded(kind: str, size: int) -> None:
    _data, parse = KINDS[kind]
    with pytest.raises(InputError, match="too large"):
        parse(b" " * (size + 1))


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_bytes_parse_or_are_an_input_error(kind: str, draw: st.DataObject) -> None:
    data, parse = KINDS[kind]
    place = draw.draw(st.integers(0, len(data) - 1))
    mutated = data[:place] + draw.draw(st.binary(max_size=3)) + data[place + 1 :]
    try:
        value = parse(mutated)
    except InputError:
        return
    assert encode_canonical(value) == mutated

"""Trust roots: what people pin has one form, and its words are of that form."""

from __future__ import annotations

import msgspec
import pytest

from relsign.formats.root import parse_root
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_INTEGERS,
    BAD_TIMES,
    BB,
    PUBLIC,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_root,
    plain,
)

WHOLE = plain(make_root())
SIGNATURE = {"keyid": AA, "sig": "ab" * 64}
BOB = {
    "name": "bob",
    "operator": "x",
    "organisation": "x",
    "roles": ["owner"],
    "key": {"kind": "ed25519", "public": PUBLIC[1]},
}
MATERIALS: Path = ("revoked_keys", 0, "material_sha256")

ROWS: list[Row] = [
    (("format",), "relsign/root/1", "format", "expected relsign/root/2"),
    (("signatures",), [], "", "unknown field (got signatures)"),
    (("members",), [], "members", "length >= 1"),
    (("members",), [BOB] * 257, "members", "length <= 256"),
    (("members", 2), BOB, "", "member named twice: bob"),
    (("members", 2), {**BOB, "name": "a"}, "", "members are not sorted by name"),
    (("members", 0, "roles"), [], "members[0].roles", "length >= 1"),
    (("members", 0, "roles"), ["king"], "members[0].roles[0]", "builder or log or owner"),
    (("members", 0, "roles"), ["owner", "owner"], "members[0]", "role named twice: owner"),
    (("members", 0, "key", "kind"), "ssh", "members[0].key.kind", "or rsa or frost, got 'ssh'"),
    (("release_key",), "maybe", "release_key", "expected optional or required, got 'maybe'"),
    (("release_key",), None, "release_key", "got null"),
    (("release_key",), True, "release_key", "got true"),
    (("members", 0, "key", "kind"), REMOVE, "members[0].key", "field missing (expected kind)"),
    (("members", 1, "key", "public"), "AB" * 32, "members[1].key.public", "64 digits"),
    (("members", 0, "key", "certificate"), "-" * 40, "members[0].key.certificate", "base64"),
    (("dissent",), "ignore", "dissent", "expected record or refuse, got 'ignore'"),
    (("dissent",), REMOVE, "", "field missing (expected dissent)"),
    (("share_roles",), 1, "share_roles", "expected true or false, got 1"),
    (("share_roles",), "false", "share_roles", "expected true or false"),
    (("thresholds", "owners"), 65, "thresholds.owners", "<= 64, got 65"),
    (("thresholds", "organisations"), 3, "thresholds", "organisations is larger than builders"),
    (("thresholds", "witnesses"), 1, "thresholds", "unknown field"),
    (("revoked", 0, "reason"), "a\nb", "revoked[0].reason", "one line"),
    (("revoked", 0, "statement_sha256"), None, "revoked[0]", "names neither"),
    (("revoked_keys", 0, "keyid"), "ab", "revoked_keys[0].keyid", "40 or 64 digits"),
    (MATERIALS, "ab", "revoked_keys[0].material_sha256", "expected a list"),
    (MATERIALS, None, "revoked_keys[0].material_sha256", "got null"),
    (MATERIALS, [], "revoked_keys[0].material_sha256", "length >= 1"),
    (MATERIALS, ["ab"], "revoked_keys[0].material_sha256[0]", "64 digits"),
    (MATERIALS, [AA, AA], "revoked_keys[0]", "material named twice"),
    (MATERIALS, [BB, AA], "revoked_keys[0]", "materials are not sorted"),
    (MATERIALS, [AA] * 513, "revoked_keys[0].material_sha256", "length <= 512"),
    (("vouched", 0, "root_sha256"), "ab", "vouched[0].root_sha256", "64 digits"),
    (("freshness", "days"), 0, "freshness.days", ">= 1, got 0"),
    (("diversity", "engines"), 0, "diversity.engines", ">= 1, got 0"),
    (("commit",), 1, "commit", "expected true or false"),
    *(
        (("thresholds", role), bad, f"thresholds.{role}", "an integer")
        for role in ("owners", "signers", "builders", "organisations")
        for bad in (0, *BAD_INTEGERS)
    ),
    *((("members", 0, "operator"), bad, "members[0].operator", "up to 64") for bad in BAD_NAMES),
]


TUF_ROWS: list[Row] = [
    (("signed", "_type"), "targets", "signed._type", "expected root"),
    (("signed", "consistent_snapshot"), False, "signed", "consistent_snapshot is not true"),
    (("signed", "spec_version"), "2.0.0", "signed.spec_version", "1.0.31"),
    (("signed", "x-other"), 1, "signed", "unknown field"),
    (("signed", "keys", AA, "scheme"), "rsa", f"signed.keys.{AA}.scheme", "expected ed25519"),
    (("signed", "roles", "root", "threshold"), 0, "signed.roles.root.threshold", ">= 1, got 0"),
    (("signed", "roles", "king"), {}, "signed.roles", "unknown field"),
    (("signed", "roles", "targets"), REMOVE, "signed.roles", "field missing"),
    (("signed", "version"), 2**31 + 1, "signed.version", "<= 2147483648"),
    (("signed", "version"), 0, "signed.version", ">= 1, got 0"),
    *((("signed", "version"), bad, "signed.version", "an integer") for bad in BAD_INTEGERS),
    (("signatures", 0, "sig"), "AB" * 64, "signatures[0].sig", "128 digits"),
    (("signatures", 0, "keyid"), "ab", "signatures[0].keyid", "64 digits"),
    (("signatures",), [SIGNATURE, SIGNATURE], "", "signature's keyid named twice"),
    (("signatures",), [{**SIGNATURE, "keyid": BB}, SIGNATURE], "", "not sorted by keyid"),
    (("signatures",), [SIGNATURE] * 65, "signatures", "length <= 64"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), TUF_ROWS)
def test_wrong_fields_of_tuf_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"root.json: {where}" if where else "root.json"
    assert_refused(parse_root, dump(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    inside = f"signed[x-relsign].{where}" if where else "signed[x-relsign]"
    data = dump(change(WHOLE, ("signed", "x-relsign", *path), new))
    assert_refused(parse_root, data, f"root.json: {inside}", words)


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_time_has_one_form(time: object) -> None:
    data = dump(change(WHOLE, ("signed", "expires"), time))
    unread = time in {"2026-11-21T13:00:00+01:00", "2026-11-21T12:00:00.5Z"}
    words = "expires is not whole seconds in UTC" if unread else "got "
    where = "root.json: signed" if unread else "root.json: signed.expires"
    assert_refused(parse_root, data, where, words)


@pytest.mark.parametrize("word", ["required", "optional"])
def test_a_word_on_the_release_key_is_kept_and_left_out_where_nobody_said_it(word: str) -> None:
    """Roots made before there were release keys have the same bytes as ever."""
    silent = make_root()
    assert b"release_key" not in silent.to_bytes()
    policy = msgspec.structs.replace(silent.signed.policy, release_key=word)
    said = msgspec.structs.replace(
        silent, signed=msgspec.structs.replace(silent.signed, policy=policy)
    )
    assert f'"release_key":"{word}"'.encode() in said.to_bytes()
    assert parse_root(said.to_bytes()) == said


def test_the_materials_of_a_revoked_key_are_kept_and_left_out_where_there_are_none() -> None:
    """Roots made before they were written down have the same bytes as ever."""
    silent = make_root()
    assert b"material" not in silent.to_bytes()
    (key,) = silent.signed.policy.revoked_keys
    named = msgspec.structs.replace(key, material_sha256=(AA, BB))
    policy = msgspec.structs.replace(silent.signed.policy, revoked_keys=(named,))
    said = msgspec.structs.replace(
        silent, signed=msgspec.structs.replace(silent.signed, policy=policy)
    )
    assert f'"material_sha256":["{AA}","{BB}"]'.encode() in said.to_bytes()
    assert parse_root(said.to_bytes()) == said

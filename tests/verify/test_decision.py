"""Every way to break a release, step by step, with the verdict and the row it must give."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.formats.bundle import STATEMENT_FILE, make_bundle, parse_bundle
from relsign.formats.envelope import INTOTO_PAYLOAD, Signature, pae, parse_envelope
from relsign.formats.fingerprint import Fingerprint
from relsign.formats.layout import Layout
from relsign.formats.link import link_file_name
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation
from relsign.formats.statement import PreviousRelease
from relsign.sign.evidence.links import make_links
from relsign.verify.decision import decide
from relsign.verify.verdict import STEPS, Outcome, Row, Verdict, Word
from tests.verify.broken import (
    BROKEN,
    OTHER,
    added,
    envelope_of,
    keyid,
    layout_step,
    replaced,
    statement_payload,
    step,
    with_stranger,
)
from tests.verify.releases import (
    ARTIFACT,
    NAME,
    NOW,
    Release,
    changed_link,
    link_files,
    make_fingerprint,
    make_root,
    member,
    parties,
    sealed,
    sign_by,
)


def test_an_honest_release_is_verified() -> None:
    decision = Release().decide()
    assert decision.verdict.word is Word.VERIFIED
    assert decision.verdict.word.exit_code == 0
    assert tuple(row.name for row in decision.verdict.rows) == STEPS
    assert decision.release is not None
    assert [party.name for party in decision.release.signers] == ["sam", "sara"]
    assert [party.name for party in decision.release.builders] == ["builder-a", "builder-b"]
    assert decision.release.dissenters == ()


def test_more_than_one_file_is_verified_in_one_question() -> None:
    fingerprint = make_fingerprint()
    second = msgspec.structs.replace(
        fingerprint.artifacts[0], name="demo-1.0.txt", sha256=sha256_hex(b"text")
    )
    fingerprint = msgspec.structs.replace(fingerprint, artifacts=(*fingerprint.artifacts, second))

    def require_both(layout: Layout) -> Layout:
        rules = tuple(
            rule
            for name in (NAME, "demo-1.0.txt", fingerprint.file)
            for rule in (("REQUIRE", name),)
        )
        create = (("CREATE", "*"), ("DISALLOW", "*"))
        return layout_step("build", expected_products=rules + create)(layout)

    release = Release(
        fingerprint=fingerprint,
        change_layout=require_both,
        artifacts={NAME: sha256_hex(ARTIFACT), "demo-1.0.txt": sha256_hex(b"text")},
    )
    assert release.decide().verdict.word is Word.VERIFIED
    assert "2 files" in step(release, "bytes").text


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_release_is_not_verified(name: str) -> None:
    release, row_name, outcome, words = BROKEN[name]
    decision = release.decide()
    row = next(row for row in decision.verdict.rows if row.name == row_name)
    assert row.outcome is outcome, decision.verdict.rows
    assert words in row.text
    assert decision.release is None
    wanted = Word.REFUSED if outcome is Outcome.REFUSED else Word.NOT_ENOUGH
    assert decision.verdict.word is wanted
    assert decision.verdict.word.exit_code in {1, 3}


def test_a_revoked_release_is_refused_with_the_owners_reason() -> None:
    revocation = Revocation(
        statement_sha256=sha256_hex(statement_payload()), reason="stolen signing key"
    )
    release = Release(root=make_root(revoked=(revocation,)))
    row = step(release, "revocation")
    assert row.outcome is Outcome.REFUSED
    assert "stolen signing key" in row.text
    other = Revocation(statement_sha256=Digest("8" * 64), reason="another release")
    assert Release(root=make_root(revoked=(other,))).decide().verdict.word is Word.VERIFIED


def test_a_revoked_version_stays_revoked_however_it_is_signed_anew() -> None:
    revocation = Revocation(statement_sha256=Digest("8" * 64), version="1.0", reason="backdoor")
    release = Release(root=make_root(revoked=(revocation,)), released_at=NOW - timedelta(hours=1))
    assert "backdoor" in step(release, "revocation").text
    other = Revocation(statement_sha256=Digest("8" * 64), version="0.9", reason="backdoor")
    assert Release(root=make_root(revoked=(other,))).decide().verdict.word is Word.VERIFIED


def test_the_previous_release_is_named() -> None:
    previous = PreviousRelease(version="0.9", statement_sha256=Digest("7" * 64))
    assert "follows 0.9" in step(Release(previous=previous), "revocation").text


def test_no_bundle_is_not_enough() -> None:
    question = msgspec.structs.replace(Release().question(), bundle=None)
    assert decide(question).verdict.word is Word.NOT_ENOUGH


def test_dissent_is_shown_and_does_not_veto() -> None:
    release = Release(change_files=added(link_files(OTHER, "builder-c")))
    decision = release.decide()
    assert decision.verdict.word is Word.VERIFIED
    row = decision.verdict.rows[4]
    assert "1 dissent" in row.text
    assert any("builder-c" in line for line in row.evidence)
    assert decision.release is not None
    assert [party.name for party in decision.release.dissenters] == ["builder-c"]


def test_a_garbage_link_is_named_and_ignored() -> None:
    name = link_file_name("build", keyid("builder-c"))
    release = Release(change_files=replaced(name, b"garbage"))
    assert release.decide().verdict.word is Word.VERIFIED
    assert any(name in line for line in release.decide().verdict.rows[4].evidence)
    odd = Release(change_files=replaced("other.link", b"garbage"))
    assert any("other.link" in line for line in odd.decide().verdict.rows[4].evidence)


def test_a_dissenter_cannot_refuse_by_naming_another_command() -> None:
    link = changed_link("builder-c", "build", command=("rm",), products={})
    assert Release(change_files=added(link)).decide().verdict.word is Word.VERIFIED


def test_two_quorums_are_a_contradiction() -> None:
    root = make_root(
        members=tuple(
            sorted(
                (*make_root().members, member("builder-d", "machine-d", "acme", "builder")),
                key=lambda m: m.name,
            )
        )
    )
    links = link_files(OTHER, "builder-c")
    source, build = (
        sealed(envelope_payload, ["builder-d"]) for envelope_payload in _payloads_of(OTHER)
    )
    key = parties(root)["builder-d"].keyid
    release = Release(
        root=root,
        layout_members=root.members,
        change_files=added(
            links | {link_file_name("source", key): source, link_file_name("build", key): build}
        ),
    )
    assert "contradict" in step(release, "builders").text


def _payloads_of(fingerprint: Fingerprint) -> tuple[bytes, bytes]:
    source, build = make_links((fingerprint,))
    return source.to_bytes(), build.to_bytes()


def test_a_key_the_root_does_not_know_counts_for_nobody() -> None:
    assert Release(change_layout=with_stranger).decide().verdict.word is Word.VERIFIED
    links = link_files(make_fingerprint(), "builder-b")
    name = next(name for name in links if name.startswith("build."))
    payload = parse_envelope(links[name], name).payload
    release = Release(
        builders=("builder-a",),
        change_layout=with_stranger,
        change_files=added({name: sealed(payload, ["stranger"])}),
    )
    assert release.decide().verdict.word is Word.NOT_ENOUGH


def test_a_release_outlives_a_builder_who_left() -> None:
    members = tuple(m for m in make_root().members if m.name != "builder-c")
    root = make_root(members=members, version=2)
    assert Release(root=root).decide().verdict.word is Word.VERIFIED


def test_several_keys_of_one_operator_count_once() -> None:
    members = tuple(
        msgspec.structs.replace(m, operator="one", organisation="birch")
        if m.name in {"sam", "sara"}
        else m
        for m in make_root().members
    )
    release = Release(root=make_root(members=members))
    assert "1 of the 2 signers" in step(release, "signers").text


def test_twin_keys_are_refused_with_the_root() -> None:
    twin = msgspec.structs.replace(member("sam", "zoe", "birch", "signer"), name="zoe")
    release = Release(root=make_root(members=(*make_root().members, twin)))
    row = step(release, "root")
    assert row.outcome is Outcome.REFUSED
    assert "one key under two names" in row.text


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[" * 100_000, b'{"a":1,"a":2}', b"\xff", b"null", Release().bundle() + b" "],
)
def test_hostile_bytes_are_refused_and_never_raise(data: bytes) -> None:
    for question in (
        msgspec.structs.replace(Release().question(), root=data),
        msgspec.structs.replace(Release().question(), newer_roots=(data,)),
        msgspec.structs.replace(Release().question(), bundle=data),
    ):
        assert decide(question).verdict.word is Word.REFUSED


def test_a_bundle_of_the_same_evidence_in_other_white_space_is_refused() -> None:
    loose = json.dumps(json.loads(Release().bundle())).encode()
    question = msgspec.structs.replace(Release().question(), bundle=loose)
    assert decide(question).verdict.word is Word.REFUSED


def test_a_root_of_the_same_content_in_other_white_space_is_refused() -> None:
    question = Release().question()
    loose = json.dumps(json.loads(question.root)).encode()
    assert decide(question).verdict.word is Word.VERIFIED
    verdict = decide(msgspec.structs.replace(question, root=loose)).verdict
    assert verdict.rows[0].outcome is Outcome.REFUSED


def test_a_verdict_without_all_rows_is_never_verified() -> None:
    good = Row(1, "root", Outcome.PASS, "")
    assert Verdict((good,)).word is Word.NOT_ENOUGH
    assert Verdict(()).word is Word.NOT_ENOUGH
    rows = tuple(Row(i, name, Outcome.PASS, "") for i, name in enumerate(STEPS, 1))
    assert Verdict(rows).word is Word.VERIFIED
    assert Verdict(rows[:-1]).word is Word.NOT_ENOUGH


def test_the_keyid_of_a_signature_decides_nothing() -> None:
    payload = statement_payload()
    relabelled = tuple(
        Signature(keyid=keyid("olga"), sig=sign_by(name, pae(INTOTO_PAYLOAD, payload)))
        for name in ("sam", "sara")
    )
    unlabelled = tuple(
        Signature(keyid="", sig=sign_by(name, pae(INTOTO_PAYLOAD, payload)))
        for name in ("sam", "sara")
    )
    good = Release(change_files=replaced(STATEMENT_FILE, envelope_of(STATEMENT_FILE, relabelled)))
    assert good.decide().verdict.word is Word.VERIFIED
    encoded = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": INTOTO_PAYLOAD,
        "signatures": [{"sig": base64.b64encode(s.sig).decode()} for s in unlabelled],
    }
    bare = Release(change_files=replaced(STATEMENT_FILE, json.dumps(encoded).encode()))
    assert bare.decide().verdict.word is Word.VERIFIED


def test_small_order_keys_are_refused() -> None:
    members = list(make_root().members)
    key = msgspec.structs.replace(members[0].key, public="01" + "00" * 31)
    members[0] = msgspec.structs.replace(members[0], key=key)
    release = Release(root=make_root(members=tuple(members)))
    assert "not an acceptable Ed25519" in step(release, "root").text


def test_bundle_files_of_unknown_kinds_are_ignored() -> None:
    files = Release().files() | {"notes.txt": b"anything"}
    bundle = make_bundle("demo", "1.0", files).to_bytes()
    question = msgspec.structs.replace(Release().question(), bundle=bundle)
    assert decide(question).verdict.word is Word.VERIFIED


def test_a_bundle_that_was_read_already_decides_alike() -> None:
    question = Release().question()
    assert isinstance(question.bundle, bytes)
    read = msgspec.structs.replace(question, bundle=parse_bundle(question.bundle))
    assert decide(read).verdict == decide(question).verdict

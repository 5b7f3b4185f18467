"""Every way to break a release, step by step, with the verdict and the row it must give."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae, parse_envelope
from relsign.formats.fingerprint import Fingerprint
from relsign.formats.layout import Ed25519Public as LayoutPublic
from relsign.formats.layout import Layout, LayoutKey, Step
from relsign.formats.link import ReleaseBinding, Sha256, link_file_name
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation, Thresholds
from relsign.formats.statement import PreviousRelease, Statement
from relsign.sign.links import make_links
from relsign.verify.decision import Question, decide
from relsign.verify.verdict import STEPS, Outcome, Row, Verdict, Word
from tests.verify.releases import (
    ARTIFACT,
    LATER,
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
    secret,
    sign_by,
    signature_by,
)

Files = dict[str, bytes]
OTHER = make_fingerprint(b"other bytes")


def step(release: Release, name: str) -> Row:
    return next(row for row in release.decide().verdict.rows if row.name == name)


def without(*names: str) -> Callable[[Files], Files]:
    return lambda files: {k: v for k, v in files.items() if k not in names}


def replaced(name: str, data: bytes) -> Callable[[Files], Files]:
    return lambda files: {**files, name: data}


def added(files: Files) -> Callable[[Files], Files]:
    return lambda present: {**present, **files}


def layout_step(name: str, **changes: object) -> Callable[[Layout], Layout]:
    def change(layout: Layout) -> Layout:
        steps: list[Step] = [
            msgspec.structs.replace(s, **changes) if s.name == name else s for s in layout.steps
        ]
        return msgspec.structs.replace(layout, steps=tuple(steps))

    return change


def statement_with(**changes: object) -> Callable[[Statement], Statement]:
    def change(statement: Statement) -> Statement:
        predicate = msgspec.structs.replace(statement.predicate, **changes)
        return msgspec.structs.replace(statement, predicate=predicate)

    return change


def envelope_of(name: str, signatures: tuple[Signature, ...]) -> bytes:
    """Return one of the release's envelopes with other signatures."""
    present = parse_envelope(Release().files()[name], name)
    return Envelope(
        payload=present.payload, payload_type=INTOTO_PAYLOAD, signatures=signatures
    ).to_bytes()


def statement_payload() -> bytes:
    return Release().statement().to_bytes()


def with_stranger(layout: Layout) -> Layout:
    """Let a key build that is no builder of the root."""
    raw = secret("stranger").verify_key.encode()
    stranger = Ed25519Public(raw).keyid
    key = LayoutKey(keyid=stranger, keyval=LayoutPublic(public=raw.hex()))
    steps = tuple(msgspec.structs.replace(s, pubkeys=(*s.pubkeys, stranger)) for s in layout.steps)
    return msgspec.structs.replace(layout, keys={**layout.keys, stranger: key}, steps=steps)


def keyid(name: str) -> str:
    return parties(make_root())[name].keyid


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


BROKEN: dict[str, tuple[Release, str, Outcome, str]] = {
    # 1 root
    "expired root": (Release(now=LATER), "root", Outcome.REFUSED, "expired"),
    "root: more signers than people": (
        Release(
            root=make_root(thresholds=Thresholds(owners=2, signers=4, builders=2, organisations=2))
        ),
        "root",
        Outcome.REFUSED,
        "larger than the role",
    ),
    "root: more organisations than the builders have": (
        Release(
            root=make_root(thresholds=Thresholds(owners=2, signers=2, builders=3, organisations=3))
        ),
        "root",
        Outcome.REFUSED,
        "organisations is larger",
    ),
    # 2 bytes
    "a flipped byte": (
        Release(artifacts={NAME: sha256_hex(b"flipped")}),
        "bytes",
        Outcome.REFUSED,
        "not the file that was released",
    ),
    "a file under another name": (
        Release(artifacts={"other.tar.gz": sha256_hex(ARTIFACT)}),
        "bytes",
        Outcome.REFUSED,
        "no artifact of this release",
    ),
    "no file at all": (Release(artifacts={}), "bytes", Outcome.MISSING, "no file"),
    "another project's release": (
        Release(root=make_root(project="other")),
        "bytes",
        Outcome.REFUSED,
        "another project",
    ),
    "bundle and statement name different versions": (
        Release(change_statement=statement_with(version="2.0")),
        "bytes",
        Outcome.REFUSED,
        "different releases",
    ),
    "no statement": (
        Release(change_files=without(STATEMENT_FILE)),
        "bytes",
        Outcome.MISSING,
        "no release statement",
    ),
    # 3 signers
    "one signer of two": (Release(signers=("sam",)), "signers", Outcome.MISSING, "1 signers"),
    "owners sign instead of signers": (
        Release(signers=("olga", "oona")),
        "signers",
        Outcome.MISSING,
        "by keys not in the root",
    ),
    "a signature over other bytes": (
        Release(
            change_files=replaced(
                STATEMENT_FILE,
                envelope_of(
                    STATEMENT_FILE,
                    (
                        signature_by("sam", statement_payload()),
                        signature_by("sara", b"other bytes"),
                    ),
                ),
            )
        ),
        "signers",
        Outcome.REFUSED,
        "sara",
    ),
    "one signature under two keyids": (
        Release(
            change_files=replaced(
                STATEMENT_FILE,
                envelope_of(
                    STATEMENT_FILE,
                    (
                        signature_by("sam", statement_payload()),
                        Signature(
                            keyid="ab" * 32,
                            sig=sign_by("sam", pae(INTOTO_PAYLOAD, statement_payload())),
                        ),
                    ),
                ),
            )
        ),
        "signers",
        Outcome.MISSING,
        "1 signers",
    ),
    "a signature without PAE": (
        Release(
            change_files=replaced(
                STATEMENT_FILE,
                envelope_of(
                    STATEMENT_FILE,
                    tuple(
                        Signature(keyid=keyid(n), sig=sign_by(n, statement_payload()))
                        for n in ("sam", "sara")
                    ),
                ),
            )
        ),
        "signers",
        Outcome.REFUSED,
        "does not verify",
    ),
    "a signature over another payload type": (
        Release(
            change_files=replaced(
                STATEMENT_FILE,
                envelope_of(
                    STATEMENT_FILE,
                    tuple(
                        signature_by(n, statement_payload(), "text/plain") for n in ("sam", "sara")
                    ),
                ),
            )
        ),
        "signers",
        Outcome.REFUSED,
        "does not verify",
    ),
    # 4 layout
    "no layout": (
        Release(change_files=without(LAYOUT_FILE)),
        "layout",
        Outcome.MISSING,
        "no layout",
    ),
    "one owner of two": (Release(owners=("olga",)), "layout", Outcome.MISSING, "1 owners"),
    "signers sign the layout": (
        Release(owners=("sam", "sara")),
        "layout",
        Outcome.MISSING,
        "0 owners",
    ),
    "another layout than the signers named": (
        Release(change_statement=statement_with(layout_sha256=Digest("5" * 64))),
        "layout",
        Outcome.REFUSED,
        "not the layout the signers named",
    ),
    "expired layout": (
        Release(change_layout=lambda layout: msgspec.structs.replace(layout, expires=NOW)),
        "layout",
        Outcome.REFUSED,
        "layout has expired",
    ),
    "a layout that asks for one builder": (
        Release(change_layout=layout_step("build", threshold=1)),
        "layout",
        Outcome.REFUSED,
        "fewer builders",
    ),
    "a layout that does not require the artifact": (
        Release(
            change_layout=layout_step(
                "build",
                expected_products=(
                    ("REQUIRE", "linux.fingerprint.json"),
                    ("REQUIRE", "other"),
                    ("CREATE", "*"),
                    ("DISALLOW", "*"),
                ),
            )
        ),
        "layout",
        Outcome.REFUSED,
        "does not require",
    ),
    "a layout that requires no fingerprint": (
        Release(
            change_layout=layout_step(
                "build",
                expected_products=(("REQUIRE", NAME), ("CREATE", "*"), ("DISALLOW", "*")),
            )
        ),
        "layout",
        Outcome.REFUSED,
        "does not require",
    ),
    "a step that leaves a builder out": (
        Release(
            change_layout=layout_step("source", pubkeys=(keyid("builder-a"), keyid("builder-b")))
        ),
        "layout",
        Outcome.REFUSED,
        "does not name exactly",
    ),
    "a layout with a stranger's key": (
        Release(change_layout=with_stranger),
        "layout",
        Outcome.REFUSED,
        "no builder of the root",
    ),
    # 5 builders
    "one builder of two": (
        Release(builders=("builder-a",)),
        "builders",
        Outcome.MISSING,
        "1 builders reported",
    ),
    "two builders of one organisation": (
        Release(builders=("builder-b", "builder-c")),
        "builders",
        Outcome.MISSING,
        "2 organisations",
    ),
    "two builders contradict each other": (
        Release(builders=("builder-a",), change_files=added(link_files(OTHER, "builder-b"))),
        "builders",
        Outcome.REFUSED,
        "disagree",
    ),
    "dissent where it refuses": (
        Release(change_files=added(link_files(OTHER, "builder-c")), refuse_dissent=True),
        "builders",
        Outcome.REFUSED,
        "dissent: builder-c",
    ),
    "a link replayed from another version": (
        Release(
            change_files=added(
                changed_link(
                    "builder-b", "build", environment=ReleaseBinding(project="demo", version="0.9")
                )
            )
        ),
        "builders",
        Outcome.MISSING,
        "another release",
    ),
    "a link replayed from another project": (
        Release(
            change_files=added(
                changed_link(
                    "builder-b", "build", environment=ReleaseBinding(project="d", version="1.0")
                )
            )
        ),
        "builders",
        Outcome.MISSING,
        "another release",
    ),
    "a link filed under another step": (
        Release(
            change_files=replaced(
                link_file_name("build", keyid("builder-b")),
                next(iter(link_files(make_fingerprint(), "builder-b").values())),
            )
        ),
        "builders",
        Outcome.MISSING,
        "filed under another step",
    ),
    "a link signed by nobody known": (
        Release(
            change_files=replaced(
                link_file_name("build", keyid("builder-b")), sealed(b"{}", ["sam"])
            )
        ),
        "builders",
        Outcome.MISSING,
        "not one",
    ),
    "a sublayout in the place of a link": (
        Release(
            change_files=replaced(
                link_file_name("build", keyid("builder-b")),
                sealed(Release().compiled_layout().to_bytes(), ["builder-b"]),
            )
        ),
        "builders",
        Outcome.MISSING,
        "build.",
    ),
    "another command": (
        Release(
            change_files=added(
                changed_link("builder-a", "build", command=("make",))
                | changed_link("builder-b", "build", command=("make",))
            )
        ),
        "builders",
        Outcome.REFUSED,
        "another command",
    ),
    "materials that were never sources": (
        Release(
            change_files=added(
                changed_link(
                    "builder-a", "build", materials={"evil": Sha256(sha256=Digest("6" * 64))}
                )
                | changed_link(
                    "builder-b", "build", materials={"evil": Sha256(sha256=Digest("6" * 64))}
                )
            )
        ),
        "builders",
        Outcome.REFUSED,
        "no rule allows",
    ),
    "a product is missing": (
        Release(
            change_files=added(
                changed_link("builder-a", "build", products={})
                | changed_link("builder-b", "build", products={})
            )
        ),
        "builders",
        Outcome.REFUSED,
        "required file is missing",
    ),
    # 6 fingerprint
    "no fingerprint": (
        Release(change_files=without("linux.fingerprint.json")),
        "fingerprint",
        Outcome.MISSING,
        "lacks a fingerprint",
    ),
    "another fingerprint than the signers named": (
        Release(change_files=replaced("linux.fingerprint.json", OTHER.to_bytes())),
        "fingerprint",
        Outcome.REFUSED,
        "not the fingerprint",
    ),
    "a fingerprint of another version": (
        Release(fingerprint=make_fingerprint(version="0.9")),
        "builders",
        Outcome.MISSING,
        "another release",
    ),
    "artifacts of two builds mixed": (
        Release(
            change_files=lambda files: (
                {k: v for k, v in files.items() if not k.endswith(".link")}
                | link_files(OTHER, "builder-a")
                | link_files(OTHER, "builder-b")
            )
        ),
        "fingerprint",
        Outcome.REFUSED,
        "different files",
    ),
    # 7 revocation
    "a release from the future": (
        Release(released_at=NOW + timedelta(days=2)),
        "revocation",
        Outcome.REFUSED,
        "future",
    ),
    "a release that follows itself": (
        Release(previous=PreviousRelease(version="1.0", statement_sha256=Digest("7" * 64))),
        "revocation",
        Outcome.REFUSED,
        "follows itself",
    ),
}


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


def test_the_previous_release_is_named() -> None:
    previous = PreviousRelease(version="0.9", statement_sha256=Digest("7" * 64))
    assert "follows 0.9" in step(Release(previous=previous), "revocation").text


def test_no_bundle_is_not_enough() -> None:
    question = Question(Release().root.to_bytes(), None, {NAME: "0" * 64}, NOW)
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


def test_several_keys_of_one_operator_count_once() -> None:
    members = tuple(
        msgspec.structs.replace(m, operator="one", organisation="birch")
        if m.name in {"sam", "sara"}
        else m
        for m in make_root().members
    )
    release = Release(root=make_root(members=members))
    assert "1 signers (need 2)" in step(release, "signers").text


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
        Question(data, Release().bundle(), {NAME: "0" * 64}, NOW),
        Question(Release().root.to_bytes(), data, {NAME: "0" * 64}, NOW),
    ):
        assert decide(question).verdict.word is Word.REFUSED


def test_a_bundle_of_the_same_evidence_in_other_white_space_is_refused() -> None:
    loose = json.dumps(json.loads(Release().bundle())).encode()
    question = Question(Release().root.to_bytes(), loose, {NAME: "0" * 64}, NOW)
    assert decide(question).verdict.word is Word.REFUSED


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
    question = Question(Release().root.to_bytes(), bundle, Release().artifacts, NOW)
    assert decide(question).verdict.word is Word.VERIFIED

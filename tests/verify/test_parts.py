"""The parts of the decision that a whole release cannot reach one by one."""

from __future__ import annotations

import sys

import msgspec
import pytest
from msgspec.structs import replace

from relsign.crypto.digest import sha256_hex
from relsign.crypto.signatures import verify_envelope
from relsign.errors import VerificationError
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature
from relsign.formats.fingerprint import EnvironmentDigest
from relsign.formats.layout import Layout, release_inspection
from relsign.formats.link import ReleaseBinding, Sha256
from relsign.formats.names import Digest
from relsign.formats.statement import FingerprintId, Subject
from relsign.sign.evidence.links import BuildTimes, make_provenance
from relsign.verify.agreement import Agreement, find_agreement, own_evidence, read_reports
from relsign.verify.decision import Question, decide
from relsign.verify.fingerprint import materials_of, products_of, verify_fingerprints
from relsign.verify.matrix import agreement_matrix
from relsign.verify.release import open_evidence
from relsign.verify.rules import StepArtifacts, verify_rules
from relsign.verify.verdict import Word
from tests.verify.releases import (
    NOW,
    Release,
    changed_link,
    link_files,
    make_fingerprint,
    make_root,
    parties,
    sealed,
    signature_by,
)

WAYS_OUT = {"open", "os", "socket", "subprocess", "shutil"}
RECIPE_SHA256 = make_fingerprint().recipe_sha256
ONE, TWO = "1" * 64, "2" * 64
SOURCE = StepArtifacts({}, {"a": ONE, "dir/b": TWO})
OWN = StepArtifacts({"a": ONE}, {"a": ONE, "x": ONE, "dir/y": TWO})

RULES = {
    "require what is there": ((("REQUIRE", "x"), ("ALLOW", "*"), ("DISALLOW", "*")), ""),
    "require what is absent": ((("REQUIRE", "z"), ("DISALLOW", "*")), "required file is missing"),
    "require after it was consumed": (
        (("ALLOW", "x"), ("REQUIRE", "x"), ("DISALLOW", "*")),
        "required file is missing",
    ),
    "disallow what is left": ((("ALLOW", "a"), ("DISALLOW", "*")), "no rule allows"),
    "disallow one name": ((("DISALLOW", "x"), ("ALLOW", "*")), "no rule allows"),
    "create leaves what was a material": (
        (("CREATE", "*"), ("DISALLOW", "*")),
        "no rule allows",
    ),
    "a pattern reaches into folders": (
        (("ALLOW", "a"), ("ALLOW", "x"), ("ALLOW", "d*"), ("DISALLOW", "*")),
        "",
    ),
    "match by digest": (
        (
            ("MATCH", "*", "WITH", "PRODUCTS", "FROM", "source"),
            ("ALLOW", "x"),
            ("ALLOW", "dir/y"),
            ("DISALLOW", "*"),
        ),
        "",
    ),
    "match with materials": (
        (
            ("MATCH", "*", "WITH", "MATERIALS", "FROM", "source"),
            ("ALLOW", "x"),
            ("ALLOW", "dir/y"),
            ("DISALLOW", "*"),
        ),
        "no rule allows",
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_rules(name: str) -> None:
    rules, words = RULES[name]
    if not words:
        verify_rules("here", rules, OWN.products, OWN, {"source": SOURCE, "build": OWN})
        return
    with pytest.raises(VerificationError, match=words) as caught:
        verify_rules("here", rules, OWN.products, OWN, {"source": SOURCE, "build": OWN})
    assert caught.value.where == "here"


def test_the_matrix_gives_equal_bytes_equal_symbols() -> None:
    builders = tuple(p for p in parties(make_root()).values() if "builder" in p.roles)
    files = (
        link_files(make_fingerprint(), "builder-a")
        | link_files(make_fingerprint(b"other"), "builder-b")
        | link_files(make_fingerprint(b"other"), "builder-c")
    )
    binding = ReleaseBinding(project="demo", version="1.0")
    matrix = agreement_matrix(read_reports(files, builders, binding, NOW))
    assert matrix.builders == ("builder-a", "builder-b", "builder-c")
    row = next(row for row in matrix.rows if row.product == "demo-1.0.tar.gz")
    assert row.cells == ("▓", "█", "█")
    assert not row.agrees


def test_the_matrix_shows_what_a_builder_lacks() -> None:
    builders = tuple(p for p in parties(make_root()).values() if "builder" in p.roles)
    files = link_files(make_fingerprint(), "builder-a") | changed_link(
        "builder-b", "build", products={}
    )
    binding = ReleaseBinding(project="demo", version="1.0")
    matrix = agreement_matrix(read_reports(files, builders, binding, NOW))
    assert all(row.cells == ("█", "X") for row in matrix.rows)


def _build_agreement(release: Release) -> Agreement:
    builders = tuple(p for p in parties(make_root()).values() if "builder" in p.roles)
    binding = ReleaseBinding(project="demo", version="1.0")
    return find_agreement("build", read_reports(release.files(), builders, binding, NOW), 2, 2)


def test_a_fingerprint_of_another_target_is_refused() -> None:
    fingerprint = make_fingerprint(target="windows")
    name = "linux.fingerprint.json"
    named = (FingerprintId(target="linux", sha256=sha256_hex(fingerprint.to_bytes())),)
    release = Release()
    statement = release.statement()
    statement = msgspec.structs.replace(
        statement, predicate=msgspec.structs.replace(statement.predicate, fingerprints=named)
    )
    evidence = open_evidence(release.bundle())
    evidence = replace(
        evidence, statement=statement, files={**evidence.files, name: fingerprint.to_bytes()}
    )
    build = _build_agreement(release)
    with pytest.raises(VerificationError, match="another build"):
        verify_fingerprints(evidence, build, RECIPE_SHA256)


def test_materials_the_fingerprint_does_not_bind_are_refused() -> None:
    release = Release()
    build = _build_agreement(release)
    says = StepArtifacts({**build.says.materials, "extra": ONE}, build.says.products)
    with pytest.raises(VerificationError, match="not what the fingerprints bind") as caught:
        verify_fingerprints(
            open_evidence(release.bundle()), replace(build, says=says), RECIPE_SHA256
        )
    assert caught.value.got == "extra"


def test_two_fingerprints_must_bind_the_same_inputs() -> None:
    other = EnvironmentDigest(
        builder="debian-c", lock_sha256=Digest("9" * 64), rootfs_sha256=Digest("3" * 64)
    )
    same = materials_of((make_fingerprint(), make_fingerprint(target="b")))
    assert same == make_fingerprint().materials()
    with pytest.raises(VerificationError, match="different inputs"):
        materials_of((make_fingerprint(), make_fingerprint(target="b", environment=other)))


def test_builders_must_agree_at_the_source_step_too() -> None:
    products = {"relsign.toml": Sha256(sha256=Digest(ONE))}
    link = changed_link("builder-b", "source", products=products)
    release = Release(change_files=lambda files: {**files, **link})
    assert release.decide().verdict.word is Word.REFUSED


def test_nobody_is_asked_for_a_file_a_clock_or_a_network() -> None:
    """Take a decision while every audited way out of the process is shut."""
    question: Question = Release().question()
    decide(question)
    seen: list[str] = []
    watching = [True]

    def hook(event: str, _arguments: tuple[object, ...]) -> None:
        if watching and event.split(".", maxsplit=1)[0] in WAYS_OUT:
            seen.append(event)

    sys.addaudithook(hook)
    assert decide(question).verdict.word is Word.VERIFIED
    watching.clear()
    assert seen == []


def test_two_fingerprints_may_not_give_one_name_two_digests() -> None:
    other = make_fingerprint(b"other", target="arm")
    with pytest.raises(VerificationError, match="different artifacts"):
        products_of((make_fingerprint(), other))


def test_a_fingerprint_of_another_recipe_is_refused() -> None:
    release = Release()
    with pytest.raises(VerificationError, match="another recipe than the owners"):
        verify_fingerprints(
            open_evidence(release.bundle()), _build_agreement(release), Digest("a" * 64)
        )


def provenance_of(builder: str, signer: str, **changes: object) -> dict[str, bytes]:
    moment = BuildTimes(NOW, NOW)
    provenance = make_provenance(make_fingerprint(), builder, moment)
    payload = msgspec.structs.replace(provenance, **changes).to_bytes()
    return {f"{builder}.intoto.jsonl": sealed(payload, [signer]) + b"\n"}


def notes(files: dict[str, bytes]) -> tuple[str, ...]:
    decision = Release(change_files=lambda present: present | files).decide()
    assert decision.verdict.word is Word.VERIFIED
    return decision.verdict.rows[4].evidence


def test_provenance_that_holds_is_not_mentioned() -> None:
    assert notes(provenance_of("builder-a", "builder-a")) == ()


OTHER_SUBJECT = (Subject(name="evil", digest=Sha256(sha256=Digest(ONE))),)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (provenance_of("builder-a", "builder-b"), "not signed by its builder"),
        (provenance_of("builder-c", "builder-c"), "nobody whose link stands"),
        (provenance_of("builder-a", "builder-a", subject=OTHER_SUBJECT), "other files"),
        ({"builder-a.intoto.jsonl": b'{"forged":1}'}, "unknown field"),
        ({"builder-a.intoto.jsonl": b"{}\n" * 101}, "too many lines"),
        ({"malware.exe.intoto.jsonl": b"junk"}, "nobody whose link stands"),
        (
            {
                "builder-a.intoto.jsonl": provenance_of("builder-b", "builder-a")[
                    "builder-b.intoto.jsonl"
                ]
            },
            "another builder",
        ),
    ],
)
def test_provenance_that_does_not_hold_is_named(files: dict[str, bytes], words: str) -> None:
    assert any(words in line for line in notes(files))


def test_a_link_lies_in_its_own_builders_folder() -> None:
    builders = tuple(p for p in parties(make_root()).values() if "builder" in p.roles)
    mine = link_files(make_fingerprint(), "builder-a")
    evil = dict.fromkeys(mine, b"junk")
    evidence = {"builder-a": mine, "zzz": evil, "builder-b": {**evil, "x.fingerprint.json": b""}}
    own = own_evidence(evidence, builders)
    assert own.files == mine
    assert len(own.ignored) == 4


def test_junk_signatures_cost_little_and_change_nothing() -> None:
    payload = Release().statement().to_bytes()
    junk = tuple(Signature(keyid="", sig=bytes([n]) * 64) for n in range(60))
    good = tuple(signature_by(name, payload) for name in ("sam", "sara"))
    envelope = Envelope(payload=payload, payload_type=INTOTO_PAYLOAD, signatures=junk + good)
    known = tuple(parties(make_root()).values())
    report = verify_envelope(envelope, known, NOW)
    assert [party.name for party in report.valid] == ["sam", "sara"]
    assert report.unknown == 60


def test_a_layout_of_another_release_is_refused() -> None:
    """The same owners signed it, for the version before."""

    def older(layout: Layout) -> Layout:
        binding = replace(layout.binding, version="0.9")
        return msgspec.structs.replace(
            layout, readme=binding.readme(), inspect=(release_inspection(binding),)
        )

    decision = Release(change_layout=older).decide()
    assert decision.verdict.word is Word.REFUSED
    assert "layout of another release" in decision.verdict.rows[3].text

"""The parts of the decision that a whole release cannot reach one by one."""

from __future__ import annotations

import sys
from dataclasses import replace

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import VerificationError
from relsign.formats.fingerprint import EnvironmentDigest
from relsign.formats.link import ReleaseBinding, Sha256
from relsign.formats.names import Digest
from relsign.formats.statement import FingerprintId
from relsign.verify.agreement import Agreement, find_agreement, read_reports
from relsign.verify.decision import Question, decide
from relsign.verify.fingerprint import materials_of, verify_fingerprints
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
)

WAYS_OUT = {"open", "os", "socket", "subprocess", "shutil"}
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
        verify_fingerprints(evidence, build)


def test_materials_the_fingerprint_does_not_bind_are_refused() -> None:
    release = Release()
    build = _build_agreement(release)
    says = StepArtifacts({**build.says.materials, "extra": ONE}, build.says.products)
    with pytest.raises(VerificationError, match="not what the fingerprints bind") as caught:
        verify_fingerprints(open_evidence(release.bundle()), replace(build, says=says))
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

"""The decision where everything is asked: what passes, and every way it must not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.link import Sha256
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation, Vouched
from relsign.formats.root import Root, root_file_name
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.demands import Demands, Level
from relsign.verify.root import MAX_ROTATIONS, follow_roots, open_root
from relsign.verify.rows import Rows
from relsign.verify.verdict import STEPS, Outcome, Row, Word, find_problem
from tests.verify.broken import added
from tests.verify.broken_full import BROKEN_FULL, MISSING, REFUSED, hijacked_root, next_root
from tests.verify.full_release import BEFORE, FullRelease, full_root, seen
from tests.verify.releases import (
    LATER,
    NOW,
    Release,
    changed_link,
    link_files,
    make_fingerprint,
    make_root,
    member,
    root_of,
    signed_root,
)


def row(decision: Decision, name: str) -> Row:
    return decision.verdict.rows[STEPS.index(name)]


def test_everything_asked_is_answered() -> None:
    decision = FullRelease().decide()
    assert decision.verdict.word is Word.VERIFIED, decision.verdict
    assert {r.outcome for r in decision.verdict.rows} == {Outcome.PASS}
    assert decision.release is not None
    assert decision.evidence is not None
    assert decision.root is not None
    assert decision.root.root.version == 1


@pytest.mark.parametrize("name", BROKEN_FULL)
def test_a_release_broken_in_one_way_is_not_verified(name: str) -> None:
    release, step, outcome, words = BROKEN_FULL[name]
    decision = release.decide()
    said = row(decision, step)
    assert (said.outcome, words in said.text) == (outcome, True), said
    assert said.hint
    assert decision.release is None
    word = Word.REFUSED if outcome is REFUSED else Word.NOT_ENOUGH
    others = {r.outcome for r in decision.verdict.rows if r.name != step}
    assert decision.verdict.word is word, decision.verdict
    assert not others & {REFUSED, MISSING}, decision.verdict


def test_the_bundle_leads_on_to_a_newer_root() -> None:
    newer = next_root(2)
    decision = FullRelease(change_files=added({root_file_name(2): newer})).decide()
    assert decision.verdict.word is Word.VERIFIED
    assert decision.root is not None
    assert decision.root.data == newer
    assert "version 2" in row(decision, "root").text


def test_a_whole_chain_may_be_given_and_what_is_known_is_passed_over() -> None:
    chain = (signed_root(full_root()), next_root(2), next_root(3))
    decision = FullRelease(newer_roots=chain).decide()
    assert decision.verdict.word is Word.VERIFIED
    assert decision.root is not None
    assert decision.root.root.version == 3


def test_only_the_last_root_must_be_unexpired() -> None:
    old = root_of(full_root().policy, 1, NOW - timedelta(days=1))
    assert FullRelease(root=old).decide().verdict.word is Word.REFUSED
    release = FullRelease(root=old, newer_roots=(next_root(2),))
    assert release.decide().verdict.word is Word.VERIFIED


def test_level_basic_says_what_it_did_not_ask() -> None:
    basic = Demands(level=Level.BASIC)
    decision = FullRelease(builders=(), listed=False, logged=False, demands=basic).decide()
    assert decision.verdict.word is Word.VERIFIED
    assert decision.release is None
    for name in ("layout", "builders", "fingerprint", "log", "fresh"):
        assert row(decision, name).text == "not asked at level basic"
    for release in (
        FullRelease(signers=("sam",), demands=basic),
        FullRelease(seen=(seen(3, "1.1"),), demands=basic),
        FullRelease(artifacts={"demo-1.0.tar.gz": "0" * 64}, demands=basic),
        FullRelease(root_signers=(), demands=basic),
    ):
        assert release.decide().verdict.word is not Word.VERIFIED


def test_level_paranoid_needs_log_freshness_and_an_own_rebuild() -> None:
    rebuilt = {"linux": make_fingerprint().to_bytes()}
    paranoid = FullRelease(demands=Demands(level=Level.PARANOID), rebuilt=rebuilt)
    decision = paranoid.decide()
    assert decision.verdict.word is Word.VERIFIED
    assert "your rebuild of linux is the same" in row(decision, "fingerprint").text
    plain = Release(demands=Demands(level=Level.PARANOID)).decide()
    missing = [r.name for r in plain.verdict.rows if r.outcome is MISSING]
    assert missing == ["fingerprint", "log", "fresh"]


def test_an_own_rebuild_may_be_given_at_any_level() -> None:
    decision = FullRelease(rebuilt={"linux": make_fingerprint().to_bytes()}).decide()
    assert "your rebuild" in row(decision, "fingerprint").text


def test_the_version_asked_for_is_no_rollback() -> None:
    release = FullRelease(seen=(seen(3, "1.1"),), newer=("1.1",), wanted="1.0")
    decision = release.decide()
    assert decision.verdict.word is Word.VERIFIED
    assert "older than 1.1, asked for by name" in row(decision, "revocation").text
    assert "1.1" in row(decision, "fresh").text


def test_what_was_seen_before_is_said() -> None:
    assert "first release you see" in row(FullRelease(seen=()).decide(), "revocation").text
    assert "newer than 0.9" in row(FullRelease(seen=(seen(1, "0.9"),)).decide(), "revocation").text
    assert (
        row(FullRelease().decide(), "revocation").text
        == f"1.0 is not revoked; follows {BEFORE.version}"
    )


def test_a_revoked_newest_release_lets_the_one_before_be_the_newest() -> None:
    root = full_root(revoked=(Revocation(version="1.1", reason="broken", replacement="1.0"),))
    release = FullRelease(root=root, seen=(seen(3, "1.1"),))
    assert release.decide().verdict.word is Word.VERIFIED


def test_freshness_nobody_asks_for_may_be_missing_but_not_contradict() -> None:
    lax = full_root(freshness=make_root().policy.freshness)
    assert row(FullRelease(root=lax, listed=False).decide(), "fresh").outcome is (
        Outcome.NOT_REQUIRED
    )
    stale = FullRelease(root=lax, listed_at=NOW - timedelta(days=30)).decide()
    assert stale.verdict.word is Word.VERIFIED
    assert "not asked for" in row(stale, "fresh").text
    assert FullRelease(root=lax, newer=("1.1",)).decide().verdict.word is Word.REFUSED


def test_a_root_alone_is_judged_where_there_is_no_bundle() -> None:
    question = Question(signed_root(full_root()), None, {"a": "0" * 64}, NOW)
    decision = decide(question)
    assert [r.outcome for r in decision.verdict.rows[:2]] == [Outcome.PASS, MISSING]
    assert decide(msgspec.structs.replace(question, root=b"{}")).verdict.word is Word.REFUSED
    assert decide(msgspec.structs.replace(question, now=LATER)).verdict.word is Word.REFUSED


# A release of an earlier root, judged by its own day.


def vouched(**changes: object) -> tuple[Vouched, ...]:
    first = open_root(signed_root(make_root()))
    entry = Vouched(
        version="1.0", statement_sha256=Release().evidence_digest(), root_sha256=first.digest
    )
    return (msgspec.structs.replace(entry, **changes),)


def second_root(**changes: object) -> Root:
    """Return a root in which other people sign, and that vouches for release 1.0."""
    stay = tuple(m for m in make_root().members if "signer" not in m.roles)
    signers = tuple(member(name, name, "acme", "signer") for name in ("tim", "tom"))
    asked: dict[str, object] = {
        "members": tuple(sorted((*stay, *signers), key=lambda m: m.name)),
        "vouched": vouched(),
    }
    return make_root(version=2, expires=LATER + timedelta(days=900), **{**asked, **changes})


OWN_ROOT = {root_file_name(1): signed_root(make_root())}
MUCH_LATER = LATER + timedelta(days=300)


def old_release(root: Root | None = None, **changes: object) -> Release:
    release = Release(root=root or second_root(), now=MUCH_LATER, change_files=added(OWN_ROOT))
    return replace(release, **changes)  # type: ignore[arg-type]


def test_a_vouched_release_is_judged_by_its_own_day() -> None:
    decision = old_release().decide()
    assert decision.verdict.word is Word.VERIFIED, decision.verdict
    said = row(decision, "root").text
    assert "judged by version 1 as of 2026-11-21" in said
    assert "the owners of version 2 vouch for it" in said


@pytest.mark.parametrize(
    ("release", "step", "outcome", "words"),
    [
        (old_release(second_root(vouched=())), "signers", MISSING, "0 of the 2 signers"),
        (
            old_release(second_root(vouched=vouched(version="1.1"))),
            "root", REFUSED, "as another version",
        ),
        (
            old_release(second_root(vouched=vouched(root_sha256="e" * 64))),
            "root", MISSING, "the bundle lacks the root that version 1.0 was made under",
        ),
        (old_release(change_files=lambda files: files), "root", MISSING, "lacks the root"),
        # The removed signers, or who stole their keys, date another statement back.
        (old_release(previous=BEFORE), "signers", MISSING, "0 of the 2 signers"),
        (
            old_release(second_root(revoked=(Revocation(version="1.0", reason="bad"),))),
            "revocation", REFUSED, "revoked by the owners",
        ),
        (old_release(signers=("sam",)), "signers", MISSING, "1 of the 2 signers"),
        (old_release(builders=("builder-a",)), "builders", MISSING, "1 builders"),
    ],
)  # fmt: skip
def test_vouching_lends_nobody_else_a_hand(
    release: Release, step: str, outcome: Outcome, words: str
) -> None:
    said = row(release.decide(), step)
    assert (said.outcome, words in said.text) == (outcome, True), said


def test_a_release_made_when_its_root_had_expired_is_not_of_its_day() -> None:
    brief = make_root(expires=NOW)
    digest = open_root(signed_root(brief)).digest
    release = old_release(
        second_root(vouched=vouched(root_sha256=digest)),
        change_files=added({root_file_name(1): signed_root(brief)}),
    )
    said = row(release.decide(), "root")
    assert (said.outcome, "had expired" in said.text) == (REFUSED, True)


# What held is kept, and nobody vetoes.


@pytest.mark.parametrize("data", [b"{}", next_root(4), hijacked_root("mallory")])
def test_a_root_that_held_is_kept_though_the_next_one_does_not(data: bytes) -> None:
    newer = next_root(2, revoked=(Revocation(version="1.0", reason="bad"),))
    chain = {root_file_name(2): newer, root_file_name(3): data}
    decision = FullRelease(change_files=added(chain)).decide()
    assert decision.verdict.word is not Word.VERIFIED
    assert decision.root is not None
    assert decision.root.root.version == 2


def test_an_expired_root_is_kept_too() -> None:
    brief = signed_root(root_of(full_root().policy, 2, NOW))
    decision = FullRelease(change_files=added({root_file_name(2): brief})).decide()
    assert decision.verdict.word is Word.REFUSED
    assert decision.root is not None
    assert decision.root.data == brief


def test_a_name_that_is_no_version_of_the_root_is_refused() -> None:
    release = FullRelease(change_files=added({"0002.root.json": next_root(2)}))
    assert "not the name of a version" in row(release.decide(), "bytes").text


def test_one_builder_with_another_command_vetoes_nothing_and_is_named() -> None:
    strange = changed_link("builder-c", "build", command=("make", "evil"))
    release = Release(change_files=added(strange))
    decision = release.decide()
    assert decision.verdict.word is Word.VERIFIED
    assert "dissent: builder-c ran another command at step build" in (
        row(decision, "builders").evidence
    )
    assert decision.release is not None
    assert [party.name for party in decision.release.dissenters] == ["builder-c"]
    strict = replace(release, demands=Demands(refuse_dissent=True)).decide()
    assert strict.verdict.word is Word.REFUSED


def test_dissent_over_the_sources_is_shown_though_the_products_agree() -> None:
    materials = {"demo.tar": Sha256(sha256=Digest("e" * 64))}
    strange = changed_link("builder-c", "source", products=materials)
    agreeing = link_files(make_fingerprint(), "builder-c")
    decision = Release(change_files=added({**agreeing, **strange})).decide()
    assert decision.verdict.word is Word.VERIFIED
    assert "1 dissent" in row(decision, "builders").text
    assert decision.release is not None
    assert [party.name for party in decision.release.dissenters] == ["builder-c"]


def test_a_vouched_release_needs_no_newer_proof_of_the_log() -> None:
    root = full_root()
    digest = open_root(signed_root(root)).digest
    entry = Vouched(
        version="1.0", statement_sha256=FullRelease().evidence_digest(), root_sha256=digest
    )
    later = root_of(full_root(vouched=(entry,)).policy, 2, LATER + timedelta(days=900))
    release = FullRelease(
        root=later,
        now=MUCH_LATER,
        listed_at=MUCH_LATER,
        change_files=added({root_file_name(1): signed_root(root)}),
    )
    decision = release.decide()
    assert decision.verdict.word is Word.VERIFIED, decision.verdict


def test_a_row_that_refuses_is_not_hidden_behind_what_is_missing() -> None:
    rows = Rows()
    rows.fail(2, VerificationError("contradicts"))
    rows.fail(2, NotEnoughError("is missing"))
    said = rows.complete()[1]
    assert (said.outcome, said.text) == (REFUSED, "contradicts")


def test_one_walk_has_an_end() -> None:
    root = make_root()
    chain = [
        signed_root(msgspec.structs.replace(root, version=number + 2))
        for number in range(MAX_ROTATIONS + 1)
    ]
    newest, problem = follow_roots(open_root(signed_root(root)), chain)
    assert newest.root.version == MAX_ROTATIONS + 1
    assert "too many versions" in str(problem)


def test_a_contradiction_comes_first_and_a_step_not_reached_counts_as_one() -> None:
    passed = Row(1, "root", Outcome.PASS, "fine")
    missing = Row(3, "signers", MISSING, "one more", "wait")
    refused = Row(4, "layout", REFUSED, "false", "do not")
    unreached = Row(5, "builders", Outcome.NOT_REACHED, "an earlier step failed")
    assert find_problem((passed,), "so") is None
    for rows, kind, words in (
        ((passed, missing, refused), VerificationError, "so at step 4, layout: false"),
        ((missing, unreached), NotEnoughError, "so at step 3, signers: one more"),
        ((passed, unreached), VerificationError, "so at step 5, builders"),
    ):
        problem = find_problem(rows, "so")
        assert type(problem) is kind
        assert words in str(problem)
    named = find_problem((refused,), "so", "another hint")
    assert named is not None
    assert named.hint == "another hint"

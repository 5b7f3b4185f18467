"""How many people signed the same digest, and what follows."""

from __future__ import annotations

import itertools

import pytest

from relsign.formats.names import Digest
from relsign.formats.sums_policy import SumsPolicy, parse_sums_policy
from relsign.verify.sums import (
    ArtifactVerdict,
    FileVerdict,
    Vote,
    judge_artifact,
    judge_files,
    overall,
)
from relsign.verify.sums_people import People
from relsign.verify.verdict import Word

X, Y, Z = (Digest(letter * 64) for letter in "abc")
PEOPLE = People(
    keys={},
    person={"a": 0, "b": 1, "c": 2, "d": 3, "a2": 0},
    organisation={"a": 0, "b": 1, "c": 1, "d": 1, "a2": 0},
)
V, R, N = Word.VERIFIED, Word.REFUSED, Word.NOT_ENOUGH


def _policy(threshold: int = 2, *, record: bool = False, organisations: int = 0) -> SumsPolicy:
    lines = [f"threshold = {threshold}", f'dissent = "{"record" if record else "refuse"}"']
    if organisations:
        lines.append(f"organisations = {organisations}")
        lines += [f'[[builder]]\nname = "{one}"\norganisation = "{one}"' for one in "abcd"]
    return parse_sums_policy("\n".join(lines).encode())


def _vote(builder: str, *digests: Digest, name: str = "f", release: str = "1") -> Vote:
    return Vote(release, builder, {name: digests})


def _judge(policy: SumsPolicy, *votes: Vote) -> FileVerdict:
    (verdict,) = judge_files(votes, {"1": ["f"]}, PEOPLE, policy)
    return verdict


@pytest.mark.parametrize(
    ("votes", "refuse", "record"),
    [
        ({}, N, N),
        ({"a": (X,)}, N, N),
        ({"a": (X,), "b": (X,)}, V, V),
        ({"a": (X,), "b": (X,), "c": (X,)}, V, V),
        ({"a": (X,), "a2": (X,)}, N, N),
        ({"a": (X,), "b": (Y,)}, R, N),
        ({"a": (X,), "b": (X,), "c": (Y,)}, R, V),
        ({"a": (Y,), "b": (X,), "c": (X,)}, R, V),
        ({"a": (X,), "b": (X,), "c": (Y,), "d": (Y,)}, R, R),
        ({"a": (X,), "b": (Y,), "c": (Z,)}, R, N),
        ({"a": (X, Y)}, R, N),
        ({"a": (X, Y), "b": (X,)}, R, N),
        ({"a": (X, Y), "b": (X,), "c": (X,)}, R, V),
        ({"a": (X,), "a2": (Y,), "b": (X,)}, R, N),
        ({"a": (X,), "a2": (Y,), "b": (X,), "c": (X,)}, R, V),
    ],
)
def test_the_verdict_of_two_policies(
    votes: dict[str, tuple[Digest, ...]], refuse: Word, record: Word
) -> None:
    cast = [_vote(builder, *digests) for builder, digests in votes.items()]
    assert _judge(_policy(), *cast).word is refuse
    assert _judge(_policy(record=True), *cast).word is record


def test_only_a_verified_file_has_a_digest() -> None:
    verified = _judge(_policy(), _vote("a", X), _vote("b", X))
    assert (verified.sha256, verified.why) == (X, "2 people built these bytes (need 2)")
    refused = _judge(_policy(), _vote("a", X), _vote("b", X), _vote("c", Y))
    assert (refused.sha256, refused.dissenting) == ("", ("c",))
    assert refused.why == "signed another digest or two: c"
    missing = _judge(_policy(), _vote("a", X))
    assert (missing.sha256, missing.why) == ("", "1 people (need 2)")
    assert _judge(_policy()).why == "nobody who counts signed it"


def test_recorded_dissent_is_said() -> None:
    verdict = _judge(_policy(record=True), _vote("a", X), _vote("b", X), _vote("c", Y))
    assert verdict.why.endswith("(need 2); signed another digest or two: c")
    short = _judge(_policy(3, record=True), _vote("a", X), _vote("b", X), _vote("c", Y))
    assert short.why == "2 people (need 3); signed another digest or two: c"
    alone = _judge(_policy(record=True), _vote("a", X, Y))
    assert (alone.word, alone.why) == (N, "signed another digest or two: a")


def test_two_manifests_of_one_builder_are_read_together() -> None:
    verdict = _judge(_policy(record=True), _vote("a", X), _vote("a", Y), _vote("b", X))
    assert verdict.contradicting == ("a",)
    assert [claim.builders for claim in verdict.claims] == [("b",)]


def test_organisations_are_counted_apart() -> None:
    near = [_vote("b", X), _vote("c", X), _vote("d", X)]
    policy = _policy(2, organisations=2, record=True)
    verdict = _judge(policy, *near)
    assert (verdict.word, verdict.why) == (N, "3 people (need 2) of 1 organisations (need 2)")
    assert _judge(policy, _vote("a", X), _vote("b", X)).word is V


def test_a_quorum_behind_a_larger_crowd_of_one_organisation_is_not_enough() -> None:
    policy = parse_sums_policy(
        b'threshold = 2\norganisations = 2\ndissent = "record"\n'
        + b"".join(b'[[builder]]\nname = "%c"\norganisation = "%c"\n' % (c, c) for c in b"abcdef")
    )
    people = People(
        keys={},
        person={name: number for number, name in enumerate("abcdef")},
        organisation={"a": 0, "b": 1, "c": 2, "d": 2, "e": 2, "f": 3},
    )
    votes = [_vote(name, X) for name in "ab"] + [_vote(name, Y) for name in "cde"]
    (verdict,) = judge_files(votes, {}, people, policy)
    assert verdict.word is N


def test_the_order_of_votes_changes_nothing() -> None:
    votes = [_vote("a", X), _vote("b", Y), _vote("c", X), _vote("a2", X), _vote("d", Y, Z)]
    policy = _policy(record=True)
    assert len({repr(_judge(policy, *some)) for some in itertools.permutations(votes)}) == 1


def test_releases_are_judged_apart_and_unreadable_ones_too() -> None:
    votes = [_vote("a", X), _vote("b", X, release="2"), _vote("b", X)]
    verdicts = judge_files(votes, {"3": [], "2": ["g"]}, PEOPLE, _policy())
    assert [(one.release, one.name, one.word) for one in verdicts] == [
        ("1", "f", V),
        ("2", "f", N),
        ("2", "g", N),
        ("3", "", N),
    ]


def _ask(digest: str, *verdicts: FileVerdict, name: str = "f") -> tuple[Word, str]:
    asked = judge_artifact(name, digest, verdicts)
    return asked.word, asked.release


def test_an_artifact_is_what_the_people_built_or_it_is_refused() -> None:
    verified = _judge(_policy(record=True), _vote("a", X), _vote("b", X), _vote("c", Y))
    assert _ask(X, verified) == (V, "1")
    assert _ask(Y, verified) == (R, "1")
    assert _ask(Z, verified) == (R, "1")
    assert judge_artifact("g", X, [verified]) == ArtifactVerdict(
        "g", X, N, "", "no manifest names a file like this"
    )


def test_an_artifact_has_at_best_its_file_s_verdict() -> None:
    missing = _judge(_policy(), _vote("a", X))
    assert _ask(X, missing) == (N, "1")
    assert _ask(Y, missing) == (R, "1")
    assert _ask(Y, _judge(_policy())) == (N, "1")
    assert _ask(X, _judge(_policy(), _vote("a", X), _vote("b", Y))) == (R, "1")


def test_an_artifact_in_two_releases_has_the_worse_verdict() -> None:
    both = [_vote(builder, X, release="1") for builder in "ab"]
    older = judge_files(both, {}, PEOPLE, _policy())
    newer = judge_files([_vote(b, Y, release="2") for b in "ab"], {}, PEOPLE, _policy())
    asked = judge_artifact("f", X, older + newer)
    assert (asked.word, asked.release) == (R, "2")
    assert asked.why.endswith("2 releases list it: name yours in the policy's `releases`")
    same = judge_files([_vote(b, X, release="2") for b in "ab"], {}, PEOPLE, _policy())
    assert judge_artifact("f", X, older + same).word is V


def test_an_artifact_is_found_by_the_last_part_of_a_path() -> None:
    votes = [_vote(builder, X, name="out/f") for builder in "ab"]
    (verdict,) = judge_files(votes, {}, PEOPLE, _policy())
    assert _ask(X, verdict) == (V, "1")
    assert _ask(X, verdict, name="out") == (N, "")


@pytest.mark.parametrize(("words", "expected"), [([], N), ([V], V), ([V, N], N), ([N, R, V], R)])
def test_the_worst_word_is_the_whole_s(words: list[Word], expected: Word) -> None:
    assert overall(words) is expected

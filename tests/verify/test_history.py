"""Rollback and equivocation: what was seen before decides what may be shown now."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import VerificationError
from relsign.formats.memory import Seen
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation
from relsign.verify.history import Presented, check_history

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def statement(version: str, letter: str = "0") -> Digest:
    """Return the digest of a statement about a version; letters make different ones."""
    return Digest((letter + version.replace(".", "")).rjust(64, "0"))


def saw(sequence: int, version: str, letter: str = "0") -> Seen:
    return Seen(
        sequence=sequence,
        version=version,
        statement_sha256=statement(version, letter),
        seen_at=NOON,
    )


def shown(sequence: int, version: str, letter: str = "0") -> Presented:
    return Presented(sequence, version, statement(version, letter))


def took_back(version: str, letter: str = "0") -> Revocation:
    return Revocation(statement_sha256=statement(version, letter), reason="bad")


WHOLE_VERSION = Revocation(version="2.0", reason="bad")
ONE_TWO = (saw(1, "1.0"), saw(2, "2.0"))
Case = tuple[tuple[Seen, ...], Presented, tuple[Revocation, ...], str | None, str]

ACCEPTED: dict[str, Case] = {
    "first": ((), shown(1, "1.0"), (), None, "first release you see"),
    "first, though not the project's first": ((), shown(9, "9.0"), (), None, "first release"),
    "again": (ONE_TWO, shown(2, "2.0"), (), None, "2.0 is the newest release you have seen"),
    "newer": (ONE_TWO, shown(3, "3.0"), (), None, "3.0 is newer than 2.0"),
    "newer, with a gap": (ONE_TWO, shown(7, "3.0"), (), None, "3.0 is newer than 2.0"),
    "newer with a lower version": (ONE_TWO, shown(3, "1.0.1"), (), None, "1.0.1 is newer"),
    "newest by name": (ONE_TWO, shown(2, "2.0"), (), "2.0", "2.0 is the newest"),
    "older by name": (ONE_TWO, shown(1, "1.0"), (), "1.0", "older than 2.0, asked for by name"),
    "older by name, never seen": (
        (saw(2, "2.0"),), shown(1, "1.0"), (), "1.0", "older than 2.0, asked for by name",
    ),
    "the newest was revoked": (
        ONE_TWO, shown(1, "1.0"), (took_back("2.0"),), None,
        "1.0 is the newest release you have seen that was not taken back",
    ),
    "its version was revoked": (
        ONE_TWO, shown(1, "1.0"), (WHOLE_VERSION,), None, "1.0 is the newest",
    ),
    "all that was seen was revoked": (
        (saw(2, "2.0"),), shown(1, "1.0"), (took_back("2.0"),), None,
        "first release you see of this project that was not taken back",
    ),
    "a version made anew after its statement was revoked": (
        ONE_TWO, shown(3, "2.0", "a"), (took_back("2.0"),), None,
        "2.0 is newer than 1.0, the newest you had seen that was not taken back",
    ),
    "a sequence used anew after its statement was revoked": (
        ONE_TWO, shown(2, "2.0.1"), (took_back("2.0"),), None, "2.0.1 is newer than 1.0",
    ),
    "a revocation of something else": (
        ONE_TWO, shown(2, "2.0"), (took_back("9.9"),), None, "2.0 is the newest",
    ),
}  # fmt: skip

REFUSED: dict[str, Case] = {
    "older": (ONE_TWO, shown(1, "1.0"), (), None, "older than 2.0, which you have seen"),
    "older, never seen": ((saw(2, "2.0"),), shown(1, "1.0"), (), None, "older than 2.0"),
    "older, and another was revoked": (
        (*ONE_TWO, saw(3, "3.0")), shown(1, "1.0"), (took_back("3.0"),), None, "older than 2.0",
    ),
    "older, and it was revoked itself": (
        ONE_TWO, shown(1, "1.0"), (took_back("1.0"),), None, "older than 2.0",
    ),
    "not the one asked for": ((), shown(2, "2.0"), (), "1.0", "not the version asked for"),
    "asked for in other letters": ((), shown(2, "2.0-RC"), (), "2.0-rc", "not the version"),
    "asked for with a space": ((), shown(2, "2.0"), (), "2.0 ", "not the version asked for"),
    "asked for nothing": ((), shown(2, "2.0"), (), "", "not the version asked for"),
    "one sequence, two statements": (
        ONE_TWO, shown(2, "2.0.1"), (), None, "two different releases under one number: sequence 2",
    ),
    "one version, two statements": (
        ONE_TWO, shown(3, "2.0", "a"), (), None, "one number: version 2.0",
    ),
    "both": (ONE_TWO, shown(2, "2.0", "a"), (), None, "one number: sequence 2"),
    "two statements, asked for by name": (
        ONE_TWO, shown(1, "1.0", "a"), (), "1.0", "one number: sequence 1",
    ),
    "an old one's number": (ONE_TWO, shown(1, "1.0", "a"), (), None, "one number: sequence 1"),
    "two statements, and the new one is revoked": (
        ONE_TWO, shown(2, "2.0", "a"), (took_back("2.0", "a"),), None, "one number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    seen, release, revoked, wanted, words = ACCEPTED[name]
    for order in itertools.permutations(seen):
        assert words in check_history(order, release, revoked=revoked, wanted=wanted)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    seen, release, revoked, wanted, words = REFUSED[name]
    for order in itertools.permutations(seen):
        with pytest.raises(VerificationError) as caught:
            check_history(order, release, revoked=revoked, wanted=wanted)
        assert words in str(caught.value)
        assert caught.value.hint


def test_evidence_of_two_releases_names_both() -> None:
    with pytest.raises(VerificationError) as caught:
        check_history(ONE_TWO, shown(2, "2.0", "a"))
    assert statement("2.0") in caught.value.expected
    assert "2026-11-21" in caught.value.expected
    assert caught.value.got == statement("2.0", "a")
    assert "keep both" in caught.value.hint


history = st.lists(st.integers(1, 9), unique=True).map(lambda ns: [saw(n, f"{n}.0") for n in ns])


@given(history, st.integers(1, 9))
def test_nothing_older_than_the_newest_passes_unnamed(seen: list[Seen], sequence: int) -> None:
    release = shown(sequence, f"{sequence}.0")
    newest = max((entry.sequence for entry in seen), default=0)
    try:
        check_history(seen, release)
        passed = True
    except VerificationError:
        passed = False
    assert passed == (sequence >= newest)
    assert check_history(seen, release, wanted=f"{sequence}.0")


def test_an_older_release_that_was_taken_back_is_not_spoken_of() -> None:
    words = check_history(ONE_TWO, shown(2, "2.0"), revoked=(took_back("1.0"),))
    assert words == "2.0 is the newest release you have seen"

"""Commitments: who had its result before it could have seen another's, and who copied."""

from __future__ import annotations

import itertools
import time

import pytest

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.errors import NotEnoughError
from relsign.formats.commitment import MAX_COMMITMENT_BYTES
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, parse_envelope
from relsign.formats.link import Byproducts
from relsign.formats.names import Digest
from relsign.sign.evidence.links import seal
from relsign.verify.agreement import Agreement, find_agreement
from relsign.verify.commitments import (
    MAX_OPENED,
    MAX_SEARCHED,
    Commitments,
    count_committed,
    read_commitments,
)
from tests.verify.machines import (
    A2,
    BINDING,
    EVIL,
    FILE,
    NOW,
    A,
    B,
    C,
    D,
    Machine,
    heard,
    reports_of,
    salt_of,
)

Files = dict[str, bytes]
BUILDERS = tuple(machine.party for machine in (A, B, C, D, A2))


def shown(machine: Machine, *ears: Machine, salt: Digest | None = None) -> bytes:
    """Return a link that opens its machine's commitment and names those of `ears`."""
    return machine.link(
        byproducts=Byproducts(
            commitment_salt=salt or salt_of(machine),
            heard=heard(*(each.payload() for each in ears)),
        )
    )


def fair(*machines: Machine) -> Files:
    """Return links and commitments of machines who all committed before any showed."""
    links = {machine.link_file: shown(machine, *machines) for machine in machines}
    return links | {machine.commitment_file: machine.commitment() for machine in machines}


def agreed(files: Files) -> Agreement:
    return find_agreement("build", reports_of(files), 1, 1)


def count(files: Files, threshold: int = 2, organisations: int = 2) -> Agreement:
    return count_committed(agreed(files), files, BINDING, threshold, organisations, NOW)


def names(agreement: Agreement) -> list[str]:
    return [party.name for party in agreement.builders]


def refusal(files: Files, threshold: int = 2, organisations: int = 2) -> str:
    """Return what is said of evidence that is not enough."""
    with pytest.raises(NotEnoughError, match="had committed and heard each other") as caught:
        count(files, threshold, organisations)
    assert "publish-commitments-first" in caught.value.hint
    return str(caught.value)


# --- who counts --------------------------------------------------------------------------------


def test_builders_who_committed_before_any_showed_a_result_count() -> None:
    files = fair(A, B, D)
    counted = count(files, 3, 3)
    assert names(counted) == ["builder-a", "builder-b", "builder-d"]
    assert counted.organisations == ("acme", "birch", "cedar")
    assert counted.reports == agreed(files).reports
    assert counted.notes == ()


def test_the_second_of_two_may_commit_and_show_at_once() -> None:
    """B showed its result while only A had committed; A's is bound already."""
    files = fair(A, B)
    assert names(count(files)) == ["builder-a", "builder-b"]


def test_somebody_who_came_late_does_not_count_and_stops_nobody() -> None:
    late = {D.link_file: shown(D, A, B, D), D.commitment_file: D.commitment()}
    counted = count(fair(A, B) | late)
    assert names(counted) == ["builder-a", "builder-b"]
    assert counted.notes == (
        "builder-d: had not committed when builder-a, builder-b showed a result",
    )
    assert "builder-d: had not committed" in refusal(fair(A, B) | late, 3)


def test_two_builders_of_one_operator_count_once() -> None:
    counted = count(fair(A, A2, B))
    assert names(counted) == ["builder-a", "builder-b"]
    assert "(need 3 from 2" in refusal(fair(A, A2, B), 3)


def test_the_second_builder_of_an_operator_may_be_the_one_that_committed() -> None:
    files = fair(A2, B) | {A.link_file: A.link()}
    assert names(agreed(files)) == ["builder-a", "builder-b"]
    counted = count(files)
    assert names(counted) == ["builder-a2", "builder-b"]
    assert counted.notes == ("builder-a: no commitment of it stands",)


def test_keys_of_one_organisation_are_not_enough() -> None:
    assert "2 agreeing builders" in refusal(fair(B, C))
    assert names(count(fair(B, C), 2, 1)) == ["builder-b", "builder-c"]


def test_dissent_and_earlier_notes_stay() -> None:
    files = fair(A, B) | {D.link_file: D.link(EVIL)}
    agreement = find_agreement("build", reports_of(files), 2, 2)
    counted = count_committed(agreement, files, BINDING, 2, 2, NOW)
    assert [r.builder.name for r in counted.dissent] == ["builder-d"]


# --- attacks -----------------------------------------------------------------------------------


def signed_again(thief: Machine, data: bytes, kind: str) -> bytes:
    """Return another's document under the thief's own signature."""
    payload = parse_envelope(data, "", payload_type=kind).payload
    return seal(payload, thief.party, thief.sign, kind).to_bytes()


COMMITMENT = "application/vnd.relsign.commitment+json"
LATE_COPY = {
    # The thief saw A's link, commits now, and claims to have heard everybody in time.
    D.link_file: shown(D, A, B, D),
    D.commitment_file: D.commitment(),
}
ATTACKS: dict[str, tuple[Files, str]] = {
    "a copy of a shown link under an own key": (
        {D.link_file: signed_again(D, shown(A, A, D), INTOTO_PAYLOAD)},
        "builder-d: no commitment of it stands",
    ),
    "a copy of link and commitment under an own key": (
        {
            D.link_file: signed_again(D, shown(A, A, D), INTOTO_PAYLOAD),
            D.commitment_file: signed_again(D, A.commitment(), COMMITMENT),
        },
        "builder-d: committed to another result than its link shows",
    ),
    "a copy that commits when it has seen the result": (
        LATE_COPY,
        "builder-d: had not committed when builder-a showed a result",
    ),
    "a copy that hears only itself": (
        {D.link_file: shown(D, D), D.commitment_file: D.commitment()},
        "builder-d: had not committed when builder-a",
    ),
    "a commitment to something else, kept until the result was seen": (
        {D.link_file: shown(D, A, D), D.commitment_file: D.commitment(EVIL)},
        "builder-d: committed to another result than its link shows",
    ),
    "a commitment with a salt that does not fit": (
        {D.link_file: shown(D, A, D), D.commitment_file: D.commitment(salt=Digest("0" * 64))},
        "builder-d: committed to another result",
    ),
    "a commitment of another version": (
        {D.link_file: shown(D, A, D), D.commitment_file: D.commitment(version="0.9")},
        f"{D.commitment_file}: belongs to another release",
    ),
    "another builder's commitment as one's own": (
        {D.link_file: shown(D, A, D), D.commitment_file: B.commitment()},
        f"{D.commitment_file}: not signed by a known builder",
    ),
    "no commitment": ({D.link_file: shown(D, A, D)}, "builder-d: no commitment of it stands"),
    "a link that opens nothing": (
        {D.link_file: D.link(), D.commitment_file: D.commitment()},
        "builder-d: its link does not open its commitment",
    ),
    "junk for a commitment": (
        {D.link_file: shown(D, A, D), D.commitment_file: b"junk"},
        f"{D.commitment_file}: not valid JSON",
    ),
    "a commitment of megabytes": (
        {D.link_file: shown(D, A, D), D.commitment_file: b" " * (MAX_COMMITMENT_BYTES + 1)},
        f"{D.commitment_file}: too large for a commitment",
    ),
    "a commitment signed as a link": (
        {
            D.link_file: shown(D, A, D),
            D.commitment_file: seal(D.payload(), D.party, D.sign).to_bytes(),
        },
        f"{D.commitment_file}: payload of another type",
    ),
    "a link signed as a commitment": (
        {D.link_file: shown(D, A, D), D.commitment_file: D.seal(D.link())},
        f"{D.commitment_file}: unknown field",
    ),
    "a commitment nobody signed": (
        {
            D.link_file: shown(D, A, D),
            D.commitment_file: Envelope(
                payload=D.payload(), payload_type=COMMITMENT, signatures=()
            ).to_bytes(),
        },
        f"{D.commitment_file}: not signed by a known builder",
    ),
    "a commitment that is not in canonical form": (
        {D.link_file: shown(D, A, D), D.commitment_file: D.seal(D.payload() + b"\n")},
        f"{D.commitment_file}: not in canonical form",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attacker_makes_no_quorum_with_the_builder_it_copied(name: str) -> None:
    """A alone committed fairly, and its link says that it heard A and B."""
    files, words = ATTACKS[name]
    alone = {A.link_file: shown(A, A, B), A.commitment_file: A.commitment()}
    assert names(agreed(alone | files)) == ["builder-a", "builder-d"]
    assert words in refusal(alone | files)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attacker_takes_nothing_from_those_who_were_fair(name: str) -> None:
    files, _words = ATTACKS[name]
    counted = count(fair(A, B) | files)
    assert names(counted) == ["builder-a", "builder-b"]
    assert any("builder-d" in line for line in counted.notes)


def test_a_salt_two_builders_share_was_nobodys_secret() -> None:
    salt = salt_of(A)
    other = B.payload(salt=salt)
    byproducts = Byproducts(commitment_salt=salt, heard=heard(A.payload(), other))
    files = {
        A.link_file: A.link(byproducts=byproducts),
        B.link_file: B.link(byproducts=byproducts),
        A.commitment_file: A.commitment(),
        B.commitment_file: B.seal(other),
    }
    assert "builder-b: has the salt of builder-a" in refusal(files)


def test_a_copied_salt_does_not_silence_the_builder_it_came_from() -> None:
    salt = salt_of(A)
    thief = D.payload(salt=salt)
    copied = {
        D.link_file: D.link(
            byproducts=Byproducts(
                commitment_salt=salt, heard=heard(A.payload(), B.payload(), thief)
            )
        ),
        D.commitment_file: D.seal(thief),
    }
    assert names(count(fair(A, B) | copied)) == ["builder-a", "builder-b"]


def test_a_salt_from_an_older_release_opens_nothing_here() -> None:
    """Link and commitment are of version 1.0, but the link's fingerprint is a new one."""
    link = D.link(EVIL, byproducts=Byproducts(commitment_salt=salt_of(D), heard=heard(A.payload())))
    files = {D.link_file: link, D.commitment_file: D.commitment()}
    assert "builder-d: committed to another result" in refusal(files, 1, 1)


def test_copiers_together_do_not_outvote_their_number() -> None:
    """Two who commit late hear each other: without the quorum of k they are too few."""
    late = {
        B.link_file: shown(B, A, B, D),
        D.link_file: shown(D, A, B, D),
        B.commitment_file: B.commitment(),
        D.commitment_file: D.commitment(),
    }
    first = {A.link_file: shown(A, A), A.commitment_file: A.commitment()}
    said = refusal(first | late, 3, 3)
    assert "2 agreeing builders" in said
    assert "builder-a: showed its result before builder-b, builder-d had committed" in said


def test_two_commitments_of_one_builder_count_for_nobody() -> None:
    """The second lies where another builder's should be; both are signed by D."""
    said = refusal(fair(A, B, D) | {B.commitment_file: D.commitment(EVIL)})
    assert "builder-d: signed two commitments: counts for nobody" in said
    assert "builder-d: no commitment of it stands" in said
    assert f"{B.commitment_file}: the commitment of builder-d" in said
    counted = count(fair(A, A2, B, D) | {A2.commitment_file: D.commitment(EVIL)})
    assert names(counted) == ["builder-a", "builder-b"]


def test_two_commitments_of_one_builder_shown_to_different_people_meet_nobody() -> None:
    """A heard the first one, B the second; the bundle can hold but one."""
    files = fair(A, B, D)
    files[A.link_file] = A.link(
        byproducts=Byproducts(
            commitment_salt=salt_of(A),
            heard=heard(A.payload(), B.payload(), D.payload(salt=Digest("5" * 64))),
        )
    )
    counted = count(files)
    assert names(counted) == ["builder-a", "builder-b"]
    assert counted.notes == ("builder-d: had not committed when builder-a showed a result",)


# --- bounds ------------------------------------------------------------------------------------


def read(found: Files) -> Commitments:
    return read_commitments(found.items(), BUILDERS, BINDING, NOW)


def test_ten_thousand_commitments_cost_little_and_are_one_line() -> None:
    junk = {f"build.{number:08x}.commitment": A.commitment() for number in range(10_000)}
    started = time.perf_counter()
    found = read(junk | {A.commitment_file: A.commitment()})
    assert time.perf_counter() - started < 5
    assert list(found.standing) == ["builder-a"]
    assert found.ignored == ("10000 files are not named after a commitment of a known builder",)


def test_copies_in_ten_thousand_folders_are_bounded_and_the_first_count() -> None:
    places = {f"builds/x{number}/{A.commitment_file}": b"%d" % number for number in range(10_000)}
    found = read({f"builds/builder-a/{A.commitment_file}": A.commitment()} | places)
    assert list(found.standing) == ["builder-a"]
    assert len(found.ignored) == MAX_OPENED
    assert found.ignored[-1].startswith(f"{10_001 - MAX_OPENED} files")


def test_a_copy_elsewhere_changes_nothing() -> None:
    found = read({f"builds/{name}/{A.commitment_file}": A.commitment() for name in ("a", "z")})
    assert list(found.standing) == ["builder-a"]
    assert found.ignored == ()
    assert found.heard == heard(A.payload())


def test_other_files_are_no_commitments() -> None:
    found = read({A.link_file: A.link(), FILE: b"", "build.commitment": A.commitment()})
    assert found.standing == {}
    assert found.ignored == ("1 files are not named after a commitment of a known builder",)


def test_many_reasons_are_shown_as_a_number() -> None:
    crowd = machines(12)
    files = {machine.link_file: machine.link() for machine in crowd}
    with pytest.raises(NotEnoughError) as caught:
        judge(crowd, files, 2)
    assert caught.value.got.endswith("; 4 more")


# --- the best set ------------------------------------------------------------------------------


def machines(number: int) -> tuple[Machine, ...]:
    return tuple(
        Machine(f"m{index:02}", f"operator-{index}", f"organisation-{index % 3}")
        for index in range(number)
    )


def hearing(crowd: tuple[Machine, ...], pairs: set[tuple[int, int]]) -> Files:
    """Return evidence in which exactly the given pairs heard each other."""
    files = {machine.commitment_file: machine.commitment() for machine in crowd}
    for index, machine in enumerate(crowd):
        ears = [crowd[a + b - index] for a, b in pairs if index in {a, b}]
        files[machine.link_file] = shown(machine, *ears)
    return files


def judge(crowd: tuple[Machine, ...], files: Files, threshold: int) -> Agreement:
    from relsign.verify.agreement import read_reports  # noqa: PLC0415

    parties: tuple[Party, ...] = tuple(machine.party for machine in crowd)
    agreement = find_agreement("build", read_reports(files, parties, BINDING, NOW), 1, 1)
    return count_committed(agreement, files, BINDING, threshold, 1, NOW)


def circle(*members: int) -> set[tuple[int, int]]:
    """Return the pairs of people who all heard each other."""
    return set(itertools.combinations(members, 2))


SETS = {
    "a star has pairs only": ({(0, 1), (0, 2), (0, 3)}, 4, [0, 1]),
    "the larger of two circles": (circle(0, 1) | circle(2, 3, 4), 5, [2, 3, 4]),
    "of equal ones the one with more organisations": (
        circle(0, 3, 1) | circle(4, 5, 6),
        7,
        [4, 5, 6],
    ),
    "then by name": (circle(0, 1, 2) | circle(3, 4, 5), 6, [0, 1, 2]),
    "circles that share a member": (circle(0, 1, 2) | circle(2, 3, 4, 5), 6, [2, 3, 4, 5]),
    "an overlap where the least heard is in the largest circle": (
        circle(0, 1, 2, 3) | {(4, 5), (4, 6), (4, 7), (5, 8), (5, 9), (6, 8), (6, 7)},
        10,
        [0, 1, 2, 3],
    ),
    "as many as are searched": (circle(*range(MAX_SEARCHED)), MAX_SEARCHED, [*range(16)]),
    "more than are searched": (circle(*range(1, 17)), 18, [*range(1, 17)]),
    "everybody, many": (circle(*range(40)), 40, [*range(40)]),
}


@pytest.mark.parametrize("name", SETS)
def test_the_best_set_is_found(name: str) -> None:
    pairs, number, expected = SETS[name]
    crowd = machines(number)
    counted = judge(crowd, hearing(crowd, pairs), len(expected))
    assert names(counted) == [f"m{index:02}" for index in expected]


def test_the_search_ends_in_the_worst_case_too() -> None:
    """Everybody heard everybody but one: the graph with the most largest sets."""
    crowd = machines(MAX_SEARCHED)
    strangers = {(index, index + 1) for index in range(0, MAX_SEARCHED, 2)}
    pairs = circle(*range(MAX_SEARCHED)) - strangers
    started = time.perf_counter()
    assert len(names(judge(crowd, hearing(crowd, pairs), 8))) == 8
    assert time.perf_counter() - started < 5


def test_the_same_evidence_in_another_order_gives_the_same_set() -> None:
    crowd = machines(6)
    files = hearing(crowd, circle(0, 1, 2) | circle(3, 4, 5))
    turned = dict(reversed(files.items()))
    assert judge(crowd, files, 2) == judge(crowd, turned, 2)


def test_what_is_heard_are_the_payloads_whoever_wrote_the_envelope() -> None:
    assert heard(A.payload()) == (sha256_hex(A.payload()),)

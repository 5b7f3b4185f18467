"""Who agrees with whom, and what comes of it: NOT ENOUGH is never REFUSED, nor the reverse."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import NotEnoughError, RelsignError, VerificationError
from relsign.formats.envelope import parse_envelope
from relsign.formats.link import ReleaseBinding, parse_link
from relsign.formats.policy import Diversity
from relsign.sign.evidence.links import seal
from relsign.verify.agreement import Reports, find_agreement, own_evidence
from relsign.verify.diversity import require_diversity
from tests.verify.machines import (
    A2,
    EVERYBODY,
    EVIL,
    GOOD,
    A,
    B,
    C,
    D,
    Machine,
    on,
    report,
    reports_of,
)

OTHER_INPUT = "4" * 64
Said = tuple[tuple[Machine, bytes], ...]


def said(*links: tuple[Machine, bytes]) -> Said:
    return links


def good(*machines: Machine) -> Said:
    return tuple((machine, machine.link()) for machine in machines)


def evil(*machines: Machine) -> Said:
    return tuple((machine, machine.link(EVIL)) for machine in machines)


def inputs(*machines: Machine) -> Said:
    """Return links with the same products from other materials."""
    return tuple((machine, machine.link(material=OTHER_INPUT)) for machine in machines)


def reports(links: Said) -> Reports:
    return Reports(tuple(report(machine, data) for machine, data in links), ())


class Agreed(NamedTuple):
    """What an agreement must be."""

    builders: str
    dissent: str = ""
    notes: str = ""


class Failed(NamedTuple):
    """How the absence of an agreement must be told."""

    kind: type[RelsignError]
    words: str


MISSING, REFUSED = NotEnoughError, VerificationError

# What was said, how many operators and organisations are needed, what comes of it.
TABLE: dict[str, tuple[Said, int, int, Agreed | Failed]] = {
    "nobody": ((), 2, 1, Failed(MISSING, "0 builders reported")),
    "one of two": (good(A), 2, 1, Failed(MISSING, "1 builders reported")),
    "two of two": (good(A, B), 2, 2, Agreed("builder-a builder-b")),
    "one is enough where one is asked for": (good(A), 1, 1, Agreed("builder-a")),
    "all of four": (good(A, B, C, D), 2, 2, Agreed("builder-a builder-b builder-c builder-d")),
    "keys, not organisations": (
        good(B, C),
        2,
        2,
        Failed(MISSING, "2 builders reported step build \\(need 2 from 2 organisations\\)"),
    ),
    "keys, not organisations, and one contradicts": (
        (*good(B, C), *evil(A)),
        2,
        2,
        Failed(REFUSED, "builders disagree at step build: builder-a, builder-b, builder-c"),
    ),
    # A third could still settle it; people should look first.
    "two contradict each other": (
        (*good(A), *evil(B)),
        2,
        2,
        Failed(REFUSED, "builders disagree"),
    ),
    "two contradict each other where one is asked for": (
        (*good(A), *evil(B)),
        1,
        1,
        Failed(REFUSED, "two quorums"),
    ),
    "three contradict each other": (
        (*good(A), *evil(B), *inputs(C)),
        2,
        1,
        Failed(REFUSED, "builders disagree at"),
    ),
    "a quorum and one dissents": (
        (*good(A, B), *evil(C)),
        2,
        2,
        Agreed("builder-a builder-b", dissent="builder-c"),
    ),
    "the liars have the quorum": (
        (*good(A), *evil(B, D)),
        2,
        2,
        Agreed("builder-b builder-d", dissent="builder-a"),
    ),
    "two quorums": ((*good(A, B), *evil(C, D)), 2, 2, Failed(REFUSED, "two quorums contradict")),
    "equal products, different materials, no quorum": (
        (*good(A), *inputs(B)),
        2,
        2,
        Failed(REFUSED, "builders disagree on what they built from"),
    ),
    "equal products, different materials, a quorum": (
        (*good(A, B), *inputs(C)),
        2,
        2,
        Agreed("builder-a builder-b", dissent="builder-c"),
    ),
    "one operator twice": (good(A, A2), 2, 1, Failed(MISSING, "1 builders reported")),
    "one operator twice and another": (good(A, A2, B), 2, 2, Agreed("builder-a builder-b")),
    "one operator twice, for and against": (
        (*good(A, B), *evil(A2)),
        2,
        2,
        Failed(REFUSED, "builders disagree"),
    ),
    "one operator, for and against, is not needed": (
        (*good(A, B, D), *evil(A2)),
        2,
        2,
        Agreed(
            "builder-b builder-d",
            dissent="builder-a2",
            notes="machine-a: its builders contradict each other",
        ),
    ),
    "one operator makes no second quorum by a second key": (
        (*good(A, B), *evil(A2, D)),
        2,
        2,
        Failed(REFUSED, "builders disagree"),
    ),
    "the same link twice": ((*good(A), *good(A)), 2, 1, Failed(MISSING, "1 builders reported")),
    "the same link twice and another": (
        (*good(A), *good(A), *good(B)),
        2,
        2,
        Agreed("builder-a builder-b"),
    ),
    "two different links of one builder": (
        (*good(A), *evil(A), *good(B)),
        2,
        1,
        Failed(MISSING, "1 builders .*builder-a: signed two different links for step build"),
    ),
    "two different links of one builder, beside a quorum": (
        (*good(A, B, D), *evil(A)),
        2,
        2,
        Agreed(
            "builder-b builder-d",
            dissent="builder-a",
            notes="builder-a: signed two different links",
        ),
    ),
    "two links of one builder that say the same of other machines": (
        said(
            (A, A.link(byproducts=on("docker", "x86_64", "debian-12"))),
            (A, A.link(byproducts=on("podman", "x86_64", "debian-12"))),
            *good(B, D),
        ),
        2,
        2,
        Agreed("builder-b builder-d", notes="builder-a: signed two different links"),
    ),
    "only of another step": (
        said((A, A.link(step="source")), (B, B.link(step="source"))),
        2,
        2,
        Failed(MISSING, "0 builders reported"),
    ),
}


@pytest.mark.parametrize("turned", [False, True], ids=["as told", "turned round"])
@pytest.mark.parametrize("name", TABLE)
def test_the_table(name: str, turned: bool) -> None:  # noqa: FBT001 - a column of the table
    links, threshold, organisations, outcome = TABLE[name]
    # Links for the step `source` are filed under that name.
    standing = reports(links) if "another step" not in name else Reports((), ())
    if turned:
        standing = Reports(standing.standing[::-1], ())
    if isinstance(outcome, Failed):
        with pytest.raises(outcome.kind, match=outcome.words) as caught:
            find_agreement("build", standing, threshold, organisations)
        assert type(caught.value) is outcome.kind
        assert caught.value.hint
        return
    agreement = find_agreement("build", standing, threshold, organisations)
    assert [party.name for party in agreement.builders] == outcome.builders.split()
    assert sorted({r.builder.name for r in agreement.dissent}) == outcome.dissent.split()
    assert "; ".join(agreement.notes).startswith(outcome.notes)
    assert bool(agreement.notes) is bool(outcome.notes)
    assert all(r.says == agreement.says for r in agreement.reports)
    assert [r.builder for r in agreement.counted] == list(agreement.builders)
    assert agreement.organisations == tuple(sorted({p.organisation for p in agreement.builders}))


def test_a_link_of_another_step_does_not_count_for_this_one() -> None:
    source = A.link(step="source")
    name = A.link_file.replace("build", "source")
    both = reports_of({name: source, B.link_file: B.link()})
    assert len(both.standing) == 2
    with pytest.raises(NotEnoughError, match="1 builders"):
        find_agreement("build", both, 2, 1)


GARBAGE = {
    "junk": b"junk",
    "nothing": b"",
    "no signature": b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json",'
    b'"signatures":[]}',
    "a copy of another's link": B.link(),
    "another's link under an own signature for another release": A.link(
        binding=ReleaseBinding(project="demo", version="0.9")
    ),
    "a link of another step": A.link(step="source"),
    "its own link, signed by another": seal(
        parse_envelope(A.link(), "").payload, B.party, B.sign
    ).to_bytes(),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_of_a_builder_is_named_and_stops_nobody(name: str) -> None:
    files = {A.link_file: GARBAGE[name], B.link_file: B.link(), D.link_file: D.link()}
    found = reports_of(files)
    assert [line.partition(":")[0] for line in found.ignored] == [A.link_file]
    agreement = find_agreement("build", found, 2, 2)
    assert [party.name for party in agreement.builders] == ["builder-b", "builder-d"]
    assert agreement.dissent == ()


def test_files_that_are_no_known_builders_links_are_named_or_passed_over() -> None:
    files = {"build.00000000.link": A.link(), "readme": b"", A.commitment_file: A.commitment()}
    found = reports_of(files)
    assert found.standing == ()
    assert found.ignored == ("build.00000000.link: not the name of a known builder's link",)


def test_garbage_is_named_where_it_leaves_too_few() -> None:
    found = reports_of({A.link_file: b"junk", B.link_file: B.link()})
    with pytest.raises(NotEnoughError, match=f"1 builders .*; {A.link_file}: not valid JSON"):
        find_agreement("build", found, 2, 2)


def test_a_stolen_link_counts_once_under_whatever_name() -> None:
    """C hands in B's own link as its own file: the signature is B's."""
    found = reports_of({B.link_file: B.link(), C.link_file: B.link()})
    assert [r.builder.name for r in found.standing] == ["builder-b"]


def test_a_folder_holds_its_own_builders_commitment_and_no_other() -> None:
    evidence = {
        "builder-a": {
            A.commitment_file: A.commitment(),
            B.commitment_file: B.commitment(),
            "linux.fingerprint.json": b"",
        },
        "stranger": {D.commitment_file: D.commitment()},
    }
    own = own_evidence(evidence, tuple(machine.party for machine in EVERYBODY))
    assert own.files == {A.commitment_file: A.commitment()}
    assert own.ignored == (
        f"builds/builder-a/{B.commitment_file}: not a file of this builder",
        f"builds/stranger/{D.commitment_file}: not a file of this builder",
    )


# --- diversity ---------------------------------------------------------------------------------

DOCKER, PODMAN = on("docker", "x86_64", "debian-12"), on("podman", "aarch64", "fedora-42")
DIVERSE = {
    "nothing is asked": (Diversity(), (DOCKER, DOCKER), ""),
    "nothing is asked or said": (Diversity(), (None, None), ""),
    "two of each": (
        Diversity(engines=2, platforms=2, environments=2),
        (DOCKER, PODMAN),
        "2 engines, 2 platforms, 2 environments",
    ),
    "only two engines": (Diversity(engines=2), (DOCKER, PODMAN), "2 engines"),
    "one engine": (Diversity(engines=2), (DOCKER, DOCKER), "1 engines \\(need 2\\).*got docker"),
    "one platform": (Diversity(platforms=2), (DOCKER, DOCKER), "1 platforms .*got x86_64"),
    "one environment": (
        Diversity(environments=2),
        (DOCKER, DOCKER),
        "1 environments .*got debian-12",
    ),
    "who says nothing adds nothing": (
        Diversity(engines=2),
        (DOCKER, None),
        "1 engines .*docker; builder-b did not say",
    ),
    "nobody says anything": (
        Diversity(engines=2),
        (None, None),
        "0 engines .*none known; builder-a, builder-b did not say",
    ),
}


@pytest.mark.parametrize("name", DIVERSE)
def test_diversity(name: str) -> None:
    diversity, (one, two), words = DIVERSE[name]
    links = said((A, A.link(byproducts=one)), (B, B.link(byproducts=two)))
    agreement = find_agreement("build", reports(links), 2, 2)
    if ".*" not in words:
        assert require_diversity(agreement, diversity) == words
        return
    with pytest.raises(NotEnoughError, match=words) as caught:
        require_diversity(agreement, diversity)
    assert "another" in caught.value.hint


def test_a_second_machine_of_one_operator_adds_nothing() -> None:
    links = said((A, A.link(byproducts=DOCKER)), (A2, A2.link(byproducts=PODMAN)),
                 (B, B.link(byproducts=DOCKER)))  # fmt: skip
    agreement = find_agreement("build", reports(links), 2, 2)
    with pytest.raises(NotEnoughError, match="1 engines"):
        require_diversity(agreement, Diversity(engines=2))


def test_dissent_adds_no_diversity() -> None:
    links = said((A, A.link(byproducts=DOCKER)), (B, B.link(byproducts=DOCKER)),
                 (D, D.link(EVIL, byproducts=PODMAN)))  # fmt: skip
    agreement = find_agreement("build", reports(links), 2, 2)
    with pytest.raises(NotEnoughError, match="1 platforms"):
        require_diversity(agreement, Diversity(platforms=2))


def test_what_a_builder_says_of_its_machine_makes_no_group_of_its_own() -> None:
    links = said((A, A.link(byproducts=DOCKER)), (B, B.link(byproducts=PODMAN)))
    assert find_agreement("build", reports(links), 2, 2).dissent == ()
    payload = parse_envelope(links[0][1], "").payload
    assert parse_link(payload).byproducts == DOCKER
    assert sha256_hex(payload) != sha256_hex(parse_envelope(A.link(), "").payload)
    assert GOOD in parse_link(payload).products["demo.tar"].sha256

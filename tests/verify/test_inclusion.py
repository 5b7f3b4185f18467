"""Step 8: what is no proof that a release stands in a log everybody sees."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from relsign.crypto.keys import Party
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.checkpoint import Checkpoint, NoteSignature, parse_log_proof
from relsign.formats.log import LogPolicy
from relsign.verify.inclusion import (
    Inclusion,
    log_entry,
    require_extends,
    verify_inclusion,
)
from tests.verify.logs import (
    NOW,
    ORIGIN,
    POLICY,
    MemoryLog,
    cosigned_by,
    log_parties,
    make_policy,
    secret,
    signed_by,
)

ENTRY = log_entry("demo", "1.0", "aa" * 32)
OTHER_ENTRY = log_entry("demo", "0.9", "bb" * 32)
INDEX = 4
MUTATIONS = 20_000
DAY = timedelta(days=1)


def make_log() -> MemoryLog:
    """Return a log with an older release, the release, and a later entry."""
    log = MemoryLog()
    for entry in (OTHER_ENTRY, ENTRY, b"a later entry"):
        log.append(entry)
    return log


LOG = make_log()
PARTIES = log_parties()


def ask(
    proof: bytes,
    policy: LogPolicy = POLICY,
    *,
    entry: bytes = ENTRY,
    parties: tuple[Party, ...] = PARTIES,
    now: datetime = NOW,
) -> Inclusion:
    return verify_inclusion(policy, parties, proof, entry, now)


def proof(**cosigned: datetime | int) -> bytes:
    """Return the release's proof, cosigned by these witnesses at these times."""
    return LOG.proof(INDEX, cosigned=cosigned).to_bytes()


GOOD = LOG.proof(INDEX)


def with_lines(change: Callable[[tuple[NoteSignature, ...]], tuple[NoteSignature, ...]]) -> bytes:
    """Return the good proof with its signature lines changed."""
    lines = change(GOOD.checkpoint.signatures)
    return replace(GOOD, checkpoint=replace(GOOD.checkpoint, signatures=lines)).to_bytes()


# --- what counts ------------------------------------------------------------------------------


def test_a_release_in_a_witnessed_log() -> None:
    found = ask(GOOD.to_bytes())
    assert (found.index, found.size, found.checkpoint) == (INDEX, 6, GOOD.checkpoint)
    assert (found.logs, found.witnesses) == (("log-a",), ("wanda", "wilma"))
    assert found.oldest == found.newest == NOW
    assert found.words == (
        f"entry 4 of 6 in {ORIGIN}, seen by wanda, wilma, last 2026-11-21 12:00 UTC"
    )


def test_an_entry_is_the_canonical_form_of_a_release() -> None:
    assert ENTRY == (
        b'{"format":"relsign/log-entry/1","kind":"release","project":"demo",'
        b'"statement_sha256":"' + b"aa" * 32 + b'","version":"1.0"}'
    )
    for fields in (("..", "1.0", "aa" * 32), ("demo", "", "aa" * 32), ("demo", "1.0", "aa")):
        with pytest.raises(InputError):
            log_entry(*fields)


def test_a_log_of_one_entry() -> None:
    assert ask(MemoryLog([ENTRY]).proof(0).to_bytes()).size == 1


@pytest.mark.parametrize("by", [("log-a",), ("log-b",), ("log-b", "log-a")])
def test_any_key_of_the_log_signs(by: tuple[str, ...]) -> None:
    assert ask(LOG.proof(INDEX, by=by).to_bytes()).logs == tuple(sorted(by))


def test_strangers_lines_and_extra_decide_nothing() -> None:
    body = GOOD.checkpoint.body()
    strange = (
        NoteSignature("stranger", bytes(4), b"x"),
        NoteSignature("wanda", bytes(4), b"another key of hers"),
        NoteSignature("other", GOOD.checkpoint.signatures[0].key_id, b"the log's id"),
        signed_by("mallory", body),
        cosigned_by("mallory", body, NOW),
    )
    found = ask(with_lines(lambda lines: (*strange, *lines)))
    assert (found.logs, found.witnesses) == (("log-a",), ("wanda", "wilma"))
    assert ask(replace(GOOD, extra=b"anything").to_bytes()).witnesses == ("wanda", "wilma")


def test_a_cosignature_made_twice_counts_once_and_the_newest_is_shown() -> None:
    body = GOOD.checkpoint.body()
    older = (cosigned_by("wanda", body, NOW - 40 * DAY), cosigned_by("wanda", body, NOW - DAY))
    found = ask(with_lines(lambda lines: (*older, *lines)))
    assert (found.witnesses, found.oldest) == (("wanda", "wilma"), NOW)
    with pytest.raises(NotEnoughError, match="too few witnesses"):
        ask(with_lines(lambda lines: (lines[0], *older, lines[1])))


def test_a_policy_without_witnesses() -> None:
    policy = make_policy(quorum="none", max_age_days=None)
    found = ask(proof(), policy)
    assert (found.witnesses, found.oldest, found.newest) == ((), None, None)
    assert found.words == f"entry 4 of 6 in {ORIGIN}, seen by no witness"


def test_a_quorum_of_one_witness() -> None:
    policy = make_policy(quorum="wes", group=())
    assert ask(proof(wes=NOW), policy).witnesses == ("wes",)
    with pytest.raises(NotEnoughError, match="expected quorum wes, got none"):
        ask(proof(wanda=NOW, wilma=NOW), policy)


# --- contradictions ---------------------------------------------------------------------------

SPLIT = LOG.split_view(INDEX, ENTRY + b"x")
BODY = GOOD.checkpoint.body()
CONTRADICTIONS: dict[str, tuple[bytes, str]] = {
    "proof of another release of the same log": (
        LOG.proof(3).to_bytes(),
        "not a proof of this release",
    ),
    "proof of this release at another index": (
        replace(GOOD, index=3).to_bytes(),
        "not a proof of this release",
    ),
    "index beyond the log": (
        replace(GOOD, index=6).to_bytes(),
        "not a proof of this release: no such entry in the log",
    ),
    "proof of a log that never had this release": (
        SPLIT.proof(INDEX).to_bytes(),
        "not a proof of this release",
    ),
    "split view: the hashes of one history under the head of another": (
        replace(GOOD, checkpoint=SPLIT.checkpoint()).to_bytes(),
        "not a proof of this release",
    ),
    "rewound log: the proof under an older head": (
        replace(GOOD, checkpoint=LOG.rewound(INDEX).checkpoint()).to_bytes(),
        "not a proof of this release: no such entry in the log",
    ),
    "rewound to an empty log": (
        replace(GOOD, checkpoint=LOG.rewound(0).checkpoint()).to_bytes(),
        "not a proof of this release: no such entry in the log",
    ),
    "hash missing": (replace(GOOD, hashes=GOOD.hashes[1:]).to_bytes(), "not a proof of this"),
    "hash added": (replace(GOOD, hashes=(*GOOD.hashes, bytes(32))).to_bytes(), "too long"),
    "another log of the same keys": (
        MemoryLog(LOG.entries, origin="log.example/other").proof(INDEX).to_bytes(),
        "a checkpoint of another log",
    ),
    "origin with another case": (
        MemoryLog(LOG.entries, origin=ORIGIN.upper()).proof(INDEX).to_bytes(),
        "a checkpoint of another log",
    ),
    "no signature of the log": (with_lines(lambda lines: lines[1:]), "no key of the log signed"),
    "signed by a stranger as the log": (
        LOG.proof(INDEX, by=("mallory",)).to_bytes(),
        "no key of the log signed",
    ),
    "signed by a witness as the log": (
        LOG.proof(INDEX, by=("wanda",)).to_bytes(),
        "no key of the log signed",
    ),
    "signed by a stranger under the log's label": (
        with_lines(
            lambda lines: (
                replace(lines[0], signature=secret("mallory").sign(BODY).signature),
                *lines[1:],
            )
        ),
        "a false signature of the log",
    ),
    "one log key's signature is of another head": (
        with_lines(lambda lines: (*lines, signed_by("log-b", SPLIT.checkpoint().body()))),
        "a false signature of the log",
    ),
    "an extension line added after signing": (
        replace(GOOD, checkpoint=replace(GOOD.checkpoint, extensions=("x",))).to_bytes(),
        "a false signature of the log",
    ),
    "cosignature of another head": (
        with_lines(
            lambda lines: (lines[0], lines[1], cosigned_by("wes", SPLIT.checkpoint().body(), NOW))
        ),
        "a false cosignature of a witness",
    ),
    "cosignature with a newer time than was signed": (
        with_lines(
            lambda lines: (
                lines[0],
                replace(lines[1], signature=(2**31).to_bytes(8) + lines[1].signature[8:]),
                lines[2],
            )
        ),
        "a false cosignature of a witness",
    ),
    "one witness's signature under another's label": (
        with_lines(lambda lines: (*lines[:2], replace(lines[2], signature=lines[1].signature))),
        "a false cosignature of a witness",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused(name: str) -> None:
    data, words = CONTRADICTIONS[name]
    with pytest.raises(VerificationError, match=words) as caught:
        ask(data)
    assert caught.value.where == "release.tlog-proof"
    assert caught.value.hint


def test_every_other_release_is_refused() -> None:
    for fields in (
        ("demo", "1.1", "aa" * 32),
        ("other", "1.0", "aa" * 32),
        ("demo", "1.0", "ab" * 32),
    ):
        with pytest.raises(VerificationError, match="not a proof of this release"):
            ask(GOOD.to_bytes(), entry=log_entry(*fields))


def test_a_leaf_hash_is_not_the_entry() -> None:
    with pytest.raises(VerificationError, match="not a proof of this release"):
        ask(GOOD.to_bytes(), entry=GOOD.checkpoint.root)


@pytest.mark.parametrize("data", [b"", b"{}", GOOD.to_bytes()[:-1], GOOD.checkpoint.to_bytes()])
def test_what_is_no_proof_is_bad_input(data: bytes) -> None:
    with pytest.raises(InputError):
        ask(data)


# --- too few witnesses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cosigned", "words"),
    [
        ({}, "too few witnesses saw this log (expected quorum two, got none)"),
        ({"wanda": NOW}, "got wanda"),
        ({"wanda": NOW, "mallory": NOW}, "got wanda"),
        ({"wanda": NOW, "log-a": NOW}, "got wanda"),
        ({"wanda": NOW, "wilma": NOW + 2 * DAY}, "got wanda, wilma in the future"),
        ({"wanda": NOW, "wilma": NOW + DAY + timedelta(seconds=1)}, "wilma in the future"),
        ({"wanda": 2**63 - 1, "wilma": 2**40}, "got wanda in the future, wilma in the future"),
        ({"wanda": NOW, "wilma": NOW - 31 * DAY}, "too long ago"),
        ({"wanda": NOW - 31 * DAY, "wilma": NOW - 90 * DAY}, "got the newest of 2026-10-21"),
        ({"wanda": 0, "wilma": 0}, "expected cosignatures of the last 30 days"),
    ],
)
def test_too_few_witnesses_is_not_enough(cosigned: dict[str, datetime | int], words: str) -> None:
    with pytest.raises(NotEnoughError) as caught:
        ask(proof(**cosigned))
    assert words in str(caught.value)
    assert "newer log proof" in caught.value.hint


@pytest.mark.parametrize("at", [NOW + DAY, NOW - 30 * DAY, NOW])
def test_the_bounds_of_a_cosignatures_age(at: datetime) -> None:
    found = ask(proof(wanda=at, wilma=NOW))
    assert {found.oldest, found.newest} == {at, NOW}


def test_an_old_cosignature_beside_enough_new_ones_is_not_counted() -> None:
    found = ask(proof(wanda=NOW, wilma=NOW, wes=NOW - 31 * DAY))
    assert found.witnesses == ("wanda", "wilma")


def test_without_an_age_the_oldest_cosignature_counts() -> None:
    policy = make_policy(max_age_days=None)
    assert ask(proof(wanda=0, wilma=1), policy).words.endswith("last 1970-01-01 00:00 UTC")


def test_a_secret_history_finds_no_quorum() -> None:
    # The log's own key shows one person another history; honest witnesses do not cosign it.
    secret_log = LOG.split_view(0, b"another first entry")
    data = secret_log.proof(INDEX, by=("log-a", "log-b"), cosigned={"wanda": NOW})
    with pytest.raises(NotEnoughError, match="too few witnesses"):
        ask(data.to_bytes())


# --- remembered checkpoints -------------------------------------------------------------------

OLD = LOG.checkpoint(size=3)
NEW = LOG.checkpoint()


@pytest.mark.parametrize("size", range(7))
def test_a_log_that_grew(size: int) -> None:
    older = LOG.checkpoint(size=size)
    require_extends(older, NEW, LOG.consistency(size))


GROWTH: dict[str, tuple[Checkpoint, Checkpoint, list[bytes], str]] = {
    "rewound log": (NEW, OLD, LOG.consistency(3), "the log went back"),
    "rewound to nothing": (NEW, LOG.checkpoint(size=0), [], "the log went back"),
    "split view of one size": (NEW, SPLIT.checkpoint(), [], "two histories of one size"),
    "split view, then grown": (
        LOG.checkpoint(size=5),
        SPLIT.checkpoint(),
        SPLIT.consistency(5),
        "does not extend what it showed before",
    ),
    "two log keys, two histories": (
        LOG.checkpoint(by=("log-a",), size=5),
        SPLIT.checkpoint(by=("log-b",), size=5),
        [],
        "two histories of one size",
    ),
    "no proof": (OLD, NEW, [], "too short"),
    "proof between other sizes": (OLD, NEW, LOG.consistency(4), "does not extend"),
    "garbage for an empty log": (
        replace(LOG.checkpoint(size=0), root=bytes(32)),
        NEW,
        [],
        "an empty log with another root",
    ),
    "a proof where none can be": (LOG.checkpoint(size=0), NEW, [bytes(32)], "none can be"),
    "another log": (OLD, replace(NEW, origin="log.example/other"), LOG.consistency(3), "another"),
}


@pytest.mark.parametrize("name", GROWTH)
def test_logs_that_did_not_only_grow(name: str) -> None:
    older, newer, hashes, words = GROWTH[name]
    with pytest.raises(VerificationError, match=words):
        require_extends(older, newer, hashes)


# --- any bytes --------------------------------------------------------------------------------


def mutate(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    here = rng.randrange(len(data))
    flipped = bytearray(data)
    flipped[here] ^= 1 << rng.randrange(8)
    return rng.choice(
        (
            bytes(flipped),
            data[:here] + rng.randbytes(rng.randrange(1, 4)) + data[here:],
            data[:here] + data[here + rng.randrange(1, 40) :],
            data[:here]
            + rng.choice((b"\n", b"\n\n", b"9" * 30, b"\xe2\x80\x94 x AAAA"))
            + data[here:],
            b"\n".join([*lines[:at], *lines[at + 1 :]]),
            b"\n".join([*lines[:at], lines[other], *lines[at:]]),
            b"\n".join([*lines[:at], lines[other], *lines[at + 1 :]]),
        )
    )


def test_mutated_proofs_raise_our_errors_and_prove_nothing_new() -> None:
    rng = random.Random(8)  # noqa: S311 - the same proofs on every run
    whole = replace(
        LOG.proof(INDEX, by=("log-a", "log-b"), cosigned={"wanda": NOW, "wilma": NOW, "wes": NOW}),
        extra=b"nobody signs this",
    )
    refused, held = 0, 0
    for _ in range(MUTATIONS):
        data = mutate(whole.to_bytes(), rng)
        try:
            found = ask(data)
        except RelsignError:
            refused += 1
        else:
            # What still holds says the same: only labels, order and extra may differ.
            said = parse_log_proof(data)
            assert said.to_bytes() == data
            assert (said.index, said.hashes) == (whole.index, whole.hashes)
            assert found.checkpoint.body() == whole.checkpoint.body()
            assert len(found.witnesses) >= 2
            held += 1
    assert refused > MUTATIONS // 2
    assert held > MUTATIONS // 100
